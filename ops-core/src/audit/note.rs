use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// A private key that signs notes, as in the signed-note format of C2SP with Ed25519. `Debug` does not show it.
#[derive(Clone)]
pub struct NoteSigner {
    key: SigningKey,
    verifier: NoteVerifier,
}

impl NoteSigner {
    /// A fresh key from the operating system's randomness.
    ///
    /// # Errors
    /// As [`NoteVerifier`] for a name that notes do not allow.
    pub fn generate(name: impl Into<String>) -> Result<Self> {
        // Two UUIDs have 244 random bits; the hash spreads them over the whole seed.
        let mut seed = Sha256::new();
        seed.update(uuid::Uuid::new_v4().as_bytes());
        seed.update(uuid::Uuid::new_v4().as_bytes());
        Self::new(name.into(), SigningKey::from_bytes(&seed.finalize().into()))
    }

    fn new(name: String, key: SigningKey) -> Result<Self> {
        let verifier = NoteVerifier::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Reads `PRIVATE+KEY+name+id+key`, which [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else; the text is not repeated.
    pub fn from_text(text: &SecretString) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read signing key").context(
                "key",
                "must be one line PRIVATE+KEY+name+id+key of an Ed25519 key",
            )
        };
        let text = text
            .expose_secret()
            .trim()
            .strip_prefix("PRIVATE+KEY+")
            .ok_or_else(wrong)?;
        let (name, id, seed) = parts(text).ok_or_else(wrong)?;
        let seed = Zeroizing::new(seed);
        let signer = Self::new(name.to_owned(), SigningKey::from_bytes(&seed)).map_err(|_| wrong())?;
        if signer.verifier.id != id {
            return Err(wrong());
        }
        Ok(signer)
    }

    /// The private key as one line, to be written to a file that only its owner can read.
    pub fn to_text(&self) -> SecretString {
        format!("PRIVATE+KEY+{}", self.verifier.line(self.key.as_bytes())).into()
    }

    /// The public key that belongs to it.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The signature line for `text`.
    fn line(&self, text: &str) -> String {
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend(self.key.sign(text.as_bytes()).to_bytes());
        format!("{MARK}{} {}\n", self.verifier.name, STANDARD.encode(bytes))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier)
    }
}

/// A public key that notes are checked with. As text `name+id+key`: the name, the first 4 bytes of a hash over name and key,
/// and the key.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl NoteVerifier {
    fn new(name: String, key: VerifyingKey) -> Result<Self> {
        if !names_a_key(&name) {
            return Err(Error::new(ErrorKind::InvalidInput, "name signing key").context(
                "name",
                "must have 1 to 200 characters, no space, no control character and no +",
            ));
        }
        let mut hash = Sha256::new();
        hash.update(name.as_bytes());
        hash.update([b'\n', ED25519]);
        hash.update(key.as_bytes());
        let hash = hash.finalize();
        Ok(Self {
            name,
            id: [hash[0], hash[1], hash[2], hash[3]],
            key,
        })
    }

    /// Whose key it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn line(&self, key: &[u8; 32]) -> String {
        let mut bytes = Zeroizing::new(vec![ED25519]);
        bytes.extend_from_slice(key);
        let id = u32::from_be_bytes(self.id);
        format!("{}+{id:08x}+{}", self.name, STANDARD.encode(&*bytes))
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(self.key.as_bytes()))
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteVerifier({self})")
    }
}

impl FromStr for NoteVerifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read public key")
                .context("key", "must be one line name+id+key of an Ed25519 key")
        };
        let (name, id, key) = parts(text.trim()).ok_or_else(wrong)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| wrong())?;
        let verifier = Self::new(name.to_owned(), key).map_err(|_| wrong())?;
        // A hash that does not fit: the line was cut, or the key belongs to another name.
        if verifier.id != id {
            return Err(wrong());
        }
        Ok(verifier)
    }
}

/// A text with signatures below it, as in the signed-note format of C2SP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<String>,
}

impl Note {
    /// A note without signatures. `text` ends with a line break.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty text, one without a line break at its end, with a blank line or with a control character.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let plain = text.chars().all(|c| c == '\n' || !c.is_control());
        if !text.ends_with('\n') || text.starts_with('\n') || text.contains("\n\n") || !plain {
            return Err(Error::new(ErrorKind::InvalidInput, "write note").context(
                "text",
                "must end with a line break and have no blank line and no control character",
            ));
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Adds the signature of `signer` below the others.
    #[must_use]
    pub fn sign(mut self, signer: &NoteSigner) -> Self {
        self.signatures.push(signer.line(&self.text));
        self
    }

    /// What was signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys among `known` that signed the text, in the order of `known`. Signatures of other keys say nothing.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] when a signature claims to be of a known key and does not fit, or when none is of a known key.
    pub fn verify<'k>(&self, known: &'k [NoteVerifier]) -> Result<Vec<&'k NoteVerifier>> {
        let denied = |what: &'static str| {
            Error::new(ErrorKind::PermissionDenied, "verify note").context("signature", what)
        };
        let mut signed = Vec::new();
        for verifier in known {
            for (name, id, signature) in self.signatures.iter().filter_map(|line| signature(line)) {
                if name != verifier.name || id != verifier.id {
                    continue;
                }
                verifier
                    .key
                    .verify_strict(self.text.as_bytes(), &signature)
                    .map_err(|_| denied("does not fit the text"))?;
                if !signed.contains(&verifier) {
                    signed.push(verifier);
                }
            }
        }
        if signed.is_empty() {
            return Err(denied("none is of a known key"));
        }
        Ok(signed)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.text, self.signatures.concat())
    }
}

impl FromStr for Note {
    type Err = Error;

    fn from_str(note: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read note").context(
                "note",
                "must be a text, a blank line and at least one signature line",
            )
        };
        if note.len() > MOST_BYTES {
            return Err(wrong());
        }
        let (text, below) = note.split_once("\n\n").ok_or_else(wrong)?;
        let mut read = Self::new(format!("{text}\n"))?;
        if below.is_empty() || !below.ends_with('\n') {
            return Err(wrong());
        }
        for line in below.split_inclusive('\n') {
            if split_signature(line).is_none() || read.signatures.len() == MOST_SIGNATURES {
                return Err(wrong());
            }
            read.signatures.push(line.to_owned());
        }
        Ok(read)
    }
}

/// Begins a signature line: an em dash and a space.
const MARK: &str = "\u{2014} ";
/// The format's number of Ed25519.
const ED25519: u8 = 1;
/// The bounds that the format recommends to readers.
const MOST_BYTES: usize = 1_000_000;
const MOST_SIGNATURES: usize = 100;

fn names_a_key(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= 200
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Name, id and key of `name+id+key`.
fn parts(text: &str) -> Option<(&str, [u8; 4], [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    if id.len() != 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let id = u32::from_str_radix(id, 16).ok()?.to_be_bytes();
    let key = Zeroizing::new(STANDARD.decode(key).ok()?);
    match key.split_first() {
        Some((&ED25519, key)) => Some((name, id, key.try_into().ok()?)),
        _ => None,
    }
}

/// Name and decoded rest of a well-formed signature line.
fn split_signature(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, rest) = line.strip_prefix(MARK)?.strip_suffix('\n')?.split_once(' ')?;
    let bytes = STANDARD.decode(rest).ok()?;
    (names_a_key(name) && bytes.len() > 4).then_some((name, bytes))
}

/// Name, key id and signature of a line; `None` for a signature of another form, which only its own readers know.
fn signature(line: &str) -> Option<(&str, [u8; 4], Signature)> {
    let (name, bytes) = split_signature(line)?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    Some((name, *id, Signature::from_slice(signature).ok()?))
}
