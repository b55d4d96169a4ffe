//! Migrations: what state a database is in, what a script would do to it, and running it so that nobody waits.
//!
//! Four answers for each migration, never one "safe": *locks* ([`review`]), *proof* (the same script on a throw-away server),
//! *compatibility* (can the running and the previous code live with it), *reversibility* (is there a way down, and does it lead
//! back exactly).

#[cfg(feature = "migrations")]
mod hazard;
#[cfg(feature = "migrations")]
mod tree;

#[cfg(feature = "migrations")]
pub use self::hazard::{Finding, Hazard, Statement, StatementReview, Urgency, review, statements};
