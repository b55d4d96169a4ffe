use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::durable::{Directory, Lock, blocking, read_plain, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::LimitTable;
use crate::ports::Clock;

/// The table of limits in a file, `limits.toml` in a directory, which people and programs may edit. Without the file it is the preset.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// use ops_core::clock::SystemClock;
/// use ops_core::file::FileLimits;
/// use ops_core::model::{EndpointClass, LimitChange};
/// use ops_core::ports::Clock;
///
/// let limits = FileLimits::open(directory.path())?;
/// let now = SystemClock::new().now();
/// let halved = LimitChange::new(50).for_class(EndpointClass::Llm);
/// let table = limits.change(move |table| table.changed(halved, now)).await?;
/// assert_eq!(limits.read().await?, table);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FileLimits {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    table: PathBuf,
    lock: PathBuf,
}

impl FileLimits {
    /// Opens the table in `directory`, making that if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let files = Files {
            table: directory.file("limits.toml"),
            lock: directory.file(".limits.lock"),
        };
        Ok(Self {
            files: Arc::new(files),
        })
    }

    /// The table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a file that is no table, with what is wrong; `Unavailable` and `PermissionDenied` when it cannot be
    /// read.
    pub async fn read(&self) -> Result<LimitTable> {
        let files = Arc::clone(&self.files);
        blocking("read limits", move || parse(files.text()?.as_deref())).await
    }

    /// Replaces the table by what `change` makes of it, under a lock that other processes of this machine take too.
    ///
    /// # Errors
    /// That of `change`, then nothing is written; else as [`read`](Self::read).
    pub async fn change<F>(&self, change: F) -> Result<LimitTable>
    where
        F: FnOnce(&LimitTable) -> Result<LimitTable> + Send + 'static,
    {
        let files = Arc::clone(&self.files);
        blocking("change limits", move || {
            let _lock = Lock::take(&files.lock)?;
            let next = change(&parse(files.text()?.as_deref())?)?;
            next.validate()?;
            let text = toml::to_string(&next)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, "change limits").source(source))?;
            write_plain(&files.table, format!("{FORMAT}\n{text}"))?;
            Ok(next)
        })
        .await
    }

    /// Hands every new table to `put_in_force`, looking for one every `every`: for the task of a service that is to obey the file. A file that
    /// cannot be read, and a table that is not taken, change nothing and are logged once.
    ///
    /// # Cancellation
    /// Dropping the future ends it; a table is taken whole or not at all.
    pub async fn follow(
        &self,
        clock: &dyn Clock,
        every: Duration,
        put_in_force: impl Fn(LimitTable) -> Result<()>,
    ) {
        let mut seen: Option<Result<Option<String>, ()>> = None;
        loop {
            let files = Arc::clone(&self.files);
            let read = blocking("read limits", move || files.text()).await;
            let now = read.as_ref().map(Clone::clone).map_err(|_| ());
            if seen.as_ref() != Some(&now) {
                let taken = read
                    .and_then(|text| parse(text.as_deref()))
                    .and_then(&put_in_force);
                if let Err(error) = taken {
                    tracing::warn!(%error, "the limits in force stay as they are");
                }
                seen = Some(now);
            }
            clock.sleep(every).await;
        }
    }
}

impl Files {
    fn text(&self) -> Result<Option<String>> {
        read_plain(&self.table)
    }
}

/// The first line that we write; a file of another format is not read.
const FORMAT: &str = "# ops-limits/1";

fn parse(text: Option<&str>) -> Result<LimitTable> {
    let Some(text) = text else {
        return Ok(LimitTable::preset());
    };
    let wrong = |what: String| {
        Error::new(ErrorKind::InvalidConfig, "read limits")
            .provider("file")
            .context("limits.toml", what)
    };
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("# ops-limits/") && first != FORMAT {
        return Err(wrong(format!(
            "is not of the format {FORMAT}; use the program that wrote it"
        )));
    }
    let table: LimitTable = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        wrong(format!("line {line}: {}", error.message()))
    })?;
    table.validate()?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::model::{LimitChange, Timestamp};
    use crate::testkit::ManualClock;

    #[tokio::test]
    async fn a_running_service_takes_over_what_the_file_says_and_keeps_it_when_the_file_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let limits = FileLimits::open(directory.path()).unwrap();
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let taken = Mutex::new(Vec::new());
        let following = limits.follow(&clock, Duration::from_secs(1), |table| {
            taken.lock().unwrap().push(table);
            Ok(())
        });
        let changing = async {
            let next = |wanted: usize| {
                let (clock, taken) = (&clock, &taken);
                async move {
                    for _ in 0..100_000 {
                        if taken.lock().unwrap().len() >= wanted {
                            return;
                        }
                        clock.advance(Duration::from_secs(1));
                        tokio::task::yield_now().await;
                    }
                    panic!("table {wanted} was not taken");
                }
            };
            next(1).await;
            let now = Timestamp::UNIX_EPOCH;
            limits
                .change(move |table| table.changed(LimitChange::new(50), now))
                .await
                .unwrap();
            next(2).await;
            let refused = limits
                .change(move |table| table.changed(LimitChange::new(5_000), now))
                .await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidConfig);
            std::fs::write(
                directory.path().join("limits.toml"),
                "[[rule]]\nname = 'api'\nclas = 'api'\n",
            )
            .unwrap();
            let error = limits.read().await.unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains("clas"), "{error}");
            for _ in 0..50 {
                clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
            std::fs::remove_file(directory.path().join("limits.toml")).unwrap();
            next(3).await;
        };
        tokio::select! {
            () = following => {}
            () = changing => {}
        }
        let versions: Vec<_> = taken
            .lock()
            .unwrap()
            .iter()
            .map(|table| (table.version, table.changes.len()))
            .collect();
        assert_eq!(versions, [(1, 0), (2, 1), (1, 0)]);
    }
}
