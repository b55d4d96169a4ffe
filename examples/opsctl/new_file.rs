use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Result as IoResult, Write as _};
use std::path::Path;

use ops_core::error::{Error, ErrorKind as Kind};

use crate::exit::Failure;

/// Writes a file that is not there yet, for its owner only: it gets its name once it is whole and on the disk, and never that of another file.
///
/// Whatever fails leaves nothing behind but, after a crash, a file beside it whose name begins with `.opsctl-`.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    match write(path, text) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::usage(
            format!("{} is there already", path.display()),
            "name a file that is not there yet",
        )),
        Err(error) => Err(Failure::Failed(
            Error::new(Kind::Unavailable, "write file")
                .context("file", path.display().to_string())
                .context(
                    "remedy",
                    "name a file in a directory that is there and may be written",
                )
                .source(error),
        )),
    }
}

fn write(path: &Path, text: &str) -> IoResult<()> {
    if path.file_name().is_none() {
        return Err(IoError::from(ErrorKind::IsADirectory));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Before anything is written: a folder may be written to and not opened.
    let opened = cfg!(unix).then(|| File::open(folder)).transpose()?;
    // It may be read by its owner only, and goes when it gets no name.
    let mut made = tempfile::Builder::new().prefix(".opsctl-").tempfile_in(folder)?;
    made.write_all(text.as_bytes())?;
    made.as_file().sync_all()?;
    made.persist_noclobber(path).map_err(IoError::from)?;
    opened.map_or(Ok(()), |folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_file_is_whole_and_its_owners_and_never_takes_the_name_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.md");
        assert!(write_new(&path, "one").is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(matches!(write_new(&path, "two"), Err(Failure::Usage { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["report.md"], "nothing is left beside it");
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // The name cannot be given: the file is written by then.
        let long = folder.path().join("r".repeat(300));
        assert!(matches!(write_new(&long, "one"), Err(Failure::Failed(_))));
        let missing = folder.path().join("none/report.md");
        assert!(matches!(write_new(&missing, "one"), Err(Failure::Failed(_))));
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
