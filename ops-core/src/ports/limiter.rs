use std::fmt::Debug;
use std::time::Duration;

use crate::model::EndpointClass;

/// Whether a request may go on. Denied is a value, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a guard decides on each")]
pub enum Limit {
    /// It may.
    Allowed,
    /// It may not.
    Exceeded {
        /// When the same request would be allowed.
        retry_after: Duration,
    },
}

/// Limits how often a user may do something. On the hot path: no I/O, no lock across a suspension point.
///
/// # Contract
/// - A request counts against its class and, unless its class is [`EndpointClass::Api`], against `Api` too.
/// - A denied request uses up nothing.
/// - Keys are independent of each other.
/// - Each provider states its semantics (burst or strict) and the number it admits in the worst window.
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// Counts one request of `class` by `key` (tenant and user) and says whether it may go on.
    fn check(&self, class: EndpointClass, key: &str) -> Limit;
}
