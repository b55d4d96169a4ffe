//! Operations runbooks as code: stop safely, prove it, put it back exactly.

pub mod error;
pub mod http;
pub mod model;
pub mod ports;

#[cfg(feature = "testkit")]
pub mod testkit;
