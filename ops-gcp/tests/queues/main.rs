//! What delivers to a stopped Cloud Run service, over HTTP, against simulated control planes.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

mod contract;
#[path = "../discovery/mod.rs"]
#[expect(dead_code, reason = "only the methods of a read are needed")]
mod discovery;
#[path = "../exchange/mod.rs"]
#[expect(dead_code, reason = "nothing is asked of headers and bodies")]
mod exchange;
mod faults;
mod found;
mod losses;
mod world;
