//! What must be ended by hand, and what cannot be watched.

use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::Recorder;
use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Retry};
use ops_core::governance::migration::{
    MigrationFolder, MigrationPlan, MigrationRunner, RunPolicy, RunStatus,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, HalfDone, MigrationStep, StepDone, TenantId, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, MigrationInspector, Touch};
use ops_postgres::PostgresMigrations;
use sqlx::PgConnection;

use crate::run::{LONG, SHORT, count, step};
use crate::world::{World, run};

/// Runs `step`, and cancels its statement as soon as `half_way` counts something.
async fn cancelled(
    migrations: &PostgresMigrations,
    step: &MigrationStep,
    owner: &mut PgConnection,
    half_way: &'static str,
) -> Error {
    let (migrations, step) = (migrations.clone(), step.clone());
    let running = tokio::spawn(async move { migrations.execute(&step, LONG, 50).await });
    while count(owner, half_way).await == 0 {
        assert!(!running.is_finished(), "somebody is in its way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cancel = "select count(pg_cancel_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'ops-migrations' and query like '%concurrently%' and pid <> pg_backend_pid()
          and state = 'active'";
    assert_eq!(count(owner, cancel).await, 1);
    running.await.unwrap().unwrap_err()
}

/// Makes a table with a partition; the step that detaches it.
async fn detaching(owner: &mut PgConnection) -> MigrationStep {
    run(
        owner,
        "create table parts (id int) partition by range (id); create table parts_1 partition of parts for values from (0) to (10)",
    )
    .await
    .unwrap();
    let mut detach = step(1, "alter table parts detach partition parts_1 concurrently");
    detach.autocommit = true;
    detach.may_leave = Some(HalfDone::Detach {
        partition: "public.parts_1".to_owned(),
    });
    detach
}

fn remedy(error: &Error) -> String {
    let text = error.to_string();
    let (_, remedy) = text.split_once("remedy: ").expect("a remedy");
    remedy.split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_partition_that_stays_half_detached_is_said_and_not_detached_again() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let detach = detaching(&mut owner).await;
    let mut reader = world.owner().await;
    run(&mut reader, "begin; select * from parts").await.unwrap();
    let pending = "select count(*) from pg_inherits where inhdetachpending";
    let half = cancelled(&migrations, &detach, &mut owner, pending).await;
    run(&mut reader, "rollback").await.unwrap();
    for _ in 0..2 {
        let again = migrations.execute(&detach, LONG, 5).await.unwrap_err();
        for error in [&half, &again] {
            assert_eq!(
                (error.kind(), error.retry()),
                (ErrorKind::Conflict, Retry::Never),
                "{error}"
            );
            assert!(remedy(error).contains("FINALIZE"), "{error}");
        }
    }
    assert_eq!(count(&mut owner, pending).await, 1, "it was left alone");
    run(&mut owner, &remedy(&half)).await.unwrap();
    assert_eq!(migrations.execute(&detach, LONG, 5).await.unwrap(), StepDone::Now);
    assert_eq!(
        migrations.execute(&detach, LONG, 5).await.unwrap(),
        StepDone::Before
    );
    world.close().await;
}

#[tokio::test]
async fn a_detach_that_was_begun_is_done_only_where_the_table_is_there_and_no_partition() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let detach = detaching(&mut owner).await;
    // As a process that died leaves it.
    let mark = format!(
        "insert into ops.migration_step (scope, migration, position, digest) values ('', '7', 1, '{}')",
        detach.digest
    );
    for (away, back) in [
        (
            "alter table parts rename to bits",
            "alter table bits rename to parts",
        ),
        (
            "alter table parts_1 rename to bits_1",
            "alter table bits_1 rename to parts_1",
        ),
    ] {
        run(&mut owner, away).await.unwrap();
        run(&mut owner, &mark).await.unwrap();
        let told = migrations.execute(&detach, LONG, 5).await;
        assert!(told.is_err(), "{away}: {told:?}");
        run(&mut owner, back).await.unwrap();
    }
    run(&mut owner, &mark).await.unwrap();
    run(&mut owner, "alter table parts detach partition parts_1")
        .await
        .unwrap();
    assert_eq!(migrations.execute(&detach, LONG, 5).await.unwrap(), StepDone::Now);
    world.close().await;
}

#[tokio::test]
async fn copies_that_another_session_is_at_work_on_are_not_named() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create table twice (a int, b int); create index on twice (a); create index on twice (b)",
    )
    .await
    .unwrap();
    let mut writer = world.owner().await;
    run(&mut writer, "begin; lock table twice in row exclusive mode")
        .await
        .unwrap();
    let mut other = world.owner().await;
    let theirs = tokio::spawn(async move { run(&mut other, "reindex table concurrently twice").await });
    while count(
        &mut owner,
        "select count(*) from pg_class where relname ~ '_ccnew'",
    )
    .await
        < 2
    {
        assert!(!theirs.is_finished(), "the writer is in its way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It looks for the copies, and needs no lock that they hold.
    let mut look = step(1, "select 1");
    look.autocommit = true;
    look.may_leave = Some(HalfDone::Reindex {
        tables: vec!["public.twice".to_owned()],
    });
    assert_eq!(migrations.execute(&look, LONG, 5).await.unwrap(), StepDone::Now);
    run(&mut writer, "rollback").await.unwrap();
    theirs.await.unwrap().unwrap();
    world.close().await;
}

#[tokio::test]
async fn copies_that_a_failed_reindex_leaves_are_said_and_none_is_added() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let mut reindex = step(1, "reindex table concurrently conversations");
    reindex.autocommit = true;
    reindex.may_leave = Some(HalfDone::Reindex {
        tables: vec!["public.conversations".to_owned()],
    });
    let mut writer = world.owner().await;
    run(
        &mut writer,
        "begin; lock table conversations in row exclusive mode",
    )
    .await
    .unwrap();
    let copies = "select count(*) from pg_class where relname ~ '_ccnew'";
    let half = cancelled(&migrations, &reindex, &mut owner, copies).await;
    run(&mut writer, "rollback").await.unwrap();
    let left = count(&mut owner, copies).await;
    let again = migrations.execute(&reindex, LONG, 5).await.unwrap_err();
    for error in [&half, &again] {
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Conflict, Retry::Never),
            "{error}"
        );
    }
    assert_eq!(count(&mut owner, copies).await, left, "none was added");
    while count(&mut owner, copies).await > 0 {
        let error = migrations.execute(&reindex, LONG, 5).await.unwrap_err();
        let remedy = remedy(&error);
        assert!(remedy.contains("DROP INDEX CONCURRENTLY"), "{error}");
        run(&mut world.superuser().await, &remedy).await.unwrap();
    }
    assert_eq!(
        migrations.execute(&reindex, LONG, 5).await.unwrap(),
        StepDone::Now
    );
    world.close().await;
}

#[tokio::test]
async fn what_no_session_can_lock_is_no_sick_table() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut root = world.superuser().await;
    let role = world.store.role().await.unwrap();
    let make = format!(
        "create foreign data wrapper nowhere; create server far foreign data wrapper nowhere; grant usage on foreign server far to {role};
         set role {role}; create materialized view totals as select count(*) from conversations; create foreign table abroad (id int) server far"
    );
    run(&mut root, &make).await.unwrap();
    for name in ["public.totals", "public.abroad"] {
        for touch in [Touch::Read, Touch::Write] {
            let error = migrations.touch(name, touch, SHORT).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "refresh materialized view totals;\nalter foreign table abroad add column b int;\n";
    std::fs::write(dir.path().join("1_a.sql"), script).unwrap();
    let folder = MigrationFolder::read(dir.path()).unwrap();
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let plan = MigrationPlan::new(&folder, &state, &schema).unwrap();
    assert_eq!(plan.migrations[0].touched, Vec::<String>::new(), "{plan:?}");
    // What an older version of this program left to be watched.
    let mut owed = UnfinishedRun::default();
    owed.touched = vec!["public.totals".to_owned(), "public.conversations".to_owned()];
    migrations.keep(&plan.scope, None, Some(&owed)).await.unwrap();
    std::fs::remove_file(dir.path().join("1_a.sql")).unwrap();
    std::fs::write(dir.path().join("1_b.sql"), "refresh materialized view totals;").unwrap();
    let folder = MigrationFolder::read(dir.path()).unwrap();
    let plan = MigrationPlan::new(&folder, &state, &schema).unwrap();
    let clock = Arc::new(SystemClock::new());
    let recorder = Recorder::new(
        Arc::new(InMemoryAudit::new()),
        Arc::new(BuiltinMasker::new()),
        Arc::clone(&clock) as _,
    );
    let mut policy = RunPolicy::default();
    policy.watch = Duration::ZERO;
    let tenant = TenantId::new("acme").unwrap();
    let runner = MigrationRunner::new(Arc::new(migrations), recorder, clock, tenant).with_policy(policy);
    let report = runner.run(&plan, &Actor::person("alice").unwrap()).await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    world.close().await;
}
