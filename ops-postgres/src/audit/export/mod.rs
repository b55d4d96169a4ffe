//! The trail of a tenant in one snapshot, for evidence.

mod copy;
mod row;

use std::fmt;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::TenantId;
use ops_core::ports::{AuditQuery, EvidenceFilter, EvidenceSource, TrailEntry, TrailExtent, TrailSnapshot};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use self::copy::CopyRows;
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
        let task = tokio::spawn(rows(connection, tenant.clone(), send));
        Ok(Box::new(Snapshot {
            extent,
            batches,
            task,
        }))
    }
}

/// The rows come from a task of their own, which ends when this is dropped.
struct Snapshot {
    extent: TrailExtent,
    batches: Receiver<Result<Vec<TrailEntry>>>,
    task: JoinHandle<()>,
}

#[async_trait]
impl TrailSnapshot for Snapshot {
    fn extent(&self) -> &TrailExtent {
        &self.extent
    }

    async fn next(&mut self) -> Result<Vec<TrailEntry>> {
        match self.batches.recv().await {
            Some(batch) => batch,
            // The task says with an empty batch that all rows came.
            None => Err(error(ErrorKind::Unavailable, EXPORT).context("reason", "the rows ended early")),
        }
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

async fn rows(
    mut connection: PoolConnection<Postgres>,
    tenant: TenantId,
    send: Sender<Result<Vec<TrailEntry>>>,
) {
    if let Err(failure) = copy(&mut connection, &tenant, &send).await {
        let _ = send.send(Err(failure)).await;
        return;
    }
    let _ = send.send(Ok(Vec::new())).await;
}

async fn copy(
    connection: &mut PgConnection,
    tenant: &TenantId,
    send: &Sender<Result<Vec<TrailEntry>>>,
) -> Result<()> {
    let pruned: bool = sqlx::query_scalar(
        "select exists (select from ops.audit_kept where tenant = current_setting('app.current_tenant'))",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(EXPORT))?;
    let statement = if pruned { row::COPY_KEPT } else { row::COPY };
    let mut chunks = connection.copy_out_raw(statement).await.map_err(failed(EXPORT))?;
    let mut rows = CopyRows::default();
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(chunk) = std::future::poll_fn(|context| chunks.as_mut().poll_next(context)).await {
        rows.push(&chunk.map_err(failed(EXPORT))?);
        while let Some(fields) = rows.next()? {
            batch.push(row::entry(&fields, tenant));
            if batch.len() == BATCH {
                let whole = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if send.send(Ok(whole)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    rows.finish()?;
    if !batch.is_empty() {
        let _ = send.send(Ok(batch)).await;
    }
    Ok(())
}

const EXPORT: &str = "export audit trail";
const BATCH: usize = 1000;
/// How many batches wait at most.
const AHEAD: usize = 4;
