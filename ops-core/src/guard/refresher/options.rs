use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::SystemClock;
use crate::ports::{Clock, SwitchStore};

/// How a [`SwitchRefresher`](super::SwitchRefresher) works.
#[derive(Clone, Debug)]
pub struct RefreshOptions {
    pub(super) service: String,
    pub(super) instance: String,
    pub(super) poll: Duration,
    pub(super) last_known: Option<PathBuf>,
    pub(super) file: Option<Arc<dyn SwitchStore>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl RefreshOptions {
    /// For a process of `service`: polls every second.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            instance: format!("{}/{}", machine(), std::process::id()),
            poll: Duration::from_secs(1),
            last_known: None,
            file: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// What people call this process, for example the name of a pod, in place of a hash of the machine's name and the process number. No
    /// personal data.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = instance.into();
        self
    }

    /// How often the store is read; also the longest pause after a failure.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(10));
        self
    }

    /// Writes what the shared store said last, and when, into this file, and begins with it after a restart, so that a restart ends neither a
    /// stop nor staleness. Its directory exists.
    #[must_use]
    pub fn with_last_known(mut self, file: impl Into<PathBuf>) -> Self {
        self.last_known = Some(file.into());
        self
    }

    /// A second store, of this machine, whose stops win as well: for when the shared one is away.
    #[must_use]
    pub fn with_file_layer(mut self, store: Arc<dyn SwitchStore>) -> Self {
        self.file = Some(store);
        self
    }

    /// Another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// The machine, without its name: that may be a person's.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let digest = Sha256::digest(name.trim().as_bytes());
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
