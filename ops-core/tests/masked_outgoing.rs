//! Nothing personal leaves in a request or a notice, and error texts lead round no mask.
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use ops_core::audit::{Recorded, Recorder, Spool};
use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::masking::{
    BuiltinMasker, FieldRules, LeakAlarm, LeakSink, MaskedNotifier, MaskedTransport, OnPii,
};
use ops_core::memory::InMemoryNotifier;
use ops_core::model::{Actor, AuditRecord, Lang, Notice, Severity, TenantId, Text, Timestamp};
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, Notifier,
    PiiMasker, TrailEntry,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

const MAIL: &str = "tanaka.taro@example.com";
const PHONE: &str = "090-1234-5678";

fn masker() -> Arc<dyn PiiMasker> {
    Arc::new(Numbers)
}

/// The built-in masker, and one number behind the label that its field is.
#[derive(Debug)]
struct Numbers;

impl PiiMasker for Numbers {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = BuiltinMasker::new().mask(text);
        if masked.contains("customer: 123456789018") {
            return Cow::Owned(masked.replace("123456789018", "********9018"));
        }
        masked
    }
}

#[derive(Debug, Default)]
struct Wire(Mutex<Vec<HttpRequest>>);

#[async_trait]
impl HttpTransport for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        self.0.lock().unwrap().push(request);
        Ok(HttpResponse::new(200, Vec::new(), Bytes::new()))
    }
}

impl Wire {
    fn last(&self) -> HttpRequest {
        self.0.lock().unwrap().last().cloned().unwrap()
    }

    fn sent(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn gate() -> (Arc<Wire>, MaskedTransport, LeakAlarm) {
    let wire = Arc::new(Wire::default());
    let (alarm, _) = LeakAlarm::new(Arc::new(SystemClock::new()));
    let gate = MaskedTransport::new(Arc::<Wire>::clone(&wire), masker()).with_alarm(alarm.clone());
    (wire, gate, alarm)
}

fn post(body: &Value) -> HttpRequest {
    HttpRequest::new(Method::Post, "https://llm.example/v1/messages?key=k-0312345678")
        .with_bearer(&SecretString::from("0312345678"))
        .with_json(body)
        .unwrap()
}

#[tokio::test]
async fn a_prompt_leaves_masked_and_every_other_byte_as_it_was() {
    let (wire, gate, alarm) = gate();
    let body = json!({
        "model": "m-1", "max_tokens": 1024, "temperature": 0.7, "big": 1769764502123_u64,
        "messages": [{ "role": "user", "content": format!("田中太郎様 {MAIL}\n「{PHONE}」") }, MAIL],
        "customer": 123_456_789_018_u64,
        "password": { "old": "x", "list": [1, "}"] },
        MAIL: null,
    });
    gate.send(post(&body)).await.unwrap();
    let sent = wire.last();
    let text = std::str::from_utf8(sent.body()).unwrap();
    assert!(
        !text.contains("tanaka.taro") && !text.contains("1234-5678") && !text.contains("太郎"),
        "{text}"
    );
    let read: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        read["messages"][0]["content"],
        "田中 *様 t***@example.com\n「090-****-5678」"
    );
    assert_eq!(
        (&read["customer"], &read["password"]),
        (&json!("********9018"), &json!("***"))
    );
    assert_eq!(
        (&read["max_tokens"], &read["big"], &read["temperature"]),
        (&json!(1024), &json!(1769764502123_u64), &json!(0.7))
    );
    // Credentials let the request in.
    assert!(sent.url().ends_with("?key=k-0312345678") || sent.url().contains("key=k-"));
    assert_eq!(sent.headers()[0].1.expose_secret(), "Bearer 0312345678");
    assert_eq!(alarm.counts()[0].sink, LeakSink::Http);
    assert_eq!(alarm.counts()[0].place.target, "llm.example");
}

#[tokio::test]
async fn escapes_hide_nothing() {
    let (wire, gate, _) = gate();
    let hidden = r#"{ "content" : "tanaka.taro\u0040example.com", "Content": "\u7530\u4e2d\u592a\u90ce\u69d8 090\u002d1234\u002d5678" }"#;
    let request = HttpRequest::new(Method::Post, "https://llm.example/").with_body(hidden.to_owned());
    gate.send(request).await.unwrap();
    let read: Value = serde_json::from_slice(wire.last().body()).unwrap();
    assert_eq!(
        read,
        json!({ "content": "t***@example.com", "Content": "田中 *様 090-****-5678" })
    );
}

#[tokio::test]
async fn clean_requests_are_sent_to_the_byte() {
    let (wire, gate, alarm) = gate();
    let body = "{ \"b\" : [1.50, \"\\u3042\"],\"a\":1e3 }";
    let request =
        HttpRequest::new(Method::Put, "https://h.example/a%2Fb?x=%41+b&y#z").with_body(body.to_owned());
    gate.send(request).await.unwrap();
    assert_eq!(wire.last().body(), body);
    assert_eq!(wire.last().url(), "https://h.example/a%2Fb?x=%41+b&y#z");
    assert_eq!(alarm.total(), 0);
}

#[tokio::test]
async fn queries_forms_headers_and_plain_texts_are_masked() {
    let (wire, gate, _) = gate();
    let url = "https://h.example/search?q=tanaka.taro%40example.com&page=2&phone=090-1234-5678";
    let form = "mail=tanaka.taro%40example.com&ok=a+b&token=abc";
    let request = HttpRequest::new(Method::Post, url)
        .with_header("content-type", "application/x-www-form-urlencoded".to_owned())
        .with_header("x-user", MAIL.to_owned())
        .with_header("x-name", "田中太郎様".to_owned())
        .with_body(form.to_owned());
    gate.send(request).await.unwrap();
    let sent = wire.last();
    assert_eq!(
        sent.url(),
        "https://h.example/search?q=t***%40example.com&page=2&phone=090-****-5678"
    );
    assert_eq!(sent.body(), "mail=t***%40example.com&ok=a+b&token=***");
    let headers: Vec<_> = sent
        .headers()
        .iter()
        .map(|(_, value)| value.expose_secret())
        .collect();
    assert_eq!(headers[1..], ["t***@example.com", "***"]);
    let text = HttpRequest::new(Method::Post, "https://h.example/").with_body(format!("mail {MAIL}"));
    gate.send(text).await.unwrap();
    assert_eq!(wire.last().body(), "mail t***@example.com");
}

#[tokio::test]
async fn what_is_refused_is_not_sent_and_the_error_has_no_value() {
    let (wire, gate, alarm) = gate();
    let gate =
        gate.with_rule("llm.example", "/v1/", OnPii::Refuse)
            .with_rule(".files.example", "/", OnPii::Pass);
    let requests = [
        post(&json!({ "content": MAIL })),
        // In a path a mask would mean another resource; what cannot be read is not sent.
        HttpRequest::new(Method::Get, format!("https://h.example/users/{MAIL}")),
        HttpRequest::new(Method::Get, "https://h.example/users/tanaka.taro%40example.com"),
        HttpRequest::new(Method::Post, "https://h.example/").with_body(vec![0xff, 0xfe, 0]),
        HttpRequest::new(Method::Post, "https://h.example/")
            .with_header("content-encoding", "gzip".to_owned())
            .with_body("text"),
    ];
    for request in requests {
        let error = gate.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(!error.to_string().contains("tanaka"), "{error}");
    }
    assert_eq!(wire.sent(), 0);
    assert_eq!(alarm.total(), 3);
    let file = HttpRequest::new(Method::Post, "https://eu.files.example/").with_body(vec![0xff]);
    gate.send(file).await.unwrap();
    assert_eq!(wire.sent(), 1);
}

#[tokio::test]
async fn rules_for_fields_can_be_given_up() {
    let (wire, gate, _) = gate();
    let body = json!({ "password": "x" });
    gate.with_fields(FieldRules::none())
        .send(post(&body))
        .await
        .unwrap();
    assert_eq!(wire.last().body(), &body.to_string());
}

#[tokio::test]
async fn a_masker_that_fails_sends_nothing() {
    #[derive(Debug)]
    struct Panicking;
    impl PiiMasker for Panicking {
        fn mask<'a>(&self, _: &'a str) -> Cow<'a, str> {
            panic!("by the test")
        }
    }
    let wire = Arc::new(Wire::default());
    let gate = MaskedTransport::new(Arc::<Wire>::clone(&wire), Arc::new(Panicking));
    assert!(gate.send(post(&json!({ "a": "b" }))).await.is_err());
    let notifier = MaskedNotifier::new(InMemoryNotifier::new(), Arc::new(Panicking));
    assert!(notifier.send(&notice("x")).await.is_err());
    assert_eq!(wire.sent(), 0);
}

fn notice(text: &str) -> Notice {
    let text = Text::new(text, text);
    Notice::new(
        format!("key/{MAIL}"),
        "#dev",
        Severity::P3,
        Timestamp::UNIX_EPOCH,
        text.clone(),
        text,
    )
}

#[tokio::test]
async fn a_notice_is_masked_whoever_made_it() {
    let (alarm, mut signals) = LeakAlarm::new(Arc::new(SystemClock::new()));
    let inner = Arc::new(InMemoryNotifier::new());
    let notifier = MaskedNotifier::new(Shared(Arc::clone(&inner)), masker()).with_alarm(alarm);
    notifier.send(&notice(MAIL)).await.unwrap();
    let sent = inner.sent();
    assert_eq!(
        (sent[0].subject.get(Lang::Ja), sent[0].body.get(Lang::En)),
        ("t***@example.com", "t***@example.com")
    );
    assert!(!sent[0].key.contains("tanaka"));
    assert_eq!(signals.try_next().unwrap().sink, LeakSink::Notice);
}

#[derive(Debug)]
struct Shared(Arc<InMemoryNotifier>);

#[async_trait]
impl Notifier for Shared {
    async fn send(&self, notice: &Notice) -> Result<ops_core::model::Accepted> {
        self.0.send(notice).await
    }
}

/// Says why with the value that it refuses, as databases do.
#[derive(Debug)]
struct Talkative(ErrorKind);

#[async_trait]
impl AuditStore for Talkative {
    async fn append(&self, _: &AuditRecord) -> Result<AuditReceipt> {
        Err(Error::new(self.0, "append audit record").context("detail", format!("duplicate key ({MAIL})")))
    }

    async fn append_all(&self, _: &[AuditEntry]) -> Result<Vec<Appended>> {
        Err(Error::new(self.0, "append audit record").context("detail", format!("duplicate key ({MAIL})")))
    }

    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        Err(Error::new(self.0, "read"))
    }

    async fn search(&self, _: &TenantId, _: &AuditQuery) -> Result<AuditPage> {
        Err(Error::new(self.0, "search"))
    }

    async fn chain(&self, _: &TenantId, _: u64, _: u32) -> Result<Vec<TrailEntry>> {
        Err(Error::new(self.0, "read"))
    }

    async fn verify(&self, _: &TenantId) -> Result<ChainReport> {
        Err(Error::new(self.0, "verify"))
    }
}

#[tokio::test]
async fn what_an_audit_store_says_is_masked_in_the_answer_and_in_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let recorder = Recorder::new(Arc::new(Talkative(ErrorKind::InvalidInput)), masker(), clock);
    let record = || {
        let tenant = TenantId::new("acme").unwrap();
        AuditRecord::new(
            Timestamp::UNIX_EPOCH,
            tenant,
            Actor::service("api").unwrap(),
            "export",
            "list",
            "1",
        )
    };
    let Recorded::Lost { reason } = recorder.record(record()).await else {
        panic!("there is no spool")
    };
    assert!(
        reason.contains("t***@example.com") && !reason.contains("tanaka"),
        "{reason}"
    );
    let recorder = recorder.with_spool(Spool::open(directory.path()).unwrap());
    let Recorded::Spooled { reason } = recorder.record(record()).await else {
        panic!("there is a spool")
    };
    assert!(!reason.contains("tanaka"), "{reason}");
    assert_eq!(recorder.deliver().await.unwrap().refused, 1);
    let aside = std::fs::read_to_string(directory.path().join("refused.jsonl")).unwrap();
    assert!(
        aside.contains("t***@example.com") && !aside.contains("tanaka"),
        "{aside}"
    );
}
