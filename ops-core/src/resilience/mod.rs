//! Trying again, within one budget. The executor is the only place that uses it: a transport makes one exchange, a provider one call.
//!
//! Around a store of limits, which nothing asks twice: calls that carry many questions, denials that are remembered, a breaker.

mod breaker;
mod caught;
mod coalesce;
mod deadline;
mod denial_cache;
mod limit_counts;
mod limit_states;
mod retry;

pub use self::breaker::{Breaker, BreakerOptions, Passage};
pub(crate) use self::caught::caught;
pub use self::coalesce::{Batch, Coalescer};
pub use self::deadline::Deadline;
pub use self::denial_cache::DenialCache;
pub use self::limit_counts::LimitCounts;
pub use self::limit_states::{LimitState, LimitStates};
pub use self::retry::RetryPolicy;
