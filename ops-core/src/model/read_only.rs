use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How much read-only mode is to withstand. Each includes what the ones before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a provider must decide on each")]
pub enum ReadOnlyStrength {
    /// A default that new sessions begin with. Sessions that are open go on, and any session may lift it for itself.
    Brake,
    /// Also ends the other sessions, and proves that what they wrote is over. A new session may still lift it for itself.
    Strict,
    /// Also takes the privileges to write: no setting of a session brings them back.
    #[default]
    Wall,
}

impl ReadOnlyStrength {
    /// All, weakest first.
    pub const ALL: [Self; 3] = [Self::Brake, Self::Strict, Self::Wall];

    /// `brake`, `strict` or `wall`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brake => "brake",
            Self::Strict => "strict",
            Self::Wall => "wall",
        }
    }
}

impl std::fmt::Display for ReadOnlyStrength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ReadOnlyStrength {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|strength| strength.as_str() == text);
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read strength")
                .context("strength", "must be brake, strict or wall")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strength_is_read_as_it_is_written() {
        for strength in ReadOnlyStrength::ALL {
            assert_eq!(strength.as_str().parse::<ReadOnlyStrength>().unwrap(), strength);
            assert_eq!(
                serde_json::to_string(&strength).unwrap(),
                format!("\"{strength}\"")
            );
        }
        assert!("Wall".parse::<ReadOnlyStrength>().is_err());
    }
}
