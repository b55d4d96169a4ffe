use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Debug};
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::Ordering;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::{MaskedLogs, fixed_line};
use crate::masking::ansi::without_ansi;
use crate::masking::scrub::{Withheld, inside};
use crate::masking::{LeakPlace, LeakSink};

/// Makes a [`Gate`] before every writer that `M` makes.
#[derive(Clone, Debug)]
pub struct MaskedWriter<M> {
    inner: M,
    logs: MaskedLogs,
}

impl<M> MaskedWriter<M> {
    pub(super) fn new(inner: M, logs: MaskedLogs) -> Self {
        Self { inner, logs }
    }

    fn gate<W: Write>(&self, sink: impl FnOnce() -> W, metadata: Option<&Metadata<'_>>) -> Gate<W> {
        // What the masker logs of its own is left out: the sink may be locked by the very line that is being masked.
        let sink = if inside() { None } else { Some(sink()) };
        Gate::new(sink, self.logs.clone(), metadata)
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for MaskedWriter<M> {
    type Writer = Gate<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        self.gate(|| self.inner.make_writer(), None)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.gate(|| self.inner.make_writer_for(metadata), Some(metadata))
    }
}

/// Holds back what is written until a line is whole, masks it, and writes it at once.
///
/// - Several whole lines in one write are masked together: a value may reach over them.
/// - A line that is not whole waits for its end or for the drop; `flush` does not let half a value through.
/// - What is not UTF-8 is written with replacement characters.
/// - Of a line longer than [`MaskedLogs::with_longest_line`] the beginning is written and the rest left out, to the next line break.
/// - Colours stay on a line in which nothing is masked.
/// - If the masker fails, a fixed line is written. An error of the sink is returned, at a drop it is lost; the line is not kept.
pub struct Gate<W: Write> {
    sink: Option<W>,
    logs: MaskedLogs,
    scratch: Scratch,
    /// Up to the next line break nothing is written.
    skipping: bool,
}

/// What a gate needs and the next one of the thread uses again.
#[derive(Debug, Default)]
struct Scratch {
    held: Vec<u8>,
    target: String,
    file: String,
    line: Option<u32>,
}

impl<W: Write> Gate<W> {
    pub(super) fn new(sink: Option<W>, logs: MaskedLogs, metadata: Option<&Metadata<'_>>) -> Self {
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        scratch.place(metadata);
        Self {
            sink,
            logs,
            scratch,
            skipping: false,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.skipping {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                return Ok(());
            };
            self.skipping = false;
            bytes = &bytes[end + 1..];
        }
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let (lines, rest) = bytes.split_at(whole);
        if !lines.is_empty() {
            if self.scratch.held.is_empty() {
                self.emit(lines)?;
            } else {
                self.scratch.held.extend_from_slice(lines);
                self.emit_held()?;
            }
        }
        self.hold(rest)
    }

    fn hold(&mut self, rest: &[u8]) -> io::Result<()> {
        let room = self.logs.0.longest_line.saturating_sub(self.scratch.held.len());
        if rest.len() <= room {
            self.scratch.held.extend_from_slice(rest);
            return Ok(());
        }
        self.scratch.held.extend_from_slice(&rest[..room]);
        self.skipping = true;
        self.logs.0.counters.cut.fetch_add(1, Ordering::Relaxed);
        let held = mem::take(&mut self.scratch.held);
        let text = String::from_utf8_lossy(&held);
        let plain = without_ansi(&text);
        let masked = match self.logs.0.scrub.scrub(&plain) {
            Ok(masked) => masked,
            Err(why) => return self.withhold(why, &plain),
        };
        if masked != plain {
            self.hit(&plain);
        }
        // The end may be the half of a value that is not recognised as one.
        let mut end = masked.len().saturating_sub(LEFT_OUT);
        while !masked.is_char_boundary(end) {
            end -= 1;
        }
        self.put(format!("{} [cut: the line is too long]\n", &masked[..end]).as_bytes())
    }

    fn emit_held(&mut self) -> io::Result<()> {
        let mut held = mem::take(&mut self.scratch.held);
        let written = self.emit(&held);
        held.clear();
        self.scratch.held = held;
        written
    }

    fn emit(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(bytes);
        let plain = without_ansi(&text);
        match self.logs.0.scrub.scrub(&plain) {
            Ok(Cow::Borrowed(_)) => self.put(text.as_bytes()),
            Ok(Cow::Owned(masked)) => {
                self.hit(&plain);
                self.put(masked.as_bytes())
            }
            Err(why) => self.withhold(why, &plain),
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), |sink| sink.write_all(line))
    }

    fn withhold(&mut self, why: Withheld, text: &str) -> io::Result<()> {
        self.logs.0.counters.withheld.fetch_add(1, Ordering::Relaxed);
        let line = fixed_line(why, &self.place(), text.starts_with('{'));
        self.put(line.as_bytes())
    }

    fn hit(&self, text: &str) {
        self.logs.0.counters.masked.fetch_add(1, Ordering::Relaxed);
        if let Some(alarm) = &self.logs.0.alarm {
            alarm.report(text, LeakSink::Log, self.place());
        }
    }

    /// Where the line is from. Targets of the `log` crate are made at run time and may hold anything.
    fn place(&self) -> LeakPlace {
        let masked = |text: &str| match self.logs.0.scrub.scrub(text) {
            Ok(masked) => masked.into_owned(),
            Err(_) => String::new(),
        };
        let place = LeakPlace::target(masked(&self.scratch.target));
        match self.scratch.line {
            Some(line) => place.at(masked(&self.scratch.file), line),
            None => place,
        }
    }
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.sink.is_none() {
            return Ok(bytes.len());
        }
        self.take(bytes).map(|()| bytes.len())
    }

    /// Flushes the sink; a line that is not whole stays held.
    fn flush(&mut self) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for Gate<W> {
    fn drop(&mut self) {
        if self.sink.is_none() {
            self.logs.0.counters.withheld.fetch_add(1, Ordering::Relaxed);
        }
        if !self.scratch.held.is_empty() {
            let _ = self.emit_held();
        }
        let scratch = mem::take(&mut self.scratch);
        if scratch.held.capacity() <= LARGEST_KEPT {
            let _ = SCRATCH.try_with(|kept| kept.set(scratch));
        }
    }
}

impl<W: Write> Debug for Gate<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("held", &self.scratch.held.len())
            .finish_non_exhaustive()
    }
}

impl Scratch {
    fn place(&mut self, metadata: Option<&Metadata<'_>>) {
        self.target.clear();
        self.file.clear();
        self.line = metadata.and_then(Metadata::line);
        if let Some(metadata) = metadata {
            self.target.push_str(metadata.target());
            self.file.push_str(metadata.file().unwrap_or_default());
        }
    }
}

thread_local! {
    static SCRATCH: Cell<Scratch> = const {
        Cell::new(Scratch {
            held: Vec::new(),
            target: String::new(),
            file: String::new(),
            line: None,
        })
    };
}

/// A larger buffer is given back to the allocator.
const LARGEST_KEPT: usize = 64 * 1024;

/// How much of a cut line is left out at its end: more than the longest value has.
const LEFT_OUT: usize = 1024;
