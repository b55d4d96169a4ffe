use std::sync::Arc;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::HttpTransport;
use ops_core::ports::Clock;

use super::client::Client;
use super::{CloudRunTraffic, PROVIDER};
use crate::auth::TokenSource;
use crate::base_url;

/// Puts a [`CloudRunTraffic`] together; nothing is checked before [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct CloudRunTrafficBuilder {
    transport: Option<Arc<dyn HttpTransport>>,
    token: Option<Arc<dyn TokenSource>>,
    clock: Option<Arc<dyn Clock>>,
    base_url: String,
    resource_manager_url: String,
}

impl CloudRunTrafficBuilder {
    pub(super) fn new() -> Self {
        Self {
            transport: None,
            token: None,
            clock: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            resource_manager_url: super::readiness::RESOURCE_MANAGER.to_owned(),
        }
    }

    /// Sends requests with this. Required.
    pub fn with_transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Takes access tokens from this. Required.
    pub fn with_token(mut self, token: Arc<dyn TokenSource>) -> Self {
        self.token = Some(token);
        self
    }

    /// Waits with this between two questions whether an operation has ended. Required.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Talks to this address: a simulation, or a private endpoint. Default: `https://run.googleapis.com`.
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Asks this address for the permissions on the project, which only the readiness check does. Default:
    /// `https://cloudresourcemanager.googleapis.com`.
    pub fn with_resource_manager_url(mut self, base_url: impl Into<String>) -> Self {
        self.resource_manager_url = base_url.into();
        self
    }

    /// The provider.
    ///
    /// # Errors
    /// `InvalidConfig`, naming every part that is missing or wrong at once.
    pub fn build(self) -> Result<CloudRunTraffic> {
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        let resource_manager_url = self.resource_manager_url.trim_end_matches('/').to_owned();
        let usable = [&base_url, &resource_manager_url]
            .into_iter()
            .all(|url| base_url::is_usable(url));
        match (self.transport, self.token, self.clock) {
            (Some(transport), Some(token), Some(clock)) if usable => Ok(CloudRunTraffic {
                client: Client {
                    transport,
                    token,
                    clock,
                    base_url,
                    resource_manager_url,
                },
            }),
            (transport, token, clock) => {
                let faults = [
                    ("transport", transport.is_none(), "is missing: with_transport"),
                    ("token", token.is_none(), "is missing: with_token"),
                    ("clock", clock.is_none(), "is missing: with_clock"),
                    ("base_url", !usable, base_url::MUST_BE),
                ];
                let error = Error::new(ErrorKind::InvalidConfig, "build").provider(PROVIDER);
                Err(faults
                    .into_iter()
                    .filter(|(_, wrong, _)| *wrong)
                    .fold(error, |error, (part, _, what)| error.context(part, what)))
            }
        }
    }
}

const DEFAULT_BASE_URL: &str = "https://run.googleapis.com";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_or_wrong_part_is_named_at_once() {
        let error = CloudRunTraffic::builder()
            .with_base_url("http://10.0.0.1")
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = error.to_string();
        for part in ["transport:", "token:", "clock:", "base_url:"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
