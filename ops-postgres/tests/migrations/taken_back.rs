//! What the tool itself took back after a run, and what a part of a way back would leave.

use std::sync::Arc;

use ops_core::governance::migration::{BackTo, MigrationFolder, RunStatus, half_way};
use ops_core::model::Lang;
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_postgres::PostgresMigrations;

use crate::back::{files, go, plan, up};
use crate::run::{LEDGER, count};
use crate::world::{World, run};

const FILES: &[(&str, &str)] = &[
    ("1_a.up.sql", "create table one (id int);"),
    ("1_a.down.sql", "drop table one;"),
    (
        "2_b.up.sql",
        "create table two (id int);
         alter table conversations add constraint never check (title = 'same');",
    ),
    (
        "2_b.down.sql",
        "alter table conversations drop constraint never;
         drop table if exists two;",
    ),
];

#[tokio::test]
async fn what_its_tool_took_back_is_not_taken_back_once_more() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    let dir = files(FILES);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Failed);
    let half = plan(&migrations, dir.path(), &BackTo::Newest).await;
    assert_eq!(
        (half.refusals.len(), half.half.as_slice()),
        (0, &["2".to_owned()][..])
    );
    run(&mut owner, "update conversations set title = 'same'")
        .await
        .unwrap();
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    // As `sqlx migrate revert` leaves it; the table is somebody else's by now.
    run(
        &mut owner,
        "alter table conversations drop constraint never; drop table two;
         delete from _sqlx_migrations where version = 2; create table two (id int)",
    )
    .await
    .unwrap();
    let state = migrations.state().await.unwrap();
    let marks = migrations.marks("public._sqlx_migrations").await.unwrap();
    assert!(marks.iter().any(|mark| mark.migration == "2"), "they stay");
    let folder = MigrationFolder::read(dir.path()).unwrap();
    assert_eq!(half_way(&state, &folder, &marks), []);
    let two = plan(&migrations, dir.path(), &BackTo::Only("2".to_owned())).await;
    assert_eq!((two.refusals.len(), two.plan.migrations.len()), (0, 0), "{two:?}");
    let newest = plan(&migrations, dir.path(), &BackTo::Newest).await;
    assert_eq!(newest.plan.versions(), ["1"]);
    // Nor by who planned while only a part was there and finds the same marks.
    run(
        &mut owner,
        "delete from ops.migration_step where migration = '2' and position = 2;
         update ops.migration_step set recorded = true where migration = '2'",
    )
    .await
    .unwrap();
    let late = go(Arc::new(migrations.clone()), &half).await;
    assert!(late.failure.unwrap().contains("by another way"));
    assert_eq!(
        count(&mut owner, "select count(*) from pg_class where relname = 'two'").await,
        1
    );
    world.close().await;
}

#[tokio::test]
async fn an_index_that_never_became_a_constraint_is_not_left_behind() {
    let Some(world) = World::new().await else { return };
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    let mut owner = world.owner().await;
    run(&mut owner, LEDGER).await.unwrap();
    run(
        &mut owner,
        "create table conflict (u int constraint u check (u > 0))",
    )
    .await
    .unwrap();
    let up_script = "create unique index concurrently u on conflict (u);
         alter table conflict add constraint u unique using index u;";
    let down = "alter table conflict drop constraint u;";
    let dir = files(&[("1_a.up.sql", up_script), ("1_a.down.sql", down)]);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Failed);
    let found = plan(&migrations, dir.path(), &BackTo::Newest).await;
    let why = found.refusals[0].what.get(Lang::En);
    assert!(why.contains("1:1, which was run: create unique index"), "{why}");
    // Told what undoes it, it does so, and lets the constraint of somebody else be.
    let down = format!("{down}\ndrop index concurrently if exists u;");
    let dir = files(&[("1_a.up.sql", up_script), ("1_a.down.sql", &down)]);
    let found = plan(&migrations, dir.path(), &BackTo::Newest).await;
    assert_eq!(found.refusals, []);
    let report = go(Arc::new(migrations.clone()), &found).await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    let left = "select count(*) from pg_class where relname = 'u' and relkind = 'i'";
    assert_eq!(count(&mut owner, left).await, 0);
    let other = "select count(*) from pg_constraint where conname = 'u'";
    assert_eq!(count(&mut owner, other).await, 1);
    world.close().await;
}
