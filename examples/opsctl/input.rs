use std::io::{ErrorKind, IsTerminal, Read};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};

use indicatif::{ProgressBar, ProgressStyle};
use ops_core::error::{Error, ErrorKind as Kind};

use crate::exit::Failure;

/// Standard input, read ahead by a thread of its own, so that reading and working overlap. Constant memory.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: Receiver<std::io::Result<Vec<u8>>>,
    progress: ProgressBar,
}

/// What one read takes at most, how many are read ahead, and how much is worked on at once.
const CHUNK: usize = 256 * 1024;
const AHEAD: usize = 16;
const BATCH: usize = 4 * 1024 * 1024;

impl Input {
    /// Begins to read.
    pub(crate) fn stdin() -> Self {
        let (send, chunks) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            let mut input = std::io::stdin();
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match input.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(length) => {
                        chunk.truncate(length);
                        Ok(chunk)
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                // Nobody listens any more once the output has gone away.
                if send.send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self {
            chunks,
            progress: progress(),
        }
    }

    /// Appends what is there to `batch`, waiting for the first chunk; `false` at the end of the input.
    pub(crate) fn take(&self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut chunk = self.chunks.recv().ok();
        let more = chunk.is_some();
        while let Some(read) = chunk {
            let read =
                read.map_err(|error| Error::new(Kind::Unavailable, "read standard input").source(error))?;
            self.progress.inc(read.len() as u64);
            batch.extend_from_slice(&read);
            chunk = if batch.len() < BATCH {
                self.chunks.try_recv().ok()
            } else {
                None
            };
        }
        if !more {
            self.progress.finish_and_clear();
        }
        Ok(more)
    }
}

/// Moves on a terminal that shows nothing else.
fn progress() -> ProgressBar {
    let (input, output, error) = (
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    );
    if input || output || !error {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar
}

/// How many threads work at the same time.
pub(crate) fn workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// How writing to standard output went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Whole,
    /// The reader has gone away, as `head` does: no fault.
    Nobody,
}

/// Writes to standard output and flushes.
pub(crate) fn write(text: &str) -> Result<Written, Failure> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(Written::Whole),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Written::Nobody),
        Err(error) => Err(Error::new(Kind::Unavailable, "write standard output")
            .source(error)
            .into()),
    }
}

/// A longer line is not held in memory.
pub(crate) const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// One line without its line break, and its number from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    /// `None` for a line that is longer than [`LONGEST_LINE`].
    pub(crate) text: Option<Vec<u8>>,
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    number: u64,
    rest: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// The lines that end in `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.strip_suffix(b"\n");
            let text = whole.unwrap_or(part);
            self.too_long |= self.rest.len() + text.len() > LONGEST_LINE;
            if self.too_long {
                self.rest = Vec::new();
            } else {
                self.rest.extend_from_slice(text);
            }
            if whole.is_some() {
                lines.push(self.line());
            }
        }
        lines
    }

    /// The line that the input ends with, if no line break does.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (self.too_long || !self.rest.is_empty()).then(|| self.line())
    }

    fn line(&mut self) -> Line {
        self.number += 1;
        let text = std::mem::take(&mut self.rest);
        Line {
            number: self.number,
            text: (!std::mem::take(&mut self.too_long)).then_some(text),
        }
    }
}
