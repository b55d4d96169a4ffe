use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::manifest::{EvidenceManifest, KeptCheckpoint};
use super::writer::{Walked, Writer};
use super::{CHECKPOINT, MANIFEST, is_of_export};
use crate::audit::{Checkpoint, Note, NoteSigner};
use crate::durable::{Directory, Lock, blocking, refused, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, Digest, TenantId, Timestamp};
use crate::ports::{Clock, EvidenceFilter, EvidenceSource, TrailExtent, TrailRows};

/// What is exported, for what and by whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvidenceRequest {
    /// Whose trail.
    pub tenant: TenantId,
    /// What for: the id of an incident.
    pub incident: String,
    /// Who asks.
    pub by: Actor,
    /// Which records; by default all of the tenant.
    pub filter: EvidenceFilter,
    /// No record at all is an answer, not an error.
    pub allow_empty: bool,
    /// Checkpoints that were signed before: the trail must still be the one.
    pub seen: Vec<Checkpoint>,
}

impl EvidenceRequest {
    /// The whole trail of `tenant`; that it has no record is an error.
    pub fn new(tenant: TenantId, incident: impl Into<String>, by: Actor) -> Self {
        Self {
            tenant,
            incident: incident.into(),
            by,
            filter: EvidenceFilter::default(),
            allow_empty: false,
            seen: Vec::new(),
        }
    }
}

/// Writes evidence: the records of one moment as compressed parts, a signed checkpoint over the whole trail, and a signed manifest.
///
/// - Records that the filter leaves out are in the parts too, as what stands for them in the hash tree: whoever verifies sees that the records are
///   those of the trail that was signed, in their places, and how many are left out.
/// - A trail with faults is exported all the same, it is evidence. The manifest names the faults, and no checkpoint is signed.
/// - Memory does not grow with the trail.
///
/// What it writes is checked with [`EvidenceVerifier`](super::EvidenceVerifier). It records nothing: see
/// [`AuditReader`](crate::audit::AuditReader) for exports that are audited.
#[derive(Debug)]
pub struct EvidenceExport {
    source: Arc<dyn EvidenceSource>,
    signers: Vec<NoteSigner>,
    clock: Arc<dyn Clock>,
    part_bytes: u64,
    software: String,
}

impl EvidenceExport {
    /// Exports of `source`, signed with the key of the log, whose name is in the checkpoint.
    pub fn new(source: Arc<dyn EvidenceSource>, signer: NoteSigner, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            signers: vec![signer],
            clock,
            part_bytes: PART_BYTES,
            software: concat!("ops-core ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Also signs with this key: a witness, or the next key while keys are changed.
    #[must_use]
    pub fn with_signer(mut self, signer: NoteSigner) -> Self {
        self.signers.push(signer);
        self
    }

    /// How long a part becomes, compressed and about; 64 MiB by default.
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: u64) -> Self {
        self.part_bytes = bytes.max(1);
        self
    }

    /// Writes the evidence into `directory`, which is made, or is empty, or has what an export left behind that did not end: that is removed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when no record meets the filter, unless that was allowed; [`ErrorKind::Conflict`] when more or fewer
    /// records came than the snapshot counted; [`ErrorKind::InvalidInput`] for a directory that is not empty or a checkpoint of another
    /// tenant; as [`EvidenceSource::snapshot`] and for files. What was written until then stays, without a manifest, until the next export into the directory.
    ///
    /// # Cancellation
    /// As an error.
    pub async fn write(
        &self,
        request: &EvidenceRequest,
        directory: impl AsRef<Path>,
    ) -> Result<EvidenceManifest> {
        self.check(request)?;
        let made_at = self.clock.now();
        let (directory, alone) = open(directory.as_ref()).await?;
        let mut snapshot = self.source.snapshot(&request.tenant, &request.filter).await?;
        let (send, mut entries) = mpsc::channel::<Box<dyn TrailRows>>(AHEAD);
        let mut writer = Writer::new(
            directory.clone(),
            request.tenant.clone(),
            request.filter.query(),
            request.seen.clone(),
            self.part_bytes,
        );
        let path = directory.file("");
        let writing = blocking(EXPORT, move || {
            let failed = |source| refused(EXPORT, &path, source);
            while let Some(mut rows) = entries.blocking_recv() {
                writer.push(&mut *rows).map_err(failed)?;
            }
            Ok((writer.finish().map_err(failed)?, alone))
        });
        let reading = async {
            loop {
                // Once nobody listens, the writer has an error of its own to tell.
                let more = match snapshot.rows().await? {
                    Some(rows) => send.send(rows).await.is_ok(),
                    None => false,
                };
                if !more {
                    drop(send);
                    return Ok(snapshot.extent().clone());
                }
            }
        };
        let (walked, extent): (_, Result<TrailExtent>) = tokio::join!(writing, reading);
        let (extent, (walked, alone)) = (extent?, walked?);
        let walked = complete(request, &extent, walked)?;
        let manifest = self.sign(request, made_at, extent, walked, &directory).await?;
        blocking(EXPORT, move || {
            directory.remove(UNFINISHED)?;
            drop(alone);
            Ok(manifest)
        })
        .await
    }

    fn check(&self, request: &EvidenceRequest) -> Result<()> {
        let wrong = |name, what| Err(Error::new(ErrorKind::InvalidInput, EXPORT).context(name, what));
        let incident = &request.incident;
        if incident.is_empty() || incident.len() > 100 || incident.chars().any(char::is_control) {
            return wrong(
                "incident",
                "must have 1 to 100 characters and no control character",
            );
        }
        let ours = |seen: &Checkpoint| seen.tenant() == Some(request.tenant.as_str());
        if !request.seen.iter().all(ours) {
            return wrong("checkpoint", "must be of the tenant that is exported");
        }
        Ok(())
    }

    async fn sign(
        &self,
        request: &EvidenceRequest,
        made_at: Timestamp,
        extent: TrailExtent,
        walked: Walked,
        directory: &Directory,
    ) -> Result<EvidenceManifest> {
        let checkpoint = match walked.root {
            Some(root) if walked.fault_count == 0 => {
                let log = self.signers.first().map_or("", |signer| signer.verifier().name());
                let checkpoint = Checkpoint::with_root(log, &request.tenant, walked.size, root)?;
                Some(checkpoint.sign(&self.signers.iter().collect::<Vec<_>>())?)
            }
            _ => None,
        };
        let manifest = EvidenceManifest {
            tenant: request.tenant.clone(),
            incident: request.incident.clone(),
            filter: request.filter.clone(),
            made_at,
            made_by: request.by.clone(),
            software: self.software.clone(),
            store: extent.store,
            encoding: String::from_utf8_lossy(super::codec::MAGIC).trim().to_owned(),
            records: walked.records,
            counted: extent.matching,
            left_out: walked.left_out,
            removed: walked.removed,
            first: walked.first,
            last: walked.last,
            size: walked.size,
            root: walked.root,
            checkpoint: checkpoint.as_ref().map(|note| KeptCheckpoint {
                name: CHECKPOINT.to_owned(),
                sha256: Digest::of(note.to_string().as_bytes()),
            }),
            faults: walked.faults,
            fault_count: walked.fault_count,
            parts: walked.parts,
        };
        let signed = manifest.sign(&self.signers)?;
        write_notes(directory.clone(), checkpoint, signed).await?;
        Ok(manifest)
    }
}

/// The directory, and what keeps other exports out of it for as long as its files are written.
async fn open(directory: &Path) -> Result<(Directory, Lock)> {
    let path = directory.to_owned();
    blocking(EXPORT, move || {
        let directory = Directory::open(path)?;
        let mark = directory.file(UNFINISHED);
        // Without that mark nobody knows that the files are an export that did not end: somebody may have taken the manifest of a whole one away.
        let unfinished = mark.exists();
        // Who waited for another export would find its files whole, and its own mark gone.
        let Some(alone) = Lock::try_take(&mark)? else {
            return Err(Error::new(ErrorKind::Conflict, EXPORT)
                .context("directory", "another export is writing there"));
        };
        let names = directory.names()?;
        let left_behind = |name: &String| unfinished && name != MANIFEST && is_of_export(name);
        if !names.iter().all(left_behind) {
            if !unfinished {
                // Else this refusal would have made the mark.
                directory.remove(UNFINISHED)?;
            }
            return Err(Error::new(ErrorKind::InvalidInput, EXPORT)
                .context("directory", "must be empty: evidence is never written over"));
        }
        for name in &names {
            directory.remove(name)?;
        }
        directory.sync()?;
        Ok((directory, alone))
    })
    .await
}

/// Compares what came with what the snapshot said that it holds.
fn complete(request: &EvidenceRequest, extent: &TrailExtent, mut walked: Walked) -> Result<Walked> {
    if walked.records != extent.matching {
        // An unreadable row may or may not be one that was asked for; then the faults say so.
        if walked.fault_count == 0 {
            return Err(Error::new(ErrorKind::Conflict, EXPORT)
                .context("counted", extent.matching.to_string())
                .context("read", walked.records.to_string()));
        }
        let what = format!(
            "{} records were counted, and {} read",
            extent.matching, walked.records
        );
        walked.fault(walked.size, what);
    }
    let size = extent.head.as_ref().map_or(0, |head| head.sequence);
    if size != walked.size {
        let what = format!(
            "the head stands at {size}, and the newest record at {}",
            walked.size
        );
        walked.fault(walked.size, what);
    } else if walked.head.is_some() && extent.head.as_ref().map(|head| head.hash) != walked.head {
        walked.fault(size, "the newest record is not the one that the head names");
    }
    if walked.records == 0 && walked.fault_count == 0 && !request.allow_empty {
        return Err(Error::new(ErrorKind::NotFound, EXPORT)
            .context("records", "no record meets the filter")
            .context(
                "remedy",
                "check tenant, filter and time, or allow an empty export",
            ));
    }
    Ok(walked)
}

/// The manifest last: with it the export is whole.
async fn write_notes(directory: Directory, checkpoint: Option<Note>, manifest: Note) -> Result<()> {
    blocking(EXPORT, move || {
        if let Some(checkpoint) = checkpoint {
            write_plain(&directory.file(CHECKPOINT), checkpoint.to_string())?;
        }
        directory.sync()?;
        write_plain(&directory.file(MANIFEST), manifest.to_string())
    })
    .await
}

/// Is there, and locked, while an export is written.
const UNFINISHED: &str = ".unfinished";
const EXPORT: &str = "export evidence";
const PART_BYTES: u64 = 64 * 1024 * 1024;
/// How many batches wait for the writer at most.
const AHEAD: usize = 4;
