use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A part of the users, in hundredths of a percent: more than nothing, at most all of them.
///
/// ```
/// use ops_core::model::Share;
///
/// assert_eq!(Share::percent(1)?.to_string(), "1 %");
/// assert!(Share::percent(0).is_err() && Share::percent(101).is_err());
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Share(u16);

impl Share {
    /// Everybody.
    pub const ALL: Self = Self(10_000);

    /// So many hundredths of a percent, 1 to 10 000.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] outside of that.
    pub fn basis_points(points: u16) -> Result<Self> {
        if !(1..=Self::ALL.0).contains(&points) {
            return Err(Error::new(ErrorKind::InvalidInput, "read share")
                .context("share", "must be more than 0 % and at most 100 %"));
        }
        Ok(Self(points))
    }

    /// So many percent, 1 to 100.
    ///
    /// # Errors
    /// As [`basis_points`](Self::basis_points).
    pub fn percent(percent: u8) -> Result<Self> {
        Self::basis_points(u16::from(percent) * 100)
    }

    /// In hundredths of a percent.
    pub fn as_basis_points(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole} %"),
            _ => write!(f, "{whole}.{rest:02} %"),
        }
    }
}

impl TryFrom<u16> for Share {
    type Error = Error;
    fn try_from(points: u16) -> Result<Self> {
        Self::basis_points(points)
    }
}

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0
    }
}
