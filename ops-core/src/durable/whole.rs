use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::directory::{private, sync};
use super::line::{encode, split};
use super::{damaged, refused};
use crate::error::Result;
use crate::failpoint::fail_point;

/// Reads a file of one line; `None` if there is no such file.
pub(crate) fn read_whole(path: &Path) -> Result<Option<String>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(refused("read file", path, source)),
    };
    let (lines, taken) = split(&bytes, 1);
    match <[_; 1]>::try_from(lines) {
        Ok([line]) if taken == bytes.len() => line
            .text
            .map(Some)
            .map_err(|what| damaged("read file", path, 1, what)),
        // Such a file is complete before it gets its name, so that a crash cannot explain this.
        _ => Err(damaged("read file", path, 1, "must be one whole line")),
    }
}

/// Reads a file that people may have written, as it is; `None` if there is no such file.
pub(crate) fn read_plain(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused("read file", path, source)),
    }
}

/// Writes a file of one line in place of the old one: a reader sees either, whole. The caller keeps other writers out.
pub(crate) fn write_over(path: &Path, json: &str) -> Result<()> {
    let made = path.with_extension("tmp");
    let write = || {
        let mut file = private().write(true).create(true).truncate(true).open(&made)?;
        file.write_all(encode(json).as_bytes())?;
        file.sync_all()?;
        fs::rename(&made, path)?;
        sync_parent(path)
    };
    write().map_err(|source| refused("write file", path, source))
}

/// As [`write_over`], but the text as it is, without a checksum; other writers may write the same text at the same time.
pub(crate) fn write_plain(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let made = directory.join(format!(".{}", uuid::Uuid::new_v4().simple()));
    let write = || {
        let mut file = private().write(true).create_new(true).open(&made)?;
        file.write_all(text.as_ref())?;
        file.sync_all()?;
        fs::rename(&made, path)?;
        sync_parent(path)
    };
    let written = write().map_err(|source| refused("write file", path, source));
    if written.is_err() {
        let _ = fs::remove_file(&made);
    }
    written
}

/// Gives the file its name only if nobody did before; `false` if somebody did. Either way the name survives a crash.
///
/// `made` is a name in the same directory that nobody else uses. The disk must know hard links.
pub(crate) fn write_new(path: &Path, made: &Path, json: &str) -> Result<bool> {
    let write = || {
        let mut file = private().write(true).create_new(true).open(made)?;
        fail_point!("file.new.made");
        file.write_all(encode(json).as_bytes())?;
        file.sync_all()?;
        fail_point!("file.new.written");
        let first = match fs::hard_link(made, path) {
            Ok(()) => true,
            Err(known) if known.kind() == io::ErrorKind::AlreadyExists => false,
            Err(other) => return Err(other),
        };
        fail_point!("file.new.linked");
        sync_parent(path)?;
        fail_point!("file.new.synced");
        Ok(first)
    };
    let written = write().map_err(|source| refused("write file", path, source));
    // Left over, it would only take space.
    let _ = fs::remove_file(made);
    written
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}
