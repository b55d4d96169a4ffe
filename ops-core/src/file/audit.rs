use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::{ChainVerifier, Linker, leaf, page};
use crate::durable::{Directory, Line, Log, Place, again, blocking, damaged, short_name};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest, TenantId};
use crate::ports::{
    Appended, AuditEntry, AuditHead, AuditOrigin, AuditPage, AuditQuery, AuditReceipt, AuditStore,
    ChainReport, TrailEntry,
};

/// An audit trail in a directory: one file per tenant, one line per record.
///
/// `search` and `verify` read the whole file of the tenant, `append` what was added since the last time; about 150 bytes per
/// record stay in memory to know the ids. Fine for hundreds of thousands of records; more belong into PostgreSQL. Lines are never rewritten, so
/// that nobody can be forgotten in it and nothing goes by its age: it is no [`AuditEraser`](crate::ports::AuditEraser) and no
/// [`AuditPruner`](crate::ports::AuditPruner).
#[derive(Clone, Debug)]
pub struct FileAudit {
    trail: Arc<Trail>,
}

#[derive(Debug)]
struct Trail {
    directory: Directory,
    chains: Mutex<BTreeMap<TenantId, Chain>>,
}

/// What is known of a tenant's file.
#[derive(Debug, Default)]
struct Chain {
    read: Place,
    known: HashMap<Uuid, (AuditReceipt, Digest)>,
    linker: Linker,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    receipt: AuditReceipt,
    record: AuditRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<AuditOrigin>,
}

impl FileAudit {
    /// Opens the audit trail in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let trail = Trail {
            directory: Directory::open(directory)?,
            chains: Mutex::default(),
        };
        Ok(Self {
            trail: Arc::new(trail),
        })
    }
}

#[async_trait]
impl AuditStore for FileAudit {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        let (trail, entry) = (Arc::clone(&self.trail), AuditEntry::from(record.clone()));
        let answer = blocking(APPEND, move || {
            let mut answers = trail.append(&entry.record.tenant.clone(), vec![entry])?;
            answers
                .pop()
                .ok_or_else(|| Error::new(ErrorKind::Unexpected, APPEND))
        });
        match answer.await? {
            Appended::Stored(receipt) | Appended::Known(receipt) => Ok(receipt),
            Appended::Refused(error) | Appended::Stuck(error) => Err(error),
        }
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        let (trail, entries) = (Arc::clone(&self.trail), entries.to_vec());
        blocking(APPEND, move || {
            let mut of_tenant: BTreeMap<TenantId, (Vec<usize>, Vec<AuditEntry>)> = BTreeMap::new();
            for (place, entry) in entries.into_iter().enumerate() {
                let (places, entries) = of_tenant.entry(entry.record.tenant.clone()).or_default();
                places.push(place);
                entries.push(entry);
            }
            let mut answers = Vec::new();
            for (tenant, (places, entries)) in of_tenant {
                match trail.append(&tenant, entries) {
                    Ok(given) => answers.extend(places.into_iter().zip(given)),
                    // The file of this tenant is damaged; the others go on.
                    Err(error) if error.kind() == ErrorKind::Unexpected => {
                        let stuck = |place| (place, Appended::Stuck(again(&error)));
                        answers.extend(places.into_iter().map(stuck));
                    }
                    Err(error) => return Err(error),
                }
            }
            answers.sort_unstable_by_key(|(place, _)| *place);
            Ok(answers.into_iter().map(|(_, answer)| answer).collect())
        })
        .await
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        let (trail, tenant, query) = (Arc::clone(&self.trail), tenant.clone(), query.clone());
        blocking("search audit records", move || {
            let log = trail.log(&tenant);
            let records = entries(&log, log.read_after(Place::default())?.0)?;
            page(records.iter().map(|entry| &entry.record), &tenant, &query)
        })
        .await
    }

    /// Reads the whole file each time: ask for many at once.
    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        let (trail, tenant) = (Arc::clone(&self.trail), tenant.clone());
        blocking("read audit records", move || {
            let log = trail.log(&tenant);
            let entries = entries(&log, log.read_after(Place::default())?.0)?.into_iter();
            Ok(entries
                .filter(|entry| entry.receipt.sequence > after)
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .map(|Entry { receipt, record, .. }| TrailEntry::Record { receipt, record })
                .collect())
        })
        .await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        let (trail, tenant) = (Arc::clone(&self.trail), tenant.clone());
        blocking("read audit head", move || {
            let log = trail.log(&tenant);
            let mut chains = trail.chains.lock().unwrap_or_else(PoisonError::into_inner);
            let chain = chains.entry(tenant).or_default();
            let (lines, read) = log.read_after(chain.read)?;
            chain.catch_up(&log, lines, read)?;
            Ok(chain.linker.head())
        })
        .await
    }

    /// Verifies what is on the disk. A line that cannot be read is a fault of the chain, not an error.
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        let (trail, tenant) = (Arc::clone(&self.trail), tenant.clone());
        blocking("verify audit records", move || {
            let (lines, _) = trail.log(&tenant).read_after(Place::default())?;
            let mut verifier = ChainVerifier::new();
            for line in lines {
                match entry(&line) {
                    Ok(entry) => verifier.push(&entry.receipt, &entry.record),
                    Err(what) => verifier.push_unreadable(format!("line {} {what}", line.number)),
                }
            }
            Ok(verifier.finish())
        })
        .await
    }
}

impl Trail {
    fn log(&self, tenant: &TenantId) -> Log {
        let name = format!("{}.jsonl", short_name(tenant.as_str()));
        Log::new(self.directory.file(&name), FORMAT)
    }

    /// Appends records of `tenant` with one write.
    fn append(&self, tenant: &TenantId, entries: Vec<AuditEntry>) -> Result<Vec<Appended>> {
        let log = self.log(tenant);
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = chains.entry(tenant.clone()).or_default();
        let locked = log.lock()?;
        // Another process may have appended since.
        let (lines, read) = locked.read_after(chain.read)?;
        chain.catch_up(&log, lines, read)?;

        let mut linker = chain.linker.clone();
        let mut fresh: HashMap<Uuid, (AuditReceipt, Digest)> = HashMap::new();
        let (mut answers, mut texts) = (Vec::with_capacity(entries.len()), Vec::new());
        for AuditEntry { record, origin } in entries {
            let content = content(&record)?;
            if let Some((receipt, known)) = chain.known.get(&record.id).or_else(|| fresh.get(&record.id)) {
                answers.push(match *known == content {
                    true => Appended::Known(receipt.clone()),
                    false => Appended::Refused(
                        Error::new(ErrorKind::Conflict, APPEND)
                            .provider("file")
                            .context("record", record.id.to_string())
                            .context("cause", "the id is known with another content"),
                    ),
                });
                continue;
            }
            let receipt = linker.push(&record);
            fresh.insert(record.id, (receipt.clone(), content));
            answers.push(Appended::Stored(receipt.clone()));
            let entry = Entry {
                receipt,
                record,
                origin,
            };
            let text = serde_json::to_string(&entry)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, APPEND).source(source))?;
            texts.push(text);
        }
        if !texts.is_empty() {
            locked.append(&texts)?;
        }
        // What was appended is read back by the next append, as if another process had written it.
        Ok(answers)
    }
}

impl Chain {
    /// Takes note of lines that were read up to `read`.
    fn catch_up(&mut self, log: &Log, lines: Vec<Line>, read: Place) -> Result<()> {
        let entries = entries(log, lines)?;
        // A chain that is broken goes on from its last hash; verifying it shows where it broke.
        let mut tree = self.linker.tree().clone();
        let mut last = None;
        for entry in entries {
            tree.push(leaf(&entry.record));
            self.known
                .insert(entry.record.id, (entry.receipt.clone(), content(&entry.record)?));
            last = Some(entry.receipt);
        }
        if let Some(last) = last {
            self.linker = Linker::new(Some(last), tree);
        }
        self.read = read;
        Ok(())
    }
}

const APPEND: &str = "append audit record";
const FORMAT: &str = "ops-audit/1";

/// Tells records of the same id apart. Salts are no part of what they say.
fn content(record: &AuditRecord) -> Result<Digest> {
    let unsalted;
    let record = match record.salts.is_empty() {
        true => record,
        false => {
            unsalted = AuditRecord {
                salts: BTreeMap::new(),
                ..record.clone()
            };
            &unsalted
        }
    };
    let bytes = serde_json::to_vec(record)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, APPEND).source(source))?;
    Ok(Digest::of(&bytes))
}

fn entries(log: &Log, lines: Vec<Line>) -> Result<Vec<Entry>> {
    lines
        .iter()
        .map(|line| entry(line).map_err(|what| damaged("read audit records", log.path(), line.number, what)))
        .collect()
}

fn entry(line: &Line) -> Result<Entry, &'static str> {
    let text = line.text.as_ref().map_err(|what| *what)?;
    serde_json::from_str(text).map_err(|_| "is no audit record")
}
