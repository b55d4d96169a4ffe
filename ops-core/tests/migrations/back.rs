use ops_core::error::ErrorKind;
use ops_core::governance::migration::{
    BACKUP_AGE, BackPlan, BackTo, Evidence, MigrationFolder, RunStatus, checklist, half_way, migration_scope,
};
use ops_core::memory::InMemoryMigrations;
use ops_core::model::{
    AppliedMigration, CheckState, Lang, MigrationTool, SchemaState, StepDone, StepMark, Timestamp,
    UnfinishedRun,
};
use ops_core::ports::{MigrationExecutor, MigrationInspector};

use crate::run::{LEDGER, World, actor};

const THREE: &[(&str, &str)] = &[
    ("1_a.up.sql", "create table a (id int);"),
    ("1_a.down.sql", "drop table a;"),
    (
        "2_b.up.sql",
        "create table b (id int);\ninsert into b values (1);",
    ),
    ("2_b.down.sql", "drop table b;"),
    ("3_c.up.sql", "create table c (id int);"),
    ("3_c.down.sql", "drop table c;"),
];

async fn plan(world: &World, to: &BackTo) -> BackPlan {
    let state = world.database.state().await.unwrap();
    let scope = migration_scope(&state, &world.folder);
    let marks = world.database.marks(&scope).await.unwrap();
    let owed = world.database.unfinished(&scope).await.unwrap();
    BackPlan::new(
        &world.folder,
        &state,
        &Default::default(),
        &marks,
        owed.as_ref(),
        to,
    )
    .unwrap()
}

fn why(plan: &BackPlan) -> Vec<(String, String)> {
    let refusals = plan.refusals.iter();
    refusals
        .map(|refusal| {
            assert!(plan.plan.migrations.is_empty(), "what is refused is not planned");
            assert!(!refusal.remedy.get(Lang::En).is_empty());
            (refusal.migration.clone(), refusal.what.get(Lang::En).to_owned())
        })
        .collect()
}

fn refused(plan: &BackPlan, version: &str, reason: &str) {
    let why = why(plan);
    assert!(
        why.iter()
            .any(|(of, what)| of == version && what.contains(reason)),
        "{version}: {reason}: {why:?}"
    );
}

fn only(version: &str) -> BackTo {
    BackTo::Only(version.to_owned())
}

fn to(version: &str) -> BackTo {
    BackTo::To(version.to_owned())
}

fn versions(plan: &BackPlan) -> Vec<String> {
    assert_eq!(why(plan), []);
    plan.plan.versions()
}

#[tokio::test]
async fn the_newest_goes_first_and_none_in_the_middle() {
    let world = World::new(THREE);
    assert_eq!(
        versions(&plan(&world, &BackTo::Newest).await),
        Vec::<String>::new()
    );
    assert_eq!(world.run().await.status, RunStatus::Done);
    assert_eq!(versions(&plan(&world, &BackTo::Newest).await), ["3"]);
    assert_eq!(versions(&plan(&world, &only("0003")).await), ["3"]);
    assert_eq!(versions(&plan(&world, &to("1")).await), ["3", "2"]);
    assert_eq!(versions(&plan(&world, &to("3")).await), Vec::<String>::new());
    refused(&plan(&world, &only("2")).await, "2", "newer ones stand on 2 (3)");
    let report = world
        .runner()
        .run(&plan(&world, &only("3")).await.plan, &actor())
        .await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    assert_eq!(world.database.ran().last().unwrap(), "drop table c");
    assert_eq!(versions(&plan(&world, &only("3")).await), Vec::<String>::new());
    assert_eq!(versions(&plan(&world, &BackTo::Newest).await), ["2"]);
    refused(&plan(&world, &to("3")).await, "3", "not applied");
    let state = world.database.state().await.unwrap();
    let schema = Default::default();
    for to in [only("9"), to("9")] {
        let error = BackPlan::new(&world.folder, &state, &schema, &[], None, &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn what_has_no_way_back_or_another_text_is_refused_by_name() {
    let mut files = THREE.to_vec();
    files.retain(|(name, _)| *name != "3_c.down.sql");
    let world = World::new(&files);
    assert_eq!(world.run().await.status, RunStatus::Done);
    refused(&plan(&world, &to("1")).await, "3", "no .down.sql");

    let world = World::new(THREE);
    let mut other = AppliedMigration::new("1");
    other.checksum = Some("aa".to_owned());
    world.database.apply(MigrationTool::Sqlx, LEDGER, other);
    refused(
        &plan(&world, &BackTo::Newest).await,
        "1",
        "changed after it was applied",
    );

    // A table without checksums: the marks of the run know its text.
    let rails = InMemoryMigrations::new();
    let table = "public.schema_migrations";
    rails.apply(MigrationTool::Rails, table, AppliedMigration::new("1"));
    let state = rails.state().await.unwrap();
    let mut mark = StepMark::default();
    (mark.migration, mark.position, mark.done) = ("1".to_owned(), 1, true);
    let world = World::new(THREE);
    let found = BackPlan::new(
        &world.folder,
        &state,
        &Default::default(),
        &[mark],
        None,
        &BackTo::Newest,
    );
    refused(&found.unwrap(), "1", "changed after it was applied");
}

#[tokio::test]
async fn a_state_that_somebody_has_to_look_at_first_is_refused_with_the_version() {
    let world = World::new(THREE);
    let mut dirty = AppliedMigration::new("2");
    dirty.dirty = true;
    world.database.apply(MigrationTool::Sqlx, LEDGER, dirty);
    refused(&plan(&world, &BackTo::Newest).await, "2", "failed half-way");

    let world = World::new(THREE);
    assert_eq!(world.run().await.status, RunStatus::Done);
    world
        .database
        .apply(MigrationTool::Sqlx, LEDGER, AppliedMigration::new("9"));
    refused(&plan(&world, &BackTo::Newest).await, "9", "not in this folder");
    world.database.revert(LEDGER, "9");
    world
        .database
        .apply(MigrationTool::Sqlx, LEDGER, AppliedMigration::new("0"));
    assert_eq!(
        versions(&plan(&world, &BackTo::Newest).await),
        ["3"],
        "an older one is in nobody's way"
    );

    let nobody = SchemaState::default();
    let bare = BackPlan::new(
        &world.folder,
        &nobody,
        &Default::default(),
        &[],
        None,
        &BackTo::Newest,
    );
    refused(&bare.unwrap(), "", "no tool has a table");
    let mut hidden = SchemaState::default();
    hidden.unreadable = vec![LEDGER.to_owned()];
    let error = BackPlan::new(
        &world.folder,
        &hidden,
        &Default::default(),
        &[],
        None,
        &BackTo::Newest,
    );
    assert_eq!(error.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn what_another_program_keeps_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("a.py"),
        "revision = 'a1'\ndown_revision = None\ndef downgrade():\n    pass\n",
    )
    .unwrap();
    let folder = MigrationFolder::read(dir.path()).unwrap();
    let world = World::new(THREE);
    world.database.apply(
        MigrationTool::Alembic,
        "public.alembic_version",
        AppliedMigration::new("a1"),
    );
    let state = world.database.state().await.unwrap();
    let found = BackPlan::new(&folder, &state, &Default::default(), &[], None, &BackTo::Newest).unwrap();
    refused(&found, "", "alembic itself");
    assert!(
        found.refusals[0]
            .remedy
            .get(Lang::En)
            .contains("alembic downgrade")
    );
}

#[tokio::test]
async fn a_run_that_owes_its_restart_is_ended_first_and_one_that_stopped_is_not() {
    let world = World::new(THREE);
    assert_eq!(world.run().await.status, RunStatus::Done);
    let mut owed = UnfinishedRun::default();
    owed.versions = vec!["2".to_owned(), "3".to_owned()];
    world.database.keep(LEDGER, None, Some(&owed)).await.unwrap();
    refused(
        &plan(&world, &BackTo::Newest).await,
        "",
        "the run of 2, 3 is not over",
    );
    world.database.revert(LEDGER, "3");
    let scope = LEDGER.to_owned();
    let state = world.database.state().await.unwrap();
    // It came no further than before its second migration.
    let all = world.database.marks(&scope).await.unwrap();
    let mut marks = all.clone();
    marks.retain(|mark| mark.migration != "3");
    let newest = |marks: &[StepMark]| {
        BackPlan::new(
            &world.folder,
            &state,
            &Default::default(),
            marks,
            Some(&owed),
            &BackTo::Newest,
        )
        .unwrap()
    };
    assert_eq!(versions(&newest(&marks)), ["2"]);
    // Its tool took back what had been run to its end: the marks say nothing any more.
    assert_eq!(versions(&newest(&all)), ["2"]);
    assert_eq!(newest(&all).half, Vec::<String>::new());
    assert_eq!(half_way(&state, &world.folder, &all), []);
    // Its way up stopped in the middle: that is what is taken back first.
    let mut half = all;
    for mark in half.iter_mut().filter(|mark| mark.migration == "3") {
        (mark.done, mark.recorded) = (false, false);
    }
    assert_eq!(versions(&newest(&half)), ["3"]);
    assert_eq!(newest(&half).half, ["3"]);
    let older = BackPlan::new(
        &world.folder,
        &state,
        &Default::default(),
        &half,
        Some(&owed),
        &only("2"),
    );
    refused(&older.unwrap(), "2", "newer ones stand on 2 (3)");
}

#[tokio::test]
async fn a_way_back_that_did_not_end_is_ended_before_another_and_takes_no_more_back() {
    let world = World::new(THREE);
    assert_eq!(world.run().await.status, RunStatus::Done);
    let seen = plan(&world, &to("1")).await;
    // As a process leaves it that dies after the first of two.
    let mut owed = UnfinishedRun::default();
    owed.versions = seen.plan.versions();
    owed.back = true;
    world.database.keep(LEDGER, None, Some(&owed)).await.unwrap();
    let step = &seen.plan.migrations[0].steps[0];
    let (patience, waiters) = (std::time::Duration::from_secs(1), 5);
    assert_eq!(
        world.database.execute(step, patience, waiters).await.unwrap(),
        StepDone::Now
    );
    assert_eq!(versions(&plan(&world, &BackTo::Newest).await), ["2"]);
    assert_eq!(versions(&plan(&world, &to("1")).await), ["2"]);
    let two = &plan(&world, &BackTo::Newest).await.plan.migrations[0].steps[0];
    let mut begun = StepMark::default();
    (begun.migration, begun.position, begun.back) = (two.migration.clone(), 1, true);
    let state = world.database.state().await.unwrap();
    let seen = half_way(&state, &world.folder, &[begun]);
    assert!(
        seen[0].what.get(Lang::En).contains("from 2 has begun"),
        "{seen:?}"
    );
    refused(&plan(&world, &only("3")).await, "", "from 3, 2 has begun");
    let run = world.run().await;
    assert_eq!(run.status, RunStatus::Failed, "nothing is run meanwhile");
    assert!(run.failure.unwrap().contains("going back has begun"));
    let report = world
        .runner()
        .run(&plan(&world, &BackTo::Newest).await.plan, &actor())
        .await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    assert_eq!(world.database.unfinished(LEDGER).await.unwrap(), None);
    // It died before its watch: nothing is left to take back, and no other one goes.
    world.database.keep(LEDGER, None, Some(&owed)).await.unwrap();
    assert_eq!(
        versions(&plan(&world, &BackTo::Newest).await),
        Vec::<String>::new()
    );
    refused(&plan(&world, &only("1")).await, "", "from 3, 2 has begun");
    world.database.keep(LEDGER, Some(&owed), None).await.unwrap();
    assert_eq!(versions(&plan(&world, &BackTo::Newest).await), ["1"]);
    assert_eq!(world.run().await.status, RunStatus::Done, "and up again");
}

#[tokio::test]
async fn a_way_back_of_which_nothing_was_done_is_given_up() {
    let world = World::new(THREE);
    assert_eq!(world.run().await.status, RunStatus::Done);
    let mut run = UnfinishedRun::default();
    run.versions = vec!["4".to_owned()];
    world.database.keep(LEDGER, None, Some(&run)).await.unwrap();
    let seen = plan(&world, &to("1")).await;
    world.database.contend(1000);
    let report = world.runner().run(&seen.plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Failed, "{report:?}");
    let owed = world.database.unfinished(LEDGER).await.unwrap();
    assert_eq!(owed.as_ref(), Some(&run), "as before");
    world.database.contend(0);
    // One that died before its first step is given up by the next run, though there is nothing to do.
    let mut back = UnfinishedRun::default();
    (back.versions, back.back) = (seen.plan.versions(), true);
    world
        .database
        .keep(LEDGER, owed.as_ref(), Some(&back))
        .await
        .unwrap();
    assert_eq!(world.run().await.status, RunStatus::Done);
    assert_eq!(world.database.unfinished(LEDGER).await.unwrap(), None);
    let report = world.runner().run(&seen.plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
}

#[tokio::test]
async fn of_a_part_only_what_undoes_it_is_planned_and_what_cannot_be_told_is_refused() {
    let up = "create table a (id int);\ncreate table b (id int);\ncreate table c (id int);";
    for (down, wanted) in [
        (
            "drop table c;\ndrop table b;\ndrop table a;",
            Ok("drop table b|drop table a"),
        ),
        (
            "-- atomic\ndrop table c;\ndrop table b;\ndrop table a;",
            Ok("drop table b|drop table a"),
        ),
        (
            "drop table c, b, a;",
            Err("steps that were run and steps that were not"),
        ),
        (
            "update x set y = 1;\ndrop table a;",
            Err("cannot be told: update x"),
        ),
        (
            "drop table elsewhere;",
            Err("cannot be told: drop table elsewhere"),
        ),
    ] {
        let world = World::new(&[("1_a.up.sql", up), ("1_a.down.sql", down)]);
        let way_up = world.plan().await;
        for step in &way_up.migrations[0].steps[..2] {
            let patience = std::time::Duration::from_secs(1);
            world.database.execute(step, patience, 5).await.unwrap();
        }
        let found = plan(&world, &BackTo::Newest).await;
        let (state, marks) = (
            world.database.state().await.unwrap(),
            world.database.marks(LEDGER).await.unwrap(),
        );
        let seen = half_way(&state, &world.folder, &marks);
        assert!(seen[0].what.get(Lang::En).contains("1 is half-way"), "{seen:?}");
        match wanted {
            Ok(wanted) => {
                assert_eq!(versions(&found), ["1"], "{down}");
                let steps = found.plan.migrations[0].steps.iter();
                let sent: Vec<_> = steps.flat_map(|step| step.statements.clone()).collect();
                assert_eq!(sent.join("|"), wanted, "{down}");
                assert_eq!(found.left_out[0].statement, "drop table c", "{down}");
            }
            Err(reason) => refused(&found, "1", reason),
        }
    }
}

#[tokio::test]
async fn of_a_part_nothing_that_was_run_is_left_behind() {
    let by_index =
        "create unique index concurrently u on t (x);\nalter table t add constraint u unique using index u;
        alter table t add column z int;";
    let not_null = "alter table t add constraint nn check (x is not null) not valid;\nalter table t validate constraint nn;
        alter table t alter column x set not null;\nalter table t drop constraint nn;\ncreate table c (id int);";
    let within = "create table b (id int);\ncreate index on b (id);\ninsert into b values (1);
        alter table b enable row level security;\ncreate policy p on b using (true);\ncreate table c (id int);";
    let (drop_z, drop_u) = ("alter table t drop column z;", "alter table t drop constraint u");
    let with_index = format!("{drop_z}{drop_u};drop index if exists u;");
    for (up, run, down, wanted) in [
        (
            by_index,
            1,
            format!("{drop_z}{drop_u};"),
            Err("undo 1:1, which was run"),
        ),
        (by_index, 2, format!("{drop_z}{drop_u};"), Ok(drop_u)),
        (by_index, 1, with_index, Ok("drop index if exists u")),
        (
            "alter table t alter column x type bigint;\ncreate table b (id int);\ncreate table c (id int);",
            2,
            "drop table c;\ndrop table b;".to_owned(),
            Err("undo 1:1, which was run"),
        ),
        (
            "alter table t add column y int, alter column x type bigint;\ncreate table c (id int);",
            1,
            "drop table c;\nalter table t drop column y;".to_owned(),
            Err("undo 1:1, which was run"),
        ),
        (
            "create table b (id int);\nupdate t set x = 1;\ncreate table c (id int);",
            2,
            "drop table c;\ndrop table b;".to_owned(),
            Err("undo 1:2, which was run"),
        ),
        (
            not_null,
            2,
            "drop table c;\nalter table t alter column x drop not null;".to_owned(),
            Err("undo 1:1, which was run"),
        ),
        (
            not_null,
            4,
            "drop table c;\nalter table t alter column x drop not null;".to_owned(),
            Ok("alter table t alter column x drop not null"),
        ),
        (
            within,
            5,
            "drop table c;\ndrop table b;".to_owned(),
            Ok("drop table b"),
        ),
        (
            "create table b (id int);\nalter table b rename to d;\ncreate table c (id int);",
            2,
            "drop table c;\ndrop table if exists b;".to_owned(),
            Err("undo 1:2, which was run"),
        ),
        (
            "alter table t add column z int;\ncreate table c (id int);",
            1,
            "drop table c;\nalter table t drop column z cascade;".to_owned(),
            Err("cannot be told: alter table t drop column z cascade"),
        ),
    ] {
        let world = World::new(&[("1_a.up.sql", up), ("1_a.down.sql", &down)]);
        for step in &world.plan().await.migrations[0].steps[..run] {
            let patience = std::time::Duration::from_secs(1);
            world.database.execute(step, patience, 5).await.unwrap();
        }
        let found = plan(&world, &BackTo::Newest).await;
        match wanted {
            Ok(wanted) => {
                assert_eq!(versions(&found), ["1"], "{up} / {down}");
                let steps = found.plan.migrations[0].steps.iter();
                let sent: Vec<_> = steps.flat_map(|step| step.statements.clone()).collect();
                assert_eq!(sent, [wanted], "{up} / {down}");
            }
            Err(reason) => refused(&found, "1", reason),
        }
    }
}

#[tokio::test]
async fn a_way_back_of_comments_only_is_none() {
    let world = World::new(&[
        ("1_a.up.sql", "create table a (id int);"),
        ("1_a.down.sql", "-- nothing to undo\n"),
    ]);
    let checks = checklist(
        &world.plan().await,
        &Evidence::default(),
        BACKUP_AGE,
        Timestamp::UNIX_EPOCH,
    );
    let found = checks.iter().find(|check| check.name == "rollback_script");
    assert_eq!(found.unwrap().state, CheckState::Missing);
    assert_eq!(world.run().await.status, RunStatus::Done);
    refused(&plan(&world, &BackTo::Newest).await, "1", "no statement in it");
}

#[tokio::test]
async fn of_several_tables_that_fit_none_is_guessed() {
    let world = World::new(THREE);
    assert_eq!(world.run().await.status, RunStatus::Done);
    assert_eq!(versions(&plan(&world, &BackTo::Newest).await), ["3"]);
    let other = "shop._sqlx_migrations";
    for version in ["1", "2"] {
        world
            .database
            .apply(MigrationTool::Sqlx, other, AppliedMigration::new(version));
    }
    let found = plan(&world, &BackTo::Newest).await;
    assert_eq!(
        (versions(&found), found.plan.scope.as_str()),
        (vec!["3".to_owned()], LEDGER)
    );
    world
        .database
        .apply(MigrationTool::Sqlx, other, AppliedMigration::new("3"));
    let tables = format!("cannot be told: {LEDGER}, {other}");
    refused(&plan(&world, &BackTo::Newest).await, "", &tables);
    // Nor does a run go ahead by itself.
    let way_up = world.plan().await;
    assert!(way_up.findings[0].what.get(Lang::En).ends_with(&tables));
    let checks = checklist(&way_up, &Evidence::default(), BACKUP_AGE, Timestamp::UNIX_EPOCH);
    assert_eq!(checks[0].state, CheckState::Missing);
}

#[tokio::test]
async fn the_check_list_of_a_way_back_asks_for_the_code_that_runs_and_for_a_proof_of_the_way_back() {
    let world = World::new(THREE);
    let proved = world.plan().await.migrations[2].back_digest.clone().unwrap();
    assert_eq!(world.run().await.status, RunStatus::Done);
    let found = plan(&world, &BackTo::Newest).await;
    let state = |evidence: &Evidence, name: &str| {
        let checks = checklist(&found.plan, evidence, BACKUP_AGE, Timestamp::UNIX_EPOCH);
        checks
            .into_iter()
            .find(|check| check.name == name)
            .map(|check| check.state)
    };
    let mut evidence = Evidence::default();
    assert_eq!(state(&evidence, "code"), Some(CheckState::Unknown));
    assert_eq!(state(&evidence, "tested"), Some(CheckState::Missing));
    assert_eq!(state(&evidence, "rollback_script"), None);
    assert_eq!(
        state(&evidence, "quiet_window"),
        Some(CheckState::Unknown),
        "data is lost"
    );
    evidence.code = Some(Vec::new());
    evidence.tested = vec![proved];
    assert_eq!(state(&evidence, "code"), Some(CheckState::Ready));
    assert_eq!(state(&evidence, "tested"), Some(CheckState::Ready));
    evidence.code = Some(vec!["code running uses public.c".to_owned()]);
    assert_eq!(state(&evidence, "code"), Some(CheckState::Missing));
}
