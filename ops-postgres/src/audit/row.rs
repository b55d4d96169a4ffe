use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Actor, ActorKind, AuditRecord, Digest, RunId, TenantId, Timestamp};
use ops_core::ports::AuditReceipt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::error::error;

/// What [`AuditRow`] is read from.
pub(super) const COLUMNS: &str = "sequence, encode(hash, 'hex') as hash, id, at_micros, actor_kind, actor_id, action, \
     resource_type, resource_id, outcome, run, details";

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
}

impl AuditRow {
    pub(super) fn new(receipt: &AuditReceipt, record: &AuditRecord) -> Result<Self> {
        let texts = [
            record.actor.id(),
            &record.action,
            &record.resource_type,
            &record.resource_id,
        ];
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(
                error(ErrorKind::InvalidInput, WRITE).context("record", "must not hold a NUL character")
            );
        }
        Ok(Self {
            sequence: i64::try_from(receipt.sequence).map_err(|_| {
                error(ErrorKind::Unexpected, WRITE).context("reason", "the chain is too long")
            })?,
            hash: receipt.hash.to_string(),
            id: record.id,
            at_micros: record.at.as_unix_micros(),
            actor_kind: name(&record.actor.kind())?,
            actor_id: record.actor.id().to_owned(),
            action: record.action.clone(),
            resource_type: record.resource_type.clone(),
            resource_id: record.resource_id.clone(),
            outcome: name(&record.outcome)?,
            run: record.run.as_ref().map(ToString::to_string),
            details: serde_json::to_string(&record.details)
                .map_err(|cause| error(ErrorKind::InvalidInput, WRITE).source(cause))?,
        })
    }

    pub(super) fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Binds every column after the tenant, in the order of [`INSERT`].
    pub(super) fn insert<'q>(self, tenant: &'q TenantId) -> PgQuery<'q> {
        sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(self.sequence)
            .bind(self.id)
            .bind(self.at_micros)
            .bind(self.actor_kind)
            .bind(self.actor_id)
            .bind(self.action)
            .bind(self.resource_type)
            .bind(self.resource_id)
            .bind(self.outcome)
            .bind(self.run)
            .bind(self.details)
            .bind(self.hash)
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
        let hash: Digest = self.hash.parse().map_err(|_| unreadable("hash"))?;
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
        })
    }
}

type PgQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

const INSERT: &str = "insert into ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, \
     resource_type, resource_id, outcome, run, details, hash) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, decode($13, 'hex'))";
const WRITE: &str = "append audit record";

/// The name that an enum is written with.
fn name(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => Ok(name),
        _ => Err(error(ErrorKind::Unexpected, WRITE).context("reason", "a value has no name")),
    }
}

fn parse<T: DeserializeOwned>(name: &str, column: &'static str) -> Result<T> {
    serde_json::from_value(name.into()).map_err(|_| unreadable(column))
}

fn unreadable(column: &'static str) -> Error {
    error(ErrorKind::Unexpected, "read audit record").context("column", column)
}
