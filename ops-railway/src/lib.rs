//! Hosted platforms as providers of the `ops-core` ports: Railway and Vercel, one feature each; with feature `redis`, limits that instances
//! share.
//!
//! Each platform is a thin client over [`HttpTransport`](ops_core::http::HttpTransport); nothing here retries, audits or
//! notifies. With feature `sim` each platform also has a simulated control plane that speaks the vendor's wire protocol and
//! keeps its documented rules and traps.

#[cfg(any(feature = "railway", feature = "vercel", feature = "redis"))]
#[cfg_attr(
    not(all(feature = "railway", feature = "vercel")),
    allow(dead_code, reason = "each platform uses its own part")
)]
mod error;

#[cfg(feature = "railway")]
mod graphql;

#[cfg(feature = "railway")]
pub mod railway;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "vercel")]
pub mod vercel;
