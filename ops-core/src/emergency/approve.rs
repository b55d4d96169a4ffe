use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::plan::{Approved, Draft, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, ActorKind, Digest, PlanKind, Timestamp};

/// How many different persons must approve, and for how long an approval may be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalPolicy {
    /// How many different persons, the one who runs the plan not counted.
    pub persons: usize,
    /// An approval that claims to be valid for longer than this is refused.
    pub valid_for: Duration,
}

impl ApprovalPolicy {
    /// Nobody: closing is unilateral.
    pub fn stop() -> Self {
        Self::of(0)
    }

    /// Two persons.
    pub fn restore() -> Self {
        Self::of(2)
    }

    /// So many persons, 30 minutes.
    pub fn of(persons: usize) -> Self {
        Self {
            persons,
            valid_for: Duration::from_secs(30 * 60),
        }
    }

    /// Sets the longest validity.
    #[must_use]
    pub fn with_valid_for(mut self, valid_for: Duration) -> Self {
        self.valid_for = valid_for;
        self
    }
}

/// A person who may approve, with their Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    name: String,
    key: VerifyingKey,
}

impl Approver {
    /// An approver; `public_key` is 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for anything that is not an Ed25519 public key.
    pub fn new(name: impl Into<String>, public_key: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidConfig, "read approver").context(
                "public_key",
                "must be an Ed25519 public key of 64 hexadecimal digits",
            )
        };
        let bytes: [u8; 32] = from_hex(public_key)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(wrong)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        Ok(Self {
            name: name.into(),
            key,
        })
    }
}

/// The persons who may approve.
#[derive(Clone, Debug, Default)]
pub struct Approvers(BTreeMap<String, VerifyingKey>);

impl Approvers {
    /// Nobody: only plans that need no approval can be carried out, and stops by break-glass.
    pub fn none() -> Self {
        Self::default()
    }
}

/// Enough valid approvals of one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consent {
    /// Who approved, by name.
    pub persons: Vec<String>,
    /// When the first of the approvals runs out.
    pub until: Timestamp,
}

impl Approvers {
    /// Whether `approvals` meet `policy` for what `digest` stands for: enough different persons, none of them `actor`, each with a
    /// valid signature that has not run out.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] naming what is wrong with each approval.
    pub fn consent(
        &self,
        digest: Digest,
        policy: &ApprovalPolicy,
        approvals: &[Approval],
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Consent, Refusal> {
        let mut valid = BTreeMap::new();
        // A person with two names has one key.
        let mut keys = BTreeSet::new();
        let mut faults = Vec::new();
        for approval in approvals {
            match approval.check(digest, policy, self, actor, now) {
                Ok(key) if keys.insert(key.to_bytes()) => {
                    valid.insert(approval.person.clone(), approval.until);
                }
                Ok(_) if valid.contains_key(&approval.person) => {
                    faults.push(format!("{} approved twice and counts once", approval.person));
                }
                Ok(_) => faults.push(format!("{} has the key of another approver", approval.person)),
                Err(fault) => faults.push(format!("{} {fault}", approval.person)),
            }
        }
        if valid.len() < policy.persons {
            return Err(Refusal::NotApproved {
                needed: policy.persons,
                valid: valid.len(),
                faults,
            });
        }
        let ends = valid.values().copied().chain([now + policy.valid_for]);
        let until = ends.min().unwrap_or(now);
        let persons = valid.into_keys().collect();
        Ok(Consent { persons, until })
    }
}

impl FromIterator<Approver> for Approvers {
    fn from_iter<I: IntoIterator<Item = Approver>>(approvers: I) -> Self {
        Self(
            approvers
                .into_iter()
                .map(|approver| (approver.name, approver.key))
                .collect(),
        )
    }
}

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

/// One person's signed consent to one plan, until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    person: String,
    plan: Digest,
    until: Timestamp,
    signature: String,
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

    /// Who signed.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// The plan that was signed.
    pub fn plan(&self) -> Digest {
        self.plan
    }

    fn check<'a>(
        &self,
        plan: Digest,
        policy: &ApprovalPolicy,
        approvers: &'a Approvers,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<&'a VerifyingKey, &'static str> {
        let key = approvers
            .0
            .get(&self.person)
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

/// Why a person acts without the approvals that the rules ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    reason: String,
}

/// How long a broken glass stays open.
const BREAK_GLASS_VALID: Duration = Duration::from_secs(15 * 60);

impl BreakGlass {
    /// A reason of at least 10 characters, so that the review has something to review.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a shorter one.
    pub fn new(reason: impl Into<String>) -> Result<Self> {
        let reason = reason.into();
        if reason.trim().chars().count() < 10 {
            return Err(Error::new(ErrorKind::InvalidInput, "break glass")
                .context("reason", "must say in at least 10 characters why"));
        }
        Ok(Self { reason })
    }

    /// Why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

impl Plan<Draft> {
    /// Approves the plan if its policy is met: enough different persons, none of them the one who runs it, each with a valid
    /// signature over this very plan that has not run out. Only persons and programs may restore, never automation.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] naming what is wrong with each approval, [`Refusal::Drifted`], [`Refusal::AutomationMayNotRestore`].
    pub fn approve(
        self,
        approvals: &[Approval],
        approvers: &Approvers,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Plan<Approved>, Refusal> {
        self.check_restore(&actor)?;
        let consent = approvers.consent(self.digest(), self.policy(), approvals, &actor, now)?;
        let approval = match consent.persons.as_slice() {
            [] => "no approval needed".to_owned(),
            persons => format!("approved by {}", persons.join(", ")),
        };
        let (approval, until) = match &self.opening().ungated {
            None => (approval, consent.until),
            Some(reason) => (
                format!("{approval}; break-glass without gates: {reason}"),
                consent.until.min(now + BREAK_GLASS_VALID),
            ),
        };
        Ok(self.into_approved(Approved {
            actor,
            approval,
            until,
        }))
    }

    /// Goes ahead without approvals, for 15 minutes. Only a person may; for a stop only.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] for a restore and for anybody but a person.
    pub fn break_glass(
        self,
        glass: BreakGlass,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Plan<Approved>, Refusal> {
        if actor.kind() != ActorKind::Person || !matches!(self.kind(), PlanKind::Stop) {
            let faults = vec!["only a person may break the glass, and only for a stop".to_owned()];
            return Err(Refusal::NotApproved {
                needed: self.policy().persons,
                valid: 0,
                faults,
            });
        }
        let approval = format!(
            "break-glass: {} (overrides: {} approvals)",
            glass.reason,
            self.policy().persons
        );
        Ok(self.into_approved(Approved {
            actor,
            approval,
            until: now + BREAK_GLASS_VALID,
        }))
    }

    fn check_restore(&self, actor: &Actor) -> Result<(), Refusal> {
        if matches!(self.kind(), PlanKind::Stop) {
            return Ok(());
        }
        if actor.kind() == ActorKind::Automation {
            return Err(Refusal::AutomationMayNotRestore);
        }
        if self.opening().ungated.is_some() && actor.kind() != ActorKind::Person {
            return Err(Refusal::NotApproved {
                needed: self.policy().persons,
                valid: 0,
                faults: vec!["only a person may restore without gates".to_owned()],
            });
        }
        let steps: Vec<_> = self
            .steps()
            .iter()
            .filter(|step| !step.drift.is_empty())
            .cloned()
            .collect();
        if !steps.is_empty() && !self.accepts_drift() {
            return Err(Refusal::Drifted { steps });
        }
        Ok(())
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
