//! The audit trail in PostgreSQL.

mod export;
mod row;
mod store;

pub use self::store::PostgresAuditStore;
