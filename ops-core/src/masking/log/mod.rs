#![doc = include_str!("../../../../docs/guide/logs.md")]

mod fields;
mod format;
mod gate;
mod panic;
mod rewrite;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Event;

pub use self::fields::{MaskedFields, MaskedVisitor};
pub use self::format::MaskedFormat;
pub use self::gate::{Gate, MaskedWriter};
pub use self::panic::PanicReport;
use super::scrub::{Scrub, Withheld};
use super::{FieldRules, LeakAlarm, LeakPlace};
use crate::ports::PiiMasker;

/// The stages of masking for the lines of a log. Cheap to clone.
///
/// | stage | wraps | is for |
/// |---|---|---|
/// | [`fields`](Self::fields) | how the fields of spans are written, as text | drops fields by name, exactly |
/// | [`format`](Self::format) | how an event is written, as text or JSON | drops fields by name, masks the line |
/// | [`writer`](Self::writer), [`gate`](Self::gate) | where lines go | the guarantee for that sink, and the leak alarm |
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::masking::BuiltinMasker;
/// use ops_core::masking::log::MaskedLogs;
///
/// let logs = MaskedLogs::new(Arc::new(BuiltinMasker::new()));
/// let subscriber = tracing_subscriber::fmt()
///     .map_fmt_fields(|fields| logs.fields(fields))
///     .map_event_format(|format| logs.format(format))
///     .with_writer(logs.writer(std::io::stderr))
///     .finish();
/// ```
#[derive(Clone, Debug)]
pub struct MaskedLogs(Arc<Shared>);

/// What the stages share.
#[derive(Clone, Debug)]
struct Shared {
    scrub: Arc<Scrub>,
    alarm: Option<LeakAlarm>,
    longest_line: usize,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    masked: AtomicU64,
    withheld: AtomicU64,
    cut: AtomicU64,
}

/// What the gates did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounts {
    /// Lines in which a gate found something to mask.
    pub masked: u64,
    /// Lines that were replaced by a fixed one or left out, at a gate or before, because there was no masked form of them.
    pub withheld: u64,
    /// Lines that were too long, of which the end was left out.
    pub cut: u64,
}

impl MaskedLogs {
    /// Stages that mask with `masker` and drop the fields of [`FieldRules::new`], without an alarm.
    pub fn new(masker: Arc<dyn PiiMasker>) -> Self {
        Self(Arc::new(Shared {
            scrub: Arc::new(Scrub::new(masker, FieldRules::new())),
            alarm: None,
            longest_line: LONGEST_LINE,
            counters: Arc::default(),
        }))
    }

    /// Uses other rules for fields.
    #[must_use]
    pub fn with_fields(mut self, fields: FieldRules) -> Self {
        let masker = Arc::clone(&self.0.scrub.masker);
        Arc::make_mut(&mut self.0).scrub = Arc::new(Scrub::new(masker, fields));
        self
    }

    /// Reports what the gates find to `alarm`.
    ///
    /// Behind [`format`](Self::format) a hit means that something wrote past it. Without it, everything that is masked is a hit.
    #[must_use]
    pub fn with_alarm(mut self, alarm: LeakAlarm) -> Self {
        Arc::make_mut(&mut self.0).alarm = Some(alarm);
        self
    }

    /// How many bytes of a line a gate holds, 64 KiB by default and 4 KiB at least; of a longer line it writes the beginning only.
    #[must_use]
    pub fn with_longest_line(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.0).longest_line = bytes.max(SHORTEST_LONGEST_LINE);
        self
    }

    /// Wraps how an event is written. Colours are turned off.
    pub fn format<F>(&self, inner: F) -> MaskedFormat<F> {
        MaskedFormat::new(inner, self.clone())
    }

    /// Wraps how the fields of spans are written as text. JSON needs no such wrapper: its names and values have quotes.
    pub fn fields<N>(&self, inner: N) -> MaskedFields<N> {
        MaskedFields::new(inner, Arc::clone(&self.0.scrub))
    }

    /// Wraps where lines go: whatever writes them, they leave masked.
    pub fn writer<M>(&self, inner: M) -> MaskedWriter<M> {
        MaskedWriter::new(inner, self.clone())
    }

    /// The same gate for any sink of text: a file, the output of a child process.
    pub fn gate<W: Write>(&self, sink: W) -> Gate<W> {
        Gate::new(Some(sink), self.clone(), None)
    }

    /// Replaces the panic hook by one that writes a masked report to standard error.
    ///
    /// The hook before it is not called: it would be given the raw message.
    pub fn install_panic_hook(&self) {
        self.install_panic_hook_with(|report| {
            let _ = writeln!(std::io::stderr(), "{report}");
        });
    }

    /// As [`install_panic_hook`](Self::install_panic_hook), with another way to write the report.
    pub fn install_panic_hook_with(&self, write: impl Fn(&PanicReport) + Send + Sync + 'static) {
        panic::install(Arc::clone(&self.0.scrub), write);
    }

    /// The fields of an event, dropped and masked one by one: for a `Layer` of one's own that sends events elsewhere.
    ///
    /// If the masker fails, the values are a fixed text.
    pub fn event_fields(&self, event: &Event<'_>) -> BTreeMap<&'static str, String> {
        fields::collect(&self.0.scrub, event)
    }

    /// What the gates did so far, those of clones included.
    pub fn counts(&self) -> GateCounts {
        GateCounts {
            masked: self.0.counters.masked.load(Ordering::Relaxed),
            withheld: self.0.counters.withheld.load(Ordering::Relaxed),
            cut: self.0.counters.cut.load(Ordering::Relaxed),
        }
    }
}

/// A line that stands for one that is not written. `json` is the form of the line.
fn fixed_line(why: Withheld, place: &LeakPlace, json: bool) -> String {
    if json {
        let fields =
            serde_json::json!({ "level": "ERROR", "message": why.to_string(), "place": place.to_string() });
        format!("{fields}\n")
    } else {
        format!("ERROR {why} ({place})\n")
    }
}

/// Bytes of a line that a gate holds unless told otherwise.
const LONGEST_LINE: usize = 64 * 1024;

/// What a gate leaves out at the end of a cut line must be a small part of it.
const SHORTEST_LONGEST_LINE: usize = 4 * 1024;
