use std::time::Duration;

use ops_core::error::{ErrorKind, Retry};
use ops_core::model::{MigrationStep, StepDone};
use ops_core::ports::{MigrationExecutor, Touch};
use ops_postgres::PostgresMigrations;

use crate::world::{World, run};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn step(position: u32, sql: &str) -> MigrationStep {
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
