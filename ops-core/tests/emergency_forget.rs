//! A prior state that nobody will put back is given up by two others at least, with a reason, and never under a run that may go on.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::collections::BTreeSet;
use std::time::Duration;

use ops_core::emergency::{ApprovalPolicy, Forgetting, Procedure, Refusal, Step};
use ops_core::memory::InMemoryApprovals;
use ops_core::model::{Actor, Approval, OutcomeStatus, RunId, TargetId};
use ops_core::ports::{ApprovalStore, JournalEntry, JournalEvent};
use support_emergency::{Fault, Meddled, Stop, Verb, World, alice};

/// What Bob and Carol have signed that a run may forget of one target.
async fn forgetting(world: &World, run: &RunId, number: usize) -> (Forgetting, Vec<Approval>) {
    let target = BTreeSet::from([world.targets[number].id().clone()]);
    let plan = world
        .engine
        .plan_forget(run, &target, "the service was deleted")
        .await
        .unwrap();
    let until = world.clock.time() + Duration::from_secs(600);
    let approvals =
        ["bob", "carol"].map(|name| Approval::sign(name, plan.digest(), until, world.people.key(name)));
    (plan, approvals.to_vec())
}

#[tokio::test(start_paused = true)]
async fn what_nobody_will_put_back_is_forgotten_and_the_rest_is_restored() {
    let world = World::of(3);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let (plan, approvals) = forgetting(&world, &stopped, 1).await;
    let approvers = world.people.approvers();
    let forgotten = world
        .engine
        .forget(&plan, &approvals, &approvers, &alice())
        .await
        .unwrap();
    assert_eq!(forgotten.targets, [world.targets[1].id().clone()]);
    assert_eq!(
        (forgotten.persons.as_slice(), forgotten.still_held.len()),
        (&["bob".to_owned(), "carol".to_owned()][..], 0)
    );
    let left = world.targets[1].bytes();
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(
        (restored.status, restored.steps.len()),
        (OutcomeStatus::Verified, 2)
    );
    assert_eq!(
        world.bytes(),
        [before[0].clone(), left, before[2].clone()],
        "it is left as it is"
    );
    // The next stop holds what it sees then.
    world.targets[1].set("mode", "manual".into());
    let before = world.bytes();
    let again = world.stop().await.run;
    assert_eq!(
        world.restore(&again).await.unwrap().status,
        OutcomeStatus::Verified
    );
    assert_eq!(world.bytes(), before);
    match world
        .engine
        .plan_forget(&stopped, &BTreeSet::new(), "again")
        .await
        .unwrap_err()
    {
        Refusal::NothingHeld { .. } => {}
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_without_two_others_and_a_reason() {
    let world = World::of(2);
    let stopped = world.stop().await.run;
    let (plan, approvals) = forgetting(&world, &stopped, 0).await;
    let (other_plan, other) = forgetting(&world, &stopped, 1).await;
    let approvers = world.people.approvers();
    let engine = &world.engine;
    let bob = Actor::person("bob").unwrap();
    let automation = Actor::automation("watchdog").unwrap();
    for (approvals, actor) in [
        (&approvals[..1], &alice()),
        (&other[..], &alice()),
        (&approvals[..], &bob),
        (&approvals[..], &automation),
    ] {
        let refused = engine
            .forget(&plan, approvals, &approvers, actor)
            .await
            .unwrap_err();
        assert!(matches!(refused, Refusal::NotApproved { .. }), "{refused}");
    }
    // It was forgotten meanwhile: what was signed is not there any more.
    engine
        .forget(&other_plan, &other, &approvers, &alice())
        .await
        .unwrap();
    let gone = engine
        .forget(&other_plan, &other, &approvers, &alice())
        .await
        .unwrap_err();
    assert!(matches!(gone, Refusal::NothingHeld { .. }), "{gone}");
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Append]);
    let machine = world.machine(view);
    let refused = machine
        .engine
        .forget(&plan, &approvals, &approvers, &alice())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::Undecided(_)), "{refused}");
    assert_eq!(world.held().await.len(), 1, "the other one is held still");
    let empty = engine
        .plan_forget(&stopped, &BTreeSet::new(), "  ")
        .await
        .unwrap_err();
    assert!(empty.to_string().contains("reason"), "{empty}");
    let foreign = BTreeSet::from([TargetId::new("test:t9").unwrap()]);
    let foreign = engine.plan_forget(&stopped, &foreign, "gone").await.unwrap_err();
    assert!(foreign.to_string().contains("test:t9"), "{foreign}");
}

#[tokio::test(start_paused = true)]
async fn signatures_that_another_run_has_used_forget_nothing() {
    let world = World::of(2);
    let stopped = world.stop().await.run;
    let another = world.stop().await.run;
    let (plan, approvals) = forgetting(&world, &stopped, 0).await;
    let used = JournalEvent::Forgotten {
        targets: Vec::new(),
        by: alice(),
        reason: "the service was deleted".to_owned(),
        persons: vec!["carol".to_owned()],
        signatures: vec![approvals[1].fingerprint()],
    };
    let used = JournalEntry::new(another.clone(), world.clock.time(), used);
    world.journal.append(&used).await.unwrap();
    let approvers = world.people.approvers();
    let forget = async || world.engine.forget(&plan, &approvals, &approvers, &alice()).await;
    let refused = forget().await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::Replayed { by } if *by == another),
        "{refused}"
    );
    // Whether they were used cannot be read: giving up can wait.
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Runs]);
    let blind = world.machine(view);
    let refused = blind
        .engine
        .forget(&plan, &approvals, &approvers, &alice())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::Undecided(_)), "{refused}");
    assert_eq!(world.held().await.len(), 2);
    assert_eq!(
        world.restore(&stopped).await.unwrap().status,
        OutcomeStatus::Verified
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_did_not_let_go_is_named_and_forgotten_again_with_the_same_signatures() {
    let world = World::of(2);
    let stopped = world.stop().await.run;
    let (plan, approvals) = forgetting(&world, &stopped, 0).await;
    let approvers = world.people.approvers();
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Release]);
    let clinging = world.machine(view);
    let forgotten = clinging
        .engine
        .forget(&plan, &approvals, &approvers, &alice())
        .await
        .unwrap();
    assert!(forgotten.targets.is_empty(), "{forgotten:?}");
    let still_held: Vec<_> = forgotten.still_held.iter().map(|(target, _)| target).collect();
    assert_eq!(still_held, [world.targets[0].id()]);
    assert_eq!(world.held().await.len(), 2);

    let forgotten = world
        .engine
        .forget(&plan, &approvals, &approvers, &alice())
        .await
        .unwrap();
    assert_eq!(forgotten.targets, [world.targets[0].id().clone()]);
    assert!(forgotten.still_held.is_empty(), "{forgotten:?}");
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(
        (restored.status, restored.steps.len()),
        (OutcomeStatus::Verified, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_of_a_run_that_may_go_on_nor_by_one_person_alone() {
    let world = World::of(2);
    let hanging = async || {
        world.targets[1].next_apply(Fault::Hang);
        tokio::select! {
            ended = world.stop() => panic!("must not end: {ended:?}"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        support_emergency::settle_tasks().await;
        world.held().await.last().unwrap().run.clone()
    };
    let refused = async |run: &RunId| {
        let all = BTreeSet::new();
        let refused = world.engine.plan_forget(run, &all, "gone").await.unwrap_err();
        refused.to_string()
    };
    let run = hanging().await;
    let told = refused(&run).await;
    assert!(told.contains("has not ended"), "{told}");
    let resumed = world.engine.resume(&run, &world.procedure(), &alice()).await;
    assert_eq!(resumed.unwrap().status, OutcomeStatus::Verified);
    let told = refused(&run).await;
    assert!(told.contains("may still take effect"), "{told}");
    let (plan, _) = forgetting(&world, &run, 0).await;
    assert_eq!(plan.steps().len(), 1, "no such call concerns this one");
    tokio::time::advance(Duration::from_secs(600)).await;

    let (plan, approvals) = forgetting(&world, &run, 0).await;
    let plan = plan.with_policy(ApprovalPolicy::of(0));
    let approvers = world.people.approvers();
    let alone = world.engine.forget(&plan, &[], &approvers, &alice()).await;
    let alone = alone.unwrap_err();
    assert!(matches!(alone, Refusal::NotApproved { needed: 1, .. }), "{alone}");
    let by_two = world
        .engine
        .forget(&plan, &approvals[..1], &approvers, &alice())
        .await
        .unwrap();
    assert_eq!(by_two.persons, ["bob"]);
    let recorded = world.journal.entries(&run).await.unwrap();
    let recorded = recorded.iter().find_map(|entry| match &entry.event {
        JournalEvent::Forgotten { signatures, .. } => Some(signatures.clone()),
        _ => None,
    });
    assert_eq!(recorded.unwrap(), [approvals[0].fingerprint()]);

    // Its procedure may be gone, so that nobody can resume it.
    let restored = world.restore(&run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    let dead = hanging().await;
    assert!(refused(&dead).await.contains("has not ended"));
    tokio::time::advance(Duration::from_secs(25 * 3600)).await;
    let (plan, approvals) = forgetting(&world, &dead, 1).await;
    let forgotten = world.engine.forget(&plan, &approvals, &approvers, &alice()).await;
    assert_eq!(forgotten.unwrap().targets.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_counts_as_dead_a_day_after_its_last_entry_and_not_before() {
    let world = World::of(1);
    world.targets[0].next_apply(Fault::Hang);
    let died = tokio::time::timeout(Duration::from_secs(1), world.stop()).await;
    assert!(died.is_err());
    support_emergency::settle_tasks().await;
    let run = world.held().await.remove(0).run;
    let entries = world.journal.entries(&run).await.unwrap();
    let last = entries.iter().map(|entry| entry.at).max().unwrap();
    let tick = Duration::from_millis(1);
    let day = Duration::from_secs(24 * 3600);
    tokio::time::advance((last + day).saturating_since(world.clock.time()) - tick).await;
    let all = BTreeSet::new();
    let refused = world.engine.plan_forget(&run, &all, "gone").await.unwrap_err();
    assert!(refused.to_string().contains("has not ended"), "{refused}");
    tokio::time::advance(tick).await;
    let plan = world.engine.plan_forget(&run, &all, "gone").await.unwrap();
    assert_eq!(plan.steps().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn others_are_asked_to_forget_for_as_long_as_their_approval_counts() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let (plan, _) = forgetting(&world, &stopped, 0).await;
    let (store, now) = (InMemoryApprovals::new(), world.clock.time());
    store.request(&plan.request(alice(), now)).await.unwrap();
    let until = now + plan.policy().valid_for;
    let asked = store.open(until - Duration::from_secs(1)).await.unwrap();
    assert_eq!((asked.len(), asked[0].digest), (1, plan.digest()));
    assert!(asked[0].is_genuine());
    assert!(store.open(until).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_holds_instead_is_named_and_a_call_on_a_foreign_target_keeps_nobody_from_forgetting() {
    let world = World::of(2);
    let of_one = |at: usize| {
        let steps = vec![Step::new(Stop::of(&world.targets[at]))];
        Procedure::new("stop-one", steps).unwrap()
    };
    let first = world.stop_by(&of_one(0)).await.run;
    let second = world.stop_by(&of_one(0)).await.run;
    let all = BTreeSet::new();
    let refused = world.engine.plan_forget(&second, &all, "gone").await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::NothingHeld { held_by, .. } if *held_by == [first.clone()]),
        "{refused}"
    );
    world.targets[1].next_apply(Fault::Hang);
    let died = tokio::time::timeout(Duration::from_secs(1), world.stop_by(&of_one(1))).await;
    assert!(died.is_err());
    support_emergency::settle_tasks().await;
    let plan = world.engine.plan_forget(&first, &all, "gone").await.unwrap();
    assert_eq!(plan.steps().len(), 1);
}
