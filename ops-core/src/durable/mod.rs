//! Files that survive a crash: what `file` and the audit spool are built on.

mod directory;
pub(crate) mod frame;
mod line;
mod lock;
mod log;
mod segment;
mod sums;
mod whole;

pub(crate) use self::directory::{Directory, file_name, identity, private, short_name, text_of};
pub(crate) use self::line::Line;
pub(crate) use self::lock::Lock;
pub(crate) use self::log::{Log, Place};
pub(crate) use self::segment::{HiddenSegment, Medium, remove_hidden, segment_bytes, segment_name, segments};
pub(crate) use self::sums::Sums;
pub(crate) use self::whole::{read_plain, read_whole, write_new, write_over, write_plain};

use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Runs work that waits for the disk where it holds up nobody. Dropping the future does not stop the work.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Unavailable, operation)
            .provider(PROVIDER)
            .context("cause", "the runtime is ending")),
    }
}

const PROVIDER: &str = "file";

/// What is wrong with a file that says it has the format `found` where `wanted` (`name/version`) is read, and what to do.
pub(crate) fn other_format(found: &str, wanted: &str) -> String {
    let version = |format: &str| {
        let (name, version) = format.rsplit_once('/')?;
        Some((name.to_owned(), version.parse::<u32>().ok()?))
    };
    match (version(found), version(wanted)) {
        (Some((name, newer)), Some((known, older))) if name == known && newer > older => {
            format!(
                "a newer version wrote it ({name}/{newer}, this one reads {wanted}): use that version, or a newer one"
            )
        }
        _ => {
            format!("is not the format {wanted}: move it to another directory, or bring back the right file")
        }
    }
}

/// What the operating system refused.
pub(crate) fn refused(operation: &'static str, path: &Path, source: io::Error) -> Error {
    let kind = match source.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        // Something else stands in the file's place: damage, not an outage.
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => ErrorKind::Unexpected,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, operation)
        .provider(PROVIDER)
        .context("file", path.display().to_string())
        .source(source)
}

/// The same failure for another caller of the same write.
pub(crate) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.operation())
        .provider(error.provider_name())
        .with_retry(error.retry())
        .context("cause", error.to_string())
}

/// Whether an operation failed because there is no room: on the disk, for this user, or for a file of this size.
pub(crate) fn no_room(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref())
        .is_some_and(is_full)
}

/// The same for what the operating system said.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// A file that does not hold what it should. Nothing is deleted then; a person must look.
pub(crate) fn damaged(
    operation: &'static str,
    path: &Path,
    line: impl Into<Option<u64>>,
    what: impl Into<String>,
) -> Error {
    let error = Error::new(ErrorKind::Unexpected, operation)
        .provider(PROVIDER)
        .context("file", path.display().to_string());
    match line.into() {
        Some(line) => error.context("line", line.to_string()),
        None => error,
    }
    .context("fault", what)
}
