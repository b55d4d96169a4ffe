use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::guard::whole_seconds;
use crate::model::LimitDecision;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds the fields `RateLimit-Policy` and `RateLimit` of the IETF draft (structured fields, RFC 9651): for each limit its quota and window in
/// seconds, what is left, and in how many seconds the whole quota is there again. A response that has them keeps its own. They name limits,
/// not callers.
pub fn limit_fields(headers: &mut HeaderMap, decision: &LimitDecision) {
    if decision.verdicts().next().is_none() || headers.contains_key(&POLICY) || headers.contains_key(&LIMIT) {
        return;
    }
    let (mut policy, mut limit) = (String::new(), String::new());
    for verdict in decision.verdicts() {
        let comma = if policy.is_empty() { "" } else { ", " };
        // The names need no escape; writing into a String does not fail.
        let _ = write!(
            policy,
            "{comma}\"{}\";q={};w={}",
            verdict.name,
            verdict.limit,
            verdict.per.as_secs()
        );
        let (left, reset) = (verdict.standing.remaining, whole_seconds(verdict.standing.reset));
        let _ = write!(limit, "{comma}\"{}\";r={left};t={reset}", verdict.name);
    }
    for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}
