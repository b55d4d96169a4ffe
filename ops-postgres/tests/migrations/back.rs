//! The way back: of what was applied, of what a run left half-way, and of a way back that died.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::Recorder;
use ops_core::clock::SystemClock;
use ops_core::error::{ErrorKind, Retry};
use ops_core::governance::migration::{
    BackPlan, BackTo, MigrationFolder, MigrationPlan, MigrationRunner, RunPolicy, RunReport, RunStatus,
    migration_scope, migration_status,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, StepDone, TenantId};
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_postgres::{PostgresMigrations, schema_dump};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::crash::Mortal;
use crate::run::{LEDGER, LONG, SHORT, count};
use crate::world::{World, run};

pub(crate) const FILES: &[(&str, &str)] = &[
    ("1_base.up.sql", "create table base (id int);"),
    ("1_base.down.sql", "drop table base;"),
    (
        "2_a.up.sql",
        "alter table conversations add column note text;
         create index concurrently by_note on conversations (note);
         alter table conversations add constraint short check (length(note) < 100) not valid;",
    ),
    (
        "2_a.down.sql",
        "alter table conversations drop constraint short;
         drop index concurrently by_note;
         alter table conversations drop column note;",
    ),
    (
        "3_b.up.sql",
        "create table tags (id int primary key);\ninsert into tags values (1);",
    ),
    ("3_b.down.sql", "-- atomic\ndrop table tags;\ndelete from base;"),
];
/// Two for each of the four steps.
const BOUNDARIES: u32 = 8;

pub(crate) fn files(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

pub(crate) fn runner(executor: Arc<dyn MigrationExecutor>) -> MigrationRunner {
    let clock = Arc::new(SystemClock::new());
    let recorder = Recorder::new(
        Arc::new(InMemoryAudit::new()),
        Arc::new(BuiltinMasker::new()),
        Arc::clone(&clock) as _,
    );
    let mut policy = RunPolicy::default();
    policy.watch = Duration::ZERO;
    policy.retry.attempts = 1000;
    policy.retry.first_delay = Duration::from_millis(20);
    policy.retry.longest_delay = Duration::from_millis(100);
    MigrationRunner::new(executor, recorder, clock, TenantId::new("acme").unwrap()).with_policy(policy)
}

pub(crate) async fn up(migrations: &PostgresMigrations, dir: &Path) -> RunReport {
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let plan = MigrationPlan::new(&MigrationFolder::read(dir).unwrap(), &state, &schema).unwrap();
    let runner = runner(Arc::new(migrations.clone()));
    runner.run(&plan, &Actor::person("alice").unwrap()).await
}

pub(crate) async fn plan(migrations: &PostgresMigrations, dir: &Path, to: &BackTo) -> BackPlan {
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let folder = MigrationFolder::read(dir).unwrap();
    let scope = migration_scope(&state, &folder);
    let marks = migrations.marks(&scope).await.unwrap();
    let owed = migrations.unfinished(&scope).await.unwrap();
    BackPlan::new(&folder, &state, &schema, &marks, owed.as_ref(), to).unwrap()
}

pub(crate) async fn go(executor: Arc<dyn MigrationExecutor>, plan: &BackPlan) -> RunReport {
    runner(executor)
        .run(&plan.plan, &Actor::person("alice").unwrap())
        .await
}

pub(crate) async fn back(migrations: &PostgresMigrations, dir: &Path, to: &BackTo) -> RunReport {
    let plan = plan(migrations, dir, to).await;
    assert_eq!(plan.refusals, []);
    go(Arc::new(migrations.clone()), &plan).await
}

pub(crate) async fn pending(migrations: &PostgresMigrations, dir: &Path) -> Vec<String> {
    let folder = MigrationFolder::read(dir).unwrap();
    migration_status(&migrations.state().await.unwrap(), Some(&folder)).pending
}

pub(crate) async fn dump(world: &World) -> String {
    schema_dump(world.scratch.owner_url()).await.unwrap_or_default()
}

pub(crate) fn only(version: &str) -> BackTo {
    BackTo::Only(version.to_owned())
}

#[tokio::test]
async fn what_was_applied_goes_back_step_by_step_and_runs_again_from_its_first_step() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let dir = files(&FILES[..2]);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let before = dump(&world).await;
    let dir = files(FILES);
    for _ in 0..2 {
        assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
        run(
            &mut owner,
            "update conversations set note = 'a'; analyze conversations",
        )
        .await
        .unwrap();
        let seen = plan(&migrations, dir.path(), &BackTo::To("1".to_owned())).await;
        let lost: Vec<_> = seen
            .losses
            .iter()
            .map(|loss| (loss.what.as_str(), loss.rows))
            .collect();
        assert_eq!(
            lost,
            [
                ("public.tags", None),
                ("public.base", None),
                ("public.conversations.note", Some(2))
            ]
        );
        assert_eq!(
            pending(&migrations, dir.path()).await,
            Vec::<String>::new(),
            "a plan changes nothing"
        );
        let report = back(&migrations, dir.path(), &only("3")).await;
        assert_eq!(
            (report.status, report.steps.len()),
            (RunStatus::Done, 1),
            "{report:?}"
        );
        assert_eq!(pending(&migrations, dir.path()).await, ["3"]);
        let report = back(&migrations, dir.path(), &BackTo::To("1".to_owned())).await;
        assert_eq!(
            (report.status, report.steps.len()),
            (RunStatus::Done, 3),
            "{report:?}"
        );
        assert_eq!(pending(&migrations, dir.path()).await, ["2", "3"]);
        assert_eq!(dump(&world).await, before);
        let up_marks = "select count(*) from ops.migration_step where not back";
        assert_eq!(count(&mut owner, up_marks).await, 1, "those of the first");
    }
    world.close().await;
}

#[tokio::test]
async fn a_way_back_waits_for_no_lock_longer_than_allowed_and_gives_way() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    run(&mut world.owner().await, LEDGER).await.unwrap();
    let dir = files(FILES);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    assert_eq!(
        back(&migrations, dir.path(), &only("3")).await.status,
        RunStatus::Done
    );
    let seen = plan(&migrations, dir.path(), &only("2")).await;
    let first = &seen.plan.migrations[0].steps[0];
    let mut reader = world.app().await;
    run(&mut reader, "begin; select * from conversations")
        .await
        .unwrap();
    let error = migrations.execute(first, SHORT, 5).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    let waiting = {
        let (migrations, first) = (migrations.clone(), first.clone());
        tokio::spawn(async move { migrations.execute(&first, Duration::from_secs(120), 1).await })
    };
    let mut owner = world.owner().await;
    let queued = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'
        and database = (select oid from pg_database where datname = current_database())";
    while count(&mut owner, queued).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut other = world.app().await;
    let read = tokio::spawn(async move { run(&mut other, "select * from conversations").await });
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("gave way"), "{error}");
    read.await.unwrap().unwrap();
    run(&mut reader, "rollback").await.unwrap();
    assert_eq!(
        count(
            &mut owner,
            "select count(*) from ops.migration_step where back and migration = '2'"
        )
        .await,
        0
    );
    assert_eq!(
        back(&migrations, dir.path(), &only("2")).await.status,
        RunStatus::Done
    );
    world.close().await;
}

#[tokio::test]
async fn the_way_up_and_the_way_back_keep_out_of_each_others_way() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let dir = files(&FILES[..4]);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let seen = plan(&migrations, dir.path(), &only("2")).await;
    let steps = &seen.plan.migrations[0].steps;
    let late = migrations.execute(&steps[1], LONG, 5).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "not from the middle: {late}");
    assert_eq!(
        migrations.execute(&steps[0], LONG, 5).await.unwrap(),
        StepDone::Now
    );
    // Whoever planned the way up before, or does now, is refused.
    let all = files(FILES);
    let report = up(&migrations, all.path()).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert!(report.failure.unwrap().contains("on its way back"));
    assert_eq!(
        count(&mut owner, "select count(*) from pg_class where relname = 'tags'").await,
        0
    );
    // What it owed is in the way of nobody: the way back goes on.
    let report = back(&migrations, dir.path(), &only("2")).await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    for step in steps {
        assert_eq!(migrations.execute(step, LONG, 5).await.unwrap(), StepDone::Before);
    }
    // A plan from before somebody applied a newer one.
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let seen = plan(&migrations, dir.path(), &only("2")).await;
    assert_eq!(up(&migrations, all.path()).await.status, RunStatus::Done);
    let error = migrations
        .execute(&seen.plan.migrations[0].steps[0], LONG, 5)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("newer"), "{error}");
    world.close().await;
}

const PART: &[(&str, &str)] = &[
    ("1_base.up.sql", "create table base (id int);"),
    ("1_base.down.sql", "drop table base;"),
    (
        "2_a.up.sql",
        "alter table conversations add column note text;
         create table tags (id int);
         alter table conversations add constraint never check (title = 'same');
         create table later (id int);",
    ),
    (
        "2_a.down.sql",
        "drop table later;
         alter table conversations drop constraint never;
         drop table tags;
         alter table conversations drop column note;",
    ),
];

#[tokio::test]
async fn of_a_migration_that_failed_half_way_only_what_was_done_is_undone() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    // A table of somebody else, by the name of one that was never made.
    run(
        &mut owner,
        &format!("{LEDGER}; create table later (id int); insert into later values (1)"),
    )
    .await
    .unwrap();
    let before = files(&PART[..2]);
    assert_eq!(up(&migrations, before.path()).await.status, RunStatus::Done);
    let wanted = dump(&world).await;
    let dir = files(PART);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Failed);
    let seen = plan(&migrations, dir.path(), &BackTo::Newest).await;
    assert_eq!(seen.refusals, []);
    assert_eq!(seen.half, ["2"]);
    let left: Vec<_> = seen.left_out.iter().map(|left| left.statement.as_str()).collect();
    assert_eq!(
        left,
        [
            "drop table later",
            "alter table conversations drop constraint never"
        ]
    );
    let older = plan(&migrations, dir.path(), &only("1")).await;
    assert!(!older.refusals.is_empty(), "{older:?}");
    // A run that goes on before the plan is carried out.
    run(&mut owner, "update conversations set title = 'same'")
        .await
        .unwrap();
    let folder = MigrationFolder::read(dir.path()).unwrap();
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let way_up = MigrationPlan::new(&folder, &state, &schema).unwrap();
    for step in &way_up.migrations[0].steps[..3] {
        migrations.execute(step, LONG, 5).await.unwrap();
    }
    let stale = go(Arc::new(migrations.clone()), &seen).await;
    assert!(stale.failure.unwrap().contains("gone on with it"));
    let report = back(&migrations, dir.path(), &BackTo::Newest).await;
    assert_eq!(
        (report.status, report.steps.len()),
        (RunStatus::Done, 3),
        "{report:?}"
    );
    assert_eq!(pending(&migrations, dir.path()).await, ["2"]);
    assert_eq!(dump(&world).await, wanted);
    assert_eq!(
        count(&mut owner, "select count(*) from later").await,
        1,
        "it is not ours"
    );
    let late = migrations
        .execute(&way_up.migrations[0].steps[3], LONG, 5)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "{late}");
    run(&mut owner, "drop table later").await.unwrap();
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    world.close().await;
}

#[tokio::test]
async fn what_a_dead_index_build_left_is_cleared_away_and_what_never_came_to_be_is_passed_over() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let dir = files(&[
        (
            "1_a.up.sql",
            "alter table conversations add column note text;
             create unique index concurrently by_title on conversations (title);",
        ),
        (
            "1_a.down.sql",
            "drop index by_title;\nalter table conversations drop column note;",
        ),
    ]);
    let wanted = dump(&world).await;
    for is_invalid in [true, false] {
        let folder = MigrationFolder::read(dir.path()).unwrap();
        let (state, schema) = (
            migrations.state().await.unwrap(),
            migrations.schema().await.unwrap(),
        );
        let way_up = MigrationPlan::new(&folder, &state, &schema).unwrap();
        let steps = &way_up.migrations[0].steps;
        migrations.execute(&steps[0], LONG, 5).await.unwrap();
        // As a process that died leaves it.
        let begun = format!(
            "insert into ops.migration_step (scope, migration, position, digest) values ('{}', '1', 2, '{}')",
            way_up.scope, steps[1].digest
        );
        run(&mut owner, &begun).await.unwrap();
        if is_invalid {
            run(&mut owner, "insert into conversations (title) values ('first')")
                .await
                .unwrap();
            assert!(run(&mut owner, &steps[1].statements[0]).await.is_err());
        }
        let report = back(&migrations, dir.path(), &BackTo::Newest).await;
        assert_eq!(report.status, RunStatus::Done, "{report:?}");
        assert_eq!(report.steps[0].done, Some(StepDone::Missing));
        assert_eq!(report.steps[1].done, Some(StepDone::Now));
        assert_eq!(dump(&world).await, wanted);
    }
    world.close().await;
}

#[tokio::test]
async fn the_row_goes_from_the_table_of_each_tool_as_the_tool_itself_would_have_it() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let dir = files(&[
        ("0001_a.up.sql", "create table one (id int);"),
        ("0001_a.down.sql", "drop table one;"),
        ("0002_b.up.sql", "create table two (id int);"),
        ("0002_b.down.sql", "drop table two;"),
    ]);
    for (make, left, drop) in [
        (
            "create table schema_migrations (version bigint primary key, dirty boolean not null)",
            "select count(*) from schema_migrations where version = 1 and not dirty",
            "drop table schema_migrations",
        ),
        (
            "create table schema_migrations (version varchar primary key)",
            "select count(*) from schema_migrations where version = '0001'",
            "drop table schema_migrations",
        ),
        (
            "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key, name text)",
            "select count(*) from supabase_migrations.schema_migrations where version = '0001'",
            "drop schema supabase_migrations cascade",
        ),
    ] {
        run(&mut owner, make).await.unwrap();
        assert_eq!(
            up(&migrations, dir.path()).await.status,
            RunStatus::Done,
            "{make}"
        );
        let report = back(&migrations, dir.path(), &only("2")).await;
        assert_eq!(report.status, RunStatus::Done, "{make}: {report:?}");
        assert_eq!(count(&mut owner, left).await, 1, "{make}");
        assert_eq!(pending(&migrations, dir.path()).await, ["0002"], "{make}");
        let report = back(&migrations, dir.path(), &only("0001")).await;
        assert_eq!(report.status, RunStatus::Done, "{make}: {report:?}");
        assert_eq!(pending(&migrations, dir.path()).await, ["0001", "0002"], "{make}");
        run(&mut owner, &format!("{drop}; delete from ops.migration_step"))
            .await
            .unwrap();
    }
    world.close().await;
}

/// Takes everything but the first back, or ends what has begun.
async fn all_back(url: &SecretString, dies_at: u32) {
    let migrations = PostgresMigrations::new(url).unwrap();
    let dir = files(FILES);
    let seen = plan(&migrations, dir.path(), &BackTo::To("1".to_owned())).await;
    assert_eq!(seen.refusals, []);
    let report = go(Arc::new(Mortal::new(migrations, dies_at)), &seen).await;
    assert_eq!((report.failure, report.status), (None, RunStatus::Done));
}

/// Not a test of its own: what the other process of the tests below does.
#[tokio::test]
async fn the_process_that_dies() {
    let variable = |name: &str| ops_core::config::Env::process().text(name);
    let (Some(url), Some(at)) = (variable("OPS_BACK_URL"), variable("OPS_BACK_AT")) else {
        return;
    };
    all_back(&SecretString::from(url), at.parse().unwrap()).await;
}

fn other_process(url: &SecretString, dies_at: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "back::the_process_that_dies", "--nocapture"])
        .env("OPS_BACK_URL", url.expose_secret())
        .env("OPS_BACK_AT", dies_at.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
async fn a_way_back_that_was_killed_at_any_boundary_is_taken_up_and_ends_the_same() {
    for boundary in 0..=BOUNDARIES {
        let Some(world) = World::new().await else { return };
        let url = world.scratch.owner_url();
        let migrations = PostgresMigrations::new(url).unwrap();
        let mut owner = world.owner().await;
        run(&mut owner, LEDGER).await.unwrap();
        let first = files(&FILES[..2]);
        assert_eq!(up(&migrations, first.path()).await.status, RunStatus::Done);
        let wanted = dump(&world).await;
        let dir = files(FILES);
        assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
        if boundary > 0 {
            let status = other_process(url, boundary).status().unwrap();
            assert!(!status.success(), "it dies at boundary {boundary}");
            let run = up(&migrations, dir.path()).await;
            assert_eq!(
                run.failure.is_some_and(|why| why.contains("back")),
                boundary > 1,
                "boundary {boundary}: nothing is run before it has ended, unless nothing was done"
            );
        }
        // Without a version it ends what has begun, and takes no more back.
        let to = match boundary {
            0 | 1 => BackTo::To("1".to_owned()),
            _ => BackTo::Newest,
        };
        let report = back(&migrations, dir.path(), &to).await;
        assert_eq!(report.status, RunStatus::Done, "boundary {boundary}: {report:?}");
        assert_eq!(
            pending(&migrations, dir.path()).await,
            ["2", "3"],
            "boundary {boundary}"
        );
        assert_eq!(dump(&world).await, wanted, "boundary {boundary}");
        assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
        world.close().await;
    }
}

#[tokio::test]
async fn eight_at_once_do_each_step_of_a_way_back_once() {
    let Some(world) = World::new().await else { return };
    let url = world.scratch.owner_url();
    let migrations = PostgresMigrations::new(url).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let dir = files(FILES);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let plans: Vec<_> = {
        let seen = plan(&migrations, dir.path(), &BackTo::To("1".to_owned())).await;
        (0..8).map(|_| seen.clone()).collect()
    };
    let all = plans.into_iter().map(|seen| {
        let migrations = Arc::new(migrations.clone());
        tokio::spawn(async move { go(migrations, &seen).await })
    });
    let all: Vec<_> = all.collect();
    let mut now = 0;
    for one in all {
        let report = one.await.unwrap();
        // The second `drop` of a step would have failed.
        assert_eq!((report.failure, report.status), (None, RunStatus::Done));
        now += report
            .steps
            .iter()
            .filter(|step| step.done == Some(StepDone::Now))
            .count();
    }
    assert_eq!(now, 4);
    assert_eq!(pending(&migrations, dir.path()).await, ["2", "3"]);
    world.close().await;
}
