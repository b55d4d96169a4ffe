use std::collections::BTreeMap;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{
    Accepted, Approval, ApprovalRequest, AuditRecord, Completion, Digest, DrillReport, DueDate,
    IdempotencyKey, IncidentEntry, IncidentId, Notice, Observation, RunId, Snapshot, TargetId, TenantId,
    Timestamp,
};
use ops_core::ports::{
    Appended, ApprovalStore, ApprovalsFound, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt,
    AuditStore, ChainReport, DatabaseCapability, DatabaseGuard, DrillLog, DueDates, Held, IncidentOutbox,
    IncidentPage, IncidentQuery, IncidentStore, Journal, JournalEntry, Notifier, Presence, ProcessId,
    ProcessRegistry, SwitchProcess, SwitchState, SwitchStore, SwitchedOff, TrailEntry,
};

/// A store that could not be reached when the tool began. Every call says so at once, so that the spools take over and the rest of a
/// stop goes on; nothing pretends that something else is the store.
#[derive(Clone, Debug)]
pub(super) struct Unreachable {
    kind: ErrorKind,
    reason: String,
}

impl Unreachable {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Unavailable,
            reason: reason.into(),
        }
    }

    /// A store that is of no use for this reason, of its kind: it will be of none either when it is asked again.
    pub(super) fn as_of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            reason: error.to_string(),
        }
    }

    fn fail<T>(&self, operation: &'static str) -> Result<T> {
        Err(Error::new(self.kind, operation).context("cause", self.reason.clone()))
    }
}

#[async_trait]
impl DatabaseGuard for Unreachable {
    fn capability(&self) -> DatabaseCapability {
        DatabaseCapability::default()
    }

    async fn observe(&self, _target: &TargetId) -> Result<Observation> {
        self.fail("observe")
    }

    async fn set_read_only(&self, _target: &TargetId, _key: &IdempotencyKey) -> Result<Accepted> {
        self.fail("set read-only")
    }

    async fn restore(&self, _prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        self.fail("restore")
    }
}

#[async_trait]
impl Journal for Unreachable {
    async fn append(&self, _entry: &JournalEntry) -> Result<()> {
        self.fail("write journal")
    }

    async fn entries(&self, _run: &RunId) -> Result<Vec<JournalEntry>> {
        self.fail("read journal")
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.fail("read journal")
    }

    async fn hold(&self, _wanted: &Held) -> Result<Held> {
        self.fail("hold prior state")
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.fail("read journal")
    }

    async fn release(&self, _run: &RunId, _target: &TargetId) -> Result<()> {
        self.fail("release prior state")
    }
}

#[async_trait]
impl ApprovalStore for Unreachable {
    async fn request(&self, _request: &ApprovalRequest) -> Result<()> {
        self.fail("file request")
    }

    async fn requested(&self, _digest: Digest) -> Result<Option<ApprovalRequest>> {
        self.fail("read request")
    }

    async fn open(&self, _now: Timestamp) -> Result<Vec<ApprovalRequest>> {
        self.fail("list requests")
    }

    async fn approve(&self, _approval: &Approval) -> Result<()> {
        self.fail("keep approval")
    }

    async fn approvals(&self, _digest: Digest) -> Result<ApprovalsFound> {
        self.fail("read approvals")
    }
}

#[async_trait]
impl AuditStore for Unreachable {
    async fn append(&self, _record: &AuditRecord) -> Result<AuditReceipt> {
        self.fail("append audit record")
    }

    async fn append_all(&self, _entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.fail("append audit records")
    }

    async fn head(&self, _tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.fail("read audit trail")
    }

    async fn search(&self, _tenant: &TenantId, _query: &AuditQuery) -> Result<AuditPage> {
        self.fail("search audit trail")
    }

    async fn chain(&self, _tenant: &TenantId, _after: u64, _limit: u32) -> Result<Vec<TrailEntry>> {
        self.fail("read audit trail")
    }

    async fn verify(&self, _tenant: &TenantId) -> Result<ChainReport> {
        self.fail("verify audit trail")
    }
}

#[async_trait]
impl SwitchStore for Unreachable {
    async fn read(&self) -> Result<SwitchState> {
        self.fail("read switches")
    }

    async fn write(&self, _expected: u64, _stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        self.fail("write switches")
    }
}

#[async_trait]
impl ProcessRegistry for Unreachable {
    async fn report(&self, _process: &SwitchProcess) -> Result<()> {
        self.fail("report process")
    }

    async fn remove(&self, _process: &ProcessId) -> Result<()> {
        self.fail("remove process")
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        self.fail("list processes")
    }
}

#[async_trait]
impl Notifier for Unreachable {
    async fn send(&self, _notice: &Notice) -> Result<Accepted> {
        self.fail("send notice")
    }
}

#[async_trait]
impl DrillLog for Unreachable {
    async fn append(&self, _report: &DrillReport) -> Result<()> {
        self.fail("keep drill report")
    }

    async fn find(&self, _run: &RunId) -> Result<Option<DrillReport>> {
        self.fail("read drill report")
    }

    async fn newest(&self, _procedure: &str) -> Result<Option<DrillReport>> {
        self.fail("read drill report")
    }

    async fn list(&self) -> Result<Vec<DrillReport>> {
        self.fail("read drill reports")
    }
}

#[async_trait]
impl IncidentStore for Unreachable {
    async fn append(&self, _entry: &IncidentEntry) -> Result<()> {
        self.fail("keep incident entry")
    }

    async fn entries(&self, _incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        self.fail("read incident")
    }

    async fn list(&self, _query: &IncidentQuery) -> Result<IncidentPage> {
        self.fail("list incidents")
    }
}

#[async_trait]
impl IncidentOutbox for Unreachable {
    async fn waiting(&self, _place: &str) -> Result<Vec<IncidentId>> {
        self.fail("list incidents")
    }

    async fn every(&self) -> Result<Vec<IncidentId>> {
        self.fail("list incidents")
    }

    async fn mark(&self, _place: &str, _incident: &IncidentId, _entries: usize) -> Result<()> {
        self.fail("mark incident")
    }
}

#[async_trait]
impl DueDates for Unreachable {
    async fn begin(&self, _item: &str, _at: Timestamp) -> Result<Timestamp> {
        self.fail("begin calendar")
    }

    async fn set(&self, _date: &DueDate) -> Result<()> {
        self.fail("set due date")
    }

    async fn complete(&self, _completion: &Completion) -> Result<Completion> {
        self.fail("complete due date")
    }

    async fn dates(&self) -> Result<Vec<DueDate>> {
        self.fail("read due dates")
    }

    async fn completions(&self, _since: Timestamp) -> Result<Vec<Completion>> {
        self.fail("read completions")
    }
}
