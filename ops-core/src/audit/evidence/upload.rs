use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::EvidenceVerifier;
use crate::durable::{blocking, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;
use crate::ports::{ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, EvidenceArchive};

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
) -> Result<Vec<ArchivedFile>> {
    let directory = directory.as_ref().to_owned();
    let (verifier, place) = (verifier.clone(), directory.clone());
    let verdict = blocking(UPLOAD, move || verifier.verify(place)).await?;
    // A trail with faults is evidence too; files that were changed after the export are none.
    let changed = verdict.faults.iter().find(|fault| fault.kind.is_of_files());
    let manifest = match (&verdict.manifest, changed) {
        (Some(manifest), None) => manifest,
        (_, fault) => {
            let what = fault.map_or("it does not verify", |fault| &fault.what);
            return Err(Error::new(ErrorKind::Conflict, UPLOAD).context("evidence", what));
        }
    };
    let mut archived = Vec::new();
    for file in manifest.files() {
        let name = ArchiveName::new(format!("{folder}/{file}"))?;
        archived.push(bring(archive, directory.join(file), name, hold).await?);
    }
    Ok(archived)
}

async fn bring(
    archive: &dyn EvidenceArchive,
    path: PathBuf,
    name: ArchiveName,
    hold: &ArchiveHold,
) -> Result<ArchivedFile> {
    let (sha256, crc32c, bytes) = sums(path.clone()).await?;
    let upload = ArchiveUpload::new(name.clone(), bytes, sha256);
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
    archive.finish(&upload).await?;
    archive.hold(&name, hold).await?;

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
    if object.hold != *hold {
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

async fn sums(path: PathBuf) -> Result<(Digest, u32, u64)> {
    blocking(UPLOAD, move || {
        let failed = |source| refused(UPLOAD, &path, source);
        let mut file = File::open(&path).map_err(failed)?;
        let (mut hash, mut crc, mut bytes) = (Sha256::new(), 0, 0);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Ok((Digest::from_bytes(hash.finalize().into()), crc, bytes));
            }
            hash.update(&buffer[..read]);
            crc = crc32c::crc32c_append(crc, &buffer[..read]);
            bytes += read as u64;
        }
    })
    .await
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
/// How much is sent and read at once.
const CHUNK: u64 = 4 * 1024 * 1024;
