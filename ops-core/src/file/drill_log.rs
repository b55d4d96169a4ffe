use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::durable::{Directory, blocking, damaged, file_name, read_whole, write_new};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, DrillReport, RunId};
use crate::ports::DrillLog;

/// Reports of drills in a directory, a file a report, named by its run. A file is written once and never again.
#[derive(Clone, Debug)]
pub struct FileDrillLog {
    directory: Arc<Directory>,
}

#[derive(Serialize, Deserialize)]
struct ReportFile {
    format: String,
    /// Of the report: a file that was changed by hand does not fit it, and not the audit trail either.
    digest: Digest,
    report: DrillReport,
}

impl FileDrillLog {
    /// Opens the reports in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            directory: Arc::new(Directory::open(directory)?),
        })
    }

    async fn all(&self, operation: &'static str) -> Result<Vec<DrillReport>> {
        let directory = Arc::clone(&self.directory);
        blocking(operation, move || {
            let mut reports = Vec::new();
            for name in directory.names()?.iter().filter(|name| name.ends_with(SUFFIX)) {
                reports.extend(read(directory.file(name))?);
            }
            reports.sort_by(|a: &DrillReport, b| a.run.cmp(&b.run));
            Ok(reports)
        })
        .await
    }
}

#[async_trait]
impl DrillLog for FileDrillLog {
    async fn append(&self, report: &DrillReport) -> Result<()> {
        let directory = Arc::clone(&self.directory);
        let file = ReportFile {
            format: FORMAT.to_owned(),
            digest: report.digest(),
            report: report.clone(),
        };
        blocking(KEEP, move || {
            let text = serde_json::to_string(&file)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, KEEP).source(source))?;
            let path = directory.file(&name_of(&file.report.run));
            let made = directory.file(&format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
            if write_new(&path, &made, &text)? {
                return Ok(());
            }
            match read(path)? {
                Some(kept) if kept == file.report => Ok(()),
                _ => Err(Error::new(ErrorKind::Conflict, KEEP)
                    .provider("file")
                    .context("run", "has another report already")),
            }
        })
        .await
    }

    async fn find(&self, run: &RunId) -> Result<Option<DrillReport>> {
        let path = self.directory.file(&name_of(run));
        blocking("read drill report", move || read(path)).await
    }

    async fn newest(&self, procedure: &str) -> Result<Option<DrillReport>> {
        let mut reports = self.all("read drill report").await?;
        reports.retain(|report| report.procedure == procedure);
        Ok(reports.pop())
    }

    async fn list(&self) -> Result<Vec<DrillReport>> {
        self.all("read drill reports").await
    }
}

fn read(path: PathBuf) -> Result<Option<DrillReport>> {
    let wrong = |what: &str| damaged("read drill report", &path, 1, what);
    let Some(text) = read_whole(&path)? else {
        return Ok(None);
    };
    let file: ReportFile = serde_json::from_str(&text).map_err(|_| wrong("is no report of a drill"))?;
    if file.format != FORMAT {
        return Err(wrong("is of another format"));
    }
    if file.digest != file.report.digest() {
        return Err(wrong("does not fit its own digest"));
    }
    if path
        .file_name()
        .is_none_or(|name| *name != *name_of(&file.report.run))
    {
        return Err(wrong("is the report of another run than its name says"));
    }
    Ok(Some(file.report))
}

fn name_of(run: &RunId) -> String {
    format!("{}{SUFFIX}", file_name(run.as_str()))
}

const KEEP: &str = "keep drill report";
const SUFFIX: &str = ".json";
const FORMAT: &str = "ops-drill/1";
