//! Migrations without a server: folders, states, and the run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod back;
mod plan;
mod run;
mod status;
