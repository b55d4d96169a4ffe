//! Incidents: what happened, as a log of entries; what follows from them, computed.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ops_core::Providers;
//! use ops_core::incidents::{Added, Incidents, NewIncident};
//! use ops_core::model::{Actor, IncidentChange, IncidentStatus, Lang, Severity};
//!
//! let providers = Providers::in_memory();
//! let incidents = Incidents::new(providers.incidents, providers.masker, providers.clock);
//! let alice = Actor::person("alice")?;
//! let id = incidents.open(NewIncident::new("answers take a minute", Severity::P2), &alice).await?.id;
//! let cause = IncidentChange::Cause { text: "a lock was held".to_owned() };
//! assert!(matches!(incidents.add(&id, cause, &alice).await?, Added::Written { .. }));
//! let (incident, entries) = incidents.read(&id).await?.ok_or("there is one")?;
//! assert_eq!(incident.status, IncidentStatus::CauseFound);
//! assert!(ops_core::incidents::report(&incident, &entries, Lang::En).contains("a lock was held"));
//! # Ok(()) }
//! ```

mod report;
mod share;
mod state;
mod targets;
mod writer;

pub use self::report::report;
pub use self::share::{Shared, share_incidents, share_incidents_again};
pub use self::state::{incident_of, judge};
pub use self::targets::{IncidentTargets, TimeTaken, targets_of};
pub use self::writer::{Added, Incidents, NewIncident};
