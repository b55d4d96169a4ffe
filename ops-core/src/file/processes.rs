use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::SystemClock;
use crate::durable::{Directory, blocking, damaged, file_name, read_whole, write_over};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Timestamp;
use crate::ports::{Clock, Presence, ProcessId, ProcessRegistry, SwitchProcess};

/// The processes of one machine, a file each in a directory.
#[derive(Clone, Debug)]
pub struct FileProcesses {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize, Deserialize)]
struct ProcessFile {
    format: String,
    heard: Timestamp,
    process: SwitchProcess,
}

impl FileProcesses {
    /// The processes in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            directory: Arc::new(Directory::open(directory)?),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Measures silence by `clock` in place of the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn file_of(&self, process: &ProcessId) -> PathBuf {
        self.directory
            .file(&format!("{}{SUFFIX}", file_name(process.as_str())))
    }
}

#[async_trait]
impl ProcessRegistry for FileProcesses {
    async fn report(&self, process: &SwitchProcess) -> Result<()> {
        let path = self.file_of(&process.id);
        let file = ProcessFile {
            format: FORMAT.to_owned(),
            heard: self.clock.now(),
            process: process.clone(),
        };
        let text = serde_json::to_string(&file)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "report process").source(source))?;
        blocking("report process", move || write_over(&path, &text)).await
    }

    async fn remove(&self, process: &ProcessId) -> Result<()> {
        let path = self.file_of(process);
        blocking("remove process", move || removed(&path)).await
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        let (directory, now) = (Arc::clone(&self.directory), self.clock.now());
        blocking("list processes", move || list(&directory, now)).await
    }
}

fn list(directory: &Directory, now: Timestamp) -> Result<Vec<Presence>> {
    let mut found = Vec::new();
    for name in directory.names()? {
        let path = directory.file(&name);
        // What is being written has another ending; a file that went meanwhile belongs to a process that ended.
        let Some(text) = name
            .ends_with(SUFFIX)
            .then(|| read_whole(&path))
            .transpose()?
            .flatten()
        else {
            continue;
        };
        match serde_json::from_str::<ProcessFile>(&text) {
            Ok(file) if file.format == FORMAT => {
                let silent_for = now.saturating_since(file.heard);
                if silent_for < Presence::EXPIRES_AFTER {
                    found.push(Presence::new(file.process, silent_for));
                } else {
                    removed(&path)?;
                }
            }
            _ => {
                let fault = format!("is not the format {FORMAT}");
                return Err(damaged("list processes", &path, 1, fault));
            }
        }
    }
    found.sort_by(|one, other| one.process.id.cmp(&other.process.id));
    Ok(found)
}

fn removed(path: &std::path::Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::Unavailable, "remove process")
                .provider("file")
                .context("file", path.display().to_string())
                .source(error))
        }
        _ => Ok(()),
    }
}

const SUFFIX: &str = ".json";
const FORMAT: &str = "ops-process/1";
