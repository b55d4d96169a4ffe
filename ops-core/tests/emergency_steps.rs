//! One step: its attempts, and what a provider does that ends unexpectedly.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::OutcomeStatus;
use ops_core::ports::PiiMasker;
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

#[tokio::test(start_paused = true)]
async fn a_step_is_within_its_target_if_it_takes_as_long_as_it_promised_and_no_longer() {
    let stopped = async |promised: Duration| {
        let world = World::of(1);
        let procedure = world.procedure_with(|_, step| step.with_promise(promised));
        world.stop_by(&procedure).await.steps.remove(0)
    };
    let took = stopped(Duration::from_secs(60)).await.elapsed;
    assert!(stopped(took).await.within_target, "{took:?}");
    let sooner = took - Duration::from_millis(1);
    assert!(!stopped(sooner).await.within_target, "{sooner:?}");
}

#[tokio::test(start_paused = true)]
async fn a_definite_refusal_is_looked_at_once_and_what_may_have_acted_for_as_long_as_it_may_take() {
    let settle = Duration::from_secs(300);
    for (kind, once) in [
        (ErrorKind::RateLimited, true),
        (ErrorKind::PermissionDenied, true),
        (ErrorKind::Conflict, false),
        (ErrorKind::Unavailable, false),
    ] {
        let world = World::of(1);
        world.targets[0].every_apply(Fault::Fail(kind));
        let procedure = world.procedure_with(|_, step| step.with_settle(settle));
        let step = world.stop_by(&procedure).await.steps.remove(0);
        assert_eq!(step.result.name(), "failed", "{kind:?}");
        assert_eq!(step.elapsed < settle / 2, once, "{kind:?}: {:?}", step.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_to_stop_is_looked_at_again_once_it_is_older_than_five_seconds() {
    for (late, again) in [(0, false), (1, true)] {
        let world = World::of(1);
        let planned = world.clock.time();
        let plan = world.engine.plan_stop(&world.procedure()).await;
        let plan = plan
            .approve(&[], &Default::default(), alice(), world.clock.time())
            .unwrap();
        let took = world.clock.time().saturating_since(planned);
        tokio::time::advance(Duration::from_millis(5000 + late) - took).await;
        world.targets[0].set("ingress", "internal".into());
        let now = world.bytes();
        let run = world.engine.execute(plan).await.unwrap().run;
        let held = world.held().await.remove(0);
        assert_eq!(held.run, run);
        assert_eq!(held.snapshot.restorable_bytes() == now[0], again, "{late} ms");
    }
}

/// Takes one name for a person's.
#[derive(Debug)]
struct NoNames;

impl PiiMasker for NoNames {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text.replace("call on test", "call on ***").into()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_said_is_masked_in_the_report_of_its_step() {
    for (kind, result) in [
        (ErrorKind::PermissionDenied, "failed"),
        (ErrorKind::Unavailable, "unknown"),
    ] {
        let mut world = World::of(1);
        world.engine = world.engine.clone().with_masker(Arc::new(NoNames));
        world.targets[0].every_apply(Fault::Fail(kind));
        world.targets[0].every_observe(Fault::Fail(kind));
        let step = world.stop().await.steps.remove(0);
        assert_eq!(step.result.name(), result);
        let said = step.result.reason().unwrap();
        assert!(said.contains("call on ***"), "{said}");
    }
}
