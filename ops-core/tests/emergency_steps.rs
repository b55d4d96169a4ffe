//! One step: its attempts, and what a provider does that ends unexpectedly.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::OutcomeStatus;
use ops_core::resilience::RetryPolicy;
use support_emergency::{Fault, World, alice, report_of};

#[tokio::test(start_paused = true)]
async fn a_restore_that_goes_back_makes_no_further_attempt() {
    let world = World::of(1);
    let mut retry = RetryPolicy::default();
    retry.first_delay = Duration::from_secs(6);
    retry.longest_delay = Duration::from_secs(6);
    let procedure = world.procedure_with(|_, step| step.with_retry(retry));
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[0].next_restore(Fault::Fail(ErrorKind::Unavailable));
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let abort = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.engine.abort(&run, &procedure, &alice(), "wrong one").await
    };
    let (restored, aborted) = tokio::join!(world.engine.execute(plan), abort);
    assert_eq!(restored.unwrap().status, OutcomeStatus::Failed);
    assert!(aborted.unwrap().aborted.unwrap().stopped());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.targets[0].restored(), 0, "it was told to go back before");
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_or_hangs_at_the_last_look_is_stopped_all_the_same() {
    for fault in [Fault::Panic, Fault::Hang] {
        let world = World::of(3);
        let procedure = world.procedure_with(|at, step| {
            step.closing(u32::from(at > 0))
                .with_timeout(Duration::from_secs(60))
        });
        let plan = world.engine.plan_stop(&procedure).await;
        let plan = plan
            .approve(&[], &Default::default(), alice(), world.clock.time())
            .unwrap();
        // The first stage takes so long that the second looks again.
        world.targets[0].set_latency(Duration::from_secs(10));
        world.targets[1].next_observe(fault.clone());
        let outcome = world.engine.execute(plan).await.unwrap();
        assert!(world.all_stopped(), "{fault:?}: {outcome:#?}");
        let struck = report_of(&outcome, &world.targets[1]);
        assert!(struck.verdict.holds(), "{fault:?}: {struck:#?}");
        assert!(report_of(&outcome, &world.targets[2]).verdict.holds());
    }
}
