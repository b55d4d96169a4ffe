//! The traits between the procedures and the outside world.
//!
//! Every port states its contract, has an in-memory provider in [`memory`](crate::memory) that really behaves, and a
//! conformance suite in `testkit` that every provider passes.

mod account;
mod action;
mod approval;
mod archive;
mod audit;
mod backup;
mod clock;
mod database;
mod drill_log;
mod due;
mod evidence;
mod forget;
mod health;
mod incident;
mod inventory;
mod journal;
mod lease;
mod limit_store;
mod limiter;
mod masker;
mod migration;
mod notifier;
mod process;
mod queue;
mod readiness;
mod recognizer;
mod retention;
mod session;
mod switch;
mod tenant;
mod traffic;

pub use self::account::{AccountSeen, AccountSuspender};
pub use self::action::{Action, Ramp};
pub use self::approval::{ApprovalStore, ApprovalsFound, MAX_APPROVAL, MAX_APPROVALS, MAX_OPEN, MAX_REQUEST};
pub use self::archive::{
    ArchiveCapability, ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, EvidenceArchive,
};
pub use self::audit::{
    Appended, AuditEntry, AuditEraser, AuditFault, AuditHead, AuditOrigin, AuditPage, AuditQuery,
    AuditReceipt, AuditStore, ChainReport, Forgotten,
};
pub use self::backup::{BackupCapability, BackupInspector};
pub use self::clock::Clock;
pub use self::database::{DatabaseCapability, DatabaseGuard};
pub use self::drill_log::DrillLog;
pub use self::due::DueDates;
pub use self::evidence::{EvidenceFilter, EvidenceSource, TrailEntry, TrailExtent, TrailRows, TrailSnapshot};
pub use self::forget::ForgetPerson;
pub use self::health::HealthProbe;
pub use self::incident::{IncidentOutbox, IncidentPage, IncidentQuery, IncidentStore};
pub use self::inventory::{Deployed, DeployedService, Inventory};
pub use self::journal::{GateMoment, Held, Journal, JournalEntry, JournalEvent};
pub use self::lease::LeaseStore;
pub use self::limit_store::{
    CountedLimit, DenialCount, DenialTotal, DenialsCounted, LimitCheck, LimitStamp, LimitStore,
    LimitsChecked, Published,
};
pub use self::limiter::{Admission, RateLimiter};
pub use self::masker::PiiMasker;
pub use self::migration::{MigrationExecutor, MigrationInspector, Touch};
pub use self::notifier::Notifier;
pub use self::process::{CallCount, Presence, ProcessId, ProcessRegistry, SwitchProcess};
pub use self::queue::{QueueInspector, QueuesFound};
pub use self::readiness::ReadinessProbe;
pub use self::recognizer::Recognizer;
pub use self::retention::{AuditPruner, LegalHolds, MonthReading, MonthRemoval, TrailMonth};
pub use self::session::{SessionRevoker, SessionsSeen};
pub use self::switch::{SwitchHint, SwitchHints, SwitchLink, SwitchState, SwitchStore, SwitchedOff};
pub use self::tenant::{TenantCreated, TenantDirectory};
pub use self::traffic::{TrafficCapability, TrafficController};
