//! Evidence: what an export holds, and what its files show without the store.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod accounts;
mod archive;
mod export;
mod incident;
mod retention;
mod sessions;
mod support;
mod tampering;
