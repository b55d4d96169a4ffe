//! A provider for each port that lives in memory and really behaves: for unit tests, drills and first steps.
//!
//! They pass the same conformance suites as the providers over a network. What they keep ends with the process. Those that
//! stand for something outside the process can be unplugged with `set_reachable`: every call then fails with
//! [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) and changes nothing.
//!
//! ```
//! use ops_core::memory::InMemoryTraffic;
//! use ops_core::model::{IdempotencyKey, RunId, TargetId, Timestamp};
//! use ops_core::ports::TrafficController;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let api = TargetId::new("memory:api")?;
//! let traffic = InMemoryTraffic::new();
//! traffic.add_service(api.clone());
//!
//! let prior = traffic.observe(&api).await?;
//! let key = IdempotencyKey::for_step(&RunId::generate(Timestamp::UNIX_EPOCH), 0);
//! traffic.stop(&api, &key).await?;
//! assert!(!traffic.probe(&api));
//!
//! traffic.restore(prior.snapshot(), &key).await?;
//! assert!(traffic.probe(&api));
//! # Ok::<(), ops_core::error::Error>(())
//! # }).unwrap();
//! ```

mod account;
mod approval;
mod archive;
mod audit;
mod backup;
mod database;
mod drill_log;
mod due;
mod evidence;
mod forget;
mod health;
mod incident;
mod inventory;
mod journal;
mod lease;
mod limit_store;
mod migration;
mod notifier;
mod plug;
mod process;
mod queue;
mod readiness;
mod session;
mod switch;
mod tenant;
mod traffic;

pub use self::account::InMemoryAccounts;
pub use self::approval::InMemoryApprovals;
pub use self::archive::InMemoryArchive;
pub use self::audit::InMemoryAudit;
pub use self::backup::InMemoryBackups;
pub use self::database::{InMemoryDatabase, Session};
pub use self::drill_log::InMemoryDrillLog;
pub use self::due::InMemoryDueDates;
pub use self::forget::InMemoryTraces;
pub use self::health::InMemoryHealth;
pub use self::incident::InMemoryIncidents;
pub use self::inventory::InMemoryInventory;
pub use self::journal::InMemoryJournal;
pub use self::lease::InMemoryLeases;
pub use self::limit_store::InMemoryLimits;
pub use self::migration::InMemoryMigrations;
pub use self::notifier::InMemoryNotifier;
pub use self::process::InMemoryProcesses;
pub use self::queue::InMemoryQueues;
pub use self::readiness::InMemoryReadiness;
pub use self::session::InMemorySessions;
pub use self::switch::InMemorySwitches;
pub use self::tenant::InMemoryTenants;
pub use self::traffic::InMemoryTraffic;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every change below is made whole or not at all, so that a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
