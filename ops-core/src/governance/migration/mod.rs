//! Migrations: what state a database is in, what a script would do to it, and running it so that nobody waits.
//!
//! Four answers for each migration, never one "safe": *locks* (`review`), *proof* (the same script on a throw-away server),
//! *compatibility* (`compatibility`: can the running and the previous code live with it), *reversibility* (is there a way down, and
//! does it lead back exactly).

mod folder;
mod status;

#[cfg(feature = "migrations")]
mod back;
#[cfg(feature = "migrations")]
mod checklist;
#[cfg(feature = "migrations")]
mod compatibility;
#[cfg(feature = "migrations")]
mod hazard;
#[cfg(feature = "migrations")]
mod loss;
#[cfg(feature = "migrations")]
mod owed;
#[cfg(feature = "migrations")]
mod plan;
#[cfg(feature = "migrations")]
mod run;
#[cfg(feature = "migrations")]
mod script;
#[cfg(feature = "migrations")]
mod tree;
#[cfg(feature = "migrations")]
mod undo;

#[cfg(feature = "migrations")]
pub use self::back::{BackPlan, BackRefusal, BackTo, LeftOut, half_way, migration_scope};
#[cfg(feature = "migrations")]
pub use self::checklist::{BACKUP_AGE, Evidence, checklist};
#[cfg(feature = "migrations")]
pub use self::compatibility::{Break, BreakKind, CodeUses, breaks, left_behind};
pub use self::folder::{MigrationFile, MigrationFolder};
#[cfg(feature = "migrations")]
pub use self::hazard::{Finding, Hazard, StatementReview, Urgency, review};
#[cfg(feature = "migrations")]
pub use self::loss::Loss;
#[cfg(feature = "migrations")]
pub use self::owed::has_gone_back;
#[cfg(feature = "migrations")]
pub use self::plan::{MigrationPlan, PlannedMigration};
#[cfg(feature = "migrations")]
pub use self::run::{MigrationRunner, RestartHook, RunPolicy, RunReport, RunStatus, Stall, StepRun};
#[cfg(feature = "migrations")]
pub use self::script::{Statement, is_way_back, is_whole, statements};
pub use self::status::{LedgerSummary, MigrationStatus, StateFinding, StateKind, migration_status};
