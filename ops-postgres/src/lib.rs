//! PostgreSQL providers for [`ops_core`]: a read-only mode that holds, the audit trail, the journal and the switches.
//!
//! - [`PostgresDatabaseGuard`] makes a database read-only for sessions that are already open too, and puts every privilege
//!   and setting back exactly.
//! - [`PostgresLoad`] shows connections, blockers, tables and replication, and ends what a rule says; [`PostgresTimeouts`] tightens timeouts.
//! - [`PostgresAuditStore`] keeps one hash chain for each tenant, behind row level security.
//! - [`PostgresJournal`] holds prior states: the first writer wins, across all processes.
//! - [`PostgresBackups`] tells what of the data is in an archive or on a standby, and what would be lost; [`DumpFiles`] judges copies, [`RestoreTrial`] restores them.
//! - [`PostgresDrillLog`] keeps the evidence of drills.
//! - [`PostgresIncidents`] keeps the logs of incidents.
//! - [`PostgresDueDates`] keeps what was due and what was done.
//! - [`PostgresLeases`] says which one of many processes does a job now.
//! - [`PostgresApprovals`] brings approvals from one machine to another.
//! - [`PostgresSwitchStore`] shares which features are stopped, [`PostgresSwitchHints`] tells early, [`PostgresProcesses`] knows who has applied it.
//! - [`PostgresLimits`] counts limits for all instances.
//! - [`TenantPool`] opens transactions that see one tenant; [`TenantCheck`] finds what lets more be seen; [`PostgresTenants`],
//!   [`BackFill`] and [`TenantPurge`] make, adopt and remove tenants; [`Erasure`] and [`Retention`] let personal data go.
//! - [`PostgresMigrations`] reads what migrations have left and runs new ones so that nobody waits.
//! - [`PostgresTrial`] runs a migration on a database that nobody uses, and tells what the server did.
//! - [`ScratchDatabase`] makes a database with roles of its own for tests and drills, and drops it.
//!
//! All but the last work on a [`PostgresStore`], whose tables live in the schema `ops` of the application's database or of
//! another one. PostgreSQL 14 or later. Connect directly: a transaction pooler in between mixes the settings of sessions.
//!
//! ```no_run
//! use ops_core::model::{IdempotencyKey, RunId, Timestamp};
//! use ops_core::ports::DatabaseGuard;
//! use ops_postgres::{PostgresDatabaseGuard, PostgresStore};
//! use secrecy::SecretString;
//!
//! # async fn example(url: SecretString, now: Timestamp) -> ops_core::error::Result<()> {
//! let store = PostgresStore::connect(&url).await?;
//! store.migrate().await?;
//! let guard = PostgresDatabaseGuard::new(&store).with_exempt_role("audit_writer");
//! let target = PostgresDatabaseGuard::target(store.database())?;
//!
//! let key = IdempotencyKey::for_step(&RunId::generate(now), 0);
//! let prior = guard.observe(&target).await?; // journal this before going on
//! guard.set_read_only(&target, &key).await?;
//! assert!(guard.observe(&target).await?.stopped().holds());
//! guard.restore(prior.snapshot(), &key).await?;
//! # Ok(())
//! # }
//! ```

mod approval;
mod audit;
mod backup;
mod drill_log;
mod due;
mod erasure;
mod error;
mod guard;
mod hints;
mod identifier;
mod incident;
mod journal;
mod lease;
mod limits;
mod load;
mod migrations;
mod process;
mod schema;
mod scratch;
mod store;
mod stored;
mod switch;
mod tenancy;

pub use self::approval::PostgresApprovals;
pub use self::audit::PostgresAuditStore;
pub use self::backup::{DumpFiles, PostgresBackups, RestoreTrial};
pub use self::drill_log::PostgresDrillLog;
pub use self::due::PostgresDueDates;
pub use self::erasure::{Erasure, ErasureOutcome, Expired, Retention};
pub use self::guard::{PostgresDatabaseGuard, PostgresReadiness, WriteProbe};
pub use self::hints::PostgresSwitchHints;
pub use self::incident::PostgresIncidents;
pub use self::journal::PostgresJournal;
pub use self::lease::{PostgresLeases, WriteFence};
pub use self::limits::PostgresLimits;
pub use self::load::{
    LoadReport, PostgresLoad, PostgresTimeouts, ReplicaLag, SignalResult, SlowQueries, SlowQuery, TableSize,
    TimeoutLimits, database_reach,
};
pub use self::migrations::{PostgresMigrations, PostgresTrial, schema_dump};
pub use self::process::PostgresProcesses;
pub use self::schema::{SchemaState, SchemaUpgrade};
pub use self::scratch::ScratchDatabase;
pub use self::store::PostgresStore;
pub use self::switch::PostgresSwitchStore;
pub use self::tenancy::{
    BackFill, DataHolds, Filled, OnProgress, PURGE_AFTER, PostgresTenants, Progress, PurgeOutcome,
    PurgeProof, TableCount, TenantCheck, TenantPool, TenantPurge, TenantTransaction, tenant_policies,
};
