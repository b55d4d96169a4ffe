use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{RunId, TargetId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};

/// What a journal is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Append,
    /// An append of what was seen of a step.
    AppendVerified,
    Entries,
    Runs,
    Hold,
    /// What is held of one target goes by this too.
    Held,
    /// Counted only.
    HeldOf,
    Release,
}

type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The view that one machine has of a journal: single kinds of calls fail or are slow, and somebody else acts right before or after one.
pub(crate) struct Meddled {
    inner: Arc<dyn Journal>,
    broken: Mutex<BTreeSet<Verb>>,
    slow: Mutex<BTreeMap<Verb, Duration>>,
    before: Mutex<Option<(Verb, Deed)>>,
    after: Mutex<Option<(Verb, Deed)>>,
    calls: Mutex<BTreeMap<Verb, usize>>,
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddled")
    }
}

impl Meddled {
    pub(crate) fn over(inner: &Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            broken: Mutex::default(),
            slow: Mutex::default(),
            before: Mutex::default(),
            after: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// How many such calls there were.
    pub(crate) fn calls(&self, verb: Verb) -> usize {
        self.calls.lock().unwrap().get(&verb).copied().unwrap_or_default()
    }

    /// From now on these calls fail, and no others.
    pub(crate) fn break_only(&self, verbs: &[Verb]) {
        *self.broken.lock().unwrap() = verbs.iter().copied().collect();
    }

    /// From now on such a call takes so long.
    pub(crate) fn slow_down(&self, verb: Verb, by: Duration) {
        self.slow.lock().unwrap().insert(verb, by);
    }

    /// Once, right before the next such call.
    pub(crate) fn before(&self, verb: Verb, deed: impl Future<Output = ()> + Send + 'static) {
        *self.before.lock().unwrap() = Some((verb, Box::pin(deed)));
    }

    /// Once, right after the next such call.
    pub(crate) fn after(&self, verb: Verb, deed: impl Future<Output = ()> + Send + 'static) {
        *self.after.lock().unwrap() = Some((verb, Box::pin(deed)));
    }

    fn count(&self, verb: Verb) {
        *self.calls.lock().unwrap().entry(verb).or_default() += 1;
    }

    async fn call<T>(&self, verb: Verb, work: impl Future<Output = Result<T>> + Send) -> Result<T>
    where
        T: Send,
    {
        let take = |slot: &Mutex<Option<(Verb, Deed)>>| {
            let mut slot = slot.lock().unwrap();
            slot.take_if(|(at, _)| *at == verb).map(|(_, deed)| deed)
        };
        let deed = take(&self.before);
        if let Some(deed) = deed {
            deed.await;
        }
        let slow = self.slow.lock().unwrap().get(&verb).copied();
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        if self.broken.lock().unwrap().contains(&verb) {
            return Err(Error::new(ErrorKind::Unavailable, "journal").provider("test"));
        }
        let answer = work.await;
        let deed = take(&self.after);
        if let Some(deed) = deed {
            deed.await;
        }
        answer
    }
}

#[async_trait]
impl Journal for Meddled {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        let verb = match entry.event {
            JournalEvent::Verified { .. } => Verb::AppendVerified,
            _ => Verb::Append,
        };
        self.call(verb, self.inner.append(entry)).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.count(Verb::Entries);
        self.call(Verb::Entries, self.inner.entries(run)).await
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.count(Verb::Runs);
        self.call(Verb::Runs, self.inner.runs()).await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.call(Verb::Hold, self.inner.hold(wanted)).await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.count(Verb::Held);
        self.call(Verb::Held, self.inner.held()).await
    }

    async fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        self.count(Verb::HeldOf);
        self.call(Verb::Held, self.inner.held_of(target)).await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.call(Verb::Release, self.inner.release(run, target)).await
    }
}
