//! Operations runbooks as code: stop safely, prove it, put it back exactly.
//!
//! ```text
//! signal ──► decision ──► plan ──► approval ──► execution ──► verification ──► outcome
//!                                               └─ journal ─┘                    └─► audit record, then notices
//! ```
//!
//! An application holds an [`Ops`] over a set of [`Providers`] and runs [procedures] made of [actions]. A stop needs nothing but the
//! vendor it acts on; the prior state is durable before the first effect; success is what a read-back shows; a restore needs approval
//! and is exact, or is refused with the difference named. [`guard::KillSwitch`] is what the request path asks: a load and a test.
//!
//! Providers for Google Cloud, for Railway and Vercel, and for PostgreSQL are in crates of their own; [`memory`] and [`mod@file`] are here.

pub mod actions;
pub mod audit;
pub mod clock;
pub mod config;
pub mod emergency;
pub mod error;
pub mod file;
pub mod governance;
pub mod guard;
pub mod http;
pub mod incidents;
pub mod masking;
pub mod memory;
pub mod messages;
pub mod model;
pub mod pipeline;
pub mod ports;
pub mod procedures;
pub mod resilience;
pub mod tenancy;

mod ops;
mod providers;

pub use self::ops::{DrillProof, FeatureStop, Ops};
pub use self::providers::Providers;

mod durable;
mod failpoint;

#[cfg(feature = "web")]
pub mod web;

#[cfg(feature = "testkit")]
pub mod testkit;
