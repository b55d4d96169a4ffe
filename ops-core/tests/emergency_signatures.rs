//! Which runs have used which approvals: whoever acted or may have acted, nobody who gave way.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::emergency::{ApprovalPolicy, Approved, Plan, Refusal};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Approval, OutcomeStatus, RunId, TargetId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use support_emergency::{CutJournal, Meddled, Moment, SharedJournal, Verb, World, alice, settle_tasks};

/// A stopped world, and what Bob and Carol signed of its restore.
async fn signed(world: &World) -> (RunId, [Approval; 2]) {
    let stopped = world.stop().await.run;
    let plan = world
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    let now = world.clock.time();
    let signed = ["bob", "carol"].map(|name| world.people.sign(name, &plan, now));
    (stopped, signed)
}

/// The world is the same, so the digest is, and the signatures fit.
async fn plan_with(world: &World, stopped: &RunId, signed: &[Approval]) -> Plan<Approved> {
    let plan = world
        .engine
        .plan_restore(stopped, &world.procedure())
        .await
        .unwrap();
    let (approvers, now) = (world.people.approvers(), world.clock.time());
    plan.approve(signed, &approvers, alice(), now).unwrap()
}

/// A restore with these approvals that died when it was announced.
async fn dies_announced(world: &World, stopped: &RunId, signed: &[Approval]) -> RunId {
    let cut = Arc::new(CutJournal::new(
        Arc::clone(&world.journal),
        1,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let plan = plan_with(&dying, stopped, signed).await;
    let dead = plan.run().clone();
    tokio::select! {
        biased;
        () = cut.died() => {}
        ended = dying.engine.execute(plan) => panic!("it dies before: {ended:?}"),
    }
    settle_tasks().await;
    dead
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_died_right_after_it_was_announced_has_used_its_approvals() {
    let world = World::of(1);
    let (stopped, signed) = signed(&world).await;
    let dead = dies_announced(&world, &stopped, &signed).await;

    let refused = world
        .engine
        .execute(plan_with(&world, &stopped, &signed).await)
        .await;
    assert!(
        matches!(&refused, Err(Refusal::Replayed { by }) if *by == dead),
        "{refused:?}"
    );
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn two_restores_that_gave_way_to_each_other_have_used_no_approvals() {
    let shared: Arc<dyn Journal> = Arc::new(SharedJournal::new());
    let journal = Meddled::over(&shared);
    let world = World::over(journal.clone(), 1);
    let before = world.bytes();
    let (stopped, signed) = signed(&world).await;
    let first = plan_with(&world, &stopped, &signed).await;
    let second = plan_with(&world, &stopped, &signed).await;
    // Both ask before the other is announced, and again after it is.
    journal.slow_down(Verb::Append, Duration::from_millis(500));
    journal.slow_down(Verb::Runs, Duration::from_millis(500));
    let (first, second) = tokio::join!(world.engine.execute(first), world.engine.execute(second));
    for lost in [first, second] {
        assert!(matches!(lost, Err(Refusal::Replayed { .. })), "{lost:?}");
    }
    assert!(world.all_stopped());

    let third = plan_with(&world, &stopped, &signed).await;
    let restored = world.engine.execute(third).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

/// A journal in which the entries of one run cannot be read.
#[derive(Debug, Default)]
struct Unread {
    inner: SharedJournal,
    run: Mutex<Option<(RunId, ErrorKind)>>,
}

#[async_trait]
impl Journal for Unread {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.inner.append(entry).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let unread = self.run.lock().unwrap().clone();
        match unread.filter(|(unread, _)| unread == run) {
            Some((_, kind)) => Err(Error::new(kind, "read a run").provider("test")),
            None => self.inner.entries(run).await,
        }
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.inner.runs().await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.inner.hold(wanted).await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.inner.held().await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.inner.release(run, target).await
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_run_that_may_have_used_the_approvals_and_may_yet_tell_keeps_a_restore_waiting() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    // They are valid for ten minutes, and no approval for more than thirty; clocks may differ by an hour.
    for (age, kind, waits) in [
        (minutes(0), ErrorKind::Unavailable, true),
        (minutes(20 + 55), ErrorKind::Unavailable, true),
        (minutes(20 + 65), ErrorKind::Unavailable, false),
        // A damaged file will not tell tomorrow either.
        (minutes(0), ErrorKind::Unexpected, false),
    ] {
        let what = format!("{kind:?}, {age:?} old");
        let journal = Arc::new(Unread::default());
        let world = World::over(journal.clone(), 1);
        // As another process would have made it then: one of this process comes after all others of it.
        let millis = (world.clock.time() - age).as_unix_micros() / 1_000;
        let other = RunId::new(format!("run_{millis:012x}{}", "7".repeat(20))).unwrap();
        let ended = JournalEvent::Ended {
            status: OutcomeStatus::Verified,
        };
        let entry = JournalEntry::new(other.clone(), world.clock.time(), ended);
        journal.append(&entry).await.unwrap();
        *journal.run.lock().unwrap() = Some((other, kind));
        let (stopped, signed) = signed(&world).await;
        let restored = world
            .engine
            .execute(plan_with(&world, &stopped, &signed).await)
            .await;
        match restored {
            Err(Refusal::Undecided(_)) => assert!(waits && world.all_stopped(), "{what}"),
            restored => {
                let status = restored.unwrap().status;
                assert!(!waits && status == OutcomeStatus::Verified, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_asks_for_two_seconds_who_has_used_its_approvals_and_closes() {
    let shared: Arc<dyn Journal> = Arc::new(SharedJournal::new());
    let journal = Meddled::over(&shared);
    let world = World::over(journal.clone(), 1);
    for run in 0..10 {
        let run = RunId::new(format!("run_{run}")).unwrap();
        let status = OutcomeStatus::Verified;
        let entry = JournalEntry::new(run, world.clock.time(), JournalEvent::Ended { status });
        world.journal.append(&entry).await.unwrap();
    }
    let procedure = world.procedure().with_stop_approval(ApprovalPolicy::of(1));
    let plan = world.engine.plan_stop(&procedure).await;
    let now = world.clock.time();
    let signed = [world.people.sign("bob", &plan, now)];
    let plan = plan
        .approve(&signed, &world.people.approvers(), alice(), now)
        .unwrap();
    journal.slow_down(Verb::Entries, Duration::from_secs(1));
    let effect = async {
        world.targets[0].effects(2).await;
        world.clock.time().saturating_since(now)
    };
    let (outcome, effect) = tokio::join!(world.engine.execute(plan), effect);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(effect < Duration::from_secs(3), "{effect:?}");
    assert!(
        outcome.approval.contains("could not tell"),
        "{}",
        outcome.approval
    );
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_not_taken_up_while_it_cannot_be_told_who_else_has_used_its_approvals() {
    let journal = Arc::new(Unread::default());
    let world = World::over(journal.clone(), 1);
    let (stopped, signed) = signed(&world).await;
    let dead = dies_announced(&world, &stopped, &signed).await;
    // Another process announced the same at the same moment, and went on.
    let now = world.clock.time();
    let millis = now.as_unix_micros() / 1_000;
    let other = RunId::new(format!("run_{millis:012x}{}", "0".repeat(20))).unwrap();
    let begun = world.engine.entries(&dead).await.unwrap().remove(0).event;
    let intent = JournalEvent::Intent {
        step: 0,
        target: world.targets[0].id().clone(),
        timeout: None,
        automated: false,
    };
    for event in [begun, intent] {
        let entry = JournalEntry::new(other.clone(), now, event);
        journal.append(&entry).await.unwrap();
    }
    *journal.run.lock().unwrap() = Some((other.clone(), ErrorKind::Unavailable));
    let refused = world.engine.resume(&dead, &world.procedure(), &alice()).await;
    assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    assert!(world.all_stopped());
    *journal.run.lock().unwrap() = None;
    let refused = world.engine.resume(&dead, &world.procedure(), &alice()).await;
    assert!(
        matches!(&refused, Err(Refusal::Replayed { by }) if *by == other),
        "{refused:?}"
    );
}
