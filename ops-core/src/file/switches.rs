use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Lock, blocking, damaged, read_whole, write_over};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{SwitchState, SwitchStore, SwitchedOff};

/// Switches in a file, `switches.json` in a directory. A reader never waits for a writer and never sees half a state.
#[derive(Clone, Debug)]
pub struct FileSwitches {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    state: PathBuf,
    lock: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    format: String,
    #[serde(flatten)]
    state: SwitchState,
}

impl FileSwitches {
    /// Opens the switches in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let files = Files {
            state: directory.file("switches.json"),
            lock: directory.file(".switches.lock"),
        };
        Ok(Self {
            files: Arc::new(files),
        })
    }
}

#[async_trait]
impl SwitchStore for FileSwitches {
    async fn read(&self) -> Result<SwitchState> {
        let files = Arc::clone(&self.files);
        blocking("read switches", move || files.read()).await
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        let files = Arc::clone(&self.files);
        let stopped = stopped.clone();
        blocking("write switches", move || files.write(expected, stopped)).await
    }
}

impl Files {
    fn read(&self) -> Result<SwitchState> {
        let Some(text) = read_whole(&self.state)? else {
            return Ok(SwitchState::default());
        };
        match serde_json::from_str::<StateFile>(&text) {
            Ok(file) if file.format == FORMAT => Ok(file.state),
            _ => Err(damaged(
                "read switches",
                &self.state,
                1,
                format!("is not the format {FORMAT}"),
            )),
        }
    }

    fn write(&self, expected: u64, stopped: BTreeMap<String, SwitchedOff>) -> Result<u64> {
        let _lock = Lock::take(&self.lock)?;
        let found = self.read()?.generation;
        if found != expected {
            return Err(Error::new(ErrorKind::Conflict, "write switches")
                .provider("file")
                .context("expected generation", expected.to_string())
                .context("found", found.to_string()));
        }
        let generation = expected + 1;
        let file = StateFile {
            format: FORMAT.to_owned(),
            state: SwitchState { generation, stopped },
        };
        let text = serde_json::to_string(&file)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write switches").source(source))?;
        write_over(&self.state, &text)?;
        Ok(generation)
    }
}

const FORMAT: &str = "ops-switches/1";
