use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Approval, ApprovalRequest, Digest, Timestamp};
use ops_core::ports::{ApprovalStore, ApprovalsFound, MAX_APPROVAL, MAX_APPROVALS, MAX_OPEN, MAX_REQUEST};
use sqlx::PgPool;

use crate::PostgresStore;
use crate::error::{error, failed};

/// Requests and approvals in the schema `ops`: the way from one machine to another.
#[derive(Clone, Debug)]
pub struct PostgresApprovals {
    pool: PgPool,
}

impl PostgresApprovals {
    /// The approvals of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }
}

#[async_trait]
impl ApprovalStore for PostgresApprovals {
    async fn request(&self, request: &ApprovalRequest) -> Result<()> {
        sqlx::query(
            "insert into ops.approval_request (digest, at_micros, until_micros, request) values ($1, $2, $3, $4)
             on conflict (digest) do update set at_micros = excluded.at_micros, until_micros = excluded.until_micros,
                request = excluded.request",
        )
        .bind(request.digest.to_string())
        .bind(request.at.as_unix_micros())
        .bind(request.until.as_unix_micros())
        .bind(request.to_stored()?)
        .execute(&self.pool)
        .await
        .map_err(failed("file request"))?;
        Ok(())
    }

    async fn requested(&self, digest: Digest) -> Result<Option<ApprovalRequest>> {
        let text: Option<String> = sqlx::query_scalar(
            "select request from ops.approval_request where digest = $1 and octet_length(request) <= $2",
        )
        .bind(digest.to_string())
        .bind(bound(MAX_REQUEST))
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("read request"))?;
        Ok(text.and_then(|text| ApprovalRequest::from_stored(digest, &text)))
    }

    async fn open(&self, now: Timestamp) -> Result<Vec<ApprovalRequest>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select digest, request from ops.approval_request where until_micros > $1 and octet_length(request) <= $2
             order by at_micros desc limit $3",
        )
        .bind(now.as_unix_micros())
        .bind(bound(MAX_REQUEST))
        .bind(i64::from(bound(MAX_OPEN)))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list requests"))?;
        let read =
            |(digest, text): (String, String)| ApprovalRequest::from_stored(digest.parse().ok()?, &text);
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn approve(&self, approval: &Approval) -> Result<()> {
        let (digest, fingerprint) = (approval.plan().to_string(), approval.fingerprint().to_string());
        // Approvals that come at the very same time may pass the bound by a few.
        let kept: Option<String> = sqlx::query_scalar(
            "insert into ops.approval (digest, fingerprint, approval) select $1, $2, $3
             where (select count(*) from ops.approval where digest = $1 and fingerprint <> $2) < $4
             on conflict (digest, fingerprint) do update set approval = excluded.approval returning fingerprint",
        )
        .bind(digest)
        .bind(fingerprint)
        .bind(approval.to_stored()?)
        .bind(i64::from(bound(MAX_APPROVALS)))
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(APPROVE))?;
        match kept {
            Some(_) => Ok(()),
            None => Err(error(ErrorKind::InvalidInput, APPROVE)
                .context("approvals", format!("this plan has {MAX_APPROVALS} already"))),
        }
    }

    async fn approvals(&self, digest: Digest) -> Result<ApprovalsFound> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select fingerprint, left(approval, $2) from ops.approval where digest = $1 order by fingerprint limit $3",
        )
        .bind(digest.to_string())
        .bind(bound(MAX_APPROVAL) + 1)
        .bind(i64::from(bound(4 * MAX_APPROVALS)))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read approvals"))?;
        let mut found = ApprovalsFound::default();
        for (fingerprint, text) in rows {
            found.add(digest, format!("ops.approval {fingerprint}"), &text);
        }
        Ok(found)
    }
}

fn bound(most: usize) -> i32 {
    i32::try_from(most).unwrap_or(i32::MAX)
}

const APPROVE: &str = "keep approval";
