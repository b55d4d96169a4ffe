use std::collections::BTreeSet;
use std::sync::Arc;

use ops_core::audit::{CheckpointKeeper, Growth, NoteSigner, tree};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditEntry, AuditQuery, AuditStore, DatabaseGuard};
use ops_postgres::{PostgresAuditStore, PostgresDatabaseGuard, PostgresStore};
use sqlx::PgConnection;

use super::world::{World, count, key, run, session};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn record(tenant: &TenantId, n: i64) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_001 + n);
    let actor = Actor::person("kazu").unwrap();
    AuditRecord::new(
        at,
        tenant.clone(),
        actor,
        "export",
        "audit_log",
        format!("2026-{n}"),
    )
    .with_detail("reason", "月次")
}

/// A chain of six, untouched so far.
async fn chain(world: &World) -> PostgresAuditStore {
    let audit = world.audit().await;
    for n in 0..6 {
        audit.append(&record(&tenant("org_a"), n)).await.unwrap();
    }
    assert!(audit.verify(&tenant("org_a")).await.unwrap().intact());
    audit
}

#[tokio::test]
async fn verify_finds_every_change_that_a_superuser_makes_in_sql() {
    let Some(world) = World::new().await else { return };
    let audit = chain(&world).await;
    let (home, org) = (tempfile::tempdir().unwrap(), tenant("org_a"));
    let (file, signer) = (
        home.path().join("seen"),
        NoteSigner::generate("audit.example.com").unwrap(),
    );
    let keeper = || {
        let (store, clock) = (Arc::new(audit.clone()), Arc::new(SystemClock::new()));
        CheckpointKeeper::new(store, Arc::new(BuiltinMasker::new()), clock, signer.clone())
    };
    assert_eq!(keeper().keep(&org, &file).await.unwrap().checkpoint.size, 6);
    let mut root = world.superuser().await;
    run(&mut root, "create table public.kept as table ops.audit_log; create table public.kept_head as table ops.audit_head")
        .await
        .unwrap();
    for (tampering, place) in [
        ("update ops.audit_log set actor_id = 'nobody' where sequence = 3", 3),
        ("update ops.audit_log set outcome = 'denied' where sequence = 4", 4),
        ("update ops.audit_log set at_micros = at_micros + 1 where sequence = 2", 2),
        (r#"update ops.audit_log set details = '{"reason":"x"}' where sequence = 1"#, 1),
        ("update ops.audit_log set details = 'no json' where sequence = 5", 5),
        ("delete from ops.audit_log where sequence = 3", 3),
        (
            "update ops.audit_log set sequence = case sequence when 2 then -3 else -2 end + 10 where sequence in (2, 3);
             update ops.audit_log set sequence = case sequence when 7 then 3 else 2 end where resource_id in ('2026-1', '2026-2')",
            2,
        ),
        // A chain alone cannot show this; the head that is left as it was does.
        ("delete from ops.audit_log where sequence = 6", 6),
        ("delete from ops.audit_log", 1),
    ] {
        run(&mut root, tampering).await.unwrap();
        let report = audit.verify(&tenant("org_a")).await.unwrap();
        let places: Vec<_> = report.faults.iter().map(|fault| fault.sequence).collect();
        assert!(places.contains(&place), "{tampering}: {report:?}");
        let unsigned = keeper().keep(&org, &file).await.unwrap_err();
        assert_eq!(unsigned.kind(), ErrorKind::Conflict, "{tampering}: {unsigned}");
        run(
            &mut root,
            "delete from ops.audit_log; insert into ops.audit_log select * from public.kept;
             delete from ops.audit_head; insert into ops.audit_head select * from public.kept_head",
        )
        .await
        .unwrap();
        assert!(audit.verify(&tenant("org_a")).await.unwrap().intact(), "after putting back");
        assert_eq!(keeper().keep(&org, &file).await.unwrap().growth, Growth::Same);
    }
    // Cut off together with its head: the chain fits, and the file knows better.
    let going = keeper();
    going.keep(&org, &file).await.unwrap();
    audit.append(&record(&org, 6)).await.unwrap();
    assert_eq!(going.keep(&org, &file).await.unwrap().growth, Growth::Grown);
    run(
        &mut root,
        "delete from ops.audit_log; insert into ops.audit_log select * from public.kept;
         delete from ops.audit_head; insert into ops.audit_head select * from public.kept_head",
    )
    .await
    .unwrap();
    assert!(audit.verify(&org).await.unwrap().intact());
    for keeper in [going, keeper()] {
        let unsigned = keeper.keep(&org, &file).await.unwrap_err();
        assert!(
            unsigned.to_string().contains("fewer records than were signed"),
            "{unsigned}"
        );
    }
    world.close().await;
}

#[tokio::test]
async fn a_row_beside_another_does_not_fall_between_two_pages() {
    let Some(world) = World::new().await else { return };
    let (audit, org) = (world.audit().await, tenant("org_a"));
    let entries: Vec<AuditEntry> = (0..1001).map(|n| record(&org, n).into()).collect();
    audit.append_all(&entries).await.unwrap();
    assert!(audit.verify(&org).await.unwrap().intact());
    let mut root = world.superuser().await;
    // A page of the check ends with the place of the forged row.
    run(
        &mut root,
        "insert into ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, resource_type, resource_id, outcome, details, hash)
         select tenant, sequence, gen_random_uuid(), at_micros, actor_kind, 'mallory', action, resource_type, resource_id, outcome, details, hash
         from ops.audit_log where sequence = 1000",
    )
    .await
    .unwrap();
    let report = audit.verify(&org).await.unwrap();
    assert!(!report.intact() && report.records == 1002, "{report:?}");
    assert_eq!(audit.chain(&org, 0, 1000).await.unwrap().len(), 1001);
    let error = tree(&audit, &org, Some(1000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    world.close().await;
}

#[tokio::test]
async fn a_row_that_a_trigger_keeps_away_is_not_said_to_be_stored() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    let mut root = world.superuser().await;
    run(
        &mut root,
        "create function public.drop_row() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger drop_row before insert on ops.audit_log for each row execute function public.drop_row()",
    )
    .await
    .unwrap();
    let error = audit.append(&record(&tenant("org_a"), 1)).await.unwrap_err();
    assert!(error.to_string().contains("trigger"), "{error}");
    world.close().await;
}

#[tokio::test]
async fn a_trail_that_was_put_back_by_hand_gets_the_tree_of_what_stands_there() {
    let Some(world) = World::new().await else { return };
    let (audit, org) = (chain(&world).await, tenant("org_a"));
    let mut root = world.superuser().await;
    // As before there was a tree beside the head: it is read through once, and remembered.
    let without_tree = "update ops.audit_head set peaks = null";
    run(&mut root, without_tree).await.unwrap();
    run(
        &mut root,
        "create table public.kept as table ops.audit_log; create table public.kept_head as table ops.audit_head",
    )
    .await
    .unwrap();
    for n in 6..9 {
        audit.append(&record(&org, n)).await.unwrap();
    }
    run(&mut root, without_tree).await.unwrap();
    let read = audit.head(&org).await.unwrap().unwrap();
    assert_eq!(read.receipt.sequence, 9);

    run(
        &mut root,
        "delete from ops.audit_log; insert into ops.audit_log select * from public.kept;
         delete from ops.audit_head; insert into ops.audit_head select * from public.kept_head",
    )
    .await
    .unwrap();
    let restored = audit.head(&org).await.unwrap();
    assert_eq!(restored, world.audit().await.head(&org).await.unwrap());
    // What is appended there takes other records' places.
    for n in 20..23 {
        audit.append(&record(&org, n)).await.unwrap();
    }
    run(&mut root, without_tree).await.unwrap();
    let head = audit.head(&org).await.unwrap().unwrap();
    assert_ne!(head.peaks, read.peaks);
    assert_eq!(Some(head), world.audit().await.head(&org).await.unwrap());
    audit.append(&record(&org, 30)).await.unwrap();
    let report = audit.verify(&org).await.unwrap();
    assert!(report.intact(), "{report:?}");
    world.close().await;
}

#[tokio::test]
async fn the_audit_role_can_neither_change_nor_delete_a_record() {
    let Some(world) = World::new().await else { return };
    chain(&world).await;
    let mut writer = session(world.scratch.audit_url()).await;
    for statement in [
        "update ops.audit_log set action = 'x'",
        "delete from ops.audit_log",
        "truncate ops.audit_log",
        "delete from ops.audit_head",
        "select * from conversations",
    ] {
        assert_eq!(
            run(&mut writer, statement).await,
            Err("42501".to_owned()),
            "{statement}"
        );
    }
    world.close().await;
}

#[tokio::test]
async fn no_tenant_sees_or_forges_the_rows_of_another() {
    let Some(world) = World::new().await else { return };
    let audit = chain(&world).await;
    audit.append(&record(&tenant("org_b"), 9)).await.unwrap();
    let page = audit
        .search(&tenant("org_b"), &AuditQuery::default())
        .await
        .unwrap();
    assert_eq!(page.records.len(), 1);
    let report = audit.verify(&tenant("org_b")).await.unwrap();
    assert!(report.intact() && report.records == 1, "{report:?}");

    // The role itself sees nothing without a tenant. The owner is no exception: row security is forced.
    for url in [world.scratch.audit_url(), world.scratch.owner_url()] {
        let mut role = session(url).await;
        assert_eq!(rows(&mut role).await, 0);
        // After `set_config(…, true)` and a commit the setting is '' and not null.
        run(
            &mut role,
            "begin; select set_config('app.current_tenant', 'org_b', true); commit",
        )
        .await
        .unwrap();
        assert_eq!(rows(&mut role).await, 0);
        run(
            &mut role,
            "begin; select set_config('app.current_tenant', 'org_b', true)",
        )
        .await
        .unwrap();
        assert_eq!(rows(&mut role).await, 1);
        let forged = run(
            &mut role,
            "insert into ops.audit_head (tenant, sequence) values ('org_c', 0)",
        )
        .await;
        assert_eq!(forged, Err("42501".to_owned()));
    }

    // One tenant's broken chain is no fault of another's.
    let mut root = world.superuser().await;
    run(
        &mut root,
        "update ops.audit_log set action = 'x' where tenant = 'org_a' and sequence = 1",
    )
    .await
    .unwrap();
    assert!(!audit.verify(&tenant("org_a")).await.unwrap().intact());
    assert!(audit.verify(&tenant("org_b")).await.unwrap().intact());
    world.close().await;
}

async fn rows(connection: &mut PgConnection) -> i64 {
    count(connection, "ops.audit_log").await
}

#[tokio::test]
async fn eight_writers_at_once_make_one_chain_without_a_fork() {
    let Some(world) = World::new().await else { return };
    let mut tasks = Vec::new();
    for task in 0..8 {
        let audit = world.audit().await;
        tasks.push(tokio::spawn(async move {
            let mut receipts = Vec::new();
            for n in 0..10 {
                let record = record(&tenant("org_a"), task * 100 + n);
                receipts.push(audit.append(&record).await.unwrap().sequence);
                // A retry that meets other writers gets the same receipt.
                let again = audit.append(&record).await.unwrap().sequence;
                assert_eq!(receipts.last(), Some(&again));
            }
            receipts
        }));
    }
    let mut places = BTreeSet::new();
    for task in tasks {
        places.extend(task.await.unwrap());
    }
    assert_eq!(places, (1..=80).collect());
    let report = world.audit().await.verify(&tenant("org_a")).await.unwrap();
    assert!(report.intact(), "{report:?}");
    assert_eq!(report.records, 80);
    assert_eq!(report.head.map(|head| head.sequence), Some(80));
    world.close().await;
}

#[tokio::test]
async fn records_written_while_read_only_are_there() {
    let Some(world) = World::new().await else { return };
    let audit = chain(&world).await;
    let prior = world.stop().await;
    audit.append(&record(&tenant("org_a"), 10)).await.unwrap();
    // A process that starts in the middle of it.
    let late = world.audit().await;
    late.append(&record(&tenant("org_a"), 11)).await.unwrap();
    world.restore(&prior).await;
    late.append(&record(&tenant("org_a"), 12)).await.unwrap();

    let report = late.verify(&tenant("org_a")).await.unwrap();
    assert!(report.intact() && report.records == 9, "{report:?}");
    let page = late
        .search(&tenant("org_a"), &AuditQuery::default())
        .await
        .unwrap();
    assert_eq!(page.records[1], record_like(&page.records[1], 11));
    world.close().await;
}

/// The record of `n` with the id that was drawn for it.
fn record_like(found: &AuditRecord, n: i64) -> AuditRecord {
    let mut record = record(&tenant("org_a"), n);
    record.id = found.id;
    record
}

#[tokio::test]
async fn a_store_on_the_applications_own_role_is_unavailable_while_read_only() {
    let Some(world) = World::new().await else { return };
    world
        .store
        .grant_audit_writer(&format!("{}_app", world.scratch.name()))
        .await
        .unwrap();
    let audit = PostgresAuditStore::from_pool(world.app_pool().await)
        .await
        .unwrap();
    let before = record(&tenant("org_a"), 0);
    let receipt = audit.append(&before).await.unwrap();
    let prior = world.stop().await;
    for _ in 0..2 {
        let error = audit.append(&record(&tenant("org_a"), 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    world.restore(&prior).await;
    // Sessions keep the default they began with: an application reconnects.
    let audit = PostgresAuditStore::from_pool(world.app_pool().await)
        .await
        .unwrap();
    audit.append(&record(&tenant("org_a"), 1)).await.unwrap();
    assert_eq!(audit.append(&before).await.unwrap(), receipt);
    world.close().await;
}

#[tokio::test]
async fn a_store_without_its_schema_says_so() {
    let Some(world) = World::new().await else { return };
    run(&mut world.owner().await, "drop schema ops cascade")
        .await
        .unwrap();
    let error = PostgresAuditStore::connect(world.scratch.owner_url())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let error = PostgresAuditStore::unchecked(&world.store)
        .append(&record(&tenant("org_a"), 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");

    // The guard needs no schema: it leaves no marker then.
    let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    let guard = PostgresDatabaseGuard::new(&store);
    let prior = guard.observe(&world.target()).await.unwrap();
    guard.set_read_only(&world.target(), &key()).await.unwrap();
    let stopped = guard.observe(&world.target()).await.unwrap();
    assert!(
        stopped.stopped().holds() && stopped.marker().is_none(),
        "{stopped:?}"
    );
    guard.restore(prior.snapshot(), &key()).await.unwrap();
    store.close().await;
    world.close().await;
}
