use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{EvidenceVerifier, MANIFEST};
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
    let mut archived = Vec::new();
    for (file, sha256) in manifest {
        let name = ArchiveName::new(format!("{folder}/{file}"))?;
        let path = directory.join(file);
        let deadline = Deadline::after(clock, PATIENCE);
        let attempt = || bring(archive, path.clone(), name.clone(), sha256, hold);
        archived.push(ATTEMPTS.run(clock, deadline, UPLOAD, attempt).await?);
    }
    Ok(archived)
}

/// Brings the file with this hash: it may have been changed since it was verified.
async fn bring(
    archive: &dyn EvidenceArchive,
    path: PathBuf,
    name: ArchiveName,
    sha256: Digest,
    hold: &ArchiveHold,
) -> Result<ArchivedFile> {
    let file = path.clone();
    let found = blocking(UPLOAD, move || {
        Sums::of(&file).map_err(|source| refused(UPLOAD, &file, source))
    })
    .await?;
    if found.sha256 != sha256 {
        return Err(Error::new(ErrorKind::Conflict, UPLOAD)
            .context("file", path.display().to_string())
            .context("reason", "its bytes are not those that were exported"));
    }
    let Sums { bytes, crc32c, .. } = found;
    let upload = ArchiveUpload::new(name.clone(), bytes, sha256)
        .with_crc32c(crc32c)
        .with_hold(hold.clone());
    let mut stands = archive.begin(&upload).await?;
    let multiple = u64::from(archive.capability().chunk.max(1));
    let most = (CHUNK / multiple).max(1) * multiple;
    while stands < bytes {
        let chunk = read(path.clone(), stands, most).await?;
        if chunk.is_empty() {
            return Err(Error::new(ErrorKind::Conflict, UPLOAD)
                .context("file", path.display().to_string())
                .context("reason", "it became shorter meanwhile"));
        }
        stands = archive.put(&upload, stands, &chunk).await?;
    }
    let object = archive.finish(&upload).await?;
    // One that was there before keeps its own hold.
    if !object.hold.covers(hold) {
        archive.hold(&name, hold).await?;
    }

    let differs = |reason| {
        Error::new(ErrorKind::Conflict, UPLOAD)
            .context("object", name.as_str())
            .context("reason", reason)
    };
    let object = archive
        .observe(&name)
        .await?
        .ok_or_else(|| differs("the archive does not have it"))?;
    if (object.bytes, object.crc32c) != (bytes, crc32c) {
        return Err(differs("the archive's checksum is another one"));
    }
    if !object.hold.covers(hold) {
        return Err(differs("the archive does not hold it as asked"));
    }
    if read_back(archive, &name).await? != sha256 {
        return Err(differs("what is read back is not what was sent"));
    }
    Ok(ArchivedFile { name, sha256, object })
}

async fn read_back(archive: &dyn EvidenceArchive, name: &ArchiveName) -> Result<Digest> {
    let (mut hash, mut offset) = (Sha256::new(), 0);
    loop {
        let chunk = archive
            .read(name, offset, u32::try_from(CHUNK).unwrap_or(u32::MAX))
            .await?;
        if chunk.is_empty() {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        offset += chunk.len() as u64;
        hash.update(&chunk);
    }
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
/// How much is sent and read at once.
const CHUNK: u64 = 4 * 1024 * 1024;
