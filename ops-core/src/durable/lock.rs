use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::directory::private;
use super::{PROVIDER, refused};
use crate::error::{Error, ErrorKind, Result};

/// A file whose lock keeps other processes and other threads out. The lock ends with the value, also by a crash. A process that goes on as a copy of this one
/// (`fork` without `exec`) must not drop it.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock, at most five seconds.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        Self::of(open(path)?, path)
    }

    /// The lock of an open file. Waits at most five seconds: a process that hangs with the lock must not hang this one.
    pub(super) fn of(file: File, path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(source)) => return Err(refused("lock file", path, source)),
            }
        }
        Err(Error::new(ErrorKind::Timeout, "lock file")
            .provider(PROVIDER)
            .context("file", path.display().to_string()))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The lock, or `None` if somebody has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(refused("lock file", path, source)),
        }
    }

    /// Whether nobody has the lock. What cannot be looked at counts as taken; a file that is not there as free.
    pub(crate) fn is_free(path: &Path) -> bool {
        match File::open(path) {
            Ok(file) => file.try_lock_shared().map(|()| drop(Self { file })).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Lock {
    /// Closing is not enough: a process that is just being started has the file too, until its program runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
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

const PAUSE: Duration = Duration::from_millis(1);
const TRIES: u32 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_value_though_a_process_that_starts_still_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        // What a process has between its fork and its program.
        let inherited = lock.file().try_clone().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none() && !Lock::is_free(&path));
        drop(lock);
        assert!(Lock::is_free(&path) && Lock::try_take(&path).unwrap().is_some());
        drop(inherited);
    }
}
