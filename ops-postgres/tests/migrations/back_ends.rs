//! Every way back ends: what failed is given up or gone on with, and nothing stays that no command leaves.

use ops_core::error::ErrorKind;
use ops_core::governance::migration::{BackTo, MigrationFolder, MigrationPlan, RunStatus};
use ops_core::model::{Lang, StepDone, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_postgres::PostgresMigrations;

use crate::back::{FILES, back, dump, files, only, pending, plan, up};
use crate::run::{LEDGER, LONG, count};
use crate::world::{World, run};

const SCOPE: &str = "public._sqlx_migrations";

async fn world() -> Option<(World, PostgresMigrations)> {
    let world = World::new().await?;
    let migrations = PostgresMigrations::new(world.scratch.owner_url()).unwrap();
    run(&mut world.owner().await, LEDGER).await.unwrap();
    Some((world, migrations))
}

#[tokio::test]
async fn a_script_that_was_made_shorter_half_way_ends_with_the_step_that_is_its_last_now() {
    for half in [false, true] {
        let Some((world, migrations)) = world().await else {
            return;
        };
        let before = dump(&world).await;
        let mut way_up = "create table one (id int);\ncreate table two (id int);".to_owned();
        if half {
            way_up.push_str("\ncreate table three (id nosuch);");
        }
        let down = "drop table two;\ndrop table one;";
        let longer = format!("{down}\ndrop table two;");
        let dir = files(&[("1_a.up.sql", &way_up), ("1_a.down.sql", &longer)]);
        let wanted = if half { RunStatus::Failed } else { RunStatus::Done };
        assert_eq!(up(&migrations, dir.path()).await.status, wanted);
        let report = back(&migrations, dir.path(), &only("1")).await;
        assert_eq!(report.status, RunStatus::Failed, "{report:?}");
        std::fs::write(dir.path().join("1_a.down.sql"), down).unwrap();
        let report = back(&migrations, dir.path(), &BackTo::Newest).await;
        assert_eq!((report.failure, report.status), (None, RunStatus::Done));
        assert_eq!(report.steps[1].done, Some(StepDone::Before));
        assert_eq!(pending(&migrations, dir.path()).await, ["1"], "half: {half}");
        assert_eq!(dump(&world).await, before);
        let mut owner = world.owner().await;
        let up_marks = "select count(*) from ops.migration_step where not back";
        assert_eq!(count(&mut owner, up_marks).await, 0, "half: {half}");
        // It may have been said before that it was taken back: it runs from its first step.
        let report = up(&migrations, dir.path()).await;
        assert_eq!(report.status, wanted, "{report:?}");
        assert_eq!(report.steps[0].done, Some(StepDone::Now));
        world.close().await;
    }
}

#[tokio::test]
async fn a_way_back_whose_first_step_fails_is_given_up_and_what_was_owed_before_is_owed_again() {
    let Some((world, migrations)) = world().await else {
        return;
    };
    let mut scripts = vec![
        ("1_a.up.sql", "create table one (id int);"),
        ("1_a.down.sql", "drop table nosuch;\ndrop table one;"),
    ];
    let dir = files(&scripts);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let mut run_before = UnfinishedRun::default();
    run_before.versions = vec!["2".to_owned()];
    run_before.touched = vec!["public.conversations".to_owned()];
    for owed in [None, Some(run_before)] {
        migrations.keep(SCOPE, None, owed.as_ref()).await.unwrap();
        let report = back(&migrations, dir.path(), &only("1")).await;
        assert_eq!(report.status, RunStatus::Failed, "{report:?}");
        assert_eq!(migrations.unfinished(SCOPE).await.unwrap(), owed);
    }
    // As a process leaves it that dies before its first step: the way up is free, and what was owed is settled.
    let mut owed = UnfinishedRun::default();
    owed.before = migrations.unfinished(SCOPE).await.unwrap().map(Box::new);
    (owed.versions, owed.back) = (vec!["1".to_owned()], true);
    let seen = migrations.unfinished(SCOPE).await.unwrap();
    migrations.keep(SCOPE, seen.as_ref(), Some(&owed)).await.unwrap();
    scripts.extend([
        ("2_b.up.sql", "create table two (id int);"),
        ("2_b.down.sql", "drop table two;\ndrop table nosuch;"),
    ]);
    let dir = files(&scripts);
    let report = up(&migrations, dir.path()).await;
    assert_eq!((report.failure, report.status), (None, RunStatus::Done));
    assert_eq!(migrations.unfinished(SCOPE).await.unwrap(), None);
    // Something was done: it has to be ended.
    let report = back(&migrations, dir.path(), &only("2")).await;
    assert_eq!((report.status, report.steps.len()), (RunStatus::Failed, 2));
    assert!(migrations.unfinished(SCOPE).await.unwrap().unwrap().back);
    let refused = up(&migrations, dir.path()).await;
    assert!(refused.failure.unwrap().contains("going back has begun"));
    world.close().await;
}

#[tokio::test]
async fn a_way_back_that_was_planned_before_a_run_of_a_newer_one_began_does_not_begin() {
    let Some((world, migrations)) = world().await else {
        return;
    };
    let dir = files(&FILES[..4]);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    let seen = plan(&migrations, dir.path(), &only("2")).await;
    let all = files(FILES);
    let folder = MigrationFolder::read(all.path()).unwrap();
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let way_up = MigrationPlan::new(&folder, &state, &schema).unwrap();
    let steps = &way_up.migrations[0].steps;
    migrations.execute(&steps[0], LONG, 5).await.unwrap();
    let error = migrations
        .execute(&seen.plan.migrations[0].steps[0], LONG, 5)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("a newer migration"), "{error}");
    // The run is not disturbed.
    migrations.execute(&steps[1], LONG, 5).await.unwrap();
    assert_eq!(pending(&migrations, all.path()).await, Vec::<String>::new());
    // What the tool itself took back since is in nobody's way, though its marks stay.
    run(
        &mut world.owner().await,
        "drop table tags; delete from _sqlx_migrations where version = 3",
    )
    .await
    .unwrap();
    let report = back(&migrations, dir.path(), &only("2")).await;
    assert_eq!((report.failure, report.status), (None, RunStatus::Done));
    world.close().await;
}

#[tokio::test]
async fn a_way_back_on_which_a_run_stands_is_ended_together_with_that() {
    let Some((world, migrations)) = world().await else {
        return;
    };
    let first = files(&FILES[..2]);
    assert_eq!(up(&migrations, first.path()).await.status, RunStatus::Done);
    let wanted = dump(&world).await;
    let dir = files(&FILES[..4]);
    assert_eq!(up(&migrations, dir.path()).await.status, RunStatus::Done);
    // As a way back and a run at once left it: both half-way.
    let seen = plan(&migrations, dir.path(), &only("2")).await;
    let mut owed = UnfinishedRun::default();
    (owed.versions, owed.back) = (vec!["2".to_owned()], true);
    migrations.keep(SCOPE, None, Some(&owed)).await.unwrap();
    migrations
        .execute(&seen.plan.migrations[0].steps[0], LONG, 5)
        .await
        .unwrap();
    let all = files(FILES);
    let folder = MigrationFolder::read(all.path()).unwrap();
    let (state, schema) = (
        migrations.state().await.unwrap(),
        migrations.schema().await.unwrap(),
    );
    let way_up = MigrationPlan::new(&folder, &state, &schema).unwrap();
    let half = format!(
        "create table tags (id int primary key);
         insert into ops.migration_step (scope, migration, position, digest, done_at, recorded)
         values ('{SCOPE}', '3', 1, '{}', now(), false)",
        way_up.migrations[0].steps[0].digest
    );
    run(&mut world.owner().await, &half).await.unwrap();
    let newest = plan(&migrations, all.path(), &BackTo::Newest).await;
    assert_eq!(newest.refusals.len(), 1, "{newest:?}");
    assert!(newest.refusals[0].remedy.get(Lang::En).contains("--to"));
    // Its way back deletes rows of another table, too, which nobody can tell for a part.
    std::fs::write(all.path().join("3_b.down.sql"), "drop table tags;").unwrap();
    let to = BackTo::To("1".to_owned());
    let both = plan(&migrations, all.path(), &to).await;
    assert_eq!(both.plan.versions(), ["3", "2"], "{both:?}");
    let report = back(&migrations, all.path(), &to).await;
    assert_eq!((report.failure, report.status), (None, RunStatus::Done));
    assert_eq!(pending(&migrations, all.path()).await, ["2", "3"]);
    assert_eq!(dump(&world).await, wanted);
    assert_eq!(up(&migrations, all.path()).await.status, RunStatus::Done);
    world.close().await;
}

#[tokio::test]
async fn of_many_that_keep_what_they_owe_at_once_one_does() {
    let Some((world, migrations)) = world().await else {
        return;
    };
    for seen in [None, Some("first".to_owned())] {
        let owes = |digest: String| {
            let mut owed = UnfinishedRun::default();
            owed.digest = digest;
            owed
        };
        let seen = seen.map(owes);
        let now = migrations.unfinished(SCOPE).await.unwrap();
        migrations.keep(SCOPE, now.as_ref(), seen.as_ref()).await.unwrap();
        let all: Vec<_> = (0..8)
            .map(|at| {
                let (migrations, seen, owed) = (migrations.clone(), seen.clone(), owes(at.to_string()));
                tokio::spawn(async move {
                    let kept = migrations.keep(SCOPE, seen.as_ref(), Some(&owed)).await;
                    (owed, kept)
                })
            })
            .collect();
        let mut kept = Vec::new();
        for one in all {
            match one.await.unwrap() {
                (owed, Ok(())) => kept.push(owed),
                (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(migrations.unfinished(SCOPE).await.unwrap().as_ref(), kept.first());
    }
    world.close().await;
}
