//! Evidence in a bucket, over HTTP, against a simulated Cloud Storage.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

mod contract;
#[path = "../discovery/mod.rs"]
#[expect(dead_code, reason = "masks of fields are of another API")]
mod discovery;
mod evidence;
#[path = "../exchange/mod.rs"]
#[expect(dead_code, reason = "nothing is asked of the headers")]
mod exchange;
mod faults;
mod holds;
mod uploads;
mod world;
