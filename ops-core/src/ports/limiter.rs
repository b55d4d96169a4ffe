use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{LimitDecision, LimitRequest};

/// Limits how often a caller may do something, counted in this process. On the hot path: no I/O, no lock across a suspension point.
///
/// # Contract
/// - A request counts against every limit of its class and against those of [`EndpointClass::Api`](crate::model::EndpointClass::Api),
///   or, if one of them denies it, against none. A cost of 0 only looks: it is admitted, and `remaining` tells how much is left.
/// - A request that was denied is admitted after `retry_after`, if nothing else was used meanwhile.
/// - Keys are independent of each other. A provider whose memory is full may let new keys share an allowance, and counts it.
/// - Each provider states its semantics and the number it admits in the worst window.
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// Counts one request and says whether it may go on.
    fn check(&self, request: &LimitRequest<'_>) -> LimitDecision;
}

impl<L: RateLimiter + ?Sized> RateLimiter for Arc<L> {
    fn check(&self, request: &LimitRequest<'_>) -> LimitDecision {
        (**self).check(request)
    }
}

/// What the request path asks: a limiter of this process, which answers at once, or a shared one, which may have to wait.
///
/// # Contract
/// As [`RateLimiter`], over all instances that share a count. It always answers: a shared limiter that cannot reach its store has a declared
/// answer and marks it ([`LimitDecision::is_degraded`]). It waits no longer than its own deadline.
///
/// # Cancellation
/// Dropping the future may leave the request counted.
#[async_trait]
pub trait Admission: Debug + Send + Sync + 'static {
    /// Counts the request and answers if that needs no waiting; `None`, with nothing counted, if [`admit`](Self::admit) is to be asked.
    fn admit_now(&self, request: &LimitRequest<'_>) -> Option<LimitDecision>;

    /// Counts the request and answers.
    async fn admit(&self, request: &LimitRequest<'_>) -> LimitDecision;
}

#[async_trait]
impl<L: RateLimiter + ?Sized> Admission for L {
    fn admit_now(&self, request: &LimitRequest<'_>) -> Option<LimitDecision> {
        Some(self.check(request))
    }

    async fn admit(&self, request: &LimitRequest<'_>) -> LimitDecision {
        self.check(request)
    }
}
