use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TrailEntry;
use crate::error::{Error, Result};
use crate::model::{AuditRecord, Digest, TenantId, Timestamp, Withheld};

/// Where a record stands in the chain of its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditReceipt {
    /// Position in the chain, from 1.
    pub sequence: u64,
    /// Hash over this record and all before it.
    pub hash: Digest,
}

impl AuditReceipt {
    /// A receipt.
    pub fn new(sequence: u64, hash: Digest) -> Self {
        Self { sequence, hash }
    }
}

/// The end of a tenant's chain, and what the hash tree over all its records grows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditHead {
    /// The newest record's.
    pub receipt: AuditReceipt,
    /// The roots of the tree's full subtrees, largest first.
    pub peaks: Vec<Digest>,
}

impl AuditHead {
    /// A head.
    pub fn new(receipt: AuditReceipt, peaks: Vec<Digest>) -> Self {
        Self { receipt, peaks }
    }
}

/// Where a record was kept before it came to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditOrigin {
    /// The process, by the name of its directory in the spool.
    pub producer: Uuid,
    /// The record's number there, from 0: a producer leaves none out.
    pub number: u64,
}

impl AuditOrigin {
    /// An origin.
    pub fn new(producer: Uuid, number: u64) -> Self {
        Self { producer, number }
    }
}

/// A record on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// What was recorded.
    pub record: AuditRecord,
    /// Where it was kept until now. It is stored beside the record and is no part of what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<AuditOrigin>,
}

impl AuditEntry {
    /// A record that was kept at `origin`.
    pub fn new(record: AuditRecord, origin: Option<AuditOrigin>) -> Self {
        Self { record, origin }
    }
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        Self::new(record, None)
    }
}

/// What became of one record of a batch.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum Appended {
    /// It is in the chain now.
    Stored(AuditReceipt),
    /// It was there before.
    Known(AuditReceipt),
    /// The store will never take it: `Conflict`, the id is known with another content, or `InvalidInput`.
    Refused(Error),
    /// The chain of its tenant takes nothing until a person has looked at it; the record is to be given again.
    Stuck(Error),
}

/// What to look for; every given condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditQuery {
    /// The actor's id.
    pub actor: Option<String>,
    /// The resource's type.
    pub resource_type: Option<String>,
    /// The resource's id.
    pub resource_id: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// One of these actions; empty: any.
    pub actions: Vec<String>,
    /// At most so many records, 100 by default, 1000 at most.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl AuditQuery {
    /// The actions that the first runbook calls high-privilege.
    pub const HIGH_PRIVILEGE: [&'static str; 3] = ["delete", "update_permission", "export"];

    /// How many records a page holds: `limit`, at least 1, at most 1000, 100 by default.
    pub fn page_size(&self) -> usize {
        usize::try_from(self.limit.unwrap_or(100).clamp(1, 1000)).unwrap_or(1000)
    }

    /// Whether `record` meets every condition (the page cursor apart).
    pub fn matches(&self, record: &AuditRecord) -> bool {
        let equal =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        equal(&self.actor, record.actor.id())
            && equal(&self.resource_type, &record.resource_type)
            && equal(&self.resource_id, &record.resource_id)
            && self.from.is_none_or(|from| record.at >= from)
            && self.until.is_none_or(|until| record.at < until)
            && (self.actions.is_empty() || self.actions.contains(&record.action))
    }
}

/// One page of records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// Give this as `after` to go on; `None`: no more.
    pub next: Option<String>,
}

impl AuditPage {
    /// A page.
    pub fn new(records: Vec<AuditRecord>, next: Option<String>) -> Self {
        Self { records, next }
    }
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditFault {
    /// The position at which the chain no longer fits.
    pub sequence: u64,
    /// What is wrong there.
    pub what: String,
}

impl AuditFault {
    /// A fault.
    pub fn new(sequence: u64, what: impl Into<String>) -> Self {
        Self {
            sequence,
            what: what.into(),
        }
    }
}

/// The result of verifying a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChainReport {
    /// How many records were read.
    pub records: u64,
    /// The hash of the newest record. Kept elsewhere, it shows a later cut-off of the newest records.
    pub head: Option<AuditReceipt>,
    /// Empty: every record is where and what it was when it was appended.
    pub faults: Vec<AuditFault>,
    /// How many records have fields whose value was removed; the rest of such a record is verified all the same.
    #[serde(default)]
    pub withheld: u64,
    /// How many of the records were removed by retention. What stands for them in the hashes was kept and is verified; that a record of the trail
    /// says so, too.
    #[serde(default)]
    pub removed: u64,
}

impl ChainReport {
    /// A report.
    pub fn new(records: u64, head: Option<AuditReceipt>, faults: Vec<AuditFault>) -> Self {
        Self {
            records,
            head,
            faults,
            withheld: 0,
            removed: 0,
        }
    }

    /// Sets how many records have fields whose value was removed.
    #[must_use]
    pub fn with_withheld(mut self, withheld: u64) -> Self {
        self.withheld = withheld;
        self
    }

    /// Sets how many records were removed by retention.
    #[must_use]
    pub fn with_removed(mut self, removed: u64) -> Self {
        self.removed = removed;
        self
    }

    /// No fault was found.
    pub fn intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Keeps the audit trail: append only, one hash chain per tenant.
///
/// # Contract
/// - On `Ok`, the record survives a crash. Appending a record with a known id stores nothing and returns its receipt;
///   the same id with another content is `Conflict`. Salts are no content, nor is a value that was removed.
/// - `append_all` does the same for many records at once: those of one tenant get their places in the order given. On `Err` any number of them may be
///   stored; giving the same batch again stores the rest and nothing twice. One record that is refused does not hold up the others, nor does the chain of one
///   tenant that cannot be read those of the others.
/// - Records of one tenant are never returned to another.
/// - `search` gives newest first (by `at`, then id) and pages without gaps or repetitions while records arrive. It gives no salts.
/// - `verify` reads the whole chain and finds a record that was changed, deleted, inserted or moved. A chain alone cannot show that
///   its newest records were cut off: compare `head` with a copy kept elsewhere.
///
/// # Errors
/// `Unavailable`, `Timeout`, `Conflict`, `InvalidInput` (a foreign cursor), `PermissionDenied`.
///
/// # Cancellation
/// Dropping `append` may leave the record stored; append it again with the same id.
#[async_trait]
pub trait AuditStore: Debug + Send + Sync + 'static {
    /// Adds a record to the chain of its tenant.
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt>;
    /// Adds records to the chains of their tenants; one answer for each, in their order.
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>>;
    /// Finds records of one tenant.
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage>;
    /// What stands behind position `after` of one tenant (0: from the beginning), oldest first, at most `limit` entries, and those at the position of the last; none: there are
    /// no more. Reads what is stored, fit or not: whoever asks checks it.
    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>>;
    /// The end of the chain of one tenant, as it is kept: nothing is read through. `None` before the first record.
    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>>;
    /// Verifies the chain of one tenant.
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport>;
}

/// Removes personal values from the audit trail in such a way that its hashes stay verifiable.
///
/// # Contract
/// - Of a record whose actor is the person, the values and salts of all fields that have a salt are removed; of a record that names the person in another field
///   with a salt, those of this field. What stands for them in the hash stays: chain, tree, checkpoints and proofs of the rest hold as before.
/// - What a legal hold keeps stays as it is, and is counted.
/// - Doing it again removes what came since.
///
/// # Errors
/// As [`AuditStore`]; `PermissionDenied` for a role that may only append.
///
/// # Cancellation
/// Dropping the future may leave a part removed; do it again.
#[async_trait]
pub trait AuditEraser: Debug + Send + Sync + 'static {
    /// Removes from the trail of `tenant` what `person` is called in it: the actor's id, or the value of another field with a salt.
    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<Forgotten>;
}

/// What was removed from a trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forgotten {
    /// Records that lost values.
    pub records: u64,
    /// Records that name the person in a field without a salt, as those of before there were salts: they are left as they are, for their values are in the
    /// hashes themselves.
    pub left: u64,
    /// Records that name the person and are kept as they are by a legal hold.
    #[serde(default)]
    pub held: u64,
}

impl Forgotten {
    /// What was removed.
    pub fn new(records: u64, left: u64) -> Self {
        Self {
            records,
            left,
            held: 0,
        }
    }

    /// Counts what became of one record.
    pub fn count(&mut self, withheld: Withheld) {
        match withheld {
            Withheld::Removed => self.records += 1,
            Withheld::Left => self.left += 1,
            Withheld::Unconcerned => {}
        }
    }
}
