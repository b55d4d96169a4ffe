use serde::{Deserialize, Serialize};

use crate::audit::{Note, NoteSigner, NoteVerifier};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, Digest, TenantId, Timestamp};
use crate::ports::{AuditFault, EvidenceFilter};

/// What an export holds: the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvidenceManifest {
    /// Whose trail.
    pub tenant: TenantId,
    /// What it was exported for.
    pub incident: String,
    /// Which records.
    pub filter: EvidenceFilter,
    /// When the export began.
    pub made_at: Timestamp,
    /// Who exported.
    pub made_by: Actor,
    /// The software, and its version.
    pub software: String,
    /// What kept the trail, and the version of its schema.
    pub store: String,
    /// How the entries of the parts are written.
    pub encoding: String,
    /// How many records the parts hold.
    pub records: u64,
    /// How many records meet the filter, by a count of its own in the same snapshot.
    pub counted: u64,
    /// Records of the trail that the filter leaves out; what stands for them in the hash tree is in the parts.
    pub left_out: u64,
    /// Records of the trail that retention had removed before; they count as left out too.
    #[serde(default)]
    pub removed: u64,
    /// Position and time of the first record.
    pub first: Option<EvidencePosition>,
    /// Position and time of the last record.
    pub last: Option<EvidencePosition>,
    /// The newest position of the trail.
    pub size: u64,
    /// The root of the hash tree over the whole trail; `None` when a record of it is missing or cannot be read.
    pub root: Option<Digest>,
    /// The signed checkpoint; `None` when the trail had faults: nobody signs those.
    pub checkpoint: Option<KeptCheckpoint>,
    /// What was wrong with the trail when it was exported, the first hundred.
    #[serde(default)]
    pub faults: Vec<AuditFault>,
    /// How many faults there were.
    #[serde(default)]
    pub fault_count: u64,
    /// The files, in the order of the trail.
    pub parts: Vec<EvidencePart>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvidencePosition {
    /// Its place in the trail, from 1.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
}

impl EvidencePosition {
    pub(super) fn new(sequence: u64, at: Timestamp) -> Self {
        Self { sequence, at }
    }
}

/// A file of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvidencePart {
    /// Its name in the directory of the export.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Over its bytes as they are.
    pub sha256: Digest,
    /// How many records it holds.
    pub records: u64,
    /// The first position it speaks of.
    pub first: u64,
    /// The last position it speaks of.
    pub last: u64,
}

/// The file of the signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptCheckpoint {
    /// Its name in the directory of the export.
    pub name: String,
    /// Over its bytes as they are.
    pub sha256: Digest,
}

impl EvidenceManifest {
    /// The signed note.
    pub(super) fn sign(&self, signers: &[NoteSigner]) -> Result<Note> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write manifest").source(source))?;
        let note = Note::new(format!("{FORMAT}\n{json}\n"))?;
        Ok(signers.iter().fold(note, Note::sign))
    }

    /// Reads a manifest whose signature fits one of `keys`.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] for a signature that does not fit, or that is of another key; [`ErrorKind::InvalidInput`] for what is no manifest.
    pub fn open(text: &str, keys: &[NoteVerifier]) -> Result<Self> {
        let note: Note = text.parse()?;
        note.verify(keys)?;
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read manifest")
                .context("manifest", format!("must be of the format {FORMAT}"))
        };
        let json = note
            .text()
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or_else(wrong)?;
        serde_json::from_str(json).map_err(|_| wrong())
    }

    /// The files that the manifest names, each with the hash that was signed. The manifest itself belongs to the export too.
    pub fn files(&self) -> impl Iterator<Item = (&str, Digest)> {
        let parts = self.parts.iter().map(|part| (part.name.as_str(), part.sha256));
        let checkpoint = self.checkpoint.iter();
        parts.chain(checkpoint.map(|kept| (kept.name.as_str(), kept.sha256)))
    }
}

/// The first line of the text that is signed: no checkpoint begins so.
const FORMAT: &str = "ops-evidence-manifest/1";
