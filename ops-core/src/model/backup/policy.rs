use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::server::seconds;

/// What backups have to be like. The default is that of the runbook: 15 minutes may be lost, a copy every day, kept for 30 days, a restore within an
/// hour, tried every quarter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupPolicy {
    /// How much may be lost.
    #[serde(with = "seconds")]
    pub rpo: Duration,
    /// How old the newest copy may be.
    #[serde(with = "seconds")]
    pub every: Duration,
    /// How far back copies reach.
    #[serde(with = "seconds")]
    pub keep: Duration,
    /// How many standbys follow at least.
    pub min_standbys: u32,
    /// How long a restore may take.
    #[serde(with = "seconds")]
    pub rto: Duration,
    /// How long ago a restore was tried last, at most.
    #[serde(with = "seconds")]
    pub test_every: Duration,
}

impl Default for BackupPolicy {
    fn default() -> Self {
        Self {
            rpo: MINUTE * 15,
            every: DAY,
            keep: DAY * 30,
            min_standbys: 0,
            rto: MINUTE * 60,
            test_every: DAY * 92,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
