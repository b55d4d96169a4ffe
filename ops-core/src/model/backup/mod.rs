//! What is known of backups: what the server says, which copies there are, and what a restore of one has shown.

mod copy;
mod policy;
mod server;
mod test;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::copy::{BackupCopy, CopyKind};
pub use self::policy::BackupPolicy;
pub use self::server::{ArchiveMode, Archived, Archiving, ReplicationSlot, ServerBackups, Standby};
pub use self::test::{RestoreTest, RestoredTable};
use super::{Text, Timestamp};

/// What could be found out about backups. What is not here was not looked at; what could not be seen is named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupState {
    /// What the server says of itself; `None`: nobody has asked it.
    pub server: Option<ServerBackups>,
    /// Copies, newest first; `None`: no place was looked into.
    pub copies: Option<Vec<BackupCopy>>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

impl BackupState {
    /// With what was found elsewhere.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.server = self.server.or(other.server);
        self.copies = match (self.copies, other.copies) {
            (Some(mut here), Some(there)) => {
                here.extend(there);
                here.sort_by(|one, two| (two.at, &one.name).cmp(&(one.at, &two.name)));
                Some(here)
            }
            (here, there) => here.or(there),
        };
        self.unseen.extend(other.unseen);
        self
    }

    /// As it is to be judged at `now`: of a copy of more than [`AHEAD`](Self::AHEAD) later it is not known what it is. A clock is wrong, or its time
    /// was changed; nobody can tell how old it is.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        for copy in self.copies.iter_mut().flatten() {
            if copy.complete == Some(true) && copy.at > now + Self::AHEAD {
                copy.complete = None;
                copy.fault = Some("its time lies in the future".to_owned());
            }
        }
        self
    }

    /// So far clocks may be apart.
    pub const AHEAD: Duration = Duration::from_secs(10 * 60);

    /// The newest copy that is complete and not known to be of another database than `database`.
    pub fn newest_complete(&self, database: Option<&str>) -> Option<&BackupCopy> {
        let copies = self.copies.iter().flatten();
        let complete = copies.filter(|copy| copy.complete == Some(true) && !copy.is_of_another(database));
        complete.max_by_key(|copy| copy.at)
    }
}

/// A part that could not be seen. It is unknown, not fine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unseen {
    /// Which: a stable word such as `standbys`.
    pub part: String,
    /// Why, and what would show it.
    pub why: Text,
}

impl Unseen {
    /// `part` is not to be seen, because of `why`.
    pub fn new(part: impl Into<String>, why: Text) -> Self {
        Self {
            part: part.into(),
            why,
        }
    }
}
