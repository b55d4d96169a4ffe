use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::{private, sync};
use super::line::{Line, encode, is_torn, split};
use super::lock::Lock;
use super::whole::write_plain;
use super::{damaged, other_format, refused};
use crate::error::Result;
use crate::failpoint::fail_point;

/// A file to which whole lines are added. Its first line names the format.
///
/// The torn end of an append that a crash cut short is no line: readers stop before it, and the next append moves it to a
/// file beside (`.torn`) before it writes. Any other line that does not fit its checksum is damage and is reported, never skipped.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    format: &'static str,
}

/// Up to where a log has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    bytes: u64,
    lines: u64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
}

impl Log {
    /// The log at `path`; nothing is opened yet.
    pub(crate) fn new(path: PathBuf, format: &'static str) -> Self {
        Self { path, format }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All lines after the first; none if there is no such file.
    pub(crate) fn read(&self) -> Result<Vec<(u64, String)>> {
        self.whole(self.read_after(Place::default())?.0)
    }

    /// The lines after `place`, faulty ones too, and the place after them.
    pub(crate) fn read_after(&self, place: Place) -> Result<(Vec<Line>, Place)> {
        match File::open(&self.path) {
            Ok(file) => self.read_file(&file, place),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), place)),
            Err(source) => Err(self.refused("read file", source)),
        }
    }

    /// Keeps every other writer out, of this process and of others, and makes the end of the file whole.
    pub(crate) fn lock(&self) -> Result<LockedLog<'_>> {
        let open = |create: bool| private().read(true).append(true).create(create).open(&self.path);
        let (file, made) = match open(false) {
            Ok(file) => (file, false),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => (
                open(true).map_err(|source| self.refused("open file", source))?,
                true,
            ),
            Err(source) => return Err(self.refused("open file", source)),
        };
        let lock = Lock::of(file, &self.path)?;
        let locked = LockedLog { log: self, lock };
        locked.make_whole(made)?;
        Ok(locked)
    }

    /// The texts of lines that must all be whole.
    pub(crate) fn whole(&self, lines: Vec<Line>) -> Result<Vec<(u64, String)>> {
        lines
            .into_iter()
            .map(|line| match line.text {
                Ok(text) => Ok((line.number, text)),
                Err(what) => Err(damaged("read file", &self.path, line.number, what)),
            })
            .collect()
    }

    fn read_file(&self, mut file: &File, place: Place) -> Result<(Vec<Line>, Place)> {
        let mut bytes = Vec::new();
        let mut read = |bytes: &mut Vec<u8>| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(place.bytes))?;
            file.read_to_end(bytes)?;
            Ok(length)
        };
        let length = read(&mut bytes).map_err(|source| self.refused("read file", source))?;
        if length < place.bytes {
            return Err(damaged(
                "read file",
                &self.path,
                place.lines,
                "the file is shorter than before",
            ));
        }
        let (mut lines, taken) = split(&bytes, place.lines + 1);
        let after = Place {
            bytes: place.bytes + taken as u64,
            lines: place.lines + lines.len() as u64,
        };
        if place.lines == 0 && !lines.is_empty() {
            self.check_header(&lines.remove(0))?;
        }
        Ok((lines, after))
    }

    fn check_header(&self, line: &Line) -> Result<()> {
        let header = match &line.text {
            Ok(text) => serde_json::from_str::<Header>(text).map_err(|_| "names no format".to_owned()),
            Err(what) => Err((*what).to_owned()),
        };
        match header {
            Ok(header) if header.format == self.format => Ok(()),
            Ok(header) => Err(other_format(&header.format, self.format)),
            Err(what) => Err(what),
        }
        .map_err(|what| damaged("read file", &self.path, line.number, what))
    }

    fn header(&self) -> io::Result<String> {
        let header = Header {
            format: self.format.to_owned(),
        };
        Ok(encode(&serde_json::to_string(&header)?))
    }

    fn refused(&self, operation: &'static str, source: io::Error) -> crate::error::Error {
        refused(operation, &self.path, source)
    }
}

/// A log that nobody else writes to until this value is dropped.
#[derive(Debug)]
pub(crate) struct LockedLog<'a> {
    log: &'a Log,
    lock: Lock,
}

impl LockedLog<'_> {
    fn file(&self) -> &File {
        self.lock.file()
    }

    /// As [`Log::read_after`].
    pub(crate) fn read_after(&self, place: Place) -> Result<(Vec<Line>, Place)> {
        self.log.read_file(self.file(), place)
    }

    /// Adds lines. On `Ok` they survive a crash of the machine; on `Err` none of them is left, as far as the disk obeys.
    pub(crate) fn append(&self, texts: &[String]) -> Result<()> {
        let lines: String = texts.iter().map(|text| encode(text)).collect();
        self.write(lines.as_bytes())
            .map_err(|source| self.log.refused("append to file", source))
    }

    /// Removes all lines but the first.
    pub(crate) fn clear(&self) -> Result<()> {
        let clear = || {
            self.file().set_len(0)?;
            self.write(self.log.header()?.as_bytes())
        };
        clear().map_err(|source| self.log.refused("clear file", source))
    }

    /// Puts lines in place of all but the first, at once: a reader sees either. The caller keeps out those who wait for the lock: it would be that of the file
    /// of before.
    pub(crate) fn replace(self, texts: &[String]) -> Result<()> {
        let header = self.log.header();
        let header = header.map_err(|source| self.log.refused("replace file", source))?;
        let lines: String = texts.iter().map(|text| encode(text)).collect();
        write_plain(&self.log.path, header + &lines)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let before = self.file().metadata()?.len();
        fail_point!(
            "file.append.torn",
            self.file().write_all(&bytes[..bytes.len() / 2])
        );
        let written = self.file().write_all(bytes);
        fail_point!("file.append.written");
        let written = written.and_then(|()| self.file().sync_data());
        fail_point!("file.append.synced");
        if written.is_err() {
            // A failed sync may have lost the bytes although they can still be read: nothing may be appended after them.
            let _ = self.file().set_len(before);
        }
        written
    }

    fn make_whole(&self, made: bool) -> Result<()> {
        let make = || {
            let length = self.file().metadata()?.len();
            let end = self.end_of_whole_lines(length)?;
            if end < length {
                self.set_aside(end)?;
            }
            if end == 0 {
                fail_point!("file.log.made");
                self.write(self.log.header()?.as_bytes())?;
            }
            // Whoever made the file may have ended before its name was safe.
            if made || end == 0 {
                sync_parent(&self.log.path)?;
                fail_point!("file.log.named");
            }
            Ok(())
        };
        make().map_err(|source| self.log.refused("open file", source))
    }

    /// Where the last line that is not torn ends.
    fn end_of_whole_lines(&self, length: u64) -> io::Result<u64> {
        let mut tail: Vec<u8> = Vec::new();
        let mut from = length;
        while from > 0 {
            let step = from.min(BLOCK);
            from -= step;
            let mut block = vec![0; usize::try_from(step).unwrap_or_default()];
            let mut file = self.file();
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut block)?;
            block.append(&mut tail);
            tail = block;
            let body = tail.strip_suffix(b"\n").unwrap_or(&tail);
            if let Some(feed) = body.iter().rposition(|byte| *byte == b'\n') {
                let start = from + feed as u64 + 1;
                return Ok(if is_torn(&tail[feed + 1..]) { start } else { length });
            }
        }
        Ok(if is_torn(&tail) { 0 } else { length })
    }

    /// Moves what follows `end` to the file beside.
    fn set_aside(&self, end: u64) -> io::Result<()> {
        let mut torn = Vec::new();
        let mut file = self.file();
        file.seek(SeekFrom::Start(end))?;
        file.read_to_end(&mut torn)?;
        torn.push(b'\n');

        let mut name = self.log.path.clone().into_os_string();
        name.push(".torn");
        let beside = PathBuf::from(name);
        let mut keep = private().append(true).create(true).open(&beside)?;
        keep.write_all(&torn)?;
        keep.sync_all()?;
        sync_parent(&beside)?;
        fail_point!("file.torn.kept");

        self.file().set_len(end)?;
        fail_point!("file.torn.cut");
        self.file().sync_all()
    }
}

/// How much is read at a time when looking for the last line.
const BLOCK: u64 = 8 * 1024;

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    fn log(directory: &tempfile::TempDir) -> Log {
        Log::new(directory.path().join("a.jsonl"), "test/1")
    }

    fn append(log: &Log, texts: &[&str]) {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        log.lock().unwrap().append(&texts).unwrap();
    }

    fn texts(log: &Log) -> Vec<String> {
        log.read().unwrap().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_crash_at_any_byte_keeps_what_was_whole_and_sets_the_rest_aside() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        let long = format!("\"{}\"", "長".repeat(5_000));
        append(&log, &["1", "2", &long]);
        let whole = fs::read(log.path()).unwrap();
        let steps = (0..whole.len())
            .step_by(997)
            .chain(0..80)
            .chain(whole.len() - 5..whole.len());
        for cut in steps {
            fs::write(log.path(), &whole[..cut]).unwrap();
            let torn = log.path().with_extension("jsonl.torn");
            let _ = fs::remove_file(&torn);
            let before = texts(&log);
            append(&log, &["\"next\""]);

            let mut expected = before;
            expected.push("\"next\"".to_owned());
            assert_eq!(texts(&log), expected, "cut at {cut}");
            let now = fs::read(log.path()).unwrap();
            let kept = fs::read(&torn).unwrap_or_default();
            let kept = kept.strip_suffix(b"\n").unwrap_or(&kept);
            let cut_at = cut - kept.len();
            assert_eq!(kept, &whole[cut_at..cut], "cut at {cut}");
            assert_eq!(now[..cut_at], whole[..cut_at], "cut at {cut}");
        }
    }

    #[test]
    fn damage_in_the_middle_and_a_foreign_file_are_errors_that_name_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        append(&log, &["1", "2"]);
        let damaged = fs::read_to_string(log.path()).unwrap().replace(" 1\n", " 7\n");
        fs::write(log.path(), &damaged).unwrap();
        let error = log.read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(error.to_string().contains("a.jsonl, line: 2"), "{error}");

        for foreign in ["hello\n", "\n", &encode("{\"format\":\"test/2\"}"), &encode("[]")] {
            fs::write(log.path(), foreign).unwrap();
            let error = log.read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unexpected, "{foreign}");
            assert!(error.to_string().contains("line: 1"), "{error}");
            assert_eq!(
                fs::read_to_string(log.path()).unwrap(),
                foreign,
                "nothing is deleted"
            );
        }
    }

    #[test]
    fn reading_goes_on_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        assert!(texts(&log).is_empty());
        append(&log, &["1"]);
        let (lines, place) = log.read_after(Place::default()).unwrap();
        assert_eq!(lines.len(), 1);
        append(&log, &["2", "3"]);
        let (lines, place) = log.read_after(place).unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 4]);
        log.lock().unwrap().clear().unwrap();
        assert!(texts(&log).is_empty());
        assert_eq!(log.read_after(place).unwrap_err().kind(), ErrorKind::Unexpected);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        append(&log, &["1"]);
        assert_eq!(
            fs::metadata(log.path()).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
