use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Extension};
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use ops_core::guard::{LimitMonitor, LocalLimitOptions, LocalLimiter, OffenceRules};
use ops_core::model::{EndpointClass, LimitDecision, LimitRequest, LimitTable, TenantId, Timestamp};
use ops_core::ports::{Admission, Clock, RateLimiter};
use ops_core::testkit::ManualClock;
use ops_core::web::{Caller, LimitGate, Llm, TrustedProxies, Within};
use serde_json::{Value, json};
use tower_service::Service;

fn limiter() -> (Arc<LocalLimiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let limiter = LocalLimiter::with_clock(LimitTable::preset(), LocalLimitOptions::default(), shared);
    (Arc::new(limiter.unwrap()), clock)
}

async fn left(Extension(decision): Extension<LimitDecision>) -> String {
    let left = decision.binding().map(|limit| limit.standing.remaining);
    format!("{left:?}")
}

async fn chat(within: Within<Llm>) -> String {
    within.decision().verdicts().count().to_string()
}

fn app(gate: LimitGate) -> Router {
    Router::new()
        .route("/search", get(left).layer(gate.layer(EndpointClass::Search)))
        .route("/chat", get(chat))
        .with_state(gate)
}

fn request(path: &str, user: Option<&str>) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    let peer: SocketAddr = "10.0.0.9:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Some(user) = user {
        request
            .extensions_mut()
            .insert(Caller::new(TenantId::new("org_a").unwrap(), user));
    }
    request
}

async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().call(request).await.unwrap()
}

async fn admitted(app: &Router, path: &str, user: &str) -> usize {
    let mut admitted = 0;
    while send(app, request(path, Some(user))).await.status() == StatusCode::OK {
        admitted += 1;
    }
    admitted
}

async fn body(response: Response<Body>) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1_000).await.unwrap()).unwrap()
}

fn header(response: &Response<Body>, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn over_the_limit_the_answer_is_the_runbooks_and_after_its_wait_the_request_is_admitted() {
    let (limiter, clock) = limiter();
    clock.advance(Duration::from_millis(1_234));
    let app = app(LimitGate::new(limiter));
    for path in ["/search", "/chat"] {
        let limit = if path == "/search" { 30 } else { 20 };
        assert_eq!(admitted(&app, path, path).await, limit);
        let denied = send(&app, request(path, Some(path))).await;
        assert_eq!(denied.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(denied.headers()[CONTENT_TYPE], "application/json");
        let wait: u64 = header(&denied, RETRY_AFTER.as_str()).parse().unwrap();
        assert_eq!(
            body(denied).await,
            json!({
                "error": "rate_limit_exceeded",
                "message": "リクエスト数が上限を超えました。しばらくお待ちください。",
                "retry_after": wait,
            })
        );
        let mut english = request(path, Some(path));
        english
            .headers_mut()
            .insert(ACCEPT_LANGUAGE, "en-US, ja;q=0.5".parse().unwrap());
        let told = body(send(&app, english).await).await;
        assert_eq!(told["message"], "Too many requests. Please wait a while.");
        clock.advance(Duration::from_secs(wait) - Duration::from_millis(1_000));
        assert_eq!(
            send(&app, request(path, Some(path))).await.status(),
            StatusCode::TOO_MANY_REQUESTS
        );
        clock.advance(Duration::from_millis(1_000));
        assert_eq!(
            send(&app, request(path, Some(path))).await.status(),
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn the_fields_of_the_draft_tell_quota_rest_and_reset_and_name_nobody() {
    let (limiter, _) = limiter();
    let app = app(LimitGate::new(limiter));
    let passed = send(&app, request("/search", Some("tanaka"))).await;
    assert_eq!(
        header(&passed, "ratelimit-policy"),
        r#""api";q=100;w=60, "search";q=30;w=60"#
    );
    assert_eq!(
        header(&passed, "ratelimit"),
        r#""api";r=99;t=62, "search";r=29;t=62"#
    );
    admitted(&app, "/search", "tanaka").await;
    let denied = send(&app, request("/search", Some("tanaka"))).await;
    assert_eq!(
        header(&denied, "ratelimit"),
        r#""api";r=70;t=62, "search";r=0;t=62"#
    );
    let shown = format!("{:?}", denied.headers());
    assert!(!shown.contains("tanaka") && !shown.contains("org_a"), "{shown}");
}

#[tokio::test]
async fn users_are_counted_apart_and_so_are_addresses_behind_a_trusted_proxy() {
    let (limiter, _) = limiter();
    let app = app(LimitGate::new(limiter).behind(TrustedProxies::new(["10.0.0.0/8"]).unwrap()));
    assert_eq!(admitted(&app, "/chat", "u1").await, 20);
    assert_eq!(admitted(&app, "/chat", "u2").await, 20);
    let from = |chain: &'static str| {
        let mut anonymous = request("/chat", None);
        anonymous
            .headers_mut()
            .insert("x-forwarded-for", chain.parse().unwrap());
        anonymous
    };
    for n in 0..20 {
        // What the client writes in front changes nothing.
        let chain: &'static str = if n % 2 == 0 {
            "1.1.1.1, 203.0.113.9"
        } else {
            "203.0.113.9"
        };
        assert_eq!(send(&app, from(chain)).await.status(), StatusCode::OK);
    }
    assert_eq!(
        send(&app, from("203.0.113.9")).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(send(&app, from("203.0.113.10")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_stopped_class_is_answered_before_it_is_counted() {
    let (limiter, _) = limiter();
    let open = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&open);
    let gate = LimitGate::new(limiter).open_while(EndpointClass::Llm, move || switch.load(Ordering::Relaxed));
    let app = app(gate);
    for _ in 0..50 {
        let stopped = send(&app, request("/chat", Some("u"))).await;
        assert_eq!(stopped.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body(stopped).await["error"], "feature_stopped");
    }
    assert_eq!(
        send(&app, request("/search", Some("u"))).await.status(),
        StatusCode::OK
    );
    open.store(true, Ordering::Relaxed);
    assert_eq!(admitted(&app, "/chat", "u").await, 20);
}

#[tokio::test]
async fn in_shadow_nothing_is_denied_and_all_is_counted() {
    let (limiter, clock) = limiter();
    let (monitor, _signals) = LimitMonitor::new(OffenceRules::default(), clock);
    let app = app(LimitGate::new(limiter)
        .watched_by(Arc::clone(&monitor))
        .in_shadow());
    for _ in 0..40 {
        let passed = send(&app, request("/search", Some("u"))).await;
        assert_eq!(passed.status(), StatusCode::OK);
        assert!(!passed.headers().contains_key("ratelimit"));
    }
    assert!(
        monitor
            .metrics()
            .contains("{class=\"search\",decision=\"would_deny\"} 10")
    );
}

#[tokio::test]
async fn a_hundred_denials_raise_the_alert_for_the_user_and_the_address() {
    let (limiter, clock) = limiter();
    let (monitor, mut signals) = LimitMonitor::new(OffenceRules::default(), clock);
    let app = app(LimitGate::new(limiter).watched_by(Arc::clone(&monitor)));
    for _ in 0..20 + 99 {
        send(&app, request("/chat", Some("u1"))).await;
    }
    assert!(signals.try_next().is_none());
    send(&app, request("/chat", Some("u1"))).await;
    let raised: Vec<_> = std::iter::from_fn(|| signals.try_next())
        .filter_map(|signal| monitor.caller(&signal.labels["caller"]))
        .map(|caller| caller.to_string())
        .collect();
    assert_eq!(raised.len(), 2);
    assert!(
        raised[0].ends_with("/u1") && raised[1] == "10.0.0.9",
        "{raised:?}"
    );
}

/// As a shared limiter: the answer takes a while.
#[derive(Debug)]
struct Slow(LocalLimiter);

#[async_trait]
impl Admission for Slow {
    fn admit_now(&self, _: &LimitRequest<'_>) -> Option<LimitDecision> {
        None
    }

    async fn admit(&self, request: &LimitRequest<'_>) -> LimitDecision {
        tokio::task::yield_now().await;
        self.0.check(request).with_degraded()
    }
}

#[tokio::test]
async fn a_limiter_that_has_to_wait_works_the_same() {
    let app = app(LimitGate::new(Arc::new(Slow(
        LocalLimiter::new(LimitTable::preset()).unwrap(),
    ))));
    assert_eq!(admitted(&app, "/search", "u").await, 30);
    assert_eq!(admitted(&app, "/chat", "v").await, 20);
}
