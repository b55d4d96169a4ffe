//! An incident is a log of entries; what it is now is computed from them.

mod change;
mod entry;
mod layer;
mod state;
mod summary;

pub use self::change::{IncidentChange, UnknownChange};
pub use self::entry::IncidentEntry;
pub use self::layer::IncidentLayer;
pub use self::state::{Incident, IncidentRule, IncidentStatus, Prevention, WithoutEffect};
pub use self::summary::IncidentSummary;
