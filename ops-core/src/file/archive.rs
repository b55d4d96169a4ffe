use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::durable::{Directory, Lock, Sums, blocking, file_name, private, refused, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;
use crate::ports::{
    ArchiveCapability, ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, Clock, EvidenceArchive,
};

/// An archive in a directory: a disk of another machine, or a drive that is taken away.
///
/// Objects are files that nobody may write (mode 0400). Hold and retention are notes beside them that this program keeps to: whoever may write the
/// directory can remove a file all the same. Verifying the evidence shows it.
#[derive(Clone, Debug)]
pub struct DirectoryArchive {
    shelves: Arc<Shelves>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Shelves {
    /// Whole objects, under their names.
    objects: Directory,
    /// Uploads that have not ended.
    begun: Directory,
    /// What protects an object.
    holds: Directory,
}

impl DirectoryArchive {
    /// Opens the archive in `directory`, making it if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let shelves = Shelves {
            objects: directory.within("objects")?,
            begun: directory.within("begun")?,
            holds: directory.within("holds")?,
        };
        Ok(Self {
            shelves: Arc::new(shelves),
            clock,
        })
    }

    /// Where an object lies.
    pub fn path(&self, name: &ArchiveName) -> PathBuf {
        self.shelves.object(name)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Shelves) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shelves = Arc::clone(&self.shelves);
        blocking(operation, move || {
            let _alone = Lock::take(&shelves.begun.file("lock"))?;
            work(&shelves)
        })
        .await
    }
}

#[async_trait]
impl EvidenceArchive for DirectoryArchive {
    fn capability(&self) -> ArchiveCapability {
        ArchiveCapability {
            resumes_across_processes: true,
            ..ArchiveCapability::default()
        }
    }

    async fn begin(&self, upload: &ArchiveUpload) -> Result<u64> {
        let upload = upload.clone();
        self.on_disk(UPLOAD, move |shelves| {
            if shelves.has(&upload)?.is_some() {
                return Ok(upload.bytes);
            }
            let part = shelves.part(&upload);
            private()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&part)
                .and_then(|file| Ok(file.metadata()?.len()))
                .map_err(|source| refused(UPLOAD, &part, source))
        })
        .await
    }

    async fn put(&self, upload: &ArchiveUpload, offset: u64, chunk: &[u8]) -> Result<u64> {
        let (upload, chunk) = (upload.clone(), chunk.to_vec());
        self.on_disk(UPLOAD, move |shelves| {
            let part = shelves.part(&upload);
            let failed = |source| refused(UPLOAD, &part, source);
            let mut file = match File::options().append(true).open(&part) {
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                    return Err(denied(
                        ErrorKind::NotFound,
                        UPLOAD,
                        &upload.name,
                        "begin the upload first",
                    ));
                }
                opened => opened.map_err(failed)?,
            };
            let end = offset + chunk.len() as u64;
            if file.metadata().map_err(failed)?.len() != offset || end > upload.bytes {
                return Err(denied(
                    ErrorKind::Conflict,
                    UPLOAD,
                    &upload.name,
                    "the upload stands elsewhere",
                ));
            }
            file.write_all(&chunk)
                .and_then(|()| file.sync_data())
                .map_err(failed)?;
            Ok(end)
        })
        .await
    }

    async fn finish(&self, upload: &ArchiveUpload) -> Result<ArchivedObject> {
        let upload = upload.clone();
        self.on_disk(UPLOAD, move |shelves| {
            let part = shelves.part(&upload);
            // Another upload of this name may have ended since this one began.
            if let Some(found) = shelves.has(&upload)? {
                return shelves.archived(&upload.name, &found);
            }
            if !part.exists() {
                return Err(denied(
                    ErrorKind::NotFound,
                    UPLOAD,
                    &upload.name,
                    "begin the upload first",
                ));
            }
            let found = sums(&part)?;
            if found.bytes < upload.bytes {
                return Err(denied(
                    ErrorKind::Conflict,
                    UPLOAD,
                    &upload.name,
                    "bytes are missing",
                ));
            }
            if found.sha256 != upload.sha256 {
                fs::remove_file(&part).map_err(|source| refused(UPLOAD, &part, source))?;
                let reason = "the bytes do not have the hash of the upload";
                return Err(denied(ErrorKind::InvalidInput, UPLOAD, &upload.name, reason));
            }
            // Before the object is there: it is held from its first moment. A note that outlived its object still holds.
            let known = shelves.hold(&upload.name)?;
            if !known.covers(&upload.hold) {
                shelves.write_hold(&upload.name, &known.and(&upload.hold))?;
            }
            shelves.shelve(&part, &upload.name)?;
            shelves.archived(&upload.name, &found)
        })
        .await
    }

    async fn observe(&self, name: &ArchiveName) -> Result<Option<ArchivedObject>> {
        let name = name.clone();
        self.on_disk("observe archive", move |shelves| shelves.observe(&name))
            .await
    }

    async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> Result<Vec<u8>> {
        let name = name.clone();
        self.on_disk(READ, move |shelves| {
            let path = shelves.object(&name);
            let mut bytes = Vec::new();
            let read = File::open(&path).and_then(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                file.take(u64::from(most)).read_to_end(&mut bytes)
            });
            match read {
                Ok(_) => Ok(bytes),
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => Err(denied(
                    ErrorKind::NotFound,
                    READ,
                    &name,
                    "there is no such object",
                )),
                Err(source) => Err(refused(READ, &path, source)),
            }
        })
        .await
    }

    async fn hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> Result<()> {
        let (name, hold) = (name.clone(), hold.clone());
        self.on_disk(HOLD, move |shelves| {
            if !shelves.object(&name).exists() {
                return Err(denied(
                    ErrorKind::NotFound,
                    HOLD,
                    &name,
                    "there is no such object",
                ));
            }
            if hold.retained_until < shelves.hold(&name)?.retained_until {
                let reason = "a retention time can be moved further away only";
                return Err(denied(ErrorKind::PermissionDenied, HOLD, &name, reason));
            }
            shelves.write_hold(&name, &hold)
        })
        .await
    }

    async fn delete(&self, name: &ArchiveName) -> Result<()> {
        let (name, now) = (name.clone(), self.clock.now());
        self.on_disk(DELETE, move |shelves| {
            // A note without its object is what an upload left that did not end: it holds the one that comes.
            if !shelves.object(&name).exists() {
                return Ok(());
            }
            let hold = shelves.hold(&name)?;
            if hold.held || hold.retained_until.is_some_and(|until| until > now) {
                return Err(denied(
                    ErrorKind::PermissionDenied,
                    DELETE,
                    &name,
                    "the object is held",
                ));
            }
            for path in [
                shelves.object(&name),
                shelves.note(&name),
                shelves.note_before(&name),
            ] {
                match fs::remove_file(&path) {
                    Err(failed)
                        if !matches!(
                            failed.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename
                        ) =>
                    {
                        return Err(refused(DELETE, &path, failed));
                    }
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }
}

impl Shelves {
    fn object(&self, name: &ArchiveName) -> PathBuf {
        self.objects.file(name.as_str())
    }

    fn note(&self, name: &ArchiveName) -> PathBuf {
        self.holds.file(&Digest::of(name.as_str().as_bytes()).to_string())
    }

    /// Where a note was before: a long name had no room there.
    fn note_before(&self, name: &ArchiveName) -> PathBuf {
        self.holds.file(&file_name(name.as_str()))
    }

    fn write_hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> Result<()> {
        let note = serde_json::to_vec(hold)
            .map_err(|source| Error::new(ErrorKind::Unexpected, HOLD).source(source))?;
        write_plain(&self.note(name), note)
    }

    /// What the object holds, if it is there, whole.
    fn has(&self, upload: &ArchiveUpload) -> Result<Option<Sums>> {
        let object = self.object(&upload.name);
        if !object.exists() {
            return Ok(None);
        }
        let found = sums(&object)?;
        match found.sha256 == upload.sha256 {
            true => Ok(Some(found)),
            false => Err(denied(
                ErrorKind::Conflict,
                UPLOAD,
                &upload.name,
                "the name has another content",
            )),
        }
    }

    /// An upload of another content begins anew.
    fn part(&self, upload: &ArchiveUpload) -> PathBuf {
        self.begun.file(&format!(
            "{:.32}-{}",
            upload.sha256.to_string(),
            Digest::of(upload.name.as_str().as_bytes())
        ))
    }

    /// Gives a whole upload its name, for good.
    fn shelve(&self, part: &Path, name: &ArchiveName) -> Result<()> {
        let object = self.object(name);
        let failed = |source| refused(UPLOAD, &object, source);
        let folder = object
            .parent()
            .map_or_else(|| self.objects.file(""), Path::to_owned);
        let folder = Directory::open(folder)?;
        let mut rights = fs::metadata(part).map_err(failed)?.permissions();
        rights.set_readonly(true);
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o400);
        fs::set_permissions(part, rights).map_err(failed)?;
        fs::rename(part, &object).map_err(failed)?;
        folder.sync()
    }

    fn observe(&self, name: &ArchiveName) -> Result<Option<ArchivedObject>> {
        let path = self.object(name);
        if !path.is_file() {
            return Ok(None);
        }
        self.archived(name, &sums(&path)?).map(Some)
    }

    fn archived(&self, name: &ArchiveName, found: &Sums) -> Result<ArchivedObject> {
        Ok(ArchivedObject::new(found.bytes, found.crc32c, self.hold(name)?))
    }

    fn hold(&self, name: &ArchiveName) -> Result<ArchiveHold> {
        for path in [self.note(name), self.note_before(name)] {
            match fs::read(&path) {
                // The second name may be too long to be one.
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
                Err(long) if long.kind() == io::ErrorKind::InvalidFilename => {}
                Err(source) => return Err(refused(HOLD, &path, source)),
                // A note that cannot be read must not free what it held.
                Ok(note) => {
                    return serde_json::from_slice(&note).map_err(|_| {
                        Error::new(ErrorKind::Unexpected, HOLD)
                            .provider("file")
                            .context("file", path.display().to_string())
                    });
                }
            }
        }
        Ok(ArchiveHold::default())
    }
}

fn sums(path: &Path) -> Result<Sums> {
    Sums::of(path).map_err(|source| refused(READ, path, source))
}

const UPLOAD: &str = "upload evidence";
const READ: &str = "read archive";
const HOLD: &str = "hold evidence";
const DELETE: &str = "delete evidence";

fn denied(kind: ErrorKind, operation: &'static str, name: &ArchiveName, reason: &'static str) -> Error {
    Error::new(kind, operation)
        .provider("file")
        .context("object", name.as_str())
        .context("reason", reason)
}
