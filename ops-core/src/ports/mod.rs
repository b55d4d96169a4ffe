//! The traits between the procedures and the outside world.
//!
//! Every port states its contract, has an in-memory provider in [`memory`](crate::memory) that really behaves, and a
//! conformance suite in `testkit` that every provider passes.

mod action;
mod audit;
mod clock;
mod database;
mod journal;
mod limiter;
mod masker;
mod notifier;
mod process;
mod switch;
mod traffic;

pub use self::action::{Action, Ramp};
pub use self::audit::{AuditFault, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport};
pub use self::clock::Clock;
pub use self::database::{DatabaseCapability, DatabaseGuard};
pub use self::journal::{Held, Journal, JournalEntry, JournalEvent};
pub use self::limiter::{EndpointClass, Limit, RateLimiter};
pub use self::masker::PiiMasker;
pub use self::notifier::Notifier;
pub use self::process::{CallCount, Presence, ProcessId, ProcessRegistry, SwitchProcess};
pub use self::switch::{SwitchHint, SwitchHints, SwitchLink, SwitchState, SwitchStore, SwitchedOff};
pub use self::traffic::{TrafficCapability, TrafficController};
