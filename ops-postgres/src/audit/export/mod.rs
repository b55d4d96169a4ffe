//! The trail of a tenant in one snapshot, for evidence.

mod copy;
mod object;
mod row;

use std::fmt;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::TenantId;
use ops_core::ports::{
    AuditQuery, EvidenceFilter, EvidenceSource, TrailEntry, TrailExtent, TrailRows, TrailSnapshot,
};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use self::copy::{CopyRows, WholeRows};
use super::PostgresAuditStore;
use super::head::{Head, read_head};
use crate::error::{error, failed};
use crate::store::LATEST;

/// One `REPEATABLE READ READ ONLY` transaction: head, count and rows (`COPY … TO STDOUT BINARY`, in the order of the chain) are of the same moment. Row
/// level security holds, and the tenant is asked for besides, so that a role that passes it by sees no more.
#[async_trait]
impl EvidenceSource for PostgresAuditStore {
    async fn snapshot(&self, tenant: &TenantId, filter: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>> {
        let mut connection = self
            // Locked before the snapshot is taken: it must not be from before a removal that is waited for.
            .begin_apart(
                "begin isolation level repeatable read read only; lock table only ops.audit_log in access share mode",
                tenant,
                EXPORT,
            )
            .await?;
        // A whole trail takes longer than any other statement may. In the order of an index: sorting it would need its size in disk.
        sqlx::raw_sql("set local statement_timeout = 0; set local enable_sort = off")
            .execute(&mut *connection)
            .await
            .map_err(failed(EXPORT))?;
        let extent = extent(&mut connection, tenant, &filter.query()).await?;
        let (send, batches) = channel(AHEAD);
        let task = tokio::spawn(rows(connection, send));
        Ok(Box::new(Snapshot {
            tenant: tenant.clone(),
            extent,
            batches,
            task,
        }))
    }
}

/// The rows come from a task of their own, which ends when this is dropped.
struct Snapshot {
    tenant: TenantId,
    extent: TrailExtent,
    /// `None`: all rows came.
    batches: Receiver<Result<Option<WholeRows>>>,
    task: JoinHandle<()>,
}

#[async_trait]
impl TrailSnapshot for Snapshot {
    fn extent(&self) -> &TrailExtent {
        &self.extent
    }

    async fn next(&mut self) -> Result<Vec<TrailEntry>> {
        let mut entries = Vec::new();
        if let Some(mut rows) = self.whole_rows().await? {
            while let Some(fields) = rows.next() {
                entries.push(row::entry(&fields, &self.tenant));
            }
        }
        Ok(entries)
    }

    /// They are read by whoever uses them, so that the task has only to receive.
    async fn rows(&mut self) -> Result<Option<Box<dyn TrailRows>>> {
        let rows = self.whole_rows().await?;
        Ok(rows.map(|rows| -> Box<dyn TrailRows> {
            Box::new(Rows {
                rows,
                tenant: self.tenant.clone(),
            })
        }))
    }
}

impl Snapshot {
    async fn whole_rows(&mut self) -> Result<Option<WholeRows>> {
        self.batches.recv().await.unwrap_or_else(|| {
            Err(error(ErrorKind::Unavailable, EXPORT).context("reason", "the rows ended early"))
        })
    }
}

#[derive(Debug)]
struct Rows {
    rows: WholeRows,
    tenant: TenantId,
}

impl TrailRows for Rows {
    fn read(&mut self, entry: &mut TrailEntry) -> bool {
        let fields = self.rows.next();
        let any = fields.is_some();
        if let Some(fields) = fields {
            row::read(&fields, &self.tenant, entry);
        }
        any
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn extent(connection: &mut PgConnection, tenant: &TenantId, query: &AuditQuery) -> Result<TrailExtent> {
    let head = match read_head(connection, tenant, EXPORT).await? {
        Head::None => None,
        Head::Whole(head) => Some(head.receipt),
        Head::WithoutTree(last) => Some(last),
    };
    let mut count = QueryBuilder::<Postgres>::new("select count(*) from ops.audit_log where tenant = ");
    count.push_bind(tenant.as_str().to_owned());
    super::store::conditions(&mut count, query);
    let matching: i64 = count
        .build_query_scalar()
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(EXPORT))?;
    Ok(TrailExtent::new(
        head,
        u64::try_from(matching).unwrap_or(0),
        format!("postgres/{LATEST}"),
    ))
}

async fn rows(mut connection: PoolConnection<Postgres>, send: Sender<Result<Option<WholeRows>>>) {
    let end = copy(&mut connection, &send).await.map(|()| None);
    let _ = send.send(end).await;
}

async fn copy(connection: &mut PgConnection, send: &Sender<Result<Option<WholeRows>>>) -> Result<()> {
    let pruned: bool = sqlx::query_scalar(
        "select exists (select from ops.audit_kept where tenant = current_setting('app.current_tenant'))",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(EXPORT))?;
    let statement = if pruned { row::COPY_KEPT } else { row::COPY };
    let mut chunks = connection.copy_out_raw(statement).await.map_err(failed(EXPORT))?;
    let mut rows = CopyRows::default();
    while let Some(chunk) = std::future::poll_fn(|context| chunks.as_mut().poll_next(context)).await {
        rows.push(&chunk.map_err(failed(EXPORT))?)?;
        if rows.is_batch() && send.send(Ok(Some(rows.take()))).await.is_err() {
            return Ok(());
        }
    }
    rows.finish()?;
    if rows.any() {
        let _ = send.send(Ok(Some(rows.take()))).await;
    }
    Ok(())
}

const EXPORT: &str = "export audit trail";
/// How many batches wait at most.
const AHEAD: usize = 4;
