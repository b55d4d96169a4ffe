//! Limits in a real Redis: `OPS_TEST_REDIS_URL`, or throw-away servers.
#![cfg(all(unix, feature = "redis"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod contract;
mod faults;
mod login;
mod scripts;
mod stage;
