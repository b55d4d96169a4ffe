use std::fs;
use std::io;
use std::path::Path;

use ops_core::model::{BackupCopy, CopyKind, Digest};
use serde::Deserialize;

use super::judge::{began, size};

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "Files")]
    files: Vec<ManifestFile>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
struct ManifestFile {
    /// `None`: a name that is no UTF-8.
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
}

/// A folder that `pg_basebackup` wrote: its manifest comes last and has its own digest; of plain files it has the sizes. That every byte is as it
/// was, `pg_verifybackup` tells, which reads them all.
pub(super) fn judge(path: &Path, name: String, tar: Option<&str>) -> io::Result<BackupCopy> {
    let manifest = path.join("backup_manifest");
    let first = match tar {
        Some(tar) => path.join(tar),
        None => path.join("backup_label"),
    };
    let dated = [first, manifest.clone(), path.to_owned()]
        .into_iter()
        .find_map(|file| fs::metadata(file).ok());
    let Some(dated) = dated else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let copy = BackupCopy::new(name, CopyKind::BaseBackup, began(&dated)?, size(path)?);
    let bytes = match fs::read(&manifest) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let fault = "it has no backup_manifest, which is written last: it was cut off";
            return Ok(copy.with_fault(Some(false), fault));
        }
        Err(cause) => return Err(cause),
    };
    Ok(match fault(path, &bytes, tar.is_none()) {
        Some(fault) => copy.with_fault(Some(false), fault),
        // Its parts have no sizes in the manifest.
        None if tar.is_some() => copy.with_fault(
            None,
            "whether its tar files were cut off is not known: pg_verifybackup reads them",
        ),
        None => copy,
    })
}

fn fault(path: &Path, bytes: &[u8], plain: bool) -> Option<String> {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return Some("its backup_manifest cannot be read".to_owned());
    };
    // The digest is of all lines before its own.
    let own = bytes.windows(MARK.len()).rposition(|part| part == MARK);
    let before = own.and_then(|own| bytes.get(..own)).unwrap_or_default();
    if Digest::of(before).to_string() != manifest.checksum {
        return Some("its backup_manifest does not fit its own digest".to_owned());
    }
    if !plain {
        return None;
    }
    let differs = |file: &&ManifestFile| match &file.path {
        Some(name) => fs::metadata(path.join(name)).map_or(true, |found| found.len() != file.size),
        None => false,
    };
    let different = manifest.files.iter().find(differs)?;
    let name = different.path.as_deref().unwrap_or_default();
    Some(format!("the file {name} is missing or has another size"))
}

const MARK: &[u8] = b"\"Manifest-Checksum\"";
