//! Closing does not wait for the sum of what a slow journal has to tell.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::Refusal;
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, RunId};
use ops_core::ports::Journal;
use support_emergency::{
    CutJournal, Fault, Meddled, Moment, SharedJournal, Verb, World, alice, settle_tasks, staged, well,
};

/// Almost as long as one read may take.
const SLOW: Duration = Duration::from_millis(1900);

/// What is left in `journal` of runs that have nothing to do with it.
async fn crowd(journal: &Arc<dyn Journal>, runs: usize) {
    let elsewhere = World::over(Arc::clone(journal), 1);
    for _ in 0..runs {
        let run = elsewhere.stop().await.run;
        let _ = elsewhere.restore(&run).await.unwrap();
    }
}

/// Another machine over a slow view of the journal, and over a spool that is as slow and as full.
async fn slow_machine(world: &World, runs: usize) -> World {
    let view = Meddled::over(&world.journal);
    let spool: Arc<dyn Journal> = Arc::new(SharedJournal::new());
    crowd(&spool, runs).await;
    let spool = Meddled::over(&spool);
    for journal in [&view, &spool] {
        journal.slow_down(Verb::Entries, SLOW);
        journal.slow_down(Verb::Runs, SLOW);
    }
    world.machine(view).with_spool(spool)
}

async fn closed_after(world: &World) -> Duration {
    let pressed = world.clock.time();
    for _ in 0..3000 {
        if world.all_stopped() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.clock.time().saturating_since(pressed)
}

/// A stop that died after its first intent, in a journal with so many others.
async fn dead_stop(world: &World, runs: usize) -> RunId {
    let cut = Arc::new(CutJournal::new(
        Arc::clone(&world.journal),
        4,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let plan = dying.engine.plan_stop(&dying.procedure()).await;
    let plan = plan
        .approve(
            &[],
            &ops_core::emergency::Approvers::none(),
            alice(),
            world.clock.time(),
        )
        .unwrap();
    let run = plan.run().clone();
    tokio::select! {
        biased;
        () = cut.died() => {}
        _ = dying.engine.execute(plan) => panic!("it dies"),
    }
    settle_tasks().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    crowd_after(world, runs).await;
    run
}

/// Later runs of other targets in the same journal.
async fn crowd_after(world: &World, runs: usize) {
    let mut elsewhere = World::over(Arc::clone(&world.journal), 0);
    elsewhere.targets = vec![support_emergency::Target::numbered(99)];
    elsewhere.clock = Arc::clone(&world.clock);
    let elsewhere = elsewhere.machine(Arc::clone(&world.journal));
    for _ in 0..runs {
        let run = elsewhere.stop().await.run;
        let _ = elsewhere.restore(&run).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_taken_up_closes_as_soon_whatever_else_the_journal_holds() {
    for runs in [1, 20] {
        let world = World::of(2);
        let run = dead_stop(&world, runs).await;
        assert!(!world.all_stopped());
        let slow = slow_machine(&world, runs).await;
        let (procedure, alice) = (world.procedure(), alice());
        let (resumed, closed) =
            tokio::join!(slow.engine.resume(&run, &procedure, &alice), closed_after(&world));
        assert_eq!(resumed.unwrap().status, OutcomeStatus::Verified);
        assert!(closed < Duration::from_secs(15), "{runs} other runs: {closed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_and_its_resume_close_as_soon_whatever_else_the_journal_holds() {
    for runs in [1, 20] {
        for resumes in [false, true] {
            let world = World::of(2);
            let procedure = staged(&world, &well());
            let stopped = world.stop_by(&procedure).await.run;
            let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
            let run = plan.run().clone();
            let plan = world.people.approve(plan, world.clock.time()).unwrap();
            let engine = world.engine.clone();
            let restoring = tokio::spawn(async move { engine.execute(plan).await });
            tokio::time::sleep(Duration::from_secs(90)).await;
            restoring.abort();
            settle_tasks().await;
            crowd_after(&world, runs).await;
            if resumes {
                let other = world.machine(Arc::clone(&world.journal));
                let _ = other
                    .engine
                    .abort(&run, &procedure, &alice(), "bad")
                    .await
                    .unwrap();
                world.targets[0].set("mode", "automatic".into());
            }
            assert!(!world.all_stopped());
            let slow = slow_machine(&world, runs).await;
            let alice = alice();
            let close = async {
                match resumes {
                    true => slow.engine.resume(&run, &procedure, &alice).await,
                    false => slow.engine.abort(&run, &procedure, &alice, "bad").await,
                }
            };
            let (outcome, closed) = tokio::join!(close, closed_after(&world));
            assert!(outcome.unwrap().aborted.unwrap().stopped());
            assert!(
                closed < Duration::from_secs(15),
                "{runs} other runs, resumes {resumes}: {closed:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_asks_the_journal_for_everything_as_often_however_many_targets_it_has() {
    let mut asked = Vec::new();
    for targets in [2, 20] {
        let world = World::of(targets);
        let view = Meddled::over(&world.journal);
        let machine = world.machine(Arc::clone(&view) as _);
        assert_eq!(machine.stop().await.status, OutcomeStatus::Verified);
        assert!(view.calls(Verb::HeldOf) >= targets);
        asked.push([Verb::Runs, Verb::Entries, Verb::Held].map(|verb| view.calls(verb)));
    }
    assert_eq!(asked[0], asked[1]);
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_not_taken_up_before_it_is_known_what_was_restored_since() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    world.targets[0].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
    let failed = world.restore(&stopped).await.unwrap().run;
    let restored = world.restore(&stopped).await.unwrap().run;
    crowd_after(&world, 5).await;
    let view = Meddled::over(&world.journal);
    view.slow_down(Verb::Entries, SLOW);
    let slow = world.machine(view);
    let refused = slow.engine.resume(&failed, &world.procedure(), &alice()).await;
    assert!(
        matches!(&refused, Err(Refusal::Superseded { by }) if *by == restored),
        "{refused:?}"
    );
}
