use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::Timestamp;

/// Tells the time and waits. Tests move it by hand.
///
/// # Contract
/// - `now` is the wall clock, for records; it may jump.
/// - `monotonic` never goes back; only differences of it mean anything.
/// - `sleep` ends when `monotonic` has advanced by at least the duration.
///
/// # Cancellation
/// Dropping `sleep` has no effect.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary fixed point.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}
