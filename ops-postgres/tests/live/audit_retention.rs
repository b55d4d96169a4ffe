//! Months that go from the trail on a real server, and what stays.

use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{
    EvidenceExport, EvidenceRequest, EvidenceVerifier, NoteSigner, Recorder, TrailRetention,
};
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, AuditRecord, LegalHold, Salt, TenantId, Timestamp};
use ops_core::ports::{AuditEraser, AuditPruner, AuditStore, LegalHolds};
use ops_core::testkit::ManualClock;
use ops_postgres::{DataHolds, PostgresAuditStore};
use sqlx::{AssertSqlSafe, PgConnection};

use super::world::{World, run};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record(of: &str, day: &str, who: &str, id: i64) -> AuditRecord {
    let at = at(&format!("{day}T12:00:00Z"));
    let actor = Actor::person(who).unwrap();
    AuditRecord::new(at, tenant(of), actor, "export", "task", id.to_string())
        .with_salt("actor", Salt::random().unwrap())
}

async fn texts(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap()
}

const PLACES: &str = "select distinct tableoid::regclass::text from ops.audit_log order by 1";

/// The trail, as whoever may prune it has it, and who does.
struct Desk {
    trail: Arc<PostgresAuditStore>,
    retention: TrailRetention,
    signer: NoteSigner,
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Desk {
    async fn new(world: &World) -> Self {
        let trail = Arc::new(world.audit().await);
        let clock = Arc::new(ManualClock::new(at("2026-11-27T00:00:00Z")));
        let (store, time) = (
            Arc::<PostgresAuditStore>::clone(&trail),
            Arc::<ManualClock>::clone(&clock),
        );
        let recorder = Recorder::new(store, Arc::new(BuiltinMasker::new()), time);
        let (store, time) = (
            Arc::<PostgresAuditStore>::clone(&trail),
            Arc::<ManualClock>::clone(&clock),
        );
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Self {
            retention: TrailRetention::new(store, recorder, time, year),
            signer: NoteSigner::generate("audit.example.com").unwrap(),
            home: tempfile::tempdir().unwrap(),
            trail,
            clock,
        }
    }

    async fn export(&self, of: &str, name: &str) -> std::path::PathBuf {
        let place = self.home.path().join(name);
        let (store, time) = (
            Arc::<PostgresAuditStore>::clone(&self.trail),
            Arc::<ManualClock>::clone(&self.clock),
        );
        let export = EvidenceExport::new(store, self.signer.clone(), time);
        let request = EvidenceRequest::new(tenant(of), "yearly", Actor::person("kazu").unwrap());
        export.write(&request, &place).await.unwrap();
        place
    }

    fn verifier(&self) -> EvidenceVerifier {
        EvidenceVerifier::new(vec![self.signer.verifier().clone()])
    }
}

#[tokio::test]
async fn the_partition_of_a_month_goes_as_a_whole_and_what_is_held_moves() {
    let Some(world) = World::new().await else { return };
    let desk = Desk::new(&world).await;
    for (n, (of, day, who)) in [
        ("org_a", "2025-03-01", "kazu"),
        ("org_b", "2025-03-02", "mika"),
        ("org_a", "2025-04-01", "kazu"),
        ("org_a", "2025-03-31", "hana"),
        ("org_a", "2025-03-31", "kazu"),
    ]
    .into_iter()
    .enumerate()
    {
        desk.trail.append(&record(of, day, who, n as i64)).await.unwrap();
    }
    let mut root = world.superuser().await;
    assert_eq!(
        texts(&mut root, PLACES).await,
        ["ops.audit_log_202503", "ops.audit_log_202504"]
    );

    // The writer neither learns whose months there are nor removes anything.
    let refused = desk.trail.months(at("2026-01-01T00:00:00Z")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    world
        .store
        .grant_audit_pruner(&world.scratch.audit_role())
        .await
        .unwrap();

    let holds = DataHolds::new(&world.store);
    let hold = LegalHold::new(tenant("org_a"), "case 7", at("2026-01-01T00:00:00Z")).of_person("hana");
    holds.hold(&hold).await.unwrap();
    let evidence = [desk.export("org_a", "a").await, desk.export("org_b", "b").await];
    let plans = desk.retention.plan(&evidence, &desk.verifier()).await.unwrap();
    let months: Vec<_> = plans
        .iter()
        .map(|plan| (plan.month.to_string(), plan.removable(), plan.held()))
        .collect();
    assert_eq!(
        months,
        [("2025-03".to_owned(), 3, 1), ("2025-04".to_owned(), 1, 0)]
    );
    desk.retention
        .prune(&plans[0], &Actor::person("kazu").unwrap())
        .await
        .unwrap();

    let found = texts(&mut root, PLACES).await;
    assert!(
        found.contains(&"ops.audit_log_rest".to_owned())
            && !found.contains(&"ops.audit_log_202503".to_owned()),
        "{found:?}"
    );
    assert_eq!(
        texts(
            &mut root,
            "select coalesce(to_regclass('ops.audit_log_202503')::text, 'gone')"
        )
        .await,
        ["gone"]
    );
    let salts = "select tenant || sequence from ops.audit_salt order by 1";
    // The held record of position 3, April's of position 2, and those that tell of the removal.
    assert_eq!(
        texts(&mut root, salts).await,
        ["org_a2", "org_a3", "org_a5", "org_b2"]
    );
    for (of, records, removed) in [("org_a", 5, 2), ("org_b", 2, 1)] {
        let report = desk.trail.verify(&tenant(of)).await.unwrap();
        assert!(
            report.intact() && (report.records, report.removed) == (records, removed),
            "{report:?}"
        );
    }
    // Row security holds again, for the owner too.
    let mut owner = world.owner().await;
    for table in [
        "ops.audit_log",
        "ops.audit_log_rest",
        "ops.audit_log_202504",
        "ops.audit_kept",
    ] {
        assert_eq!(super::world::count(&mut owner, table).await, 0, "{table}");
    }
    assert_eq!(
        texts(&mut root, "select count(*)::text from ops.audit_kept").await,
        ["3"]
    );

    // An export gives what was kept in its place, in the order of the chain.
    let after = desk.export("org_a", "after").await;
    let verdict = desk.verifier().verify(&after).unwrap();
    assert!(verdict.intact(), "{verdict:?}");
    assert_eq!(
        verdict
            .manifest
            .map(|manifest| (manifest.records, manifest.removed)),
        Some((3, 2))
    );

    // The month is made anew where it is needed, and takes in what was held.
    desk.trail.make_months(at("2025-03-15T00:00:00Z")).await.unwrap();
    assert!(
        texts(&mut root, PLACES)
            .await
            .contains(&"ops.audit_log_202503".to_owned())
    );
    holds.release(hold.id, at("2026-11-27T00:00:00Z")).await.unwrap();
    let plan = &desk.retention.plan(&evidence, &desk.verifier()).await.unwrap()[0];
    desk.retention
        .prune(plan, &Actor::person("kazu").unwrap())
        .await
        .unwrap();
    let report = desk.trail.verify(&tenant("org_a")).await.unwrap();
    assert!(report.intact() && report.removed == 3, "{report:?}");
    world.close().await;
}

#[tokio::test]
async fn a_record_that_somebody_takes_away_by_hand_is_found_whatever_is_kept_of_it() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    for n in 0..5 {
        audit
            .append(&record("org_a", "2025-03-01", "kazu", n))
            .await
            .unwrap();
    }
    let mut root = world.superuser().await;
    let content = ops_core::audit::content(
        &audit
            .search(&tenant("org_a"), &Default::default())
            .await
            .unwrap()
            .records[0],
    );
    let take = |content: &str| {
        format!(
            "insert into ops.audit_kept select tenant, sequence, id, hash, decode('{content}', 'hex') from ops.audit_log where sequence = 3;
             delete from ops.audit_log where sequence = 3"
        )
    };
    // What is kept is not what the record said: the chain does not fit.
    run(&mut root, &take(&content.to_string())).await.unwrap();
    let report = audit.verify(&tenant("org_a")).await.unwrap();
    assert!(
        report
            .faults
            .iter()
            .any(|fault| fault.sequence == 3 && fault.what.contains("does not fit")),
        "{report:?}"
    );
    // And whatever it is, no record of the trail tells of it.
    assert!(
        report
            .faults
            .iter()
            .any(|fault| fault.what.contains("no record of the trail says so")),
        "{report:?}"
    );
    world.close().await;
}

#[tokio::test]
async fn a_removal_that_is_cut_off_removes_nothing_and_a_reader_is_not_waited_for() {
    let Some(world) = World::new().await else { return };
    let desk = Desk::new(&world).await;
    for n in 0..3 {
        desk.trail
            .append(&record("org_a", "2025-03-01", "kazu", n))
            .await
            .unwrap();
    }
    world
        .store
        .grant_audit_pruner(&world.scratch.audit_role())
        .await
        .unwrap();
    let evidence = [desk.export("org_a", "a").await];
    let plan = desk
        .retention
        .plan(&evidence, &desk.verifier())
        .await
        .unwrap()
        .remove(0);
    let mut reader = world.superuser().await;
    run(&mut reader, "begin; select count(*) from ops.audit_log")
        .await
        .unwrap();
    let by = Actor::person("kazu").unwrap();
    let refused = desk.retention.prune(&plan, &by).await.unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Timeout | ErrorKind::Unavailable),
        "{refused}"
    );
    let report = desk.trail.verify(&tenant("org_a")).await.unwrap();
    assert!(
        report.intact() && (report.records, report.removed) == (3, 0),
        "{report:?}"
    );
    run(&mut reader, "commit").await.unwrap();
    desk.retention.prune(&plan, &by).await.unwrap();
    let report = desk.trail.verify(&tenant("org_a")).await.unwrap();
    assert!(
        report.intact() && (report.records, report.removed) == (4, 3),
        "{report:?}"
    );
    world.close().await;
}

/// A process that was paused after its plan, or in the middle, and goes on after another has begun: what it planned is looked at again where it is removed.
#[tokio::test]
async fn a_run_that_stood_still_removes_nothing_that_is_not_as_it_was_planned() {
    let Some(world) = World::new().await else { return };
    let desk = Desk::new(&world).await;
    for month in ["2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01"] {
        desk.trail
            .append(&record("org_a", month, "kazu", 0))
            .await
            .unwrap();
    }
    world
        .store
        .grant_audit_pruner(&world.scratch.audit_role())
        .await
        .unwrap();
    let evidence = [desk.export("org_a", "a").await];
    // The store is the only thing that both runs share.
    let (stale, other) = (&desk.retention, Desk::new(&world).await.retention);
    let old = stale.plan(&evidence, &desk.verifier()).await.unwrap();
    let new = other.plan(&evidence, &desk.verifier()).await.unwrap();
    let by = Actor::person("kazu").unwrap();
    let [march, april, may, june] = &old[..] else {
        panic!("{old:?}")
    };

    // The other one has removed it.
    other.prune(&new[0], &by).await.unwrap();
    let gone = stale.prune(march, &by).await.unwrap_err();
    // A record has come to it since, which no evidence has.
    desk.trail
        .append(&record("org_a", "2025-04-02", "hana", 1))
        .await
        .unwrap();
    let grown = stale.prune(april, &by).await.unwrap_err();
    // It is held since.
    let holds = DataHolds::new(&world.store);
    let hold = LegalHold::new(tenant("org_a"), "case 7", at("2026-01-01T00:00:00Z"));
    holds.hold(&hold).await.unwrap();
    let held = stale.prune(may, &by).await.unwrap_err();
    holds.release(hold.id, at("2026-01-02T00:00:00Z")).await.unwrap();
    for refused in [gone, grown, held] {
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
    let report = desk.trail.verify(&tenant("org_a")).await.unwrap();
    assert!(
        report.intact() && (report.records, report.removed) == (6, 1),
        "{report:?}"
    );

    // Both at once.
    let both = tokio::join!(stale.prune(june, &by), other.prune(&new[3], &by));
    let ((Ok(()), Err(late)) | (Err(late), Ok(()))) = &both else {
        panic!("one of the two, once: {both:?}")
    };
    assert_eq!(late.kind(), ErrorKind::Conflict, "{late}");
    let report = desk.trail.verify(&tenant("org_a")).await.unwrap();
    assert!(
        report.intact() && (report.records, report.removed) == (7, 2),
        "{report:?}"
    );
    world.close().await;
}

#[tokio::test]
async fn a_legal_hold_is_stronger_than_forgetting() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    audit
        .append(&record("org_a", "2025-03-01", "kazu", 1))
        .await
        .unwrap();
    let holds = DataHolds::new(&world.store);
    let hold = LegalHold::new(tenant("org_a"), "case 7", at("2026-01-01T00:00:00Z")).of_person("kazu");
    holds.hold(&hold).await.unwrap();
    let owners = PostgresAuditStore::unchecked(&world.store);
    let forgotten = owners.forget(&tenant("org_a"), "kazu").await.unwrap();
    assert_eq!((forgotten.records, forgotten.held), (0, 1));
    holds.release(hold.id, at("2026-01-02T00:00:00Z")).await.unwrap();
    let forgotten = owners.forget(&tenant("org_a"), "kazu").await.unwrap();
    assert_eq!((forgotten.records, forgotten.held), (1, 0));
    world.close().await;
}

#[tokio::test]
async fn a_verification_that_waits_for_a_removal_sees_what_was_kept() {
    let Some(world) = World::new().await else { return };
    let audit = Arc::new(world.audit().await);
    for n in 0..3 {
        audit
            .append(&record("org_a", "2025-03-01", "kazu", n))
            .await
            .unwrap();
    }
    let content = {
        let chain = audit.chain(&tenant("org_a"), 0, 10).await.unwrap();
        let contents = chain.iter().filter_map(|entry| entry.record());
        contents
            .map(|(_, record)| ops_core::audit::content(record).to_string())
            .collect::<Vec<_>>()
    };
    let mut root = world.superuser().await;
    run(
        &mut root,
        "begin; lock table ops.audit_log in access exclusive mode",
    )
    .await
    .unwrap();
    let reader = Arc::<PostgresAuditStore>::clone(&audit);
    let verifying = tokio::spawn(async move { reader.verify(&tenant("org_a")).await });
    let mut watch = world.superuser().await;
    let waits =
        "select count(*)::text from pg_locks where not granted and relation = 'ops.audit_log'::regclass";
    while texts(&mut watch, waits).await == ["0"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (at, content) in (1..).zip(&content) {
        let keep = format!(
            "insert into ops.audit_kept select tenant, sequence, id, hash, decode('{content}', 'hex') from ops.audit_log where sequence = {at}"
        );
        run(&mut root, &keep).await.unwrap();
    }
    run(&mut root, "drop table ops.audit_log_202503; commit")
        .await
        .unwrap();
    let report = verifying.await.unwrap().unwrap();
    assert_eq!((report.records, report.removed), (3, 3), "{report:?}");
    // Only that nobody told of it.
    assert!(
        report.faults.len() == 1 && report.faults[0].what.contains("says so"),
        "{report:?}"
    );
    world.close().await;
}
