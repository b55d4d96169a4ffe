use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, Notice};

/// Tells people.
///
/// # Contract
/// - On `Ok` the channel has accepted the notice; nobody may have read it.
/// - Sending the same `key` twice is harmless where the channel can tell.
/// - A notifier never blocks a stop: the caller sets a deadline and drops the future after it.
///
/// # Errors
/// `Unavailable`, `Timeout`, `RateLimited`, `PermissionDenied`, `InvalidInput`. Texts never hold the channel's secret address.
///
/// # Cancellation
/// Dropping the future may leave the notice sent.
#[async_trait]
pub trait Notifier: Debug + Send + Sync + 'static {
    /// Sends one notice.
    async fn send(&self, notice: &Notice) -> Result<Accepted>;
}
