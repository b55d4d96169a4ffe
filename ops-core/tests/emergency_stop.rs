//! A stop runs in parallel, goes on whatever fails, and says what a read-back showed.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::Approvers;
use ops_core::error::ErrorKind;
use ops_core::model::{Outcome, OutcomeStatus, Prior, StepResult, Verdict};
use support_emergency::{Fault, World, alice, quick, report_of};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn each_of_the_failure_masks_of_ten_targets_leaves_the_others_stopped_and_is_named_exactly() {
    for mask in 0..1_u32 << 10 {
        let world = World::of(10);
        let fails = |at: usize| mask >> at & 1 == 1;
        for (at, target) in world.targets.iter().enumerate().filter(|(at, _)| fails(*at)) {
            // Some for good, some with every retry used up.
            let kind = if at % 2 == 0 {
                ErrorKind::PermissionDenied
            } else {
                ErrorKind::Unavailable
            };
            target.every_apply(Fault::Fail(kind));
        }
        let outcome = world.stop_by(&world.procedure_with(|_, step| quick(step))).await;
        for (at, target) in world.targets.iter().enumerate() {
            let report = report_of(&outcome, target);
            assert_eq!(target.is_stopped(), !fails(at), "mask {mask:010b}, target {at}");
            assert_eq!(
                matches!(report.result, StepResult::Failed { .. }),
                fails(at),
                "{report:?}"
            );
            assert_eq!(report.verdict.holds(), !fails(at), "{report:?}");
        }
        let expected = match mask.count_ones() {
            0 => OutcomeStatus::Verified,
            10 => OutcomeStatus::Failed,
            _ => OutcomeStatus::Partial,
        };
        assert_eq!(outcome.status, expected, "mask {mask:010b}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_or_hangs_for_ever_does_not_matter_to_the_others() {
    for fault in [Fault::Panic, Fault::Hang] {
        let world = World::of(4);
        world.targets[1].every_apply(fault.clone());
        let began = Instant::now();
        let outcome = world.stop().await;
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        assert_eq!(outcome.status, OutcomeStatus::Partial);
        for (at, target) in world.targets.iter().enumerate() {
            let report = report_of(&outcome, target);
            assert_eq!(report.verdict.holds(), at != 1, "{fault:?}: {report:?}");
            assert_eq!(target.is_stopped(), at != 1, "{fault:?}");
        }
        let bad = report_of(&outcome, &world.targets[1]);
        assert!(bad.result.reason().is_some(), "{bad:?}");
        assert!(!bad.within_target);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_in_every_read_does_not_matter_to_the_others() {
    let world = World::of(3);
    world.targets[2].every_observe(Fault::Panic);
    let outcome = world.stop().await;
    assert!(world.all_stopped(), "the call itself works");
    assert_eq!(outcome.status, OutcomeStatus::Unverified);
    assert!(matches!(
        report_of(&outcome, &world.targets[2]).verdict,
        Verdict::Unknown { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn sixty_four_targets_take_the_time_of_the_slowest_not_the_sum() {
    let world = World::of(64);
    // Latencies that look random: 10 ms to 3 s, scattered by a multiplication.
    let latency = |at: usize| Duration::from_millis(10 + ((at as u64 * 2_654_435_761) >> 7) % 2_990);
    for (at, target) in world.targets.iter().enumerate() {
        target.set_latency(latency(at).min(Duration::from_millis(1_500)));
    }
    let slowest = (0..64)
        .map(latency)
        .max()
        .unwrap()
        .min(Duration::from_millis(1_500));
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let now = world.clock.time();
    let plan = plan
        .approve(&[], &Default::default(), support_emergency::alice(), now)
        .unwrap();
    let began = Instant::now();
    let outcome = world.engine.execute(plan).await.unwrap();
    let took = began.elapsed();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    // One call and one look each: twice the slowest latency, and the small change between them.
    assert!(
        took >= 2 * slowest && took <= 2 * slowest + Duration::from_millis(50),
        "{took:?}, {slowest:?}"
    );
    assert!(outcome.took <= took);
}

#[tokio::test(start_paused = true)]
async fn stages_close_one_after_the_other_and_a_failed_one_keeps_no_other_from_running() {
    let world = World::of(3);
    world.targets[0].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let procedure = world.procedure_with(|at, step| quick(step).closing(u32::try_from(at).unwrap()));
    let outcome = world.stop_by(&procedure).await;
    assert_eq!(outcome.status, OutcomeStatus::Partial);
    assert!(world.targets[1].is_stopped() && world.targets[2].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_and_never_effective_is_unverified() {
    let world = World::of(2);
    world.targets[0].every_apply(Fault::NeverEffective);
    let outcome = world.stop().await;
    let report = report_of(&outcome, &world.targets[0]);
    assert_eq!(report.result, StepResult::Done, "the provider did accept it");
    assert!(matches!(report.verdict, Verdict::NotYet { .. }), "{report:?}");
    assert!(!report.within_target);
    assert_eq!(outcome.status, OutcomeStatus::Unverified);
    assert!(!outcome.within_target);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_made_good_by_the_read_back() {
    let world = World::of(1);
    world.targets[0].every_apply(Fault::LostAnswer);
    let outcome = world.stop().await;
    assert_eq!(outcome.steps[0].result, StepResult::Done);
    assert_eq!(outcome.steps[0].verdict, Verdict::Holds);
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    let keys = world.targets[0].applied();
    assert_eq!(keys.len(), 3, "a lost answer is tried again");
    assert!(
        keys.iter().all(|key| *key == keys[0]),
        "with the same key each time"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_read_back_nothing_is_claimed() {
    for apply in [
        None,
        Some(Fault::LostAnswer),
        Some(Fault::Fail(ErrorKind::Unavailable)),
    ] {
        let world = World::of(1);
        let plan = world.engine.plan_stop(&world.procedure()).await;
        world.targets[0].every_apply(apply.clone());
        world.targets[0].every_observe(Fault::Fail(ErrorKind::Unavailable));
        let now = world.clock.time();
        let plan = plan
            .approve(&[], &Default::default(), support_emergency::alice(), now)
            .unwrap();
        let outcome = world.engine.execute(plan).await.unwrap();
        let report = &outcome.steps[0];
        assert!(matches!(report.verdict, Verdict::Unknown { .. }), "{report:?}");
        assert_ne!(outcome.status, OutcomeStatus::Verified);
        match apply {
            None => assert_eq!(outcome.status, OutcomeStatus::Unverified),
            Some(_) => {
                assert!(matches!(report.result, StepResult::Unknown { .. }), "{report:?}");
                assert_eq!(outcome.status, OutcomeStatus::Failed);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_answers_a_look_is_unknown_when_its_time_is_over() {
    let world = World::of(1);
    let plan = world.engine.plan_stop(&world.procedure()).await;
    world.targets[0].every_observe(Fault::Hang);
    let now = world.clock.time();
    let plan = plan
        .approve(&[], &Default::default(), support_emergency::alice(), now)
        .unwrap();
    let began = Instant::now();
    let outcome = world.engine.execute(plan).await.unwrap();
    assert!(
        began.elapsed() <= Duration::from_secs(30 + 5),
        "{:?}",
        began.elapsed()
    );
    assert!(matches!(outcome.steps[0].verdict, Verdict::Unknown { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_what_is_stopped_says_so() {
    let world = World::of(2);
    let _ = world.stop().await;
    let again = world.stop().await;
    assert!(
        again
            .steps
            .iter()
            .all(|step| step.result == StepResult::AlreadyDone)
    );
    assert_eq!(again.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_slow_step_says_that_it_broke_its_promise() {
    let world = World::of(2);
    world.targets[0].set_latency(Duration::from_millis(900));
    let procedure = world.procedure_with(|_, step| step.with_promise(Duration::from_secs(1)));
    let outcome = world.stop_by(&procedure).await;
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(!report_of(&outcome, &world.targets[0]).within_target);
    assert!(report_of(&outcome, &world.targets[1]).within_target);
    assert!(!outcome.within_target);
}

#[tokio::test(start_paused = true)]
async fn the_status_is_the_sum_of_the_steps() {
    let world = World::of(1);
    let verified = world.stop().await.steps.remove(0);
    let with = |result: StepResult, verdict: Verdict| {
        let mut step = verified.clone();
        (step.result, step.verdict) = (result, verdict);
        step
    };
    let unverified = with(StepResult::Done, Verdict::not_yet("later"));
    let unread = with(StepResult::AlreadyDone, Verdict::unknown("no look"));
    let failed = with(
        StepResult::Failed { error: "no".into() },
        Verdict::not_yet("serving"),
    );
    let unknown = with(
        StepResult::Unknown { reason: "?".into() },
        Verdict::unknown("no look"),
    );
    let skipped = with(StepResult::Skipped, Verdict::unknown("not attempted"));
    let already = with(StepResult::AlreadyDone, Verdict::Holds);
    let cases = [
        (vec![&verified, &already], OutcomeStatus::Verified),
        (vec![&verified, &unverified], OutcomeStatus::Unverified),
        (vec![&unverified, &unread], OutcomeStatus::Unverified),
        (vec![&verified, &failed], OutcomeStatus::Partial),
        (vec![&already, &unknown], OutcomeStatus::Partial),
        (vec![&verified, &skipped], OutcomeStatus::Partial),
        (vec![&failed, &unknown, &skipped], OutcomeStatus::Failed),
    ];
    for (steps, expected) in cases {
        let steps: Vec<_> = steps.into_iter().cloned().collect();
        assert_eq!(Outcome::status_of(&steps), expected, "{steps:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_settle_is_looked_at_less_and_less_often() {
    let world = World::of(1);
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    let target = &world.targets[0];
    (0..60).for_each(|_| target.next_observe(Fault::Fail(ErrorKind::Unavailable)));
    let outcome = world.engine.execute(plan).await.unwrap();
    assert_eq!(outcome.steps[0].verdict.name(), "unknown");
    assert!(outcome.took > Duration::from_secs(25), "{:?}", outcome.took);
    // Some of the failures were not met.
    let plan = world.engine.plan_stop(&world.procedure()).await;
    assert!(matches!(plan.steps()[0].prior, Prior::Unknown { .. }));
}

#[tokio::test(start_paused = true)]
async fn limit_a_change_by_hand_between_the_last_look_and_the_effect_of_a_stop_is_not_seen() {
    let world = World::of(1);
    let before = world.bytes();
    world.targets[0].next_apply(Fault::Slow(Duration::from_secs(2)));
    let by_hand = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.targets[0].set("ingress", "internal".into());
    };
    let (stopped, ()) = tokio::join!(world.stop(), by_hand);
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before, "not covered: the change is gone, unnamed");
}
