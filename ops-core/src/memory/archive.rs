use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;
use crate::ports::{
    ArchiveCapability, ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, Clock, EvidenceArchive,
};

/// An archive in memory.
#[derive(Debug)]
pub struct InMemoryArchive {
    shelves: Mutex<Shelves>,
    clock: Arc<dyn Clock>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Shelves {
    begun: BTreeMap<ArchiveName, (ArchiveUpload, Vec<u8>)>,
    objects: BTreeMap<ArchiveName, (Vec<u8>, ArchiveHold)>,
}

impl Shelves {
    /// Whether the object is there, whole.
    fn has(&self, upload: &ArchiveUpload) -> Result<bool> {
        match self.objects.get(&upload.name) {
            None => Ok(false),
            Some((bytes, _)) if Digest::of(bytes) == upload.sha256 => Ok(true),
            Some(_) => Err(refused(
                ErrorKind::Conflict,
                UPLOAD,
                &upload.name,
                "the name has another content",
            )),
        }
    }
}

impl InMemoryArchive {
    /// An empty archive.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shelves: Mutex::default(),
            clock,
            plug: Plug::default(),
        }
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    /// Changes a byte of an object behind everybody's back.
    pub fn damage(&self, name: &ArchiveName) {
        if let Some((bytes, _)) = lock(&self.shelves).objects.get_mut(name)
            && let Some(byte) = bytes.first_mut()
        {
            *byte ^= 1;
        }
    }
}

#[async_trait]
impl EvidenceArchive for InMemoryArchive {
    fn capability(&self) -> ArchiveCapability {
        ArchiveCapability::default()
    }

    async fn begin(&self, upload: &ArchiveUpload) -> Result<u64> {
        self.plug.check(UPLOAD)?;
        let mut shelves = lock(&self.shelves);
        if shelves.has(upload)? {
            return Ok(upload.bytes);
        }
        let (known, bytes) = shelves
            .begun
            .entry(upload.name.clone())
            .or_insert_with(|| (upload.clone(), Vec::new()));
        if known != upload {
            *known = upload.clone();
            bytes.clear();
        }
        Ok(bytes.len() as u64)
    }

    async fn put(&self, upload: &ArchiveUpload, offset: u64, chunk: &[u8]) -> Result<u64> {
        self.plug.check(UPLOAD)?;
        let mut shelves = lock(&self.shelves);
        let Some((_, bytes)) = shelves
            .begun
            .get_mut(&upload.name)
            .filter(|(known, _)| known == upload)
        else {
            return Err(refused(
                ErrorKind::NotFound,
                UPLOAD,
                &upload.name,
                "begin the upload first",
            ));
        };
        if bytes.len() as u64 != offset || offset + chunk.len() as u64 > upload.bytes {
            return Err(refused(
                ErrorKind::Conflict,
                UPLOAD,
                &upload.name,
                "the upload stands elsewhere",
            ));
        }
        bytes.extend_from_slice(chunk);
        Ok(bytes.len() as u64)
    }

    async fn finish(&self, upload: &ArchiveUpload) -> Result<ArchivedObject> {
        self.plug.check(UPLOAD)?;
        let mut shelves = lock(&self.shelves);
        if !shelves.has(upload)?
            && let Some((known, bytes)) = shelves.begun.remove(&upload.name)
        {
            if (bytes.len() as u64) < known.bytes {
                shelves.begun.insert(upload.name.clone(), (known, bytes));
                return Err(refused(
                    ErrorKind::Conflict,
                    UPLOAD,
                    &upload.name,
                    "bytes are missing",
                ));
            }
            if Digest::of(&bytes) != upload.sha256 {
                return Err(refused(
                    ErrorKind::InvalidInput,
                    UPLOAD,
                    &upload.name,
                    "the bytes do not have the hash of the upload",
                ));
            }
            shelves
                .objects
                .insert(upload.name.clone(), (bytes, upload.hold.clone()));
        }
        match shelves.objects.get(&upload.name) {
            Some((bytes, hold)) => Ok(object(bytes, hold)),
            None => Err(refused(
                ErrorKind::NotFound,
                UPLOAD,
                &upload.name,
                "begin the upload first",
            )),
        }
    }

    async fn observe(&self, name: &ArchiveName) -> Result<Option<ArchivedObject>> {
        self.plug.check("observe archive")?;
        let shelves = lock(&self.shelves);
        Ok(shelves.objects.get(name).map(|(bytes, hold)| object(bytes, hold)))
    }

    async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> Result<Vec<u8>> {
        self.plug.check("read archive")?;
        let shelves = lock(&self.shelves);
        let Some((bytes, _)) = shelves.objects.get(name) else {
            return Err(refused(
                ErrorKind::NotFound,
                "read archive",
                name,
                "there is no such object",
            ));
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(bytes[from..].iter().take(most).copied().collect())
    }

    async fn hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> Result<()> {
        self.plug.check(HOLD)?;
        let mut shelves = lock(&self.shelves);
        let Some((_, known)) = shelves.objects.get_mut(name) else {
            return Err(refused(
                ErrorKind::NotFound,
                HOLD,
                name,
                "there is no such object",
            ));
        };
        if hold.retained_until < known.retained_until {
            return Err(refused(
                ErrorKind::PermissionDenied,
                HOLD,
                name,
                "a retention time can be moved further away only",
            ));
        }
        *known = hold.clone();
        Ok(())
    }

    async fn delete(&self, name: &ArchiveName) -> Result<()> {
        self.plug.check(DELETE)?;
        let mut shelves = lock(&self.shelves);
        if let Some((_, hold)) = shelves.objects.get(name)
            && (hold.held || hold.retained_until.is_some_and(|until| until > self.clock.now()))
        {
            return Err(refused(
                ErrorKind::PermissionDenied,
                DELETE,
                name,
                "the object is held",
            ));
        }
        shelves.objects.remove(name);
        Ok(())
    }
}

const UPLOAD: &str = "upload evidence";
const HOLD: &str = "hold evidence";
const DELETE: &str = "delete evidence";

fn object(bytes: &[u8], hold: &ArchiveHold) -> ArchivedObject {
    ArchivedObject::new(bytes.len() as u64, crc32c::crc32c(bytes), hold.clone())
}

fn refused(kind: ErrorKind, operation: &'static str, name: &ArchiveName, reason: &'static str) -> Error {
    Error::new(kind, operation)
        .provider("memory")
        .context("object", name.as_str())
        .context("reason", reason)
}
