use std::fs::{File, TryLockError};
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
        let file = private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| refused("lock file", path, source))?;
        lock(&file, path)?;
        Ok(Self { _file: file })
    }
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
