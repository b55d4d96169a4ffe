use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::durable::{Directory, blocking, damaged, file_name, other_format, read_whole, write_new};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Completion, DueDate, Timestamp};
use crate::ports::DueDates;

/// Due dates in a directory, a file an entry, named by its key. A file is written once and never again; of two processes that write
/// the same one at the same time the first wins.
#[derive(Clone, Debug)]
pub struct FileDueDates {
    directory: Arc<Directory>,
}

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    format: String,
    /// What the file is called after: a file that was renamed does not fit it.
    name: String,
    entry: T,
}

impl FileDueDates {
    /// Opens the entries in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            directory: Arc::new(Directory::open(directory)?),
        })
    }

    /// Writes `entry` unless there is one; gives the one that is there now.
    async fn keep<T>(&self, operation: &'static str, prefix: &'static str, name: &str, entry: T) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let directory = Arc::clone(&self.directory);
        let name = name.to_owned();
        blocking(operation, move || {
            let entry = Entry {
                format: FORMAT.to_owned(),
                name,
                entry,
            };
            let text = serde_json::to_string(&entry)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, operation).source(source))?;
            let file = format!("{prefix}{}{SUFFIX}", file_name(&entry.name));
            let made = directory.file(&format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
            if write_new(&directory.file(&file), &made, &text)? {
                return Ok(entry.entry);
            }
            read(&directory, prefix, &file)
        })
        .await
    }

    async fn all<T: DeserializeOwned + Send + 'static>(
        &self,
        operation: &'static str,
        prefix: &'static str,
    ) -> Result<Vec<T>> {
        let directory = Arc::clone(&self.directory);
        blocking(operation, move || {
            let names = directory.names()?;
            let mine = |name: &&String| name.starts_with(prefix) && name.ends_with(SUFFIX);
            names
                .iter()
                .filter(mine)
                .map(|name| read(&directory, prefix, name))
                .collect()
        })
        .await
    }
}

#[async_trait]
impl DueDates for FileDueDates {
    async fn begin(&self, item: &str, at: Timestamp) -> Result<Timestamp> {
        self.keep("begin calendar", BEGUN, item, at).await
    }

    async fn set(&self, date: &DueDate) -> Result<()> {
        let kept = self.keep(SET, DATE, date.key.as_str(), date.clone()).await?;
        if kept.says_the_same_as(date) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, SET)
            .provider("file")
            .context("key", "has another date already"))
    }

    async fn complete(&self, completion: &Completion) -> Result<Completion> {
        let kept = self
            .keep(COMPLETE, DONE, completion.key.as_str(), completion.clone())
            .await?;
        if kept.says_the_same_as(completion) {
            return Ok(kept);
        }
        Err(Error::new(ErrorKind::Conflict, COMPLETE)
            .provider("file")
            .context("by", kept.by.id())
            .context("at", kept.at.to_string()))
    }

    async fn dates(&self) -> Result<Vec<DueDate>> {
        let mut dates: Vec<DueDate> = self.all("read due dates", DATE).await?;
        dates.sort_by(|one, other| (one.due, &one.key).cmp(&(other.due, &other.key)));
        Ok(dates)
    }

    async fn completions(&self, since: Timestamp) -> Result<Vec<Completion>> {
        let mut completions: Vec<Completion> = self.all("read completions", DONE).await?;
        completions.retain(|completion| completion.at >= since);
        completions.sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        Ok(completions)
    }
}

fn read<T: DeserializeOwned>(directory: &Directory, prefix: &str, name: &str) -> Result<T> {
    let path = directory.file(name);
    let wrong = |what: &str| damaged("read due dates", &path, 1, what);
    let text = read_whole(&path)?.ok_or_else(|| wrong("has gone"))?;
    let format: Format = serde_json::from_str(&text).map_err(|_| wrong("is no entry of a calendar"))?;
    if format.format != FORMAT {
        return Err(wrong(&other_format(&format.format, FORMAT)));
    }
    let entry: Entry<T> = serde_json::from_str(&text).map_err(|_| wrong("is no entry of a calendar"))?;
    if format!("{prefix}{}{SUFFIX}", file_name(&entry.name)) != name {
        return Err(wrong("is the entry of another key than its name says"));
    }
    Ok(entry.entry)
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

const SET: &str = "set due date";
const COMPLETE: &str = "complete due date";
const BEGUN: &str = "begun-";
const DATE: &str = "date-";
const DONE: &str = "done-";
const SUFFIX: &str = ".json";
const FORMAT: &str = "ops-due/1";
