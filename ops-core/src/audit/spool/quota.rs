use std::time::Duration;

use crate::ports::AuditQuery;

/// How much the spool may take, and what happens at the limit or when the disk is full.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolQuota {
    /// Bytes on the disk, room taken beforehand and what waits apart included; what is set aside for a person does not count. What is kept already may move
    /// apart at the limit too. Default: no limit but the disk's.
    pub bytes: Option<u64>,
    /// The actions that are refused at once when there is no room: what cannot be recorded must not be done. Default: `delete`, `update_permission` and
    /// `export`.
    pub refuse: Vec<String>,
    /// How long every other record waits for room. Default: not at all.
    pub wait: Duration,
}

impl SpoolQuota {
    /// At most `bytes`; other records wait for five seconds.
    pub fn of(bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            wait: Duration::from_secs(5),
            ..Self::default()
        }
    }

    /// Sets how long a record waits for room.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets which actions are refused at once.
    #[must_use]
    pub fn with_refused(mut self, actions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.refuse = actions.into_iter().map(Into::into).collect();
        self
    }

    /// Whether `action` is refused when there is no room.
    pub fn refuses(&self, action: &str) -> bool {
        self.refuse.iter().any(|refused| refused == action)
    }
}

impl Default for SpoolQuota {
    fn default() -> Self {
        Self {
            bytes: None,
            refuse: AuditQuery::HIGH_PRIVILEGE.map(str::to_owned).to_vec(),
            wait: Duration::ZERO,
        }
    }
}
