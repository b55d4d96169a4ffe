use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::Ordering;

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::rewrite::rewritten;
use super::{MaskedLogs, fixed_line};
use crate::masking::LeakPlace;
use crate::masking::ansi::without_ansi;
use crate::masking::scrub::Withheld;

/// Writes an event as `F` does, masked as a whole: message, fields, spans around it, and all its lines.
///
/// Values of dropped fields never reach `F`. If `F` or the masker fails, a fixed line with the event's place is written; it never
/// returns an error, for which `tracing-subscriber` would write the raw fields.
#[derive(Clone, Debug)]
pub struct MaskedFormat<F> {
    inner: F,
    logs: MaskedLogs,
}

impl<F> MaskedFormat<F> {
    pub(super) fn new(inner: F, logs: MaskedLogs) -> Self {
        Self { inner, logs }
    }

    fn masked<'a>(&self, formatted: fmt::Result, line: &'a str, metadata: &Metadata<'_>) -> Cow<'a, str> {
        let plain = without_ansi(line);
        let masked = match (formatted, plain) {
            (Err(fmt::Error), _) => Err(Withheld::Unformatted),
            (Ok(()), Cow::Borrowed(plain)) => self.logs.0.scrub.scrub(plain),
            (Ok(()), Cow::Owned(plain)) => {
                let masked = self.logs.0.scrub.scrub(&plain);
                masked.map(|masked| Cow::Owned(masked.into_owned()))
            }
        };
        masked.unwrap_or_else(|why| {
            if why != Withheld::Nested {
                self.logs.0.counters.withheld.fetch_add(1, Ordering::Relaxed);
            }
            Cow::Owned(fixed_line(why, &place(metadata), line.starts_with('{')))
        })
    }
}

impl<S, N, F> FormatEvent<S, N> for MaskedFormat<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // An event within an event, from a value's `Debug`, finds no buffer and makes one.
        let mut line = BUFFER.try_with(Cell::take).unwrap_or_default();
        let formatted = rewritten(event, &self.logs.0.scrub.fields, |event| {
            self.inner.format_event(context, Writer::new(&mut line), event)
        });
        let written = writer.write_str(&self.masked(formatted, &line, event.metadata()));
        if line.capacity() <= LARGEST_KEPT {
            line.clear();
            let _ = BUFFER.try_with(|buffer| buffer.set(line));
        }
        written
    }
}

fn place(metadata: &Metadata<'_>) -> LeakPlace {
    let place = LeakPlace::target(metadata.target());
    match (metadata.file(), metadata.line()) {
        (Some(file), Some(line)) => place.at(file, line),
        _ => place,
    }
}

thread_local! {
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// A larger buffer is given back to the allocator.
const LARGEST_KEPT: usize = 64 * 1024;
