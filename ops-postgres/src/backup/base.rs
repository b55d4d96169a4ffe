use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use ops_core::model::{BackupCopy, CopyKind, Digest};
use serde::Deserialize;

use super::judge::{began, begun, size};
use super::label;
use super::tar::Tar;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "Files")]
    files: Vec<ManifestFile>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
    /// Which server; from version 17 on.
    #[serde(rename = "System-Identifier", default)]
    system: Option<u64>,
}

#[derive(Deserialize)]
struct ManifestFile {
    /// `None`: a name that is no UTF-8.
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
}

/// A folder that `pg_basebackup` wrote: its manifest comes last and has its own digest; it has the sizes of files, and so the least size of tar files. That every byte is as it
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
    let plain = tar == Some("base.tar");
    let parts = if plain { tars(path)? } else { Vec::new() };
    let (label, control) = match tar {
        None => (
            first_bytes(&path.join("backup_label"))?,
            first_bytes(&path.join("global/pg_control"))?,
        ),
        Some(_) => {
            let label = parts.iter().find_map(|(_, part)| part.label.clone());
            (label, parts.iter().find_map(|(_, part)| part.control.clone()))
        }
    };
    let mut copy = begun(copy, label.and_then(|label| label::began(&label)));
    // It stands at the beginning, as the machine writes its numbers.
    let system = control.as_deref().and_then(<[u8]>::first_chunk);
    copy.system = system.map(|system| u64::from_ne_bytes(*system).to_string());
    let bytes = match fs::read(&manifest) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let fault = "it has no backup_manifest, which is written last: it was cut off";
            return Ok(copy.with_fault(Some(false), fault));
        }
        Err(cause) => return Err(cause),
    };
    let manifest = match read(&bytes) {
        Ok(manifest) => manifest,
        Err(fault) => return Ok(copy.with_fault(Some(false), fault)),
    };
    copy.system = manifest.system.map(|system| system.to_string()).or(copy.system);
    let fault = match tar {
        None => differing(path, &manifest.files),
        Some(_) if plain => cut_off(&parts, &manifest.files),
        Some(_) => {
            let fault =
                "compressed: whether its tar files were cut off is not known; pg_verifybackup reads them";
            return Ok(copy.with_fault(None, fault));
        }
    };
    Ok(match fault {
        Some(fault) => copy.with_fault(Some(false), fault),
        None => copy,
    })
}

fn read(bytes: &[u8]) -> Result<Manifest, &'static str> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|_| "its backup_manifest cannot be read")?;
    // The digest is of all lines before its own.
    let own = bytes.windows(MARK.len()).rposition(|part| part == MARK);
    let before = own.and_then(|own| bytes.get(..own)).unwrap_or_default();
    match Digest::of(before).to_string() == manifest.checksum {
        true => Ok(manifest),
        false => Err("its backup_manifest does not fit its own digest"),
    }
}

fn differing(path: &Path, files: &[ManifestFile]) -> Option<String> {
    let differs = |file: &&ManifestFile| match &file.path {
        Some(name) => fs::metadata(path.join(name)).map_or(true, |found| found.len() != file.size),
        None => false,
    };
    let different = files.iter().find(differs)?;
    let name = different.path.as_deref().unwrap_or_default();
    Some(format!("the file {name} is missing or has another size"))
}

/// The tar files: one of the data, one of each tablespace, and one of the log.
fn tars(path: &Path) -> io::Result<Vec<(String, Tar)>> {
    let mut tars = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "tar") {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            tars.push((name.into_owned(), Tar::read(&file)?));
        }
    }
    Ok(tars)
}

fn cut_off(tars: &[(String, Tar)], files: &[ManifestFile]) -> Option<String> {
    if let Some((name, _)) = tars.iter().find(|(_, tar)| !tar.whole) {
        return Some(format!("{name} ends in the middle: it was cut off"));
    }
    // The log is not in the manifest.
    let data = tars.iter().filter(|(name, _)| name != "pg_wal.tar");
    let there: u64 = data.map(|(_, tar)| tar.bytes).sum();
    let wanted: u64 = files.iter().map(|file| file.size).sum();
    (there < wanted).then(|| "its tar files hold less than its backup_manifest names".to_owned())
}

fn first_bytes(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(file) {
        Ok(opened) => opened.take(1024).read_to_end(&mut bytes)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    Ok(Some(bytes))
}

const MARK: &[u8] = b"\"Manifest-Checksum\"";
