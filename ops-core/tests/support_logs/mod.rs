//! A sink that remembers, a masker that knows what is planted, and everything an application may log.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ops_core::masking::BuiltinMasker;
use ops_core::ports::PiiMasker;
use tracing::field::Empty;
use tracing::{Level, debug_span, error, error_span, event, info, info_span, instrument, warn};
use tracing_subscriber::fmt::MakeWriter;

pub(crate) const MAIL: &str = "tanaka.taro@example.com";
pub(crate) const PHONE: &str = "090-1234-5678";
pub(crate) const PERSON: &str = "山田花子";
pub(crate) const NUMBER: &str = "123456789018";
pub(crate) const SECRET: &str = "hunter2-correct-horse";
pub(crate) const SECRET_OF_WORDS: &str = "open sesame, = {now}";
/// The mail address as `tracing` writes bytes.
const BYTES: &str = "74 61 6e 61";

/// None of this may be in any sink.
pub(crate) fn planted() -> Vec<&'static str> {
    vec![
        MAIL,
        PHONE,
        PERSON,
        NUMBER,
        SECRET,
        SECRET_OF_WORDS,
        "sesame",
        "1234-5678",
        BYTES,
    ]
}

#[track_caller]
pub(crate) fn assert_nothing_planted(written: &str, what: &str) {
    for value in planted() {
        let line = written.lines().find(|line| line.contains(value));
        assert!(
            line.is_none(),
            "{what}: {value} got through in\n{}",
            line.unwrap_or_default()
        );
    }
}

/// Mail addresses, telephone numbers, marked names, and one My Number.
#[derive(Debug, Default)]
pub(crate) struct TestMasker(BuiltinMasker);

impl PiiMasker for TestMasker {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.0.mask(text);
        if masked.contains(NUMBER) {
            return Cow::Owned(masked.replace(NUMBER, "********9018"));
        }
        masked
    }
}

pub(crate) fn masker() -> Arc<dyn PiiMasker> {
    Arc::new(TestMasker::default())
}

/// Remembers every write; `writes` tells them apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().concat()).unwrap()
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[derive(Debug)]
pub(crate) struct Outer(Inner);

#[derive(Debug)]
pub(crate) struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not mail {MAIL}")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PHONE} did not answer")
    }
}

impl Error for Inner {}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "for its Debug")]
struct User {
    mail: &'static str,
    password: &'static str,
    phone: Option<&'static str>,
}

const USER: User = User {
    mail: MAIL,
    password: SECRET,
    phone: Some(PHONE),
};

/// Every `record_*` method, messages, targets, values that look like other fields.
pub(crate) fn log_every_kind_of_value() {
    let number = NUMBER.parse::<u64>().unwrap();
    info!("mail {MAIL}, phone {PHONE}, {PERSON}様, number {NUMBER}, password={SECRET}");
    info!(mail = MAIL, phone = PHONE, "as str");
    info!(mail = %MAIL, phone = %PHONE, "as display");
    info!(user = ?USER, list = ?[MAIL, PHONE], "as debug");
    info!(payload = MAIL.as_bytes(), "as bytes");
    info!(
        payload = MAIL.as_bytes(),
        key.secret = 1,
        "bytes beside a dropped field"
    );
    info!(
        a = number,
        b = i64::try_from(number).unwrap(),
        c = u128::from(number),
        d = i128::from(number),
        "as numbers"
    );
    info!(f = 123_456_789_018.0_f64, "as a float");
    let error = Outer(Inner);
    error!(error = &error as &dyn Error, "an error with its source");
    error!(
        error = &error as &dyn Error,
        token = 5_u64,
        "an error beside a dropped field"
    );
    warn!(password = SECRET, api_key = SECRET, "dropped as str");
    warn!(password = %SECRET_OF_WORDS, done = true, "dropped as display");
    warn!(password = ?Some(SECRET_OF_WORDS), access_token = %SECRET, "dropped as debug");
    warn!(
        password = number,
        salary = 5.5_f64,
        pin = -12_i64,
        otp = true,
        "dropped as numbers"
    );
    warn!(
        secret = SECRET.as_bytes(),
        credential = MAIL.as_bytes(),
        "dropped as bytes"
    );
    warn!(authorization = format!("Bearer {SECRET}"), "a header");
    warn!("Authorization: Bearer {SECRET}");
    info!(
        body = format!(r#"{{"password":"{SECRET}","user":{{"mail":"{MAIL}","pin":4242}}}}"#),
        "JSON in a field"
    );
    info!(body = %format!(r#"{{"password":"{SECRET}","list":["{PHONE}"]}}"#), "JSON as display");
    info!("first line\nsecond {PHONE}\n\n{MAIL}\tthird");
    info!(text = %format!("a\n password: {SECRET}\n{MAIL}"), "several lines");
    event!(target: "other::target", Level::ERROR, mail = MAIL);
    event!(name: "named", Level::ERROR, { mail = MAIL, password = SECRET }, "with a name {PHONE}");
}

/// Spans with fields from the start and late, nested, around events and without, over threads.
pub(crate) fn log_within_spans() {
    let outer =
        info_span!("outer", mail = MAIL, phone = Empty, password = %SECRET_OF_WORDS, request_id = "abc-1");
    outer.record("phone", PHONE);
    let _entered = outer.enter();
    info!("inside one");
    let inner = error_span!("inner", token = Empty, user = ?USER, payload = MAIL.as_bytes());
    inner.record("token", SECRET_OF_WORDS);
    inner.in_scope(|| {
        info!(mail = MAIL, "inside two");
        debug_span!(
            "deepest",
            number = NUMBER.parse::<u64>().unwrap(),
            error = &Outer(Inner) as &dyn Error
        )
        .in_scope(|| info!("inside three"));
        assert!(login(MAIL, SECRET, USER).is_err());
        // A root, and a child of another span.
        event!(parent: None, Level::INFO, mail = MAIL, secret = SECRET, "a root");
        event!(parent: &outer, Level::INFO, phone = PHONE, secret = SECRET, "a child of another");
    });
    inner.record("token", PHONE);
    info!("after it");
}

#[instrument(ret, err)]
fn login(mail: &str, password: &str, user: User) -> Result<String, Outer> {
    info!("called");
    if mail.is_empty() {
        Ok(user.phone.unwrap_or_default().to_owned())
    } else {
        Err(Outer(Inner))
    }
}
