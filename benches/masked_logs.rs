//! What masking adds to a line of a log: the bare formatter, the formatter stage, and both stages, interleaved in one run, into a
//! sink that does nothing.
//!
//! Prints nanoseconds per line as medians over the rounds, in text and in JSON, clean and with a mail address and a telephone number;
//! once with a masker that changes nothing, for the cost of the stages themselves, and once with the built-in one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use ops_core::masking::BuiltinMasker;
use ops_core::masking::log::MaskedLogs;
use ops_core::ports::PiiMasker;
use tracing::{Dispatch, info, info_span};

const LINES: u32 = 20_000;
const ROUNDS: usize = 9;

/// Changes nothing.
#[derive(Debug)]
struct Nothing;

impl PiiMasker for Nothing {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}

fn main() {
    for (name, masker) in [
        ("no masker", Arc::new(Nothing) as Arc<dyn PiiMasker>),
        ("BuiltinMasker", Arc::new(BuiltinMasker::new())),
    ] {
        let logs = MaskedLogs::new(masker);
        for (form, stages) in [("text", text(&logs)), ("json", json(&logs))] {
            measure(&format!("{name}, {form}, clean"), &stages, clean);
            measure(&format!("{name}, {form}, personal"), &stages, personal);
        }
    }
}

/// The bare formatter, the first stage, both stages.
type Stages = [Dispatch; 3];

fn text(logs: &MaskedLogs) -> Stages {
    let base = || tracing_subscriber::fmt().with_ansi(false);
    [
        Dispatch::new(base().with_writer(std::io::sink).finish()),
        Dispatch::new(
            base()
                .map_fmt_fields(|fields| logs.fields(fields))
                .map_event_format(|format| logs.format(format))
                .with_writer(std::io::sink)
                .finish(),
        ),
        Dispatch::new(
            base()
                .map_fmt_fields(|fields| logs.fields(fields))
                .map_event_format(|format| logs.format(format))
                .with_writer(logs.writer(std::io::sink))
                .finish(),
        ),
    ]
}

fn json(logs: &MaskedLogs) -> Stages {
    let base = || tracing_subscriber::fmt().json();
    [
        Dispatch::new(base().with_writer(std::io::sink).finish()),
        Dispatch::new(
            base()
                .map_event_format(|format| logs.format(format))
                .with_writer(std::io::sink)
                .finish(),
        ),
        Dispatch::new(
            base()
                .map_event_format(|format| logs.format(format))
                .with_writer(logs.writer(std::io::sink))
                .finish(),
        ),
    ]
}

fn clean() {
    info!(status = 200, took_ms = 12, path = "/v1/tasks", "request handled");
}

fn personal() {
    info!(
        status = 200,
        mail = "tanaka@example.com",
        phone = "090-1234-5678",
        "request handled"
    );
}

fn measure(what: &str, stages: &Stages, line: fn()) {
    let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (round, stage) in rounds.iter_mut().zip(stages) {
            tracing::dispatcher::with_default(stage, || {
                let span = info_span!("request", id = "019c0d5e-8f7a-7b3c", method = "GET");
                let _entered = span.enter();
                round.push(time(line));
            });
        }
    }
    let [bare, formatter, both] = rounds.map(median);
    println!(
        "{what:32} bare {bare:7.0} ns   formatter {:+7.0} ns   both stages {:+7.0} ns ({:.2} x)",
        formatter - bare,
        both - bare,
        both / bare
    );
}

/// Nanoseconds per line.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time(line: fn()) -> f64 {
    let began = Instant::now();
    for _ in 0..LINES {
        line();
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(LINES)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
