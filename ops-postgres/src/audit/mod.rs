//! The audit trail in PostgreSQL.

mod append;
mod array;
mod columns;
mod draft;
mod erase;
mod export;
mod grant;
mod head;
mod months;
mod prune;
mod role;
mod row;
mod store;

pub use self::store::PostgresAuditStore;
