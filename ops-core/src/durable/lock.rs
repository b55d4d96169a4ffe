use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::directory::private;
use super::{PROVIDER, refused};
use crate::error::{Error, ErrorKind, Result};

/// A file whose lock keeps other processes and other threads out. The lock ends with the value, also by a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock, at most five seconds.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let file = open(path)?;
        lock(&file, path)?;
        Ok(Self { _file: file })
    }

    /// The lock, or `None` if somebody has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(refused("lock file", path, source)),
        }
    }

    /// Whether nobody has the lock. What cannot be looked at counts as taken; a file that is not there as free.
    pub(crate) fn is_free(path: &Path) -> bool {
        match File::open(path) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

fn open(path: &Path) -> Result<File> {
    private()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| refused("lock file", path, source))
}

/// Locks an open file, waiting at most five seconds: a process that hangs with the lock must not hang this one.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(source)) => return Err(refused("lock file", path, source)),
        }
    }
    Err(Error::new(ErrorKind::Timeout, "lock file")
        .provider(PROVIDER)
        .context("file", path.display().to_string()))
}

const PAUSE: Duration = Duration::from_millis(1);
const TRIES: u32 = 5_000;
