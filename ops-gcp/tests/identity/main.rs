//! Users of Identity Toolkit, over HTTP, against a simulated one.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

mod accounts;
mod contract;
#[path = "../discovery/mod.rs"]
mod discovery;
#[path = "../exchange/mod.rs"]
mod exchange;
mod faults;
mod histories;
mod readiness;
mod sessions;
mod traps;
mod world;
