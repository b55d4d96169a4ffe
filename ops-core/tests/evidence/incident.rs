use std::sync::Arc;

use ops_core::Providers;
use ops_core::actions::{PreserveEvidence, RevokeSessions, StopTraffic};
use ops_core::audit::{AuditReader, EvidenceExport, EvidenceVerifier, Recorder, exposure};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{InMemoryAudit, InMemorySessions, InMemoryTraffic};
use ops_core::model::{Actor, OutcomeStatus, TargetId};
use ops_core::ports::{Action, AuditQuery, AuditStore, SessionRevoker};
use ops_core::procedures::permission_incident;

use super::support::{record, request, signer, tenant, trail, verify};

fn reader(audit: &Arc<InMemoryAudit>) -> AuditReader {
    let clock = Arc::new(SystemClock::new());
    let recorder = Recorder::new(
        Arc::<InMemoryAudit>::clone(audit),
        Arc::new(BuiltinMasker::new()),
        Arc::<SystemClock>::clone(&clock),
    );
    AuditReader::new(Arc::<InMemoryAudit>::clone(audit), recorder, clock)
}

#[tokio::test]
async fn whoever_reads_the_trail_is_in_it() {
    let audit = trail(6).await;
    let reader = reader(&audit);
    let (mika, mut query) = (Actor::person("mika").unwrap(), AuditQuery::default());
    query.actor = Some("kazu".to_owned());
    let page = reader.search(&mika, &tenant(), &query).await.unwrap();
    assert_eq!(page.records.len(), 2);
    let (_, last) = audit.chain(&tenant()).pop().unwrap();
    assert_eq!((last.action.as_str(), last.actor.id()), ("audit.search", "mika"));
    assert_eq!(
        (last.details["user"].as_str(), last.details["records"].as_str()),
        ("kazu", "2")
    );

    audit.set_reachable(false);
    let unseen = reader.search(&mika, &tenant(), &query).await.unwrap_err();
    assert_eq!(unseen.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn both_directions_of_an_incident_are_listed() {
    let audit = trail(30).await;
    let since = record(10).at;
    let found = exposure(&*audit, &tenant(), Some("kazu"), Some(("task", "t1")), since)
        .await
        .unwrap();
    assert!(!found.cut);
    assert!(
        found
            .by_user
            .iter()
            .all(|touched| touched.actor.id() == "kazu" && touched.first >= since)
    );
    let times: u64 = found
        .by_user
        .iter()
        .flat_map(|touched| touched.actions.values())
        .sum();
    assert_eq!(times, (10..30).filter(|n| n % 3 == 0).count() as u64);
    let who: Vec<_> = found
        .to_resource
        .iter()
        .map(|touched| touched.actor.id())
        .collect();
    assert_eq!(who, ["kazu", "mika"]);
    assert!(
        found
            .to_resource
            .iter()
            .all(|touched| touched.resource_id == "t1")
    );
}

#[tokio::test]
async fn an_incident_preserves_evidence_before_it_ends_sessions_and_suspends_the_endpoint() {
    let (audit, signer, home) = (trail(12).await, signer(), tempfile::tempdir().unwrap());
    let directory = home.path().join("INC-7");
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let export = EvidenceExport::new(
        Arc::<InMemoryAudit>::clone(&audit),
        signer.clone(),
        Arc::new(SystemClock::new()),
    );
    let preserve =
        PreserveEvidence::new(reader(&audit), Arc::new(export), request(), verifier, &directory).unwrap();
    let (sessions, traffic) = (
        Arc::new(InMemorySessions::new()),
        Arc::new(InMemoryTraffic::new()),
    );
    sessions.sign_in("u-17");
    let endpoint = TargetId::new("memory:tasks-api").unwrap();
    traffic.add_service(endpoint.clone());
    let revoke = RevokeSessions::new(Arc::<InMemorySessions>::clone(&sessions), "u-17").unwrap();
    let suspend: Arc<dyn Action> = Arc::new(StopTraffic::new(
        Arc::<InMemoryTraffic>::clone(&traffic),
        endpoint.clone(),
        "tasks-api",
    ));
    let procedure = permission_incident(
        "permission-incident",
        Arc::new(preserve),
        Some(Arc::new(revoke)),
        vec![suspend],
        |step| step,
    )
    .unwrap();

    let ops = ops_core::Ops::new(
        Providers {
            audit: Arc::<InMemoryAudit>::clone(&audit),
            ..Providers::in_memory()
        },
        tenant(),
    );
    let report = ops
        .stop(&procedure, Actor::person("kazu").unwrap())
        .await
        .unwrap();
    assert_eq!(report.outcome.status, OutcomeStatus::Verified, "{report:?}");
    assert_eq!(sessions.sessions("u-17").await.unwrap().active, 0);
    assert!(!traffic.probe(&endpoint));
    let verdict = verify(&signer, &directory);
    assert!(verdict.intact(), "{verdict:?}");

    // What the stop itself wrote is behind what was preserved: the evidence came first.
    let chain = audit.chain(&tenant());
    let begun = chain
        .iter()
        .position(|(_, record)| record.action == "audit.export")
        .unwrap();
    assert_eq!(
        verdict.records,
        begun as u64 + 1,
        "the trail up to the export's own beginning"
    );
    assert!(chain[begun..].len() > 1);
    assert!(audit.verify(&tenant()).await.unwrap().intact());
}
