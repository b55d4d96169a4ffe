use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::Verdict;

/// Whether something works: what a gate of a restore looks at.
///
/// # Contract
/// - `Holds` only on fresh evidence that it works; `NotYet` on fresh evidence that it does not; `Unknown` when there is none. **No data is never health**, so there is
///   no `Err`: what went wrong is the reason of an `Unknown`.
/// - Acts on nothing and remembers nothing: each call looks anew.
/// - A reason holds no secret and no personal data; it is journalled.
/// - The caller bounds the time.
///
/// # Cancellation
/// Dropping `check` has no effect.
#[async_trait]
pub trait HealthProbe: Debug + Send + Sync + 'static {
    /// Looks once.
    async fn check(&self) -> Verdict;
}
