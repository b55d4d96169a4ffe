use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Log, damaged, identity, no_room, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest, TenantId, Timestamp};
use crate::ports::{AuditEntry, AuditOrigin};

/// Records that wait beside the segments, in `spool.jsonl`: those whose tenant's chain takes nothing for now, so that they hold up no other, and those of
/// the version that had this one file only.
///
/// Only who has the turn writes to it, and processes of the version before, which lock the file only: what is written is decided under that lock. It is read
/// again only when it is another file than before.
#[derive(Debug)]
pub(super) struct Apart {
    log: Log,
    read: Mutex<Read>,
}

/// What the file holds.
#[derive(Debug, Default)]
struct Read {
    stamp: Option<Stamp>,
    /// In their order.
    waiting: BTreeMap<u64, (Digest, AuditEntry)>,
    /// The places of all that is in the file, waiting or gone.
    known: HashMap<Digest, u64>,
    /// How many of each wait.
    tenants: HashMap<TenantId, u64>,
}

/// Which file it is, its length and the time of the last change.
type Stamp = (u64, u64, SystemTime);

/// One line of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Line {
    Record {
        record: Box<AuditRecord>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<AuditOrigin>,
    },
    /// Names the content, not the id: two records may share an id, and then the store must see both.
    Gone { content: Digest },
}

impl Apart {
    pub(super) fn new(directory: &Directory) -> Self {
        Self {
            log: Log::new(directory.file(FILE), "ops-spool/1"),
            read: Mutex::default(),
        }
    }

    /// All that wait, in their order.
    pub(super) fn pending(&self) -> Result<Vec<AuditEntry>> {
        let read = self.current()?;
        Ok(read.waiting.values().map(|(_, entry)| entry.clone()).collect())
    }

    /// How many wait, and when the oldest was made.
    pub(super) fn waiting(&self) -> Result<(u64, Option<Timestamp>)> {
        let read = self.current()?;
        let oldest = read.waiting.values().map(|(_, entry)| entry.record.at).min();
        Ok((read.waiting.len() as u64, oldest))
    }

    /// The tenants of which something waits.
    pub(super) fn tenants(&self) -> Result<HashSet<TenantId>> {
        Ok(self.current()?.tenants.keys().cloned().collect())
    }

    /// At most `most` behind a place, each with its own, without those of some tenants.
    pub(super) fn behind(
        &self,
        place: u64,
        most: usize,
        without: &HashSet<TenantId>,
    ) -> Result<Vec<((u64, Digest), AuditEntry)>> {
        let read = self.current()?;
        let behind = read.waiting.range(place + 1..);
        let wanted = behind.filter(|(_, (_, entry))| !without.contains(&entry.record.tenant));
        Ok(wanted
            .take(most)
            .map(|(place, (content, entry))| ((*place, *content), entry.clone()))
            .collect())
    }

    /// Returns when they survive a power cut.
    pub(super) fn keep(&self, entries: impl Iterator<Item = AuditEntry>) -> Result<()> {
        self.append(entries.map(Line::of))
    }

    pub(super) fn remove(&self, contents: Vec<Digest>) -> Result<()> {
        self.append(contents.into_iter().map(|content| Line::Gone { content }))
    }

    /// Makes the file smaller when more of it is gone than waits.
    pub(super) fn shrink(&self) -> Result<()> {
        if !self.current()?.is_mostly_gone() {
            return Ok(());
        }
        let locked = self.log.lock()?;
        let mut read = self.current()?;
        if !read.is_mostly_gone() {
            return Ok(());
        }
        let shrunk = match read.waiting.is_empty() {
            true => locked.clear(),
            false => {
                let entries = read.waiting.values().map(|(_, entry)| entry.clone());
                locked.replace(&texts(entries.map(Line::of))?)
            }
        };
        *read = Read::default();
        match shrunk {
            // Later, when there is room.
            Err(full) if no_room(&full) => Ok(()),
            shrunk => shrunk,
        }
    }

    fn append(&self, lines: impl Iterator<Item = Line>) -> Result<()> {
        let mut texts = texts(lines)?;
        if texts.is_empty() {
            return Ok(());
        }
        let locked = self.log.lock()?;
        let mut read = self.current()?;
        // Those of a batch that comes again, because its place could not be written, are there.
        texts.retain(|text| !read.known.contains_key(&Digest::of(text.as_bytes())));
        if texts.is_empty() {
            return Ok(());
        }
        locked.append(&texts)?;
        for text in &texts {
            read.take(text).map_err(unwritable)?;
        }
        read.stamp = stamp(self.log.path())?;
        Ok(())
    }

    fn current(&self) -> Result<MutexGuard<'_, Read>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before it is read: what comes meanwhile makes it another file.
        let stamp = stamp(self.log.path())?;
        if read.stamp != stamp {
            let mut fresh = Read {
                stamp,
                ..Read::default()
            };
            for (number, text) in self.log.read()? {
                fresh
                    .take(&text)
                    .map_err(|_| damaged("read audit spool", self.log.path(), number, "is no spool entry"))?;
            }
            *read = fresh;
        }
        Ok(read)
    }
}

impl Read {
    /// More of it is gone than waits.
    fn is_mostly_gone(&self) -> bool {
        self.known.len() > 2 * self.waiting.len()
    }

    fn take(&mut self, text: &str) -> serde_json::Result<()> {
        match serde_json::from_str(text)? {
            Line::Record { record, origin } => {
                let content = Digest::of(text.as_bytes());
                let place = self.known.len() as u64 + 1;
                if let Entry::Vacant(new) = self.known.entry(content) {
                    new.insert(place);
                    *self.tenants.entry(record.tenant.clone()).or_default() += 1;
                    let entry = AuditEntry::new(*record, origin);
                    self.waiting.insert(place, (content, entry));
                }
            }
            Line::Gone { content } => {
                let place = self.known.get(&content);
                if let Some((_, gone)) = place.and_then(|place| self.waiting.remove(place))
                    && let Some(left) = self.tenants.get_mut(&gone.record.tenant)
                {
                    *left -= 1;
                    if *left == 0 {
                        self.tenants.remove(&gone.record.tenant);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Line {
    fn of(entry: AuditEntry) -> Self {
        Self::Record {
            record: Box::new(entry.record),
            origin: entry.origin,
        }
    }
}

/// How many bytes the file takes.
pub(super) fn bytes(directory: &Directory) -> u64 {
    fs::metadata(directory.file(FILE)).map_or(0, |found| found.len())
}

fn texts(lines: impl Iterator<Item = Line>) -> Result<Vec<String>> {
    lines
        .map(|line| serde_json::to_string(&line))
        .collect::<Result<_, _>>()
        .map_err(unwritable)
}

fn unwritable(source: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "write audit spool").source(source)
}

/// `None`: there is no file.
fn stamp(path: &Path) -> Result<Option<Stamp>> {
    match fs::metadata(path).and_then(|found| Ok((identity(&found), found.len(), found.modified()?))) {
        Ok(stamp) => Ok(Some(stamp)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused("read audit spool", path, source)),
    }
}

const FILE: &str = "spool.jsonl";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actor;

    fn entry(tenant: &str, n: i64) -> AuditEntry {
        let (tenant, actor) = (TenantId::new(tenant).unwrap(), Actor::person("kazu").unwrap());
        let at = Timestamp::from_unix_micros(n);
        AuditRecord::new(at, tenant, actor, "report.view", "report", n.to_string()).into()
    }

    fn names(apart: &Apart) -> Vec<String> {
        let pending = apart.pending().unwrap().into_iter();
        pending.map(|entry| entry.record.resource_id).collect()
    }

    fn contents(apart: &Apart, without: &str) -> Vec<Digest> {
        let without = HashSet::from([TenantId::new(without).unwrap()]);
        let behind = apart.behind(0, usize::MAX, &without).unwrap();
        behind.into_iter().map(|((_, content), _)| content).collect()
    }

    #[test]
    fn what_is_gone_leaves_the_file_while_others_wait_and_another_process_sees_the_same() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let (ours, theirs) = (Apart::new(&directory), Apart::new(&directory));
        let wanted = ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90"];
        ours.keep((0..100).map(|n| entry(if n % 10 == 0 { "org_b" } else { "org_a" }, n)))
            .unwrap();
        let full = bytes(&directory);
        assert_eq!(
            theirs.waiting().unwrap(),
            (100, Some(Timestamp::from_unix_micros(0)))
        );
        theirs.remove(contents(&theirs, "org_b")).unwrap();
        assert_eq!(
            (names(&ours), names(&theirs)),
            (wanted.map(str::to_owned).to_vec(), names(&ours))
        );
        theirs.shrink().unwrap();
        assert!(bytes(&directory) < full / 5, "{} of {full}", bytes(&directory));
        assert_eq!(names(&ours), wanted);
        assert_eq!(ours.tenants().unwrap().len(), 1);
        // It goes on in the new file.
        ours.keep([entry("org_a", 100)].into_iter()).unwrap();
        ours.remove(contents(&ours, "org_a")).unwrap();
        assert_eq!(names(&theirs), ["100"]);
        theirs.remove(contents(&theirs, "org_b")).unwrap();
        theirs.shrink().unwrap();
        assert_eq!(ours.waiting().unwrap(), (0, None));
        assert!(bytes(&directory) < 100 && ours.tenants().unwrap().is_empty());
    }

    #[test]
    fn what_is_kept_again_takes_no_more_room() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let apart = Apart::new(&directory);
        let kept = [entry("org_a", 1), entry("org_a", 2)];
        apart.keep(kept.iter().cloned()).unwrap();
        let once = bytes(&directory);
        apart.keep(kept.into_iter()).unwrap();
        assert_eq!((bytes(&directory), names(&apart).len()), (once, 2));
    }

    #[test]
    fn another_file_of_the_same_length_and_time_is_read() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let (ours, theirs) = (Apart::new(&directory), Apart::new(&directory));
        ours.keep([entry("org_a", 1)].into_iter()).unwrap();
        assert_eq!(names(&theirs), ["1"]);
        let (file, other) = (directory.file(FILE), directory.file("other"));
        let changed = fs::metadata(&file).unwrap().modified().unwrap();
        fs::rename(&file, directory.file("before")).unwrap();
        ours.keep([entry("org_a", 2)].into_iter()).unwrap();
        fs::rename(&file, &other).unwrap();
        let handle = fs::File::options().write(true).open(&other).unwrap();
        handle.set_modified(changed).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(names(&theirs), ["2"]);
    }

    #[test]
    fn a_file_that_did_not_change_is_not_read_again() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let apart = Apart::new(&directory);
        apart.keep([entry("org_a", 1)].into_iter()).unwrap();
        // The same length and time: whoever read it would say that it is damaged.
        let file = directory.file(FILE);
        let changed = fs::metadata(&file).unwrap().modified().unwrap();
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(changed)
            .unwrap();
        assert_eq!(names(&apart), ["1"]);
        fs::write(&file, "x\n").unwrap();
        assert_eq!(apart.pending().unwrap_err().kind(), ErrorKind::Unexpected);
    }
}
