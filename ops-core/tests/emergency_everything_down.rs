//! A stop needs nothing: whatever of journal, spool, audit store, audit spool, notifier and switch store is up, the effect comes, within
//! its budgets, and the outcome names each part that was missing.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::SwitchOff;
use ops_core::audit::Spool;
use ops_core::emergency::{Contact, Engine, Procedure, Step};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::memory::{InMemoryAudit, InMemoryJournal, InMemoryNotifier, InMemorySwitches};
use ops_core::model::{Accepted, AuditRecord, Notice, OutcomeStatus, RunId, TargetId, TenantId, Verdict};
use ops_core::pipeline::Report;
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, Held,
    Journal, JournalEntry, Notifier, SwitchLink, SwitchState, SwitchStore, SwitchedOff, TrailEntry,
};
use ops_core::{Ops, Providers};
use support_emergency::{Stop, Target, VirtualClock, alice, quick};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Up,
    Fails,
    Hangs,
    Panics,
}

impl Health {
    const ALL: [Self; 4] = [Self::Up, Self::Fails, Self::Hangs, Self::Panics];

    async fn meet(self) -> Result<()> {
        match self {
            Self::Up => Ok(()),
            Self::Fails => Err(Error::new(ErrorKind::Unavailable, "call").provider("test")),
            Self::Hangs => pending().await,
            Self::Panics => panic!("a part of the test panics, as it should"),
        }
    }

    fn up(self) -> bool {
        self == Self::Up
    }
}

/// A part that may be down, in front of one that works.
#[derive(Debug)]
struct Part<T>(Health, T);

#[async_trait]
impl Journal for Part<InMemoryJournal> {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.0.meet().await?;
        self.1.append(entry).await
    }
    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        self.0.meet().await?;
        self.1.entries(run).await
    }
    async fn runs(&self) -> Result<Vec<RunId>> {
        self.0.meet().await?;
        self.1.runs().await
    }
    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.0.meet().await?;
        self.1.hold(wanted).await
    }
    async fn held(&self) -> Result<Vec<Held>> {
        self.0.meet().await?;
        self.1.held().await
    }
    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.0.meet().await?;
        self.1.release(run, target).await
    }
}

#[async_trait]
impl AuditStore for Part<InMemoryAudit> {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.0.meet().await?;
        self.1.append(record).await
    }
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.0.meet().await?;
        self.1.append_all(entries).await
    }
    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.1.head(tenant).await
    }
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.1.search(tenant, query).await
    }
    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        AuditStore::chain(&self.1, tenant, after, limit).await
    }
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.1.verify(tenant).await
    }
}

#[async_trait]
impl Notifier for Part<InMemoryNotifier> {
    async fn send(&self, notice: &Notice) -> Result<Accepted> {
        self.0.meet().await?;
        self.1.send(notice).await
    }
}

#[async_trait]
impl SwitchStore for Part<InMemorySwitches> {
    async fn read(&self) -> Result<SwitchState> {
        self.0.meet().await?;
        self.1.read().await
    }
    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        self.0.meet().await?;
        self.1.write(expected, stopped).await
    }
}

/// What is up.
#[derive(Clone, Copy, Debug)]
struct Parts {
    journal: Health,
    spool: Health,
    audit: Health,
    audit_spool: bool,
    notifier: Health,
    switches: Health,
}

struct Stopped {
    report: Report,
    took: Duration,
    targets: Vec<Arc<Target>>,
    switch: Arc<KillSwitch>,
    spooled: usize,
}

async fn stop(parts: Parts, broken_spool: &std::path::Path, switch: Arc<KillSwitch>) -> Stopped {
    let clock = Arc::new(VirtualClock::new());
    // A spool whose folder has gone: its disk was taken away.
    let folder = tempfile::tempdir().unwrap();
    let spool = match parts.audit_spool {
        true => Spool::open(folder.path()).unwrap(),
        false => Spool::open(broken_spool).unwrap(),
    };
    let switches: Arc<dyn SwitchStore> = Arc::new(Part(parts.switches, InMemorySwitches::new()));
    let providers = Providers {
        journal: Arc::new(Part(parts.journal, InMemoryJournal::new())),
        journal_spool: Some(Arc::new(Part(parts.spool, InMemoryJournal::new()))),
        audit: Arc::new(Part(parts.audit, InMemoryAudit::new())),
        audit_spool: Some(spool.clone()),
        notifier: Arc::new(Part(parts.notifier, InMemoryNotifier::new())),
        switches: Arc::clone(&switches),
        clock: clock.clone(),
        ..Providers::in_memory()
    };
    if !parts.audit_spool {
        let _ = std::fs::remove_dir_all(broken_spool);
        std::fs::write(broken_spool, "no folder").unwrap();
    }
    let targets: Vec<_> = (0..2).map(Target::numbered).collect();
    let off = SwitchOff::new(switches, clock, alice(), "llm-brain").unwrap();
    let off = off.with_local(Arc::clone(&switch)).unwrap();
    let mut steps = vec![quick(Step::new(Arc::new(off)))];
    steps.extend(targets.iter().map(|target| quick(Step::new(Stop::of(target)))));
    let procedure = Procedure::new("stop-all", steps).unwrap();
    let procedure = procedure.with_contact(Contact::new("#emergency"));
    let began = Instant::now();
    let ops = Ops::new(providers, TenantId::new("org_down").unwrap());
    let report = ops.stop(&procedure, alice()).await.unwrap();
    let took = began.elapsed();
    let spooled = spool.pending().await.map_or(0, |pending| pending.len());
    if !parts.audit_spool {
        std::fs::remove_file(broken_spool).unwrap();
    }
    Stopped {
        report,
        took,
        targets,
        switch,
        spooled,
    }
}

fn check(parts: Parts, stopped: &Stopped) {
    let Stopped {
        report,
        took,
        targets,
        switch,
        spooled,
    } = stopped;
    let outcome = &report.outcome;
    // The effect, whatever else: the targets, and the bit of this process.
    assert!(targets.iter().all(|target| target.is_stopped()), "{parts:?}");
    let feature = switch.feature("llm-brain").unwrap();
    assert!(!switch.allows(feature), "{parts:?}");
    for step in &outcome.steps[1..] {
        assert_eq!(step.verdict, Verdict::Holds, "{parts:?}: {step:?}");
    }
    // Plan 2 + 2 s, journal and spool 2 s each, one step 3 + 2 + 2 s, records 3 s and notices 5 s, each once.
    assert!(*took < Duration::from_secs(25), "{parts:?}: {took:?}");

    // Each missing part has a name in the report.
    assert_eq!(
        outcome.steps[0].verdict.holds(),
        parts.switches.up(),
        "{parts:?}: {:?}",
        outcome.steps[0]
    );
    let expected = match parts.switches.up() {
        true => OutcomeStatus::Verified,
        false => OutcomeStatus::Partial,
    };
    assert_eq!(outcome.status, expected, "{parts:?}");
    assert_eq!(
        outcome.journalled,
        parts.journal.up() && parts.switches != Health::Panics,
        "{parts:?}"
    );
    let kept = parts.journal.up() || parts.spool.up();
    for step in &outcome.steps[1..] {
        assert_eq!(
            step.journalled, kept,
            "{parts:?}: without it, the report is the only copy"
        );
    }
    assert_eq!(outcome.audited, parts.audit.up(), "{parts:?}");
    let unrecorded = &report.unrecorded;
    match (parts.audit, parts.audit_spool) {
        (Health::Up, _) => assert!(unrecorded.is_empty() && *spooled == 0),
        (_, true) => {
            assert_eq!((unrecorded.len(), *spooled), (3, 3), "{parts:?}: {unrecorded:?}");
            assert!(
                unrecorded.iter().all(|line| line.contains("in the spool")),
                "{unrecorded:?}"
            );
        }
        (_, false) => {
            assert_eq!((unrecorded.len(), *spooled), (3, 0), "{parts:?}: {unrecorded:?}");
            assert!(
                unrecorded.iter().all(|line| line.contains("not recorded")),
                "{unrecorded:?}"
            );
        }
    }
    assert_eq!(report.notices.len(), 1);
    assert_eq!(
        report.notices[0].error.is_none(),
        parts.notifier.up(),
        "{parts:?}: {:?}",
        report.notices
    );
}

/// All 4^5 ways in which the five parts behind a port can be, with the audit spool there and gone.
#[test]
fn whatever_is_down_the_stop_takes_effect_in_time_and_names_what_was_missing() {
    // Three of four worlds have a part that panics on purpose.
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        if !text.contains("as it should") {
            eprintln!("{text}");
        }
    }));
    let folder = tempfile::tempdir().unwrap();
    let mut worlds = 0;
    for code in 0..4_usize.pow(5) * 2 {
        let health = |place: u32| Health::ALL[code / 2 / 4_usize.pow(place) % 4];
        let parts = Parts {
            journal: health(0),
            spool: health(1),
            audit: health(2),
            notifier: health(3),
            switches: health(4),
            audit_spool: code % 2 == 0,
        };
        let switch = Arc::new(KillSwitch::new(["llm-brain"]).unwrap());
        let stopped = paused().block_on(stop(parts, &folder.path().join("spool"), switch));
        check(parts, &stopped);
        worlds += 1;
    }
    let _ = std::panic::take_hook();
    assert_eq!(worlds, 2_048);
}

fn paused() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Hangs, and says that it was asked.
#[derive(Debug)]
struct Asked(mpsc::Sender<()>);

#[async_trait]
impl SwitchStore for Asked {
    async fn read(&self) -> Result<SwitchState> {
        let _ = self.0.send(());
        pending().await
    }
    async fn write(&self, _: u64, _: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        pending().await
    }
}

/// With its switch store, journal, spool, audit store and notifier hung, and the audit spool gone.
#[test]
fn a_plain_thread_stops_this_process_while_every_worker_of_the_runtime_is_blocked() {
    const WORKERS: usize = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .unwrap();
    let switch = Arc::new(KillSwitch::new(["llm-brain"]).unwrap());
    let feature = switch.feature("llm-brain").unwrap();
    let (asks, asked) = mpsc::channel();
    let refresher = SwitchRefresher::start(Arc::clone(&switch), RefreshOptions::new("chat"), move || {
        let store = Arc::new(Asked(asks.clone()));
        async move { Ok(SwitchLink::new(store)) }
    });
    asked
        .recv_timeout(Duration::from_secs(60))
        .expect("the refresher waits for its store");
    let (blocked, free) = (
        Arc::new(Barrier::new(WORKERS + 1)),
        Arc::new(Barrier::new(WORKERS + 1)),
    );
    let (answers, seen) = mpsc::channel();
    for _ in 0..WORKERS {
        let (blocked, free, switch, answers) = (
            Arc::clone(&blocked),
            Arc::clone(&free),
            Arc::clone(&switch),
            answers.clone(),
        );
        runtime.spawn(async move {
            blocked.wait();
            // Work that never yields, and asks the switch as a request does.
            while switch.allows(feature) {
                std::hint::spin_loop();
            }
            answers.send(()).unwrap();
            free.wait();
        });
    }
    blocked.wait();
    // No worker polls anything now: a task that is spawned does not begin.
    let begun = runtime.spawn(async {});
    let hung = Parts {
        journal: Health::Hangs,
        spool: Health::Hangs,
        audit: Health::Hangs,
        audit_spool: false,
        notifier: Health::Hangs,
        switches: Health::Hangs,
    };
    let (stopping, folder) = (Arc::clone(&switch), tempfile::tempdir().unwrap());
    let spool = folder.path().join("spool");
    let stopped = std::thread::spawn(move || paused().block_on(stop(hung, &spool, stopping)));
    for _ in 0..WORKERS {
        seen.recv_timeout(Duration::from_secs(60))
            .expect("blocked workers see the stop without being polled");
    }
    check(hung, &stopped.join().unwrap());
    assert!(!begun.is_finished(), "every worker was blocked all the time");
    free.wait();
    runtime.block_on(begun).unwrap();
    let contact = refresher.unwrap().health().since_contact;
    assert_eq!(contact, None, "the store has never answered");
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_spool_whose_journal_panics_stops_all_the_same() {
    let clock = Arc::new(VirtualClock::new());
    let engine = Engine::new(
        Arc::new(Part(Health::Panics, InMemoryJournal::new())),
        clock.clone(),
    );
    let target = Target::numbered(0);
    let procedure = Procedure::new("stop-all", vec![Step::new(Stop::of(&target))]).unwrap();
    let plan = engine.plan_stop(&procedure).await;
    let plan = plan
        .approve(&[], &Default::default(), alice(), clock.time())
        .unwrap();
    let outcome = engine.execute(plan).await.unwrap();
    assert!(target.is_stopped() && !outcome.journalled && !outcome.steps[0].journalled);
    assert_eq!(outcome.status, OutcomeStatus::Verified);
}
