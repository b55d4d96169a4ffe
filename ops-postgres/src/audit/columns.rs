use ops_core::error::{ErrorKind, Result};
use ops_core::model::{ActorKind, AuditOutcome, AuditRecord, TenantId};
use ops_core::ports::{AuditOrigin, AuditReceipt};
use sqlx::PgTransaction;

use super::array::{Array, Of};
use crate::error::{error, failed};

/// New rows of one tenant, column by column, in the bytes of the wire: one statement takes them all. `COPY` is refused where row security is on.
pub(super) struct Columns {
    rows: usize,
    sequences: Array,
    ids: Array,
    ats: Array,
    actor_kinds: Array,
    actor_ids: Array,
    actions: Array,
    resource_types: Array,
    resource_ids: Array,
    outcomes: Array,
    runs: Array,
    details: Array,
    hashes: Array,
    withheld: Array,
    producers: Array,
    numbers: Array,
    salted: Array,
    salts: Array,
}

impl Columns {
    pub(super) fn new() -> Self {
        let texts = || Array::of(Of::Text);
        Self {
            rows: 0,
            sequences: Array::of(Of::Number),
            ids: Array::of(Of::Id),
            ats: Array::of(Of::Number),
            actor_kinds: texts(),
            actor_ids: texts(),
            actions: texts(),
            resource_types: texts(),
            resource_ids: texts(),
            outcomes: texts(),
            runs: texts(),
            details: texts(),
            hashes: Array::of(Of::Bytes),
            withheld: texts(),
            producers: Array::of(Of::Id),
            numbers: Array::of(Of::Number),
            salted: Array::of(Of::Number),
            salts: texts(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// How many bytes they are, but for what is of the same length in each row.
    pub(super) fn bytes(&self) -> usize {
        [
            &self.actor_ids,
            &self.actions,
            &self.resource_types,
            &self.resource_ids,
            &self.details,
            &self.withheld,
            &self.salts,
        ]
        .map(Array::bytes)
        .iter()
        .sum()
    }

    /// Adds a row at its place in the chain.
    pub(super) fn push(
        &mut self,
        receipt: &AuditReceipt,
        record: &AuditRecord,
        origin: Option<AuditOrigin>,
        words: &Words,
    ) -> Result<()> {
        let sequence = i64::try_from(receipt.sequence)
            .map_err(|_| error(ErrorKind::Unexpected, APPEND).context("reason", "the chain is too long"))?;
        if let Some(salts) = &words.salts {
            self.salted.push(&sequence.to_be_bytes());
            self.salts.push(salts.as_bytes());
        }
        self.rows += 1;
        self.sequences.push(&sequence.to_be_bytes());
        self.ids.push(record.id.as_bytes());
        self.ats.push(&record.at.as_unix_micros().to_be_bytes());
        self.actor_kinds.push(words.actor_kind.as_bytes());
        self.actor_ids.push(record.actor.id().as_bytes());
        self.actions.push(record.action.as_bytes());
        self.resource_types.push(record.resource_type.as_bytes());
        self.resource_ids.push(record.resource_id.as_bytes());
        self.outcomes.push(words.outcome.as_bytes());
        self.runs
            .push_some(record.run.as_ref().map(|run| run.as_str().as_bytes()));
        self.details.push(words.details.as_bytes());
        self.hashes.push(receipt.hash.as_bytes());
        self.withheld
            .push_some(words.withheld.as_ref().map(String::as_bytes));
        let number = origin.and_then(|origin| i64::try_from(origin.number).ok());
        self.producers
            .push_some(origin.as_ref().map(|origin| &origin.producer.as_bytes()[..]));
        self.numbers
            .push_some(number.map(i64::to_be_bytes).as_ref().map(|bytes| &bytes[..]));
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
        whole(inserted.rows_affected(), self.rows)?;
        if self.salted.len() > 0 {
            let inserted = sqlx::query(INSERT_SALTS)
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

/// The arrays are gone through side by side: as functions in `from`, each would be written to a table of its own first. One that is null has null in every row.
const INSERT: &str = "insert into ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, \
     resource_type, resource_id, outcome, run, details, hash, withheld, producer, number) \
     select $1, unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::bigint[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), \
     unnest($8::text[]), unnest($9::text[]), unnest($10::text[]), unnest($11::text[]), unnest($12::text[]), unnest($13::bytea[]), \
     unnest($14::text[]), unnest($15::uuid[]), unnest($16::bigint[])";
const INSERT_SALTS: &str = "insert into ops.audit_salt (tenant, sequence, salts) select $1, unnest($2::bigint[]), unnest($3::text[])";

/// What of a record has another form in its row.
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
