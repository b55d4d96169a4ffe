use std::path::Path;
use std::sync::Arc;

use crate::audit::Spool;
use crate::clock::SystemClock;
use crate::error::Result;
use crate::file::{
    FileApprovals, FileAudit, FileDrillLog, FileIncidents, FileJournal, FileNotices, FileProcesses,
    FileSwitches,
};
use crate::masking::BuiltinMasker;
use crate::memory::{
    InMemoryApprovals, InMemoryAudit, InMemoryDrillLog, InMemoryIncidents, InMemoryJournal, InMemoryNotifier,
    InMemoryProcesses, InMemorySwitches,
};
use crate::ports::{
    ApprovalStore, AuditStore, Clock, DrillLog, IncidentStore, Journal, Notifier, PiiMasker, ProcessRegistry,
    SwitchStore,
};

/// The parts that an [`Ops`](crate::Ops) is made of; replace one and keep the rest:
///
/// ```
/// use std::sync::Arc;
/// use ops_core::Providers;
/// use ops_core::memory::InMemoryNotifier;
///
/// let notifier = Arc::new(InMemoryNotifier::new());
/// let providers = Providers { notifier: notifier.clone(), ..Providers::in_memory() };
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made to be written out with `..`")]
pub struct Providers {
    /// Remembers prior states and runs.
    pub journal: Arc<dyn Journal>,
    /// A journal on this machine for when `journal` cannot be reached.
    pub journal_spool: Option<Arc<dyn Journal>>,
    /// Brings approvals from other processes.
    pub approvals: Arc<dyn ApprovalStore>,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// A buffer on this machine for when `audit` cannot be reached.
    pub audit_spool: Option<Spool>,
    /// The switches that all processes share.
    pub switches: Arc<dyn SwitchStore>,
    /// The evidence of drills.
    pub drills: Arc<dyn DrillLog>,
    /// The logs of incidents.
    pub incidents: Arc<dyn IncidentStore>,
    /// Which processes there are, and which generation of the switches each has applied.
    pub processes: Arc<dyn ProcessRegistry>,
    /// Tells people.
    pub notifier: Arc<dyn Notifier>,
    /// Masks what is recorded and sent.
    pub masker: Arc<dyn PiiMasker>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Providers {
    /// Everything in this process: for unit tests, and to begin with.
    pub fn in_memory() -> Self {
        Self {
            journal: Arc::new(InMemoryJournal::new()),
            journal_spool: None,
            approvals: Arc::new(InMemoryApprovals::new()),
            audit: Arc::new(InMemoryAudit::new()),
            audit_spool: None,
            switches: Arc::new(InMemorySwitches::new()),
            drills: Arc::new(InMemoryDrillLog::new()),
            incidents: Arc::new(InMemoryIncidents::new()),
            processes: Arc::new(InMemoryProcesses::new()),
            notifier: Arc::new(InMemoryNotifier::new()),
            masker: Arc::new(BuiltinMasker::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Everything in files below `directory`: the embedded default of one machine. Notices wait in an outbox file.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when the directory cannot be made or written.
    pub fn in_directory(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        Ok(Self {
            journal: Arc::new(FileJournal::open(directory.join("journal"))?),
            approvals: Arc::new(FileApprovals::open(directory.join("approvals"))?),
            audit: Arc::new(FileAudit::open(directory.join("audit"))?),
            audit_spool: Some(Spool::open(directory.join("audit-spool"))?),
            switches: Arc::new(FileSwitches::open(directory.join("switches"))?),
            drills: Arc::new(FileDrillLog::open(directory.join("drills"))?),
            incidents: Arc::new(FileIncidents::open(directory.join("incidents"))?),
            processes: Arc::new(FileProcesses::open(directory.join("processes"))?),
            notifier: Arc::new(FileNotices::open(directory.join("notices"))?),
            ..Self::in_memory()
        })
    }
}
