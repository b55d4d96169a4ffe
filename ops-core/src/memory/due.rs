use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Completion, DueDate, DueKey, Timestamp};
use crate::ports::DueDates;

/// Due dates in memory. They do not survive the process: for tests.
#[derive(Debug, Default)]
pub struct InMemoryDueDates {
    kept: Mutex<Kept>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Kept {
    begun: BTreeMap<String, Timestamp>,
    dates: BTreeMap<DueKey, DueDate>,
    completions: BTreeMap<DueKey, Completion>,
}

impl InMemoryDueDates {
    /// Nothing was ever due.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl DueDates for InMemoryDueDates {
    async fn begin(&self, item: &str, at: Timestamp) -> Result<Timestamp> {
        self.plug.check("begin calendar")?;
        Ok(*lock(&self.kept).begun.entry(item.to_owned()).or_insert(at))
    }

    async fn set(&self, date: &DueDate) -> Result<()> {
        self.plug.check("set due date")?;
        let mut kept = lock(&self.kept);
        let known = kept.dates.entry(date.key.clone()).or_insert_with(|| date.clone());
        if known.says_the_same_as(date) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, "set due date")
            .provider("memory")
            .context("key", "has another date already"))
    }

    async fn complete(&self, completion: &Completion) -> Result<Completion> {
        self.plug.check("complete due date")?;
        let mut kept = lock(&self.kept);
        let known = kept
            .completions
            .entry(completion.key.clone())
            .or_insert_with(|| completion.clone());
        if known.says_the_same_as(completion) {
            return Ok(known.clone());
        }
        Err(Error::new(ErrorKind::Conflict, "complete due date")
            .provider("memory")
            .context("by", known.by.id())
            .context("at", known.at.to_string()))
    }

    async fn dates(&self) -> Result<Vec<DueDate>> {
        self.plug.check("read due dates")?;
        let mut dates: Vec<_> = lock(&self.kept).dates.values().cloned().collect();
        dates.sort_by(|one, other| (one.due, &one.key).cmp(&(other.due, &other.key)));
        Ok(dates)
    }

    async fn completions(&self, since: Timestamp) -> Result<Vec<Completion>> {
        self.plug.check("read completions")?;
        let mut completions: Vec<_> = lock(&self.kept).completions.values().cloned().collect();
        completions.retain(|completion| completion.at >= since);
        completions.sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        Ok(completions)
    }
}
