use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret, SecretString};

use super::TokenSource;

/// One token that never changes: for simulations, and for a token that a tool has just printed. It is not renewed.
///
/// ```
/// use ops_gcp::auth::StaticToken;
///
/// let token = StaticToken::new("ya29.secret");
/// assert!(!format!("{token:?}").contains("secret\""));
/// ```
#[derive(Clone, Debug)]
pub struct StaticToken(SecretString);

impl StaticToken {
    /// Always gives `token`.
    pub fn new(token: impl Into<SecretString>) -> Self {
        Self(token.into())
    }
}

#[async_trait]
impl TokenSource for StaticToken {
    /// # Errors
    /// `Unauthenticated` for a token that is empty or cannot stand in a header.
    async fn token(&self) -> Result<SecretString> {
        let text = self.0.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(ErrorKind::Unauthenticated, "read token")
                .context("token", "must be visible ASCII characters, and not empty"));
        }
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_never_shows_and_an_unusable_one_is_refused() {
        let token = StaticToken::new("t0ken");
        assert!(!format!("{token:?}").contains("t0ken"));
        assert_eq!(token.token().await.unwrap().expose_secret(), "t0ken");
        for unusable in ["", "a b", "a\r\nx-evil: 1"] {
            let error = StaticToken::new(unusable).token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
    }
}
