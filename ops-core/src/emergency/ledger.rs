use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Instrument as _;

#[cfg(feature = "failpoints")]
use super::points::{after, before, release_points};
use super::reading::Reading;
use super::span::of_journal;
use super::{Kept, Watch};
use crate::error::{ErrorKind, Result};
use crate::failpoint::fail_point;
use crate::model::{PlannedStep, RunId, TargetId};
use crate::ports::{Clock, Held, Journal, JournalEntry};
use crate::resilience::{Deadline, caught};

/// The journal with a spool behind it. A stop waits at most [`JOURNAL_BUDGET`] once for each of the two if it does not answer; for
/// [`REST`] from then on it is left alone.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    primary: Book,
    spool: Option<Book>,
    clock: Arc<dyn Clock>,
    watch: Vec<Arc<dyn Watch>>,
}

/// One journal, and until when it is left alone.
#[derive(Clone, Debug)]
pub(super) struct Book {
    journal: Arc<dyn Journal>,
    /// In milliseconds of the monotonic clock; zero: it is used.
    down_until: Arc<AtomicU64>,
}

impl Book {
    fn new(journal: Arc<dyn Journal>) -> Self {
        let down_until = Arc::default();
        Self { journal, down_until }
    }
}

/// What each of the two has.
struct Both<T> {
    primary: Result<Vec<T>>,
    spool: Vec<T>,
}

impl<T> Both<T> {
    fn joined(self) -> Reading<T> {
        let (mut found, missing) = match self.primary {
            Ok(found) => (found, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        found.extend(self.spool);
        Reading { found, missing }
    }
}

/// How long a journal may take before a stop goes on without it.
const JOURNAL_BUDGET: Duration = Duration::from_secs(2);

/// How long a journal that failed is left alone.
pub(super) const REST: Duration = Duration::from_secs(30);

/// Where something was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    Primary,
    Spool,
    Nowhere,
}

pub(super) fn worse(first: Recorded, second: Recorded) -> Recorded {
    match (first, second) {
        (Recorded::Nowhere, _) | (_, Recorded::Nowhere) => Recorded::Nowhere,
        (Recorded::Spool, _) | (_, Recorded::Spool) => Recorded::Spool,
        _ => Recorded::Primary,
    }
}

impl From<Recorded> for Kept {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Primary => Self::Journal,
            Recorded::Spool => Self::Spool,
            Recorded::Nowhere => Self::Nowhere,
        }
    }
}

impl Ledger {
    pub(super) fn new(primary: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self {
            primary: Book::new(primary),
            spool: None,
            clock,
            watch: Vec::new(),
        }
    }

    pub(super) fn with_spool(mut self, spool: Arc<dyn Journal>) -> Self {
        self.spool = Some(Book::new(spool));
        self
    }

    pub(super) fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch.push(watch);
        self
    }

    /// The same for who asks the journal although it failed a moment ago. Everybody else goes on leaving it alone.
    pub(super) fn asking_anew(&self) -> Self {
        Self {
            primary: Book::new(Arc::clone(&self.primary.journal)),
            ..self.clone()
        }
    }

    /// What this machine has written while the journal was away, read without it.
    pub(super) fn spool_alone(&self) -> Option<Self> {
        let primary = self.spool.clone()?;
        Some(Self {
            primary,
            spool: None,
            ..self.clone()
        })
    }

    pub(super) async fn append(&self, entry: &JournalEntry) -> Recorded {
        fail_point!(before(&entry.event));
        let recorded = if self.takes(&self.primary, entry).await {
            Recorded::Primary
        } else {
            self.spool_entry(entry).await
        };
        fail_point!(after(&entry.event));
        for watch in &self.watch {
            watch.seen(entry);
            watch.kept(entry, recorded.into());
        }
        recorded
    }

    async fn spool_entry(&self, entry: &JournalEntry) -> Recorded {
        let Some(spool) = &self.spool else {
            return Recorded::Nowhere;
        };
        fail_point!("spool.append.before");
        let taken = self.takes(spool, entry).await;
        fail_point!("spool.append.after");
        if taken { Recorded::Spool } else { Recorded::Nowhere }
    }

    /// The snapshot that is held now, or `None` if no journal took it.
    pub(super) async fn hold(&self, wanted: &Held) -> Option<Held> {
        fail_point!("step.hold.before");
        let mut held = self.written(&self.primary, |journal| journal.hold(wanted)).await;
        if held.is_none()
            && let Some(spool) = &self.spool
        {
            fail_point!("spool.hold.before");
            held = self.written(spool, |journal| journal.hold(wanted)).await;
            fail_point!("spool.hold.after");
        }
        fail_point!("step.hold.after");
        held
    }

    /// Ends the hold of `run` in both, and with it what the other one holds of the target: that was taken later, over what is restored now.
    pub(super) async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        let holds = self.held_of(target).await?.is_some_and(|held| held.run == *run);
        let mut released = Ok(());
        for book in self.spool.iter().chain([&self.primary]) {
            let journal = &*book.journal;
            let later = match (holds, self.bounded(journal.held_of(target)).await) {
                (true, Ok(held)) => held,
                _ => None,
            };
            let holder = later.map_or_else(|| run.clone(), |held| held.run);
            fail_point!(release_points(self, book)[0]);
            released = released.and(self.bounded(journal.release(&holder, target)).await);
            fail_point!(release_points(self, book)[1]);
        }
        released
    }

    #[cfg(feature = "failpoints")]
    pub(super) fn is_primary(&self, book: &Book) -> bool {
        std::ptr::eq(book, &self.primary)
    }

    /// Whether the journal failed a moment ago and is left alone.
    pub(super) fn rests(&self) -> bool {
        self.now_millis() < self.primary.down_until.load(Ordering::Relaxed)
    }

    /// Asks the journal again although it failed a moment ago: an opening can wait for the answer.
    pub(super) fn try_again(&self) {
        for book in self.spool.iter().chain([&self.primary]) {
            book.down_until.store(0, Ordering::Relaxed);
        }
    }

    pub(super) async fn entries(&self, run: &RunId) -> Result<Reading<JournalEntry>> {
        let both = self
            .both(|journal| async move { journal.entries(run).await })
            .await?;
        let merged = !both.spool.is_empty();
        Ok(both.joined().map(|found| {
            let mut entries: Vec<JournalEntry> = Vec::new();
            // What was copied is in both, and twice in one if two processes copied it at once.
            for entry in found {
                if !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
            if merged {
                // Stable: within a journal the order stays as it was appended unless the wall clock says otherwise.
                entries.sort_by_key(|entry| entry.at);
            }
            entries
        }))
    }

    pub(super) async fn runs(&self) -> Result<Reading<RunId>> {
        let both = self.both(|journal| async move { journal.runs().await }).await?;
        let sorted = |found: Vec<_>| found.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        Ok(both.joined().map(sorted))
    }

    /// Where journal and spool hold the same target, the earlier snapshot is the prior state.
    pub(super) async fn held(&self) -> Result<Reading<Held>> {
        let both = self.both(|journal| async move { journal.held().await }).await?;
        Ok(both.joined().map(|mut held| {
            held.sort_by_key(|held| held.at);
            let mut seen = BTreeSet::new();
            held.retain(|held| seen.insert(held.snapshot.target().clone()));
            held
        }))
    }

    /// As [`held`](Self::held), of one target. A damaged one is an error wherever it lies: nobody knows which came first.
    pub(super) async fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        let both = self
            .both(|journal| async move {
                match journal.held_of(target).await {
                    Err(error) if error.kind() == ErrorKind::Unexpected => Ok(vec![Err(error)]),
                    held => Ok(held?.into_iter().map(Ok).collect()),
                }
            })
            .await?;
        let held: Vec<Held> = both.joined().found.into_iter().collect::<Result<_>>()?;
        Ok(held.into_iter().min_by_key(|held| held.at))
    }

    /// The held states of the targets of `steps`, and why some of them cannot be read.
    pub(super) async fn held_among(
        &self,
        steps: &[PlannedStep],
    ) -> Result<(Vec<Held>, BTreeMap<TargetId, String>)> {
        let (mut found, mut unreadable) = (Vec::new(), BTreeMap::new());
        for step in steps {
            match self.held_of(&step.target).await {
                Ok(held) => found.extend(held),
                Err(error) if error.kind() == ErrorKind::Unexpected => {
                    let reason = format!("its held state cannot be read: {error}");
                    unreadable.insert(step.target.clone(), reason);
                }
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|held| held.at);
        Ok((found, unreadable))
    }

    /// Copies the entries that only the spool has; gives how many.
    pub(super) async fn copy_entries(&self) -> Result<usize> {
        let Some(spool) = &self.spool else {
            return Ok(0);
        };
        let mut copied = 0;
        for run in self.bounded(spool.journal.runs()).await? {
            let spooled = match self.bounded(spool.journal.entries(&run)).await {
                Ok(spooled) => spooled,
                Err(error) => {
                    tracing::warn!(%error, %run, "passed over a run of the spool that cannot be read");
                    continue;
                }
            };
            let known = self.bounded(self.primary.journal.entries(&run)).await?;
            for entry in spooled.iter().filter(|entry| !known.contains(entry)) {
                fail_point!("spool.copy.before");
                self.bounded(self.primary.journal.append(entry)).await?;
                fail_point!("spool.copy.after");
                copied += 1;
            }
        }
        Ok(copied)
    }

    /// What the spool holds.
    pub(super) async fn spooled(&self) -> Result<Vec<Held>> {
        match &self.spool {
            Some(spool) => self.bounded(spool.journal.held()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Moves a held state from the spool to the journal, unless the journal holds another one of the target; `over`: ends it. Gives whether it
    /// was moved.
    pub(super) async fn move_hold(&self, held: &Held, over: bool) -> Result<bool> {
        let Some(spool) = &self.spool else {
            return Ok(false);
        };
        if !over {
            fail_point!("spool.move.before");
            let holder = self.bounded(self.primary.journal.hold(held)).await?;
            fail_point!("spool.move.after");
            if holder.run != held.run {
                return Ok(false);
            }
        }
        self.bounded(spool.journal.release(&held.run, held.snapshot.target()))
            .await?;
        Ok(!over)
    }

    /// Reads both; fails only if neither can be read, or nothing is in the one that can.
    async fn both<'a, T, F, W>(&'a self, read: F) -> Result<Both<T>>
    where
        F: Fn(&'a dyn Journal) -> W,
        W: Future<Output = Result<Vec<T>>>,
    {
        let Some(spool) = &self.spool else {
            return Ok(Both {
                primary: Ok(self.bounded(read(&*self.primary.journal)).await?),
                spool: Vec::new(),
            });
        };
        match tokio::join!(
            self.bounded(read(&*self.primary.journal)),
            self.bounded(read(&*spool.journal))
        ) {
            (Err(error), Ok(spool)) if spool.is_empty() => Err(error),
            (Err(error), Err(_)) => Err(error),
            (primary, spool) => Ok(Both {
                primary,
                spool: spool.unwrap_or_default(),
            }),
        }
    }

    fn now_millis(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    async fn takes(&self, book: &Book, entry: &JournalEntry) -> bool {
        self.written(book, |journal| journal.append(entry))
            .await
            .is_some()
    }

    async fn written<'a, T, F, W>(&self, book: &'a Book, write: F) -> Option<T>
    where
        F: FnOnce(&'a dyn Journal) -> W,
        W: Future<Output = Result<T>>,
    {
        if self.now_millis() < book.down_until.load(Ordering::Relaxed) {
            return None;
        }
        let write = async { write(&*book.journal).await };
        match self.bounded(write).instrument(of_journal()).await {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::error!(%error, "a journal does not take entries; going on without it");
                if !matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable) {
                    // One damaged file, not a journal that is down.
                    return None;
                }
                let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
                book.down_until
                    .store(self.now_millis().saturating_add(rest), Ordering::Relaxed);
                None
            }
        }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        Deadline::after(&*self.clock, JOURNAL_BUDGET)
            .bound(&*self.clock, "write journal", caught("write journal", work))
            .await
    }
}
