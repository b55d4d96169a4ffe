use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{RunId, TargetId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use tokio::sync::watch;

use super::Log;

/// A journal that several engines share. What is written becomes text once, as in a durable one, so that a value that does not survive being
/// written shows.
#[derive(Debug, Default)]
pub(crate) struct SharedJournal {
    book: Mutex<Book>,
    log: Option<Log>,
}

#[derive(Debug, Default)]
struct Book {
    entries: BTreeMap<RunId, Vec<JournalEntry>>,
    held: BTreeMap<TargetId, Held>,
}

impl SharedJournal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn logged(log: &Log) -> Self {
        Self {
            log: Some(log.clone()),
            ..Self::default()
        }
    }

    /// How many entries and held snapshots there are.
    pub(crate) fn len(&self) -> usize {
        let book = self.book.lock().unwrap();
        book.entries.values().map(Vec::len).sum::<usize>() + book.held.len()
    }

    fn note(&self, line: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.add(line());
        }
    }
}

fn written<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[async_trait]
impl Journal for SharedJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        let mut book = self.book.lock().unwrap();
        let entries = book.entries.entry(entry.run.clone()).or_default();
        entries.push(written(entry));
        drop(book);
        self.note(|| match &entry.event {
            JournalEvent::Started { .. } => "started".to_owned(),
            JournalEvent::Intent { target, .. } => format!("intent {target}"),
            JournalEvent::Applied { target, .. } => format!("applied {target}"),
            JournalEvent::Verified { target, .. } => format!("verified {target}"),
            JournalEvent::Gate { gate, moment } => format!("gate {gate} {moment:?}"),
            JournalEvent::Aborted { .. } => "aborted".to_owned(),
            JournalEvent::ClosedAgain { target, .. } => format!("closed again {target}"),
            _ => "ended".to_owned(),
        });
        Ok(())
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let book = self.book.lock().unwrap();
        Ok(book.entries.get(run).cloned().unwrap_or_default())
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        Ok(self.book.lock().unwrap().entries.keys().cloned().collect())
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        let target = wanted.snapshot.target().clone();
        self.note(|| format!("hold {target}"));
        let mut book = self.book.lock().unwrap();
        Ok(book.held.entry(target).or_insert_with(|| written(wanted)).clone())
    }

    async fn held(&self) -> Result<Vec<Held>> {
        Ok(self.book.lock().unwrap().held.values().cloned().collect())
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.note(|| format!("release {target}"));
        let mut book = self.book.lock().unwrap();
        if book.held.get(target).is_some_and(|held| held.run == *run) {
            book.held.remove(target);
        }
        Ok(())
    }
}

/// The negative control: a journal in which a later snapshot replaces an earlier one.
#[derive(Debug, Default)]
pub(crate) struct LastWriterWins(SharedJournal);

#[async_trait]
impl Journal for LastWriterWins {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.0.append(entry).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.0.entries(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.0.runs().await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        let mut book = self.0.book.lock().unwrap();
        book.held
            .insert(wanted.snapshot.target().clone(), written(wanted));
        Ok(wanted.clone())
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.0.held().await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.0.release(run, target).await
    }
}

/// How a broken journal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Hangs,
    Fails,
}

/// A journal that is broken for some of its calls, counted over all of them.
#[derive(Debug)]
pub(crate) struct FaultyJournal {
    inner: Arc<dyn Journal>,
    failure: Failure,
    calls: AtomicUsize,
    broken: Mutex<std::ops::Range<usize>>,
}

impl FaultyJournal {
    /// Broken from the first call on.
    pub(crate) fn dead(failure: Failure) -> Self {
        Self::broken_for(Arc::new(SharedJournal::new()), failure, 0..usize::MAX)
    }

    /// Broken for the calls of this range; the first is 0.
    pub(crate) fn broken_for(
        inner: Arc<dyn Journal>,
        failure: Failure,
        broken: std::ops::Range<usize>,
    ) -> Self {
        Self {
            inner,
            failure,
            calls: AtomicUsize::new(0),
            broken: Mutex::new(broken),
        }
    }

    pub(crate) fn repair(&self) {
        *self.broken.lock().unwrap() = 0..0;
    }

    /// Breaks after so many further calls.
    pub(crate) fn break_after(&self, calls: usize) {
        *self.broken.lock().unwrap() = self.calls.load(Ordering::SeqCst) + calls..usize::MAX;
    }

    pub(crate) fn break_now(&self) {
        *self.broken.lock().unwrap() = 0..usize::MAX;
    }

    async fn gate(&self) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let broken = self.broken.lock().unwrap().contains(&call);
        match (broken, self.failure) {
            (false, _) => Ok(()),
            (true, Failure::Fails) => Err(Error::new(ErrorKind::Unavailable, "journal").provider("test")),
            (true, Failure::Hangs) => pending().await,
        }
    }
}

#[async_trait]
impl Journal for FaultyJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.gate().await?;
        self.inner.append(entry).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.gate().await?;
        self.inner.entries(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.gate().await?;
        self.inner.runs().await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.gate().await?;
        self.inner.hold(wanted).await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.gate().await?;
        self.inner.held().await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.gate().await?;
        self.inner.release(run, target).await
    }
}

/// When, seen from the write, the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    BeforeTheWrite,
    AfterTheWrite,
}

/// A journal seen by a process that dies at one of its writes: neither that write nor any later call returns.
#[derive(Debug)]
pub(crate) struct CutJournal {
    inner: Arc<dyn Journal>,
    at: usize,
    moment: Moment,
    writes: AtomicUsize,
    dead: watch::Sender<bool>,
}

impl CutJournal {
    /// Dies at write number `at`, counted from 1.
    pub(crate) fn new(inner: Arc<dyn Journal>, at: usize, moment: Moment) -> Self {
        Self {
            inner,
            at,
            moment,
            writes: AtomicUsize::new(0),
            dead: watch::Sender::new(false),
        }
    }

    /// Ends when the process is dead.
    pub(crate) async fn died(&self) {
        let mut dead = self.dead.subscribe();
        dead.wait_for(|dead| *dead).await.unwrap();
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    async fn die(&self) {
        self.dead.send_replace(true);
        pending().await
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if number < self.at {
            return write.await;
        }
        if number == self.at && self.moment == Moment::AfterTheWrite {
            write.await?;
        }
        self.die().await;
        unreachable!("the dead do not return")
    }

    async fn alive(&self) {
        if *self.dead.borrow() {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Journal for CutJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.write(self.inner.append(entry)).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.alive().await;
        self.inner.entries(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.alive().await;
        self.inner.runs().await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.write(self.inner.hold(wanted)).await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.alive().await;
        self.inner.held().await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.write(self.inner.release(run, target)).await
    }
}
