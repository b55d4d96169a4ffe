use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::group::{Group, ended};
use crate::durable::{
    Directory, Lock, Log, blocking, damaged, file_name, other_format, read_whole, text_of, write_new,
};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::fail_point;
use crate::masking::target_named;
use crate::model::{Digest, RunId, TargetId};
use crate::ports::{Held, Journal, JournalEntry};

/// A journal in a directory: `runs/` has a file per run, `held/` a file per held prior state, `released/` those that were
/// held before and are kept for the record.
///
/// ```
/// use ops_core::file::FileJournal;
/// use ops_core::ports::Journal;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let directory = std::env::temp_dir().join(format!("ops-journal-doc-{}", std::process::id()));
/// let journal = FileJournal::open(&directory)?;
/// assert!(journal.runs().await?.is_empty());
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), ops_core::error::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FileJournal {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    runs: Directory,
    held: Directory,
    released: Directory,
    appends: Group,
}

impl FileJournal {
    /// Opens the journal in `directory`, making what is missing. Blocks for a few directory look-ups.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when a directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let places = Places {
            runs: directory.within("runs")?,
            held: directory.within("held")?,
            released: directory.within("released")?,
            appends: Group::default(),
        };
        Ok(Self {
            places: Arc::new(places),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Places) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let places = Arc::clone(&self.places);
        blocking(operation, move || work(&places)).await
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        let operation = "append to journal";
        let run = entry.run.clone();
        let text = serde_json::to_string(entry)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, operation).source(source))?;
        let (answer, leads) = self.places.appends.push(&run, text);
        if leads {
            let writer = AppendsWriter {
                places: Arc::clone(&self.places),
                run,
                done: false,
            };
            drop(tokio::task::spawn_blocking(move || writer.write()));
        }
        answer.await.unwrap_or_else(|_| Err(ended(operation)))
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let run = run.clone();
        self.blocking("read journal", move |places| places.entries(&run))
            .await
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.blocking("list runs", Places::runs).await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        let wanted = wanted.clone();
        self.blocking("hold prior state", move |places| places.hold(wanted))
            .await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.blocking("list held states", Places::held).await
    }

    async fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        let target = target.clone();
        self.blocking("read held state", move |places| places.held_of(&target))
            .await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        let (run, target) = (run.clone(), target.clone());
        self.blocking("release prior state", move |places| places.release(&run, &target))
            .await
    }
}

/// Writes the entries of a run that wait; lets their callers go if it never runs, or panics.
struct AppendsWriter {
    places: Arc<Places>,
    run: RunId,
    done: bool,
}

impl AppendsWriter {
    fn write(mut self) {
        let (places, run) = (&self.places, &self.run);
        places
            .appends
            .write(run, |texts| places.run(run).lock()?.append(texts));
        self.done = true;
    }
}

impl Drop for AppendsWriter {
    fn drop(&mut self) {
        if !self.done {
            self.places.appends.give_up(&self.run);
        }
    }
}

impl Places {
    fn run(&self, run: &RunId) -> Log {
        let name = format!("{}{RUN_SUFFIX}", file_name(run.as_str()));
        Log::new(self.runs.file(&name), RUN_FORMAT)
    }

    fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let log = self.run(run);
        let lines = log.read()?;
        lines
            .into_iter()
            .map(
                |(number, text)| match serde_json::from_str::<JournalEntry>(&text) {
                    Ok(entry) if entry.run == *run => Ok(entry),
                    Ok(_) => Err(damaged(
                        "read journal",
                        log.path(),
                        number,
                        "belongs to another run",
                    )),
                    Err(_) => Err(damaged("read journal", log.path(), number, "is no journal entry")),
                },
            )
            .collect()
    }

    fn runs(&self) -> Result<Vec<RunId>> {
        let mut runs = Vec::new();
        for name in self.runs.names()? {
            if name.ends_with(".torn") {
                continue;
            }
            match name.strip_suffix(RUN_SUFFIX).and_then(run_of) {
                Some(run) => runs.push(run),
                // It must not keep the runs beside it from being restored.
                None => {
                    let error = damaged("list runs", &self.runs.file(&name), None, FOREIGN);
                    tracing::error!(%error, "passed over; move it to another directory");
                }
            }
        }
        runs.sort_unstable();
        Ok(runs)
    }

    fn hold(&self, wanted: Held) -> Result<Held> {
        let path = self.held_file(wanted.snapshot.target());
        let file = HeldFile {
            format: HELD_FORMAT.to_owned(),
            held: wanted,
        };
        let text = serde_json::to_string(&file)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "hold prior state").source(source))?;
        for _ in 0..HOLD_TRIES {
            // Fresh in every attempt of every process.
            let made = self.held.file(&format!(".{}", RunId::generate(file.held.at)));
            if write_new(&path, &made, &text)? {
                return Ok(file.held);
            }
            if let Some(held) = read_held(&path)? {
                return Ok(held);
            }
            // Released between the two looks: the target is free again.
        }
        Err(Error::new(ErrorKind::Conflict, "hold prior state")
            .provider("file")
            .context("target", target_named(file.held.snapshot.target()))
            .context("cause", "it is held and released all the time"))
    }

    fn held(&self) -> Result<Vec<Held>> {
        let mut all = Vec::new();
        for name in self.held.names()? {
            let path = self.held.file(&name);
            let Some(held) = read_held(&path)? else {
                continue;
            };
            all.push(self.at_its_place(&path, held)?);
        }
        all.sort_by(|a, b| a.snapshot.target().cmp(b.snapshot.target()));
        Ok(all)
    }

    fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        let path = self.held_file(target);
        read_held(&path)?
            .map(|held| self.at_its_place(&path, held))
            .transpose()
    }

    fn at_its_place(&self, path: &Path, held: Held) -> Result<Held> {
        if path != self.held_file(held.snapshot.target()) {
            return Err(damaged("read held state", path, 1, "belongs to another target"));
        }
        Ok(held)
    }

    fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        // Two releases at once must not look at the same holder and then rename the next one's file.
        let _lock = Lock::take(&self.held.file(".release"))?;
        let path = self.held_file(target);
        match read_held(&path)? {
            Some(held) if held.run == *run => {}
            _ => return Ok(()),
        }
        let kept = self.released.file(&format!(
            "{}-{}.json",
            Digest::of(target.as_str().as_bytes()),
            file_name(run.as_str())
        ));
        fs::rename(&path, &kept).map_err(|source: io::Error| {
            Error::new(ErrorKind::Unavailable, "release prior state")
                .provider("file")
                .context("file", path.display().to_string())
                .source(source)
        })?;
        fail_point!("file.release.renamed");
        self.released.sync()?;
        self.held.sync()?;
        fail_point!("file.release.synced");
        Ok(())
    }

    fn held_file(&self, target: &TargetId) -> PathBuf {
        let name = Digest::of(target.as_str().as_bytes());
        self.held.file(&format!("{name}.json"))
    }
}

const RUN_FORMAT: &str = "ops-journal/1";
const FOREIGN: &str = "is not a file of this journal";
const RUN_SUFFIX: &str = ".jsonl";
const HELD_FORMAT: &str = "ops-held/1";
const HOLD_TRIES: u32 = 16;

#[derive(Serialize, Deserialize)]
struct HeldFile {
    format: String,
    held: Held,
}

/// Read before the rest: a newer version may hold what this one cannot read.
#[derive(Default, Deserialize)]
struct Format {
    format: String,
}

fn read_held(path: &Path) -> Result<Option<Held>> {
    let Some(text) = read_whole(path)? else {
        return Ok(None);
    };
    let format = serde_json::from_str::<Format>(&text).unwrap_or_default().format;
    match serde_json::from_str::<HeldFile>(&text) {
        Ok(file) if format == HELD_FORMAT => Ok(Some(file.held)),
        _ => Err(damaged(
            "read held state",
            path,
            1,
            other_format(&format, HELD_FORMAT),
        )),
    }
}

/// The run whose file has this name.
fn run_of(name: &str) -> Option<RunId> {
    RunId::new(text_of(name)?).ok()
}
