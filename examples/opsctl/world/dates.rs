use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::governance::drilled;
use ops_core::model::{Completion, DueDate, Recurring, Timestamp};
use ops_core::ports::{DrillLog, DueDates};

/// The due dates of this machine and, with a database, those that all machines share.
///
/// The database decides. What is said while it does not answer stays here and is brought to it by the next verb that reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Dates {
    pub(crate) here: Arc<dyn DueDates>,
    pub(crate) shared: Option<Arc<dyn DueDates>>,
    /// The reports of drills, which settle items that name one.
    pub(crate) drills: Arc<dyn DrillLog>,
}

/// What is known of due dates.
#[derive(Debug)]
pub(crate) struct Known {
    /// The items, and since when each is owed.
    pub(crate) items: Vec<(Recurring, Timestamp)>,
    pub(crate) dates: Vec<DueDate>,
    pub(crate) completions: Vec<Completion>,
    /// Why it is not all.
    pub(crate) unknown: Option<String>,
    /// How many entries of this machine the database has not taken yet.
    pub(crate) waiting: usize,
    /// What this machine kept, and what somebody else had said before.
    pub(crate) overruled: Vec<(Completion, Completion)>,
    /// What this machine had set, and the date that somebody else had set before.
    pub(crate) outdated: Vec<(DueDate, DueDate)>,
    /// Items that would be owed only from a time on that is still to come: a clock was ahead when they were first looked at.
    pub(crate) begun_ahead: Vec<(String, Timestamp)>,
}

/// Where something was written.
#[derive(Debug)]
pub(crate) enum Written {
    /// Where everybody sees it.
    Everywhere,
    /// On this machine only, because of this.
    Here(String),
}

impl Dates {
    /// Reads both, brings to the database what it lacks, and begins to look at items that are new.
    pub(crate) async fn look(&self, items: Vec<Recurring>, now: Timestamp) -> Result<Known> {
        let here = Entries::of(&*self.here).await;
        let shared = match &self.shared {
            Some(shared) => Some(bounded(Entries::of(&**shared)).await),
            None => None,
        };
        let mut known = Known {
            items: Vec::new(),
            dates: Vec::new(),
            completions: Vec::new(),
            unknown: None,
            waiting: 0,
            overruled: Vec::new(),
            outdated: Vec::new(),
            begun_ahead: Vec::new(),
        };
        let here = or_unknown(here, &mut known)?;
        let mut reached = match shared {
            Some(read) => {
                let answered = read.is_ok();
                let shared = or_unknown(read, &mut known)?;
                known.dates = shared.dates;
                known.completions = shared.completions;
                self.shared.as_deref().filter(|_| answered)
            }
            None => None,
        };
        for date in here.dates {
            if let Some(first) = known.dates.iter().find(|one| one.key == date.key) {
                if !first.says_the_same_as(&date) && date.set_at + TOLD > now {
                    known.outdated.push((date, first.clone()));
                }
                continue;
            }
            known.waiting +=
                usize::from(self.shared.is_some() && !brought(&mut reached, |to| to.set(&date)).await);
            known.dates.push(date);
        }
        for mine in here.completions {
            if let Some(first) = known.completions.iter().find(|one| one.key == mine.key) {
                if !first.says_the_same_as(&mine) && mine.at + TOLD > now {
                    known.overruled.push((mine, first.clone()));
                }
                continue;
            }
            known.waiting +=
                usize::from(self.shared.is_some() && !brought(&mut reached, |to| to.complete(&mine)).await);
            known.completions.push(mine);
        }
        known
            .dates
            .sort_by(|one, other| (one.due, &one.key).cmp(&(other.due, &other.key)));
        if items.iter().any(|item| item.drill.is_some()) {
            // What a person has said of an occurrence counts before that.
            for drill in drilled(&items, &self.drills.list().await?)? {
                // One that ended by a clock that is ahead has not ended yet.
                if drill.at <= now && !known.completions.iter().any(|one| one.key == drill.key) {
                    known.completions.push(drill);
                }
            }
        }
        known
            .completions
            .sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        for item in items {
            let begun = match item.since {
                Some(since) => since,
                None => self.begun(&item.id, now, reached).await?,
            };
            if item.since.is_none() && begun > now + APART {
                known.begun_ahead.push((item.id.clone(), begun));
            }
            known.items.push((item, begun));
        }
        Ok(known)
    }

    /// Since when an item is looked at. Where nothing can keep it, since now.
    async fn begun(&self, item: &str, now: Timestamp, reached: Option<&dyn DueDates>) -> Result<Timestamp> {
        let here = match self.here.begin(item, now).await {
            Err(error) if is_outage(&error) => now,
            begun => begun?,
        };
        match reached {
            None => Ok(here),
            Some(shared) => match bounded(shared.begin(item, here)).await {
                // In read-only mode it takes nothing new.
                Err(error) if is_outage(&error) => Ok(here),
                begun => begun,
            },
        }
    }

    /// Settles something: where everybody sees it, else here.
    pub(crate) async fn complete(&self, completion: &Completion) -> Result<(Completion, Written)> {
        let Some(shared) = &self.shared else {
            return Ok((self.here.complete(completion).await?, Written::Everywhere));
        };
        match bounded(shared.complete(completion)).await {
            Ok(kept) => {
                // For when the database does not answer; it has decided, whatever this machine can keep.
                let _ = self.here.complete(&kept).await;
                Ok((kept, Written::Everywhere))
            }
            Err(error) if is_outage(&error) => {
                let kept = self.here.complete(completion).await?;
                Ok((kept, Written::Here(error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Sets a date: where everybody sees it, else here.
    pub(crate) async fn set(&self, date: &DueDate) -> Result<Written> {
        let Some(shared) = &self.shared else {
            self.here.set(date).await?;
            return Ok(Written::Everywhere);
        };
        match bounded(shared.set(date)).await {
            Ok(()) => {
                let _ = self.here.set(date).await;
                Ok(Written::Everywhere)
            }
            Err(error) if is_outage(&error) => {
                self.here.set(date).await?;
                Ok(Written::Here(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug, Default)]
struct Entries {
    dates: Vec<DueDate>,
    completions: Vec<Completion>,
}

impl Entries {
    async fn of(store: &dyn DueDates) -> Result<Self> {
        Ok(Self {
            dates: store.dates().await?,
            completions: store.completions(Timestamp::from_unix_micros(i64::MIN)).await?,
        })
    }
}

/// A store that does not answer has nothing, and that is said; what is damaged or forbidden is an error.
fn or_unknown(read: Result<Entries>, known: &mut Known) -> Result<Entries> {
    match read {
        Err(error) if is_outage(&error) => {
            known.unknown = Some(error.to_string());
            Ok(Entries::default())
        }
        read => read,
    }
}

/// Whether the database has taken an entry, or has another one of its key already. One that stops answering is not asked for the rest: each would wait in vain.
async fn brought<'s, T, F>(
    to: &mut Option<&'s dyn DueDates>,
    call: impl FnOnce(&'s dyn DueDates) -> F,
) -> bool
where
    F: Future<Output = Result<T>>,
{
    let Some(store) = *to else { return false };
    match bounded(call(store)).await {
        Ok(_) => true,
        Err(error) => {
            if is_outage(&error) {
                *to = None;
            }
            error.kind() == ErrorKind::Conflict
        }
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late =
        |_| Error::new(ErrorKind::Timeout, "ask for due dates").context("database", "no answer in time");
    tokio::time::timeout(BUDGET, call).await.map_err(late)?
}

fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// For so long it is said that what this machine kept does not count.
const TOLD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Two clocks may be so far apart; what is further ahead was read from a wrong one.
const APART: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the database may take for one call.
const BUDGET: Duration = Duration::from_secs(4);
