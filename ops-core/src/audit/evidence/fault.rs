use serde::{Deserialize, Serialize};

use super::manifest::EvidenceManifest;

/// What sort of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EvidenceFaultKind {
    /// There is no manifest: the export never ended, or somebody took it away.
    NoManifest,
    /// No known key signed the manifest.
    WrongKey,
    /// The manifest is not what was signed.
    ManifestEdited,
    /// The checkpoint is not what was signed.
    CheckpointEdited,
    /// A file is missing.
    PartMissing,
    /// The bytes of a file are not those that were exported.
    PartEdited,
    /// The newest records were cut off.
    Truncated,
    /// A record was changed.
    Edited,
    /// Records were taken out.
    Deleted,
    /// A record was put in.
    Inserted,
    /// Records changed places.
    Swapped,
    /// A record of another tenant.
    MovedBetweenTenants,
    /// The trail is older than one that was signed before.
    RolledBack,
    /// The trail is not the one that was signed: its hashes were computed anew.
    Recomputed,
    /// A record that the filter leaves out.
    OutsideFilter,
    /// The numbers do not agree.
    CountDiffers,
    /// A row that is no record.
    Unreadable,
    /// What the export itself found wrong with the trail.
    FoundAtExport,
}

impl EvidenceFaultKind {
    /// Whether the files are not those that were exported; other faults may be the trail's own.
    pub(super) fn is_of_files(self) -> bool {
        matches!(
            self,
            Self::NoManifest
                | Self::WrongKey
                | Self::ManifestEdited
                | Self::CheckpointEdited
                | Self::PartMissing
                | Self::PartEdited
        )
    }
}

/// One thing that is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvidenceFault {
    /// What sort of fault.
    pub kind: EvidenceFaultKind,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The place in the trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What is wrong, without any content.
    pub what: String,
}

impl EvidenceFault {
    pub(super) fn new(kind: EvidenceFaultKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            file: None,
            sequence: None,
            what: what.into(),
        }
    }

    pub(super) fn at(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    pub(super) fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

/// What a check of an export found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvidenceVerdict {
    /// What was signed; `None` when it cannot be believed.
    pub manifest: Option<EvidenceManifest>,
    /// How many records were read.
    pub records: u64,
    /// Empty: these are the records of the trail that was signed, all of them that meet the filter as the signer says.
    pub faults: Vec<EvidenceFault>,
    /// Faults beyond the first hundred.
    pub more_faults: u64,
    /// The files are not those that were exported, whether or not such a fault is among those that are listed.
    #[serde(default)]
    pub files_changed: bool,
    /// What these files cannot show, and what would.
    pub undecided: Vec<String>,
}

impl EvidenceVerdict {
    /// Nothing is wrong.
    pub fn intact(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether a fault of this sort was found.
    pub fn names(&self, kind: EvidenceFaultKind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }

    pub(super) fn push(&mut self, fault: EvidenceFault) {
        self.files_changed |= fault.kind.is_of_files();
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// How many faults are listed; the others are counted.
pub(super) const MOST_FAULTS: usize = 100;
