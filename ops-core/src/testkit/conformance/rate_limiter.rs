use std::time::Duration;

use super::fresh;
use crate::model::EndpointClass;
use crate::ports::{Limit, RateLimiter};

/// The contract of [`RateLimiter`]. The limits must be below 20,000 requests a minute, and not below one.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn rate_limiter(port: &dyn RateLimiter) {
    let api = admitted(port, EndpointClass::Api, &fresh("key"));
    assert!(api > 0, "a fresh key must be admitted");

    for class in [EndpointClass::Llm, EndpointClass::Search, EndpointClass::Admin] {
        let key = fresh("key");
        let own = admitted(port, class, &key);
        assert!(own > 0, "a fresh key must be admitted to {class:?}");
        for _ in 0..3 * api {
            assert_exceeded(port.check(class, &key), class);
        }
        let rest = admitted(port, EndpointClass::Api, &key);
        let expected = api - own.min(api);
        assert!(
            rest <= expected + REFILL,
            "{own} requests of {class:?} must count against Api too: {rest} of {api} were left"
        );
        assert!(
            rest + REFILL >= expected,
            "denied requests of {class:?} must use up nothing of Api: {rest} were left, not {expected}"
        );

        let other = fresh("key");
        assert_eq!(
            port.check(class, &other),
            Limit::Allowed,
            "keys must be independent of each other"
        );
    }
}

/// How many requests may be refilled while the suite runs.
const REFILL: u32 = 3;

fn admitted(port: &dyn RateLimiter, class: EndpointClass, key: &str) -> u32 {
    for admitted in 0..MOST {
        if port.check(class, key) != Limit::Allowed {
            return admitted;
        }
    }
    panic!("{class:?} must be limited, but admitted {MOST} requests at once");
}

const MOST: u32 = 20_000;

fn assert_exceeded(limit: Limit, class: EndpointClass) {
    // A request may be refilled at any moment; what counts is that a denial says when to come back.
    if let Limit::Exceeded { retry_after } = limit {
        assert!(
            retry_after > Duration::ZERO,
            "a denial of {class:?} must say when the request would be allowed"
        );
    }
}
