//! Limits of requests: what they mean, whom they count, and what they say to one request.
//!
//! The two algorithms are pure functions over a [`LimitTime`], so that a limiter in this process, one in memory and one in a shared store
//! decide alike: [`Gcra`] for [`LimitSemantics::Burst`], [`Strict`] for [`LimitSemantics::Strict`].

mod decision;
mod force;
mod gcra;
mod key;
mod ring;
mod rule;
mod table;
mod time;

pub use self::decision::{LimitDecision, LimitVerdict, Standing};
pub use self::force::{AppliedLimit, AppliedLimits, LimitsInForce};
pub use self::gcra::Gcra;
pub(crate) use self::key::LimitSecret;
pub use self::key::{LimitCaller, LimitDigest, LimitKey, LimitRequest};
pub use self::ring::{RING_SLOTS, Strict, StrictRing};
pub use self::rule::{EndpointClass, LimitName, LimitRule, LimitScope, LimitSemantics};
pub use self::table::{LimitChange, LimitOverride, LimitTable, MAX_LIMITS, MAX_LIMITS_AT_ONCE};
pub use self::time::LimitTime;
