//! The journal cannot be read, and the spool has something: what only the journal knows is not known.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{ApprovalPolicy, Refusal};
use ops_core::error::ErrorKind;
use ops_core::model::{GateResult, OutcomeStatus, RunId, Verdict};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use support_emergency::{
    Failure, Fault, FaultyJournal, HOLD, Meddled, SharedJournal, Verb, World, alice, gate, settle_tasks, well,
};

/// A machine whose journal can fail, with a spool in which an older run has left something.
async fn machine(count: usize) -> (World, Arc<FaultyJournal>) {
    let (shared, spool) = (Arc::new(SharedJournal::new()), Arc::new(SharedJournal::new()));
    let journal = Arc::new(FaultyJournal::broken_for(shared, Failure::Fails, 0..0));
    let world = World::over(journal.clone(), count).with_spool(spool.clone());
    let old = RunId::new("run_00000000000000000000000000000001").unwrap();
    let ended = JournalEvent::Ended {
        status: OutcomeStatus::Verified,
    };
    spool
        .append(&JournalEntry::new(old, world.clock.time(), ended))
        .await
        .unwrap();
    (world, journal)
}

#[tokio::test(start_paused = true)]
async fn a_gate_sees_nothing_good_while_only_the_spool_can_be_read() {
    let (world, journal) = machine(2).await;
    let health = well();
    let stopped = world.stop().await.run;
    let procedure = world.procedure_with(|at, step| step.opening(at as u32));
    let procedure = procedure.with_gate(gate(0, &health)).unwrap();
    let repaired = Duration::from_secs(150);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        journal.break_now();
        // What the gate notes now is in the spool, which then has entries of this very run.
        tokio::time::sleep(Duration::from_secs(5)).await;
        health.set(Verdict::not_yet("overloaded"));
        tokio::time::sleep(Duration::from_secs(7)).await;
        health.set(Verdict::Holds);
        tokio::time::sleep(repaired - Duration::from_secs(22)).await;
        journal.repair();
    });
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(outcome.gates[0].result, GateResult::Passed, "{outcome:#?}");
    let waited = outcome.gates[0].waited;
    assert!(waited >= repaired + HOLD - Duration::from_secs(6), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_sees_nothing_good_while_newer_runs_cannot_be_listed() {
    // The entries of the restore can be read, the list of runs cannot: a newer stop would not be seen.
    let journal = Arc::new(NoLists::default());
    let (world, health) = (World::over(journal.clone(), 2), well());
    let stopped = world.stop().await.run;
    let procedure = world.procedure_with(|at, step| step.opening(at as u32));
    let procedure = procedure.with_gate(gate(0, &health)).unwrap();
    let repaired = Duration::from_secs(90);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        journal.hidden.store(true, std::sync::atomic::Ordering::SeqCst);
        tokio::time::sleep(repaired - Duration::from_secs(10)).await;
        journal.hidden.store(false, std::sync::atomic::Ordering::SeqCst);
    });
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    let waited = outcome.gates[0].waited;
    assert!(waited >= repaired + HOLD - Duration::from_secs(6), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn approvals_are_vouched_for_by_the_journal_and_not_by_what_the_spool_happens_to_have() {
    let (world, journal) = machine(1).await;
    let stopped = world.stop().await.run;
    let plan = world
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    journal.break_now();
    let refused = world.engine.execute(plan).await.unwrap_err();
    assert!(matches!(refused, Refusal::Undecided(_)), "{refused}");
    settle_tasks().await;
    assert!(world.all_stopped());

    journal.repair();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);

    // Closing is unilateral, and says what it could not know.
    let procedure = world.procedure().with_stop_approval(ApprovalPolicy::of(1));
    let plan = world.engine.plan_stop(&procedure).await;
    let signed = [world.people.sign("bob", &plan, world.clock.time())];
    let plan = plan
        .approve(&signed, &world.people.approvers(), alice(), world.clock.time())
        .unwrap();
    journal.break_now();
    let outcome = world.engine.execute(plan).await.unwrap();
    assert!(world.all_stopped());
    assert!(
        outcome.approval.contains("could not tell"),
        "{}",
        outcome.approval
    );
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_needs_nobody_goes_by_the_spool_as_long_as_the_journal_is_away() {
    let (world, journal) = machine(2).await;
    journal.break_now();
    let procedure = world.procedure().with_restore_approval(ApprovalPolicy::of(0));
    let before = world.bytes();
    let stopped = world.stop_by(&procedure).await;
    assert!(!stopped.journalled);
    let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_not_taken_up_while_only_the_spool_can_be_read() {
    let (world, journal) = machine(2).await;
    let procedure = world.procedure_with(|at, step| step.opening(at as u32));
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    // Its later entries are in the spool, its beginning is not.
    world.targets[1].next_restore(Fault::Hang);
    tokio::spawn({
        let journal = journal.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            journal.break_now();
        }
    });
    tokio::select! {
        _ = world.engine.execute(plan) => panic!("it dies before"),
        () = tokio::time::sleep(Duration::from_secs(40)) => {}
    }
    let refused = world.engine.resume(&run, &procedure, &alice()).await.unwrap_err();
    assert!(matches!(refused, Refusal::Undecided(_)), "{refused}");
    journal.repair();
    let resumed = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified, "{resumed:#?}");
}

/// A journal whose list of runs cannot be read for a while.
#[derive(Debug, Default)]
struct NoLists {
    inner: SharedJournal,
    hidden: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Journal for NoLists {
    async fn append(&self, entry: &JournalEntry) -> ops_core::error::Result<()> {
        self.inner.append(entry).await
    }

    async fn entries(&self, run: &RunId) -> ops_core::error::Result<Vec<JournalEntry>> {
        self.inner.entries(run).await
    }

    async fn runs(&self) -> ops_core::error::Result<Vec<RunId>> {
        if self.hidden.load(std::sync::atomic::Ordering::SeqCst) {
            let kind = ops_core::error::ErrorKind::Unavailable;
            return Err(ops_core::error::Error::new(kind, "list runs").provider("test"));
        }
        self.inner.runs().await
    }

    async fn hold(&self, wanted: &ops_core::ports::Held) -> ops_core::error::Result<ops_core::ports::Held> {
        self.inner.hold(wanted).await
    }

    async fn held(&self) -> ops_core::error::Result<Vec<ops_core::ports::Held>> {
        self.inner.held().await
    }

    async fn release(&self, run: &RunId, target: &ops_core::model::TargetId) -> ops_core::error::Result<()> {
        self.inner.release(run, target).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_not_planned_by_hand_because_the_journal_does_not_tell_what_is_held() {
    let world = World::of(2);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Held]);
    let machine = world.machine(view);
    let refused = machine.engine.plan_restore(&stopped, &world.procedure()).await;
    assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_called_unknown_while_the_journal_cannot_be_read() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let dead = Arc::new(FaultyJournal::dead(Failure::Fails));
    let machine = world.machine(dead).with_spool(Arc::new(SharedJournal::new()));
    let refused = machine.engine.plan_restore(&stopped, &world.procedure()).await;
    assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    // A spool that has nothing is no answer.
    assert!(machine.engine.runs().await.is_err());
    assert!(machine.engine.held().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_gate_sees_nothing_good_while_the_journal_does_not_tell_who_stopped_since() {
    let (world, _) = machine(1).await;
    let spool = Arc::new(SharedJournal::new());
    let left = Held::new(
        RunId::generate(world.clock.time()),
        world.clock.time(),
        world.targets[0].snapshot(),
    );
    let ended = JournalEvent::Ended {
        status: OutcomeStatus::Verified,
    };
    let ended = JournalEntry::new(left.run, world.clock.time(), ended);
    spool.append(&ended).await.unwrap();
    let view = Meddled::over(&world.journal);
    let world = world.machine(view.clone()).with_spool(spool);
    let procedure = world.procedure().with_gate(gate(0, &well())).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let repaired = Duration::from_secs(150);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        view.break_only(&[Verb::Runs]);
        tokio::time::sleep(repaired - Duration::from_secs(10)).await;
        view.break_only(&[]);
    });
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(outcome.gates[0].result, GateResult::Passed, "{outcome:#?}");
    let waited = outcome.gates[0].waited;
    assert!(waited >= repaired + HOLD - Duration::from_secs(6), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_read_is_not_confirmed_and_the_error_is_said() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let restored = world.restore(&stopped).await.unwrap().run;
    world.targets[0].every_observe(Fault::Fail(ErrorKind::PermissionDenied));
    let confirmed = world.engine.confirm(&restored, &world.procedure()).await.unwrap();
    assert_eq!(confirmed[0].verdict.name(), "unknown");
    let said = confirmed[0].verdict.reason().unwrap();
    assert!(said.contains("permission denied"), "{said}");
}
