use serde::{Deserialize, Serialize};

use super::IncidentChange;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, IncidentId, Timestamp};

/// One line of an incident's log. Its texts are masked before it is made; it is written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IncidentEntry {
    /// The incident.
    pub incident: IncidentId,
    /// 1, 2, 3 … without a gap. Two who write at once write the same number, and one of them is told.
    pub number: u32,
    /// When it was written.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What it says.
    pub change: IncidentChange,
}

impl IncidentEntry {
    /// An entry. The caller has masked the texts.
    pub fn new(incident: IncidentId, number: u32, at: Timestamp, by: Actor, change: IncidentChange) -> Self {
        Self {
            incident,
            number,
            at,
            by,
            change,
        }
    }

    /// The same entry under another number.
    #[must_use]
    pub fn renumbered(&self, number: u32) -> Self {
        Self {
            number,
            ..self.clone()
        }
    }

    /// Whether `other` says the same of the same moment, whatever its number.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.renumbered(other.number) == *other
    }

    /// Whether a store may take it: the first entry opens, and no other does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] otherwise.
    pub fn check(&self) -> Result<()> {
        let opens = matches!(self.change, IncidentChange::Opened { .. });
        if opens == (self.number == 1) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "keep incident entry")
            .context("number", "the first entry, and no other, opens an incident"))
    }
}
