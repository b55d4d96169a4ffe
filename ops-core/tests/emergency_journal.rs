//! The prior state is durable before the first effect, the first writer wins, and a stop needs no journal.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{ApprovalPolicy, Approvers, Refusal};
use ops_core::model::{OutcomeStatus, Prior, RunId};
use ops_core::ports::{Journal, JournalEvent};
use serde_json::json;
use support_emergency::{
    Failure, Fault, FaultyJournal, Log, Meddled, SharedJournal, Target, Verb, World, alice, report_of,
};
use tokio::time::Instant;

const BOTH: [Failure; 2] = [Failure::Hangs, Failure::Fails];

#[tokio::test(start_paused = true)]
async fn the_prior_state_and_the_intent_are_written_before_the_first_effect() {
    let log = Log::default();
    let targets: Vec<_> = (0..4).map(|number| Target::logged(number, &log)).collect();
    let world = World::with(Arc::new(SharedJournal::logged(&log)), targets);
    let outcome = world.stop().await;
    for target in &world.targets {
        let id = target.id();
        let order = ["hold", "intent", "begun", "stopped", "applied", "verified"];
        let order = order.map(|what| log.position(&format!("{what} {id}")));
        assert!(order.is_sorted(), "{id}: {:#?}", log.lines());
        assert!(log.position("started") < order[0]);
    }
    let _ = world.restore(&outcome.run).await.unwrap();
    for target in &world.targets {
        let id = target.id();
        assert!(log.position(&format!("reopened {id}")) < log.position(&format!("release {id}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_after_the_first_changes_nothing_in_what_is_held_and_owes_only_what_it_saw_reopened() {
    let world = World::of(3);
    let first = world.stop().await;
    let held = world.held().await;
    // Somebody opens one by hand in another way; then a second machine stops everything again.
    world.targets[0].set("mode", json!("by hand"));
    let other = world.machine(Arc::clone(&world.journal));
    let second = other.stop().await;
    assert_eq!(second.status, OutcomeStatus::Verified);
    assert_eq!(world.held().await, held, "byte for byte what the first run took");
    assert!(held.iter().all(|held| held.run == first.run));

    // What the first run holds of that one is out of date: its restore shows that, the second's puts back what it saw.
    let reopened = world.targets[0].id().clone();
    let plan = world
        .engine
        .plan_restore(&first.run, &world.procedure())
        .await
        .unwrap();
    for step in plan.steps() {
        assert_eq!(
            !step.drift.is_empty(),
            step.target == reopened,
            "{:?}",
            step.drift
        );
    }
    let plan = world
        .engine
        .plan_restore(&second.run, &world.procedure())
        .await
        .unwrap();
    let targets: Vec<_> = plan.steps().iter().map(|step| step.target.clone()).collect();
    assert_eq!(targets, std::slice::from_ref(&reopened));
    let outcome = world.restore(&second.run).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(world.targets[0].fields()["mode"], json!("by hand"));
    assert!(
        world
            .held()
            .await
            .iter()
            .all(|held| *held.snapshot.target() != reopened),
        "the state that was out of date is held no longer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_during_the_first_changes_nothing_in_what_is_held() {
    for own_engine in [false, true] {
        for delay in 0..30 {
            let world = World::of(3);
            let before = world.bytes();
            let other = if own_engine {
                world.machine(Arc::clone(&world.journal))
            } else {
                world.clone()
            };
            let late = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                other.stop().await
            };
            let (first, second) = tokio::join!(world.stop(), late);
            assert_eq!(first.status, OutcomeStatus::Verified, "after {delay} ms");
            assert_eq!(second.status, OutcomeStatus::Verified, "after {delay} ms");
            let held = world.held().await;
            let bytes: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
            assert_eq!(
                bytes, before,
                "after {delay} ms: what is held is what was there before both"
            );
            for run in held
                .iter()
                .map(|held| &held.run)
                .collect::<std::collections::BTreeSet<_>>()
            {
                let _ = world.restore(run).await.unwrap();
            }
            assert_eq!(world.bytes(), before, "after {delay} ms");
            assert!(world.held().await.is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_before_never_becomes_a_prior_state() {
    // Stopped by hand, without journal and marker.
    let world = World::of(2);
    world.targets[0].set("mode", json!("stopped"));
    let outcome = world.stop().await;
    assert_eq!(
        report_of(&outcome, &world.targets[0]).prior,
        Prior::AlreadyStopped { by: None }
    );
    let held = world.held().await;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].snapshot.target(), world.targets[1].id());
}

#[tokio::test(start_paused = true)]
async fn what_another_run_has_half_done_never_becomes_a_prior_state() {
    let world = World::of(1);
    let other = RunId::new("run_elsewhere").unwrap();
    world.targets[0].half_stop(Some(other.clone()));
    let outcome = world.stop().await;
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(outcome.steps[0].prior, Prior::AlreadyStopped { by: Some(other) });
    assert!(world.held().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_while_a_stop_waited_for_its_approval_is_what_comes_back() {
    let world = World::of(2);
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let digest = plan.digest();
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.targets[0].set("scaling", json!({"min": 7}));
    world.targets[1].set("mode", json!("stopped"));
    let before = world.targets[0].bytes();
    let stopped = world.engine.execute(plan).await.unwrap();
    assert_eq!(
        (stopped.status, stopped.digest),
        (OutcomeStatus::Verified, digest)
    );
    assert_eq!(
        world.held().await.len(),
        1,
        "the second was stopped before this run came"
    );
    let _ = world.restore(&stopped.run).await.unwrap();
    assert_eq!(world.targets[0].bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn without_the_journal_the_spool_keeps_everything_and_the_restore_is_exact() {
    for failure in BOTH {
        let spool = Arc::new(SharedJournal::new());
        let world = World::over(Arc::new(FaultyJournal::dead(failure)), 3).with_spool(spool.clone());
        let before = world.bytes();
        let began = Instant::now();
        // Where persons must approve, the journal has to vouch for them.
        let procedure = world.procedure().with_restore_approval(ApprovalPolicy::of(0));
        let outcome = world.stop_by(&procedure).await;
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{failure:?}: {:?}",
            began.elapsed()
        );
        assert_eq!(outcome.status, OutcomeStatus::Verified, "{failure:?}");
        assert!(!outcome.journalled, "the journal did not take it");
        assert!(
            outcome.steps.iter().all(|step| step.journalled),
            "but the prior states are durable"
        );
        assert_eq!(spool.held().await.unwrap().len(), 3);

        let restored = world.restore_by(&outcome.run, &procedure).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified, "{failure:?}");
        assert_eq!(world.bytes(), before, "{failure:?}");
        assert!(
            spool.held().await.unwrap().is_empty(),
            "{failure:?}: released from the spool"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn with_neither_journal_nor_spool_the_stop_stops_and_says_that_it_has_the_only_copy() {
    for failure in BOTH {
        for spool in [false, true] {
            let world = World::over(Arc::new(FaultyJournal::dead(failure)), 3);
            let world = match spool {
                true => world.with_spool(Arc::new(FaultyJournal::dead(failure))),
                false => world,
            };
            let before: Vec<_> = world.targets.iter().map(|target| target.snapshot()).collect();
            let plan = world.engine.plan_stop(&world.procedure()).await;
            let plan = plan
                .approve(&[], &Approvers::none(), alice(), world.clock.time())
                .unwrap();
            let began = Instant::now();
            let effect = async {
                world.targets[2].effects(2).await;
                began.elapsed()
            };
            let (outcome, effect) = tokio::join!(world.engine.execute(plan), effect);
            // Each of the two may be waited for once.
            assert!(
                effect < Duration::from_secs(5),
                "{failure:?}, spool {spool}: effect after {effect:?}"
            );
            let outcome = outcome.unwrap();
            assert!(world.all_stopped());
            assert_eq!(outcome.status, OutcomeStatus::Verified);
            assert!(!outcome.journalled);
            for (report, snapshot) in outcome.steps.iter().zip(before) {
                assert!(!report.journalled, "{failure:?}, spool {spool}");
                assert_eq!(
                    report.prior,
                    Prior::Observed { snapshot },
                    "the report is the only copy"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_waits_for_a_journal() {
    for failure in BOTH {
        let journal = Arc::new(FaultyJournal::broken_for(
            Arc::new(SharedJournal::new()),
            failure,
            0..0,
        ));
        let world = World::over(journal.clone(), 2);
        let outcome = world.stop().await;
        let plan = world
            .engine
            .plan_restore(&outcome.run, &world.procedure())
            .await
            .unwrap();
        let plan = world.people.approve(plan, world.clock.time()).unwrap();
        journal.break_now();
        let refused = world.engine.execute(plan).await.unwrap_err();
        assert!(matches!(refused, Refusal::Undecided(_)), "{refused:?}");
        assert!(world.all_stopped(), "nothing was opened");
        let refused = world.restore(&outcome.run).await.unwrap_err();
        assert!(matches!(refused, Refusal::Undecided(_)), "{refused:?}");

        journal.repair();
        let before = world.restore(&outcome.run).await.unwrap();
        assert_eq!(before.status, OutcomeStatus::Verified, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_breaks_in_the_middle_of_a_stop_loses_no_prior_state() {
    for failure in BOTH {
        for from in 0..24 {
            for spool in [None, Some(Arc::new(SharedJournal::new()))] {
                let inner: Arc<dyn Journal> = Arc::new(SharedJournal::new());
                let journal = Arc::new(FaultyJournal::broken_for(
                    Arc::clone(&inner),
                    failure,
                    from..usize::MAX,
                ));
                let mut world = World::over(journal.clone(), 3);
                if let Some(spool) = &spool {
                    world = world.with_spool(spool.clone());
                }
                let before = world.bytes();
                let outcome = world.stop().await;
                let what = format!("{failure:?} from call {from} on, spool {}", spool.is_some());
                assert!(
                    world.all_stopped() && outcome.status == OutcomeStatus::Verified,
                    "{what}"
                );
                journal.repair();
                let held = world.engine.held().await.unwrap();
                for report in &outcome.steps {
                    let held = held.iter().any(|held| *held.snapshot.target() == report.target);
                    assert_eq!(held, report.journalled, "{what}: the report says what is held");
                }
                if spool.is_some() {
                    assert_eq!(held.len(), 3, "{what}");
                    let restored = world.restore(&outcome.run).await.unwrap();
                    assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
                    assert_eq!(world.bytes(), before, "{what}");
                    assert!(world.engine.held().await.unwrap().is_empty(), "{what}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_breaks_in_the_middle_of_a_restore_keeps_it_neither_from_ending_nor_exact() {
    for failure in BOTH {
        for after in 0..24 {
            let spool = Arc::new(SharedJournal::new());
            let journal = Arc::new(FaultyJournal::broken_for(
                Arc::new(SharedJournal::new()),
                failure,
                0..0,
            ));
            let world = World::over(journal.clone(), 3).with_spool(spool);
            let before = world.bytes();
            let stopped = world.stop().await;
            let plan = world
                .engine
                .plan_restore(&stopped.run, &world.procedure())
                .await
                .unwrap();
            let plan = world.people.approve(plan, world.clock.time()).unwrap();
            let id = plan.run().clone();
            journal.break_after(after);
            let began = Instant::now();
            let restored = match world.engine.execute(plan).await {
                Ok(restored) => restored,
                // The journal cannot tell whether the approvals were used before: nothing is opened.
                Err(Refusal::Undecided(_)) if after < 2 => {
                    assert!(world.all_stopped());
                    continue;
                }
                Err(refused) => panic!("{failure:?} after {after} calls: {refused}"),
            };
            let what = format!("{failure:?} after {after} calls");
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{what}: {:?}",
                began.elapsed()
            );
            assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
            assert_eq!(world.bytes(), before, "{what}");
            journal.repair();
            // What could not be released then is released by taking the restore up again.
            let resumed = world
                .engine
                .resume(&id, &world.procedure(), &alice())
                .await
                .unwrap();
            assert_eq!(resumed.status, OutcomeStatus::Verified, "{what}");
            assert!(world.engine.held().await.unwrap().is_empty(), "{what}");
            assert_eq!(world.bytes(), before, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_was_away_for_a_moment_is_used_again_by_the_next_run() {
    for failure in BOTH {
        let inner = Arc::new(SharedJournal::new());
        let journal = Arc::new(FaultyJournal::broken_for(inner.clone(), failure, 0..usize::MAX));
        let spool = Arc::new(SharedJournal::new());
        let world = World::over(journal.clone(), 1).with_spool(spool.clone());
        let first = world.stop().await;
        assert!(!first.journalled);
        journal.repair();
        let restored = world.restore(&first.run).await.unwrap();
        assert!(restored.journalled, "{failure:?}: the journal is back");
        let second = world.stop().await;
        assert!(second.journalled, "{failure:?}");
        let held = inner.held().await.unwrap();
        assert_eq!(held.len(), 1, "{failure:?}: other machines must see it");
        assert_eq!(held[0].run, second.run);
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_was_spooled_over_an_older_one_does_not_outlive_the_restore_of_that() {
    let journal = Arc::new(FaultyJournal::broken_for(
        Arc::new(SharedJournal::new()),
        Failure::Fails,
        0..0,
    ));
    let world = World::over(journal.clone(), 1).with_spool(Arc::new(SharedJournal::new()));
    let before = world.bytes();
    let first = world.stop().await;
    // Opened by hand in another way, and stopped again while the journal is away: the spool cannot know of the first run.
    world.targets[0].set("mode", json!("by hand"));
    journal.break_now();
    let second = world.stop().await;
    journal.repair();
    let held = world.engine.held().await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].run, first.run, "the older one is the prior state");
    match world.restore(&first.run).await {
        Err(Refusal::Drifted { .. }) => {}
        other => panic!("what the first holds is not what was there last: {other:?}"),
    }
    let _ = world.restore(&second.run).await.unwrap();
    assert_ne!(world.bytes(), before);
    assert_eq!(world.targets[0].fields()["mode"], json!("by hand"));
    assert_eq!(
        world.engine.held().await.unwrap(),
        [],
        "nothing is left that a later stop would run into"
    );
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_failed_is_left_alone_for_a_while_and_then_asked_again() {
    let inner = Arc::new(SharedJournal::new());
    let journal = Arc::new(FaultyJournal::broken_for(
        inner.clone(),
        Failure::Hangs,
        0..usize::MAX,
    ));
    let world = World::over(journal.clone(), 1).with_spool(Arc::new(SharedJournal::new()));
    let _ = world.stop().await;
    let procedure = world.procedure();
    let plan = world.engine.plan_stop(&procedure).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    let began = Instant::now();
    let again = world.engine.execute(plan).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "waited for once, not again: {:?}",
        began.elapsed()
    );
    assert!(!again.journalled);

    journal.repair();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(world.stop().await.journalled);
    assert!(inner.len() > 0);
}

#[tokio::test(start_paused = true)]
async fn entries_keep_their_order_when_the_wall_clock_jumps() {
    let world = World::of(1);
    world.targets[0].next_apply(Fault::NeverEffective);
    let outcome = world.stop().await;
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    assert!(!entries.is_empty());
    assert_eq!(entries, world.journal.entries(&outcome.run).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_was_away_for_a_part_of_a_stop_does_not_have_it_all() {
    let shared: Arc<dyn Journal> = Arc::new(SharedJournal::new());
    let journal = Meddled::over(&shared);
    let world = World::over(journal.clone(), 2).with_spool(Arc::new(SharedJournal::new()));
    let procedure = world.procedure_with(|at, step| {
        let step = step.closing(u32::try_from(at).unwrap());
        step.with_timeout(Duration::from_secs(60))
    });
    // It is back, and asked again, before the stop ends.
    journal.break_only(&[Verb::AppendVerified]);
    world.targets[1].next_apply(Fault::Slow(Duration::from_secs(40)));
    let back = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        journal.break_only(&[]);
    };
    let (outcome, ()) = tokio::join!(world.stop_by(&procedure), back);
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    let ended = shared.entries(&outcome.run).await.unwrap().pop().unwrap();
    assert!(matches!(ended.event, JournalEvent::Ended { .. }), "{ended:?}");
    assert!(!outcome.journalled);
}
