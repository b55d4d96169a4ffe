use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Approval, ApprovalRequest, Digest, Timestamp};

/// Carries requests and approvals between the one who runs a plan and those who approve it.
///
/// A store is **never the security boundary**: what comes out of it is checked again, so that whoever can write to it can at most keep a
/// restore from happening, as by deleting what is there.
///
/// # Contract
/// - What a call acknowledged, a later call of another process or machine sees.
/// - `request` replaces an earlier request of the same digest.
/// - `approve` adds: an approval that is already there is kept once, and none is lost when several come at the same time.
/// - A damaged or foreign item hides no other. `approvals` names it in [`ApprovalsFound::passed_over`]; as a request it counts as absent.
/// - Bounds: a request of at most [`MAX_REQUEST`] bytes, an approval of at most [`MAX_APPROVAL`], [`MAX_APPROVALS`] approvals for each
///   digest.
///
/// # Errors
/// `InvalidInput` beyond a bound; `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping a future may leave the write made; repeating it is harmless.
#[async_trait]
pub trait ApprovalStore: Debug + Send + Sync + 'static {
    /// Files what others are asked to approve.
    async fn request(&self, request: &ApprovalRequest) -> Result<()>;
    /// The request of that digest, if there is one.
    async fn requested(&self, digest: Digest) -> Result<Option<ApprovalRequest>>;
    /// The requests that run out after `now`, newest first, at most [`MAX_OPEN`].
    async fn open(&self, now: Timestamp) -> Result<Vec<ApprovalRequest>>;
    /// Adds an approval.
    async fn approve(&self, approval: &Approval) -> Result<()>;
    /// The approvals of that digest, in no order.
    async fn approvals(&self, digest: Digest) -> Result<ApprovalsFound>;
}

/// What a store has on one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalsFound {
    /// Unchecked.
    pub approvals: Vec<Approval>,
    /// What is there and is no approval of this digest, a line each.
    pub passed_over: Vec<String>,
}

impl ApprovalsFound {
    /// Sorts out one stored text, called `name` for people.
    pub fn add(&mut self, digest: Digest, name: impl Into<String>, text: &str) {
        match serde_json::from_str::<Approval>(text) {
            Ok(approval) if approval.plan() == digest && text.len() <= MAX_APPROVAL => {
                self.approvals.push(approval);
            }
            _ => self.passed_over.push(name.into()),
        }
    }
}

impl ApprovalRequest {
    /// The text that a store keeps.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for more than [`MAX_REQUEST`] bytes.
    pub fn to_stored(&self) -> Result<String> {
        bounded("request", serde_json::to_string(self), MAX_REQUEST)
    }

    /// The request of `digest` in a stored text, if it is one.
    pub fn from_stored(digest: Digest, text: &str) -> Option<Self> {
        let request: Self = serde_json::from_str(text).ok()?;
        (request.digest == digest && text.len() <= MAX_REQUEST).then_some(request)
    }
}

impl Approval {
    /// The text that a store keeps.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for more than [`MAX_APPROVAL`] bytes.
    pub fn to_stored(&self) -> Result<String> {
        bounded("approval", serde_json::to_string(self), MAX_APPROVAL)
    }
}

fn bounded(what: &'static str, text: serde_json::Result<String>, most: usize) -> Result<String> {
    let wrong = || Error::new(ErrorKind::InvalidInput, "keep approval");
    let text = text.map_err(|source| wrong().source(source))?;
    if text.len() > most {
        return Err(wrong().context(what, format!("has {} bytes, {most} is the most", text.len())));
    }
    Ok(text)
}

/// The most bytes of JSON that a request may have.
pub const MAX_REQUEST: usize = 1 << 20;
/// The most bytes of JSON that an approval may have.
pub const MAX_APPROVAL: usize = 4 << 10;
/// The most approvals that a digest may have.
pub const MAX_APPROVALS: usize = 64;
/// The most open requests that are listed.
pub const MAX_OPEN: usize = 100;
