use std::time::Duration;

use ops_core::error::{ErrorKind, Retry};
use ops_core::model::{LedgerRow, MigrationStep, MigrationTool, StepDone};
use ops_core::ports::{MigrationExecutor, Touch};
use ops_postgres::PostgresMigrations;

use crate::world::{World, run};

pub(crate) const SHORT: Duration = Duration::from_millis(300);
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn step(position: u32, sql: &str) -> MigrationStep {
    MigrationStep::new("7", position, vec![sql.to_owned()], format!("digest of {sql}"))
}

fn concurrently() -> MigrationStep {
    let mut step = step(
        1,
        "create unique index concurrently unique_title on conversations (title)",
    );
    step.autocommit = true;
    step.builds = Some("public.unique_title".to_owned());
    step
}

#[tokio::test]
async fn a_step_is_done_once_and_another_in_its_place_is_a_conflict() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let add = step(1, "alter table conversations add column note text");
    assert_eq!(migrations.execute(&add, LONG, 5).await.unwrap(), StepDone::Now);
    assert_eq!(migrations.execute(&add, LONG, 5).await.unwrap(), StepDone::Before);
    let other = step(1, "alter table conversations add column other text");
    assert_eq!(
        migrations.execute(&other, LONG, 5).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    world.close().await;
}

#[tokio::test]
async fn the_executor_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let add = "alter table conversations add column note text";
    ops_core::testkit::migration_executor(&migrations, add, "public.conversations").await;
    world.close().await;
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_and_names_itself() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut two = step(1, "alter table conversations add column note text");
    two.statements
        .push("alter table nowhere add column note text".to_owned());
    let error = migrations.execute(&two, LONG, 5).await.unwrap_err().to_string();
    assert!(error.contains("7:1"), "{error}");
    let mut owner = world.owner().await;
    assert!(
        run(&mut owner, "select note from conversations").await.is_err(),
        "the first statement was taken back"
    );
    let right = step(1, "alter table conversations add column note text");
    assert_eq!(
        migrations.execute(&right, LONG, 5).await.unwrap(),
        StepDone::Now,
        "and its mark too"
    );
    world.close().await;
}

#[tokio::test]
async fn a_lock_is_not_waited_for_longer_than_allowed() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut reader = world.app().await;
    run(&mut reader, "begin; select * from conversations")
        .await
        .unwrap();
    let add = step(1, "alter table conversations add column note text");
    let error = migrations.execute(&add, SHORT, 5).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    run(&mut reader, "rollback").await.unwrap();
    assert_eq!(migrations.execute(&add, SHORT, 5).await.unwrap(), StepDone::Now);
    world.close().await;
}

#[tokio::test]
async fn it_gives_way_when_others_queue_behind_it() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut holder = world.app().await;
    run(&mut holder, "begin; select * from conversations")
        .await
        .unwrap();
    let add = step(1, "alter table conversations add column note text");
    let waiting = {
        let migrations = migrations.clone();
        // Long enough that only the queue can end it.
        tokio::spawn(async move { migrations.execute(&add, Duration::from_secs(120), 2).await })
    };
    let mut owner = world.owner().await;
    loop {
        let queued: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'",
        )
        .fetch_one(&mut owner)
        .await
        .unwrap();
        if queued > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut reader = world.app().await;
        readers.push(tokio::spawn(async move {
            run(&mut reader, "select * from conversations").await
        }));
    }
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert!(error.to_string().contains("gave way"), "{error}");
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
    world.close().await;
}

#[tokio::test]
async fn a_reader_and_a_writer_notice_the_lock_that_stands_in_their_way() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let table = "public.conversations";
    let mut blocker = world.owner().await;
    run(&mut blocker, "begin; lock table conversations in share mode")
        .await
        .unwrap();
    migrations.touch(table, Touch::Read, SHORT).await.unwrap();
    let error = migrations.touch(table, Touch::Write, SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    run(&mut blocker, "rollback").await.unwrap();
    migrations.touch(table, Touch::Write, SHORT).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn an_index_that_failed_leaves_nothing_invalid_and_can_be_tried_again() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, "insert into conversations (title) values ('first')")
        .await
        .unwrap();
    assert!(migrations.execute(&concurrently(), LONG, 5).await.is_err());
    let invalid = "select count(*) from pg_index where not indisvalid";
    let left: i64 = sqlx::query_scalar(invalid).fetch_one(&mut owner).await.unwrap();
    assert_eq!(left, 0);
    run(&mut owner, "delete from conversations where id = 3")
        .await
        .unwrap();
    assert_eq!(
        migrations.execute(&concurrently(), LONG, 5).await.unwrap(),
        StepDone::Now
    );
    assert_eq!(
        migrations.execute(&concurrently(), LONG, 5).await.unwrap(),
        StepDone::Before
    );
    world.close().await;
}

#[tokio::test]
async fn what_a_dead_process_left_of_an_index_is_cleared_away_and_what_it_finished_is_kept() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let begun = format!(
        "insert into ops.migration_step (migration, position, digest) values ('7', 1, '{}')",
        concurrently().digest
    );
    // It died in the middle of the build.
    run(&mut owner, &begun).await.unwrap();
    run(&mut owner, "insert into conversations (title) values ('first')")
        .await
        .unwrap();
    assert!(run(&mut owner, &concurrently().statements[0]).await.is_err());
    run(&mut owner, "delete from conversations where id = 3")
        .await
        .unwrap();
    assert_eq!(
        migrations.execute(&concurrently(), LONG, 5).await.unwrap(),
        StepDone::Now
    );
    // It died after the build, before it could say so.
    run(&mut owner, "update ops.migration_step set done_at = null")
        .await
        .unwrap();
    let oid = "select 'unique_title'::regclass::oid::int8";
    let before: i64 = sqlx::query_scalar(oid).fetch_one(&mut owner).await.unwrap();
    assert_eq!(
        migrations.execute(&concurrently(), LONG, 5).await.unwrap(),
        StepDone::Now
    );
    let after: i64 = sqlx::query_scalar(oid).fetch_one(&mut owner).await.unwrap();
    assert_eq!(after, before, "the index was not built again");
    world.close().await;
}

pub(crate) const LEDGER: &str = "create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null
    default now(), success boolean not null, checksum bytea not null, execution_time bigint not null)";

/// Two steps of a migration with a row in the table of sqlx.
fn recorded(table: &str) -> [MigrationStep; 2] {
    let statements = ["create table tags (id int)", "insert into tags values (1)"];
    [1, 2].map(|position| {
        let mut step = step(position, statements[position as usize - 1]);
        step.of = 2;
        step.record = Some(LedgerRow::new(MigrationTool::Sqlx, table, "7", "tags", "0a"));
        step
    })
}

pub(crate) async fn count(connection: &mut sqlx::PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_migration_that_its_tool_took_back_is_run_again_from_its_first_step() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let both = recorded("public._sqlx_migrations");
    for wanted in [StepDone::Now, StepDone::Before] {
        for step in &both {
            assert_eq!(migrations.execute(step, LONG, 5).await.unwrap(), wanted);
        }
    }
    run(&mut owner, "drop table tags; delete from _sqlx_migrations")
        .await
        .unwrap();
    let late = migrations.execute(&both[1], LONG, 5).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "not from the middle: {late}");
    for step in &both {
        assert_eq!(migrations.execute(step, LONG, 5).await.unwrap(), StepDone::Now);
    }
    assert_eq!(count(&mut owner, "select count(*) from tags").await, 1);
    assert_eq!(
        count(&mut owner, "select count(*) from _sqlx_migrations").await,
        1
    );
    world.close().await;
}

#[tokio::test]
async fn what_was_done_before_the_tool_had_its_table_is_written_there_once_it_has_one() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    let both = recorded("public._sqlx_migrations");
    for step in &both {
        let mut without = step.clone();
        without.record = None;
        assert_eq!(
            migrations.execute(&without, LONG, 5).await.unwrap(),
            StepDone::Now
        );
    }
    run(&mut owner, LEDGER).await.unwrap();
    for _ in 0..2 {
        for step in &both {
            assert_eq!(migrations.execute(step, LONG, 5).await.unwrap(), StepDone::Before);
        }
        assert_eq!(
            count(&mut owner, "select count(*) from _sqlx_migrations").await,
            1
        );
    }
    world.close().await;
}

#[tokio::test]
async fn the_same_version_of_another_folder_is_another_step_and_marks_from_before_are_known() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let elsewhere = LEDGER.replace("_sqlx_migrations", "shop._sqlx_migrations");
    run(&mut owner, &format!("create schema shop; {elsewhere}"))
        .await
        .unwrap();
    let [first, second] = recorded("public._sqlx_migrations");
    // As an older version of this program left it.
    let old = format!(
        "create table tags (id int);
         insert into ops.migration_step (migration, position, digest, done_at) values ('7', 1, '{}', now())",
        first.digest
    );
    run(&mut owner, &old).await.unwrap();
    assert_eq!(
        migrations.execute(&first, LONG, 5).await.unwrap(),
        StepDone::Before
    );
    assert_eq!(migrations.execute(&second, LONG, 5).await.unwrap(), StepDone::Now);
    let mut other = step(1, "create table shop.tags (id int)");
    other.record = Some(LedgerRow::new(
        MigrationTool::Sqlx,
        "shop._sqlx_migrations",
        "7",
        "tags",
        "0a",
    ));
    assert_eq!(migrations.execute(&other, LONG, 5).await.unwrap(), StepDone::Now);
    world.close().await;
}

#[tokio::test]
async fn an_index_of_that_name_that_is_not_ours_is_neither_taken_for_ours_nor_dropped() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, "create index unique_title on conversations (id)")
        .await
        .unwrap();
    for _ in 0..2 {
        let error = migrations.execute(&concurrently(), LONG, 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    let marks = "select count(*) from ops.migration_step";
    assert_eq!(count(&mut owner, marks).await, 0);
    // With IF NOT EXISTS a valid one is what the author wants, and an invalid one is not.
    let mut lenient = concurrently();
    lenient.statements = vec![lenient.statements[0].replace("concurrently", "concurrently if not exists")];
    run(
        &mut owner,
        "drop index unique_title; insert into conversations (title) values ('first')",
    )
    .await
    .unwrap();
    assert!(
        run(&mut owner, &concurrently().statements[0]).await.is_err(),
        "equal titles"
    );
    let error = migrations.execute(&lenient, LONG, 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(
        count(&mut owner, invalid).await,
        1,
        "somebody else may be at work on it"
    );
    run(&mut owner, "drop index unique_title; delete from conversations where id = 3; create index unique_title on conversations (title)")
        .await
        .unwrap();
    assert_eq!(
        migrations.execute(&lenient, LONG, 5).await.unwrap(),
        StepDone::Now
    );
    world.close().await;
}

#[tokio::test]
async fn a_drop_that_never_had_an_index_fails_each_time() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut drop = step(1, "drop index concurrently nowhere");
    drop.autocommit = true;
    for _ in 0..2 {
        assert!(migrations.execute(&drop, LONG, 5).await.is_err());
    }
    world.close().await;
}

#[tokio::test]
async fn one_run_at_a_time() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut other = world.owner().await;
    run(
        &mut other,
        "select pg_advisory_lock(hashtextextended('ops.migration_step:', 0))",
    )
    .await
    .unwrap();
    let error = migrations.execute(&concurrently(), LONG, 5).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    let marks = "select count(*) from ops.migration_step";
    assert_eq!(count(&mut other, marks).await, 0);
    run(&mut other, "select pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(
        migrations.execute(&concurrently(), LONG, 5).await.unwrap(),
        StepDone::Now
    );
    world.close().await;
}

#[tokio::test]
async fn a_step_whose_statements_end_its_transaction_is_not_called_done() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let error = migrations
        .execute(&step(1, "rollback"), LONG, 5)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    world.close().await;
}

#[tokio::test]
async fn a_session_whose_program_has_died_lets_go() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut holder = world.app().await;
    run(&mut holder, "begin; select * from conversations")
        .await
        .unwrap();
    let add = step(1, "alter table conversations add column note text");
    let waiting = tokio::spawn(async move { migrations.execute(&add, Duration::from_secs(600), 50).await });
    let mut owner = world.superuser().await;
    let queued = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'
        and database = (select oid from pg_database where datname = current_database())";
    while count(&mut owner, queued).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waiting.abort();
    // It does not return unless the server notices.
    while count(&mut owner, queued).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run(&mut holder, "rollback").await.unwrap();
    assert!(run(&mut holder, "select note from conversations").await.is_err());
    world.close().await;
}
