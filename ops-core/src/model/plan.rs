use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{Difference, Opening, RunId, Share, Snapshot, TargetId, Text};
use crate::error::{Error, ErrorKind, Result};

/// What an action does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Reads only.
    Observe,
    /// Changes something that `restore` puts back exactly.
    Reversible,
    /// Changes something that cannot be put back.
    Irreversible,
}

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanKind {
    /// Stops targets.
    Stop,
    /// Puts back what `run` changed.
    Restore {
        /// The run whose snapshots are written back.
        of: RunId,
    },
    /// Gives up prior states that nobody will put back. Only asked for and approved, never carried out as a run.
    Forget {
        /// The run that holds them.
        of: RunId,
        /// Why.
        reason: String,
    },
}

/// The state of a target before a step, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "prior", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Prior {
    /// The target was working; this is what a restore writes back.
    Observed {
        /// The restorable state.
        snapshot: Snapshot,
    },
    /// The target was stopped (wholly or by another run's marker) before this plan: never a restorable prior.
    AlreadyStopped {
        /// The run that stopped it, where it left a marker or a journal entry.
        by: Option<RunId>,
    },
    /// The state could not be read in time; the stop goes ahead, a restore needs a human.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// One step of a plan, with everything that a person approves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// Position in the plan, from 0.
    pub step: u32,
    /// The stage; stages run one after the other, steps of a stage at the same time.
    pub stage: u32,
    /// What is acted on.
    pub target: TargetId,
    /// What is done, in words.
    pub action: Text,
    /// What it does to the world.
    pub effect: Effect,
    /// For a stop: the state before. For a restore: the state to write back.
    pub prior: Prior,
    /// For a restore: the state that was found when the plan was made.
    pub found: Option<Snapshot>,
    /// For a restore: how `found` differs from what the stop left behind. Not empty: needs a decision.
    pub drift: Vec<Difference>,
    /// Limitations that the approver must know.
    pub caveats: Vec<Text>,
    /// How fast this step promises to be.
    pub promised: Duration,
    /// For a restore in parts: the share of the users that this step lets in. `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// For a stop: the prior state was a partly stopped one, of which nobody knows whose it is. A restore of it needs a decision. For a
    /// restore: `found` is a partly stopped one, which a call that is still under way may complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
}

impl PlannedStep {
    /// A step without drift and caveats.
    pub fn new(
        step: u32,
        stage: u32,
        target: TargetId,
        action: Text,
        effect: Effect,
        prior: Prior,
        promised: Duration,
    ) -> Self {
        Self {
            step,
            stage,
            target,
            action,
            effect,
            prior,
            found: None,
            drift: Vec::new(),
            caveats: Vec::new(),
            promised,
            share: None,
            partly: false,
        }
    }
}

/// SHA-256 over the content of a plan: what it does, to what, and the state it was decided on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of `parts`, one behind the other.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut bytes = [0; SHORT];
        let Some(whole) = bytes.get_mut(..length) else {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update(part);
            }
            return Self(hash.finalize().into());
        };
        // A link, a leaf or a node of the tree.
        let mut at = 0;
        for part in parts {
            whole[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Self::of(whole)
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of a plan: what is approved, and nothing else of it.
    pub fn of_plan(
        procedure: &str,
        plan: &PlanKind,
        steps: &[PlannedStep],
        accept_drift: bool,
        opening: &Opening,
    ) -> Self {
        // Serialising these values cannot fail: no map has keys other than strings.
        let plan = ("ops-plan/1", procedure, plan, steps, accept_drift);
        let bytes = if opening.is_plain() {
            serde_json::to_vec(&plan)
        } else {
            serde_json::to_vec(&(plan, opening))
        };
        Self::of(&bytes.unwrap_or_default())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hands its digits on. Each audit record is written with some: they are looked up, not formatted.
    fn digits<T>(&self, then: impl FnOnce(&str) -> T) -> T {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        then(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

/// Two blocks of the hash.
const SHORT: usize = 128;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits(|digits| f.write_str(digits))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.digits(|digits| serializer.serialize_str(digits))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read digest")
                .context("digest", "must be 64 hexadecimal digits")
        };
        let (pairs, rest) = text.as_bytes().as_chunks();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(wrong());
        }
        let mut all = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
            all |= high | low;
            *byte = high << 4 | low & 15;
        }
        if all >= NO_DIGIT {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

/// The value of each hexadecimal digit. Looked up: which digit comes next nobody can guess, nor can a processor.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        values[DIGITS[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_is_read_back_from_its_digits(bytes in any::<[u8; 32]>()) {
            let digest = Digest::from_bytes(bytes);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(digest.to_string(), digits.clone());
            prop_assert_eq!(digits.parse::<Digest>().unwrap(), digest);
            prop_assert_eq!(digits.to_uppercase().parse::<Digest>().unwrap(), digest);
            prop_assert_eq!(serde_json::to_value(digest).unwrap(), serde_json::Value::from(digits.clone()));
            prop_assert_eq!(serde_json::from_value::<Digest>(digits.into()).unwrap(), digest);
        }

        #[test]
        fn the_digest_of_parts_is_that_of_the_whole(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..5)) {
            let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(Digest::of_parts(&slices), Digest::of(&parts.concat()));
        }

        #[test]
        fn what_is_no_digest_is_refused(text in "[0-9a-fA-F]{60,68}|[0-9a-g+ ]{64}|[0-9é]{63}") {
            let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(text.parse::<Digest>().is_ok(), fits);
            prop_assert_eq!(serde_json::from_value::<Digest>(text.into()).is_ok(), fits);
        }
    }
}
