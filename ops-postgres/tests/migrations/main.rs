//! Migrations against a real PostgreSQL: `OPS_TEST_DATABASE_URL`, else a throw-away server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hazards;
