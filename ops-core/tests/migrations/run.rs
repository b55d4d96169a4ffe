use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::Recorder;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::governance::migration::{
    BACKUP_AGE, Evidence, MigrationFolder, MigrationPlan, MigrationRunner, RestartHook, RunReport, RunStatus,
    checklist,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{InMemoryAudit, InMemoryHealth, InMemoryMigrations};
use ops_core::model::{
    Actor, AppliedMigration, CheckState, MigrationTool, StepDone, TenantId, Timestamp, Verdict, Weekday,
    Window,
};
use ops_core::ports::{AuditQuery, AuditStore, Clock, MigrationInspector};
use ops_core::testkit::ManualClock;

struct World {
    _dir: tempfile::TempDir,
    database: Arc<InMemoryMigrations>,
    audit: Arc<InMemoryAudit>,
    clock: Arc<ManualClock>,
    folder: MigrationFolder,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let database = Arc::new(InMemoryMigrations::new());
        // A tool that has applied nothing of this folder yet.
        database.apply(
            MigrationTool::Sqlx,
            "public._sqlx_migrations",
            AppliedMigration::new("0"),
        );
        Self {
            folder: MigrationFolder::read(dir.path()).unwrap(),
            _dir: dir,
            database,
            audit: Arc::new(InMemoryAudit::new()),
            clock: Arc::new(ManualClock::self_moving()),
        }
    }

    async fn plan(&self) -> MigrationPlan {
        let (state, schema) = (
            self.database.state().await.unwrap(),
            self.database.schema().await.unwrap(),
        );
        MigrationPlan::new(&self.folder, &state, &schema).unwrap()
    }

    fn runner(&self) -> MigrationRunner {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let recorder = Recorder::new(
            Arc::clone(&self.audit) as _,
            Arc::new(BuiltinMasker::new()),
            Arc::clone(&clock),
        );
        MigrationRunner::new(Arc::clone(&self.database) as _, recorder, clock, tenant())
    }

    async fn run(&self) -> RunReport {
        self.runner().run(&self.plan().await, &actor()).await
    }
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn actor() -> Actor {
    Actor::person("alice").unwrap()
}

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
    world.database.contend(1000);
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert!(world.database.ran().is_empty());
    world.database.contend(0);
    assert_eq!(world.run().await.status, RunStatus::Done);

    // The same plan once more: nothing is repeated.
    let again = World {
        database: Arc::clone(&world.database),
        ..World::new(TWO)
    };
    let plan = MigrationPlan::new(&again.folder, &Default::default(), &Default::default()).unwrap();
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
    ] {
        let world = World::new(&[("1_a.sql", script)]);
        let (state, schema) = (world.database.state().await.unwrap(), Default::default());
        let error = MigrationPlan::new(&world.folder, &state, &schema)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{script}: {error}");
    }
}
