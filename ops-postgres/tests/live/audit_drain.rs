use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ops_core::audit::{Drain, DrainOptions, Recorded, Recorder, Spool};
use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditEntry, AuditStore, TrailEntry};
use ops_core::testkit::PostgresServer;
use ops_postgres::{PostgresAuditStore, PostgresStore, ScratchDatabase};

use super::world::{World, run};

const AMPLE: Duration = Duration::from_secs(120);
/// How often the server is killed; more in a longer run.
const ROUNDS: &str = "OPS_TEST_KILL_ROUNDS";

fn tenant(n: i64) -> TenantId {
    TenantId::new(format!("org_{}", n % 3)).unwrap()
}

fn record(n: i64) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
    AuditRecord::new(
        at,
        tenant(n),
        Actor::person("kazu").unwrap(),
        "report.view",
        "report",
        n.to_string(),
    )
    .with_detail("ip", "203.0.113.7")
}

fn recorder(store: PostgresAuditStore, spool: Spool) -> (Recorder, Drain) {
    let recorder = Recorder::new(
        Arc::new(store),
        Arc::new(BuiltinMasker::new()),
        Arc::new(SystemClock::new()),
    )
    .with_spool(spool);
    let mut options = DrainOptions::default();
    options.gather = Duration::from_millis(2);
    options.first_delay = Duration::from_millis(20);
    options.longest_delay = Duration::from_millis(200);
    let drain = recorder.drain(options).unwrap();
    (recorder, drain)
}

/// The names of all records of the three tenants, each chain verified.
async fn stored(store: &dyn AuditStore) -> Vec<String> {
    let mut names = Vec::new();
    for tenant in (0..3).map(tenant) {
        let report = store.verify(&tenant).await.unwrap();
        assert!(report.intact(), "{report:?}");
        let chain = store.chain(&tenant, 0, 1_000_000).await.unwrap();
        let records = chain.into_iter().filter_map(TrailEntry::into_record);
        names.extend(records.map(|(_, record)| record.resource_id));
    }
    names
}

#[tokio::test]
async fn two_drainers_at_once_make_one_chain_of_each_tenant() {
    let Some(world) = World::new().await else { return };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = Vec::new();
    for folder in &folders {
        // As on two machines: each has a spool and connections of its own.
        running.push(recorder(world.audit().await, Spool::open(folder.path()).unwrap()));
    }
    for n in 0..600 {
        let (recorder, _) = &running[usize::from(n % 2 == 1)];
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
    }
    for (_, drain) in running {
        let status = drain.stop(AMPLE).await.unwrap();
        assert_eq!((status.stored, status.refused, status.depth), (300, 0, 0));
    }
    let names = stored(&world.audit().await).await;
    let wanted: BTreeSet<_> = (0..600).map(|n| n.to_string()).collect();
    assert_eq!(names.len(), 600);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), wanted);
    world.close().await;
}

#[tokio::test]
async fn one_batch_given_by_many_at_once_is_stored_once() {
    let Some(world) = World::new().await else { return };
    let entries: Arc<Vec<AuditEntry>> = Arc::new((0..300).map(|n| record(n).into()).collect());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (store, entries) = (world.audit().await, Arc::clone(&entries));
        tasks.push(tokio::spawn(async move {
            store.append_all(&entries).await.unwrap().len()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 300);
    }
    assert_eq!(stored(&world.audit().await).await.len(), 300);
    world.close().await;
}

#[tokio::test]
async fn a_database_whose_transactions_are_repeatable_read_by_default_sets_no_record_aside() {
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let default = format!(
        "alter database {} set default_transaction_isolation = 'repeatable read'",
        world.scratch.name()
    );
    run(&mut root, &default).await.unwrap();
    let mut tasks = Vec::new();
    for task in 0..4 {
        let store = world.audit().await;
        tasks.push(tokio::spawn(async move {
            for n in 0..10 {
                let entries: Vec<AuditEntry> =
                    (0..30).map(|m| record(task * 1000 + n * 30 + m).into()).collect();
                store.append_all(&entries).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stored(&world.audit().await).await.len(), 1200);
    world.close().await;
}

#[tokio::test]
async fn a_tenant_whose_head_cannot_be_read_holds_up_no_other() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    let entries =
        |numbers: std::ops::Range<i64>| -> Vec<AuditEntry> { numbers.map(|n| record(n).into()).collect() };
    audit.append_all(&entries(0..9)).await.unwrap();
    let mut root = world.superuser().await;
    run(
        &mut root,
        "create table public.kept as table ops.audit_head;
         update ops.audit_head set peaks = '\\x00' where tenant = 'org_1'",
    )
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    for n in 9..30 {
        spool.append(record(n)).await.unwrap();
    }
    let delivered = spool.deliver(&audit).await.unwrap();
    assert_eq!(
        (
            delivered.stored,
            delivered.stuck,
            delivered.refused,
            delivered.pending
        ),
        (14, 7, 0, 7),
        "{delivered:?}"
    );
    run(
        &mut root,
        "update ops.audit_head h set peaks = k.peaks from public.kept k where k.tenant = h.tenant and h.tenant = 'org_1'",
    )
    .await
    .unwrap();
    let delivered = spool.deliver(&audit).await.unwrap();
    assert_eq!((delivered.stored, delivered.stuck, delivered.pending), (7, 0, 0));
    assert_eq!(stored(&audit).await.len(), 30);
    world.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_one_tenant_or_one_record_costs_no_other() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    let mut root = world.superuser().await;
    run(
        &mut root,
        "create function public.odd() returns trigger language plpgsql as $$ begin
             if new.tenant = 'org_1' then return null; end if;
             if new.resource_id = '14' then raise exception using errcode = '22021'; end if;
             return new; end $$;
         create trigger odd before insert on ops.audit_log for each row execute function public.odd()",
    )
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    for n in 9..30 {
        spool.append(record(n)).await.unwrap();
    }
    // Rows of one tenant are kept away; no row can hold the record 14 of another.
    let delivered = spool.deliver(&audit).await.unwrap();
    assert_eq!(
        (
            delivered.stored,
            delivered.stuck,
            delivered.refused,
            delivered.pending
        ),
        (13, 7, 1, 7),
        "{delivered:?}"
    );
    let said = delivered.error.map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("trigger"), "{said}");

    // Somebody who mends a head by hand, and goes for lunch.
    run(&mut root, "drop trigger odd on ops.audit_log").await.unwrap();
    let app = format!("{}_app", world.scratch.name());
    world.store.grant_audit_writer(&app).await.unwrap();
    let hurried = format!(
        "alter role {app} in database {} set statement_timeout = '2s'",
        world.scratch.name()
    );
    run(&mut root, &hurried).await.unwrap();
    let hurried = PostgresAuditStore::from_pool(world.app_pool().await)
        .await
        .unwrap();
    run(
        &mut root,
        "begin; update ops.audit_head set sequence = sequence where tenant = 'org_0'",
    )
    .await
    .unwrap();
    for n in 30..33 {
        spool.append(record(n)).await.unwrap();
    }
    let delivered = spool.deliver(&audit).await.unwrap();
    assert_eq!((delivered.stored, delivered.stuck, delivered.pending), (9, 1, 1));
    // An application whose statements may take less time than that waits for this tenant only, too.
    spool.append(record(34)).await.unwrap();
    let delivered = spool.deliver(&hurried).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.stuck, delivered.pending),
        (1, 1, 1),
        "{delivered:?}"
    );
    run(&mut root, "rollback").await.unwrap();
    let delivered = spool.deliver(&audit).await.unwrap();
    assert_eq!((delivered.stored, delivered.stuck, delivered.pending), (1, 0, 0));
    let wanted: Vec<_> = (0..3)
        .flat_map(|tenant| (9..35).filter(move |n| n % 3 == tenant && ![14, 33].contains(n)))
        .map(|n: i64| n.to_string())
        .collect();
    assert_eq!(stored(&audit).await, wanted, "each in its order");
    world.close().await;
}

#[tokio::test]
async fn while_the_database_takes_no_writes_records_wait_and_arrive_afterwards() {
    let Some(world) = World::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let app = format!("{}_app", world.scratch.name());
    world.store.grant_audit_writer(&app).await.unwrap();
    let mut root = world.superuser().await;
    let read_only = format!(
        "alter role {app} in database {} set default_transaction_read_only = on",
        world.scratch.name()
    );
    run(&mut root, &read_only).await.unwrap();
    // The application's own pool respects the setting; the writer's own role goes on.
    let waits = PostgresAuditStore::from_pool(world.app_pool().await)
        .await
        .unwrap();
    let (recorder, drain) = recorder(waits, Spool::open(folder.path()).unwrap());
    for n in 0..20 {
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
    }
    let mut looks = 0;
    while drain.status().failures == 0 {
        looks += 1;
        assert!(looks < 60_000, "nobody was refused: {:?}", drain.status());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let late = drain.stop(Duration::from_millis(300)).await.unwrap_err();
    assert!(late.to_string().contains("read-only"), "{late}");
    let entries: Vec<AuditEntry> = (100..103).map(|n| record(n).into()).collect();
    world.audit().await.append_all(&entries).await.unwrap();

    let spool = Spool::open(folder.path()).unwrap();
    assert_eq!(spool.status().await.unwrap().records, 20);
    let (_, drain) = self::recorder(world.audit().await, spool);
    assert_eq!(drain.stop(AMPLE).await.unwrap().stored, 20);
    assert_eq!(stored(&world.audit().await).await.len(), 23);
    world.close().await;
}

#[tokio::test]
async fn a_role_that_is_read_only_by_default_writes_the_trail_all_the_same() {
    let Some(world) = World::new().await else { return };
    let (role, database) = (world.scratch.audit_role(), world.scratch.name());
    let mut root = world.superuser().await;
    run(
        &mut root,
        &format!("alter role {role} in database {database} set default_transaction_read_only = on"),
    )
    .await
    .unwrap();
    let audit = world.audit().await;
    let entries: Vec<AuditEntry> = (0..5).map(|n| record(n).into()).collect();
    audit.append_all(&entries).await.unwrap();
    assert_eq!(stored(&audit).await.len(), 5);
    world.close().await;
}

/// A disk of the server's own, as small as it is said to be.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn mount(size: &str) -> Option<Self> {
        let id = |name: &str| {
            Some(
                String::from_utf8(Command::new("id").args(["-u", name]).output().ok()?.stdout)
                    .ok()?
                    .trim()
                    .to_owned(),
            )
        };
        let user = ["postgres", "nobody"]
            .into_iter()
            .filter_map(id)
            .find(|id| !id.is_empty())?;
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},uid={user},mode=0700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path());
        mount
            .output()
            .is_ok_and(|output| output.status.success())
            .then(|| Self(folder))
    }

    fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,size={size}")])
            .arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn while_the_servers_disk_is_full_records_wait_and_arrive_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("400k") else {
        return eprintln!("LEFT OUT: nobody may mount a small disk for the server here");
    };
    // A server of its own: a full disk stops the checkpoints of all its databases.
    let server = match PostgresServer::start().await {
        Ok(server) => server,
        Err(error) => return eprintln!("LEFT OUT: no server for a small disk ({error})"),
    };
    let world = World::at(&server.url().into()).await;
    let mut root = world.superuser().await;
    let role = world.scratch.audit_role();
    let revoke = format!("revoke execute on function ops.audit_make_month(date) from {role}");
    run(&mut root, &revoke).await.unwrap();
    let make = format!("create tablespace small location '{}'", disk.0.path().display());
    run(&mut root, &make).await.unwrap();
    run(&mut root, "alter table ops.audit_log_rest set tablespace small")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (recorder, drain) = recorder(world.audit().await, Spool::open(folder.path()).unwrap());
    let mut kept = 0;
    // A batch that is refused is tried in parts, of which some may fit: full is it when what waits does not get through.
    loop {
        assert!(kept < 20_000, "the disk was never full");
        for _ in 0..200 {
            assert_eq!(recorder.record(record(kept)).await, Recorded::Kept);
            kept += 1;
        }
        if let Err(late) = drain.flush(Duration::from_millis(500)).await
            && late.to_string().contains("53100")
            && drain.status().depth > 0
        {
            break;
        }
    }
    disk.grow("64m");
    let status = drain.stop(AMPLE).await.unwrap();
    assert_eq!((status.refused, status.depth), (0, 0));
    assert_eq!(
        stored(&world.audit().await).await.len(),
        usize::try_from(kept).unwrap()
    );
    drop(root);
    world.close().await;
}

/// A session is ended in the middle again and again, as an administrator or a failover does.
#[tokio::test]
async fn sessions_that_are_ended_in_the_middle_cost_nothing() {
    let Some(world) = World::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (recorder, drain) = recorder(world.audit().await, Spool::open(folder.path()).unwrap());
    let mut root = world.superuser().await;
    let end = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{}'",
        world.scratch.audit_role()
    );
    for n in 0..300 {
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
        if n % 20 == 0 {
            run(&mut root, &end).await.unwrap();
        }
    }
    let status = drain.stop(AMPLE).await.unwrap();
    assert_eq!((status.refused, status.depth), (0, 0));
    assert_eq!(stored(&world.audit().await).await.len(), 300);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_mid_batch_loses_nothing_and_stores_nothing_twice() {
    if super::world::admin_url().await.is_none() {
        return;
    }
    // A server of its own: the others go on with theirs.
    let mut server = match PostgresServer::start().await {
        Ok(server) => server,
        Err(error) => return eprintln!("LEFT OUT: no server that may be killed ({error})"),
    };
    let scratch = ScratchDatabase::create(&server.url().into(), "ops_test_killed")
        .await
        .unwrap();
    let owner = PostgresStore::connect(scratch.owner_url()).await.unwrap();
    owner.migrate().await.unwrap();
    owner.grant_audit_writer(&scratch.audit_role()).await.unwrap();
    owner.close().await;
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = Vec::new();
    for folder in &folders {
        let store = PostgresAuditStore::connect(scratch.audit_url()).await.unwrap();
        running.push(recorder(store, Spool::open(folder.path()).unwrap()));
    }
    let (next, ending) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers = (0..8).map(|caller| {
        let (recorder, next, ending) = (
            running[caller % 2].0.clone(),
            Arc::clone(&next),
            Arc::clone(&ending),
        );
        tokio::spawn(async move {
            while !ending.load(Ordering::Acquire) {
                let n = next.fetch_add(1, Ordering::AcqRel);
                assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let rounds: u64 = Env::process()
        .text(ROUNDS)
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3);
    for round in 0..rounds {
        // At another place each time, while batches are on their way.
        let until = running[0].1.status().stored + 1 + round * 173;
        let mut looks = 0;
        while running[0].1.status().stored < until {
            looks += 1;
            assert!(looks < 60_000, "nothing arrives: {:?}", running[0].1.status());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill_and_restart().await.unwrap();
    }
    ending.store(true, Ordering::Release);
    for caller in callers {
        caller.await.unwrap();
    }
    let mut failures = 0;
    for (_, drain) in running {
        let status = drain.stop(AMPLE).await.unwrap();
        assert_eq!((status.refused, status.missing, status.depth), (0, 0, 0));
        failures += status.failures;
    }
    assert!(failures > 0, "the kills must have been felt");
    let kept = next.load(Ordering::Acquire);
    let names = stored(&PostgresAuditStore::connect(scratch.audit_url()).await.unwrap()).await;
    let wanted: BTreeSet<_> = (0..kept).map(|n| n.to_string()).collect();
    assert_eq!(names.len(), wanted.len(), "twice, or not at all");
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), wanted);
    eprintln!("{rounds} kills, {kept} acknowledged, {failures} failed looks, all stored once");
}
