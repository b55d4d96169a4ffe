//! Stop → verify → restore: plans, approvals, execution, read-back, recovery after a crash.
//!
//! A stop needs nothing but the provider it acts on. The prior state of every target is durable before the first effect and
//! the first writer wins; if no journal takes it, the stop goes ahead and the outcome carries the only copy.

mod approve;
mod conclude;
mod confirm;
mod execute;
mod history;
mod ledger;
mod outstanding;
mod plan;
mod procedure;
mod recover;
mod refusal;
mod restore;
mod verify;

use std::fmt::Debug;
use std::sync::Arc;

pub use self::approve::{Approval, ApprovalKey, ApprovalPolicy, Approver, Approvers, BreakGlass, Consent};
pub use self::confirm::Confirmation;
pub use self::plan::{Approved, Draft, Plan};
pub use self::procedure::{Contact, Procedure, Step};
pub use self::refusal::Refusal;

use self::ledger::Ledger;
use crate::error::Result;
use crate::model::RunId;
use crate::ports::{Clock, Held, Journal, JournalEntry, JournalEvent, PiiMasker};

/// Sees every journal entry as it is made: progress bars, timelines, tests that kill the process.
///
/// # Contract
/// `seen` returns at once; it is called on the path from stop to effect.
pub trait Watch: Debug + Send + Sync + 'static {
    /// An entry has been written, or could not be written anywhere.
    fn seen(&self, entry: &JournalEntry);
}

/// Carries out procedures. Cheap to clone; clones share the journal.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    masker: Option<Arc<dyn PiiMasker>>,
}

impl Engine {
    /// An engine over one journal.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let ledger = Ledger::new(journal, Arc::clone(&clock));
        Self {
            clock,
            ledger,
            masker: None,
        }
    }

    /// Masks reasons and vendors' error texts before they are journalled.
    #[must_use]
    pub fn with_masker(mut self, masker: Arc<dyn PiiMasker>) -> Self {
        self.masker = Some(masker);
        self
    }

    /// Adds a journal on this machine, used while the first one cannot be reached.
    #[must_use]
    pub fn with_spool(mut self, spool: Arc<dyn Journal>) -> Self {
        self.ledger = self.ledger.with_spool(spool);
        self
    }

    /// Adds somebody who sees every entry.
    #[must_use]
    pub fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.ledger = self.ledger.with_watch(watch);
        self
    }

    /// Notes that a run has been recorded and told.
    pub(crate) async fn published(&self, run: &RunId, audited: bool) {
        self.note(run, JournalEvent::Published { audited }).await;
    }

    /// All runs, oldest first.
    ///
    /// # Errors
    /// The journal's, when neither the journal nor the spool can be read.
    pub async fn runs(&self) -> Result<Vec<RunId>> {
        self.ledger.runs().await
    }

    /// The entries of a run, oldest first; empty for an unknown run.
    ///
    /// # Errors
    /// As [`runs`](Self::runs).
    pub async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.ledger.entries(run).await
    }

    /// Every prior state that waits for a restore.
    ///
    /// # Errors
    /// As [`runs`](Self::runs).
    pub async fn held(&self) -> Result<Vec<Held>> {
        self.ledger.held().await
    }
}
