use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::error::{Error, ErrorKind, Result};

/// Thirty-two random bytes that keep the commitment to a value from being guessed: an address or a name is found by trying all of them, a value with a
/// salt is not. Once the salt is gone, the commitment tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Digest", into = "Digest")]
pub struct Salt([u8; 32]);

impl Salt {
    /// A fresh one.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the system gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| {
            Error::new(ErrorKind::Unavailable, "draw salt")
                .context("cause", "the system gives no random bytes")
        })?;
        Ok(Self(bytes))
    }

    /// One that was drawn elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What stands for `value`: SHA-256 over the byte 2, the salt and the value. Leaves and nodes of the hash tree begin with other bytes.
    pub fn commit(&self, value: &str) -> Digest {
        Digest::of_parts(&[&[2], &self.0, value.as_bytes()])
    }
}

/// Hexadecimal text, as a digest.
impl From<Salt> for Digest {
    fn from(salt: Salt) -> Self {
        Self::from_bytes(salt.0)
    }
}

impl From<Digest> for Salt {
    fn from(bytes: Digest) -> Self {
        Self(*bytes.as_bytes())
    }
}

/// Never shows the bytes.
impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}
