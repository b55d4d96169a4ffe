use std::fs;
use std::io;
use std::path::Path;

use super::codec::PartEntry;
use super::fault::{EvidenceFault, EvidenceFaultKind as Kind, EvidenceVerdict};
use super::manifest::{EvidenceManifest, EvidencePart, KeptCheckpoint};
use super::part::{Damage, PartReader};
use super::walk::Walk;
use super::{CHECKPOINT, MANIFEST, PART};
use crate::audit::{Checkpoint, Note, NoteVerifier};
use crate::durable::refused;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest};
use crate::ports::AuditReceipt;

/// Checks an export by its files and public keys alone: no store, no network, no clock.
///
/// Whoever has the private key can sign another trail: only a checkpoint from before, kept elsewhere, shows that.
#[derive(Clone, Debug)]
pub struct EvidenceVerifier {
    keys: Vec<NoteVerifier>,
    seen: Vec<Checkpoint>,
}

impl EvidenceVerifier {
    /// Believes what any of `keys` signed.
    pub fn new(keys: Vec<NoteVerifier>) -> Self {
        Self {
            keys,
            seen: Vec::new(),
        }
    }

    /// Also compares with a checkpoint that was kept elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] when no known key signed it; [`ErrorKind::InvalidInput`] when it is no checkpoint.
    pub fn with_seen(mut self, checkpoint: &Note) -> Result<Self> {
        checkpoint.verify(&self.keys)?;
        self.seen.push(checkpoint.text().parse()?);
        Ok(self)
    }

    /// Checks the export in `directory`. Blocks; memory does not grow with the export.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without such a directory; [`ErrorKind::Unavailable`] and [`ErrorKind::PermissionDenied`] when a file cannot be read;
    /// [`ErrorKind::InvalidInput`] for a kept checkpoint of another tenant. What is wrong with the files is in the verdict.
    pub fn verify(&self, directory: impl AsRef<Path>) -> Result<EvidenceVerdict> {
        self.verify_each(directory, |_, _| {})
    }

    /// As [`verify`](Self::verify), and shows each record on the way. Only after an intact verdict is it known to be what was signed.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_each(
        &self,
        directory: impl AsRef<Path>,
        mut show: impl FnMut(&AuditReceipt, &AuditRecord),
    ) -> Result<EvidenceVerdict> {
        let directory = directory.as_ref();
        if !directory.is_dir() {
            return Err(Error::new(ErrorKind::NotFound, VERIFY)
                .context("directory", directory.display().to_string())
                .context("remedy", "name the directory that holds `manifest`"));
        }
        let mut verdict = EvidenceVerdict::default();
        let Some(manifest) = self.manifest(directory, &mut verdict)? else {
            return Ok(verdict);
        };
        for seen in &self.seen {
            if seen.tenant() != Some(manifest.tenant.as_str()) {
                return Err(Error::new(ErrorKind::InvalidInput, VERIFY)
                    .context("checkpoint", "must be of the tenant that was exported"));
            }
        }
        for fault in &manifest.faults {
            verdict.push(EvidenceFault::new(Kind::FoundAtExport, &fault.what).at(fault.sequence));
        }
        verdict.more_faults += manifest.fault_count.saturating_sub(manifest.faults.len() as u64);
        let checkpoint = match &manifest.checkpoint {
            Some(kept) => self.checkpoint(directory, kept, &manifest, &mut verdict)?,
            None => None,
        };
        let mut walk = Walk::new(&manifest, self.seen.clone());
        for part in &manifest.parts {
            walk.enter(part);
            check_part(directory, part, &mut walk, &mut verdict, &mut show)?;
        }
        walk.finish(checkpoint.as_ref(), &mut verdict);
        strangers(directory, &manifest, &mut verdict)?;
        verdict.manifest = Some(manifest);
        Ok(verdict)
    }

    fn manifest(&self, directory: &Path, verdict: &mut EvidenceVerdict) -> Result<Option<EvidenceManifest>> {
        let fault = |kind, what| EvidenceFault::new(kind, what).in_file(MANIFEST);
        let Some(bytes) = read(&directory.join(MANIFEST))? else {
            verdict.push(fault(
                Kind::NoManifest,
                "there is none: the export did not end, or it was taken away",
            ));
            return Ok(None);
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        match EvidenceManifest::open(&text, &self.keys) {
            Ok(manifest) => return Ok(Some(manifest)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !self.claimed(&text) => {
                verdict.push(fault(Kind::WrongKey, "no known key signed it"));
            }
            Err(_) => verdict.push(fault(Kind::ManifestEdited, "it is not what was signed")),
        }
        Ok(None)
    }

    /// The manifest with the hash of its bytes, if a known key signed it.
    pub(in crate::audit) fn manifest_signed(
        &self,
        directory: &Path,
    ) -> Result<Option<(EvidenceManifest, Digest)>> {
        let Some(bytes) = read(&directory.join(MANIFEST))? else {
            return Ok(None);
        };
        let sha256 = Digest::of(&bytes);
        let manifest = String::from_utf8(bytes)
            .ok()
            .and_then(|text| EvidenceManifest::open(&text, &self.keys).ok());
        Ok(manifest.map(|manifest| (manifest, sha256)))
    }

    /// Whether a line says that it is the signature of a known key.
    fn claimed(&self, text: &str) -> bool {
        let marks: Vec<_> = self
            .keys
            .iter()
            .map(|key| format!("\u{2014} {} ", key.name()))
            .collect();
        text.lines()
            .any(|line| marks.iter().any(|mark| line.starts_with(mark)))
    }

    fn checkpoint(
        &self,
        directory: &Path,
        kept: &KeptCheckpoint,
        manifest: &EvidenceManifest,
        verdict: &mut EvidenceVerdict,
    ) -> Result<Option<Checkpoint>> {
        let Some(bytes) = read(&directory.join(CHECKPOINT))? else {
            verdict.push(EvidenceFault::new(Kind::PartMissing, "the file is missing").in_file(CHECKPOINT));
            return Ok(None);
        };
        let signed = || -> Result<Checkpoint> {
            let note: Note = String::from_utf8(bytes.clone()).unwrap_or_default().parse()?;
            note.verify(&self.keys)?;
            note.text().parse()
        };
        let fits = |checkpoint: &Checkpoint| {
            checkpoint.tenant() == Some(manifest.tenant.as_str())
                && checkpoint.size == manifest.size
                && Some(checkpoint.root) == manifest.root
        };
        match signed() {
            Ok(checkpoint) if Digest::of(&bytes) == kept.sha256 && fits(&checkpoint) => Ok(Some(checkpoint)),
            _ => {
                let what = "it is not the one that was signed with the manifest";
                verdict.push(EvidenceFault::new(Kind::CheckpointEdited, what).in_file(CHECKPOINT));
                Ok(None)
            }
        }
    }
}

fn check_part<'a>(
    directory: &Path,
    part: &'a EvidencePart,
    walk: &mut Walk<'a>,
    verdict: &mut EvidenceVerdict,
    show: &mut impl FnMut(&AuditReceipt, &AuditRecord),
) -> Result<()> {
    let path = directory.join(&part.name);
    let disk = |source| refused(VERIFY, &path, source);
    let mut reader = match PartReader::open(&path) {
        Ok(reader) => reader,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            verdict.push(EvidenceFault::new(Kind::PartMissing, "the file is missing").in_file(&part.name));
            walk.lose(part);
            return Ok(());
        }
        Err(source) => return Err(disk(source)),
    };
    let mut ended = reader.begin();
    while ended.is_ok() {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(entry)) => {
                if let PartEntry::Record { receipt, record } = &entry {
                    show(receipt, record);
                }
                walk.take(&entry, verdict);
            }
            Err(damage) => ended = Err(damage),
        }
    }
    if let Err(Damage::Disk(source)) = ended {
        return Err(disk(source));
    }
    let whole = reader.finish().map_err(disk)?;
    if whole != (part.bytes, part.sha256) || ended.is_err() {
        let what = "its bytes are not those that were exported";
        verdict.push(EvidenceFault::new(Kind::PartEdited, what).in_file(&part.name));
    }
    if ended.is_err() {
        walk.lose(part);
    }
    Ok(())
}

/// Files that look like parts and are none of this export.
fn strangers(directory: &Path, manifest: &EvidenceManifest, verdict: &mut EvidenceVerdict) -> Result<()> {
    let failed = |source| refused(VERIFY, directory, source);
    let mut strangers = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PART) && !manifest.parts.iter().any(|part| part.name == name) {
            strangers.push(name);
        }
    }
    strangers.sort_unstable();
    for name in strangers {
        verdict
            .push(EvidenceFault::new(Kind::Inserted, "the manifest does not name this file").in_file(&name));
    }
    Ok(())
}

/// What a small file holds; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused(VERIFY, path, source)),
    }
}

const VERIFY: &str = "verify evidence";
