use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::emergency::{Engine, FAIL_POINTS, Forgetting};
use ops_core::model::{Approval, RunId, TenantId};
use ops_core::ports::{Clock as _, Journal};
use ops_core::{Ops, Providers};
use serde::{Deserialize, Serialize};

use super::vendor::{Opens, VENDOR_POINTS, Vendor};
use super::{Journals, bob, spool};
use crate::support_emergency::{Failure, FaultyJournal, People, alice};

/// What a process does until it is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    Stop,
    Restore { of: RunId },
    Resume { run: RunId },
    Abort { run: RunId },
    Review { run: RunId },
    Forget { of: RunId },
}

/// The command line of a process that is to be killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) folder: PathBuf,
    /// Where the journal is, if not in the folder.
    pub(crate) url: Option<String>,
    /// The journal cannot be reached.
    pub(crate) outage: bool,
    /// There is a spool.
    pub(crate) spool: bool,
    /// What the way back is like.
    pub(crate) opens: Opens,
    /// Count the fail points that are met instead of dying at one.
    pub(crate) trace: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    ByItself,
}

const JOB: &str = "OPS_TEST_KILL_JOB";

/// A restore waits this long for a call of a killed process.
const LANDS_WITHIN: Duration = Duration::from_secs(1);

/// Every fail point there is.
pub(crate) fn all_points() -> impl Iterator<Item = &'static str> {
    FAIL_POINTS.iter().chain(VENDOR_POINTS).copied()
}

impl Job {
    /// Runs it in a process of its own: this test program again, in which only the test `entry` runs.
    pub(crate) fn run(&self, entry: &str, fail_points: &str) -> End {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", entry, "--nocapture", "--test-threads=1"])
            .env(JOB, serde_json::to_string(self).unwrap())
            .env("FAILPOINTS", fail_points)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        match (output.status.signal(), output.status.code()) {
            (Some(SIGABRT), _) => End::Killed,
            (None, Some(0)) => End::ByItself,
            _ => panic!("{self:?} at {fail_points}: {output:?}"),
        }
    }

    /// How often each fail point is met when nothing kills it.
    pub(crate) fn trace(&self, entry: &str) -> BTreeMap<String, usize> {
        let job = Self {
            trace: true,
            ..self.clone()
        };
        assert_eq!(job.run(entry, ""), End::ByItself);
        serde_json::from_slice(&fs::read(trace_file(&self.folder)).unwrap()).unwrap()
    }
}

/// The other side of [`Job::run`]; does nothing in the process that the test runner started.
pub(crate) fn work_if_asked<J: Journals>() {
    let Some(job) = Env::process().text(JOB) else {
        return;
    };
    let job: Job = serde_json::from_str(&job).unwrap();
    // A process that hangs must not hang the test.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(30));
        std::process::exit(99);
    });
    let counts = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let _scenario = fail::FailScenario::setup();
    if job.trace {
        for point in all_points() {
            let counts = Arc::clone(&counts);
            let count = move || *counts.lock().unwrap().entry(point.to_owned()).or_default() += 1;
            fail::cfg_callback(point, count).unwrap();
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(job.work_on::<J>());
    if job.trace {
        let counts = serde_json::to_vec(&*counts.lock().unwrap()).unwrap();
        fs::write(trace_file(&job.folder), counts).unwrap();
    }
}

impl Job {
    async fn work_on<J: Journals>(&self) {
        let journal: Arc<dyn Journal> = match self.outage {
            true => Arc::new(FaultyJournal::dead(Failure::Fails)),
            false => J::open(&self.folder, self.url.as_deref()).await,
        };
        let mut vendor = Vendor::new(&self.folder);
        vendor.rival = Some(Engine::new(Arc::clone(&journal), Arc::new(SystemClock::new())));
        let procedure = vendor.procedure(self.opens, LANDS_WITHIN);
        let providers = Providers::in_directory(self.folder.join("state")).unwrap();
        let providers = Providers {
            journal,
            journal_spool: self.spool.then(|| spool(&self.folder)),
            ..providers
        };
        let ops = Ops::new(providers, TenantId::new("org_test").unwrap());
        let done = match &self.work {
            Work::Stop => ops.stop(&procedure, alice()).await.map(drop),
            Work::Resume { run } => ops.resume(run, &procedure, &alice()).await.map(drop),
            Work::Restore { of } => {
                let plan = ops.engine().plan_restore(of, &procedure).await.unwrap();
                let plan = People::new().approve(plan, SystemClock::new().now()).unwrap();
                ops.carry_out(plan, &alice()).await.map(drop)
            }
            Work::Abort { run } => ops
                .abort(run, &procedure, &alice(), "the wrong one")
                .await
                .map(drop),
            Work::Forget { of } => {
                let (plan, approvals) = forgetting(ops.engine(), of).await;
                let approvers = People::new().approvers();
                ops.forget(&plan, &approvals, &approvers, &alice())
                    .await
                    .map(drop)
            }
            Work::Review { run } => ops.review(run, &bob(), "was right").await.map(drop),
        };
        done.unwrap();
    }
}

/// What Bob and Carol agree that a run may forget.
pub(crate) async fn forgetting(engine: &Engine, of: &RunId) -> (Forgetting, [Approval; 2]) {
    let plan = engine
        .plan_forget(of, &BTreeSet::new(), "the services are gone")
        .await
        .unwrap();
    let until = SystemClock::new().now() + Duration::from_secs(600);
    let people = People::new();
    let approvals = ["bob", "carol"].map(|name| Approval::sign(name, plan.digest(), until, people.key(name)));
    (plan, approvals)
}

fn trace_file(folder: &Path) -> PathBuf {
    folder.join("trace.json")
}

const SIGABRT: i32 = 6;
