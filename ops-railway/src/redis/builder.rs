use std::sync::{Arc, Mutex};

use ops_core::config::{Env, SharedLimitsConfig};
use ops_core::error::Result;
use ops_core::http::HostPolicy;
use ops_core::ports::Clock;
use secrecy::SecretString;

use super::address::Address;
use super::link::{Link, State};
use super::tls::Tls;
use super::{PROVIDER, RedisLimits};
use crate::error::ConfigFaults;

/// Collects what a [`RedisLimits`] needs.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RedisLimitsBuilder {
    url: Option<SecretString>,
    policy: HostPolicy,
    private: bool,
    roots: Option<String>,
    space: String,
    clock: Option<Arc<dyn Clock>>,
}

impl RedisLimitsBuilder {
    pub(super) fn new() -> Self {
        Self {
            url: None,
            policy: HostPolicy::LoopbackOnly,
            private: false,
            roots: None,
            space: "limits".to_owned(),
            clock: None,
        }
    }

    /// `rediss://default:TOKEN@HOST:PORT`, as Upstash gives it, or `redis://…` without TLS. Required.
    pub fn with_url(mut self, url: SecretString) -> Self {
        self.url = Some(url);
        self
    }

    /// What `[shared_limits]` of `ops.toml` says; the URL is that of the variable it names, and stays missing when that is not set.
    pub fn with_config(mut self, config: &SharedLimitsConfig, env: &Env) -> Self {
        self.url = env.secret(&config.url_env);
        self.space.clone_from(&config.space);
        self.private = config.private_network;
        self
    }

    /// Which hosts it may talk to. Default: this machine only.
    pub fn with_host_policy(mut self, policy: HostPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Whether another machine may be talked to without TLS, because the network between is private (Railway's, a VPC). Default: no.
    pub fn with_private_network(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// The certificate authorities to trust, in PEM, for a server with a certificate of one's own or of a cloud's. Default: Mozilla's.
    pub fn with_root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Keeps services that share a server apart: 1 to 32 letters, digits, `-` and `_`. Default `limits`.
    pub fn with_space(mut self, space: impl Into<String>) -> Self {
        self.space = space.into();
        self
    }

    /// The clock that notices a server that has gone silent. Limits go by the server's. Required.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the provider. It connects when it is first asked.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](ops_core::error::ErrorKind::InvalidConfig): every fault at once, or the one of the URL.
    pub fn build(self) -> Result<RedisLimits> {
        let mut faults = ConfigFaults::default();
        if self.url.is_none() {
            faults.add("url", "is missing");
        }
        if self.space.len() > 32 || !crate::error::is_plain_id(&self.space) {
            faults.add("space", "must be 1 to 32 letters, digits, - and _");
        }
        if self.clock.is_none() {
            faults.add("clock", "is missing");
        }
        let (Some(url), Some(clock), true) = (self.url, self.clock, faults.is_empty()) else {
            return Err(faults.into_error("build the store of limits", PROVIDER));
        };
        let address = Address::read(&url)?;
        address.check(self.policy, self.private)?;
        let tls = address.tls.then(|| Tls::new(self.roots.as_deref())).transpose()?;
        Ok(RedisLimits {
            prefix: format!("ops:{{{}}}:", self.space),
            link: Arc::new(Link {
                address,
                policy: self.policy,
                tls,
                clock,
                state: Mutex::new(State::default()),
                opening: Arc::default(),
            }),
        })
    }
}
