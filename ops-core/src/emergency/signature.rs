use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};

use super::{ApprovalPolicy, Approvers};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, Approval, Digest, Timestamp};

/// A person's private key. `Debug` does not show it.
pub struct ApprovalKey(SigningKey);

impl ApprovalKey {
    /// Reads a private key of 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else; the text is not repeated.
    pub fn from_hex(seed: &SecretString) -> Result<Self> {
        let bytes: [u8; 32] = from_hex(seed.expose_secret().trim())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "read private key")
                    .context("key", "must be 64 hexadecimal digits")
            })?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// A fresh key for a drill or a first set-up, from the operating system's randomness.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        seed[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        // Two UUIDs have 244 random bits; the digest spreads them over the whole seed.
        Self(SigningKey::from_bytes(Digest::of(&seed).as_bytes()))
    }

    /// The private key as 64 hexadecimal digits, to be written to a file that only its owner can read.
    pub fn to_hex(&self) -> SecretString {
        to_hex(self.0.as_bytes()).into()
    }

    /// The public key as 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        to_hex(self.0.verifying_key().as_bytes())
    }
}

impl fmt::Debug for ApprovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApprovalKey(public {})", self.public_hex())
    }
}

impl Approval {
    /// Signs the plan with that digest.
    pub fn sign(person: impl Into<String>, plan: Digest, until: Timestamp, key: &ApprovalKey) -> Self {
        let person = person.into();
        let signature = key.0.sign(&message(&person, plan, until));
        Self {
            person,
            plan,
            until,
            signature: to_hex(&signature.to_bytes()),
        }
    }

    pub(super) fn check<'a>(
        &self,
        plan: Digest,
        policy: &ApprovalPolicy,
        approvers: &'a Approvers,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<&'a VerifyingKey, &'static str> {
        let key = approvers
            .key_of(&self.person)
            .ok_or("is not among the approvers")?;
        if self.plan != plan {
            return Err("approved another plan, or the observed state has changed since");
        }
        if self.person == actor.id() {
            return Err("runs the plan and cannot approve it too");
        }
        if self.until <= now {
            return Err("approved too long ago");
        }
        if self.until > now + policy.valid_for {
            return Err("approved for longer than allowed");
        }
        let bytes: [u8; 64] = from_hex(&self.signature)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("has no readable signature")?;
        key.verify_strict(
            &message(&self.person, self.plan, self.until),
            &Signature::from_bytes(&bytes),
        )
        .map_err(|_| "has a signature that does not fit")?;
        Ok(key)
    }
}

/// What is signed: a label against reuse elsewhere, the digest, the time, the person last because its length varies.
fn message(person: &str, plan: Digest, until: Timestamp) -> Vec<u8> {
    let mut message = b"ops-approval/1\0".to_vec();
    message.extend_from_slice(plan.as_bytes());
    message.extend_from_slice(&until.as_unix_micros().to_be_bytes());
    message.extend_from_slice(person.as_bytes());
    message
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
