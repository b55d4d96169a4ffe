//! Proofs over a stored trail: what tampering a kept checkpoint shows, and what a stranger can check with files alone.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use ops_core::audit::{Checkpoint, Growth, Note, NoteSigner, RecordProof, growth_since, prove, tree};
use ops_core::error::ErrorKind;
use ops_core::file::FileAudit;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, Digest, Salt, TenantId, Timestamp};
use ops_core::ports::AuditStore;

fn tenant() -> TenantId {
    TenantId::new("org_soulsyncs").unwrap()
}

fn record(n: i64) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
    let actor = Actor::person("kazu").unwrap();
    AuditRecord::new(at, tenant(), actor, "export", "audit_log", format!("資源-{n}"))
        .with_detail("n", n.to_string())
}

async fn trail(records: &[AuditRecord]) -> InMemoryAudit {
    let store = InMemoryAudit::new();
    for record in records {
        store.append(record).await.unwrap();
    }
    store
}

async fn signed(store: &dyn AuditStore, signer: &NoteSigner) -> Note {
    let tree = tree(store, &tenant(), None).await.unwrap();
    Checkpoint::of("audit.example.com", &tenant(), &tree)
        .unwrap()
        .sign(&[signer])
        .unwrap()
}

fn checkpoint(note: &Note) -> Checkpoint {
    note.text().parse().unwrap()
}

/// The chain alone finds none of these: whoever can write the store computes every hash anew.
#[tokio::test]
async fn a_kept_checkpoint_shows_what_a_chain_computed_anew_hides() {
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let records: Vec<_> = (0..20).map(record).collect();
    let seen = checkpoint(&signed(&trail(&records).await, &signer).await);

    let same = trail(&records).await;
    assert_eq!(growth_since(&same, &tenant(), &seen).await.unwrap(), Growth::Same);
    same.append(&record(20)).await.unwrap();
    assert_eq!(
        growth_since(&same, &tenant(), &seen).await.unwrap(),
        Growth::Grown
    );

    let mut edited = records.clone();
    edited[7].action.push('x');
    let mut swapped = records.clone();
    swapped.swap(3, 4);
    let mut deleted = records.clone();
    deleted.remove(7);
    deleted.push(record(20));
    let mut inserted = records.clone();
    inserted.insert(7, record(21));
    for (what, records) in [
        ("edited", edited),
        ("swapped", swapped),
        ("deleted", deleted),
        ("inserted", inserted),
    ] {
        let forged = trail(&records).await;
        assert!(
            forged.verify(&tenant()).await.unwrap().intact(),
            "{what}: computed anew"
        );
        assert_eq!(
            growth_since(&forged, &tenant(), &seen).await.unwrap(),
            Growth::Forked,
            "{what}"
        );
    }
    for kept in [0, 1, 19] {
        let cut = trail(&records[..kept]).await;
        assert_eq!(
            growth_since(&cut, &tenant(), &seen).await.unwrap(),
            Growth::RolledBack
        );
    }
}

#[tokio::test]
async fn a_record_is_proven_to_a_stranger_who_has_files_only() {
    let directory = tempfile::tempdir().unwrap();
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let records: Vec<_> = (0..13).map(record).collect();
    let proofs = {
        let store = FileAudit::open(directory.path()).unwrap();
        for record in &records {
            store.append(record).await.unwrap();
        }
        let note = signed(&store, &signer).await;
        // Records behind the checkpoint change nothing about it.
        store.append(&record(13)).await.unwrap();
        let mut proofs = Vec::new();
        for record in &records {
            let proof = prove(&store, &tenant(), record.id, &note).await.unwrap();
            proofs.push(serde_json::to_string(&proof).unwrap());
        }
        let late = prove(&store, &tenant(), self::record(13).id, &note)
            .await
            .unwrap_err();
        assert_eq!(late.kind(), ErrorKind::NotFound);
        proofs
    };
    drop(directory);
    let keys = [signer.verifier().clone()];
    for (proof, record) in proofs.iter().zip(&records) {
        let proof: RecordProof = serde_json::from_str(proof).unwrap();
        assert_eq!(proof.record, *record);
        assert_eq!(proof.verify(&keys).unwrap().size, 13);
    }
    let proof: RecordProof = serde_json::from_str(&proofs[5]).unwrap();
    let conflict = |change: fn(&mut RecordProof)| {
        let mut forged = proof.clone();
        change(&mut forged);
        assert_eq!(forged.verify(&keys).unwrap_err().kind(), ErrorKind::Conflict);
    };
    conflict(|proof| proof.record.action.push('x'));
    conflict(|proof| proof.sequence += 1);
    conflict(|proof| proof.sequence = 0);
    conflict(|proof| proof.path[0] = Digest::of(b"other"));
    conflict(|proof| proof.path.clear());
    let mut moved = proof.clone();
    moved.record.tenant = TenantId::new("org_other").unwrap();
    assert_eq!(moved.verify(&keys).unwrap_err().kind(), ErrorKind::InvalidInput);
    let stranger = NoteSigner::generate("audit.example.com").unwrap();
    let refused = proof.verify(&[stranger.verifier().clone()]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn nothing_is_proven_with_a_trail_that_was_changed_or_for_another_tenant() {
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let records: Vec<_> = (0..5).map(record).collect();
    let note = signed(&trail(&records).await, &signer).await;
    let mut edited = records.clone();
    edited[1].action.push('x');
    let refused = prove(&trail(&edited).await, &tenant(), records[4].id, &note)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);

    let other = TenantId::new("org_other").unwrap();
    let refused = prove(&trail(&records).await, &other, records[4].id, &note)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let refused = growth_since(&trail(&records).await, &other, &checkpoint(&note))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_proof_shows_no_other_value_beside_the_commitment_to_the_true_one() {
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let salt = Salt::from_bytes([7; 32]);
    let salted = record(1).with_salt("actor", salt);
    let store = trail(&[record(0), salted.clone()]).await;
    let note = signed(&store, &signer).await;
    let proof = prove(&store, &tenant(), salted.id, &note).await.unwrap();
    let keys = [signer.verifier().clone()];
    let mut withheld = proof.clone();
    assert!(withheld.record.withhold("actor"));
    withheld.verify(&keys).unwrap();
    // Whoever has the salt makes the commitment; it must not carry another name.
    let mut forged = withheld;
    forged.record.actor = Actor::person("mallory").unwrap();
    assert_eq!(forged.verify(&keys).unwrap_err().kind(), ErrorKind::Conflict);
    let mut forged = proof;
    forged
        .record
        .withheld
        .insert("actor".to_owned(), salt.commit("kazu"));
    forged.record.actor = Actor::person("mallory").unwrap();
    assert_eq!(forged.verify(&keys).unwrap_err().kind(), ErrorKind::Conflict);
}
