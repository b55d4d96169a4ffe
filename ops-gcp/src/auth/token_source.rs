use std::fmt::Debug;

use async_trait::async_trait;
use ops_core::error::Result;
use secrecy::SecretString;

/// Gives the access token that goes into `Authorization: Bearer`.
///
/// # Contract
/// - Called once per request: an implementation caches, and renews before the token expires.
/// - The token has the scope `https://www.googleapis.com/auth/cloud-platform`.
///
/// # Errors
/// `Unauthenticated` when there is no valid credential, `Unavailable` when the issuer cannot be reached.
///
/// # Cancellation
/// Dropping the future has no effect on the vendor's side.
#[async_trait]
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// A token that is valid now.
    async fn token(&self) -> Result<SecretString>;
}
