use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, RunId, TenantId, Timestamp};

/// Whether the audited action succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It was done.
    Succeeded,
    /// It was tried and failed.
    Failed,
    /// It was refused by a rule.
    Denied,
    /// It is not known whether it was done.
    Unknown,
}

/// One line of the audit trail. Text in it is masked before the record is made.
///
/// `id` and `at` are fixed when the record is made, so that delivering it twice stores it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// UUID of version 7.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Whose data or system.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: Actor,
    /// What was done, as a dotted verb: `emergency.stop`, `export`, `delete`.
    pub action: String,
    /// What sort of thing it was done to.
    pub resource_type: String,
    /// Which one.
    pub resource_id: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// Further facts, masked.
    pub details: BTreeMap<String, String>,
}

impl AuditRecord {
    /// A record that succeeded, without run and details.
    pub fn new(
        at: Timestamp,
        tenant: TenantId,
        actor: Actor,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_id: impl Into<String>,
    ) -> Self {
        let micros = at.as_unix_micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let seconds = micros / 1_000_000;
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos));
        Self::with_id(id, at, tenant, actor, action, resource_type, resource_id)
    }

    /// As [`new`](Self::new), with the id that it has already: for stores.
    pub fn with_id(
        id: Uuid,
        at: Timestamp,
        tenant: TenantId,
        actor: Actor,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_id: impl Into<String>,
    ) -> Self {
        Self {
            id,
            at,
            tenant,
            actor,
            action: action.into(),
            resource_type: resource_type.into(),
            resource_id: resource_id.into(),
            outcome: AuditOutcome::Succeeded,
            run: None,
            details: BTreeMap::new(),
        }
    }

    /// Sets how it ended.
    #[must_use]
    pub fn with_outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Sets the run it belongs to.
    #[must_use]
    pub fn with_run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Adds a fact. The caller has masked `value`.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
