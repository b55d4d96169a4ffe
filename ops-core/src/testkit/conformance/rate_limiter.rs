use std::time::Duration;

use super::fresh;
use crate::model::{EndpointClass, LimitKey, LimitRequest};
use crate::ports::Admission;

/// The contract of [`Admission`] and of [`RateLimiter`](crate::ports::RateLimiter), which is one. There must be a limit for each class and
/// for `Api`, below 20,000 requests a minute and not below one.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn rate_limiter(port: &dyn Admission) {
    let key = fresh("key");
    let api = admitted(port, EndpointClass::Api, &key).await;
    assert!(api > 0, "a fresh key must be admitted");
    let seen = port.admit(&of(EndpointClass::Api, &key).with_cost(0)).await;
    let left = seen.binding().map(|limit| limit.standing.remaining);
    assert!(
        seen.is_admitted() && left <= Some(REFILL),
        "a look must be admitted and say what is left: {left:?}"
    );

    for class in [EndpointClass::Llm, EndpointClass::Search, EndpointClass::Admin] {
        let key = fresh("key");
        let own = admitted(port, class, &key).await;
        assert!(own > 0, "a fresh key must be admitted to {class:?}");
        for _ in 0..3 * api {
            // A request may be refilled at any moment; what counts is that a denial says when to come back.
            let decision = port.admit(&of(class, &key)).await;
            assert!(
                decision.is_admitted() || decision.retry_after() > Some(Duration::ZERO),
                "a denial of {class:?} must say when the request would be allowed"
            );
        }
        let rest = admitted(port, EndpointClass::Api, &key).await;
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
        let decision = port.admit(&of(class, &other)).await;
        assert!(decision.is_admitted(), "keys must be independent of each other");
        let more = port.admit(&of(class, &other).with_cost(own + REFILL)).await;
        assert!(
            !more.is_admitted(),
            "a request that counts more than what is left must be denied"
        );
        let whole = port.admit(&of(class, &fresh("key")).with_cost(own)).await;
        assert!(
            whole.is_admitted(),
            "a request may count as much as the whole limit"
        );
        let never = port.admit(&of(class, &fresh("key")).with_cost(u32::MAX)).await;
        assert!(
            !never.is_admitted() && never.retry_after().is_none(),
            "more than the limit is never admitted"
        );
    }
}

/// How many requests may be refilled while the suite runs.
const REFILL: u32 = 3;

async fn admitted(port: &dyn Admission, class: EndpointClass, key: &str) -> u32 {
    for admitted in 0..MOST {
        if !port.admit(&of(class, key)).await.is_admitted() {
            return admitted;
        }
    }
    panic!("{class:?} must be limited, but admitted {MOST} requests at once");
}

const MOST: u32 = 20_000;

fn of(class: EndpointClass, key: &str) -> LimitRequest<'_> {
    LimitRequest::new(class, LimitKey::user("org_conformance", key))
}
