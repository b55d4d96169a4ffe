use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{Check, TargetId, Text};

/// Tells by reading whether what a stop and a restore need is there: reachability, credential, permissions.
///
/// # Contract
/// - Changes nothing, anywhere: every call is a read, or one that the vendor documents as having no effect.
/// - Gives at least one check for each of `targets`, and one for the credential. What could not be found out is a check
///   with [`CheckState::Unknown`](crate::model::CheckState::Unknown), never a missing line.
/// - A check that is not ready has a remedy.
/// - Uses the client, address and credential that the stop uses. Does not retry.
///
/// # Errors
/// None: see above.
///
/// # Cancellation
/// Dropping the future has no effect.
#[async_trait]
pub trait ReadinessProbe: Debug + Send + Sync + 'static {
    /// What cannot be proven by reading, for the report.
    fn limitations(&self) -> Vec<Text>;
    /// Looks at everything that `targets` need.
    async fn examine(&self, targets: &[TargetId]) -> Vec<Check>;
}
