//! A process that dies at each boundary of a run, and one that takes it up.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::Recorder;
use ops_core::clock::SystemClock;
use ops_core::error::Result;
use ops_core::governance::migration::{
    MigrationFolder, MigrationPlan, MigrationRunner, RunPolicy, RunStatus,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, MigrationStep, StepDone, StepMark, TenantId, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, MigrationInspector, Touch};
use ops_postgres::{PostgresMigrations, schema_dump};
use secrecy::{ExposeSecret, SecretString};

use crate::world::{World, run};

const SCRIPTS: [(&str, &str); 2] = [
    (
        "1_a.sql",
        "alter table conversations add column note text;
         create index concurrently by_note on conversations (note);
         alter table conversations add constraint short check (length(note) < 100) not valid;
         alter table conversations validate constraint short;",
    ),
    (
        "2_b.sql",
        "create table tags (id int primary key);\ninsert into tags values (1);",
    ),
];
/// Two for each of the six steps.
const BOUNDARIES: u32 = 12;

/// Ends the process, as `kill -9` would, at the given boundary: before a step is odd, after it is even.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: PostgresMigrations,
    left: AtomicU32,
}

impl Mortal {
    pub(crate) fn new(inner: PostgresMigrations, dies_at: u32) -> Self {
        Self {
            inner,
            left: AtomicU32::new(dies_at),
        }
    }

    fn boundary(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

#[async_trait]
impl MigrationExecutor for Mortal {
    async fn execute(
        &self,
        step: &MigrationStep,
        lock_timeout: Duration,
        max_waiters: u32,
    ) -> Result<StepDone> {
        self.boundary();
        let done = self.inner.execute(step, lock_timeout, max_waiters).await;
        self.boundary();
        done
    }

    async fn keep(
        &self,
        scope: &str,
        seen: Option<&UnfinishedRun>,
        run: Option<&UnfinishedRun>,
    ) -> Result<()> {
        self.inner.keep(scope, seen, run).await
    }

    async fn unfinished(&self, scope: &str) -> Result<Option<UnfinishedRun>> {
        self.inner.unfinished(scope).await
    }

    async fn marks(&self, scope: &str) -> Result<Vec<StepMark>> {
        self.inner.marks(scope).await
    }

    async fn touch(&self, table: &str, touch: Touch, patience: Duration) -> Result<()> {
        self.inner.touch(table, touch, patience).await
    }
}

async fn migrate(url: &SecretString, dies_at: u32) -> RunStatus {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in SCRIPTS {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let inner = PostgresMigrations::new(url).unwrap();
    let (state, schema) = (inner.state().await.unwrap(), inner.schema().await.unwrap());
    let plan = MigrationPlan::new(&MigrationFolder::read(dir.path()).unwrap(), &state, &schema).unwrap();
    // Others may have the turn: it is waited for.
    let clock = Arc::new(SystemClock::new());
    let recorder = Recorder::new(
        Arc::new(InMemoryAudit::new()),
        Arc::new(BuiltinMasker::new()),
        Arc::clone(&clock) as _,
    );
    let executor = Arc::new(Mortal::new(inner, dies_at));
    let mut policy = RunPolicy::default();
    policy.watch = Duration::ZERO;
    policy.retry.attempts = 1000;
    policy.retry.first_delay = Duration::from_millis(20);
    policy.retry.longest_delay = Duration::from_millis(100);
    let runner =
        MigrationRunner::new(executor, recorder, clock, TenantId::new("acme").unwrap()).with_policy(policy);
    let report = runner.run(&plan, &Actor::person("alice").unwrap()).await;
    assert_eq!(report.failure, None);
    report.status
}

/// Not a test of its own: what the other process of the test below does.
#[tokio::test]
async fn the_process_that_dies() {
    let variable = |name: &str| ops_core::config::Env::process().text(name);
    let (Some(url), Some(at)) = (variable("OPS_CRASH_URL"), variable("OPS_CRASH_AT")) else {
        return;
    };
    migrate(&SecretString::from(url), at.parse().unwrap()).await;
}

fn other_process(url: &SecretString, dies_at: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::the_process_that_dies", "--nocapture"])
        .env("OPS_CRASH_URL", url.expose_secret())
        .env("OPS_CRASH_AT", dies_at.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
async fn eight_processes_at_once_do_each_step_once() {
    let Some(world) = World::new().await else { return };
    let url = world.scratch.owner_url();
    let processes: Vec<_> = (0..8)
        .map(|_| other_process(url, u32::MAX).spawn().unwrap())
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let mut owner = world.owner().await;
    // The second `create table` or `insert` of a step would have failed.
    let done = "select count(*) from ops.migration_step where done_at is not null";
    let done: i64 = sqlx::query_scalar(done).fetch_one(&mut owner).await.unwrap();
    assert_eq!(done, 6);
    world.close().await;
}

#[tokio::test]
async fn a_run_that_was_killed_at_any_boundary_is_taken_up_and_ends_the_same() {
    let mut wanted = None;
    for boundary in 0..=BOUNDARIES {
        let Some(world) = World::new().await else { return };
        let url = world.scratch.owner_url();
        if boundary > 0 {
            let status = other_process(url, boundary).status().unwrap();
            assert!(!status.success(), "it dies at boundary {boundary}");
        }
        assert_eq!(
            migrate(url, u32::MAX).await,
            RunStatus::Done,
            "boundary {boundary}"
        );
        let mut owner = world.owner().await;
        run(&mut owner, "update conversations set note = 'a' where id = 1")
            .await
            .unwrap();
        let tags: i64 = sqlx::query_scalar("select count(*) from tags")
            .fetch_one(&mut owner)
            .await
            .unwrap();
        assert_eq!(tags, 1, "boundary {boundary}: no statement ran twice");
        if let Ok(dump) = schema_dump(url).await {
            // The roles have other names in each database.
            let dump = dump.replace(world.scratch.name(), "scratch");
            assert_eq!(
                *wanted.get_or_insert_with(|| dump.clone()),
                dump,
                "boundary {boundary}"
            );
        }
        world.close().await;
    }
}
