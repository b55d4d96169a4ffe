use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Approval, ApprovalRequest, Digest, Timestamp};
use crate::ports::{ApprovalStore, ApprovalsFound, MAX_APPROVALS, MAX_OPEN};

/// Requests and approvals in memory, shared by whoever holds the same `Arc`.
#[derive(Debug, Default)]
pub struct InMemoryApprovals {
    drawers: Mutex<Drawers>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Drawers {
    requests: BTreeMap<Digest, ApprovalRequest>,
    approvals: BTreeMap<Digest, BTreeMap<Digest, Approval>>,
}

impl InMemoryApprovals {
    /// Nothing asked, nothing approved.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl ApprovalStore for InMemoryApprovals {
    async fn request(&self, request: &ApprovalRequest) -> Result<()> {
        self.plug.check("file request")?;
        request.to_stored()?;
        lock(&self.drawers)
            .requests
            .insert(request.digest, request.clone());
        Ok(())
    }

    async fn requested(&self, digest: Digest) -> Result<Option<ApprovalRequest>> {
        self.plug.check("read request")?;
        Ok(lock(&self.drawers).requests.get(&digest).cloned())
    }

    async fn open(&self, now: Timestamp) -> Result<Vec<ApprovalRequest>> {
        self.plug.check("list requests")?;
        let drawers = lock(&self.drawers);
        let mut open: Vec<_> = drawers
            .requests
            .values()
            .filter(|request| request.until > now)
            .cloned()
            .collect();
        open.sort_by_key(|request| std::cmp::Reverse(request.at));
        open.truncate(MAX_OPEN);
        Ok(open)
    }

    async fn approve(&self, approval: &Approval) -> Result<()> {
        self.plug.check("keep approval")?;
        approval.to_stored()?;
        let mut drawers = lock(&self.drawers);
        let of_plan = drawers.approvals.entry(approval.plan()).or_default();
        if of_plan.len() >= MAX_APPROVALS && !of_plan.contains_key(&approval.fingerprint()) {
            return Err(Error::new(ErrorKind::InvalidInput, "keep approval")
                .provider("memory")
                .context("approvals", format!("this plan has {MAX_APPROVALS} already")));
        }
        of_plan.insert(approval.fingerprint(), approval.clone());
        Ok(())
    }

    async fn approvals(&self, digest: Digest) -> Result<ApprovalsFound> {
        self.plug.check("read approvals")?;
        let mut found = ApprovalsFound::default();
        if let Some(of_plan) = lock(&self.drawers).approvals.get(&digest) {
            found.approvals.extend(of_plan.values().cloned());
        }
        Ok(found)
    }
}
