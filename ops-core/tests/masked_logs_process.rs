//! What belongs to a whole process: the panic hook, and a global subscriber that a masker logs to.
#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod support_logs;

use std::borrow::Cow;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ops_core::masking::log::MaskedLogs;
use ops_core::ports::PiiMasker;
use support_logs::{MAIL, NUMBER, PERSON, PHONE, Sink, TestMasker, assert_nothing_planted};
use tracing::{info, warn};

/// Logs the very text that it masks, and panics when it is told to.
#[derive(Debug, Default)]
struct Unruly {
    inner: TestMasker,
    panics: AtomicBool,
}

impl PiiMasker for Unruly {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        warn!("masking {text}");
        assert!(!self.panics.load(Ordering::SeqCst), "cannot mask {text}");
        self.inner.mask(text)
    }
}

/// One test: hook and subscriber are those of the process.
#[test]
fn panics_and_a_masker_that_logs_or_panics_put_nothing_planted_anywhere() {
    let masker = Arc::new(Unruly::default());
    let logs = MaskedLogs::new(Arc::<Unruly>::clone(&masker));
    // A writer behind a lock: an event from inside the masker that waited for it would wait for ever.
    let sink = Sink::default();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .map_event_format(|format| logs.format(format))
        .with_writer(logs.writer(Mutex::new(sink.clone())))
        .init();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    logs.install_panic_hook_with(move |report| seen.lock().unwrap().push(report.clone()));
    let last = || reports.lock().unwrap().last().cloned().unwrap();

    info!(mail = MAIL, "event");
    assert_nothing_planted(&sink.text(), "log");
    assert!(
        sink.text().contains("t***@example.com") && !sink.text().contains("masking"),
        "{}",
        sink.text()
    );
    assert!(
        logs.counts().withheld > 0,
        "events from inside the masker are counted"
    );

    // The three forms of a payload, and a thread whose name is personal.
    catch_unwind(|| panic!("no {MAIL} and no {PHONE}")).unwrap_err();
    assert!(
        last()
            .message
            .contains("no t***@example.com and no 090-****-5678"),
        "{:?}",
        last()
    );
    assert!(
        last().location.contains("masked_logs_process.rs:"),
        "{:?}",
        last()
    );
    catch_unwind(|| std::panic::panic_any(42_u8)).unwrap_err();
    assert_eq!(last().message, "the payload is no text");
    let named = std::thread::Builder::new().name(format!("{PERSON}様"));
    named
        .spawn(|| panic!("number {NUMBER}\nand {MAIL}"))
        .unwrap()
        .join()
        .unwrap_err();
    assert_eq!(last().thread, "山田 *様");
    catch_unwind(|| {
        let text = MAIL.replace('t', "田");
        let _ = &text[1..];
    })
    .unwrap_err();

    // From now on the masker panics: in the formatter, in the gate, and in the hook.
    masker.panics.store(true, Ordering::SeqCst);
    info!(mail = MAIL, "event");
    assert_eq!(last().message, "withheld: the masker panicked");
    catch_unwind(|| panic!("no {MAIL}")).unwrap_err();
    assert_eq!(last().message, "withheld: masking failed");
    assert!(
        last().location.contains("masked_logs_process.rs:"),
        "{:?}",
        last()
    );
    assert!(
        sink.text().contains("withheld: masking failed"),
        "{}",
        sink.text()
    );

    assert_nothing_planted(&sink.text(), "log");
    for report in reports.lock().unwrap().iter() {
        assert_nothing_planted(&format!("{report}\n{report:?}"), "panic");
    }

    // The masker recovers, and so do the lines.
    masker.panics.store(false, Ordering::SeqCst);
    info!("after it {PHONE}");
    assert!(sink.text().contains("after it 090-****-5678"));
}
