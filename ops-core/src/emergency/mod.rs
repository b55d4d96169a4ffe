//! Stop → verify → restore: plans, approvals, execution, read-back, recovery after a crash.
//!
//! A stop needs nothing but the provider it acts on. The prior state of every target is durable before the first effect and
//! the first writer wins; if no journal takes it, the stop goes ahead and the outcome carries the only copy.

mod abort;
mod approve;
mod automation;
mod behind;
mod catch_up;
mod conclude;
mod confirm;
mod consent;
mod drift;
mod execute;
mod forget;
mod gate;
mod glass;
mod go_back;
mod history;
mod ledger;
mod meter;
mod opening;
mod outstanding;
mod plan;
#[cfg(feature = "failpoints")]
mod points;
mod prior;
mod procedure;
mod reading;
mod recover;
mod refusal;
mod replay;
mod restore;
mod review;
mod rules;
mod safety;
mod signature;
mod span;
mod stages;
mod timeline;
mod verify;
mod way;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use self::approve::{ApprovalPolicy, Approver, Approvers, Consent};
pub use self::automation::AutomationLimits;
pub use self::confirm::Confirmation;
pub use self::forget::{Forgetting, Forgotten};
pub use self::gate::Gate;
pub use self::glass::BreakGlass;
pub use self::history::gave_way;
pub use self::meter::Meter;
pub use self::plan::{Approved, Draft, Plan};
pub use self::procedure::{Contact, Procedure, Step};
pub use self::refusal::Refusal;
pub use self::review::Review;
pub use self::rules::{OnUnavailable, Rule, SafetyRule, Violation};
pub use self::signature::ApprovalKey;
pub use self::timeline::{Timeline, TimelineLine, timeline};
#[cfg(feature = "failpoints")]
pub use crate::failpoint::FAIL_POINTS;

use self::ledger::Ledger;
use self::way::Underway;
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

    /// Where the entry that was just [`seen`](Self::seen) is kept.
    fn kept(&self, entry: &JournalEntry, kept: Kept) {
        let _ = (entry, kept);
    }
}

/// Where a journal entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth place")]
pub enum Kept {
    /// In the journal.
    Journal,
    /// In the spool of this machine only.
    Spool,
    /// Nowhere: the report of the run is the only copy.
    Nowhere,
}

impl Kept {
    /// `journal`, `spool` or `nowhere`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Spool => "spool",
            Self::Nowhere => "nowhere",
        }
    }
}

/// Carries out procedures. Cheap to clone; clones share the journal.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    masker: Option<Arc<dyn PiiMasker>>,
    review_due: Duration,
    underway: Underway,
    jitter_seed: u64,
}

impl Engine {
    /// An engine over one journal.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let ledger = Ledger::new(journal, Arc::clone(&clock));
        Self {
            clock,
            ledger,
            masker: None,
            review_due: Duration::from_secs(3 * 24 * 3600),
            underway: Underway::default(),
            jitter_seed: 0,
        }
    }

    /// Makes the jitter of restores another one; it depends on the run and this. Default: 0.
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = seed;
        self
    }

    /// Masks reasons and vendors' error texts before they are journalled.
    #[must_use]
    pub fn with_masker(mut self, masker: Arc<dyn PiiMasker>) -> Self {
        self.masker = Some(masker);
        self
    }

    /// How long after a broken glass its review is due. Default: 3 days.
    #[must_use]
    pub fn with_review_due(mut self, due: Duration) -> Self {
        self.review_due = due;
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

    /// All runs, oldest first; while the journal cannot be read, those of the spool, if it has any.
    ///
    /// # Errors
    /// The journal's, when neither the journal nor the spool can be read.
    pub async fn runs(&self) -> Result<Vec<RunId>> {
        Ok(self.ledger.runs().await?.found)
    }

    /// The entries of a run, oldest first; empty for an unknown run.
    ///
    /// # Errors
    /// As [`runs`](Self::runs); also when the journal cannot be read and the spool does not have the beginning of the run.
    pub async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let read = self.ledger.entries(run).await?;
        let begins = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Started { .. });
        if read.found.iter().any(begins) {
            return Ok(read.found);
        }
        read.whole()
    }

    /// Every prior state that waits for a restore.
    ///
    /// # Errors
    /// As [`runs`](Self::runs).
    pub async fn held(&self) -> Result<Vec<Held>> {
        Ok(self.ledger.held().await?.found)
    }
}
