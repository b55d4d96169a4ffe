use std::time::Duration;

use crate::config::SharedLimitsConfig;
use crate::model::EndpointClass;
use crate::resilience::BreakerOptions;

/// What a class of requests gets while the shared store does not answer. There is no open door: without a share every instance would admit
/// the whole limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnUnavailable {
    /// This instance admits the limit divided by the greatest number of instances, rounded down. All instances together stay within the limit;
    /// a limit smaller than the number of instances admits nothing. A flood of more than
    /// [`local_callers`](SharedLimitOptions::local_callers) callers within the period of a limit takes all places of that period: further ones
    /// are denied until the period is over, whoever they are.
    #[default]
    LocalShare,
    /// Nothing.
    Deny,
}

/// How an instance asks the store that it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedLimitOptions {
    /// How long one call may take. Default: 5 ms. A check takes at most twice as long.
    pub timeout: Duration,
    /// How many checks one call carries at most, 1 to 250. Default: 64.
    pub most_checks: usize,
    /// The greatest number of instances there may be at a time; it divides the limits while the store is away. Default: 10.
    pub max_instances: u32,
    /// How many denials are remembered. Default: 65 536, about 100 bytes each.
    pub remembered_denials: usize,
    /// How many callers this instance counts by itself while the store is away, for each limit and period apart from those of other periods;
    /// further ones are denied then. Default: 100 000.
    pub local_callers: usize,
    /// When calls are left out, and for how long.
    pub breaker: BreakerOptions,
    /// How many denials of a caller within [`offence_window`](Self::offence_window), over all instances, raise an alarm. Default: 100.
    pub offence_threshold: u32,
    /// See [`offence_threshold`](Self::offence_threshold). Default: a minute.
    pub offence_window: Duration,
    on_unavailable: [OnUnavailable; EndpointClass::ALL.len()],
}

impl Default for SharedLimitOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(5),
            most_checks: 64,
            max_instances: 10,
            remembered_denials: 65_536,
            local_callers: 100_000,
            breaker: BreakerOptions::default(),
            offence_threshold: 100,
            offence_window: Duration::from_secs(60),
            on_unavailable: [OnUnavailable::LocalShare; EndpointClass::ALL.len()],
        }
    }
}

impl From<&SharedLimitsConfig> for SharedLimitOptions {
    /// What `ops.toml` says, and defaults.
    fn from(config: &SharedLimitsConfig) -> Self {
        Self::default()
            .with_max_instances(config.max_instances)
            .with_timeout(config.timeout)
    }
}

impl SharedLimitOptions {
    /// What requests of `class` get while the store is away. Default: a local share.
    #[must_use]
    pub fn with_on_unavailable(mut self, class: EndpointClass, answer: OnUnavailable) -> Self {
        self.on_unavailable[class.position()] = answer;
        self
    }

    /// Another greatest number of instances.
    #[must_use]
    pub fn with_max_instances(mut self, instances: u32) -> Self {
        self.max_instances = instances;
        self
    }

    /// Another time limit of a call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What requests of `class` get while the store is away.
    pub fn on_unavailable(&self, class: EndpointClass) -> OnUnavailable {
        self.on_unavailable[class.position()]
    }
}
