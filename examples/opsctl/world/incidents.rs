use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::incidents::{Shared, share_incidents, share_incidents_again};
use ops_core::model::{IncidentEntry, IncidentId};
use ops_core::ports::{IncidentOutbox, IncidentPage, IncidentQuery, IncidentStore};

/// The incidents of the database, with the files of this machine behind it: whatever the database does, an incident can be written down, and whatever the files do, it can
/// be written to the database.
///
/// Once the database has not answered, this process asks it no more, so that nobody waits twice. [`catch_up`](Self::catch_up) brings what is here to the database when it is
/// back.
#[derive(Debug)]
pub(crate) struct IncidentsTogether {
    here: Arc<dyn IncidentOutbox>,
    shared: Option<Asked>,
    caught_up: AtomicBool,
}

impl IncidentsTogether {
    /// The files alone: no database is configured.
    pub(crate) fn here(here: Arc<dyn IncidentOutbox>) -> Self {
        Self {
            here,
            shared: None,
            caught_up: AtomicBool::new(false),
        }
    }

    /// The same files behind a database, which is that `place`.
    pub(crate) fn with_shared(&self, shared: Arc<dyn IncidentStore>, place: String) -> Self {
        Self {
            shared: Some(Asked {
                store: shared,
                place,
                away: AtomicBool::new(false),
            }),
            ..Self::here(Arc::clone(&self.here))
        }
    }

    /// Whether a database is configured.
    pub(crate) fn has_database(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether a database is configured that has not answered: what was read and written is that of this machine only.
    pub(crate) fn is_alone(&self) -> bool {
        self.shared.as_ref().is_some_and(Asked::is_away)
    }

    /// Whether what is read is all there is, as far as this machine can know.
    pub(crate) fn is_whole(&self) -> bool {
        self.shared.is_none() || self.caught_up.load(Ordering::SeqCst) && !self.is_alone()
    }

    /// Brings what was written here while the database was away: what is not marked as being there or, `again`, everything. That an incident cannot be read is the fault of
    /// what was brought. That the database is away is none.
    ///
    /// # Errors
    /// That this machine's files cannot be listed.
    pub(crate) async fn catch_up(&self, again: bool) -> Result<Shared> {
        let Some(shared) = &self.shared else {
            return Ok(Shared::default());
        };
        let brought = match again {
            true => share_incidents_again(&*self.here, shared, &shared.place).await,
            false => share_incidents(&*self.here, shared, &shared.place).await,
        };
        let mut brought = match brought {
            Ok(brought) => brought,
            Err(_) if shared.is_away() => return Ok(Shared::default()),
            Err(error) => return Err(error),
        };
        if brought.fault.is_none() {
            self.caught_up.store(true, Ordering::SeqCst);
        }
        brought.fault = brought
            .fault
            .filter(|fault| !(shared.is_away() && keeps_silent(fault.kind())));
        Ok(brought)
    }

    /// What the database says; `None` if it is away, or there is none.
    fn told<T>(&self, answer: Result<T>) -> Option<Result<T>> {
        Some(answer).filter(|answer| answer.is_ok() || !self.is_alone())
    }
}

#[async_trait]
impl IncidentStore for IncidentsTogether {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        if let Some(shared) = &self.shared
            && let Some(answer) = self.told(shared.append(entry).await)
        {
            return answer;
        }
        self.here.append(entry).await
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        if let Some(shared) = &self.shared
            && let Some(answer) = self.told(shared.entries(incident).await)
        {
            return answer;
        }
        self.here.entries(incident).await
    }

    /// A page may be longer than was asked for, by what waits here.
    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        let page = match &self.shared {
            Some(shared) => self.told(shared.list(query).await).transpose()?,
            None => None,
        };
        let Some(mut page) = page else {
            return self.here.list(query).await;
        };
        if self.is_whole() {
            return Ok(page);
        }
        // What could not be brought is shown all the same, on the page where it belongs; what the database knows, it knows better. Files that cannot be
        // read keep nobody from what the database has: that they cannot was said.
        let last = page.incidents.last().map(|incident| incident.id.clone());
        let last = last.filter(|_| page.next.is_some());
        let mut waiting = Some(query.clone());
        while let Some(asked) = waiting.take() {
            let Ok(local) = self.here.list(&asked).await else {
                break;
            };
            for incident in local.incidents {
                if last.as_ref().is_some_and(|last| incident.id < *last) {
                    break;
                }
                if self
                    .entries(&incident.id)
                    .await
                    .is_ok_and(|known| known.is_empty())
                {
                    page.incidents.push(incident);
                }
            }
            waiting = local
                .next
                .filter(|next| last.as_ref().is_none_or(|last| next > last))
                .map(|next| asked.after(next));
        }
        page.incidents.sort_by(|one, other| other.id.cmp(&one.id));
        Ok(page)
    }
}

/// The database, until it has not answered.
#[derive(Debug)]
struct Asked {
    store: Arc<dyn IncidentStore>,
    place: String,
    away: AtomicBool,
}

impl Asked {
    fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<T>>,
        is_away: fn(ErrorKind) -> bool,
    ) -> Result<T> {
        if self.is_away() {
            return Err(Error::new(ErrorKind::Unavailable, "ask for incidents"));
        }
        let late = |_| Error::new(ErrorKind::Timeout, "ask for incidents");
        let answer = tokio::time::timeout(PATIENCE, call).await.map_err(late).flatten();
        if answer.as_ref().is_err_and(|error| is_away(error.kind())) {
            self.away.store(true, Ordering::SeqCst);
        }
        answer
    }
}

#[async_trait]
impl IncidentStore for Asked {
    /// Nothing but a fault of the entry keeps it from being written down elsewhere.
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        let is_away = |kind| !matches!(kind, ErrorKind::Conflict | ErrorKind::InvalidInput);
        self.answer(self.store.append(entry), is_away).await
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        self.answer(self.store.entries(incident), keeps_silent).await
    }

    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        self.answer(self.store.list(query), keeps_silent).await
    }
}

/// What was damaged is told, not passed over.
fn keeps_silent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Unauthenticated
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidConfig
    )
}

/// Why nothing was found, where the database did not answer.
pub(crate) fn perhaps_elsewhere() -> Error {
    Error::new(ErrorKind::Unavailable, "read incident").context(
        "remedy",
        "the database cannot be reached, and this machine does not know the incident: open one here, and name the other in a note",
    )
}

/// How long the database may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
