//! Trying again, within one budget. The executor is the only place that uses it: a transport makes one exchange, a provider one call.

mod caught;
mod deadline;
mod retry;

pub(crate) use self::caught::caught;
pub use self::deadline::Deadline;
pub use self::retry::RetryPolicy;
