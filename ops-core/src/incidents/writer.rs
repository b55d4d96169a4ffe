use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::state::{incident_of, judge};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Actor, Incident, IncidentChange, IncidentEntry, IncidentEntryId, IncidentId, IncidentLayer, IncidentRule,
    RunId, Severity, TenantId, Timestamp,
};
use crate::ports::{Clock, IncidentStore, PiiMasker};

/// Writes incidents: masks every text, judges every change by the entries before it, and gives every entry the next number.
#[derive(Clone, Debug)]
pub struct Incidents {
    store: Arc<dyn IncidentStore>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
}

/// What an incident begins with. `Debug` shows no text.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewIncident {
    /// What it is called.
    pub title: String,
    /// How bad it is, as far as known.
    pub severity: Severity,
    /// Whose it is. Default: it concerns everybody.
    pub tenant: Option<TenantId>,
    /// When it was first noticed. Default: now.
    pub detected_at: Option<Timestamp>,
}

impl NewIncident {
    /// An incident that concerns everybody and was noticed now.
    pub fn new(title: impl Into<String>, severity: Severity) -> Self {
        Self {
            title: title.into(),
            severity,
            tenant: None,
            detected_at: None,
        }
    }

    /// Says whose it is.
    #[must_use]
    pub fn of_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Says when it was first noticed.
    #[must_use]
    pub fn detected_at(mut self, at: Timestamp) -> Self {
        self.detected_at = Some(at);
        self
    }
}

impl fmt::Debug for NewIncident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewIncident")
            .field("severity", &self.severity)
            .field("tenant", &self.tenant)
            .field("detected_at", &self.detected_at)
            .finish_non_exhaustive()
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a change may be denied"]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum Added {
    /// It is kept.
    Written {
        /// By this id, wherever it is kept.
        entry: IncidentEntryId,
        /// Under this number, for now: what was written apart may get another one when it comes together.
        number: u32,
        /// The incident with it.
        incident: Box<Incident>,
    },
    /// A rule forbids it; nothing was written.
    Denied(IncidentRule),
    /// There is no such incident.
    Unknown,
}

impl Incidents {
    /// Incidents that are kept in `store`.
    pub fn new(store: Arc<dyn IncidentStore>, masker: Arc<dyn PiiMasker>, clock: Arc<dyn Clock>) -> Self {
        Self { store, masker, clock }
    }

    /// Opens an incident.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a title that is empty or longer than 200 characters, and for a detection in the future; those of the store.
    ///
    /// # Cancellation
    /// Dropping the future may leave it opened.
    pub async fn open(&self, new: NewIncident, by: &Actor) -> Result<Incident> {
        let now = self.clock.now();
        let detected_at = new.detected_at.unwrap_or(now);
        if detected_at > now {
            return Err(wrong("detected_at", "must not be in the future"));
        }
        let change = IncidentChange::Opened {
            title: new.title,
            severity: new.severity,
            tenant: new.tenant,
            detected_at,
        };
        let id = IncidentId::generate(now);
        let entry = self.entry(&id, 1, change, by)?;
        let incident = incident_of(std::slice::from_ref(&entry))?;
        self.store.append(&entry).await?;
        Ok(incident)
    }

    /// Adds an entry. Where somebody else writes at the same time, it is judged again by what they wrote, and takes the number after it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a text that is empty or longer than 10,000 characters (a title or an owner: 200); those of the store; `Conflict` when others are first
    /// 64 times.
    ///
    /// # Cancellation
    /// Dropping the future may leave the entry written.
    pub async fn add(&self, incident: &IncidentId, change: IncidentChange, by: &Actor) -> Result<Added> {
        // Looked at before anything is read: bad input is told, whatever the store does.
        let mut entry = self.entry(incident, 0, change, by)?;
        for _ in 0..ATTEMPTS {
            let mut entries = self.store.entries(incident).await?;
            if entries.is_empty() {
                return Ok(Added::Unknown);
            }
            let found = incident_of(&entries)?;
            if let Err(rule) = judge(&found, &entry.change) {
                return Ok(Added::Denied(rule));
            }
            entry.number = found.newest + 1;
            // Whoever has read an entry writes after it, whatever the clocks say. What was read before a conflict counts as well: the store may show less now,
            // where it has given way to one that lags behind.
            if let Some(newest) = entries.iter().map(|entry| entry.order).max() {
                entry.order = entry.order.max(newest + MOMENT);
            }
            match self.store.append(&entry).await {
                Ok(()) => {
                    entries.push(entry.clone());
                    return Ok(Added::Written {
                        entry: entry.id,
                        number: entry.number,
                        incident: Box::new(incident_of(&entries)?),
                    });
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, WRITE).context("incident", "others write to it all the time"))
    }

    /// An incident and its entries; `None` if there is none of that id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, incident: &IncidentId) -> Result<Option<(Incident, Vec<IncidentEntry>)>> {
        let entries = self.store.entries(incident).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        Ok(Some((incident_of(&entries)?, entries)))
    }

    /// Where they are kept.
    pub fn store(&self) -> &dyn IncidentStore {
        &*self.store
    }

    /// Masked and within bounds.
    fn entry(
        &self,
        incident: &IncidentId,
        number: u32,
        mut change: IncidentChange,
        by: &Actor,
    ) -> Result<IncidentEntry> {
        for (field, text) in change.texts_mut() {
            let most = if field == "text" || field == "why" {
                TEXT
            } else {
                LINE
            };
            // One way to end a line: a report and a terminal would read others as what they are not.
            let whole = text.trim().replace("\r\n", "\n").replace('\r', "\n");
            if whole.is_empty() || whole.chars().count() > most || whole.chars().any(steers) {
                return Err(wrong(
                    field,
                    format!(
                        "must be 1 to {most} characters, without control characters but line ends and tabs"
                    ),
                ));
            }
            if most == LINE && whole.chars().any(char::is_control) {
                return Err(wrong(field, "must be one line"));
            }
            // Masks may be longer than what they stand for; that is no fault of who wrote it.
            *text = self.masker.mask(&whole).into_owned();
        }
        if let IncidentChange::Linked { run } = &change {
            // An id that we made is kept as it is; anything else might be an address.
            if !is_ours(run) && self.masker.mask(run.as_str()) != run.as_str() {
                return Err(wrong("run", "is no run id; see `opsctl runs`"));
            }
        }
        if let IncidentChange::Layer {
            layer: IncidentLayer::Newer(_),
        }
        | IncidentChange::Unknown(_) = change
        {
            return Err(wrong("change", "is not known to this version"));
        }
        let by = by.renamed(&self.masker.mask(by.id()));
        Ok(IncidentEntry::new(
            incident.clone(),
            number,
            self.clock.now(),
            by,
            change,
        ))
    }
}

/// A character that a terminal would obey.
fn steers(character: char) -> bool {
    character.is_control() && character != '\n' && character != '\t'
}

fn is_ours(run: &RunId) -> bool {
    let hex = run.as_str().strip_prefix("run_").unwrap_or_default();
    hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn wrong(field: &'static str, rule: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, WRITE).context(field, rule)
}

const WRITE: &str = "write incident";
/// How long a text and a line may be, in characters.
const TEXT: usize = 10_000;
const LINE: usize = 200;
/// The next moment.
const MOMENT: Duration = Duration::from_micros(1);
/// Each turn lost means that somebody else wrote an entry.
const ATTEMPTS: u32 = 64;
