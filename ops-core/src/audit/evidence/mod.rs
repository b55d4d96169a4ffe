//! Evidence: a part of the trail as signed files, and the check of such files without the store.

mod codec;
mod dump;
mod export;
mod fault;
mod forest;
mod held;
mod manifest;
mod part;
mod run;
mod upload;
mod verifier;
mod walk;
mod writer;

pub use self::dump::{DumpReport, check_dump};
pub use self::export::{EvidenceExport, EvidenceRequest};
pub use self::fault::{EvidenceFault, EvidenceFaultKind, EvidenceVerdict};
pub(crate) use self::held::HeldTrail;
pub use self::manifest::{EvidenceManifest, EvidencePart, EvidencePosition, KeptCheckpoint};
pub use self::upload::{ArchivedFile, archive_checkpoint, archive_evidence};
pub(in crate::audit) use self::upload::{Brought, bring_checkpoint};
pub use self::verifier::EvidenceVerifier;

/// Whether an export has files of this name.
fn is_of_export(name: &str) -> bool {
    name == MANIFEST || name == CHECKPOINT || name.starts_with(PART)
}

/// What the name of a part begins with.
const PART: &str = "part-";
/// The file that names all others, written last: without it an export never ended.
const MANIFEST: &str = "manifest";
/// The signed checkpoint over the trail that was exported.
const CHECKPOINT: &str = "checkpoint";
