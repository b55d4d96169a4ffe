//! One suite per port. Every provider passes the suite of its port; it panics with the clause that was broken.
//!
//! The suites use names and ids that nobody else uses, so that they may run against shared stores.

mod account_suspender;
mod action;
mod approval_store;
mod audit_batch;
mod audit_pruner;
mod audit_store;
mod backup_inspector;
mod clock;
mod database_guard;
mod drill_log;
mod due_dates;
mod evidence_archive;
mod forget_person;
mod health_probe;
mod incident_store;
mod inventory;
mod journal;
mod lease_store;
mod limit_store;
mod migration_executor;
mod migration_inspector;
mod notifier;
mod pii_masker;
mod process_registry;
mod queue_inspector;
mod rate_limiter;
mod readiness_probe;
mod session_revoker;
mod stoppable;
mod switch_store;
mod tenant_directory;
mod traffic_controller;

pub use self::account_suspender::account_suspender;
pub use self::action::action;
pub use self::approval_store::approval_store;
pub use self::audit_batch::audit_eraser;
pub use self::audit_pruner::audit_pruner;
pub use self::audit_store::audit_store;
pub use self::backup_inspector::backup_inspector;
pub use self::clock::clock;
pub use self::database_guard::database_guard;
pub use self::drill_log::drill_log;
pub use self::due_dates::due_dates;
pub use self::evidence_archive::evidence_archive;
pub use self::forget_person::forget_person;
pub use self::health_probe::{Health, health_probe};
pub use self::incident_store::{incident_outbox, incident_store};
pub use self::inventory::inventory;
pub use self::journal::journal;
pub use self::lease_store::lease_store;
pub use self::limit_store::limit_store;
pub use self::migration_executor::migration_executor;
pub use self::migration_inspector::migration_inspector;
pub use self::notifier::notifier;
pub use self::pii_masker::{pii_masker, pii_masker_forms};
pub use self::process_registry::process_registry;
pub use self::queue_inspector::queue_inspector;
pub use self::rate_limiter::rate_limiter;
pub use self::readiness_probe::readiness_probe;
pub use self::session_revoker::session_revoker;
pub use self::switch_store::switch_store;
pub use self::tenant_directory::tenant_directory;
pub use self::traffic_controller::traffic_controller;

use crate::error::{ErrorKind, Result};
use crate::model::{RunId, Timestamp};

/// The value of a call that the contract says must succeed.
#[track_caller]
fn ok<T>(call: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{call} must succeed: {error}"),
    }
}

/// Checks that a call was refused with `kind`.
#[track_caller]
fn refused<T>(call: &str, kind: ErrorKind, result: Result<T>) {
    match result {
        Ok(_) => panic!("{call} must be refused as \"{kind}\", but it succeeded"),
        Err(error) => assert_eq!(
            error.kind(),
            kind,
            "{call} must be refused as \"{kind}\", not with: {error}"
        ),
    }
}

/// 2026-01-30T00:00:00Z plus `seconds`: the times that the suites' records carry.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_769_731_200_000_000 + seconds * 1_000_000)
}

/// A run id that no other run of a suite uses.
fn fresh_run() -> RunId {
    RunId::generate(at(0))
}

/// A name that no other run of a suite uses: lower case, at most 60 characters.
fn fresh(prefix: &str) -> String {
    fresh_run().as_str().replacen("run_", &format!("{prefix}-"), 1)
}
