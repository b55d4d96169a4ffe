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
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use super::super::ahead::{Ready, Room};
    use super::*;
    use crate::durable::frame::Found;

    /// Files in memory that show what was durable, and fail when told to.
    #[derive(Debug, Default)]
    struct Disk {
        files: Mutex<Vec<Vec<u8>>>,
        synced: AtomicUsize,
        /// How often a file was asked for, and how much room for the last one.
        asked: AtomicUsize,
        wanted: AtomicUsize,
        /// So many syncs fail from now on.
        failing: AtomicUsize,
        full: AtomicBool,
        /// A file that is shown is seen, and its caller told that it failed.
        blind: AtomicBool,
    }

    struct MemoryFile {
        disk: Arc<Disk>,
        number: usize,
        pending: Vec<u8>,
        poisoned: bool,
    }

    impl Medium for MemoryFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            assert!(
                !self.poisoned,
                "a file whose sync failed must not be written again"
            );
            self.pending.extend_from_slice(bytes);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            assert!(
                !self.poisoned,
                "a file whose sync failed must not be synced again"
            );
            let fails = self
                .disk
                .failing
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if fails.is_ok() {
                self.poisoned = true;
                return Err(io::Error::other("the disk is ill"));
            }
            self.disk.synced.fetch_add(1, Ordering::SeqCst);
            let pending = mem::take(&mut self.pending);
            self.disk.files.lock().unwrap()[self.number].extend(pending);
            Ok(())
        }
    }

    fn show(disk: &Arc<Disk>) -> Result<Box<dyn Medium>> {
        let mut files = disk.files.lock().unwrap();
        files.push(Vec::new());
        if disk.blind.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "sync directory"));
        }
        Ok(Box::new(MemoryFile {
            disk: Arc::clone(disk),
            number: files.len() - 1,
            pending: Vec::new(),
            poisoned: false,
        }))
    }

    fn writer(disk: &Arc<Disk>, room: usize) -> Writer {
        let disk = Arc::clone(disk);
        let make: Make = Box::new(move |asked: Room| {
            let room = asked.wanted;
            disk.wanted.store(room, Ordering::SeqCst);
            disk.asked.fetch_add(1, Ordering::SeqCst);
            if disk.full.load(Ordering::SeqCst) {
                return Err(
                    Error::new(ErrorKind::Unavailable, "make segment").context("cause", "no space left")
                );
            }
            let disk = Arc::clone(&disk);
            Ok(Ready::new(room, move || show(&disk)))
        });
        Writer::start(make, room).unwrap()
    }

    fn durable(disk: &Disk) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        for file in &*disk.files.lock().unwrap() {
            let mut at = 0;
            while let Found::Frame { number, payload, end } = frame::read(file, at) {
                frames.push((number, payload.to_vec()));
                at = end;
            }
        }
        frames
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_durable_and_numbered_without_a_gap() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 100);
        let answers: Vec<_> = (0..200_u8).map(|n| writer.push(vec![n; 10])).collect();
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        let frames = durable(&disk);
        assert_eq!(
            frames.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            (0..200).collect::<Vec<_>>()
        );
        assert!(
            (0..200_u8)
                .zip(&frames)
                .all(|(n, (_, payload))| *payload == vec![n; 10])
        );
    }

    #[tokio::test]
    async fn many_callers_share_a_sync() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1 << 20);
        // They gather while the first file is being made.
        let guard = disk.files.lock().unwrap();
        let answers: Vec<_> = (0..64_u8).map(|n| writer.push(vec![n])).collect();
        drop(guard);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert!(disk.synced.load(Ordering::SeqCst) <= 2, "{disk:?}");
    }

    #[tokio::test]
    async fn a_failed_sync_gives_up_the_file_and_the_records_go_to_the_next_one() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1 << 20);
        writer.push(vec![1]).await.unwrap().unwrap();
        disk.failing.store(1, Ordering::SeqCst);
        writer.push(vec![2]).await.unwrap().unwrap();
        writer.push(vec![3]).await.unwrap().unwrap();
        assert_eq!(durable(&disk), [(0, vec![1]), (1, vec![2]), (2, vec![3])]);
        assert_eq!(disk.files.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_made_durable_is_said_to_its_caller_and_leaves_no_gap() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1 << 20);
        writer.push(vec![1]).await.unwrap().unwrap();
        disk.failing.store(2, Ordering::SeqCst);
        let error = writer.push(vec![2]).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("the disk is ill"), "{error}");
        disk.full.store(true, Ordering::SeqCst);
        let error = writer.push(vec![3]).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        assert_eq!(
            disk.asked.load(Ordering::SeqCst),
            3,
            "once for each file, and once in vain"
        );
        disk.full.store(false, Ordering::SeqCst);
        writer.push(vec![4]).await.unwrap().unwrap();
        assert_eq!(durable(&disk), [(0, vec![1]), (1, vec![4])]);
    }

    #[tokio::test]
    async fn many_who_wait_for_what_cannot_be_made_durable_are_all_told() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1 << 20);
        disk.failing.store(2, Ordering::SeqCst);
        let guard = disk.files.lock().unwrap();
        let answers: Vec<_> = (0..64_u8).map(|n| writer.push(vec![n])).collect();
        drop(guard);
        let (mut failed, mut kept) = (0, 0);
        for answer in answers {
            match answer.await.unwrap() {
                Ok(()) => kept += 1,
                Err(error) => {
                    assert!(error.to_string().contains("the disk is ill"), "{error}");
                    failed += 1;
                }
            }
        }
        assert!(failed > 0, "{disk:?}");
        assert_eq!(
            durable(&disk).len(),
            kept,
            "who was told so is kept, and nobody else"
        );
    }

    #[tokio::test]
    async fn behind_another_file_that_may_be_seen_nothing_is_written() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 100);
        writer.push(vec![1; 10]).await.unwrap().unwrap();
        disk.blind.store(true, Ordering::SeqCst);
        writer.push(vec![2; 200]).await.unwrap().unwrap_err();
        disk.blind.store(false, Ordering::SeqCst);
        writer.push(vec![3; 10]).await.unwrap().unwrap();
        let files: Vec<_> = disk.files.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(files, [30, 0, 30]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_leaves_the_one_that_is_there() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 100);
        writer.push(vec![1; 10]).await.unwrap().unwrap();
        disk.full.store(true, Ordering::SeqCst);
        writer.push(vec![2; 200]).await.unwrap().unwrap_err();
        writer.push(vec![3; 10]).await.unwrap().unwrap();
        let files: Vec<_> = disk.files.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(files, [60]);
    }

    /// Of four mebibytes, a quarter at once.
    async fn quarters(writer: &Writer, count: usize) {
        for _ in 0..count {
            let quarter = vec![7; MOST_ROOM / 4 - 20];
            writer.push(quarter).await.unwrap().unwrap();
        }
    }

    /// Waits for what another thread does.
    fn wait_for(mut done: impl FnMut() -> bool) {
        let came = (0..1_000_000).any(|_| {
            thread::yield_now();
            done()
        });
        assert!(came, "it never came");
    }

    #[tokio::test]
    async fn the_next_large_file_is_made_while_one_is_being_filled() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, MOST_ROOM);
        quarters(&writer, 2).await;
        wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
        quarters(&writer, 2).await;
        assert_eq!(disk.files.lock().unwrap().len(), 1, "nobody sees the next one");
        // Now none could be made.
        disk.full.store(true, Ordering::SeqCst);
        quarters(&writer, 1).await;
        assert_eq!(disk.files.lock().unwrap().len(), 2);
        assert_eq!(disk.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn whoever_fills_small_files_has_none_made_ahead() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1000);
        writer.push(vec![7; 900]).await.unwrap().unwrap();
        writer.push(vec![7; 900]).await.unwrap().unwrap();
        assert_eq!(disk.asked.load(Ordering::SeqCst), 2);
        assert_eq!(
            disk.wanted.load(Ordering::SeqCst),
            4000,
            "the next size, not the largest"
        );
    }

    #[tokio::test]
    async fn a_file_that_could_not_be_made_ahead_is_tried_again_when_it_is_needed() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, MOST_ROOM);
        quarters(&writer, 1).await;
        disk.full.store(true, Ordering::SeqCst);
        quarters(&writer, 3).await;
        wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
        disk.full.store(false, Ordering::SeqCst);
        quarters(&writer, 1).await;
        assert_eq!(disk.asked.load(Ordering::SeqCst), 3);
        assert_eq!(durable(&disk).len(), 5);
    }

    #[tokio::test]
    async fn a_file_made_ahead_that_is_too_small_is_not_used() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, MOST_ROOM);
        quarters(&writer, 3).await;
        wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
        writer.push(vec![8; MOST_ROOM + 1]).await.unwrap().unwrap();
        let asked = disk.asked.load(Ordering::SeqCst);
        assert!(asked >= 3, "another one, and perhaps the next already: {asked}");
        assert_eq!(durable(&disk).len(), 4);
    }

    #[tokio::test]
    async fn dropping_the_writer_loses_nothing_that_it_was_given() {
        let disk = Arc::new(Disk::default());
        let writer = writer(&disk, 1 << 20);
        let answers: Vec<_> = (0..50_u8).map(|n| writer.push(vec![n])).collect();
        drop(writer);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(durable(&disk).len(), 50);
    }

    #[tokio::test]
    async fn of_a_batch_that_does_not_fit_the_first_are_kept_and_the_others_told() {
        let disk = Arc::new(Disk::default());
        // Room for one file of 200 bytes.
        let gate = Arc::new(Mutex::new(()));
        let (shared, wait) = (Arc::clone(&disk), Arc::clone(&gate));
        let make: Make = Box::new(move |asked: Room| {
            let least = asked.least;
            let _gate = wait.lock().unwrap();
            if !shared.files.lock().unwrap().is_empty() || least > 200 {
                return Err(Error::new(FULL, "make segment"));
            }
            let disk = Arc::clone(&shared);
            Ok(Ready::new(200, move || show(&disk)))
        });
        let writer = Writer::start(make, 200).unwrap();
        // The first waits for its file while the others gather.
        let closed = gate.lock().unwrap();
        let first = writer.push(vec![0; 20]);
        let answers: Vec<_> = (1..20_u8).map(|n| writer.push(vec![n; 20])).collect();
        drop(closed);
        first.await.unwrap().unwrap();
        let (mut kept, mut told) = (1, 0);
        for answer in answers {
            match answer.await.unwrap() {
                Ok(()) => kept += 1,
                Err(error) => {
                    assert_eq!(error.kind(), FULL);
                    told += 1;
                }
            }
        }
        let numbers: Vec<_> = durable(&disk).into_iter().map(|(number, _)| number).collect();
        assert_eq!((numbers.len(), told), (kept, 20 - kept));
        assert_eq!(numbers, (0..kept as u64).collect::<Vec<_>>());
        assert!(kept >= 4, "all that there was room for: {kept}");
    }
}
