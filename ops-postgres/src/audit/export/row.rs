use ops_core::model::{Actor, AuditOutcome, AuditRecord, Digest, RunId, TenantId, Timestamp};
use ops_core::ports::{AuditReceipt, TrailEntry};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::copy::Fields;

/// Reads every row of the tenant that the transaction is for, in the order of the chain.
pub(super) const COPY: &str = "copy (select l.sequence, l.hash, l.id, l.at_micros, l.actor_kind, l.actor_id, l.action, l.resource_type, \
     l.resource_id, l.outcome, l.run, l.details, l.withheld, s.salts, null::bytea as content from ops.audit_log l \
     left join ops.audit_salt s on s.tenant = l.tenant and s.sequence = l.sequence \
     where l.tenant = current_setting('app.current_tenant') order by l.sequence) to stdout (format binary)";
/// The same where records were removed: what was kept of them stands in their places.
pub(super) const COPY_KEPT: &str = "copy (select * from ( \
     (select l.sequence, l.hash, l.id, l.at_micros, l.actor_kind, l.actor_id, l.action, l.resource_type, \
     l.resource_id, l.outcome, l.run, l.details, l.withheld, s.salts, null::bytea as content from ops.audit_log l \
     left join ops.audit_salt s on s.tenant = l.tenant and s.sequence = l.sequence \
     where l.tenant = current_setting('app.current_tenant') order by l.sequence) \
     union all (select k.sequence, k.hash, k.id, null, null, null, null, null, null, null, null, null, null, null, k.content \
     from ops.audit_kept k where k.tenant = current_setting('app.current_tenant') order by k.sequence)) e \
     order by e.sequence) to stdout (format binary)";
/// How many columns that are.
pub(super) const FIELDS: usize = 15;

/// What a row is. Everything that was hashed is rebuilt from the columns, so that an edit of any of them shows.
pub(super) fn entry(fields: &Fields<'_>, tenant: &TenantId) -> TrailEntry {
    let sequence = fields[0]
        .and_then(number)
        .and_then(|sequence| u64::try_from(sequence).ok())
        .unwrap_or(0);
    let entry = match fields[FIELDS - 1] {
        Some(content) => removed(fields, sequence, content),
        None => {
            record(fields, sequence, tenant).map(|(receipt, record)| TrailEntry::Record { receipt, record })
        }
    };
    match entry {
        Ok(entry) => entry,
        Err(column) => TrailEntry::Unreadable {
            sequence,
            what: format!("the row cannot be read (column: {column})"),
        },
    }
}

fn removed(fields: &Fields<'_>, sequence: u64, content: &[u8]) -> Result<TrailEntry, &'static str> {
    let digest = |field: Option<&[u8]>, column| {
        let bytes = field.and_then(|field| field.try_into().ok());
        bytes.map(Digest::from_bytes).ok_or(column)
    };
    let id: [u8; 16] = fields[2].and_then(|id| id.try_into().ok()).ok_or("id")?;
    Ok(TrailEntry::Removed {
        receipt: AuditReceipt::new(sequence, digest(fields[1], "hash")?),
        id: Uuid::from_bytes(id),
        content: digest(Some(content), "content")?,
    })
}

fn record(
    fields: &Fields<'_>,
    sequence: u64,
    tenant: &TenantId,
) -> Result<(AuditReceipt, AuditRecord), &'static str> {
    let [
        _,
        hash,
        id,
        at,
        kind,
        actor,
        action,
        resource_type,
        resource_id,
        outcome,
        run,
        details,
        withheld,
        salts,
        _,
    ] = *fields;
    let hash: [u8; 32] = hash.and_then(|hash| hash.try_into().ok()).ok_or("hash")?;
    let id: [u8; 16] = id.and_then(|id| id.try_into().ok()).ok_or("id")?;
    let at = at.and_then(number).ok_or("at_micros")?;
    let actor = text(actor).ok_or("actor_id")?;
    let actor = match text(kind) {
        Some("person") => Actor::person(actor),
        Some("automation") => Actor::automation(actor),
        Some("service") => Actor::service(actor),
        _ => return Err("actor_kind"),
    };
    let owned = |field| text(field).map(str::to_owned);
    let mut record = AuditRecord::with_id(
        Uuid::from_bytes(id),
        Timestamp::from_unix_micros(at),
        tenant.clone(),
        actor.map_err(|_| "actor_id")?,
        owned(action).ok_or("action")?,
        owned(resource_type).ok_or("resource_type")?,
        owned(resource_id).ok_or("resource_id")?,
    );
    record.outcome = match text(outcome) {
        Some("succeeded") => AuditOutcome::Succeeded,
        Some("failed") => AuditOutcome::Failed,
        Some("denied") => AuditOutcome::Denied,
        Some("unknown") => AuditOutcome::Unknown,
        _ => return Err("outcome"),
    };
    if run.is_some() {
        let run = text(run).and_then(|run| RunId::new(run).ok());
        record.run = Some(run.ok_or("run")?);
    }
    record.details = match details {
        Some(b"{}") => Default::default(),
        Some(details) => serde_json::from_slice(details).map_err(|_| "details")?,
        None => return Err("details"),
    };
    record.withheld = object(withheld).ok_or("withheld")?;
    record.salts = object(salts).ok_or("salts")?;
    Ok((AuditReceipt::new(sequence, Digest::from_bytes(hash)), record))
}

/// An object that is there only when it holds something.
fn object<T: DeserializeOwned + Default>(field: Option<&[u8]>) -> Option<T> {
    match field {
        None => Some(T::default()),
        Some(text) => serde_json::from_slice(text).ok(),
    }
}

fn number(field: &[u8]) -> Option<i64> {
    field.try_into().ok().map(i64::from_be_bytes)
}

fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?).ok()
}
