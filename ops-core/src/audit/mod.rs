//! The audit trail: recording with a local spool for outages, a hash chain that shows tampering, and the search cursor that
//! all stores share.

mod chain;
mod checkpoint;
mod drain;
mod evidence;
mod exposure;
mod keeper;
mod leaf;
mod note;
mod page;
mod proof;
mod reader;
mod recorder;
mod removals;
mod retention;
mod spool;
mod traces;
mod tree;

pub use self::chain::{ChainVerifier, link, verify};
pub use self::checkpoint::{Checkpoint, Growth};
pub use self::drain::{Drain, DrainOptions, DrainStatus};
pub(crate) use self::evidence::HeldTrail;
pub use self::evidence::{
    ArchivedFile, DumpReport, EvidenceExport, EvidenceFault, EvidenceFaultKind, EvidenceManifest,
    EvidencePart, EvidencePosition, EvidenceRequest, EvidenceVerdict, EvidenceVerifier, KeptCheckpoint,
    archive_checkpoint, archive_evidence, check_dump,
};
pub use self::exposure::{Exposure, Touched};
pub use self::keeper::{CheckpointKeeper, CheckpointStatus, CheckpointTask, SignedCheckpoint};
pub use self::leaf::{Linker, content, entry_leaf, leaf};
pub use self::note::{Note, NoteSigner, NoteVerifier};
pub use self::page::PageCursor;
pub(crate) use self::page::page;
pub use self::proof::{RecordProof, growth_since, kept_tree, prove, tree};
pub use self::reader::AuditReader;
pub use self::recorder::{Recorded, Recorder};
pub use self::retention::{EvidenceCover, MonthPlan, TenantMonth, TrailRetention};
pub use self::spool::{Delivered, Spool, SpoolQuota, SpoolStatus};
pub use self::traces::TracesInTrail;
pub use self::tree::{Prover, Tree, leaf_hash, verify_consistency, verify_inclusion};
