use std::cmp::Ordering;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Log, blocking, damaged, file_name, read_whole, text_of, write_over};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId, IncidentSummary};
use crate::ports::{IncidentOutbox, IncidentPage, IncidentQuery, IncidentStore};

/// Incidents in a directory, a log an incident. Beside each log is a summary of it, so that a list reads one line an incident; a summary that does not fit the length of its
/// log, after a crash between the two, is made again from the log. A mark beside it says up to which length its entries are known to be in a place that all share.
#[derive(Clone, Debug)]
pub struct FileIncidents {
    directory: Arc<Directory>,
}

#[derive(Serialize, Deserialize)]
struct SummaryFile {
    format: String,
    /// How long the log was then.
    bytes: u64,
    summary: IncidentSummary,
}

#[derive(Serialize, Deserialize)]
struct MarkFile {
    format: String,
    place: String,
    /// How long the log was that is there.
    bytes: u64,
}

impl FileIncidents {
    /// Opens the incidents in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Arc::new(Directory::open(directory)?);
        Ok(Self { directory })
    }
}

#[async_trait]
impl IncidentStore for FileIncidents {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        entry.check()?;
        let (directory, entry) = (Arc::clone(&self.directory), entry.clone());
        blocking(KEEP, move || append(&directory, &entry)).await
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        let (directory, incident) = (Arc::clone(&self.directory), incident.clone());
        blocking(READ, move || entries(&log(&directory, &incident), &incident)).await
    }

    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        query.check()?;
        let (directory, query) = (Arc::clone(&self.directory), query.clone());
        blocking("list incidents", move || list(&directory, &query)).await
    }
}

#[async_trait]
impl IncidentOutbox for FileIncidents {
    async fn waiting(&self, place: &str) -> Result<Vec<IncidentId>> {
        let (directory, place) = (Arc::clone(&self.directory), place.to_owned());
        blocking("list incidents", move || {
            let mut ids = ids(&directory)?;
            ids.retain(|id| !is_marked(&directory, &place, id));
            Ok(ids)
        })
        .await
    }

    async fn every(&self) -> Result<Vec<IncidentId>> {
        let directory = Arc::clone(&self.directory);
        blocking("list incidents", move || ids(&directory)).await
    }

    async fn mark(&self, place: &str, incident: &IncidentId, entries: usize) -> Result<()> {
        let directory = Arc::clone(&self.directory);
        let (place, incident) = (place.to_owned(), incident.clone());
        blocking(MARK, move || mark(&directory, place, &incident, entries)).await
    }
}

fn is_marked(directory: &Directory, place: &str, incident: &IncidentId) -> bool {
    // Whatever is wrong with it: without a mark the log is compared once more.
    let kept = read_whole(&beside(directory, incident, SHARED)).ok().flatten();
    let kept = kept.and_then(|text| serde_json::from_str::<MarkFile>(&text).ok());
    kept.is_some_and(|kept| {
        kept.format == SHARED_FORMAT && kept.place == place && kept.bytes == length(&log(directory, incident))
    })
}

fn mark(directory: &Directory, place: String, incident: &IncidentId, count: usize) -> Result<()> {
    let log = log(directory, incident);
    let too_many = || {
        Error::new(ErrorKind::InvalidInput, MARK)
            .provider("file")
            .context("entries", "there are fewer")
    };
    // A mark must leave no log.
    if !log.path().exists() {
        return Err(too_many());
    }
    // Nobody adds to it meanwhile: the length is that of what was counted.
    let _locked = log.lock()?;
    let kept = entries(&log, incident)?.len();
    match count.cmp(&kept) {
        Ordering::Greater => Err(too_many()),
        // Somebody has added to it: it goes on waiting.
        Ordering::Less => Ok(()),
        Ordering::Equal => {
            let file = MarkFile {
                format: SHARED_FORMAT.to_owned(),
                place,
                bytes: length(&log),
            };
            let text = serde_json::to_string(&file)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, MARK).source(source))?;
            write_over(&beside(directory, incident, SHARED), &text)
        }
    }
}

fn append(directory: &Directory, entry: &IncidentEntry) -> Result<()> {
    let text = serde_json::to_string(entry)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, KEEP).source(source))?;
    let log = log(directory, &entry.incident);
    let conflict = |newest: usize| {
        Err(Error::new(ErrorKind::Conflict, KEEP)
            .provider("file")
            .context("newest", newest.to_string()))
    };
    // An entry that opens nothing must leave no file.
    if entry.number > 1 && !log.path().exists() {
        return conflict(0);
    }
    let locked = log.lock()?;
    let mut kept = entries(&log, &entry.incident)?;
    let number = usize::try_from(entry.number).unwrap_or(usize::MAX);
    if number <= kept.len() {
        return match kept.contains(entry) {
            true => Ok(()),
            false => conflict(kept.len()),
        };
    }
    if number != kept.len() + 1 {
        return conflict(kept.len());
    }
    locked.append(&[text])?;
    kept.push(entry.clone());
    // The log has it; without the summary a list only reads more.
    if let Err(error) = write_summary(directory, &log, &kept) {
        tracing::warn!(%error, "the summary of an incident was not written");
    }
    Ok(())
}

fn write_summary(directory: &Directory, log: &Log, entries: &[IncidentEntry]) -> Result<()> {
    let Some(summary) = IncidentSummary::of_all(entries) else {
        return Ok(());
    };
    let path = beside(directory, &summary.id, SUMMARY);
    let file = SummaryFile {
        format: SUMMARY_FORMAT.to_owned(),
        bytes: length(log),
        summary,
    };
    let text = serde_json::to_string(&file)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, KEEP).source(source))?;
    write_over(&path, &text)
}

/// What is in a log that may be locked by this process.
fn entries(log: &Log, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
    let wrong = |line, what: &str| damaged(READ, log.path(), line, what);
    let mut entries: Vec<IncidentEntry> = Vec::new();
    for (line, text) in log.read()? {
        let entry: IncidentEntry =
            serde_json::from_str(&text).map_err(|_| wrong(line, "is no entry of an incident"))?;
        if entry.incident != *incident {
            return Err(wrong(line, "belongs to another incident"));
        }
        if usize::try_from(entry.number).ok() != Some(entries.len() + 1) || entry.check().is_err() {
            return Err(wrong(line, "is not the next entry"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Of every log that is here, oldest first.
fn ids(directory: &Directory) -> Result<Vec<IncidentId>> {
    let mut ids = Vec::new();
    for name in directory.names()?.iter().filter(|name| name.ends_with(LOG)) {
        let id = name.strip_suffix(LOG).and_then(text_of);
        match id.and_then(|id| IncidentId::new(id).ok()) {
            Some(id) => ids.push(id),
            None => {
                let foreign = "is no log of an incident: move it to another directory";
                return Err(damaged("list incidents", &directory.file(name), None, foreign));
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn list(directory: &Directory, query: &IncidentQuery) -> Result<IncidentPage> {
    let ids = ids(directory)?;
    let mut found = Vec::new();
    for id in ids.iter().rev().filter(|id| query.may_show(id)) {
        found.extend(summary(directory, id)?.filter(|summary| query.shows(summary)));
        if found.len() > query.most {
            break;
        }
    }
    Ok(IncidentPage::of(query, found))
}

/// `None`: the process that made the log ended before it wrote the first entry.
fn summary(directory: &Directory, incident: &IncidentId) -> Result<Option<IncidentSummary>> {
    let log = log(directory, incident);
    let path = beside(directory, incident, SUMMARY);
    // It can be made again: whatever is wrong with it, the log says what is right.
    let kept = read_whole(&path).ok().flatten();
    let kept = kept.and_then(|text| serde_json::from_str::<SummaryFile>(&text).ok());
    match kept {
        Some(kept)
            if kept.format == SUMMARY_FORMAT
                && kept.bytes == length(&log)
                && kept.summary.id == *incident =>
        {
            Ok(Some(kept.summary))
        }
        _ => Ok(IncidentSummary::of_all(&entries(&log, incident)?)),
    }
}

fn log(directory: &Directory, incident: &IncidentId) -> Log {
    Log::new(beside(directory, incident, LOG), FORMAT)
}

fn beside(directory: &Directory, incident: &IncidentId, ending: &str) -> PathBuf {
    directory.file(&format!("{}{ending}", file_name(incident.as_str())))
}

fn length(log: &Log) -> u64 {
    fs::metadata(log.path()).map_or(0, |found| found.len())
}

const KEEP: &str = "keep incident entry";
const MARK: &str = "mark incident";
const READ: &str = "read incident";
const LOG: &str = ".jsonl";
const SUMMARY: &str = ".summary";
const FORMAT: &str = "ops-incident/1";
/// The first version went by the order of arrival.
const SUMMARY_FORMAT: &str = "ops-incident-summary/2";
const SHARED: &str = ".shared";
const SHARED_FORMAT: &str = "ops-incident-shared/1";
