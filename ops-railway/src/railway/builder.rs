use std::sync::Arc;

use ops_core::error::Result;
use ops_core::http::HttpTransport;
use ops_core::ports::Clock;
use secrecy::SecretString;

use super::client::RailwayClient;
use super::{PROVIDER, RailwayTraffic};
use crate::error::ConfigFaults;

/// A Railway token. The vendor takes each sort in a header of its own, and refuses it in the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RailwayToken {
    /// Bound to one environment of one project; sent as `Project-Access-Token`.
    Project(SecretString),
    /// Of an account, a workspace or an OAuth application; sent as `Authorization: Bearer`.
    Bearer(SecretString),
}

/// Collects what a [`RailwayTraffic`] needs.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RailwayTrafficBuilder {
    transport: Option<Arc<dyn HttpTransport>>,
    token: Option<RailwayToken>,
    base_url: String,
    clock: Option<Arc<dyn Clock>>,
}

const BASE_URL: &str = "https://backboard.railway.com";

impl RailwayTrafficBuilder {
    pub(super) fn new() -> Self {
        Self {
            transport: None,
            token: None,
            base_url: BASE_URL.to_owned(),
            clock: None,
        }
    }

    /// The transport that carries every request. Required.
    pub fn with_transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The credential. Required.
    pub fn with_token(mut self, token: RailwayToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Where the API is, without `/graphql/v2`. Default `https://backboard.railway.com`.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The clock that turns the vendor's "from then on" into "after so long". Required.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the provider. No request is sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](ops_core::error::ErrorKind::InvalidConfig), naming every fault at once.
    pub fn build(self) -> Result<RailwayTraffic> {
        let mut faults = ConfigFaults::default();
        let base_url = faults.check_base_url(&self.base_url);
        faults.check_token(self.token.as_ref().map(|token| match token {
            RailwayToken::Project(text) | RailwayToken::Bearer(text) => text,
        }));
        if self.transport.is_none() {
            faults.add("transport", "is missing");
        }
        if self.clock.is_none() {
            faults.add("clock", "is missing");
        }
        match (self.transport, self.token, self.clock) {
            (Some(transport), Some(token), Some(clock)) if faults.is_empty() => Ok(RailwayTraffic {
                client: Arc::new(RailwayClient::new(transport, token, &base_url, clock)),
            }),
            _ => Err(faults.into_error("build traffic controller", PROVIDER)),
        }
    }
}
