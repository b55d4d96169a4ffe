use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::Providers;
use ops_core::actions::{PreserveEvidence, RevokeSessions, StopTraffic, SuspendAccount};
use ops_core::audit::{
    AuditReader, Checkpoint, EvidenceExport, EvidenceVerifier, Recorder, Spool, SpoolQuota, kept_tree,
};
use ops_core::clock::SystemClock;
use ops_core::error::{ErrorKind, Result};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{InMemoryAccounts, InMemoryAudit, InMemorySessions, InMemoryTraffic};
use ops_core::model::{Actor, OutcomeStatus, TargetId, TenantId};
use ops_core::ports::{
    Action, AuditQuery, AuditStore, Clock, EvidenceFilter, EvidenceSource, SessionRevoker, TrailSnapshot,
};
use ops_core::procedures::permission_incident;
use tokio::sync::Notify;

use super::support::{LOG, record, request, signer, tenant, trail, verify};

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
async fn nobody_reads_unseen_what_is_refused_without_a_record() {
    let audit = trail(6).await;
    let directory = tempfile::tempdir().unwrap();
    let refused = ["audit.search", "audit.exposure", "audit.prove"];
    let spool = Spool::open(directory.path()).unwrap().with_quota(
        SpoolQuota::of(1).with_refused(refused),
        Arc::new(SystemClock::new()),
    );
    let (gone, clock) = (Arc::new(InMemoryAudit::new()), Arc::new(SystemClock::new()));
    gone.set_reachable(false);
    let recorder = Recorder::new(
        gone,
        Arc::new(BuiltinMasker::new()),
        Arc::<SystemClock>::clone(&clock),
    )
    .with_spool(spool);
    // The trail can be read, the reading cannot be recorded.
    let reader = AuditReader::new(Arc::<InMemoryAudit>::clone(&audit), recorder, clock);
    let mika = Actor::person("mika").unwrap();
    let unseen = reader.search(&mika, &tenant(), &AuditQuery::default()).await;
    assert_eq!(unseen.unwrap_err().kind(), ErrorKind::Unavailable);
    let since = record(0).at;
    let unseen = reader.exposure(&mika, &tenant(), Some("kazu"), None, since).await;
    assert_eq!(unseen.unwrap_err().kind(), ErrorKind::Unavailable);
    let signer = signer();
    let tree = kept_tree(&*audit, &tenant()).await.unwrap();
    let note = Checkpoint::of(LOG, &tenant(), &tree)
        .unwrap()
        .sign(&[&signer])
        .unwrap();
    let id = audit.chain(&tenant())[0].1.id;
    let unseen = reader.prove(&mika, &tenant(), id, &note).await;
    assert_eq!(unseen.unwrap_err().kind(), ErrorKind::Unavailable);
    self::reader(&audit)
        .prove(&mika, &tenant(), id, &note)
        .await
        .unwrap();
    let (_, last) = audit.chain(&tenant()).pop().unwrap();
    assert_eq!((last.action.as_str(), last.actor.id()), ("audit.prove", "mika"));
}

#[tokio::test]
async fn both_directions_of_an_incident_are_listed() {
    let audit = trail(30).await;
    let since = record(10).at;
    let mika = Actor::person("mika").unwrap();
    let found = reader(&audit)
        .exposure(&mika, &tenant(), Some("kazu"), Some(("task", "t1")), since)
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

/// A trail that is not read before it is told to go on.
#[derive(Debug)]
struct Slow {
    audit: Arc<InMemoryAudit>,
    go_on: Notify,
}

#[async_trait]
impl EvidenceSource for Slow {
    async fn snapshot(&self, tenant: &TenantId, filter: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>> {
        self.go_on.notified().await;
        self.audit.snapshot(tenant, filter).await
    }
}

#[tokio::test]
async fn an_incident_ends_sessions_and_suspends_the_endpoint_while_evidence_is_preserved() {
    let (audit, signer, home) = (trail(12).await, signer(), tempfile::tempdir().unwrap());
    let directory = home.path().join("INC-7");
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let source = Arc::new(Slow {
        audit: Arc::clone(&audit),
        go_on: Notify::new(),
    });
    let export = EvidenceExport::new(
        Arc::<Slow>::clone(&source),
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
    let now = SystemClock::new().now();
    let revoke = RevokeSessions::new(Arc::<InMemorySessions>::clone(&sessions), "u-17", now).unwrap();
    let accounts = Arc::new(InMemoryAccounts::new());
    accounts.add_user("u-17");
    let suspend_account = SuspendAccount::new(Arc::<InMemoryAccounts>::clone(&accounts), "u-17").unwrap();
    let suspend: Arc<dyn Action> = Arc::new(StopTraffic::new(
        Arc::<InMemoryTraffic>::clone(&traffic),
        endpoint.clone(),
        "tasks-api",
    ));
    let procedure = permission_incident(
        "permission-incident",
        Arc::new(preserve),
        Some(Arc::new(revoke)),
        vec![suspend, Arc::new(suspend_account)],
        |step| step.with_timeout(Duration::from_secs(3600)),
    )
    .unwrap();

    let ops = ops_core::Ops::new(
        Providers {
            audit: Arc::<InMemoryAudit>::clone(&audit),
            ..Providers::in_memory()
        },
        tenant(),
    );
    let running = tokio::spawn(async move { ops.stop(&procedure, Actor::person("kazu").unwrap()).await });
    // The leak ends while the export waits for its store.
    let leaks = async {
        while sessions.sessions("u-17").await.unwrap().active != Some(0)
            || traffic.probe(&endpoint)
            || accounts.admits("u-17")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), leaks)
        .await
        .expect("the leak waits for the export");
    source.go_on.notify_one();
    let report = running.await.unwrap().unwrap();
    assert_eq!(report.outcome.status, OutcomeStatus::Verified, "{report:?}");
    let verdict = verify(&signer, &directory);
    assert!(verdict.intact(), "{verdict:?}");

    // What the stop itself wrote is behind what was preserved.
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
