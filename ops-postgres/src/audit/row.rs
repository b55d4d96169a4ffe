use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Actor, ActorKind, AuditRecord, Digest, RunId, TenantId, Timestamp};
use ops_core::ports::{AuditReceipt, TrailEntry};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::error::error;

/// What [`AuditRow`] is read from, without the salts: what a search gives.
pub(super) const UNSALTED: &str = "select sequence, encode(hash, 'hex') as hash, id, at_micros, actor_kind, actor_id, action, \
     resource_type, resource_id, outcome, run, details, withheld, null::text as salts, null::text as content from ops.audit_log";

/// The same with the salts; the log is `l`.
pub(super) const SALTED: &str = "select l.sequence, encode(l.hash, 'hex') as hash, l.id, l.at_micros, l.actor_kind, l.actor_id, l.action, \
     l.resource_type, l.resource_id, l.outcome, l.run, l.details, l.withheld, s.salts, null::text as content \
     from ops.audit_log l left join ops.audit_salt s on s.tenant = l.tenant and s.sequence = l.sequence";

/// What is kept of a record that was removed, in the columns of one.
pub(super) const KEPT: &str = "select k.sequence, encode(k.hash, 'hex') as hash, k.id, 0::bigint as at_micros, ''::text as actor_kind, ''::text as actor_id, ''::text as action, \
     ''::text as resource_type, ''::text as resource_id, ''::text as outcome, null::text as run, ''::text as details, null::text as withheld, null::text as salts, \
     encode(k.content, 'hex') as content from ops.audit_kept k";

/// A record as it is stored. Everything that was hashed is rebuilt from the columns, so that an edit of any of them shows.
#[derive(Debug)]
pub(super) struct AuditRow {
    sequence: i64,
    hash: String,
    id: Uuid,
    at_micros: i64,
    actor_kind: String,
    actor_id: String,
    action: String,
    resource_type: String,
    resource_id: String,
    outcome: String,
    run: Option<String>,
    details: String,
    withheld: Option<String>,
    salts: Option<String>,
    content: Option<String>,
}

impl AuditRow {
    pub(super) fn sequence(&self) -> i64 {
        self.sequence
    }

    pub(super) fn at_micros(&self) -> i64 {
        self.at_micros
    }

    /// What it is, fit or not.
    pub(super) fn entry(self, tenant: &TenantId) -> TrailEntry {
        let (sequence, id) = (u64::try_from(self.sequence).unwrap_or(0), self.id);
        let entry = match &self.content {
            Some(content) => digest(content, "content").and_then(|content| {
                let receipt = AuditReceipt::new(sequence, digest(&self.hash, "hash")?);
                Ok(TrailEntry::Removed { receipt, id, content })
            }),
            None => self
                .read(tenant)
                .map(|(receipt, record)| TrailEntry::Record { receipt, record }),
        };
        entry.unwrap_or_else(|fault| TrailEntry::Unreadable {
            sequence,
            what: fault.to_string(),
        })
    }

    /// The record, and where it stands.
    pub(super) fn read(self, tenant: &TenantId) -> Result<(AuditReceipt, AuditRecord)> {
        let actor = match parse(&self.actor_kind, "actor_kind")? {
            ActorKind::Person => Actor::person(self.actor_id),
            ActorKind::Automation => Actor::automation(self.actor_id),
            ActorKind::Service => Actor::service(self.actor_id),
            _ => return Err(unreadable("actor_kind")),
        };
        let mut record = AuditRecord::new(
            Timestamp::from_unix_micros(self.at_micros),
            tenant.clone(),
            actor.map_err(|_| unreadable("actor_id"))?,
            self.action,
            self.resource_type,
            self.resource_id,
        )
        .with_outcome(parse(&self.outcome, "outcome")?);
        record.id = self.id;
        record.run = self
            .run
            .map(RunId::new)
            .transpose()
            .map_err(|_| unreadable("run"))?;
        record.details = serde_json::from_str(&self.details).map_err(|_| unreadable("details"))?;
        record.salts = objects(self.salts, "salts")?;
        record.withheld = objects(self.withheld, "withheld")?;
        let hash = digest(&self.hash, "hash")?;
        let sequence = u64::try_from(self.sequence).map_err(|_| unreadable("sequence"))?;
        Ok((AuditReceipt::new(sequence, hash), record))
    }
}

impl FromRow<'_, PgRow> for AuditRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            hash: row.try_get("hash")?,
            id: row.try_get("id")?,
            at_micros: row.try_get("at_micros")?,
            actor_kind: row.try_get("actor_kind")?,
            actor_id: row.try_get("actor_id")?,
            action: row.try_get("action")?,
            resource_type: row.try_get("resource_type")?,
            resource_id: row.try_get("resource_id")?,
            outcome: row.try_get("outcome")?,
            run: row.try_get("run")?,
            details: row.try_get("details")?,
            withheld: row.try_get("withheld")?,
            salts: row.try_get("salts")?,
            content: row.try_get("content")?,
        })
    }
}

fn digest(text: &str, column: &'static str) -> Result<Digest> {
    text.parse().map_err(|_| unreadable(column))
}

fn parse<T: DeserializeOwned>(name: &str, column: &'static str) -> Result<T> {
    serde_json::from_value(name.into()).map_err(|_| unreadable(column))
}

/// An object that is there only when it holds something.
fn objects<T: DeserializeOwned + Default>(text: Option<String>, column: &'static str) -> Result<T> {
    match text {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(&text).map_err(|_| unreadable(column)),
    }
}

fn unreadable(column: &'static str) -> Error {
    error(ErrorKind::Unexpected, "read audit record").context("column", column)
}
