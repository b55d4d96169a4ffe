use std::fs;
use std::path::Path;
use std::sync::Arc;

use ops_core::audit::{
    EvidenceExport, EvidenceManifest, EvidenceRequest, EvidenceVerdict, EvidenceVerifier, NoteSigner,
};
use ops_core::error::Result;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::AuditStore;
use ops_core::testkit::ManualClock;

pub(crate) const LOG: &str = "audit.example.com";

pub(crate) fn tenant() -> TenantId {
    TenantId::new("org_a").unwrap()
}

pub(crate) fn record(n: i64) -> AuditRecord {
    let who = if n % 3 == 0 { "kazu" } else { "mika" };
    let action = if n % 4 == 0 { "export" } else { "read" };
    AuditRecord::new(
        Timestamp::from_unix_micros(1_769_731_200_000_000 + n * 1_000_000),
        tenant(),
        Actor::person(who).unwrap(),
        action,
        "task",
        format!("t{}", n % 5),
    )
    .with_detail("reason", format!("月次 {n}"))
}

/// A trail of so many records.
pub(crate) async fn trail(records: i64) -> Arc<InMemoryAudit> {
    let audit = Arc::new(InMemoryAudit::new());
    for n in 0..records {
        audit.append(&record(n)).await.unwrap();
    }
    audit
}

pub(crate) fn request() -> EvidenceRequest {
    EvidenceRequest::new(tenant(), "INC-7", Actor::person("kazu").unwrap())
}

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::generate(LOG).unwrap()
}

pub(crate) fn exporter(audit: Arc<InMemoryAudit>, signer: &NoteSigner) -> EvidenceExport {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_micros(
        1_769_800_000_000_000,
    )));
    EvidenceExport::new(audit, signer.clone(), clock)
}

pub(crate) async fn export(
    audit: &Arc<InMemoryAudit>,
    signer: &NoteSigner,
    request: &EvidenceRequest,
    into: &Path,
) -> Result<EvidenceManifest> {
    exporter(Arc::clone(audit), signer).write(request, into).await
}

pub(crate) fn verify(signer: &NoteSigner, directory: &Path) -> EvidenceVerdict {
    EvidenceVerifier::new(vec![signer.verifier().clone()])
        .verify(directory)
        .unwrap()
}

/// The names of an export's files.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The entries of a part as they are in it, without the mark in front.
pub(crate) fn entries(part: &Path) -> Vec<Vec<u8>> {
    let bytes = zstd::decode_all(fs::File::open(part).unwrap()).unwrap();
    let mut rest = &bytes[16..];
    let mut entries = Vec::new();
    while let Some(length) = rest.first_chunk::<4>() {
        let (entry, behind) = rest.split_at(4 + u32::from_le_bytes(*length) as usize);
        entries.push(entry.to_vec());
        rest = behind;
    }
    entries
}

/// Writes a part anew, as somebody without the key would.
pub(crate) fn rewrite(part: &Path, entries: &[Vec<u8>]) {
    let bytes = zstd::decode_all(fs::File::open(part).unwrap()).unwrap();
    let bytes = [&bytes[..16], &entries.concat()].concat();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
    fs::write(part, encoder.finish().unwrap()).unwrap();
}
