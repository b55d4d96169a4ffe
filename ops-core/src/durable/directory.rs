use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::refused;
use crate::error::Result;
use crate::model::Digest;

/// A directory that only its owner may enter.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory with its parents, readable by the owner only; one that exists is left as it is.
    pub(crate) fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = !path.is_dir();
        builder
            .create(&path)
            .and_then(|()| match path.parent() {
                Some(parent) if made => sync(parent),
                _ => Ok(()),
            })
            .map_err(|source| refused("make directory", &path, source))?;
        Ok(Self { path })
    }

    /// A directory in this one.
    pub(crate) fn within(&self, name: &str) -> Result<Self> {
        Self::open(self.path.join(name))
    }

    /// A directory in this one that is there already.
    pub(crate) fn known(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
        }
    }

    /// Gives a directory in this one another name, which survives a crash.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<Self> {
        let (old, new) = (self.path.join(from), self.path.join(to));
        fs::rename(&old, &new)
            .and_then(|()| sync(&self.path))
            .map_err(|source| refused("name directory", &new, source))?;
        Ok(Self { path: new })
    }

    /// Removes the directory with all that is in it, if it is there.
    pub(crate) fn remove_all(&self) -> Result<()> {
        unless_missing(fs::remove_dir_all(&self.path))
            .map_err(|source| refused("remove directory", &self.path, source))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        unless_missing(fs::remove_file(&path)).map_err(|source| refused("remove file", &path, source))
    }

    /// What a file holds; `None` if there is no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(refused("read file", &path, source)),
        }
    }

    /// The path of a file in this directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names of the files in it, sorted; those beginning with a dot are not ours to read.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// How many bytes the files in it take whose names end with `end`, those beginning with a dot included.
    pub(crate) fn bytes_of(&self, end: &str) -> Result<u64> {
        let names = self.all_names()?;
        let sizes = names
            .iter()
            .filter(|name| name.ends_with(end))
            // Somebody may remove one meanwhile.
            .map(|name| fs::metadata(self.file(name)).map_or(0, |found| found.len()));
        Ok(sizes.sum())
    }

    /// Removes the files in it whose names begin with a dot and end with `end`.
    pub(crate) fn remove_hidden(&self, end: &str) -> Result<()> {
        let names = self.all_names()?;
        names
            .iter()
            .filter(|name| name.starts_with('.') && name.ends_with(end))
            .try_for_each(|name| self.remove(name))
    }

    fn all_names(&self) -> Result<Vec<String>> {
        let failed = |source| refused("list directory", &self.path, source);
        let entries = match fs::read_dir(&self.path) {
            // Somebody removed it meanwhile.
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        entries
            .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Makes the names in it survive a crash.
    pub(crate) fn sync(&self) -> Result<()> {
        sync(&self.path).map_err(|source| refused("sync directory", &self.path, source))
    }
}

/// A file name for any text, the same for the same text and one that reads back: what is not a small letter, a digit,
/// `-` or `_` becomes `%` and two hexadecimal digits. So no text can leave the directory, and two texts that differ only in
/// case stay apart on a disk that ignores case.
pub(crate) fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

/// A short file name for any text, another one for another text: written out in full, a name may be too long for some disks.
pub(crate) fn short_name(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!(
        "{}-{:.16}",
        file_name(&short),
        Digest::of(text.as_bytes()).to_string()
    )
}

/// The text whose [`file_name`] this is.
pub(crate) fn text_of(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if first == '%' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = rest.get(3..)?;
        } else {
            bytes.extend_from_slice(rest.get(..first.len_utf8())?.as_bytes());
            rest = rest.get(first.len_utf8()..)?;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (file_name(&text) == name).then_some(text)
}

/// Makes the names in a directory survive a crash. Only unix can, and only unix needs it.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// Tells a file from another one that gets its name. Only unix can.
pub(crate) fn identity(found: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::ino(found)
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        0
    }
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Options for a file that only its owner may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_the_directory_and_none_share_a_name() {
        assert_eq!(file_name("run_019c-0a"), "run_019c-0a");
        assert_eq!(file_name("../x/Y"), "%2e%2e%2fx%2f%59");
        assert_ne!(file_name("A").to_lowercase(), file_name("a"));
        assert_ne!(file_name("%61"), file_name("a"));
    }
}
