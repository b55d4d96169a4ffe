use std::fmt::Debug;
use std::vec;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditQuery, AuditReceipt};
use crate::error::Result;
use crate::model::{AuditRecord, Digest, TenantId, Timestamp};

/// Which records of a tenant are evidence; every given condition must hold. Times are instants: a zone is part of their text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EvidenceFilter {
    /// The actor's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The resource's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The resource's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// One of these actions; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
}

impl EvidenceFilter {
    /// The conditions of `query`; its page apart.
    pub fn of(query: &AuditQuery) -> Self {
        Self {
            actor: query.actor.clone(),
            resource_type: query.resource_type.clone(),
            resource_id: query.resource_id.clone(),
            from: query.from,
            until: query.until,
            actions: query.actions.clone(),
        }
    }

    /// The same conditions as a search.
    pub fn query(&self) -> AuditQuery {
        AuditQuery {
            actor: self.actor.clone(),
            resource_type: self.resource_type.clone(),
            resource_id: self.resource_id.clone(),
            from: self.from,
            until: self.until,
            actions: self.actions.clone(),
            ..AuditQuery::default()
        }
    }

    /// Whether it takes every record.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// One position of a trail, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum TrailEntry {
    /// A record.
    Record {
        /// Where it stands.
        receipt: AuditReceipt,
        /// What was recorded.
        record: AuditRecord,
    },
    /// A record that retention has removed: what stood for it in the hashes was kept.
    Removed {
        /// Where it stood.
        receipt: AuditReceipt,
        /// Its id.
        id: Uuid,
        /// The digest of all that it said ([`content`](crate::audit::content)).
        content: Digest,
    },
    /// A row that is there and is no record.
    Unreadable {
        /// Where it stands.
        sequence: u64,
        /// What is wrong with it, without its content.
        what: String,
    },
}

impl TrailEntry {
    /// Where it stands, from 1.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Record { receipt, .. } | Self::Removed { receipt, .. } => receipt.sequence,
            Self::Unreadable { sequence, .. } => *sequence,
        }
    }

    /// Where it stands in the chain; `None` for what cannot be read.
    pub fn receipt(&self) -> Option<&AuditReceipt> {
        match self {
            Self::Record { receipt, .. } | Self::Removed { receipt, .. } => Some(receipt),
            Self::Unreadable { .. } => None,
        }
    }

    /// The record with its receipt, if it is one.
    pub fn record(&self) -> Option<(&AuditReceipt, &AuditRecord)> {
        match self {
            Self::Record { receipt, record } => Some((receipt, record)),
            _ => None,
        }
    }

    /// As [`record`](Self::record), by value.
    pub fn into_record(self) -> Option<(AuditReceipt, AuditRecord)> {
        match self {
            Self::Record { receipt, record } => Some((receipt, record)),
            _ => None,
        }
    }
}

/// What a snapshot holds, by questions of its own: an export compares what it read with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrailExtent {
    /// The newest record.
    pub head: Option<AuditReceipt>,
    /// How many records meet the filter.
    pub matching: u64,
    /// What keeps the trail, and the version of its schema: `postgres/9`.
    pub store: String,
}

impl TrailExtent {
    /// An extent.
    pub fn new(head: Option<AuditReceipt>, matching: u64, store: impl Into<String>) -> Self {
        Self {
            head,
            matching,
            store: store.into(),
        }
    }
}

/// Positions of a trail, read one by one, where they are needed.
pub trait TrailRows: Debug + Send {
    /// Puts the next one into `entry`. What stood there may be written over piece by piece: with the same `entry` each time, few rows need memory of
    /// their own. `false`: there are no more, and `entry` says nothing.
    fn read(&mut self, entry: &mut TrailEntry) -> bool;
}

impl TrailRows for vec::IntoIter<TrailEntry> {
    fn read(&mut self, entry: &mut TrailEntry) -> bool {
        let next = self.next();
        let any = next.is_some();
        if let Some(next) = next {
            *entry = next;
        }
        any
    }
}

/// The whole trail of one tenant at one moment.
#[async_trait]
pub trait TrailSnapshot: Debug + Send {
    /// What is in it.
    fn extent(&self) -> &TrailExtent;

    /// The next positions, oldest first, whether they meet the filter or not; none: there are no more.
    async fn next(&mut self) -> Result<Vec<TrailEntry>>;

    /// The same, still as the store keeps them, for whoever reads all of a trail; `None`: there are no more.
    async fn rows(&mut self) -> Result<Option<Box<dyn TrailRows>>> {
        let entries = self.next().await?;
        Ok(match entries.is_empty() {
            true => None,
            false => Some(Box::new(entries.into_iter())),
        })
    }
}

/// Shows a trail as it is at one moment, for evidence.
///
/// # Contract
/// - Every position of the tenant comes once, in order, fit or not; what is appended meanwhile is not seen.
/// - [`TrailExtent::matching`] is counted in the same snapshot, not by the rows that are then read.
/// - A row that cannot be read is an entry, not an error.
/// - Memory does not grow with the trail, unless the provider says so.
///
/// # Errors
/// `Unavailable`, `Timeout`, `PermissionDenied`.
///
/// # Cancellation
/// Dropping a snapshot ends it; nothing is changed.
#[async_trait]
pub trait EvidenceSource: Debug + Send + Sync + 'static {
    /// Begins to read the trail of `tenant`.
    async fn snapshot(&self, tenant: &TenantId, filter: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>>;
}
