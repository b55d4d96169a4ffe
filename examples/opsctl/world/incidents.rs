use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::incidents::{Shared, share_incidents};
use ops_core::model::{IncidentEntry, IncidentId};
use ops_core::ports::{IncidentPage, IncidentQuery, IncidentStore};

/// The incidents of the database, with the files of this machine behind it: whatever the database does, an incident can be written down.
///
/// Once the database has not answered, this process asks it no more, so that nobody waits twice. [`catch_up`](Self::catch_up) brings what is here to the database when it is
/// back.
#[derive(Debug)]
pub(crate) struct IncidentsTogether {
    here: Arc<dyn IncidentStore>,
    shared: Option<Arc<dyn IncidentStore>>,
    alone: AtomicBool,
    caught_up: AtomicBool,
}

impl IncidentsTogether {
    /// The files alone: no database is configured.
    pub(crate) fn here(here: Arc<dyn IncidentStore>) -> Self {
        Self {
            here,
            shared: None,
            alone: AtomicBool::new(false),
            caught_up: AtomicBool::new(false),
        }
    }

    /// The same files behind a database.
    pub(crate) fn with_shared(&self, shared: Arc<dyn IncidentStore>) -> Self {
        Self {
            shared: Some(shared),
            ..Self::here(Arc::clone(&self.here))
        }
    }

    /// Whether a database is configured that has not answered: what was read and written is that of this machine only.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::SeqCst)
    }

    /// Brings what was written here while the database was away.
    pub(crate) async fn catch_up(&self) -> Result<Shared> {
        let Some(shared) = self.asked() else {
            return Ok(Shared::default());
        };
        let brought = self.answer(share_incidents(&*self.here, shared)).await;
        match brought {
            Some(brought) => {
                let brought = brought?;
                self.caught_up.store(true, Ordering::SeqCst);
                Ok(brought)
            }
            None => Ok(Shared::default()),
        }
    }

    fn asked(&self) -> Option<&dyn IncidentStore> {
        self.shared.as_deref().filter(|_| !self.is_alone())
    }

    /// `None`: it does not answer, and is not asked again.
    async fn answer<T>(&self, call: impl Future<Output = Result<T>>) -> Option<Result<T>> {
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let away = match &answer {
            Ok(Err(error)) => matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout),
            Ok(Ok(_)) => false,
            Err(_) => true,
        };
        if away {
            self.alone.store(true, Ordering::SeqCst);
        }
        answer.ok().filter(|_| !away)
    }
}

#[async_trait]
impl IncidentStore for IncidentsTogether {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        if let Some(shared) = self.asked()
            && let Some(answer) = self.answer(shared.append(entry)).await
        {
            return answer;
        }
        self.here.append(entry).await
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        if let Some(shared) = self.asked()
            && let Some(answer) = self.answer(shared.entries(incident)).await
        {
            return answer;
        }
        self.here.entries(incident).await
    }

    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        let page = match self.asked() {
            Some(shared) => self.answer(shared.list(query)).await.transpose()?,
            None => None,
        };
        let Some(mut page) = page else {
            return self.here.list(query).await;
        };
        if self.caught_up.load(Ordering::SeqCst) {
            return Ok(page);
        }
        // What could not be brought is shown all the same; what the database knows, it knows better.
        for incident in self.here.list(query).await?.incidents {
            let known = self.entries(&incident.id).await?;
            if known.is_empty() {
                page.incidents.push(incident);
            }
        }
        page.incidents.sort_by(|one, other| other.id.cmp(&one.id));
        Ok(page)
    }
}

/// Why nothing was found, where the database did not answer.
pub(crate) fn perhaps_elsewhere() -> Error {
    Error::new(ErrorKind::Unavailable, "read incident").context(
        "remedy",
        "the database cannot be reached, and this machine does not know the incident: open one here, and name the other in a note",
    )
}

/// How long the database may take, once.
const PATIENCE: Duration = Duration::from_secs(5);
