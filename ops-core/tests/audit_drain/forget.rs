use std::sync::Arc;

use ops_core::audit::{Checkpoint, NoteSigner, Recorded, Recorder, Spool, TracesInTrail, kept_tree, prove};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditOutcome};
use ops_core::ports::{AuditEraser, AuditStore, ForgetPerson};

use super::{record, tenant};

fn recorder(store: &Arc<InMemoryAudit>) -> Recorder {
    let store = Arc::clone(store) as Arc<dyn AuditStore>;
    Recorder::new(
        store,
        Arc::new(BuiltinMasker::new()),
        Arc::new(SystemClock::new()),
    )
}

#[tokio::test]
async fn a_person_is_forgotten_and_every_proof_from_before_still_holds() {
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store);
    let mut other = record(2).with_detail("ip", "198.51.100.7");
    other.actor = Actor::person("hanako").unwrap();
    for record in [
        record(1)
            .with_detail("ip", "203.0.113.7")
            .with_detail("rows", "3"),
        other,
        record(3),
    ] {
        assert!(matches!(recorder.record(record).await, Recorded::Stored(_)));
    }
    let before = store.chain(&tenant());
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let tree = kept_tree(&*store, &tenant()).await.unwrap();
    let note = Checkpoint::of("audit.example.com", &tenant(), &tree)
        .unwrap()
        .sign(&[&signer])
        .unwrap();
    let keys = [signer.verifier().clone()];

    let by = Actor::person("privacy_officer").unwrap();
    let forgotten = recorder
        .forget(&*store, &tenant(), "kazu", by, "request-17")
        .await
        .unwrap();
    assert_eq!((forgotten.records, forgotten.left), (2, 0));

    let chain = store.chain(&tenant());
    let text = serde_json::to_string(&chain).unwrap();
    assert!(!text.contains("kazu") && !text.contains("203.0.113.7"), "{text}");
    assert!(text.contains("hanako") && text.contains("198.51.100.7"));
    let report = store.verify(&tenant()).await.unwrap();
    assert_eq!((report.intact(), report.records, report.withheld), (true, 5, 2));
    for (_, record) in before {
        let proof = prove(&*store, &tenant(), record.id, &note).await.unwrap();
        proof.verify(&keys).unwrap();
    }
    // The salts of a record are part of its proof, unless they are gone with the values.
    let ours: Vec<_> = chain[3..].iter().map(|(_, record)| record).collect();
    assert!(
        ours.iter()
            .all(|record| record.action == "audit.forget" && record.resource_id == "request-17")
    );
    assert_eq!(ours[0].outcome, AuditOutcome::Unknown, "the intent comes first");
    assert_eq!(
        (ours[1].outcome, ours[1].details["records"].as_str()),
        (AuditOutcome::Succeeded, "2")
    );
}

#[tokio::test]
async fn nothing_is_forgotten_that_cannot_be_recorded() {
    let store = Arc::new(InMemoryAudit::new());
    let trail = Arc::new(InMemoryAudit::new());
    assert!(matches!(
        recorder(&store).record(record(1)).await,
        Recorded::Stored(_)
    ));
    trail.set_reachable(false);
    let by = Actor::person("privacy_officer").unwrap();
    let refused = recorder(&trail)
        .forget(&*store, &tenant(), "kazu", by, "request-18")
        .await;
    assert!(refused.unwrap_err().to_string().contains("intent"));
    assert_eq!(store.chain(&tenant())[0].1.actor.id(), "kazu");
    assert_eq!(store.forget(&tenant(), "kazu").await.unwrap().records, 1);
}

#[tokio::test]
async fn nobody_is_forgotten_who_would_come_back_from_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store).with_spool(Spool::open(directory.path()).unwrap());
    store.set_reachable(false);
    assert_eq!(recorder.record(record(1)).await.kept(), Ok(()));
    let by = Actor::person("privacy_officer").unwrap();
    let elsewhere = InMemoryAudit::new();
    let refused = recorder
        .forget(&elsewhere, &tenant(), "kazu", by.clone(), "request-19")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("1 records"), "{refused}");
    store.set_reachable(true);
    let forgotten = recorder
        .forget(&*store, &tenant(), "kazu", by, "request-19")
        .await
        .unwrap();
    assert_eq!(forgotten.records, 1);
    let chain = serde_json::to_string(&store.chain(&tenant())).unwrap();
    assert!(!chain.contains("kazu"), "{chain}");
}

#[tokio::test]
async fn what_tells_of_nobody_gets_no_salt() {
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store);
    let mut service = record(1).with_detail("rows", "3");
    service.actor = Actor::service("api").unwrap();
    let mut user = record(2).with_detail("email", "taro@example.com");
    user.resource_type = "user".to_owned();
    let _ = recorder.record(service).await;
    let _ = recorder.record(user.clone()).await;
    let own = recorder.clone().with_personal(["details.rows"]);
    let _ = own.record(record(3).with_detail("rows", "3")).await;
    // The same record again, with salts of its own: it is known.
    assert!(matches!(recorder.record(user).await, Recorded::Stored(receipt) if receipt.sequence == 2));
    let salts: Vec<Vec<_>> = store
        .chain(&tenant())
        .into_iter()
        .map(|(_, record)| record.salts.into_keys().collect())
        .collect();
    assert_eq!(
        salts,
        [
            vec![],
            vec!["actor", "details.email", "resource_id"],
            vec!["details.rows"]
        ]
    );
}

#[tokio::test]
async fn an_erasure_forgets_the_person_in_the_trail_too() {
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store);
    assert!(matches!(recorder.record(record(1)).await, Recorded::Stored(_)));
    let by = Actor::person("privacy_officer").unwrap();
    let eraser = Arc::clone(&store) as Arc<dyn AuditEraser>;
    let traces = TracesInTrail::new(recorder, eraser, by, "request-17");
    ops_core::testkit::forget_person(&traces, &tenant(), "kazu").await;
    assert_eq!(store.chain(&tenant())[0].1.actor.id(), "withheld");
    // A record from before there were salts stays, and that is said.
    store.append(&record(2)).await.unwrap();
    let left = ForgetPerson::forget(&traces, &tenant(), "kazu")
        .await
        .unwrap_err();
    assert_eq!(left.kind(), ErrorKind::Unsupported);
}
