use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{AuditRecord, Digest, TenantId, Timestamp};

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
}

impl ChainReport {
    /// A report.
    pub fn new(records: u64, head: Option<AuditReceipt>, faults: Vec<AuditFault>) -> Self {
        Self {
            records,
            head,
            faults,
        }
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
///   the same id with another content is `Conflict`.
/// - Records of one tenant are never returned to another.
/// - `search` gives newest first (by `at`, then id) and pages without gaps or repetitions while records arrive.
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
    /// Finds records of one tenant.
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage>;
    /// The records of one tenant behind position `after` (0: from the beginning), oldest first, at most `limit` of them; none: there are
    /// no more. Reads what is stored, fit or not: whoever asks checks it.
    async fn chain(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(AuditReceipt, AuditRecord)>>;
    /// Verifies the chain of one tenant.
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport>;
}
