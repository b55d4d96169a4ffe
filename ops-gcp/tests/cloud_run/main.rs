//! Stopping Cloud Run services and putting them back, over HTTP, against the simulated control plane.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

mod faults;
mod readiness;
mod restore;
mod stop;
mod world;
