//! What a migration does to a database: locks, work, schema, the states that tools keep.

mod lock;
mod schema;
mod state;
mod step;
mod trace;

pub use self::lock::{LockMode, RelationEffect, Work};
pub use self::schema::{Column, Constraint, ConstraintKind, Domain, Index, Relation, RelationKind, Schema};
pub use self::state::{AppliedMigration, Leftover, MigrationLedger, MigrationTool, SchemaState};
pub use self::step::{BackStep, HalfDone, LedgerRow, MigrationStep, StepDone, StepMark, UnfinishedRun};
pub use self::trace::StatementTrace;
