use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Watch;
use crate::error::{ErrorKind, Result};
use crate::model::{RunId, TargetId};
use crate::ports::{Clock, Held, Journal, JournalEntry};
use crate::resilience::Deadline;

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
struct Book {
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

/// How long a journal may take before a stop goes on without it.
const JOURNAL_BUDGET: Duration = Duration::from_secs(2);

/// How long a journal that failed is left alone.
const REST: Duration = Duration::from_secs(30);

/// Where something was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    Primary,
    Spool,
    Nowhere,
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

    pub(super) async fn append(&self, entry: &JournalEntry) -> Recorded {
        let recorded = if self.takes(&self.primary, entry).await {
            Recorded::Primary
        } else {
            match &self.spool {
                Some(spool) if self.takes(spool, entry).await => Recorded::Spool,
                _ => Recorded::Nowhere,
            }
        };
        self.watch.iter().for_each(|watch| watch.seen(entry));
        recorded
    }

    /// The snapshot that is held now, or `None` if no journal took it.
    pub(super) async fn hold(&self, wanted: &Held) -> Option<Held> {
        if let Some(held) = self.written(&self.primary, |journal| journal.hold(wanted)).await {
            return Some(held);
        }
        self.written(self.spool.as_ref()?, |journal| journal.hold(wanted))
            .await
    }

    /// Ends the hold of `run` in both, and with it what the other one holds of the target: that was taken later, over what is restored now.
    pub(super) async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        let held = self.held().await?;
        let holds = held
            .iter()
            .any(|held| held.run == *run && held.snapshot.target() == target);
        let mut released = Ok(());
        for book in self.spool.iter().chain([&self.primary]) {
            let journal = &*book.journal;
            let later = match (holds, self.bounded(journal.held()).await) {
                (true, Ok(held)) => held.into_iter().find(|held| held.snapshot.target() == target),
                _ => None,
            };
            let holder = later.map_or_else(|| run.clone(), |held| held.run);
            released = released.and(self.bounded(journal.release(&holder, target)).await);
        }
        released
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

    pub(super) async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let (primary, spool) = self
            .both(|journal| async move { journal.entries(run).await })
            .await?;
        if spool.is_empty() {
            return Ok(primary);
        }
        let mut entries: Vec<_> = primary.into_iter().chain(spool).collect();
        // Stable: within a journal the order stays as it was appended unless the wall clock says otherwise.
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }

    pub(super) async fn runs(&self) -> Result<Vec<RunId>> {
        let (primary, spool) = self.both(|journal| async move { journal.runs().await }).await?;
        Ok(primary
            .into_iter()
            .chain(spool)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect())
    }

    /// Where journal and spool hold the same target, the earlier snapshot is the prior state.
    pub(super) async fn held(&self) -> Result<Vec<Held>> {
        let (primary, spool) = self.both(|journal| async move { journal.held().await }).await?;
        let mut held: Vec<_> = primary.into_iter().chain(spool).collect();
        held.sort_by_key(|held| held.at);
        let mut seen = BTreeSet::new();
        held.retain(|held| seen.insert(held.snapshot.target().clone()));
        Ok(held)
    }

    /// Reads both; fails only if neither can be read.
    async fn both<'a, T, F, W>(&'a self, read: F) -> Result<(Vec<T>, Vec<T>)>
    where
        F: Fn(&'a dyn Journal) -> W,
        W: Future<Output = Result<Vec<T>>>,
    {
        let Some(spool) = &self.spool else {
            return Ok((self.bounded(read(&*self.primary.journal)).await?, Vec::new()));
        };
        match tokio::join!(
            self.bounded(read(&*self.primary.journal)),
            self.bounded(read(&*spool.journal))
        ) {
            (Err(error), Ok(spool)) if spool.is_empty() => Err(error),
            (Err(error), Err(_)) => Err(error),
            (primary, spool) => Ok((primary.unwrap_or_default(), spool.unwrap_or_default())),
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
        match self.bounded(write(&*book.journal)).await {
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
            .bound(&*self.clock, "write journal", work)
            .await
    }
}
