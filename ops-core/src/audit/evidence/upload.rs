use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{EvidenceVerifier, MANIFEST};
use crate::audit::{Checkpoint, Note, NoteVerifier};
use crate::durable::{Sums, blocking, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;
use crate::ports::{ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, Clock, EvidenceArchive};
use crate::resilience::{Deadline, RetryPolicy};

/// A file of an export in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchivedFile {
    /// What it is called there.
    pub name: ArchiveName,
    /// Over its bytes, as they were read back.
    pub sha256: Digest,
    /// What the archive says that it has.
    pub object: ArchivedObject,
}

/// Brings the export in `directory` into `archive`, below `folder`, and holds it there; the manifest comes last. What is there already is not sent again.
///
/// The export is verified before, and every file after: its length and checksum as the archive computed them, then all its bytes as they are read back.
/// What can be tried again is, six times a file, and goes on where the archive says that it stands; `clock` waits in between.
///
/// # Errors
/// [`ErrorKind::Conflict`] when the export does not verify, or when the archive has something else than was sent; as [`EvidenceArchive`].
///
/// # Cancellation
/// Some files may be in the archive: call it again.
pub async fn archive_evidence(
    archive: &dyn EvidenceArchive,
    directory: impl AsRef<Path>,
    folder: &str,
    verifier: &EvidenceVerifier,
    hold: &ArchiveHold,
    clock: &dyn Clock,
) -> Result<Vec<ArchivedFile>> {
    let directory = directory.as_ref().to_owned();
    let (verifier, place) = (verifier.clone(), directory.clone());
    let (verdict, signed) = blocking(UPLOAD, move || {
        Ok((verifier.verify(&place)?, verifier.manifest_signed(&place)?))
    })
    .await?;
    // A trail with faults is evidence too; files that were changed after the export are none.
    let manifest = match (&verdict.manifest, signed) {
        (Some(manifest), Some((same, sha256))) if !verdict.files_changed && *manifest == same => {
            manifest.files().chain([(MANIFEST, sha256)])
        }
        _ => {
            let fault = verdict.faults.iter().find(|fault| fault.kind.is_of_files());
            let what = fault.map_or("the files are not those that were exported", |fault| &fault.what);
            return Err(Error::new(ErrorKind::Conflict, UPLOAD).context("evidence", what));
        }
    };
    let mut named = Vec::new();
    // A name that cannot be is said before anything is sent.
    for (file, sha256) in manifest {
        named.push((
            ArchiveName::new(format!("{folder}/{file}"))?,
            Source::File(directory.join(file), sha256),
        ));
    }
    let mut archived = Vec::new();
    for (name, source) in &named {
        let brought = bring_at_last(archive, source, name, hold, clock).await;
        archived.push(brought.map_err(|error| {
            let there = format!("{} of {} files", archived.len(), named.len());
            error.context("archived", there)
        })?);
    }
    Ok(archived)
}

/// Brings a signed checkpoint into `archive`, as `FOLDER/LOG/TENANT/SIZE`, and holds it there: where it is out of reach of whoever keeps the trail, a trail that was
/// rolled back or computed anew is found later. Read back as every file of evidence.
///
/// An archive never changes an object: of each size it keeps the first checkpoint. The same one, signed by another of `keys`, is no fault, and the first signature stays.
///
/// # Errors
/// [`ErrorKind::PermissionDenied`] when none of `keys` has signed the note; [`ErrorKind::Conflict`] when the archive has something else than this checkpoint in its place: then there
/// may be two trails. [`ErrorKind::InvalidInput`] for a note that is no checkpoint, and for an origin that cannot be a name of an archive; as [`EvidenceArchive`].
///
/// # Cancellation
/// It may be in the archive: call it again.
pub async fn archive_checkpoint(
    archive: &dyn EvidenceArchive,
    folder: &str,
    note: &Note,
    keys: &[NoteVerifier],
    hold: &ArchiveHold,
    clock: &dyn Clock,
) -> Result<ArchivedFile> {
    match bring_checkpoint(archive, folder, note, keys, hold, clock).await? {
        Brought::Kept(file) => Ok(file),
        Brought::Forked(refused) => Err(refused),
    }
}

/// What became of a checkpoint.
#[derive(Debug)]
pub(in crate::audit) enum Brought {
    Kept(ArchivedFile),
    /// One of another trail, of this length and signed by us, has the place.
    Forked(Error),
}

/// As [`archive_checkpoint`], and tells another trail from whatever else is in the way.
pub(in crate::audit) async fn bring_checkpoint(
    archive: &dyn EvidenceArchive,
    folder: &str,
    note: &Note,
    keys: &[NoteVerifier],
    hold: &ArchiveHold,
    clock: &dyn Clock,
) -> Result<Brought> {
    note.verify(keys)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    let name = ArchiveName::new(format!("{folder}/{}/{:020}", checkpoint.origin, checkpoint.size))?;
    let source = Source::Text(note.to_string());
    let refused = match bring_at_last(archive, &source, &name, hold, clock).await {
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        brought => return brought.map(Brought::Kept),
    };
    // Another signature, another trail, or no checkpoint at all.
    let there = archive.read(&name, 0, LONGEST_NOTE).await?;
    let known: Option<Note> = String::from_utf8(there).ok().and_then(|text| text.parse().ok());
    match known {
        Some(known) if known.verify(keys).is_ok() && known.text() == note.text() => {
            let source = Source::Text(known.to_string());
            let brought = bring_at_last(archive, &source, &name, hold, clock).await;
            brought.map(Brought::Kept)
        }
        Some(known) if known.verify(keys).is_ok() => {
            let refused = refused.context("trail", "another one of this length was signed before");
            Ok(Brought::Forked(refused))
        }
        _ => Err(refused),
    }
}

/// What is brought.
#[derive(Clone, Debug)]
enum Source {
    /// The file with this hash: it may have been changed since it was verified.
    File(PathBuf, Digest),
    Text(String),
}

impl Source {
    async fn sums(&self) -> Result<Sums> {
        match self {
            Self::Text(text) => Ok(Sums::of_bytes(text.as_bytes())),
            Self::File(path, sha256) => {
                let file = path.clone();
                let found = blocking(UPLOAD, move || {
                    Sums::of(&file).map_err(|source| refused(UPLOAD, &file, source))
                })
                .await?;
                match found.sha256 == *sha256 {
                    true => Ok(found),
                    false => Err(Self::changed(path, "its bytes are not those that were exported")),
                }
            }
        }
    }

    async fn read(&self, offset: u64, most: u64) -> Result<Vec<u8>> {
        match self {
            Self::Text(text) => {
                let bytes = text.as_bytes();
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                Ok(bytes[from..].iter().take(most).copied().collect())
            }
            Self::File(path, _) => {
                let chunk = read(path.clone(), offset, most).await?;
                match chunk.is_empty() {
                    true => Err(Self::changed(path, "it became shorter meanwhile")),
                    false => Ok(chunk),
                }
            }
        }
    }

    fn changed(path: &Path, reason: &'static str) -> Error {
        Error::new(ErrorKind::Conflict, UPLOAD)
            .context("file", path.display().to_string())
            .context("reason", reason)
    }
}

async fn bring_at_last(
    archive: &dyn EvidenceArchive,
    source: &Source,
    name: &ArchiveName,
    hold: &ArchiveHold,
    clock: &dyn Clock,
) -> Result<ArchivedFile> {
    let deadline = Deadline::after(clock, PATIENCE);
    ATTEMPTS
        .run(clock, deadline, UPLOAD, || bring(archive, source, name, hold))
        .await
}

async fn bring(
    archive: &dyn EvidenceArchive,
    source: &Source,
    name: &ArchiveName,
    hold: &ArchiveHold,
) -> Result<ArchivedFile> {
    let Sums {
        bytes,
        crc32c,
        sha256,
    } = source.sums().await?;
    let upload = ArchiveUpload::new(name.clone(), bytes, sha256)
        .with_crc32c(crc32c)
        .with_hold(hold.clone());
    let mut stands = archive.begin(&upload).await?;
    let multiple = u64::from(archive.capability().chunk.max(1));
    let most = (CHUNK / multiple).max(1) * multiple;
    while stands < bytes {
        let chunk = source.read(stands, most).await?;
        let before = stands;
        stands = archive.put(&upload, stands, &chunk).await?;
        if stands <= before {
            return Err(Error::new(ErrorKind::Unavailable, UPLOAD)
                .context("object", name.as_str())
                .context("reason", "the archive takes nothing more"));
        }
    }
    let object = archive.finish(&upload).await?;
    // One that was there before keeps its own hold, too; where retention is locked, its own is not yet.
    let locks = archive.capability().locks_retention && hold.retained_until.is_some();
    if !object.hold.covers(hold) || locks {
        archive.hold(name, &object.hold.and(hold)).await?;
    }

    let differs = |reason| {
        Error::new(ErrorKind::Conflict, UPLOAD)
            .context("object", name.as_str())
            .context("reason", reason)
    };
    let object = archive
        .observe(name)
        .await?
        .ok_or_else(|| differs("the archive does not have it"))?;
    if (object.bytes, object.crc32c) != (bytes, crc32c) {
        return Err(differs("the archive's checksum is another one"));
    }
    if !object.hold.covers(hold) {
        return Err(differs("the archive does not hold it as asked"));
    }
    if read_back(archive, name, bytes).await? != sha256 {
        return Err(differs("what is read back is not what was sent"));
    }
    Ok(ArchivedFile {
        name: name.clone(),
        sha256,
        object,
    })
}

async fn read_back(archive: &dyn EvidenceArchive, name: &ArchiveName, bytes: u64) -> Result<Digest> {
    let (mut hash, mut offset) = (Sha256::new(), 0);
    // And whether anything is behind.
    while offset <= bytes {
        let chunk = archive
            .read(name, offset, u32::try_from(CHUNK).unwrap_or(u32::MAX))
            .await?;
        if chunk.is_empty() {
            break;
        }
        offset += chunk.len() as u64;
        hash.update(&chunk);
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

async fn read(path: PathBuf, offset: u64, most: u64) -> Result<Vec<u8>> {
    blocking(UPLOAD, move || {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| refused(UPLOAD, &path, source))
    })
    .await
}

const UPLOAD: &str = "upload evidence";
/// How long one file may take, its attempts together.
const PATIENCE: Duration = Duration::from_secs(3 * 3_600);
const ATTEMPTS: RetryPolicy = RetryPolicy {
    attempts: 6,
    first_delay: Duration::from_millis(500),
    longest_delay: Duration::from_secs(30),
};
/// Longer than any checkpoint.
const LONGEST_NOTE: u32 = 64 * 1024;
/// How much is sent and read at once.
const CHUNK: u64 = 4 * 1024 * 1024;
