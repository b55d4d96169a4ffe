//! Google Cloud behind the ports of `ops-core`.
//!
//! | module | what it stops | how |
//! |---|---|---|
//! | [`run`] | a Cloud Run service | manual scaling with zero instances, no new revision |
//! | [`identity`] | the sessions and the account of a user at Identity Toolkit (Firebase Authentication) | sign-ins before a moment are renewed no more; the account is disabled |
//!
//! | module | what it looks at |
//! |---|---|
//! | [`queues`] | what goes on delivering to a stopped Cloud Run service: Pub/Sub push, Cloud Tasks, Cloud Scheduler |
//!
//! | module | what it keeps |
//! |---|---|
//! | [`archive`] | evidence of the audit trail in a bucket of Cloud Storage, held and never written over |
//!
//! Every provider is built from the same parts: a transport, a [`TokenSource`](auth::TokenSource), a clock, and a base URL
//! that tests and drills point at a simulation. Nothing here reads the environment or retries: the engine does the latter.
//!
//! Feature `sim` adds the simulated control planes (for example `run::sim`): they speak the vendor's wire protocol and keep
//! its documented traps. They are for tests, drills and `opsctl sim`.

pub mod archive;
pub mod auth;
pub mod identity;
pub mod queues;
pub mod run;

mod base_url;
mod error;
mod operation;
mod pages;
mod readiness;
#[cfg(feature = "sim")]
mod sim;
