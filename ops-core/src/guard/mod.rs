//! What stands on the request path: the kill switch and the local rate limit. No I/O, no waiting. What keeps the switch up to date stands
//! beside it, on a thread of its own.

mod distributed_limit;
mod entry_refresh;
mod kill_switch;
mod limit_monitor;
mod limited;
mod local_limit;
mod rate_limit;
mod refresher;
mod word;

/// The atomics of the switch word; loom's in its test.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}

pub use self::distributed_limit::{
    DistributedLimiter, OnUnavailable, SharedLimitFigures, SharedLimitOptions,
};
pub use self::entry_refresh::EntryRefresh;
pub(crate) use self::kill_switch::Moment;
pub use self::kill_switch::{Feature, GuardedCall, KillSwitch, SwitchLayer, SwitchSource};
pub use self::limit_monitor::{
    LimitCallerId, LimitMonitor, NearLimit, Offence, OffenceRules, OffenceSignals,
};
pub use self::limited::RateLimited;
#[cfg(feature = "web")]
pub(crate) use self::limited::whole_seconds;
pub use self::local_limit::{LocalLimitOptions, LocalLimiter};
pub use self::rate_limit::{GovernorLimiter, RateLimits};
pub use self::refresher::{RefreshOptions, SwitchHealth, SwitchRefresher};
