//! Kills real processes at every fail point, and puts the world back afterwards.
#![allow(dead_code, reason = "each test file uses its own part")]

mod process;
mod scene;
mod vendor;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::clock::SystemClock;
use ops_core::emergency::{BreakGlass, Engine, Procedure, Refusal};
use ops_core::file::FileJournal;
use ops_core::model::{Actor, OutcomeStatus, PlanKind, RunId};
use ops_core::ports::{Clock as _, Journal, JournalEvent};
use tokio::task::JoinSet;

use self::process::forgetting;
pub(crate) use self::process::{End, Job, Work, all_points, work_if_asked};
use self::scene::SCENES;
pub(crate) use self::scene::Scene;
use self::vendor::Vendor;
use crate::support_emergency::{Failure, FaultyJournal, People, alice};

/// A kind of journal. To open it again is what a new process does.
#[async_trait]
pub(crate) trait Journals: 'static {
    /// The journal of a folder, or at `url`.
    async fn open(folder: &Path, url: Option<&str>) -> Arc<dyn Journal>;
    /// Empties what is at `url`.
    async fn clear(url: Option<&str>);
    /// Leaves half an entry behind the last one of each run, if entries can be cut in two there.
    fn tear(folder: &Path);
}

pub(crate) fn spool(folder: &Path) -> Arc<dyn Journal> {
    Arc::new(FileJournal::open(folder.join("spool")).unwrap())
}

pub(crate) fn bob() -> Actor {
    Actor::person("bob").unwrap()
}

/// What people do after the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// They take the run up, then put everything back.
    TakeUp,
    /// Another operator, in another process over the same journal, stops everything again; then everything is put back.
    StopAgain,
    /// They put everything back at once.
    PutBack,
}

pub(crate) const AFTERS: [After; 3] = [After::TakeUp, After::StopAgain, After::PutBack];

/// One folder, in which a process is killed once.
#[derive(Debug)]
pub(crate) struct Case {
    folder: tempfile::TempDir,
    url: Option<String>,
    scene: Scene,
    vendor: Vendor,
    before: Vec<String>,
    job: Job,
}

impl Case {
    /// Sets the scene, up to the point where the process begins that will be killed.
    pub(crate) async fn new<J: Journals>(scene: Scene, url: Option<String>, entry: &str) -> Self {
        J::clear(url.as_deref()).await;
        let folder = tempfile::tempdir().unwrap();
        let vendor = Vendor::new(folder.path());
        vendor.set_up();
        let outage = scene == Scene::StopInOutage;
        let job = Job {
            work: Work::Stop,
            folder: folder.path().to_owned(),
            url: url.clone(),
            outage,
            spool: outage || scene == Scene::RestoreAfterOutage,
            opens: scene.opening(),
            trace: false,
        };
        let before = vendor.bytes();
        let mut case = Self {
            folder,
            url,
            scene,
            vendor,
            before,
            job,
        };
        case.job.work = match scene {
            Scene::Stop | Scene::StopInOutage => Work::Stop,
            Scene::Restore | Scene::RestoreGated | Scene::RestoreRamped => Work::Restore {
                of: case.stop(&case.engine::<J>().await).await,
            },
            Scene::RestoreTurned => {
                let of = case.stop(&case.engine::<J>().await).await;
                case.vendor.fall_sick();
                Work::Restore { of }
            }
            Scene::Forget => Work::Forget {
                of: case.stop(&case.engine::<J>().await).await,
            },
            Scene::Review => Work::Review {
                run: case.break_glass(&case.engine::<J>().await).await,
            },
            Scene::Abort => {
                let of = case.stop(&case.engine::<J>().await).await;
                case.job.work = Work::Restore { of };
                // One target is open, another one's call is not answered.
                let end = case.kill(entry, "step.applied.before", 2).await;
                assert_eq!(end, End::Killed);
                Work::Abort {
                    run: case.newest::<J>().await.unwrap(),
                }
            }
            Scene::RestoreRaced => {
                let of = case.stop(&case.engine::<J>().await).await;
                case.vendor.invite_the_rival();
                Work::Restore { of }
            }
            Scene::RestoreAfterOutage => {
                let dead = Arc::new(FaultyJournal::dead(Failure::Fails));
                let engine = Engine::new(dead, Arc::new(SystemClock::new()));
                let engine = engine.with_spool(spool(case.folder.path()));
                Work::Restore {
                    of: case.stop(&engine).await,
                }
            }
            Scene::Resume => {
                let stop = Job {
                    work: Work::Stop,
                    ..case.job.clone()
                };
                assert_eq!(
                    tokio::task::spawn_blocking({
                        let entry = entry.to_owned();
                        move || stop.run(&entry, "step.applied.before=1*off->return")
                    })
                    .await
                    .unwrap(),
                    End::Killed
                );
                J::tear(case.folder.path());
                Work::Resume {
                    run: case.newest::<J>().await.unwrap(),
                }
            }
        };
        case
    }

    /// How often each fail point is met when nothing kills the process.
    pub(crate) async fn trace(self, entry: &str) -> BTreeMap<String, usize> {
        let entry = entry.to_owned();
        tokio::task::spawn_blocking(move || self.job.trace(&entry))
            .await
            .unwrap()
    }

    /// Kills the process when it comes to `point` for the `nth` time, from 1.
    pub(crate) async fn kill(&self, entry: &str, point: &str, nth: usize) -> End {
        let action = match nth {
            1 => format!("{point}=return"),
            nth => format!("{point}={}*off->return", nth - 1),
        };
        let (job, entry) = (self.job.clone(), entry.to_owned());
        tokio::task::spawn_blocking(move || job.run(&entry, &action))
            .await
            .unwrap()
    }

    /// A new process's engine; the journal can be reached again.
    async fn engine<J: Journals>(&self) -> Engine {
        let journal = J::open(self.folder.path(), self.url.as_deref()).await;
        let engine = Engine::new(journal, Arc::new(SystemClock::new()));
        match self.job.spool {
            true => engine.with_spool(spool(self.folder.path())),
            false => engine,
        }
    }

    /// What people use who are in no hurry to have a call of a killed process behind them.
    fn procedure(&self) -> Procedure {
        self.vendor.procedure(self.job.opens, Duration::from_secs(2))
    }

    async fn break_glass(&self, engine: &Engine) -> RunId {
        let plan = engine.plan_stop(&self.procedure()).await;
        let glass = BreakGlass::new("nobody can be reached").unwrap();
        let plan = plan.break_glass(glass, alice(), SystemClock::new().now());
        engine.execute(plan.unwrap()).await.unwrap().run
    }

    async fn stop(&self, engine: &Engine) -> RunId {
        let plan = engine.plan_stop(&self.procedure()).await;
        let now = SystemClock::new().now();
        let plan = plan.approve(&[], &Default::default(), alice(), now).unwrap();
        let outcome = engine.execute(plan).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Verified, "{outcome:#?}");
        outcome.run
    }

    async fn restore(&self, engine: &Engine, run: &RunId) -> Result<(), Refusal> {
        let mut plan = engine.plan_restore(run, &self.procedure()).await?;
        if self.opens() {
            // To a new plan, what a killed restore has half written is drift, which a person accepts; taking it up needs no such thing.
            plan = plan.accepting_drift();
        }
        let plan = People::new().approve(plan, SystemClock::new().now())?;
        let outcome = engine.execute(plan).await?;
        assert_eq!(
            outcome.status,
            OutcomeStatus::Verified,
            "{:?}: {outcome:#?}",
            self.scene
        );
        Ok(())
    }

    /// Whether something was being opened.
    fn opens(&self) -> bool {
        matches!(self.job.work, Work::Restore { .. } | Work::Abort { .. })
    }

    /// The newest run of the journal that has begun and is not the rival's.
    async fn newest<J: Journals>(&self) -> Option<RunId> {
        let engine = self.engine::<J>().await;
        let wanted = |plan: &PlanKind| match self.opens() {
            true => matches!(plan, PlanKind::Restore { .. }),
            false => matches!(plan, PlanKind::Stop),
        };
        for run in engine.runs().await.unwrap().into_iter().rev() {
            let entries = engine.entries(&run).await.unwrap();
            let begun =
                |event: &JournalEvent| matches!(event, JournalEvent::Started { plan, .. } if wanted(plan));
            if entries.iter().any(|entry| begun(&entry.event)) {
                return Some(run);
            }
        }
        None
    }

    /// Does what people do after the kill; every target must then be as it was, byte for byte, and nothing held.
    pub(crate) async fn recover<J: Journals>(&self, after: After) {
        let engine = self.engine::<J>().await;
        if let Work::Forget { of } = &self.job.work {
            return self.forget_the_rest(&engine, of).await;
        }
        let raced = self.scene == Scene::RestoreRaced;
        self.vendor.get_well();
        match after {
            After::TakeUp => match self.newest::<J>().await {
                Some(run) if matches!(self.job.work, Work::Review { .. }) => {
                    engine.review(&run, &bob(), "was right").await.unwrap();
                    let reviews = engine.reviews().await.unwrap();
                    assert!(reviews.len() == 1 && reviews[0].reviewed.is_some(), "{reviews:?}");
                }
                Some(run) => {
                    let outcome = engine.resume(&run, &self.procedure(), &alice()).await.unwrap();
                    let verified = outcome.status == OutcomeStatus::Verified;
                    // What was turned round is closed, and stays so.
                    let turned = outcome.aborted.as_ref().is_some_and(|back| back.stopped());
                    assert!(!turned || self.vendor.all_stopped(), "{outcome:#?}");
                    // Stopping outranks restoring: a restore that was raced gives way.
                    assert!(verified || raced || turned, "{outcome:#?}");
                }
                None if matches!(self.job.work, Work::Stop) => drop(self.stop(&engine).await),
                None => {}
            },
            After::StopAgain => {
                let journal = J::open(self.folder.path(), self.url.as_deref()).await;
                let other = Engine::new(journal, Arc::new(SystemClock::new()));
                self.stop(&other).await;
            }
            After::PutBack => {}
        }
        if after == After::StopAgain || (after == After::TakeUp && !self.opens()) {
            assert!(self.vendor.all_stopped(), "{after:?}");
        }
        self.put_back(&engine).await;
        assert_eq!(self.vendor.bytes(), self.before, "{:?}, {after:?}", self.scene);
        let held = self.engine::<J>().await.held().await.unwrap();
        assert!(held.is_empty(), "{:?}, {after:?}: {held:?}", self.scene);
    }

    /// What was killed while it forgot is forgotten when somebody forgets it again, and a stop of what is there now is put back exactly.
    async fn forget_the_rest(&self, engine: &Engine, of: &RunId) {
        if !engine.held().await.unwrap().is_empty() {
            let (plan, approvals) = forgetting(engine, of).await;
            let approvers = People::new().approvers();
            let forgotten = engine
                .forget(&plan, &approvals, &approvers, &alice())
                .await
                .unwrap();
            assert!(forgotten.still_held.is_empty(), "{forgotten:?}");
        }
        assert!(engine.held().await.unwrap().is_empty());
        let nothing = engine.plan_restore(of, &self.procedure()).await;
        assert!(matches!(nothing, Err(Refusal::NothingHeld { .. })), "{nothing:?}");
        self.vendor.set_up();
        let run = self.stop(engine).await;
        self.restore(engine, &run).await.unwrap();
        assert_eq!(self.vendor.bytes(), self.before);
    }

    /// Restores every run that holds something, until none does.
    async fn put_back(&self, engine: &Engine) {
        for _ in 0..4 {
            let held = engine.held().await.unwrap();
            let runs: BTreeSet<_> = held.into_iter().map(|held| held.run).collect();
            for run in &runs {
                match self.restore(engine, run).await {
                    Ok(()) | Err(Refusal::NothingHeld { .. }) => {}
                    Err(other) => panic!("{:?}: {other}", self.scene),
                }
            }
            if runs.is_empty() {
                return;
            }
        }
    }
}

/// Which hits of a point that is met `count` times are tried: the first, the last and, where every hit is another entry, the second.
fn hits(point: &str, count: usize) -> BTreeSet<usize> {
    let second = if point.starts_with("file.") { 1 } else { 2 };
    [1, second, count]
        .into_iter()
        .filter(|nth| (1..=count).contains(nth))
        .collect()
}

/// Kills at every point of every scene; `urls` are journals of which each is used by one case at a time, `None` those in the case's folder.
pub(crate) async fn kill_everywhere<J: Journals>(
    entry: &'static str,
    urls: Vec<Option<String>>,
    left_out: impl Fn(Scene, &str) -> bool + Send + Sync,
) {
    let free = Arc::new(tokio::sync::Mutex::new(urls.clone()));
    let places = Arc::new(tokio::sync::Semaphore::new(urls.len()));
    let mut met = BTreeSet::new();
    let mut todo = Vec::new();
    let left_out = |scene: Scene, point: &str| {
        let mut own = scene.own_points().iter();
        !own.any(|own| point.starts_with(own)) || left_out(scene, point)
    };
    for scene in SCENES {
        let case = Case::new::<J>(scene, urls[0].clone(), entry).await;
        for (point, count) in case.trace(entry).await {
            met.insert(point.clone());
            if left_out(scene, &point) {
                continue;
            }
            for nth in hits(&point, count) {
                // All three after the first hit, one in turn after the others.
                let turn = AFTERS[todo.len() % AFTERS.len()];
                let afters = AFTERS.into_iter().filter(|after| nth == 1 || *after == turn);
                todo.extend(afters.map(|after| (scene, point.clone(), nth, after)));
            }
        }
    }
    let everywhere_left_out = |point: &str| SCENES.iter().all(|scene| left_out(*scene, point));
    let never: Vec<_> = all_points()
        .filter(|point| !met.contains(*point) && !everywhere_left_out(point))
        .collect();
    assert!(never.is_empty(), "never met: {never:?}");

    let all = todo.len();
    let mut tasks = JoinSet::new();
    for (scene, point, nth, after) in todo {
        let (free, places) = (Arc::clone(&free), Arc::clone(&places));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let url = free.lock().await.pop().unwrap();
            let case = Case::new::<J>(scene, url.clone(), entry).await;
            let end = case.kill(entry, &point, nth).await;
            // Tasks of a run take turns: which of them comes last may differ from the trace.
            assert!(
                end == End::Killed || nth > 2,
                "{scene:?}: {point} was not met {nth} times"
            );
            let what = format!("{scene:?} killed at {point}, hit {nth}, then {after:?}");
            let recovered = tokio::spawn(async move { case.recover::<J>(after).await });
            if let Err(error) = recovered.await {
                eprintln!("NOT RECOVERED: {what}");
                std::panic::resume_unwind(error.into_panic());
            }
            free.lock().await.push(url);
            (point, end)
        });
    }
    let (mut killed, mut recovered) = (BTreeMap::<String, usize>::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (point, end) = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        if end == End::Killed {
            *killed.entry(point).or_default() += 1;
            recovered += 1;
        }
    }
    let (points, listed) = (killed.len(), all_points().count());
    let elsewhere = all_points().filter(|point| everywhere_left_out(point)).count();
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(
        std::io::stderr(),
        "{recovered} of {all} kills recovered, {points} of {listed} points killed at, {elsewhere} left to another matrix"
    );
    assert_eq!(points + elsewhere, listed);
    assert!(
        recovered * 100 >= all * 98,
        "only {recovered} of {all} were killed"
    );
    let tried: BTreeSet<_> = killed.into_keys().collect();
    let missed: Vec<_> = met
        .iter()
        .filter(|point| !everywhere_left_out(point) && !tried.contains(point.as_str()))
        .collect();
    assert!(missed.is_empty(), "never killed at: {missed:?}");
}
