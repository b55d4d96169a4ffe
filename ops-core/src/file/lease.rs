use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Lock, blocking, damaged, other_format, read_whole, write_over};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Lease, LeaseRequest, LeaseState, LeaseTable, Taken, Timestamp};
use crate::ports::{Clock, LeaseStore};

/// Leases in a file, `leases.json` in a directory, for the processes of one machine: the wall clock of the machine is that of the store. A clock that is set back
/// keeps names longer; one that is set forward frees them early, and the token tells.
#[derive(Clone, Debug)]
pub struct FileLeases {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    table: PathBuf,
    lock: PathBuf,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize, Deserialize)]
struct TableFile {
    format: String,
    leases: LeaseTable,
}

impl FileLeases {
    /// Opens the leases in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let files = Files {
            table: directory.file("leases.json"),
            lock: directory.file(".leases.lock"),
            clock,
        };
        Ok(Self {
            files: Arc::new(files),
        })
    }

    /// Changes the table under the lock; the time is read when the lock is had.
    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut LeaseTable, Timestamp) -> T + Send + 'static,
    ) -> Result<T> {
        let files = Arc::clone(&self.files);
        blocking(operation, move || {
            let _lock = Lock::take(&files.lock)?;
            let before = files.read(operation)?;
            let mut leases = before.clone();
            let result = change(&mut leases, files.clock.now());
            if leases != before {
                let file = TableFile {
                    format: FORMAT.to_owned(),
                    leases,
                };
                let text = serde_json::to_string(&file)
                    .map_err(|source| Error::new(ErrorKind::InvalidInput, operation).source(source))?;
                write_over(&files.table, &text)?;
            }
            Ok(result)
        })
        .await
    }
}

#[async_trait]
impl LeaseStore for FileLeases {
    async fn take(&self, request: &LeaseRequest) -> Result<Taken> {
        let request = request.clone();
        self.change("take lease", move |leases, now| leases.take(&request, now))
            .await
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>> {
        let lease = lease.clone();
        self.change("renew lease", move |leases, now| leases.renew(&lease, now))
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.change("release lease", move |leases, now| leases.release(&lease, now))
            .await
    }

    async fn revoke(&self, name: &str, holder: &str, token: u64) -> Result<Option<LeaseState>> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.change("revoke lease", move |leases, now| {
            leases.revoke(&name, &holder, token, now)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<LeaseState>> {
        let files = Arc::clone(&self.files);
        blocking("list leases", move || {
            Ok(files.read("list leases")?.list(files.clock.now()))
        })
        .await
    }
}

impl Files {
    fn read(&self, operation: &'static str) -> Result<LeaseTable> {
        let Some(text) = read_whole(&self.table)? else {
            return Ok(LeaseTable::default());
        };
        let wrong = |what: String| damaged(operation, &self.table, 1, what);
        let file: TableFile =
            serde_json::from_str(&text).map_err(|_| wrong("is no table of leases".to_owned()))?;
        if file.format != FORMAT {
            return Err(wrong(other_format(&file.format, FORMAT)));
        }
        Ok(file.leases)
    }
}

const FORMAT: &str = "ops-leases/1";
