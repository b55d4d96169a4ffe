use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::Recorder;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::governance::migration::{
    BACKUP_AGE, Evidence, MigrationFolder, MigrationPlan, MigrationRunner, RestartHook, RunPolicy, RunReport,
    RunStatus, checklist,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{InMemoryAudit, InMemoryHealth, InMemoryMigrations};
use ops_core::model::{
    Actor, AppliedMigration, CheckState, MigrationTool, SchemaState, StepDone, TenantId, Timestamp,
    UnfinishedRun, Verdict, Weekday, Window,
};
use ops_core::ports::{AuditQuery, AuditStore, Clock, HealthProbe, MigrationExecutor, MigrationInspector};
use ops_core::testkit::ManualClock;

pub(crate) struct World {
    _dir: tempfile::TempDir,
    pub(crate) database: Arc<InMemoryMigrations>,
    audit: Arc<InMemoryAudit>,
    clock: Arc<ManualClock>,
    pub(crate) folder: MigrationFolder,
}

impl World {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let database = Arc::new(InMemoryMigrations::new());
        // A tool that has applied nothing yet.
        database.add_ledger(MigrationTool::Sqlx, LEDGER);
        Self {
            folder: MigrationFolder::read(dir.path()).unwrap(),
            _dir: dir,
            database,
            audit: Arc::new(InMemoryAudit::new()),
            clock: Arc::new(ManualClock::self_moving()),
        }
    }

    pub(crate) async fn plan(&self) -> MigrationPlan {
        let (state, schema) = (
            self.database.state().await.unwrap(),
            self.database.schema().await.unwrap(),
        );
        MigrationPlan::new(&self.folder, &state, &schema).unwrap()
    }

    pub(crate) fn runner(&self) -> MigrationRunner {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let recorder = Recorder::new(
            Arc::clone(&self.audit) as _,
            Arc::new(BuiltinMasker::new()),
            Arc::clone(&clock),
        );
        MigrationRunner::new(Arc::clone(&self.database) as _, recorder, clock, tenant())
    }

    pub(crate) async fn run(&self) -> RunReport {
        self.runner().run(&self.plan().await, &actor()).await
    }
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor::person("alice").unwrap()
}

pub(crate) const LEDGER: &str = "public._sqlx_migrations";

const TWO: &[(&str, &str)] = &[
    (
        "1_a.up.sql",
        "create table a (id int);\nalter table b add column c int;\n",
    ),
    ("1_a.down.sql", "drop table a;"),
    (
        "2_b.up.sql",
        "-- atomic\ncreate table d (id int);\ncreate table e (id int);\n",
    ),
    ("2_b.down.sql", "drop table d, e;"),
];

#[tokio::test]
async fn each_statement_is_a_step_of_its_own_unless_the_script_says_atomic() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let steps: Vec<_> = plan
        .migrations
        .iter()
        .map(|migration| migration.steps.len())
        .collect();
    assert_eq!(steps, [2, 1]);
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    assert_eq!(world.database.ran().len(), 4);
    assert!(
        world.plan().await.migrations.is_empty(),
        "the tool's own table says that both are applied"
    );
}

#[tokio::test]
async fn a_lock_that_cannot_be_had_is_tried_again_and_every_step_is_in_the_audit_trail() {
    let world = World::new(TWO);
    world.database.contend(3);
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Done);
    assert_eq!(report.steps[0].attempts, 4);
    assert!(report.audited);
    let page = world
        .audit
        .search(&tenant(), &AuditQuery::default())
        .await
        .unwrap();
    let steps = page
        .records
        .iter()
        .filter(|record| record.action == "migration.step");
    assert_eq!(steps.count(), 3);
}

#[tokio::test]
async fn a_run_that_gave_up_goes_on_where_it_was() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    world.database.contend(1000);
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert!(world.database.ran().is_empty());
    world.database.contend(0);
    assert_eq!(world.run().await.status, RunStatus::Done);

    // The same plan once more: nothing is repeated.
    let report = world.runner().run(&plan, &actor()).await;
    assert!(
        report
            .steps
            .iter()
            .all(|step| step.done == Some(StepDone::Before)),
        "{report:?}"
    );
    assert_eq!(world.database.ran().len(), 4);
}

#[tokio::test]
async fn a_migration_that_its_tool_took_back_is_run_again() {
    let world = World::new(TWO);
    assert_eq!(world.run().await.status, RunStatus::Done);
    world.database.revert(LEDGER, "1");
    let report = world.run().await;
    let done: Vec<_> = report.steps.iter().map(|step| step.done).collect();
    assert_eq!(done, [Some(StepDone::Now), Some(StepDone::Now)], "{report:?}");
    assert_eq!(world.database.ran().len(), 6);
    assert!(world.plan().await.migrations.is_empty());
}

/// Comes up, does not, or is still at it when the program dies.
#[derive(Debug, Default)]
struct Restart {
    asked: AtomicU32,
    hangs: bool,
}

#[async_trait]
impl RestartHook for Restart {
    async fn restart(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.hangs {
            true => std::future::pending().await,
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn what_a_run_owes_after_its_last_step_is_done_by_the_next() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let hanging = Arc::new(Restart {
        hangs: true,
        ..Restart::default()
    });
    let dies = world.runner().with_restart(Arc::clone(&hanging) as _);
    let who = actor();
    tokio::select! {
        report = dies.run(&plan, &who) => panic!("{report:?}"),
        () = async { while hanging.asked.load(Ordering::SeqCst) == 0 { tokio::task::yield_now().await } } => {}
    }
    let plan = world.plan().await;
    assert!(plan.migrations.is_empty());
    let owed = world.database.unfinished(&plan.scope).await.unwrap().unwrap();
    assert_eq!(
        (owed.touched.as_slice(), owed.restarted),
        (&["public.b".to_owned()][..], false)
    );

    let restart = Arc::new(Restart::default());
    let began = world.clock.monotonic();
    let runner = world.runner().with_restart(Arc::clone(&restart) as _);
    assert_eq!(runner.run(&plan, &actor()).await.status, RunStatus::Done);
    assert_eq!(restart.asked.load(Ordering::SeqCst), 1);
    assert!(
        world.clock.monotonic() - began >= Duration::from_secs(900),
        "and watched"
    );
    assert_eq!(runner.run(&plan, &actor()).await.status, RunStatus::Done);
    assert_eq!(
        restart.asked.load(Ordering::SeqCst),
        1,
        "nothing is owed any more"
    );
}

#[tokio::test]
async fn the_watch_lasts_fifteen_minutes_and_ends_early_when_something_is_wrong() {
    let world = World::new(TWO);
    let began = world.clock.monotonic();
    assert_eq!(world.run().await.status, RunStatus::Done);
    let lasted = world.clock.monotonic() - began;
    assert!(lasted >= Duration::from_secs(900), "{lasted:?}");

    let world = World::new(TWO);
    let health = Arc::new(InMemoryHealth::new());
    health.set(Verdict::NotYet {
        reason: "errors".to_owned(),
    });
    let plan = world.plan().await;
    let began = world.clock.monotonic();
    let report = world
        .runner()
        .with_probe("api", health)
        .run(&plan, &actor())
        .await;
    assert_eq!(report.status, RunStatus::Unhealthy);
    assert!(world.clock.monotonic() - began < Duration::from_secs(900));
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl RestartHook for Broken {
    async fn restart(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "restart"))
    }
}

#[tokio::test]
async fn an_application_that_does_not_come_up_again_is_said() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let report = world
        .runner()
        .with_restart(Arc::new(Broken))
        .run(&plan, &actor())
        .await;
    assert_eq!(report.status, RunStatus::NotRestarted);
    assert_eq!(world.database.ran().len(), 4);
    let without = world.run().await;
    assert_eq!(without.status, RunStatus::NotRestarted, "still owed: {without:?}");
    let restart = Arc::new(Restart::default());
    let again = world.runner().with_restart(Arc::clone(&restart) as _);
    assert_eq!(
        again.run(&world.plan().await, &actor()).await.status,
        RunStatus::Done
    );
    assert_eq!(
        restart.asked.load(Ordering::SeqCst),
        1,
        "the next run tries it again"
    );
}

#[tokio::test]
async fn a_watch_without_length_looks_once() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let mut policy = RunPolicy::default();
    policy.watch = Duration::ZERO;
    let runner = world.runner().with_policy(policy);
    let silent = Arc::new(InMemoryHealth::new());
    let report = runner.with_probe("api", silent).run(&plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Unhealthy, "{report:?}");
}

/// Says that all is well while another run begins, which will owe a restart.
#[derive(Debug)]
struct AnotherBegins(Arc<InMemoryMigrations>, String);

#[async_trait]
impl HealthProbe for AnotherBegins {
    async fn check(&self) -> Verdict {
        let mut other = UnfinishedRun::default();
        other.digest = "another".to_owned();
        other.wants_restart = true;
        let seen = self.0.unfinished(&self.1).await.unwrap();
        self.0.keep(&self.1, seen.as_ref(), Some(&other)).await.unwrap();
        Verdict::Holds
    }
}

#[tokio::test]
async fn what_another_run_owes_is_left_to_it() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let probe = Arc::new(AnotherBegins(Arc::clone(&world.database), plan.scope.clone()));
    let report = world.runner().with_probe("api", probe).run(&plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Done, "{report:?}");
    let owed = world.database.unfinished(&plan.scope).await.unwrap().unwrap();
    assert!(owed.digest == "another" && owed.wants_restart && !owed.restarted);
}

/// Says that all is well, and pulls the plug of the database.
#[derive(Debug)]
struct PullsThePlug(Arc<InMemoryMigrations>);

#[async_trait]
impl HealthProbe for PullsThePlug {
    async fn check(&self) -> Verdict {
        self.0.set_reachable(false);
        Verdict::Holds
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_healthy_and_neither_is_what_nobody_knows() {
    let world = World::new(TWO);
    let plan = world.plan().await;
    let probe = Arc::new(PullsThePlug(Arc::clone(&world.database)));
    let report = world.runner().with_probe("api", probe).run(&plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Unhealthy, "{report:?}");
    assert!(
        report.watch.iter().any(|seen| seen.contains("public.b")),
        "{report:?}"
    );

    let world = World::new(TWO);
    let plan = world.plan().await;
    let silent = Arc::new(InMemoryHealth::new());
    let report = world
        .runner()
        .with_probe("api", silent)
        .run(&plan, &actor())
        .await;
    assert_eq!(report.status, RunStatus::Unhealthy, "{report:?}");
}

#[tokio::test]
async fn a_watch_that_had_nothing_to_look_at_says_so_at_once() {
    let world = World::new(&[("1_a.sql", "create table a (id int);")]);
    let state = SchemaState::default();
    let plan = MigrationPlan::new(&world.folder, &state, &Default::default()).unwrap();
    let began = world.clock.monotonic();
    let report = world.runner().run(&plan, &actor()).await;
    assert_eq!(report.status, RunStatus::Unwatched, "{report:?}");
    assert!(world.clock.monotonic() - began < Duration::from_secs(900));
    // With a tool's table there is always one.
    assert_eq!(world.run().await.status, RunStatus::Done);
}

#[tokio::test]
async fn nothing_runs_over_a_table_that_cannot_be_read_and_an_odd_state_has_to_be_accepted() {
    let world = World::new(TWO);
    let mut hidden = SchemaState::default();
    hidden.unreadable = vec!["public._sqlx_migrations".to_owned()];
    let error = MigrationPlan::new(&world.folder, &hidden, &Default::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);

    let state = |plan: &MigrationPlan| {
        let checks = checklist(plan, &Evidence::default(), BACKUP_AGE, Timestamp::UNIX_EPOCH);
        checks
            .into_iter()
            .find(|check| check.name == "state")
            .unwrap()
            .state
    };
    assert_eq!(state(&world.plan().await), CheckState::Ready);
    let bare = MigrationPlan::new(&world.folder, &SchemaState::default(), &Default::default()).unwrap();
    assert_eq!(state(&bare), CheckState::Missing, "no tool's table at all");
    for (version, why) in [("3", "unknown to this release"), ("2", "out of order")] {
        let world = World::new(TWO);
        world
            .database
            .apply(MigrationTool::Sqlx, LEDGER, AppliedMigration::new(version));
        assert_eq!(state(&world.plan().await), CheckState::Missing, "{why}");
    }
}

#[tokio::test]
async fn the_check_list_asks_for_a_trial_a_way_back_a_fresh_backup_and_a_quiet_hour() {
    let drop = &[("1_a.up.sql", "drop table a;")];
    let world = World::new(drop);
    let plan = world.plan().await;
    let now = Timestamp::from_unix_micros(1_800_000_000_000_000);
    let open = |evidence: &Evidence| {
        let checks = checklist(&plan, evidence, BACKUP_AGE, now);
        let open = checks
            .into_iter()
            .filter(|check| check.state != CheckState::Ready);
        open.map(|check| check.name).collect::<Vec<_>>()
    };
    let mut evidence = Evidence::default();
    assert_eq!(
        open(&evidence),
        ["tested", "rollback_script", "backup", "quiet_window"]
    );
    evidence.tested = vec![plan.digest.clone()];
    evidence.backup = Some(now - BACKUP_AGE);
    evidence.quiet = vec![Window::Weekly {
        days: Weekday::ALL.to_vec(),
        from: "00:00".parse().unwrap(),
        until: "24:00".parse().unwrap(),
    }];
    assert_eq!(open(&evidence), ["rollback_script"]);
    evidence.tested = vec![plan.migrations[0].digest.clone()];
    assert_eq!(
        open(&evidence),
        ["rollback_script"],
        "the same for each migration by itself"
    );
    evidence.backup = Some(now - BACKUP_AGE - Duration::from_secs(1));
    assert_eq!(open(&evidence), ["rollback_script", "backup"], "a second too old");
    evidence.backup = Some(now + Duration::from_secs(1));
    assert_eq!(open(&evidence), ["rollback_script", "backup"], "from the future");
}

#[tokio::test]
async fn what_cannot_be_run_safely_is_refused_with_its_line() {
    for (script, reason) in [
        (
            "-- atomic\nselect 1;\ncreate index concurrently i on a (b);\n",
            "transaction",
        ),
        ("create index concurrently on a (b);", "name"),
        ("alter tabel a;", "line"),
        ("begin;\ndelete from a;\nrollback;", "transaction"),
        ("set search_path to shop;\ncreate table a (id int);", "session"),
    ] {
        let world = World::new(&[("1_a.sql", script)]);
        let (state, schema) = (world.database.state().await.unwrap(), Default::default());
        let error = MigrationPlan::new(&world.folder, &state, &schema)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{script}: {error}");
    }
}
