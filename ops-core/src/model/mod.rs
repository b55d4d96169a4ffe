//! The values that travel from stage to stage. No I/O, no clock of their own.

mod actor;
mod approval;
mod audit;
mod backup;
mod digest;
mod drill;
mod due;
mod erasure;
mod hold;
mod id;
mod incident;
mod lease;
mod limit;
mod load;
mod masking;
mod migration;
mod money;
mod month;
mod notice;
mod observation;
mod opening;
mod outcome;
mod period;
mod personal;
mod pii;
mod plan;
mod queue;
mod read_only;
mod readiness;
mod recurring;
mod salt;
mod session;
mod severity;
mod share;
mod signal;
mod snapshot;
mod table;
mod target;
mod tenant;
mod tenant_layout;
mod text;
mod timestamp;
mod triage;
mod window;

pub use self::actor::{Actor, ActorKind};
pub use self::approval::{Approval, ApprovalRequest, BrokenGlass};
pub use self::audit::{AuditOutcome, AuditRecord, WITHHELD, Withheld};
pub use self::backup::{
    ArchiveMode, Archived, Archiving, BackupCopy, BackupPolicy, BackupState, CopyKind, ReplicationSlot,
    RestoreTest, RestoredTable, ServerBackups, Standby, Unseen,
};
pub use self::digest::Digest;
pub use self::drill::{DrillReport, DrillVerdict, DrilledStep, DrilledTarget, LastDrill};
pub use self::due::{Completion, DueDate, DueEvidence, DueKey, DueOutcome};
pub use self::erasure::{ErasureLine, ErasureReport};
pub use self::hold::{HeldResource, LegalHold};
pub use self::id::{IdempotencyKey, IncidentEntryId, IncidentId, RunId};
pub use self::incident::{
    Incident, IncidentChange, IncidentEntry, IncidentLayer, IncidentRule, IncidentStatus, IncidentSummary,
    Prevention, UnknownChange, WithoutEffect,
};
pub(crate) use self::lease::LeaseTable;
pub use self::lease::{Lease, LeaseRequest, LeaseState, Taken};
pub(crate) use self::limit::LimitSecret;
pub use self::limit::{
    AppliedLimit, AppliedLimits, EndpointClass, Gcra, LimitCaller, LimitChange, LimitDecision, LimitDigest,
    LimitKey, LimitName, LimitOverride, LimitRequest, LimitRule, LimitScope, LimitSemantics, LimitTable,
    LimitTime, LimitVerdict, LimitsInForce, MAX_LIMITS, MAX_LIMITS_AT_ONCE, RING_SLOTS, Standing, Strict,
    StrictRing,
};
pub use self::load::{
    BlockingChain, ConnectionBand, ConnectionUse, DatabaseSession, SessionDeed, SessionRule, SessionState,
    SessionTrouble, blocking_chains,
};
pub use self::masking::{Destination, MaskingPolicy, Treatment};
pub use self::migration::{
    AppliedMigration, BackStep, Column, Constraint, ConstraintKind, Domain, HalfDone, Index, LedgerRow,
    Leftover, LockMode, MigrationLedger, MigrationStep, MigrationTool, Relation, RelationEffect,
    RelationKind, Schema, SchemaState, StatementTrace, StepDone, StepMark, UnfinishedRun, Work,
};
pub use self::money::{Currency, Money};
pub use self::month::Month;
pub use self::notice::Notice;
pub use self::observation::{Accepted, Observation, TargetState, Verdict};
pub use self::opening::{AbortCause, Aborted, ClosedAgain, GateReport, GateResult, Opening, PlannedGate};
pub use self::outcome::{Outcome, OutcomeStatus, StepReport, StepResult};
pub use self::period::{Every, Period};
pub use self::personal::{DataRule, Disposal, RetentionEnd, RetentionRule};
pub use self::pii::{PiiCategory, PiiSpan, PiiType};
pub use self::plan::{Effect, PlanKind, PlannedStep, Prior};
pub use self::queue::{Burst, FeedingQueue, GivenUp, QueueKind, QueueMatch};
pub use self::read_only::ReadOnlyStrength;
pub use self::readiness::{Check, CheckState, Need};
pub use self::recurring::{DueBy, Recurring};
pub use self::salt::Salt;
pub use self::session::SessionMatch;
pub use self::severity::Severity;
pub use self::share::Share;
pub use self::signal::Signal;
pub use self::snapshot::{Difference, Snapshot};
pub use self::table::TableName;
pub use self::target::TargetId;
pub use self::tenant::{NewTenant, PermissionLevel, Tenant, TenantId, TenantState};
pub use self::tenant_layout::{AcceptedGap, TenantLayout};
pub use self::text::{Lang, Text};
pub use self::timestamp::Timestamp;
pub use self::triage::{DatabaseCause, DatabaseFacts, DatabaseReach, ReplicaFacts, SlowFacts, TableFacts};
pub use self::window::{TimeOfDay, Weekday, Window};

/// A string newtype that accepts 1 to `$max` visible ASCII characters.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Accepts 1 to ", $max, " visible ASCII characters (no space, no control character).")]
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`](crate::error::ErrorKind::InvalidInput) otherwise; the text itself is not repeated.
            pub fn new(text: impl Into<String>) -> crate::error::Result<Self> {
                let text = text.into();
                if text.is_empty() || text.len() > $max || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(crate::error::Error::new(crate::error::ErrorKind::InvalidInput, concat!("read ", $field))
                        .context($field, concat!("must be 1 to ", $max, " visible ASCII characters")));
                }
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::error::Error;
            fn try_from(text: String) -> crate::error::Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;
            fn from_str(text: &str) -> crate::error::Result<Self> {
                Self::new(text)
            }
        }
    };
}
pub(crate) use string_id;
