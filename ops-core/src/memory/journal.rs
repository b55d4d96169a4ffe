use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::{RunId, TargetId};
use crate::ports::{Held, Journal, JournalEntry};

/// A journal in memory. It does not survive the process: for tests and drills only.
#[derive(Debug, Default)]
pub struct InMemoryJournal {
    book: Mutex<Book>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Book {
    runs: BTreeMap<RunId, Vec<JournalEntry>>,
    held: BTreeMap<TargetId, Held>,
}

impl InMemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl Journal for InMemoryJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.plug.check("append to journal")?;
        let mut book = lock(&self.book);
        book.runs
            .entry(entry.run.clone())
            .or_default()
            .push(entry.clone());
        Ok(())
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.plug.check("read journal")?;
        Ok(lock(&self.book).runs.get(run).cloned().unwrap_or_default())
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.plug.check("list runs")?;
        Ok(lock(&self.book).runs.keys().cloned().collect())
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.plug.check("hold prior state")?;
        let mut book = lock(&self.book);
        let target = wanted.snapshot.target().clone();
        Ok(book.held.entry(target).or_insert_with(|| wanted.clone()).clone())
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.plug.check("list held states")?;
        Ok(lock(&self.book).held.values().cloned().collect())
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.plug.check("release prior state")?;
        let mut book = lock(&self.book);
        if book.held.get(target).is_some_and(|held| held.run == *run) {
            book.held.remove(target);
        }
        Ok(())
    }
}
