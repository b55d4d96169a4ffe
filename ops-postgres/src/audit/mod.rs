//! The audit trail in PostgreSQL.

mod row;
mod store;

pub use self::store::PostgresAuditStore;
