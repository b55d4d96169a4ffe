use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{BackupState, Text};

/// What an inspector cannot see, whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupCapability {
    /// In words, for every report.
    pub limitations: Vec<Text>,
}

impl BackupCapability {
    /// It sees everything but this.
    pub fn new(limitations: Vec<Text>) -> Self {
        Self { limitations }
    }
}

/// Tells what backups there are, and what would be lost without them. One inspector sees one place: a server, a directory, one day a vendor's own
/// backups.
///
/// # Contract
/// - Only reads, and leaves nothing behind: no session, no transaction, no file.
/// - What it does not look at is `None` in the state; what it may not see is in [`BackupState::unseen`], with the part's name. Neither is ever
///   reported as fine.
/// - A copy is complete only if that was found out; a file that is none of ours is left out.
///
/// # Errors
/// `Unavailable`, `Timeout`, `Unauthenticated`: nothing could be found out. Never the content of a setting that may hold a secret.
///
/// # Cancellation
/// Dropping the future has no effect.
#[async_trait]
pub trait BackupInspector: Debug + Send + Sync + 'static {
    /// What people call the place that it looks at.
    fn name(&self) -> &str;
    /// What it cannot see.
    fn capability(&self) -> BackupCapability;
    /// Looks.
    async fn inspect(&self) -> Result<BackupState>;
}
