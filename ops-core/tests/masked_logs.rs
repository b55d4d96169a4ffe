//! Nothing personal gets into a log, whatever is logged, in whatever format.
#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod support_logs;

use std::fmt::{self, Debug};

use ops_core::masking::FieldRules;
use ops_core::masking::log::MaskedLogs;
use serde_json::Value;
use support_logs::{
    MAIL, PHONE, SECRET, Sink, assert_nothing_planted, log_every_kind_of_value, log_within_spans, masker,
};
use tracing::field::{Field, Visit};
use tracing::{Subscriber, info, info_span, warn};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{PrettyFields, Writer};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Logs everything to a subscriber, from this thread and from others.
fn everything(subscriber: impl Subscriber + Send + Sync) {
    let dispatch = tracing::Dispatch::new(Box::new(subscriber) as Box<dyn Subscriber + Send + Sync>);
    tracing::dispatcher::with_default(&dispatch, || {
        log_every_kind_of_value();
        log_within_spans();
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let dispatch = dispatch.clone();
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    log_within_spans();
                    log_every_kind_of_value();
                });
            });
        }
    });
}

/// Every format of `tracing-subscriber`, with both stages.
fn formats(logs: &MaskedLogs, ansi: bool) -> Vec<(&'static str, Sink, Box<dyn Subscriber + Send + Sync>)> {
    let base = || {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(ansi)
            .with_file(true)
    };
    let sinks: [Sink; 5] = std::array::from_fn(|_| Sink::default());
    let [full, compact, pretty, json, flat] = sinks;
    vec![
        (
            "full",
            full.clone(),
            Box::new(
                base()
                    .map_fmt_fields(|fields| logs.fields(fields))
                    .map_event_format(|format| logs.format(format))
                    .with_writer(logs.writer(full))
                    .finish(),
            ),
        ),
        (
            "compact",
            compact.clone(),
            Box::new(
                base()
                    .compact()
                    .map_fmt_fields(|fields| logs.fields(fields))
                    .map_event_format(|format| logs.format(format))
                    .with_writer(logs.writer(compact))
                    .finish(),
            ),
        ),
        (
            "pretty",
            pretty.clone(),
            Box::new(
                base()
                    .pretty()
                    .fmt_fields(logs.fields(PrettyFields::new()))
                    .map_event_format(|format| logs.format(format))
                    .with_writer(logs.writer(pretty))
                    .finish(),
            ),
        ),
        (
            "json",
            json.clone(),
            Box::new(
                base()
                    .json()
                    .map_event_format(|format| logs.format(format))
                    .with_writer(logs.writer(json))
                    .finish(),
            ),
        ),
        (
            "flat json",
            flat.clone(),
            Box::new(
                base()
                    .json()
                    .flatten_event(true)
                    .map_event_format(|format| logs.format(format))
                    .with_writer(logs.writer(flat))
                    .finish(),
            ),
        ),
    ]
}

#[test]
fn nothing_planted_gets_into_any_format_and_the_last_gate_finds_nothing_behind_the_formatter() {
    for ansi in [false, true] {
        let logs = MaskedLogs::new(masker());
        for (name, sink, subscriber) in formats(&logs, ansi) {
            everything(subscriber);
            let text = sink.text();
            assert_nothing_planted(&text, name);
            assert!(
                text.contains("inside three") && text.contains("t***@example.com"),
                "{name}: {text}"
            );
            assert!(text.lines().count() > 150, "{name}");
            assert_eq!(logs.counts().masked, 0, "{name}: the gate had to mask:\n{text}");
            assert_eq!(logs.counts().withheld, 0, "{name}");
        }
    }
}

#[test]
fn json_stays_json_line_by_line() {
    let logs = MaskedLogs::new(masker());
    for (name, sink, subscriber) in formats(&logs, false) {
        if !name.contains("json") {
            continue;
        }
        everything(subscriber);
        for line in sink.text().lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{name}: {line}");
        }
    }
}

#[test]
fn the_last_gate_alone_lets_nothing_through_either() {
    let logs = MaskedLogs::new(masker());
    let (text, json) = (Sink::default(), Sink::default());
    everything(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .map_fmt_fields(|fields| logs.fields(fields))
            .with_writer(logs.writer(text.clone()))
            .finish(),
    );
    everything(
        tracing_subscriber::fmt()
            .json()
            .with_writer(logs.writer(json.clone()))
            .finish(),
    );
    let written = json.text();
    // Bytes are numbers to a gate: only a formatter knows what they are.
    let seen: String = written
        .lines()
        .filter(|line| !line.contains("bytes") && !line.contains("payload"))
        .collect();
    assert_nothing_planted(&seen, "json");
    for value in [MAIL, PHONE, SECRET] {
        assert!(!text.text().contains(value), "{value}");
    }
    assert!(logs.counts().masked > 100, "all that is masked is a hit here");
}

/// What people write first: it is asked for the fields of spans only.
struct Naive;

impl<'writer> FormatFields<'writer> for Naive {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        struct Masking<'a>(serde_json::Map<String, Value>, &'a dyn ops_core::ports::PiiMasker);
        impl Visit for Masking<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0
                    .insert(field.name().to_owned(), self.1.mask(&format!("{value:?}")).into());
            }
        }
        let masker = masker();
        let mut masking = Masking(serde_json::Map::new(), &*masker);
        fields.record(&mut masking);
        write!(writer, "{}", Value::Object(masking.0))
    }
}

#[test]
fn a_wrapper_of_the_field_formatter_alone_leaks_which_is_why_there_are_stages() {
    let sink = Sink::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .fmt_fields(Naive)
        .with_writer(sink.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || info!(mail = MAIL, "event"));
    assert!(
        sink.text().contains(MAIL),
        "if this fails, tracing-subscriber has changed: {}",
        sink.text()
    );
}

#[test]
fn dropped_fields_go_and_kept_ones_stay_to_the_letter() {
    let logs =
        MaskedLogs::new(masker()).with_fields(FieldRules::new().dropping("shoe_size").keeping("order"));
    // A masker would take these for telephone numbers.
    let id = "x0312345678";
    for (name, sink, subscriber) in formats(&logs, false) {
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!(
                "checkout",
                request_id = "id-09012345678",
                ShoeSize = "twenty-seven"
            );
            let _entered = span.enter();
            info!(order = id, my.shoe_size = "twenty-eight", mail = MAIL, "bought");
            warn!(order = MAIL, request_id = MAIL, "a kept name makes no value safe");
        });
        let text = sink.text();
        assert!(
            text.contains(id) && text.contains("id-09012345678"),
            "{name}: {text}"
        );
        assert!(!text.contains("twenty-"), "{name}: {text}");
        assert!(!text.contains(MAIL), "{name}: {text}");
        assert_eq!(logs.counts().masked, 0, "{name}: {text}");
    }
}

#[test]
fn a_value_that_cannot_be_formatted_leaves_a_fixed_line_and_no_raw_one() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let logs = MaskedLogs::new(masker());
    for (name, sink, subscriber) in formats(&logs, false) {
        tracing::subscriber::with_default(
            subscriber,
            || info!(mail = MAIL, broken = %Broken, secret = "x", "event"),
        );
        assert_nothing_planted(&sink.text(), name);
        assert!(!sink.text().is_empty(), "{name}");
    }
}

#[test]
fn a_value_whose_debug_logs_is_masked_as_well() {
    struct Chatty;
    impl Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(mail = MAIL, "from inside");
            f.write_str(PHONE)
        }
    }
    let logs = MaskedLogs::new(masker());
    for (name, sink, subscriber) in formats(&logs, false) {
        tracing::subscriber::with_default(subscriber, || info!(chatty = ?Chatty, secret = ?Chatty, "event"));
        assert_nothing_planted(&sink.text(), name);
        assert!(sink.text().contains("event"), "{name}");
    }
}

/// Sends events elsewhere, as an exporter does.
struct Exporter(
    MaskedLogs,
    std::sync::Mutex<Vec<std::collections::BTreeMap<&'static str, String>>>,
);

impl<S: Subscriber> Layer<S> for &'static Exporter {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.1.lock().unwrap().push(self.0.event_fields(event));
    }
}

#[test]
fn a_layer_of_ones_own_gets_masked_fields() {
    let exporter: &'static Exporter = Box::leak(Box::new(Exporter(
        MaskedLogs::new(masker()),
        std::sync::Mutex::default(),
    )));
    everything(tracing_subscriber::registry().with(exporter));
    let exported = exporter.1.lock().unwrap();
    assert_nothing_planted(&format!("{exported:?}"), "fields");
    let first = exported
        .iter()
        .find(|fields| fields.get("message").is_some_and(|text| text == "as str"))
        .unwrap();
    assert_eq!(first["mail"], "t***@example.com");
    assert_eq!(first["phone"], "090-****-5678");
    assert!(
        exported
            .iter()
            .any(|fields| fields.get("password").is_some_and(|text| text == "***"))
    );
}
