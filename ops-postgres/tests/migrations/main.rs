//! Migrations against a real PostgreSQL: `OPS_TEST_DATABASE_URL`, else a throw-away server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod back;
mod back_ends;
mod crash;
mod half_done;
mod hazards;
mod run;
mod state;
mod taken_back;
#[path = "../live/world.rs"]
#[expect(dead_code, reason = "these tests need a part of it only")]
mod world;
