use std::fs;
use std::io;

use serde::Deserialize;
use uuid::Uuid;

use super::ahead::{Make, Ready, Room};
use super::apart;
use super::writer::{APPEND, FULL, Writer};
use crate::durable::{
    Directory, HiddenSegment, Lock, Medium, frame, no_room, private, read_whole, refused, remove_hidden,
    segment_bytes, segment_name, segments,
};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::fail_point;
use crate::model::{AuditRecord, Timestamp};
use crate::ports::{AuditEntry, AuditOrigin};

/// The directory that one process appends to, for as long as it lives.
#[derive(Debug)]
pub(super) struct Producer {
    writer: Writer,
    /// Says that the process lives.
    _lock: Lock,
}

impl Producer {
    /// Makes a directory of its own in `root`.
    pub(super) fn start(root: &Directory, at: Timestamp, quota: Option<u64>) -> Result<Self> {
        // In a long outage nothing is delivered, and each process that ends leaves one.
        Leftover::all(root)?
            .iter()
            .try_for_each(Leftover::remove_unseen)?;
        // Version 7 with the time of the first record: directories are read in the order in which they were made.
        let micros = at.as_unix_micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos);
        let name = Uuid::new_v7(stamp).simple().to_string();
        // Nobody reads a name that begins with a dot, so that nobody takes a directory that is not locked yet for a dead one.
        let hidden = root.within(&format!(".{name}"))?;
        let lock = Lock::take(&hidden.file(LOCK))?;
        // Made while there is room: from now on it is only given other names.
        make(&hidden, &Position::default().name())?;
        let directory = root.rename(&format!(".{name}"), &name)?;
        let mut number = 0;
        let root = root.clone();
        let make: Make = Box::new(move |asked: Room| {
            let room = match quota {
                None => asked.wanted,
                Some(quota) => room_within(quota, &root, asked)?,
            };
            let mut create = |room| {
                // A number is used once: what a try that failed left behind stands in nobody's way.
                number += 1;
                let (number, directory) = (number, directory.clone());
                let hidden = HiddenSegment::create(&directory, number, room)?;
                let show = move || Ok(Box::new(hidden.show(&directory, number)?) as Box<dyn Medium>);
                Ok(Ready::new(room, show))
            };
            // A disk that has little left may have enough.
            let little = asked.least.max(FIRST_ROOM);
            create(room).or_else(|failed| match no_room(&failed) && room > little {
                true => create(little),
                false => Err(failed),
            })
        });
        Ok(Self {
            writer: Writer::start(make, FIRST_ROOM)?,
            _lock: lock,
        })
    }

    /// How many batches it has written.
    pub(super) fn writes(&self) -> u64 {
        self.writer.writes()
    }

    /// Returns when the record survives a power cut.
    pub(super) async fn append(&self, record: &AuditRecord) -> Result<()> {
        let mut payload = Vec::with_capacity(USUAL);
        serde_json::to_writer(&mut payload, record)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, APPEND).source(source))?;
        if payload.len() > frame::MOST {
            // A reader takes a longer one for damage.
            return Err(Error::new(ErrorKind::InvalidInput, APPEND)
                .context("record", format!("must be at most {} bytes long", frame::MOST)));
        }
        match self.writer.push(payload).await {
            Ok(written) => written,
            Err(_) => {
                Err(Error::new(ErrorKind::Unavailable, APPEND).context("cause", "the writer has ended"))
            }
        }
    }
}

/// How much room the next file may take.
fn room_within(quota: u64, root: &Directory, asked: Room) -> Result<usize> {
    let Room { wanted, least, ahead } = asked;
    let held = held(root, &Leftover::all(root)?)?;
    // What nothing waits for takes no room that another process may need.
    let quota = if ahead { quota / 2 } else { quota };
    let head = frame::BEGINNING.len() as u64;
    let free = quota.saturating_sub(held).saturating_sub(head);
    let free = usize::try_from(free).unwrap_or(usize::MAX);
    if free < least {
        return Err(Error::new(FULL, APPEND)
            .context("held", format!("{held} bytes"))
            .context("limit", format!("{quota} bytes")));
    }
    // The file that a process writes to stays when all is delivered: it must not take the whole.
    let part = usize::try_from(quota / 4).unwrap_or(usize::MAX).max(least);
    Ok(wanted.min(part).min(free))
}

/// How many bytes the segments of all processes take, and the file of what waits apart.
pub(super) fn held(root: &Directory, producers: &[Leftover]) -> Result<u64> {
    let segments: u64 = producers.iter().map(Leftover::bytes_held).sum::<Result<_>>()?;
    Ok(segments + apart::bytes(root))
}

/// What waits in one directory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) records: u64,
    pub(super) oldest: Option<Timestamp>,
}

/// A producer's directory as a reader sees it.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    name: String,
    producer: Uuid,
    directory: Directory,
    place: Position,
}

/// How far a producer's records are delivered: the name of an empty file, for a name can be changed at once and on a disk that has no byte left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Position {
    segment: u64,
    offset: usize,
    /// The number that the next record must have.
    number: u64,
}

impl Position {
    fn name(self) -> String {
        format!(
            "{:012}-{:012}-{:020}{PLACE}",
            self.segment, self.offset, self.number
        )
    }

    fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(PLACE)?.split('-');
        let place = Self {
            segment: parts.next()?.parse().ok()?,
            offset: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }

    /// The furthest that is said in `directory`.
    fn read(directory: &Directory) -> Result<Self> {
        let named = directory.names()?.iter().filter_map(|name| Self::of(name)).max();
        // The file of the version before. One that cannot be read costs a second delivery, which stores nothing twice.
        let before = read_whole(&directory.file(PLACE_BEFORE))
            .ok()
            .flatten()
            .and_then(|text| serde_json::from_str(&text).ok());
        Ok(named.max(before).unwrap_or_default())
    }
}

/// What was found on the way to the next records.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<AuditEntry>,
    /// Numbers that are missing.
    pub(super) missing: u64,
    /// Bytes that are no record, with their name for the place where they are kept.
    pub(super) damaged: Vec<(String, Vec<u8>)>,
    /// The same for the torn end of a file: most likely a record that nobody was told is kept, but nobody can know.
    pub(super) torn: Vec<(String, Vec<u8>)>,
    /// A process that lives has bytes behind that are no record, or none yet.
    pub(super) unsettled: bool,
    next: Position,
    /// How many bytes of the spool it is.
    bytes: usize,
}

/// What a batch holds at most. One record may go over the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Most {
    /// Whatever is there.
    pub(super) const ALL: Self = Self {
        records: usize::MAX,
        bytes: usize::MAX,
    };

    /// So many records, and no more bytes than fit easily into memory.
    pub(super) fn records(records: usize) -> Self {
        Self {
            records,
            bytes: MOST_BYTES,
        }
    }
}

/// How a segment ends.
#[derive(Clone, Copy)]
enum End {
    /// Nobody writes to it.
    Closed,
    /// Its process may be writing now. Bytes at `seen` were no record before either.
    Open { seen: Option<usize> },
}

impl End {
    /// Whether the bytes at `at`, which are no record while `next` is one, may become one.
    fn may_change(self, at: usize, next: Option<usize>) -> bool {
        match self {
            Self::Closed => false,
            Self::Open { seen } => next.is_none() || seen != Some(at),
        }
    }
}

impl Batch {
    /// Nothing is left that could be read now.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.damaged.is_empty() && self.torn.is_empty()
    }

    /// There may be more behind it.
    pub(super) fn is_full(&self, most: Most) -> bool {
        self.entries.len() >= most.records || self.bytes >= most.bytes
    }
}

impl Leftover {
    /// Every producer's directory in `root`, oldest first.
    pub(super) fn all(root: &Directory) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for name in root.names()? {
            let Ok(producer) = Uuid::try_parse(&name) else {
                continue;
            };
            let directory = root.known(&name);
            all.push(Self {
                name,
                producer,
                place: Position::read(&directory)?,
                directory,
            });
        }
        Ok(all)
    }

    /// The same directory as it is when `batch` is delivered.
    pub(super) fn behind(&self, batch: &Batch) -> Self {
        Self {
            place: batch.next,
            ..self.clone()
        }
    }

    /// The next records.
    pub(super) fn next(&self, most: Most) -> Result<Batch> {
        let mut batch = Batch {
            next: self.place,
            ..Batch::default()
        };
        let alive = !self.is_dead();
        // Listed after the look at the lock: of a dead process nothing is missed.
        let numbers = segments(&self.directory)?;
        for segment in numbers
            .iter()
            .copied()
            .filter(|number| *number >= self.place.segment)
        {
            let Some(bytes) = self.bytes(segment)? else {
                continue;
            };
            // Behind a segment with a successor nothing comes.
            let open = alive && numbers.last() == Some(&segment);
            let mut at = frame::BEGINNING.len();
            if segment == batch.next.segment {
                at = at.max(batch.next.offset);
            }
            batch.next.segment = segment;
            batch.next.offset = at;
            let end = match open {
                true => End::Open { seen: None },
                false => End::Closed,
            };
            let seen = self.take(&bytes, at, end, most, &mut batch);
            // What is written later was seen behind it: read again, it is either whole or no record.
            if let (Some(at), Some(bytes)) = (seen, self.bytes(segment)?) {
                batch.unsettled = false;
                self.take(&bytes, at, End::Open { seen }, most, &mut batch);
            }
            if batch.is_full(most) {
                break;
            }
        }
        Ok(batch)
    }

    /// Takes what is whole, and what is no record for good. The place of bytes in an open segment that are no record while one follows.
    fn take(
        &self,
        bytes: &[u8],
        mut at: usize,
        segment_end: End,
        most: Most,
        batch: &mut Batch,
    ) -> Option<usize> {
        while !batch.is_full(most) {
            let end = match frame::read(bytes, at) {
                frame::Found::Frame { number, payload, end } => {
                    // A lower number was given again after a sync that failed.
                    batch.missing += number.saturating_sub(batch.next.number);
                    batch.next.number = batch.next.number.max(number + 1);
                    match serde_json::from_slice(payload) {
                        Ok(record) => {
                            let origin = AuditOrigin::new(self.producer, number);
                            batch.entries.push(AuditEntry::new(record, Some(origin)));
                        }
                        Err(_) => batch
                            .damaged
                            .push((self.place_name(batch.next.segment, at), payload.to_vec())),
                    }
                    end
                }
                frame::Found::End => break,
                // The process is just writing.
                frame::Found::Damage { next } if segment_end.may_change(at, next) => {
                    batch.unsettled = true;
                    return next.and(Some(at));
                }
                // Cut off by a crash before anybody was told that it is kept, if the disk is sound.
                frame::Found::Damage { next: None } => {
                    let end = bytes
                        .iter()
                        .rposition(|byte| *byte != 0)
                        .map_or(at, |last| last + 1);
                    let rest = bytes.get(at..end).unwrap_or_default();
                    batch
                        .torn
                        .push((self.place_name(batch.next.segment, at), rest.to_vec()));
                    bytes.len()
                }
                frame::Found::Damage { next: Some(next) } => {
                    let bytes = bytes.get(at..next).unwrap_or_default();
                    batch
                        .damaged
                        .push((self.place_name(batch.next.segment, at), bytes.to_vec()));
                    next
                }
            };
            batch.bytes += end - at;
            at = end;
            batch.next.offset = end;
        }
        None
    }

    /// Counts what the next calls of [`next`](Self::next) would give, without reading more of a record than its frame.
    pub(super) fn waiting(&self) -> Result<Waiting> {
        let mut waiting = Waiting::default();
        for segment in segments(&self.directory)? {
            if segment < self.place.segment {
                continue;
            }
            let Some(bytes) = self.bytes(segment)? else {
                continue;
            };
            let mut at = frame::BEGINNING.len();
            if segment == self.place.segment {
                at = at.max(self.place.offset);
            }
            loop {
                at = match frame::read(&bytes, at) {
                    frame::Found::Frame { payload, end, .. } => {
                        if waiting.records == 0 {
                            let first: Option<AuditRecord> = serde_json::from_slice(payload).ok();
                            waiting.oldest = first.map(|record| record.at);
                        }
                        waiting.records += 1;
                        end
                    }
                    frame::Found::Damage { next: Some(next) } => next,
                    frame::Found::Damage { next: None } | frame::Found::End => break,
                };
            }
        }
        Ok(waiting)
    }

    fn place_name(&self, segment: u64, at: usize) -> String {
        format!("{}-{segment}-{at}", self.name)
    }

    /// Remembers that `batch` is delivered, then removes what is not needed any more: without the place, what is removed would count as missing.
    pub(super) fn delivered(&mut self, batch: &Batch) -> Result<()> {
        let (from, to) = (self.place.name(), batch.next.name());
        let (from, to) = (self.directory.file(&from), self.directory.file(&to));
        if from != to {
            match fs::rename(&from, &to) {
                // The version before made none.
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                    make(&self.directory, &batch.next.name())?;
                }
                renamed => renamed.map_err(|source| refused(APPEND, &to, source))?,
            }
            fail_point!("audit.place.named");
            self.directory.sync()?;
        }
        self.place = batch.next;
        fail_point!("audit.place.synced");
        self.remove_delivered()
    }

    /// Removes the segments before the place.
    fn remove_delivered(&self) -> Result<()> {
        self.remove_segments(self.place.segment)
    }

    fn remove_segments(&self, before: u64) -> Result<()> {
        for number in segments(&self.directory)? {
            if number < before {
                self.directory.remove(&segment_name(number))?;
                fail_point!("audit.segment.removed");
            }
        }
        Ok(())
    }

    /// Removes the directory of a process that is gone, once all of it is delivered; of one that lives, what is delivered: whoever wrote the place may have
    /// ended before that.
    pub(super) fn clear(&self) -> Result<()> {
        self.remove_unseen()?;
        let done = self.is_dead() && self.next(Most::records(1))?.is_empty();
        if !done {
            return self.remove_delivered();
        }
        // The place goes last: without it, a segment that is still there would be one whose beginning is missing.
        self.remove_segments(u64::MAX)?;
        self.directory.sync()?;
        self.directory.remove_all()
    }

    /// Removes the file that a process made ahead and did not live to use.
    fn remove_unseen(&self) -> Result<()> {
        match self.is_dead() {
            true => remove_hidden(&self.directory),
            false => Ok(()),
        }
    }

    /// How many bytes its segments take.
    pub(super) fn bytes_held(&self) -> Result<u64> {
        segment_bytes(&self.directory)
    }

    fn is_dead(&self) -> bool {
        Lock::is_free(&self.directory.file(LOCK))
    }

    /// The bytes of a segment; `None` if another reader removed it meanwhile.
    fn bytes(&self, number: u64) -> Result<Option<Vec<u8>>> {
        let name = segment_name(number);
        let Some(bytes) = self.directory.read(&name)? else {
            return Ok(None);
        };
        let beginning = bytes.get(..frame::BEGINNING.len()).unwrap_or(&bytes);
        // A crash while the file was made leaves a shorter one, or zeros: nothing was written to it yet.
        let begun = frame::BEGINNING.starts_with(beginning) || beginning.iter().all(|byte| *byte == 0);
        if !begun {
            return Err(Error::new(ErrorKind::Unexpected, "read audit spool")
                .context("file", self.directory.file(&name).display().to_string())
                .context(
                    "cause",
                    "is no segment that this version reads: use the version that wrote it, or a newer one",
                ));
        }
        Ok(Some(bytes))
    }
}

/// Makes an empty file.
fn make(directory: &Directory, name: &str) -> Result<()> {
    let path = directory.file(name);
    let made = private().write(true).create(true).truncate(false).open(&path);
    made.map(drop).map_err(|source| refused(APPEND, &path, source))
}

/// Two batches are in memory.
const MOST_BYTES: usize = 32 << 20;
/// A record with two salts has about so many bytes.
const USUAL: usize = 640;
const LOCK: &str = "lock";
/// How the name of a place ends.
const PLACE: &str = ".delivered";
/// The file in which the version before wrote it.
const PLACE_BEFORE: &str = "delivered";
/// A process that keeps a record or two takes little room.
const FIRST_ROOM: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_waits_for_takes_half_of_the_quota_at_most() {
        let home = tempfile::tempdir().unwrap();
        let root = Directory::open(home.path()).unwrap();
        let quota = 1000 + frame::BEGINNING.len() as u64;
        let room = |least, ahead| {
            let asked = Room {
                wanted: least,
                least,
                ahead,
            };
            room_within(quota, &root, asked).ok()
        };
        assert_eq!((room(1000, false), room(1001, false)), (Some(1000), None));
        let half = 500 - frame::BEGINNING.len() / 2;
        assert_eq!((room(half, true), room(half + 1, true)), (Some(half), None));
    }
}
