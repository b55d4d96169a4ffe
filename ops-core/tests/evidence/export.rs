use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use ops_core::audit::{
    Checkpoint, EvidenceFaultKind, EvidenceManifest, EvidenceVerifier, Note, Tree, archive_evidence, leaf,
};
use ops_core::clock::SystemClock;
use ops_core::error::{ErrorKind, Result};
use ops_core::file::FileAudit;
use ops_core::model::{Actor, Salt, TenantId};
use ops_core::ports::{
    AuditQuery, AuditStore, EvidenceFilter, EvidenceSource, TrailEntry, TrailExtent, TrailSnapshot,
};

use super::support::{LOG, entries, export, exporter, files, record, request, signer, tenant, trail, verify};

#[tokio::test]
async fn a_whole_trail_is_exported_and_verifies_with_the_public_key_alone() {
    let (audit, signer, out) = (trail(50).await, signer(), tempfile::tempdir().unwrap());
    let manifest = export(&audit, &signer, &request(), out.path()).await.unwrap();
    assert_eq!(
        (manifest.records, manifest.counted, manifest.left_out),
        (50, 50, 0)
    );
    assert_eq!(files(out.path()), ["checkpoint", "manifest", "part-00001.zst"]);
    let verdict = verify(&signer, out.path());
    assert!(verdict.intact() && verdict.undecided.is_empty(), "{verdict:?}");
    assert_eq!(verdict.records, 50);
    assert_eq!(verdict.manifest.unwrap(), manifest);

    let mut shown = Vec::new();
    EvidenceVerifier::new(vec![signer.verifier().clone()])
        .verify_each(out.path(), |receipt, record| {
            shown.push((receipt.clone(), record.clone()))
        })
        .unwrap();
    assert_eq!(
        shown,
        audit.chain(&tenant()),
        "the records are those of the trail"
    );
}

#[tokio::test]
async fn what_the_filter_leaves_out_stands_in_the_tree_that_was_signed() {
    let (audit, signer) = (trail(101).await, signer());
    let query = |set: fn(&mut AuditQuery)| {
        let mut query = AuditQuery::default();
        set(&mut query);
        query
    };
    let filters = [
        query(|query| query.actor = Some("kazu".to_owned())),
        query(|query| {
            query.resource_type = Some("task".to_owned());
            query.resource_id = Some("t3".to_owned());
            query.actions = AuditQuery::HIGH_PRIVILEGE.map(str::to_owned).to_vec();
        }),
        query(|query| {
            query.from = Some(record(20).at);
            query.until = Some(record(31).at);
        }),
    ];
    for query in filters {
        let out = tempfile::tempdir().unwrap();
        let mut request = request();
        request.filter = EvidenceFilter::of(&query);
        let manifest = exporter(Arc::clone(&audit), &signer)
            .with_part_bytes(1)
            .write(&request, out.path())
            .await
            .unwrap();
        let wanted = (0..101).filter(|n| query.matches(&record(*n))).count() as u64;
        assert!(wanted > 0);
        assert_eq!((manifest.records, manifest.left_out), (wanted, 101 - wanted));
        let tree: Tree = (audit.chain(&tenant()).iter().map(|(_, record)| leaf(record))).collect();
        assert_eq!(
            manifest.root,
            Some(tree.root()),
            "the root is that of the whole trail"
        );
        let verdict = verify(&signer, out.path());
        assert!(verdict.intact(), "{query:?}: {verdict:?}");
        assert_eq!(verdict.records, wanted);
    }
}

#[tokio::test]
async fn parts_keep_near_their_size_and_follow_one_another() {
    let (audit, signer, out) = (trail(6000).await, signer(), tempfile::tempdir().unwrap());
    let manifest = exporter(audit, &signer)
        .with_part_bytes(20_000)
        .write(&request(), out.path())
        .await
        .unwrap();
    assert!(manifest.parts.len() > 2, "{}", manifest.parts.len());
    let mut next = 1;
    for part in &manifest.parts {
        assert_eq!(part.first, next);
        next = part.last + 1;
        assert_eq!(
            fs::metadata(out.path().join(&part.name)).unwrap().len(),
            part.bytes
        );
    }
    assert_eq!(next, 6001);
    assert!(verify(&signer, out.path()).intact());
}

#[tokio::test]
async fn an_empty_export_is_an_error_unless_it_was_asked_for() {
    let (audit, signer) = (trail(9).await, signer());
    let mut request = request();
    request.filter.actor = Some("nobody".to_owned());
    let out = tempfile::tempdir().unwrap();
    let refused = export(&audit, &signer, &request, out.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let verdict = verify(&signer, out.path());
    assert!(
        verdict.names(EvidenceFaultKind::NoManifest),
        "what is left of it is no evidence"
    );

    request.allow_empty = true;
    let out = tempfile::tempdir().unwrap();
    let manifest = export(&audit, &signer, &request, out.path()).await.unwrap();
    assert_eq!((manifest.records, manifest.left_out), (0, 9));
    assert!(verify(&signer, out.path()).intact());
}

#[tokio::test]
async fn evidence_is_never_written_over() {
    let (audit, signer, out) = (trail(3).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    let before = fs::read(out.path().join("manifest")).unwrap();
    let again = export(&audit, &signer, &request(), out.path()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::read(out.path().join("manifest")).unwrap(), before);
    // A manifest that was taken away does not make a whole export an unfinished one.
    fs::remove_file(out.path().join("manifest")).unwrap();
    let again = export(&audit, &signer, &request(), out.path()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_export_that_did_not_end_is_made_anew_in_its_directory() {
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    let mut fails = scripted(9).await;
    fails.extent.matching = 10;
    export_of(fails, &signer, out.path()).await.unwrap_err();
    assert!(files(out.path()).contains(&"part-00001.zst".to_owned()));
    // A file that is none of an export is left alone.
    fs::write(out.path().join("notes.txt"), "mine").unwrap();
    let refused = export_of(scripted(9).await, &signer, out.path())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    fs::remove_file(out.path().join("notes.txt")).unwrap();

    export_of(scripted(9).await, &signer, out.path()).await.unwrap();
    assert!(verify(&signer, out.path()).intact());
    assert_eq!(files(out.path()), ["checkpoint", "manifest", "part-00001.zst"]);
}

#[tokio::test]
async fn an_export_that_goes_on_keeps_others_out_of_its_directory() {
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    fs::write(out.path().join("part-00001.zst"), "being written").unwrap();
    let mark = fs::File::create(out.path().join(".unfinished")).unwrap();
    mark.lock().unwrap();
    let refused = export_of(scripted(9).await, &signer, out.path())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert_eq!(
        fs::read_to_string(out.path().join("part-00001.zst")).unwrap(),
        "being written"
    );
    drop(mark);
    export_of(scripted(9).await, &signer, out.path()).await.unwrap();
    assert!(verify(&signer, out.path()).intact());
}

#[tokio::test]
async fn a_value_that_is_shown_beside_a_commitment_is_a_fault_of_the_trail() {
    let audit = trail(3).await;
    let salted = record(3).with_salt("actor", Salt::from_bytes([7; 32]));
    audit.append(&salted).await.unwrap();
    let chain = audit.chain(&tenant());
    let source = |forge: fn(&mut ops_core::model::AuditRecord)| {
        let mut chain = chain.clone();
        forge(&mut chain[3].1);
        let head = chain.last().map(|(receipt, _)| receipt.clone());
        Scripted {
            entries: chain
                .into_iter()
                .map(|(receipt, record)| TrailEntry::Record { receipt, record })
                .collect(),
            extent: TrailExtent::new(head, 4, "scripted/1"),
        }
    };
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    let (withheld, forged) = (out.path().join("withheld"), out.path().join("forged"));
    let hidden = source(|record| assert!(record.withhold("actor")));
    export_of(hidden, &signer, &withheld).await.unwrap();
    assert!(verify(&signer, &withheld).intact());
    let shown = source(|record| {
        assert!(record.withhold("actor"));
        record.actor = Actor::person("mallory").unwrap();
    });
    let manifest = export_of(shown, &signer, &forged).await.unwrap();
    assert_eq!((manifest.checkpoint, manifest.faults[0].sequence), (None, 4));
    assert!(verify(&signer, &forged).names(EvidenceFaultKind::Edited));
}

#[tokio::test]
async fn the_file_store_exports_the_same_records() {
    let (home, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let audit = Arc::new(FileAudit::open(home.path()).unwrap());
    for n in 0..7 {
        audit.append(&record(n)).await.unwrap();
    }
    let signer = signer();
    let export = ops_core::audit::EvidenceExport::new(audit, signer.clone(), Arc::new(SystemClock::new()));
    let manifest = export.write(&request(), out.path()).await.unwrap();
    assert_eq!((manifest.records, manifest.store.as_str()), (7, "file/1"));
    assert!(verify(&signer, out.path()).intact());
}

/// Gives what it was told to give.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) entries: Vec<TrailEntry>,
    pub(crate) extent: TrailExtent,
}

#[async_trait]
impl EvidenceSource for Scripted {
    async fn snapshot(&self, _: &TenantId, _: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>> {
        Ok(Box::new(Self {
            entries: self.entries.clone(),
            extent: self.extent.clone(),
        }))
    }
}

#[async_trait]
impl TrailSnapshot for Scripted {
    fn extent(&self) -> &TrailExtent {
        &self.extent
    }
    async fn next(&mut self) -> Result<Vec<TrailEntry>> {
        Ok(std::mem::take(&mut self.entries))
    }
}

async fn scripted(records: i64) -> Scripted {
    scripted_of(&*trail(records).await)
}

pub(crate) fn scripted_of(audit: &ops_core::memory::InMemoryAudit) -> Scripted {
    let chain = audit.chain(&tenant());
    let head = chain.last().map(|(receipt, _)| receipt.clone());
    let matching = chain.len() as u64;
    Scripted {
        entries: chain
            .into_iter()
            .map(|(receipt, record)| TrailEntry::Record { receipt, record })
            .collect(),
        extent: TrailExtent::new(head, matching, "scripted/1"),
    }
}

pub(crate) async fn export_of(
    source: Scripted,
    signer: &ops_core::audit::NoteSigner,
    out: &std::path::Path,
) -> Result<EvidenceManifest> {
    let clock = Arc::new(SystemClock::new());
    ops_core::audit::EvidenceExport::new(Arc::new(source), signer.clone(), clock)
        .write(&request(), out)
        .await
}

#[tokio::test]
async fn more_or_fewer_records_than_were_counted_are_an_error() {
    for counted in [4, 6] {
        let mut source = scripted(5).await;
        source.extent.matching = counted;
        let out = tempfile::tempdir().unwrap();
        let refused = export_of(source, &signer(), out.path()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
}

#[tokio::test]
async fn a_trail_with_faults_is_kept_and_named_and_no_checkpoint_is_signed() {
    let changed = |change: fn(&mut Vec<TrailEntry>)| async move {
        let mut source = scripted(9).await;
        change(&mut source.entries);
        let readable = |entry: &&TrailEntry| matches!(entry, TrailEntry::Record { .. });
        source.extent.matching = source.entries.iter().filter(readable).count() as u64;
        let (signer, out) = (signer(), tempfile::tempdir().unwrap());
        let manifest = export_of(source, &signer, out.path()).await.unwrap();
        (manifest, verify(&signer, out.path()))
    };
    let edit = |entries: &mut Vec<TrailEntry>| {
        if let TrailEntry::Record { record, .. } = &mut entries[3] {
            record.action = "nothing".to_owned();
        }
    };
    let (manifest, verdict) = changed(edit).await;
    assert_eq!(manifest.checkpoint, None);
    assert_eq!(manifest.faults[0].sequence, 4);
    assert!(!verdict.files_changed, "{verdict:?}");
    assert!(
        verdict.names(EvidenceFaultKind::FoundAtExport) && verdict.names(EvidenceFaultKind::Edited),
        "{verdict:?}"
    );

    let (manifest, verdict) = changed(|entries| drop(entries.remove(3))).await;
    assert_eq!((manifest.checkpoint, manifest.root), (None, None));
    assert!(verdict.names(EvidenceFaultKind::Deleted), "{verdict:?}");

    // Nothing of the chain is wrong; the head says that there was more.
    let (manifest, verdict) = changed(|entries| drop(entries.pop())).await;
    assert_eq!(manifest.checkpoint, None);
    assert!(!verdict.intact(), "{verdict:?}");

    let (manifest, verdict) = changed(|entries| {
        entries[5] = TrailEntry::Unreadable {
            sequence: 6,
            what: "the row cannot be read".to_owned(),
        }
    })
    .await;
    assert_eq!(manifest.records, 8);
    assert!(verdict.names(EvidenceFaultKind::Unreadable), "{verdict:?}");
}

#[tokio::test]
async fn a_kept_checkpoint_shows_a_trail_that_was_rolled_back_or_computed_anew() {
    let (audit, signer) = (trail(30).await, signer());
    let tree = |records: usize| -> Tree {
        let chain = audit.chain(&tenant());
        chain[..records].iter().map(|(_, record)| leaf(record)).collect()
    };
    let note = |tree: &Tree| -> Note {
        Checkpoint::of(LOG, &tenant(), tree)
            .unwrap()
            .sign(&[&signer])
            .unwrap()
    };
    let check = |out: &std::path::Path, seen: &Note| {
        EvidenceVerifier::new(vec![signer.verifier().clone()])
            .with_seen(seen)
            .unwrap()
            .verify(out)
            .unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    for size in [1, 8, 13, 30] {
        let verdict = check(out.path(), &note(&tree(size)));
        assert!(
            verdict.intact() && verdict.undecided.is_empty(),
            "{size}: {verdict:?}"
        );
    }
    // The honest key signs what the store holds now, and the store was put back.
    let (rolled_back, out) = (trail(12).await, tempfile::tempdir().unwrap());
    export(&rolled_back, &signer, &request(), out.path())
        .await
        .unwrap();
    assert!(verify(&signer, out.path()).intact(), "alone it shows nothing");
    let verdict = check(out.path(), &note(&tree(30)));
    assert!(verdict.names(EvidenceFaultKind::RolledBack), "{verdict:?}");

    // Another trail of the same length: every id is new.
    let (recomputed, out) = (trail(30).await, tempfile::tempdir().unwrap());
    export(&recomputed, &signer, &request(), out.path())
        .await
        .unwrap();
    assert!(verify(&signer, out.path()).intact(), "alone it shows nothing");
    let verdict = check(out.path(), &note(&tree(13)));
    assert!(verdict.names(EvidenceFaultKind::Recomputed), "{verdict:?}");

    // The export itself refuses to sign over a checkpoint that it is given.
    let mut seen = request();
    seen.seen = vec![Checkpoint::of(LOG, &tenant(), &tree(13)).unwrap()];
    let out = tempfile::tempdir().unwrap();
    let manifest = export(&recomputed, &signer, &seen, out.path()).await.unwrap();
    assert_eq!(manifest.checkpoint, None);
    assert!(verify(&signer, out.path()).names(EvidenceFaultKind::FoundAtExport));
}

#[tokio::test]
async fn a_checkpoint_among_records_that_are_left_out_is_compared_if_the_export_knew_it() {
    let (audit, signer) = (trail(40).await, signer());
    let chain = audit.chain(&tenant());
    let tree: Tree = chain[..21].iter().map(|(_, record)| leaf(record)).collect();
    let seen = Checkpoint::of(LOG, &tenant(), &tree).unwrap();
    let note = seen.sign(&[&signer]).unwrap();
    for known in [false, true] {
        let mut request = request();
        request.filter.until = Some(record(5).at);
        request.seen = if known { vec![seen.clone()] } else { Vec::new() };
        let out = tempfile::tempdir().unwrap();
        export(&audit, &signer, &request, out.path()).await.unwrap();
        let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()])
            .with_seen(&note)
            .unwrap();
        let verdict = verifier.verify(out.path()).unwrap();
        assert!(verdict.intact());
        assert_eq!(verdict.undecided.is_empty(), known, "{verdict:?}");
    }
}

#[tokio::test]
async fn parts_hold_no_more_than_one_entry_for_neighbours_that_are_left_out() {
    let (audit, signer, out) = (trail(1000).await, signer(), tempfile::tempdir().unwrap());
    let mut request = request();
    request.filter.from = Some(record(999).at);
    export(&audit, &signer, &request, out.path()).await.unwrap();
    let entries = entries(&out.path().join("part-00001.zst"));
    assert_eq!(entries.len(), 2, "999 left out, and one record");
    assert!(entries[0].len() < 4 + 49 + 32 * 20);
}

#[tokio::test]
async fn however_many_faults_a_trail_has_a_changed_file_is_not_archived() {
    let mut source = scripted(150).await;
    for entry in &mut source.entries {
        if let TrailEntry::Record { record, .. } = entry {
            record.action = "nothing".to_owned();
        }
    }
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    export_of(source, &signer, out.path()).await.unwrap();
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let archive = ops_core::memory::InMemoryArchive::new(Arc::new(SystemClock::new()));
    let hold = ops_core::ports::ArchiveHold::held();
    archive_evidence(
        &archive,
        out.path(),
        "INC-7",
        &verifier,
        &hold,
        &SystemClock::new(),
    )
    .await
    .unwrap();
    let part = out.path().join("part-00001.zst");
    let mut bytes = fs::read(&part).unwrap();
    bytes.extend_from_slice(b"more");
    fs::write(&part, bytes).unwrap();
    let verdict = verify(&signer, out.path());
    assert!(verdict.files_changed && verdict.more_faults > 0, "{verdict:?}");
    let refused = archive_evidence(
        &archive,
        out.path(),
        "INC-8",
        &verifier,
        &hold,
        &SystemClock::new(),
    )
    .await
    .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_checkpoint_over_nothing_fits_every_trail() {
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    let nothing = Checkpoint::of(LOG, &tenant(), &Tree::new()).unwrap();
    let note = nothing.sign(&[&signer]).unwrap();
    let mut request = request();
    request.seen.push(nothing);
    request.allow_empty = true;
    for records in [0, 5] {
        let into = out.path().join(records.to_string());
        export(&trail(records).await, &signer, &request, &into)
            .await
            .unwrap();
        let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()])
            .with_seen(&note)
            .unwrap();
        let verdict = verifier.verify(&into).unwrap();
        assert!(verdict.intact(), "{verdict:?}");
    }
}
