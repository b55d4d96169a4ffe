use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How bad it is: the `P1`–`P4` of the first runbook, the `Sev1`–`Sev4` of the second. `P1` is the worst and the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both runbooks have exactly four levels")]
pub enum Severity {
    /// Everything is down, or data leaked.
    P1,
    /// A main function is down or very slow.
    P2,
    /// Part of a function is broken.
    P3,
    /// Cosmetic.
    P4,
}

impl Severity {
    /// 1 for the worst, 4 for the least.
    pub fn level(self) -> u8 {
        match self {
            Self::P1 => 1,
            Self::P2 => 2,
            Self::P3 => 3,
            Self::P4 => 4,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.level())
    }
}

impl FromStr for Severity {
    type Err = Error;

    /// Reads `P1`…`P4` and `Sev1`…`Sev4`, in any case.
    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "p1" | "sev1" => Ok(Self::P1),
            "p2" | "sev2" => Ok(Self::P2),
            "p3" | "sev3" => Ok(Self::P3),
            "p4" | "sev4" => Ok(Self::P4),
            _ => Err(Error::new(ErrorKind::InvalidInput, "read severity")
                .context("severity", "must be P1 to P4 or Sev1 to Sev4")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runbooks_spell_the_same_levels() {
        assert_eq!("Sev2".parse::<Severity>().unwrap(), "p2".parse().unwrap());
        assert!(Severity::P1 < Severity::P4);
        assert!("P5".parse::<Severity>().is_err());
    }
}
