//! Trying again, within one budget. The executor is the only place that uses it: a transport makes one exchange, a provider one call.

mod deadline;
mod retry;

pub use self::deadline::Deadline;
pub use self::retry::RetryPolicy;
