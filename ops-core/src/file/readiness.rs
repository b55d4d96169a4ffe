use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{FileJournal, FileSwitches};
use crate::durable::blocking;
use crate::error::{Error, Result};
use crate::messages::{need_durable_disk, need_free_space, need_state_directory, need_store};
use crate::model::{Check, TargetId, Text};
use crate::ports::{Journal, ReadinessProbe, SwitchStore};

/// Looks at a state directory without writing into it: may it be written, has its disk room, does it take an fsync, can what
/// is in it be read. A directory that is not there yet is judged by the one in which it would be made.
#[derive(Clone, Debug)]
pub struct FileReadiness {
    directory: PathBuf,
    megabytes: u64,
}

impl FileReadiness {
    /// Looks at `directory`, which [`FileJournal`] and the others are kept in.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            megabytes: ENOUGH,
        }
    }

    /// Asks for so much free space, in MB. Default: 64.
    #[must_use]
    pub fn with_free_megabytes(mut self, megabytes: u64) -> Self {
        self.megabytes = megabytes;
        self
    }

    fn disk(&self) -> Vec<Check> {
        let shown = self.directory.display().to_string();
        let Some(existing) = existing(&self.directory) else {
            return vec![need_state_directory(&shown).missing("no part of the path exists")];
        };
        vec![
            match writable(&existing) {
                Ok(()) => need_state_directory(&shown).ready(),
                Err(why) => need_state_directory(&shown).missing(format!("{}: {why}", existing.display())),
            },
            match free_megabytes(&existing) {
                Ok(free) if free >= self.megabytes => need_free_space(&shown, self.megabytes).ready(),
                Ok(free) => need_free_space(&shown, self.megabytes).missing(format!("{free} MB are free")),
                Err(why) => need_free_space(&shown, self.megabytes).unknown(why),
            },
            match std::fs::File::open(&existing).and_then(|directory| directory.sync_all()) {
                Ok(()) => need_durable_disk(&shown).ready(),
                Err(why) => need_durable_disk(&shown).missing(why.to_string()),
            },
        ]
    }

    /// Opening a store makes what is missing, so only one that is whole is opened.
    async fn stores(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let journal = self.directory.join("journal");
        let parts = ["runs", "held", "released"];
        let read = match parts.iter().all(|part| journal.join(part).is_dir()) {
            true => read_journal(&journal).await,
            false => absent_or_directory(&journal),
        };
        checks.push(judged(&journal, Text::new("ジャーナル", "journal"), read));
        let switches = self.directory.join("switches");
        let read = match switches.is_dir() {
            true => read_switches(&switches).await,
            false => absent_or_directory(&switches),
        };
        checks.push(judged(&switches, Text::new("停止スイッチ", "switch file"), read));
        for part in ["audit", "audit-spool", "notices"] {
            let path = self.directory.join(part);
            if let Err(error) = absent_or_directory(&path) {
                checks.push(need_state_directory(&path.display().to_string()).missing(error.to_string()));
            }
        }
        checks
    }
}

#[async_trait]
impl ReadinessProbe for FileReadiness {
    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    /// The targets do not matter: the directory serves all.
    async fn examine(&self, _targets: &[TargetId]) -> Vec<Check> {
        let probe = self.clone();
        let disk = blocking("look at the state directory", move || Ok(probe.disk())).await;
        let mut checks = disk.unwrap_or_else(|error| {
            vec![need_state_directory(&self.directory.display().to_string()).failed(&error)]
        });
        checks.extend(self.stores().await);
        checks
    }
}

fn judged(path: &Path, name: Text, read: Result<()>) -> Check {
    let need = need_store(&path.display().to_string(), name);
    match read {
        Ok(()) => need.ready(),
        Err(error) => need.missing(error.to_string()),
    }
}

async fn read_journal(path: &Path) -> Result<()> {
    let journal = FileJournal::open(path)?;
    journal.held().await?;
    for run in journal.runs().await? {
        journal.entries(&run).await?;
    }
    Ok(())
}

async fn read_switches(path: &Path) -> Result<()> {
    FileSwitches::open(path)?.read().await.map(drop)
}

/// A file where a directory must be keeps the store from being made.
fn absent_or_directory(path: &Path) -> Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(Error::new(
            crate::error::ErrorKind::InvalidConfig,
            "look at the state directory",
        )
        .context("file", path.display().to_string())
        .context("fault", "is no directory"));
    }
    Ok(())
}

/// The directory itself, or the nearest one above it that exists.
fn existing(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .map(|path| match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        })
        .find(|path| path.exists())
        .map(Path::to_path_buf)
}

#[cfg(unix)]
fn writable(path: &Path) -> std::result::Result<(), String> {
    use rustix::fs::{Access, access};
    if !path.is_dir() {
        return Err("is no directory".to_owned());
    }
    // Also says no to root on a disk that is mounted read-only.
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| errno.to_string())
}

#[cfg(not(unix))]
fn writable(path: &Path) -> std::result::Result<(), String> {
    match path.metadata() {
        Ok(metadata) if metadata.permissions().readonly() => Err("is read-only".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(unix)]
fn free_megabytes(path: &Path) -> std::result::Result<u64, String> {
    let disk = rustix::fs::statvfs(path).map_err(|errno| errno.to_string())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) / (1024 * 1024))
}

#[cfg(not(unix))]
fn free_megabytes(_path: &Path) -> std::result::Result<u64, String> {
    Err("this system does not tell".to_owned())
}

/// A run writes some kilobytes; the rest is for the audit spool of an outage.
const ENOUGH: u64 = 64;
