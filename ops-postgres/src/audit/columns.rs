use ops_core::error::{ErrorKind, Result};
use ops_core::model::{ActorKind, AuditOutcome, AuditRecord, TenantId};
use ops_core::ports::{AuditOrigin, AuditReceipt};
use sqlx::PgTransaction;
use uuid::Uuid;

use crate::error::{error, failed};

/// New rows of one tenant, column by column: one statement takes them all. `COPY` is refused where row security is on.
#[derive(Debug, Default)]
pub(super) struct Columns {
    sequences: Vec<i64>,
    ids: Vec<Uuid>,
    ats: Vec<i64>,
    actor_kinds: Vec<&'static str>,
    actor_ids: Vec<String>,
    actions: Vec<String>,
    resource_types: Vec<String>,
    resource_ids: Vec<String>,
    outcomes: Vec<&'static str>,
    runs: Vec<Option<String>>,
    details: Vec<String>,
    hashes: Vec<Vec<u8>>,
    withheld: Vec<Option<String>>,
    producers: Vec<Option<Uuid>>,
    numbers: Vec<Option<i64>>,
    salted: Vec<i64>,
    salts: Vec<String>,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Adds a row at its place in the chain.
    pub(super) fn push(
        &mut self,
        receipt: &AuditReceipt,
        record: &AuditRecord,
        origin: Option<AuditOrigin>,
        words: Words,
    ) -> Result<()> {
        let sequence = i64::try_from(receipt.sequence)
            .map_err(|_| error(ErrorKind::Unexpected, APPEND).context("reason", "the chain is too long"))?;
        if let Some(salts) = words.salts {
            self.salted.push(sequence);
            self.salts.push(salts);
        }
        self.sequences.push(sequence);
        self.ids.push(record.id);
        self.ats.push(record.at.as_unix_micros());
        self.actor_kinds.push(words.actor_kind);
        self.actor_ids.push(record.actor.id().to_owned());
        self.actions.push(record.action.clone());
        self.resource_types.push(record.resource_type.clone());
        self.resource_ids.push(record.resource_id.clone());
        self.outcomes.push(words.outcome);
        self.runs.push(record.run.as_ref().map(ToString::to_string));
        self.details.push(words.details);
        self.hashes.push(receipt.hash.as_bytes().to_vec());
        self.withheld.push(words.withheld);
        self.producers.push(origin.map(|origin| origin.producer));
        self.numbers
            .push(origin.and_then(|origin| i64::try_from(origin.number).ok()));
        Ok(())
    }

    /// Inserts the rows and their salts. `RowNotFound`: something kept rows away.
    pub(super) async fn insert(
        &self,
        transaction: &mut PgTransaction<'_>,
        tenant: &TenantId,
    ) -> sqlx::Result<()> {
        let inserted = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(&self.sequences)
            .bind(&self.ids)
            .bind(&self.ats)
            .bind(&self.actor_kinds)
            .bind(&self.actor_ids)
            .bind(&self.actions)
            .bind(&self.resource_types)
            .bind(&self.resource_ids)
            .bind(&self.outcomes)
            .bind(&self.runs)
            .bind(&self.details)
            .bind(&self.hashes)
            .bind(&self.withheld)
            .bind(&self.producers)
            .bind(&self.numbers)
            .execute(&mut **transaction)
            .await?;
        whole(inserted.rows_affected(), self.len())?;
        if !self.salted.is_empty() {
            let inserted = sqlx::query(
                "insert into ops.audit_salt (tenant, sequence, salts)
                 select $1, * from unnest($2::bigint[], $3::text[])",
            )
            .bind(tenant.as_str())
            .bind(&self.salted)
            .bind(&self.salts)
            .execute(&mut **transaction)
            .await?;
            whole(inserted.rows_affected(), self.salted.len())?;
        }
        Ok(())
    }
}

/// A trigger or a rule can keep a row away while the statement succeeds.
fn whole(inserted: u64, wanted: usize) -> sqlx::Result<()> {
    match u64::try_from(wanted) == Ok(inserted) {
        true => Ok(()),
        false => Err(sqlx::Error::RowNotFound),
    }
}

const INSERT: &str = "insert into ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, \
     resource_type, resource_id, outcome, run, details, hash, withheld, producer, number) \
     select $1, * from unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], \
     $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::uuid[], $16::bigint[])";

/// What of a record has another form in its row.
#[derive(Debug)]
pub(super) struct Words {
    actor_kind: &'static str,
    outcome: &'static str,
    details: String,
    withheld: Option<String>,
    salts: Option<String>,
}

impl Words {
    /// # Errors
    /// `InvalidInput` for what no row can hold, `Unexpected` for a value that has no name yet.
    pub(super) fn of(record: &AuditRecord) -> Result<Self> {
        check(record)?;
        Ok(Self {
            actor_kind: actor_kind(record.actor.kind())?,
            outcome: outcome(record.outcome)?,
            details: json(&record.details)?,
            withheld: (!record.withheld.is_empty())
                .then(|| json(&record.withheld))
                .transpose()?,
            salts: (!record.salts.is_empty())
                .then(|| json(&record.salts))
                .transpose()?,
        })
    }
}

/// What PostgreSQL cannot hold.
///
/// # Errors
/// `InvalidInput`, naming the field.
fn check(record: &AuditRecord) -> Result<()> {
    let texts = [
        ("actor", record.actor.id()),
        ("action", &record.action),
        ("resource_type", &record.resource_type),
        ("resource_id", &record.resource_id),
    ];
    for (field, text) in texts {
        // An index holds no longer ones.
        if text.contains('\0') || text.len() > MOST {
            return Err(error(ErrorKind::InvalidInput, APPEND).context(
                field,
                format!("must be at most {MOST} bytes long and hold no NUL character"),
            ));
        }
    }
    Ok(())
}

pub(super) fn actor_kind(kind: ActorKind) -> Result<&'static str> {
    Ok(match kind {
        ActorKind::Person => "person",
        ActorKind::Automation => "automation",
        ActorKind::Service => "service",
        _ => return Err(nameless()),
    })
}

fn outcome(outcome: AuditOutcome) -> Result<&'static str> {
    Ok(match outcome {
        AuditOutcome::Succeeded => "succeeded",
        AuditOutcome::Failed => "failed",
        AuditOutcome::Denied => "denied",
        AuditOutcome::Unknown => "unknown",
        _ => return Err(nameless()),
    })
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| error(ErrorKind::InvalidInput, APPEND).source(cause))
}

fn nameless() -> ops_core::error::Error {
    error(ErrorKind::Unexpected, APPEND).context("reason", "a value has no name in this version")
}

pub(super) const APPEND: &str = "append audit record";
/// So many bytes of tenant, type and id together fit an index entry, with room to spare.
const MOST: usize = 500;

/// Maps a failure of an append.
pub(super) fn not_appended(cause: sqlx::Error) -> ops_core::error::Error {
    failed(APPEND)(cause)
}
