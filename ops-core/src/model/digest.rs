use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{Opening, PlanKind, PlannedStep};
use crate::error::{Error, ErrorKind, Result};

/// A SHA-256.
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

    /// The digest of a plan: what it does, to what, and the state it was decided on. It is what is approved.
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
        fn one_character_that_is_no_digit_is_enough(digits in "[0-9a-fA-F]{64}", place in 0..64_usize, other in "[^0-9a-fA-F]") {
            let mut text = digits;
            text.replace_range(place..=place, &other);
            prop_assert!(text.parse::<Digest>().is_err(), "{}", text);
        }

        #[test]
        fn what_is_no_digest_is_refused(text in "[0-9a-fA-F]{60,68}|[0-9a-g+ ]{64}|[0-9é]{63}") {
            let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(text.parse::<Digest>().is_ok(), fits);
            prop_assert_eq!(serde_json::from_value::<Digest>(text.into()).is_ok(), fits);
        }
    }
}
