use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditReceipt, AuditStore, TrailEntry};
use crate::error::Result;
use crate::model::{AuditRecord, Digest, LegalHold, Month, TenantId, Timestamp};

/// Knows what must not be deleted.
///
/// # Contract
/// - From the end of `hold` on, nothing of it goes, by whatever rule.
/// - `release` gives the hold that it ended; `None` when there was none with this id any more.
///
/// # Errors
/// `InvalidInput` for a hold without a reason, `NotFound` for an unknown tenant, where the provider knows the tenants; `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping the future may leave it done; releasing again is harmless.
#[async_trait]
pub trait LegalHolds: Debug + Send + Sync + 'static {
    /// Holds.
    async fn hold(&self, hold: &LegalHold) -> Result<()>;
    /// Ends a hold.
    async fn release(&self, id: Uuid, at: Timestamp) -> Result<Option<LegalHold>>;
    /// What is held, of every tenant, oldest first.
    async fn open(&self) -> Result<Vec<LegalHold>>;
}

/// A month of which there are records, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrailMonth {
    /// The month, by the time of the records.
    pub month: Month,
    /// The tenants that have records of it, by name.
    pub tenants: Vec<TenantId>,
}

impl TrailMonth {
    /// A month of these tenants.
    pub fn new(month: Month, tenants: Vec<TenantId>) -> Self {
        Self { month, tenants }
    }
}

/// What was read of one tenant's records of a month, and what of it may go.
///
/// Two readings are equal when they are of the same records with the same holds on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MonthReading {
    /// Whose.
    pub tenant: TenantId,
    /// How many records there are.
    pub records: u64,
    /// How many of them a legal hold keeps.
    pub held: u64,
    /// How many of them tell of a removal: they stay for good, or nobody could tell a removal from a theft.
    pub telling: u64,
    /// How many may go.
    pub removable: u64,
    /// The first position of those that may go.
    pub first: Option<u64>,
    /// The last one.
    pub last: Option<u64>,
    /// Over positions, hashes and contents of all records, in their order, and over which of them are held.
    pub digest: Digest,
}

impl MonthReading {
    /// The action of the records that tell of a removal.
    pub const TOLD: &'static str = "audit.prune";

    /// Nothing was read yet.
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            records: 0,
            held: 0,
            telling: 0,
            removable: 0,
            first: None,
            last: None,
            digest: Digest::of(b"ops-audit-month/1"),
        }
    }

    /// Takes the next record, whose content has this digest ([`content`](crate::audit::content)). Whether it may go: no hold keeps it,
    /// and it does not tell of a removal.
    pub fn push(
        &mut self,
        receipt: &AuditReceipt,
        record: &AuditRecord,
        content: &Digest,
        holds: &[LegalHold],
    ) -> bool {
        let tells = record.action == Self::TOLD;
        let held = holds.iter().any(|hold| hold.keeps(record));
        self.records += 1;
        self.digest = Digest::of_parts(&[
            self.digest.as_bytes(),
            &receipt.sequence.to_be_bytes(),
            receipt.hash.as_bytes(),
            content.as_bytes(),
            &[u8::from(held)],
        ]);
        if held || tells {
            self.held += u64::from(held);
            self.telling += u64::from(tells && !held);
            return false;
        }
        self.removable += 1;
        self.first.get_or_insert(receipt.sequence);
        self.last = Some(receipt.sequence);
        true
    }
}

/// What is to be removed of one tenant's month.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonthRemoval {
    /// What was read of the month when it was decided.
    pub reading: MonthReading,
    /// What the trail says of the removal from then on.
    pub record: AuditRecord,
}

impl MonthRemoval {
    /// Removes what `reading` says, and records `record`.
    pub fn new(reading: MonthReading, record: AuditRecord) -> Self {
        Self { reading, record }
    }
}

/// Removes the records of whole months from the audit trail, so that its hashes stay verifiable.
///
/// Nobody calls it directly: [`TrailRetention`](crate::audit::TrailRetention) knows what may go.
///
/// # Contract
/// - Of a record that is removed, position, id, chain hash and the digest of its content are kept: chain, tree, checkpoints and proofs of the rest hold as before, and the same record given again is known (one with salts by its id).
/// - What an open [`LegalHold`] keeps stays, salts included; so does what tells of a removal ([`MonthReading::TOLD`]), and what is of tenants that `removals` does not name.
/// - `prune` reads the month of each tenant again. Where it is not what `reading` says, by a record or by a hold, nothing is removed at all: `Conflict`.
/// - The record of each removal gets its place in the trail in the same step: there is no removal without it.
///
/// # Errors
/// As [`AuditStore`]; `PermissionDenied` for a role that may only append.
///
/// # Cancellation
/// Dropping `prune` leaves all or nothing of it done.
#[async_trait]
pub trait AuditPruner: AuditStore {
    /// The months that ended by `until` and still have records, oldest first.
    async fn months(&self, until: Timestamp) -> Result<Vec<TrailMonth>>;
    /// What is stored of `tenant` with a time in `month` behind position `after`, by position, at most `limit` entries; none: there is no more.
    async fn in_month(
        &self,
        tenant: &TenantId,
        month: Month,
        after: u64,
        limit: u32,
    ) -> Result<Vec<TrailEntry>>;
    /// What is held of `tenant`.
    async fn holds_on(&self, tenant: &TenantId) -> Result<Vec<LegalHold>>;
    /// Removes what `removals` say, one for each tenant.
    async fn prune(&self, month: Month, removals: &[MonthRemoval]) -> Result<()>;
}
