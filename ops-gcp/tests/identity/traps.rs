//! What the vendor takes without a word, and what it refuses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::Lang;
use ops_core::ports::{AccountSuspender, Action, Clock, SessionRevoker};
use ops_core::testkit::loopback_transport;
use serde_json::{Value, json};

use super::world::{EMAIL, PROJECT, USER, World};
use ops_gcp::identity::IdentityUsers;

async fn post(world: &World, call: &str, bearer: bool, body: &Value) -> (u16, Value) {
    let url = format!("{}/v1/projects/{PROJECT}/{call}", world.base_url());
    let mut request = HttpRequest::new(Method::Post, url).with_json(body).unwrap();
    if bearer {
        request = request.with_bearer(&"t0ken".to_owned().into());
    }
    let answer = loopback_transport().send(request).await.unwrap();
    (answer.status(), answer.json().unwrap())
}

/// `validSince` is in seconds. Milliseconds are taken, and nobody can keep a session until the year 58,000: neither is it refused, nor undone by
/// a revocation, which never moves it backwards. It is said.
#[tokio::test]
async fn milliseconds_lock_a_user_out_in_silence_and_are_told() {
    let world = World::new().await;
    let millis = world.clock.now().as_unix_micros() / 1_000;
    let body = json!({"localId": USER, "validSince": millis.to_string()});
    assert_eq!(post(&world, "accounts:update", true, &body).await.0, 200);
    world.clock.advance(Duration::from_secs(86_400));
    let session = world.sign_in();
    assert!(!world.renews(&session), "locked out, a day later too");

    let revoke = world.revoke();
    revoke.apply(&world.key()).await.unwrap();
    assert_eq!(world.sim.valid_since(None, USER), Some(millis));
    let observed = revoke.observe().await.unwrap();
    assert!(revoke.verify(&observed).holds(), "nothing can be renewed");
    let told = |lang| {
        let mut caveats = observed.caveats().iter();
        caveats.any(|caveat| caveat.get(lang).contains("validSince"))
    };
    assert!(told(Lang::Ja) && told(Lang::En));
    let until = world.users().sessions(USER).await.unwrap().tokens_until;
    assert!(
        until.unwrap() <= world.clock.now() + Duration::from_secs(3_602),
        "an ID token does not live that long"
    );
}

#[tokio::test]
async fn what_this_provider_writes_is_in_seconds() {
    let world = World::new().await;
    world.revoke().apply(&world.key()).await.unwrap();
    let written = world.sim.valid_since(None, USER).unwrap();
    let now = world.clock.now().as_unix_micros() / 1_000_000;
    assert!((now..=now + 2).contains(&written));
}

#[tokio::test]
async fn the_simulation_refuses_what_the_vendor_refuses() {
    let world = World::new().await;
    let (lookup, update) = ("accounts:lookup", "accounts:update");
    let known = json!({"localId": [USER]});
    for (call, bearer, body, status) in [
        (lookup, true, known.clone(), 200),
        (lookup, false, known.clone(), 401),
        (update, false, json!({"localId": USER, "validSince": "1"}), 401),
        // The field that is read is not the field that is written.
        (update, true, json!({"localId": USER, "disabled": true}), 400),
        (update, true, json!({"localId": USER, "valid_since": "1"}), 400),
        (update, true, json!({"localId": USER, "validSince": "soon"}), 400),
        (update, true, json!({"localId": USER, "validSince": 1}), 400),
        (update, true, json!({"localId": USER, "disableUser": "true"}), 400),
        (
            update,
            true,
            json!({"localId": "u-unknown", "validSince": "1"}),
            400,
        ),
        (update, true, json!({"validSince": "1"}), 400),
        (update, true, json!({"localId": USER, "password": "x"}), 501),
        (lookup, true, json!({"localId": USER}), 400),
        (lookup, true, json!({"userId": [USER]}), 400),
        (lookup, true, json!({}), 400),
        ("accounts:lookup?alt=json", true, known.clone(), 400),
        ("tenants/org-none/accounts:lookup", true, known.clone(), 400),
        ("accounts:delete", true, json!({"localId": USER}), 404),
    ] {
        let (found, answer) = post(&world, call, bearer, &body).await;
        assert_eq!(found, status, "{call} {body}: {answer}");
    }
    assert_eq!(world.sim.writes(), 0);
    let (status, answer) = post(&world, lookup, true, &json!({"localId": ["u-unknown"]})).await;
    assert_eq!((status, answer.get("users")), (200, None));
}

/// Answers every request with this.
#[derive(Debug)]
struct Says(u16, Value);

#[async_trait]
impl HttpTransport for Says {
    async fn send(&self, _request: HttpRequest) -> Result<HttpResponse> {
        Ok(HttpResponse::new(self.0, Vec::new(), self.1.to_string()))
    }
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_no_answer() {
    let world = World::new().await;
    let user = |id: &str| json!({"localId": id, "validSince": "1769731200", "email": EMAIL});
    let mut of_tenant = user(USER);
    of_tenant["tenantId"] = json!("org-one");
    let mut text = user(USER);
    text["validSince"] = json!("taro.yamada@example.jp");
    for (answer, kind) in [
        (json!({}), ErrorKind::NotFound),
        (json!({"users": []}), ErrorKind::NotFound),
        (json!({"users": [user("u-other")]}), ErrorKind::Unexpected),
        (
            json!({"users": [user(USER), user("u-other")]}),
            ErrorKind::Unexpected,
        ),
        (json!({"users": [user(USER), user(USER)]}), ErrorKind::Unexpected),
        (json!({"users": [of_tenant]}), ErrorKind::Unexpected),
        (json!({"users": [text]}), ErrorKind::Unexpected),
        (json!({"users": EMAIL}), ErrorKind::Unexpected),
        (json!([EMAIL]), ErrorKind::Unexpected),
    ] {
        let users = world.users_over(Arc::new(Says(200, answer.clone())), Arc::clone(&world.clock) as _);
        let error = users.sessions(USER).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer}: {error}");
        let shown = format!("{error} {error:?}");
        for hidden in [EMAIL, USER, "u-other", "t0ken-s3cret"] {
            assert!(!shown.contains(hidden), "{answer}: {shown}");
        }
    }
    let good = Says(200, json!({"users": [user(USER)]}));
    let users = world.users_over(Arc::new(good), Arc::clone(&world.clock) as _);
    assert!(users.sessions(USER).await.is_ok());
    let other = users.with_tenant("org-one").unwrap();
    assert_eq!(
        other.sessions(USER).await.unwrap_err().kind(),
        ErrorKind::Unexpected,
        "without a tenant in a tenant"
    );
}

/// Whatever the cause: only an answer without a user says that there is none.
#[tokio::test]
async fn a_request_that_the_vendor_calls_wrong_is_not_taken_for_an_unknown_user() {
    let world = World::new().await;
    let body =
        |message: &str| json!({"error": {"code": 400, "message": message, "errors": [{"message": EMAIL}]}});
    let mut named = body("Invalid JSON payload received");
    named["error"]["status"] = json!("INVALID_ARGUMENT");
    for answer in [
        body("INVALID_LOCAL_ID"),
        body("MISSING_REQ_TYPE"),
        body(EMAIL),
        named,
        json!(EMAIL),
    ] {
        let wrong = Says(400, answer.clone());
        let users = world.users_over(Arc::new(wrong), Arc::clone(&world.clock) as _);
        let errors = [
            users.sessions(USER).await.unwrap_err(),
            users.account(USER).await.unwrap_err(),
            users.revoke(USER, &world.key()).await.unwrap_err(),
            users.suspend(USER, &world.key()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{answer}: {error}");
            let shown = format!("{error} {error:?}");
            for hidden in [EMAIL, USER, "t0ken-s3cret"] {
                assert!(!shown.contains(hidden), "{answer}: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_a_project_a_tenant_or_an_address_is_refused() {
    let world = World::new().await;
    for tenant in ["", "-", "1org", "org/x", "org one", "org:x", "組織"] {
        assert_eq!(
            world.users().with_tenant(tenant).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{tenant}"
        );
    }
    assert!(world.users().with_tenant("Org-A1b2c").is_ok());
    assert!(world.users().with_base_url("http://10.0.0.1").is_err());
    assert!(world.users().with_quota_project("Soul/Kun").is_err());
    assert!(world.users().with_quota_project("soul-kun").is_ok());
    // By its number the same user would be another target.
    let numbered = IdentityUsers::new(&world.cloud_run(), "123456789").unwrap_err();
    assert_eq!(numbered.kind(), ErrorKind::InvalidInput);
}
