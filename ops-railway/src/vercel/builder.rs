use std::sync::Arc;

use ops_core::error::Result;
use ops_core::http::HttpTransport;
use ops_core::ports::Clock;
use secrecy::SecretString;

use super::client::VercelClient;
use super::{PROVIDER, VercelTraffic};
use crate::error::{ConfigFaults, is_plain_id};

/// Collects what a [`VercelTraffic`] needs.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct VercelTrafficBuilder {
    transport: Option<Arc<dyn HttpTransport>>,
    token: Option<SecretString>,
    base_url: String,
    team: Option<String>,
    clock: Option<Arc<dyn Clock>>,
}

const BASE_URL: &str = "https://api.vercel.com";

impl VercelTrafficBuilder {
    pub(super) fn new() -> Self {
        Self {
            transport: None,
            token: None,
            base_url: BASE_URL.to_owned(),
            team: None,
            clock: None,
        }
    }

    /// The transport that carries every request. Required.
    pub fn with_transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The access token. Required.
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// The id of the team that the projects belong to. Default `None`: the token's personal scope, which does not see a
    /// team's projects.
    pub fn with_team(mut self, team: Option<String>) -> Self {
        self.team = team;
        self
    }

    /// Where the API is. Default `https://api.vercel.com`.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The clock by which a restore waits between its two writes. Required.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the provider. No request is sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](ops_core::error::ErrorKind::InvalidConfig), naming every fault at once.
    pub fn build(self) -> Result<VercelTraffic> {
        let mut faults = ConfigFaults::default();
        let base_url = faults.check_base_url(&self.base_url);
        faults.check_token(self.token.as_ref());
        if self.team.as_deref().is_some_and(|team| !is_plain_id(team)) {
            faults.add("team", "must be 1 to 64 letters, digits, - and _");
        }
        if self.transport.is_none() {
            faults.add("transport", "is missing");
        }
        if self.clock.is_none() {
            faults.add("clock", "is missing");
        }
        match (self.transport, self.token, self.clock) {
            (Some(transport), Some(token), Some(clock)) if faults.is_empty() => Ok(VercelTraffic {
                client: Arc::new(VercelClient::new(transport, token, base_url, self.team, clock)),
            }),
            _ => Err(faults.into_error("build traffic controller", PROVIDER)),
        }
    }
}
