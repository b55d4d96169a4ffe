use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{IncidentEntry, IncidentId, IncidentSummary, TenantId};

/// Keeps the logs of incidents.
///
/// # Contract
/// - On `Ok`, `append` survives a crash of the process and of the machine.
/// - The number of an entry is one more than that of the entry before it; the first is 1 and opens the incident. Of two who write the same number at once, one is told
///   `Conflict`. The same entry again changes nothing.
/// - `entries` gives every entry of an incident, in order; none for an incident that is not known.
/// - `list` gives one [`IncidentSummary`] an incident, newest first, without reading the entries of others than those it shows.
/// - Nothing is ever changed or deleted. What a newer version wrote is given back as it is.
///
/// # Tenants
/// An incident belongs to one tenant, or to all. A list that is asked for a tenant has its incidents and those of all, never another's. Who has the id reads the
/// entries: the store is that of the operators, not of the tenants.
///
/// # Errors
/// `Conflict`, with the number of the newest entry as `newest`; `InvalidInput` for an entry that opens and is not the first, or the other way round, and for a query out of
/// bounds; `Unavailable`, `Timeout`; `Unexpected` for what is damaged: it is never passed over.
///
/// # Cancellation
/// Dropping `append` may leave the entry written; repeating it is harmless.
#[async_trait]
pub trait IncidentStore: Debug + Send + Sync + 'static {
    /// Keeps the next entry.
    async fn append(&self, entry: &IncidentEntry) -> Result<()>;
    /// The entries of one incident.
    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>>;
    /// A page of incidents.
    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage>;
}

/// Incidents that wait on one machine to be brought to a place that all share: the store, and what it knows to be there.
///
/// # Contract
/// - `waiting` gives every incident that is not marked for this place with all its entries, oldest first. It reads no log that is marked.
/// - A mark holds until the next entry, or until the incident is marked for another place. One that was lost, or that covers fewer entries than there are, leaves the incident
///   waiting: bringing it again is harmless.
/// - A mark changes nothing that is kept.
/// - `every` gives every incident, marked or not, oldest first. It reads no log: one that is damaged hides no other.
///
/// # Errors
/// `InvalidInput` for a mark that covers more entries than there are; else those of [`IncidentStore`].
///
/// # Cancellation
/// As for [`IncidentStore`].
#[async_trait]
pub trait IncidentOutbox: IncidentStore {
    /// What `place` may lack.
    async fn waiting(&self, place: &str) -> Result<Vec<IncidentId>>;
    /// What is here.
    async fn every(&self) -> Result<Vec<IncidentId>>;
    /// Remembers that the first `entries` entries are in `place`.
    async fn mark(&self, place: &str, incident: &IncidentId, entries: usize) -> Result<()>;
}

/// Which incidents a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncidentQuery {
    /// Also those that are over. Default: no.
    pub all: bool,
    /// Only those of this tenant, and those of everybody. Default: of every tenant.
    pub tenant: Option<TenantId>,
    /// Only those whose id ends so. Default: any.
    pub ending: Option<String>,
    /// Only those that are older than this one: the cursor of the page before. Default: from the newest on.
    pub after: Option<IncidentId>,
    /// At most so many, 1 to [`MOST`](Self::MOST). Default: [`MOST`](Self::MOST).
    pub most: usize,
}

impl Default for IncidentQuery {
    fn default() -> Self {
        Self {
            all: false,
            tenant: None,
            ending: None,
            after: None,
            most: Self::MOST,
        }
    }
}

impl IncidentQuery {
    /// How many incidents a page has at most.
    pub const MOST: usize = 100;

    /// Those that are not over.
    pub fn open() -> Self {
        Self::default()
    }

    /// Every one.
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Only those of this tenant, and those of everybody.
    #[must_use]
    pub fn of_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Only those whose id ends so.
    #[must_use]
    pub fn ending(mut self, end: impl Into<String>) -> Self {
        self.ending = Some(end.into());
        self
    }

    /// Only those that are older than this one.
    #[must_use]
    pub fn after(mut self, incident: IncidentId) -> Self {
        self.after = Some(incident);
        self
    }

    /// At most so many.
    #[must_use]
    pub fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Whether it is within bounds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::error::ErrorKind::InvalidInput) otherwise.
    pub fn check(&self) -> Result<()> {
        use crate::error::{Error, ErrorKind};
        if (1..=Self::MOST).contains(&self.most) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "list incidents").context("most", "must be 1 to 100"))
    }

    /// Whether an id may be on the page, before anything else is known of it.
    pub fn may_show(&self, incident: &IncidentId) -> bool {
        self.after.as_ref().is_none_or(|after| incident < after)
            && self
                .ending
                .as_ref()
                .is_none_or(|end| incident.as_str().ends_with(end.as_str()))
    }

    /// Whether an incident belongs on the page.
    pub fn shows(&self, incident: &IncidentSummary) -> bool {
        use crate::model::IncidentStatus::Resolved;
        self.may_show(&incident.id)
            && (self.all || incident.status != Resolved)
            && (self.tenant.is_none() || incident.tenant.is_none() || incident.tenant == self.tenant)
    }
}

/// A page of incidents, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncidentPage {
    /// What it shows.
    pub incidents: Vec<IncidentSummary>,
    /// What the next page comes [after](IncidentQuery::after); `None`: there is no more.
    pub next: Option<IncidentId>,
}

impl IncidentPage {
    /// The page that `query` asks for, of incidents that it shows, newest first: as many as fit, and a cursor if there is one more.
    pub fn of(query: &IncidentQuery, mut incidents: Vec<IncidentSummary>) -> Self {
        let more = incidents.len() > query.most;
        incidents.truncate(query.most);
        let next = incidents.last().filter(|_| more).map(|last| last.id.clone());
        Self { incidents, next }
    }
}
