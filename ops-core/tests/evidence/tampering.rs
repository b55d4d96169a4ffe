use std::fs;
use std::path::Path;

use ops_core::audit::{EvidenceFaultKind as Kind, EvidenceVerdict, EvidenceVerifier, NoteSigner};
use ops_core::config::Env;
use ops_core::memory::InMemoryAudit;
use ops_core::model::TenantId;
use ops_core::ports::AuditStore;

use super::support::{entries, export, exporter, files, record, request, rewrite, signer, trail, verify};

const PART: &str = "part-00001.zst";

/// A fresh export of nine records, changed by `tamper`, and what the verifier says.
async fn after(tamper: impl FnOnce(&mut Vec<Vec<u8>>)) -> EvidenceVerdict {
    let (audit, signer, out) = (trail(9).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    let part = out.path().join(PART);
    let mut entries = entries(&part);
    tamper(&mut entries);
    rewrite(&part, &entries);
    verify(&signer, out.path())
}

/// Where the position stands in an entry.
const SEQUENCE: std::ops::Range<usize> = 5..13;

#[tokio::test]
async fn each_tampering_is_named() {
    let edited = after(|entries| {
        let task = entries[3].windows(4).position(|word| word == b"task").unwrap();
        entries[3][task] ^= 1;
    })
    .await;
    assert!(
        edited.names(Kind::Edited) && edited.names(Kind::PartEdited),
        "{edited:?}"
    );
    let place = edited.faults.iter().find(|fault| fault.kind == Kind::Edited);
    assert_eq!(place.and_then(|fault| fault.sequence), Some(4), "{edited:?}");

    let deleted = after(|entries| drop(entries.remove(3))).await;
    assert!(deleted.names(Kind::Deleted), "{deleted:?}");
    assert!(!deleted.names(Kind::Swapped) && !deleted.names(Kind::Truncated));

    let renumbered = after(|entries| {
        entries.remove(3);
        for (n, entry) in entries.iter_mut().enumerate() {
            entry[SEQUENCE].copy_from_slice(&(n as u64 + 1).to_le_bytes());
        }
    })
    .await;
    assert!(renumbered.names(Kind::Deleted), "{renumbered:?}");

    let inserted = after(|entries| entries.insert(3, entries[2].clone())).await;
    assert!(inserted.names(Kind::Inserted), "{inserted:?}");

    let swapped = after(|entries| entries.swap(2, 6)).await;
    assert!(
        swapped.names(Kind::Swapped) && !swapped.names(Kind::Deleted),
        "{swapped:?}"
    );

    // The contents change places; positions and hashes stay where they were.
    let exchanged = after(|entries| {
        let (one, other) = (entries[2].clone(), entries[6].clone());
        let header = 5 + 8 + 32;
        entries[2] = [&one[..header], &other[header..]].concat();
        entries[6] = [&other[..header], &one[header..]].concat();
        for entry in [2, 6] {
            let length = (entries[entry].len() - 4) as u32;
            entries[entry][..4].copy_from_slice(&length.to_le_bytes());
        }
    })
    .await;
    assert!(
        exchanged.names(Kind::Swapped) && !exchanged.names(Kind::Edited),
        "{exchanged:?}"
    );

    let truncated = after(|entries| entries.truncate(7)).await;
    assert!(
        truncated.names(Kind::Truncated) && !truncated.names(Kind::Deleted),
        "{truncated:?}"
    );

    let emptied = after(Vec::clear).await;
    assert!(emptied.names(Kind::Truncated), "{emptied:?}");
}

#[tokio::test]
async fn a_record_of_another_tenant_is_named() {
    let other = InMemoryAudit::new();
    let mut foreign = record(3);
    foreign.tenant = TenantId::new("org_b").unwrap();
    other.append(&foreign).await.unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut theirs = request();
    theirs.tenant = foreign.tenant.clone();
    export(&std::sync::Arc::new(other), &signer(), &theirs, out.path())
        .await
        .unwrap();
    let mut moved = entries(&out.path().join(PART)).remove(0);
    let verdict = after(|entries| {
        moved[SEQUENCE].copy_from_slice(&4_u64.to_le_bytes());
        entries[3] = moved;
    })
    .await;
    assert!(verdict.names(Kind::MovedBetweenTenants), "{verdict:?}");
}

#[tokio::test]
async fn missing_and_foreign_files_are_named() {
    let (audit, signer) = (trail(6000).await, signer());
    let fresh = || async {
        let out = tempfile::tempdir().unwrap();
        let exporter = exporter(std::sync::Arc::clone(&audit), &signer).with_part_bytes(1);
        let manifest = exporter.write(&request(), out.path()).await.unwrap();
        assert!(manifest.parts.len() > 2);
        out
    };
    let named = |out: &Path, kind: Kind| {
        let verdict = verify(&signer, out);
        assert!(verdict.names(kind), "{kind:?}: {verdict:?}");
        assert!(!verdict.names(Kind::Deleted), "one cause, one name: {verdict:?}");
    };
    for part in ["part-00001.zst", "part-00002.zst"] {
        let out = fresh().await;
        fs::remove_file(out.path().join(part)).unwrap();
        named(out.path(), Kind::PartMissing);
    }
    let out = fresh().await;
    fs::remove_file(out.path().join("checkpoint")).unwrap();
    named(out.path(), Kind::PartMissing);
    let out = fresh().await;
    fs::remove_file(out.path().join("manifest")).unwrap();
    named(out.path(), Kind::NoManifest);
    let out = fresh().await;
    fs::copy(
        out.path().join("part-00001.zst"),
        out.path().join("part-00099.zst"),
    )
    .unwrap();
    named(out.path(), Kind::Inserted);
    // Two files with each other's names.
    let out = fresh().await;
    let path = |name: &str| out.path().join(name);
    fs::rename(path("part-00001.zst"), path("kept")).unwrap();
    fs::rename(path("part-00002.zst"), path("part-00001.zst")).unwrap();
    fs::rename(path("kept"), path("part-00002.zst")).unwrap();
    assert!(verify(&signer, out.path()).names(Kind::PartEdited));
}

#[tokio::test]
async fn manifests_and_checkpoints_of_others_are_named() {
    let (audit, ours, out) = (trail(9).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &ours, &request(), out.path()).await.unwrap();
    let other = NoteSigner::generate("mallory.example.com").unwrap();
    let verdict = verify(&other, out.path());
    assert!(
        verdict.names(Kind::WrongKey) && verdict.manifest.is_none(),
        "{verdict:?}"
    );

    let manifest = fs::read_to_string(out.path().join("manifest")).unwrap();
    fs::write(out.path().join("manifest"), manifest.replace("INC-7", "INC-8")).unwrap();
    assert!(verify(&ours, out.path()).names(Kind::ManifestEdited));
    fs::write(out.path().join("manifest"), &manifest).unwrap();

    // A sound checkpoint of the same key, and of another moment.
    let (shorter, elsewhere) = (trail(5).await, tempfile::tempdir().unwrap());
    export(&shorter, &ours, &request(), elsewhere.path())
        .await
        .unwrap();
    fs::copy(elsewhere.path().join("checkpoint"), out.path().join("checkpoint")).unwrap();
    assert!(verify(&ours, out.path()).names(Kind::CheckpointEdited));

    // A whole export, signed with a stranger's key under the same name.
    let forged = tempfile::tempdir().unwrap();
    export(&audit, &signer(), &request(), forged.path())
        .await
        .unwrap();
    assert!(!verify(&ours, forged.path()).intact());
}

#[tokio::test]
async fn every_byte_that_flips_is_noticed() {
    let (audit, signer, out) = (trail(6).await, signer(), tempfile::tempdir().unwrap());
    let mut request = request();
    request.filter.actor = Some("kazu".to_owned());
    export(&audit, &signer, &request, out.path()).await.unwrap();
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let every = Env::process().text("OPS_EVERY_BYTE").is_some();
    let names = files(out.path());
    assert_eq!(names, ["checkpoint", "manifest", PART]);
    for name in names {
        let path = out.path().join(&name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            // A signature takes its time where nothing is optimised: of the manifest each fifth byte, with OPS_EVERY_BYTE each.
            if name == "manifest" && !every && at % 5 != 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let verdict = verifier.verify(out.path()).unwrap();
            assert!(!verdict.intact(), "{name}: byte {at}");
        }
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(
                !verifier.verify(out.path()).unwrap().intact(),
                "{name}: cut to {length}"
            );
        }
        let mut longer = whole.clone();
        longer.push(0);
        fs::write(&path, longer).unwrap();
        assert!(
            !verifier.verify(out.path()).unwrap().intact(),
            "{name}: one byte more"
        );
        fs::write(&path, whole).unwrap();
    }
    assert!(
        verifier.verify(out.path()).unwrap().intact(),
        "an untouched export gives no alarm"
    );
}
