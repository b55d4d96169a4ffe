//! What stands on the request path: the kill switch and the local rate limit. No I/O, no waiting.

mod kill_switch;
mod rate_limit;

pub use self::kill_switch::{Feature, KillSwitch};
pub use self::rate_limit::{GovernorLimiter, RateLimited, RateLimits};
