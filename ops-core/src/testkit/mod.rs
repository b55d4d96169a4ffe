//! For tests, drills and simulations: never a default feature, and it knows no vendor.

mod clock;
mod conformance;
#[cfg(unix)]
mod env;
mod fault;
mod loopback;
#[cfg(unix)]
mod redis_server;
#[cfg(unix)]
mod server;

pub use self::clock::ManualClock;
pub use self::conformance::{
    Health, account_suspender, action, approval_store, audit_eraser, audit_pruner, audit_store,
    backup_inspector, clock, database_guard, drill_log, due_dates, evidence_archive, forget_person,
    health_probe, incident_outbox, incident_store, inventory, journal, lease_store, limit_store,
    migration_executor, migration_inspector, notifier, pii_masker, pii_masker_forms, process_registry,
    queue_inspector, rate_limiter, readiness_probe, session_revoker, switch_store, tenant_directory,
    traffic_controller,
};
pub use self::fault::{Fault, FaultRule, Faults};
pub use self::loopback::{Handler, LoopbackServer, Reply, SimRequest, loopback_transport};
#[cfg(unix)]
pub use self::redis_server::{RedisServer, redis_url};
#[cfg(unix)]
pub use self::server::{PostgresServer, postgres_url};
