//! Against a real PostgreSQL: `OPS_TEST_DATABASE_URL`, else a throw-away server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod again;
mod audit;
mod audit_drain;
mod audit_months;
mod audit_retention;
mod audit_roles;
mod audit_rows;
mod backup_files;
mod backup_restore;
mod backups;
mod damage;
mod due;
mod evidence;
mod exact;
mod incidents;
mod journal;
mod lease;
mod limits;
mod load;
mod obstacles;
mod pooler;
mod privileges;
mod read_only;
mod readiness;
mod risks;
mod scratch;
mod strength;
mod switch;
mod switch_processes;
mod tenants;
mod world;
