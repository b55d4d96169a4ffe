use std::time::Duration;

use serde::Serialize;

use crate::messages;
use crate::model::{Lang, LimitDecision};

/// The answer to a request over the limit: status 429 with this body as JSON, and `Retry-After` with the same number.
///
/// ```
/// use std::time::Duration;
/// use ops_core::guard::RateLimited;
/// use ops_core::model::Lang;
///
/// let answer = RateLimited::new(Duration::from_millis(2_400), Lang::Ja);
/// assert_eq!(answer.retry_after(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimited {
    error: &'static str,
    message: String,
    retry_after: u64,
}

impl RateLimited {
    /// The HTTP status.
    pub const STATUS: u16 = 429;

    /// The answer for a request that may come back after `retry_after`, in whole seconds, rounded up, at least one.
    pub fn new(retry_after: Duration, lang: Lang) -> Self {
        Self {
            error: "rate_limit_exceeded",
            message: messages::too_many_requests().get(lang).to_owned(),
            retry_after: whole_seconds(retry_after).max(1),
        }
    }

    /// The answer to a request that `decision` denies; `None` if it does not. A request that is not admitted before the limit changes is
    /// told to come back after the period.
    pub fn answer(decision: &LimitDecision, lang: Lang) -> Option<Self> {
        if decision.is_admitted() {
            return None;
        }
        let period = || decision.binding().map_or(Duration::ZERO, |limit| limit.per);
        Some(Self::new(decision.retry_after().unwrap_or_else(period), lang))
    }

    /// Seconds until the request may come back; the value of `Retry-After`.
    pub fn retry_after(&self) -> u64 {
        self.retry_after
    }
}

/// Rounded up, as clients are told.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_has_the_runbooks_form_and_rounds_up() {
        let answer = serde_json::to_value(RateLimited::new(Duration::from_millis(59_001), Lang::Ja)).unwrap();
        assert_eq!(
            answer,
            json!({
                "error": "rate_limit_exceeded",
                "message": "リクエスト数が上限を超えました。しばらくお待ちください。",
                "retry_after": 60
            })
        );
        let seconds = |wait| RateLimited::new(wait, Lang::En).retry_after();
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_secs(7)), 7);
        assert_eq!(seconds(Duration::MAX), u64::MAX);
    }
}
