use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

use super::ahead::{Ahead, Make};
use crate::durable::{Medium, frame, is_full};
use crate::error::{Error, ErrorKind, Result};

/// Writes payloads behind each other, many callers by one disk write: each gets its answer when its own bytes are durable.
///
/// While one batch is on its way to the disk the next one gathers, so that more callers make larger batches, not longer queues.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    writes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    closed: bool,
}

struct Waiting {
    payload: Vec<u8>,
    done: oneshot::Sender<Result<()>>,
}

impl Writer {
    /// Starts the thread that writes. It ends when the writer is dropped and all that was given to it is written.
    pub(super) fn start(make: Make, room: usize) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let log = Log {
            ahead: Ahead::start(make)?,
            room,
            medium: None,
            size: 0,
            left: 0,
            number: 0,
            buffer: Vec::new(),
        };
        let shared = Arc::clone(&queue);
        let (told, tell) = mpsc::channel();
        start_thread("ops-audit-told", move || {
            tell.into_iter().for_each(Written::answer)
        })?;
        start_thread("ops-audit-spool", move || run(&shared, log, &told))?;
        Ok(Self { queue })
    }

    /// How many batches went to the disk.
    pub(super) fn writes(&self) -> u64 {
        self.queue.writes.load(Ordering::Relaxed)
    }

    /// Hands over a payload; the answer comes when it is durable or cannot be.
    pub(super) fn push(&self, payload: Vec<u8>) -> oneshot::Receiver<Result<()>> {
        let (done, answer) = oneshot::channel();
        self.queue.lock().waiting.push(Waiting { payload, done });
        self.queue.filled.notify_one();
        answer
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.filled.notify_one();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that waits, once there is something; `None` when no more can come.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(mem::take(&mut state.waiting))
    }
}

pub(super) fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|source| Error::new(ErrorKind::Unavailable, APPEND).source(source))
}

fn run(queue: &Queue, mut log: Log, told: &mpsc::Sender<Written>) {
    while let Some(mut rest) = queue.take() {
        while !rest.is_empty() {
            let (most, outcome) = log.append_most(&rest);
            queue.writes.fetch_add(1, Ordering::Relaxed);
            let behind = rest.split_off(most);
            let callers = mem::replace(&mut rest, behind);
            let written = Written { callers, outcome };
            // Waking many takes as long as a disk needs for the next batch: it goes there meanwhile.
            if written.callers.len() > FEW {
                if let Err(mpsc::SendError(written)) = told.send(written) {
                    written.answer();
                }
            } else {
                written.answer();
            }
        }
    }
}

/// What became of a batch, for those who gave it.
struct Written {
    callers: Vec<Waiting>,
    outcome: Result<(), Failed>,
}

impl Written {
    fn answer(self) {
        for waiting in self.callers {
            let answer = match &self.outcome {
                Ok(()) => Ok(()),
                Err(failed) => Err(failed.error()),
            };
            // Nobody waits any more: the caller was dropped, the record is kept all the same.
            let _ = waiting.done.send(answer);
        }
    }
}

/// The files, one behind the other.
struct Log {
    ahead: Ahead,
    /// How much room the next file shall have.
    room: usize,
    medium: Option<Box<dyn Medium>>,
    /// How much room the file had when it was new.
    size: usize,
    /// How many bytes still fit into it.
    left: usize,
    /// Of the next frame. One that was not acknowledged is given again.
    number: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Appends as many as there is room for; how many that are. Without room for the first one, none has any.
    fn append_most(&mut self, batch: &[Waiting]) -> (usize, Result<(), Failed>) {
        let mut most = batch.len().min(MOST_AT_ONCE);
        loop {
            match self.append(&batch[..most]) {
                Err(failed) if failed.kind == FULL && most > 1 => most /= 2,
                Err(failed) if failed.kind == FULL => return (batch.len(), Err(failed)),
                written => return (most, written),
            }
        }
    }

    fn append(&mut self, batch: &[Waiting]) -> Result<(), Failed> {
        self.buffer.clear();
        for (number, waiting) in (self.number..).zip(batch) {
            frame::write(&mut self.buffer, number, &waiting.payload);
        }
        let mut medium = self.medium()?;
        if write(&mut *medium, &self.buffer).is_err() {
            // Nobody knows what the file holds: it is never synced or written again. Another one may do.
            medium = self.medium()?;
            write(&mut *medium, &self.buffer)?;
        }
        self.left -= self.buffer.len();
        self.medium = Some(medium);
        // To make a file takes as long as to fill it: who fills large ones has the next one made meanwhile.
        if self.size >= MOST_ROOM && self.left <= self.size / 2 {
            self.ahead.begin(MOST_ROOM);
        }
        // Only what is durable is counted: a batch that did not fit costs no number.
        self.number += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The file, or the next one where the buffer does not fit. It is put back when it was written.
    fn medium(&mut self) -> Result<Box<dyn Medium>, Failed> {
        let least = self.buffer.len();
        if self.left >= least
            && let Some(medium) = self.medium.take()
        {
            return Ok(medium);
        }
        // Without another one, what is smaller may fit into the one that is there. Once another one may be seen, a reader looks for nothing more in this one.
        let ready = self.ahead.take(self.room.max(least), least)?;
        self.medium = None;
        let room = ready.room;
        let medium = ready.show()?;
        (self.size, self.left) = (room, room);
        self.room = (self.room * 4).min(MOST_ROOM);
        Ok(medium)
    }
}

fn write(medium: &mut dyn Medium, bytes: &[u8]) -> io::Result<()> {
    medium.write(bytes)?;
    medium.sync()
}

/// Why a batch is not on the disk; each of its callers is told.
#[derive(Clone, Debug)]
struct Failed {
    kind: ErrorKind,
    cause: String,
}

impl Failed {
    fn error(&self) -> Error {
        let error = Error::new(self.kind, APPEND).context("cause", self.cause.clone());
        match self.kind {
            FULL => error.context(
                "remedy",
                "bring the audit store back, or make room: recording goes on by itself then",
            ),
            _ => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        Self {
            kind: match source {
                Some(source) if is_full(source) => FULL,
                _ => error.kind(),
            },
            cause: match source {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self {
            kind: match is_full(&error) {
                true => FULL,
                false => ErrorKind::Unavailable,
            },
            cause: error.to_string(),
        }
    }
}

/// There is no room now, later there may be.
pub(super) const FULL: ErrorKind = ErrorKind::RateLimited;

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

pub(super) const APPEND: &str = "spool audit record";
/// So many callers are woken by the thread that writes itself.
const FEW: usize = 8;
/// The largest file unless a batch is larger.
const MOST_ROOM: usize = 4 << 20;
/// A batch that takes long holds up those behind it.
const MOST_AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests;
