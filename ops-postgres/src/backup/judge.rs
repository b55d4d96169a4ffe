use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ops_core::model::{BackupCopy, CopyKind, Timestamp};

use super::base;
use super::toc::{Form, MAGIC, Toc, Unread};

/// What `path` is, and whether all of it is there; `None`: no copy.
pub(super) fn judge(path: &Path) -> io::Result<Option<BackupCopy>> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if name.starts_with('.') {
        return Ok(None);
    }
    let found = fs::metadata(path)?;
    match found.is_dir() {
        true => folder(path, name),
        false => file(path, name, &found),
    }
}

/// The earlier of the times at which it was made and changed last: a dump holds what was there when it began. A file that was carried elsewhere
/// has only the second.
pub(super) fn began(found: &Metadata) -> io::Result<Timestamp> {
    let modified = found.modified()?;
    let began = found.created().map_or(modified, |made| made.min(modified));
    let micros = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    Ok(Timestamp::from_unix_micros(
        i64::try_from(micros).unwrap_or(i64::MAX),
    ))
}

fn file(path: &Path, name: String, found: &Metadata) -> io::Result<Option<BackupCopy>> {
    let is_called_one = path
        .extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    let copy = |kind| Ok::<_, io::Error>(BackupCopy::new(&name, kind, began(found)?, found.len()));
    if found.len() == 0 {
        let empty = copy(CopyKind::PlainDump)?.with_fault(Some(false), "it is empty");
        return Ok(Some(empty).filter(|_| is_called_one));
    }
    let mut head = Vec::new();
    let mut opened = File::open(path)?;
    opened.by_ref().take(HEAD).read_to_end(&mut head)?;
    if head.starts_with(MAGIC) {
        opened.seek(SeekFrom::Start(0))?;
        return custom(opened, copy(CopyKind::CustomDump)?).map(Some);
    }
    let text = String::from_utf8_lossy(&head);
    let begins = text
        .lines()
        .find_map(|line| DUMP.iter().find(|dump| line == dump.0));
    if let Some((_, end, kind)) = begins {
        // One of a whole cluster goes from database to database: it is of none of them.
        let database = connected(&text).filter(|_| *kind == CopyKind::PlainDump);
        let copy = copy(*kind)?.of_database(database);
        return Ok(Some(match ends_whole(&mut opened, found.len(), end)? {
            true => copy,
            false => copy.with_fault(Some(false), "its last line is missing: it was cut off"),
        }));
    }
    if head.get(TAR).is_some_and(|magic| magic == b"ustar") && head.starts_with(b"toc.dat\0") {
        return Ok(Some(
            copy(CopyKind::TarDump)?.with_fault(None, "it is a tar, which is not judged"),
        ));
    }
    let pressed = PRESSED.iter().any(|magic| head.starts_with(magic));
    let copy = copy(CopyKind::PlainDump)?;
    let is_called_pressed = path.extension().is_some_and(|ending| {
        PRESSED_ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    });
    Ok(match (pressed, is_called_one || name.contains(".sql.")) {
        (true, called) if called || is_called_pressed => {
            Some(copy.with_fault(None, "another program has compressed it"))
        }
        (false, true) => Some(copy.with_fault(Some(false), "it is no output of pg_dump")),
        _ => None,
    })
}

fn custom(opened: File, copy: BackupCopy) -> io::Result<BackupCopy> {
    let mut reader = BufReader::with_capacity(64 * 1024, opened);
    let toc = match Toc::read(&mut reader, Form::Custom) {
        Ok(toc) => toc,
        Err(unread) => return faulty(copy, unread),
    };
    let copy = begun(copy, toc.began).of_database(toc.database.clone());
    match toc.follow(&mut reader) {
        Ok(()) if toc.is_schema_only() => Ok(copy.with_fault(Some(false), SCHEMA_ONLY)),
        Ok(()) => Ok(copy),
        Err(unread) => faulty(copy, unread),
    }
}

fn faulty(copy: BackupCopy, unread: Unread) -> io::Result<BackupCopy> {
    Ok(match unread {
        Unread::CutOff => copy.with_fault(Some(false), "it ends in the middle: it was cut off"),
        Unread::Odd(what) => copy.with_fault(Some(false), what),
        Unread::Version(major, minor) => copy.with_fault(
            None,
            format!("archives of version {major}.{minor} are not known here"),
        ),
        Unread::Io(cause) => return Err(cause),
    })
}

fn folder(path: &Path, name: String) -> io::Result<Option<BackupCopy>> {
    let has = |file: &str| path.join(file).exists();
    let tar = ["base.tar", "base.tar.gz", "base.tar.lz4", "base.tar.zst"]
        .into_iter()
        .find(|file| has(file));
    if has("backup_manifest") || has("backup_label") || tar.is_some() {
        return base::judge(path, name, tar).map(Some);
    }
    if has("toc.dat") {
        return directory_dump(path, name).map(Some);
    }
    let mut files = fs::read_dir(path)?.filter_map(Result::ok);
    let begun = files.any(|file| file.file_name().to_string_lossy().contains(".dat"));
    if !begun {
        return Ok(None);
    }
    let copy = BackupCopy::new(
        name,
        CopyKind::DirectoryDump,
        began(&fs::metadata(path)?)?,
        size(path)?,
    );
    Ok(Some(copy.with_fault(
        Some(false),
        "it has no toc.dat, which is written last: it was cut off",
    )))
}

fn directory_dump(path: &Path, name: String) -> io::Result<BackupCopy> {
    let table = path.join("toc.dat");
    // The folder itself changes when a file is added to it, its files do not.
    let mut at = began(&fs::metadata(&table)?)?;
    for file in fs::read_dir(path)? {
        at = at.min(began(&file?.metadata()?)?);
    }
    let copy = BackupCopy::new(name, CopyKind::DirectoryDump, at, size(path)?);
    let toc = match Toc::read(&mut BufReader::new(File::open(table)?), Form::Directory) {
        Ok(toc) => toc,
        Err(unread) => return faulty(copy, unread),
    };
    let copy = begun(copy, toc.began).of_database(toc.database.clone());
    if let Some(fault) = directory_fault(path, &toc)? {
        return Ok(copy.with_fault(Some(false), fault));
    }
    Ok(match toc.is_schema_only() {
        true => copy.with_fault(Some(false), SCHEMA_ONLY),
        false => copy,
    })
}

/// What is missing of the files, as far as their ends tell: one of a compression may have been cut off.
fn directory_fault(path: &Path, toc: &Toc) -> io::Result<Option<String>> {
    for entry in &toc.entries {
        let Some(file) = &entry.file else { continue };
        let Some((found, pressed)) = there(path, file) else {
            return Ok(Some(format!("the file {file} is missing")));
        };
        let length = fs::metadata(&found)?.len();
        if length == 0 {
            return Ok(Some(format!("the file {file} is empty: it was cut off")));
        }
        if !pressed && entry.copies && !ends_rows(&found, length)? {
            return Ok(Some(format!(
                "the file {file} ends in the middle: it was cut off"
            )));
        }
        if !file.starts_with("blobs") || pressed {
            continue;
        }
        // Its lines are a number and a file.
        for line in fs::read_to_string(&found)?.lines() {
            let blob = line.split_whitespace().nth(1);
            if blob.is_none_or(|blob| there(path, blob).is_none()) {
                let blob = blob.unwrap_or("of a large object");
                return Ok(Some(format!("the file {blob} is missing")));
            }
        }
    }
    Ok(None)
}

/// Where it is, and whether it is compressed.
fn there(path: &Path, file: &str) -> Option<(PathBuf, bool)> {
    ["", ".gz", ".lz4", ".zst"].iter().find_map(|ending| {
        let found = path.join(format!("{file}{ending}"));
        found.exists().then_some((found, !ending.is_empty()))
    })
}

/// Whether the line that ends the rows is the last that says anything.
fn ends_rows(file: &Path, length: u64) -> io::Result<bool> {
    let mut opened = File::open(file)?;
    opened.seek(SeekFrom::Start(length.saturating_sub(16)))?;
    let mut tail = Vec::new();
    opened.read_to_end(&mut tail)?;
    let tail = tail.trim_ascii_end();
    Ok(tail == b"\\." || tail.ends_with(b"\n\\."))
}

/// It began by what it says itself at the latest: the time of a file changes when it is carried elsewhere.
pub(super) fn begun(mut copy: BackupCopy, latest: Option<Timestamp>) -> BackupCopy {
    copy.at = latest.map_or(copy.at, |latest| latest.min(copy.at));
    copy
}

/// All files below.
pub(super) fn size(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += match found.is_dir() {
            true => size(&entry.path())?,
            false => found.len(),
        };
    }
    Ok(bytes)
}

/// `\connect shop`, which `pg_dump --create` writes.
fn connected(head: &str) -> Option<String> {
    let line = head.lines().find_map(|line| line.strip_prefix("\\connect "))?;
    let name = line.trim().trim_matches('"');
    // A name that is not plain is written as a connection string.
    Some(name.to_owned()).filter(|name| !name.starts_with("-reuse-previous"))
}

/// Whether `end` is the last line that says anything.
fn ends_whole(opened: &mut File, length: u64, end: &str) -> io::Result<bool> {
    opened.seek(SeekFrom::Start(length.saturating_sub(HEAD)))?;
    let mut tail = Vec::new();
    opened.take(HEAD).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let says = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && line != "--" && !line.starts_with("\\unrestrict ")
    };
    let last = tail.split_inclusive('\n').rfind(says);
    Ok(last.is_some_and(|line| line.trim_end_matches(['\r', '\n']) == end && line.ends_with('\n')))
}

const HEAD: u64 = 8 * 1024;
/// The line that says what it is, and the one that ends it.
const DUMP: [(&str, &str, CopyKind); 2] = [
    (
        "-- PostgreSQL database dump",
        "-- PostgreSQL database dump complete",
        CopyKind::PlainDump,
    ),
    (
        "-- PostgreSQL database cluster dump",
        "-- PostgreSQL database cluster dump complete",
        CopyKind::ClusterDump,
    ),
];
/// Where a tar says that it is one.
const TAR: std::ops::Range<usize> = 257..262;
const PRESSED_ENDINGS: [&str; 5] = ["gz", "zst", "lz4", "xz", "bz2"];
const ENDINGS: [&str; 6] = ["sql", "dump", "backup", "bak", "pgdump", "custom"];
/// gzip, zstd, lz4, xz, bzip2.
const PRESSED: [&[u8]; 5] = [
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0x04, 0x22, 0x4d, 0x18],
    &[0xfd, b'7', b'z', b'X', b'Z'],
    b"BZh",
];
const SCHEMA_ONLY: &str = "it has tables and no data: --schema-only";
