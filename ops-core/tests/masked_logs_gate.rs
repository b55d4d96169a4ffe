//! The last gate: whatever is written to it, and in whatever pieces, leaves masked, and a hit is an alarm.
#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod support_logs;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::Recorder;
use ops_core::masking::log::MaskedLogs;
use ops_core::masking::{Detector, Leak, LeakAlarm, LeakSignals, LeakSink};
use ops_core::memory::{InMemoryAudit, InMemoryNotifier};
use ops_core::model::{Actor, Lang, PiiSpan, PiiType, Severity, TenantId, Timestamp};
use ops_core::pipeline::LeakWatch;
use ops_core::ports::{AuditQuery, AuditStore, Clock, PiiMasker, Recognizer};
use ops_core::testkit::ManualClock;
use support_logs::{MAIL, PHONE, Sink, assert_nothing_planted, masker};
use tracing::info;
use tracing_subscriber::fmt::MakeWriter as _;

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator is unsafe; this one only counts")]
// SAFETY: every call goes to the allocator of the system as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Knows mail addresses by their sign.
#[derive(Debug)]
struct Signs;

impl Recognizer for Signs {
    fn find(&self, text: &str, found: &mut Vec<PiiSpan>) {
        for (at, _) in text.match_indices("@example") {
            found.push(PiiSpan::new(at, at + 1, PiiType::Email));
        }
    }
}

fn alarmed() -> (MaskedLogs, LeakAlarm, LeakSignals, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let detector = Detector::new().with_recognizer(Arc::new(Signs));
    let (alarm, signals) = LeakAlarm::with_detector(Arc::<ManualClock>::clone(&clock), detector);
    (
        MaskedLogs::new(masker()).with_alarm(alarm.clone()),
        alarm,
        signals,
        clock,
    )
}

const LINES: &str = "2026-01-30 INFO mail tanaka.taro@example.com, 電話 090-1234-5678\n山田花子様\n\
     {\"phone\":\"090-1234-5678\",\"n\":123456789018}\npassword=hunter2-correct-horse\nclean\nno end: tanaka.taro@example.com";

#[test]
fn every_cut_of_the_same_text_leaves_the_same_masked_text() {
    let whole = Sink::default();
    let logs = MaskedLogs::new(masker());
    logs.gate(whole.clone()).write_all(LINES.as_bytes()).unwrap();
    assert_nothing_planted(&whole.text(), "whole");
    assert!(whole.text().contains("t***@example.com") && whole.text().contains("clean"));
    for size in 1..LINES.len() {
        let sink = Sink::default();
        let mut gate = logs.gate(sink.clone());
        for piece in LINES.as_bytes().chunks(size) {
            // A flush in the middle of a value lets no half of it through.
            gate.write_all(piece).unwrap();
            gate.flush().unwrap();
        }
        drop(gate);
        assert_eq!(sink.text(), whole.text(), "in pieces of {size}");
    }
}

#[test]
fn a_line_leaves_in_one_write() {
    let sink = Sink::default();
    let mut gate = MaskedLogs::new(masker()).gate(sink.clone());
    for byte in format!("mail {MAIL}\n").bytes() {
        gate.write_all(&[byte]).unwrap();
    }
    assert_eq!(
        (sink.text().as_str(), sink.writes()),
        ("mail t***@example.com\n", 1)
    );
}

#[test]
fn a_line_without_end_is_cut_and_the_half_of_a_value_goes_with_its_end() {
    let logs = MaskedLogs::new(masker()).with_longest_line(8 * 1024);
    // The value lies over the cut, at every place.
    for before in 8 * 1024 - 40..8 * 1024 {
        let sink = Sink::default();
        let mut gate = logs.gate(sink.clone());
        for piece in [
            &"x ".repeat(before / 2),
            PHONE,
            " ",
            MAIL,
            &" y".repeat(50_000),
            MAIL,
            "\nnext ",
            PHONE,
            "\n",
        ] {
            gate.write_all(piece.as_bytes()).unwrap();
        }
        drop(gate);
        let text = sink.text();
        assert_nothing_planted(&text, "cut");
        assert!(!text.contains("090-12"), "{before}");
        assert!(
            text.len() < 8 * 1024 + 100 && text.contains("[cut") && text.ends_with("next 090-****-5678\n")
        );
    }
    assert_eq!(logs.counts().cut, 40);
}

#[test]
fn colours_part_no_value_and_stay_on_a_clean_line() {
    let sink = Sink::default();
    let mut gate = MaskedLogs::new(masker()).gate(sink.clone());
    write!(
        gate,
        "\x1b[2mmail\x1b[0m tanaka.\x1b[1mtaro@exam\x1b[0mple.com\n\x1b[32mclean\x1b[0m\n"
    )
    .unwrap();
    assert_eq!(sink.text(), "mail t***@example.com\nclean\n");
    writeln!(gate, "\x1b[32mclean\x1b[0m").unwrap();
    assert!(sink.text().ends_with("\x1b[32mclean\x1b[0m\n"));
}

#[test]
fn what_is_not_utf_8_is_written_as_what_it_can_be_read_as() {
    let sink = Sink::default();
    let mut gate = MaskedLogs::new(masker()).gate(sink.clone());
    gate.write_all(b"\xff\xfe mail tanaka.taro@example.com \xe7\x94\n")
        .unwrap();
    assert_eq!(sink.text(), "\u{fffd}\u{fffd} mail t***@example.com \u{fffd}\n");
}

#[test]
fn a_masker_that_panics_leaves_a_fixed_line_of_the_same_form() {
    #[derive(Debug)]
    struct Panicking;
    impl PiiMasker for Panicking {
        fn mask<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
            panic!("cannot mask {text}");
        }
    }
    let logs = MaskedLogs::new(Arc::new(Panicking));
    let (text, json) = (Sink::default(), Sink::default());
    tracing::subscriber::with_default(
        tracing_subscriber::fmt()
            .map_event_format(|format| logs.format(format))
            .with_writer(text.clone())
            .finish(),
        || info!(mail = MAIL, "event"),
    );
    tracing::subscriber::with_default(
        tracing_subscriber::fmt()
            .json()
            .with_writer(logs.writer(json.clone()))
            .finish(),
        || info!(mail = MAIL, "event"),
    );
    assert_nothing_planted(&text.text(), "text");
    assert!(
        text.text()
            .starts_with("ERROR withheld: masking failed (masked_logs_gate "),
        "{}",
        text.text()
    );
    let read: serde_json::Value = serde_json::from_str(&json.text()).unwrap();
    assert_eq!(read["message"], "withheld: masking failed");
    assert_eq!(logs.counts().withheld, 2);
}

/// Finds nothing and allocates nothing.
#[derive(Debug)]
struct Nothing;

impl PiiMasker for Nothing {
    fn mask<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        std::borrow::Cow::Borrowed(text)
    }
}

#[test]
fn a_clean_line_is_let_through_without_an_allocation() {
    let logs = MaskedLogs::new(Arc::new(Nothing));
    let line =
        "2026-01-30T09:15:02Z  INFO api: handled request_id=0b7e-77a1 status=200 took=12ms 読み取り専用\n";
    let json = "{\"timestamp\":\"2026-01-30T09:15:02Z\",\"fields\":{\"status\":200,\"n\":1769764502123,\"message\":\"handled\"}}\n";
    let writer = logs.writer(std::io::sink);
    let once = |line: &str| {
        let mut gate = writer.make_writer();
        gate.write_all(line.as_bytes()).unwrap();
        // In two pieces as well: the buffer is there from the first time on.
        let (head, tail) = line.as_bytes().split_at(20);
        gate.write_all(head).unwrap();
        gate.write_all(tail).unwrap();
    };
    once(line);
    once(json);
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..100 {
        once(line);
        once(json);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert_eq!(logs.counts().masked, 0);
}

#[test]
fn a_hit_behind_the_formatter_is_an_alarm_with_type_and_place_and_no_value() {
    let (logs, alarm, mut signals, _) = alarmed();
    let sink = Sink::default();
    let masked = tracing_subscriber::fmt()
        .map_event_format(|format| logs.format(format))
        .with_writer(logs.writer(sink.clone()))
        .finish();
    tracing::subscriber::with_default(masked, || info!(mail = MAIL, "masked in time"));
    assert_eq!((alarm.total(), signals.try_next()), (0, None));

    // Somebody has forgotten the formatter.
    let past = tracing_subscriber::fmt()
        .with_writer(logs.writer(sink.clone()))
        .finish();
    tracing::subscriber::with_default(past, || info!(mail = MAIL, "past the formatter"));
    assert_nothing_planted(&sink.text(), "sink");
    let leak = signals.try_next().unwrap();
    assert_eq!(
        (leak.kind, leak.sink, leak.count),
        (Some(PiiType::Email), LeakSink::Log, 1)
    );
    assert_eq!(leak.place.target, "masked_logs_gate");
    assert!(
        leak.place
            .file
            .as_deref()
            .unwrap()
            .ends_with("masked_logs_gate.rs")
            && leak.place.line.is_some()
    );
    let signal = leak.signal();
    assert_eq!(
        (signal.alert.as_str(), signal.severity),
        ("pii_leak_detected", Severity::P1)
    );
    assert!(!format!("{signal:?}{leak:?}{alarm:?}").contains("tanaka"));
    assert!(
        alarm
            .metrics()
            .contains("ops_pii_leaks_total{type=\"EMAIL\",sink=\"log\"} 1")
    );
}

#[test]
fn one_signal_an_interval_carries_the_hits_since_the_last() {
    let (logs, alarm, mut signals, clock) = alarmed();
    let mut gate = logs.gate(std::io::sink());
    for _ in 0..10 {
        writeln!(gate, "{MAIL}").unwrap();
    }
    assert_eq!(signals.try_next().unwrap().count, 1);
    assert!(signals.try_next().is_none());
    clock.advance(Duration::from_secs(60));
    writeln!(gate, "{MAIL}").unwrap();
    assert_eq!(signals.try_next().unwrap().count, 10);
    assert_eq!(
        (alarm.total(), alarm.counts()[0].count, alarm.unsent()),
        (11, 11, 0)
    );
}

#[test]
fn an_alarm_that_nobody_reads_blocks_nothing_and_counts_what_it_could_not_send() {
    let (_, alarm, signals, _) = alarmed();
    for place in 0..400 {
        let place = ops_core::masking::LeakPlace::target(format!("target-{place}"));
        alarm.report(MAIL, LeakSink::Log, place);
    }
    // 64 wait, and the rest of 256 places and of `elsewhere` found the queue full.
    assert_eq!(alarm.counts().len(), 257);
    assert_eq!((alarm.total(), alarm.unsent()), (400, 400 - 64));
    drop(signals);
    alarm.report(PHONE, LeakSink::Http, ops_core::masking::LeakPlace::default());
    assert_eq!(alarm.total(), 401);
}

#[tokio::test]
async fn the_watch_tells_people_and_records_and_outlives_a_channel_that_fails() {
    let (logs, alarm, signals, clock) = alarmed();
    let (store, notifier) = (Arc::new(InMemoryAudit::new()), Arc::new(InMemoryNotifier::new()));
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let recorder = Recorder::new(Arc::<InMemoryAudit>::clone(&store), masker(), Arc::clone(&time));
    let tenant = TenantId::new("acme").unwrap();
    let watch = LeakWatch::new(
        Arc::new(recorder),
        Arc::<InMemoryNotifier>::clone(&notifier),
        time,
        tenant.clone(),
        Actor::service("api").unwrap(),
    )
    .with_audience("#emergency");
    let mut gate = logs.gate(std::io::sink());
    notifier.set_reachable(false);
    writeln!(gate, "{MAIL}").unwrap();
    let running = tokio::spawn(watch.run(signals));
    while store
        .search(&tenant, &AuditQuery::default())
        .await
        .unwrap()
        .records
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    notifier.set_reachable(true);
    clock.advance(Duration::from_secs(61));
    writeln!(gate, "{MAIL}").unwrap();
    drop((gate, logs, alarm));
    running.await.unwrap();

    let records = store
        .search(&tenant, &AuditQuery::default())
        .await
        .unwrap()
        .records;
    assert_eq!(records.len(), 2);
    assert_eq!(
        (records[0].action.as_str(), records[0].details["type"].as_str()),
        (Leak::ALERT, "EMAIL")
    );
    let sent = notifier.sent();
    assert_eq!((sent.len(), sent[0].audience.as_str()), (1, "#emergency"));
    assert!(sent[0].subject.get(Lang::En).contains("pii_leak_detected"));
    assert!(sent[0].body.get(Lang::Ja).contains("保全"));
}
