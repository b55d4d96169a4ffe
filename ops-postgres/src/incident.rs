use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{IncidentEntry, IncidentId, IncidentStatus, IncidentSummary};
use ops_core::ports::{IncidentPage, IncidentQuery, IncidentStore};
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::stored::Stored;

/// Incidents in the schema `ops`, shared by all machines that use the database.
///
/// Beside the entries is a row an incident with what a list shows; it changes in the transaction that adds an entry, so that neither is ever ahead of the other.
#[derive(Clone, Debug)]
pub struct PostgresIncidents {
    pool: PgPool,
}

impl PostgresIncidents {
    /// The incidents of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    /// Which database this is: host, port and name. Another one that takes its place, also an older state of the same one, is not told from it.
    pub fn place(&self) -> String {
        let options = self.pool.connect_options();
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let name = options.get_database().unwrap_or(options.get_username());
        format!("{host}:{}/{name}", options.get_port())
    }

    /// What a refused entry ran into: itself, or another one.
    async fn known_or_conflict(&self, entry: &IncidentEntry) -> Result<()> {
        let number = number(entry)?;
        let kept: Option<(i32, String)> = sqlx::query_as(
            "select number, entry from ops.incident_entry where incident = $1 and number = $2",
        )
        .bind(entry.incident.as_str())
        .bind(number)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(KEEP))?;
        let known = kept.map(|row| read(&entry.incident, row)).transpose()?;
        if known.as_ref() == Some(entry) {
            return Ok(());
        }
        let newest: Option<i32> = sqlx::query_scalar("select newest from ops.incident where incident = $1")
            .bind(entry.incident.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed(KEEP))?;
        Err(error(ErrorKind::Conflict, KEEP).context("newest", newest.unwrap_or(0).to_string()))
    }
}

#[async_trait]
impl IncidentStore for PostgresIncidents {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        entry.check()?;
        let text = serde_json::to_string(entry)
            .map_err(|cause| error(ErrorKind::InvalidInput, KEEP).source(cause))?;
        let mut transaction = self.pool.begin().await.map_err(failed(KEEP))?;
        // Whoever adds to the same incident waits here; whoever opens the same one waits at its first entry.
        let newest: Option<i32> =
            sqlx::query_scalar("select newest from ops.incident where incident = $1 for update")
                .bind(entry.incident.as_str())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed(KEEP))?;
        let newest = newest.unwrap_or(0);
        if newest.checked_add(1) != i32::try_from(entry.number).ok() {
            transaction.rollback().await.map_err(failed(KEEP))?;
            return self.known_or_conflict(entry).await;
        }
        // Entries take effect by the order in which they were written, not in which they arrive: what a list shows follows from all of them.
        let mut entries = all_of(&mut *transaction, &entry.incident).await?;
        entries.push(entry.clone());
        let summary = IncidentSummary::of_all(&entries)
            .ok_or_else(|| stored(&entry.incident, 1).wrong("it does not open the incident"))?;
        if !insert(&mut transaction, entry, &text).await? {
            transaction.rollback().await.map_err(failed(KEEP))?;
            return self.known_or_conflict(entry).await;
        }
        write_summary(&mut transaction, &summary).await?;
        transaction.commit().await.map_err(failed(KEEP))
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        all_of(&self.pool, incident).await
    }

    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        query.check()?;
        let most = i64::try_from(query.most).unwrap_or(i64::MAX).saturating_add(1);
        // Ids sort by the time of opening, as bytes.
        let rows: Vec<(String, String)> = sqlx::query_as(
            r#"select incident, summary from ops.incident
             where ($1 or not resolved) and ($2::text is null or tenant is null or tenant = $2)
                 and ($3::text is null or incident collate "C" < $3) and ($4::text is null or right(incident, length($4)) = $4)
             order by incident collate "C" desc limit $5"#,
        )
        .bind(query.all)
        .bind(query.tenant.as_ref().map(ops_core::model::TenantId::as_str))
        .bind(query.after.as_ref().map(IncidentId::as_str))
        .bind(query.ending.as_deref())
        .bind(most)
        .fetch_all(&self.pool)
        .await
        .map_err(failed(LIST))?;
        let read = |(id, text): (String, String)| {
            let stored = Stored::new(LIST, "ops.incident", format!("incident {id}"));
            let summary: IncidentSummary = stored.parse(&text)?;
            match summary.id.as_str() == id {
                true => Ok(summary),
                false => Err(stored.wrong("it is the summary of another incident")),
            }
        };
        let found = rows.into_iter().map(read).collect::<Result<_>>()?;
        Ok(IncidentPage::of(query, found))
    }
}

/// The entries of an incident, without a gap.
async fn all_of(from: impl PgExecutor<'_>, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
    let rows: Vec<(i32, String)> =
        sqlx::query_as("select number, entry from ops.incident_entry where incident = $1 order by number")
            .bind(incident.as_str())
            .fetch_all(from)
            .await
            .map_err(failed(READ))?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let stored = stored(incident, row.0);
        let entry = read(incident, row)?;
        entries.push(entry);
        if entries.last().map(|entry| entry.number) != u32::try_from(entries.len()).ok() {
            return Err(stored.wrong("an entry before it is missing"));
        }
    }
    Ok(entries)
}

/// `false`: the number is taken, by somebody who was first.
async fn insert(connection: &mut PgConnection, entry: &IncidentEntry, text: &str) -> Result<bool> {
    let inserted = sqlx::query(
        "insert into ops.incident_entry (incident, number, entry) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(entry.incident.as_str())
    .bind(number(entry)?)
    .bind(text)
    .execute(connection)
    .await
    .map_err(failed(KEEP))?;
    Ok(inserted.rows_affected() == 1)
}

async fn write_summary(connection: &mut PgConnection, summary: &IncidentSummary) -> Result<()> {
    let text =
        serde_json::to_string(summary).map_err(|cause| error(ErrorKind::InvalidInput, KEEP).source(cause))?;
    let newest = i32::try_from(summary.newest).map_err(|_| too_many())?;
    sqlx::query(
        "insert into ops.incident (incident, newest, tenant, resolved, summary) values ($1, $2, $3, $4, $5)
         on conflict (incident) do update set newest = excluded.newest, resolved = excluded.resolved, summary = excluded.summary",
    )
    .bind(summary.id.as_str())
    .bind(newest)
    .bind(summary.tenant.as_ref().map(ops_core::model::TenantId::as_str))
    .bind(summary.status == IncidentStatus::Resolved)
    .bind(text)
    .execute(connection)
    .await
    .map_err(failed(KEEP))?;
    Ok(())
}

fn number(entry: &IncidentEntry) -> Result<i32> {
    i32::try_from(entry.number).map_err(|_| too_many())
}

fn too_many() -> Error {
    error(ErrorKind::InvalidInput, KEEP).context("number", "is more than an incident can have")
}

fn read(incident: &IncidentId, (number, text): (i32, String)) -> Result<IncidentEntry> {
    let stored = stored(incident, number);
    let entry: IncidentEntry = stored.parse(&text)?;
    if entry.incident != *incident || i32::try_from(entry.number).ok() != Some(number) {
        return Err(stored.wrong("it is another entry"));
    }
    Ok(entry)
}

fn stored(incident: &IncidentId, number: i32) -> Stored {
    Stored::new(READ, "ops.incident_entry", format!("number {number}, {incident}"))
}

const KEEP: &str = "keep incident entry";
const READ: &str = "read incident";
const LIST: &str = "list incidents";
