use std::time::Duration;

use ops_core::error::{ErrorKind, Retry};
use ops_core::testkit::{Fault, FaultRule};
use ops_railway::vercel::sim::BrokenRule;

use crate::stage::{Stage, is_exact, seed};

#[tokio::test]
async fn a_fault_is_an_error_and_changes_nothing() {
    for (fault, kind) in [
        (Fault::Refused, ErrorKind::Unavailable),
        (Fault::TooManyRequests, ErrorKind::RateLimited),
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::Forbidden, ErrorKind::PermissionDenied),
    ] {
        let stage = Stage::new().await;
        stage.faults.add(FaultRule::on_writes(fault, "prj_1"));
        assert_eq!(stage.stop().await.unwrap_err().kind(), kind, "{fault:?}");
        assert!(!stage.at_rest().await.stopped().holds());
        stage.faults.clear();
        stage.stopped().await;
    }
}

#[tokio::test]
async fn the_vendors_wait_is_passed_on() {
    let stage = Stage::new().await;
    stage.faults.add(FaultRule::on_all(Fault::TooManyRequests, ""));
    assert_eq!(
        stage.stop().await.unwrap_err().retry(),
        Retry::After(Duration::from_secs(1))
    );
}

/// A stop does not depend on the look before it.
#[tokio::test]
async fn a_stop_goes_on_when_the_project_cannot_be_read() {
    let stage = Stage::new().await;
    stage
        .faults
        .add(FaultRule::on_all(Fault::Unavailable, "").times(1));
    stage.stop().await.unwrap();
    assert_eq!(stage.changes(), ["POST /v1/projects/prj_1/pause"]);
}

#[tokio::test]
async fn a_lost_answer_is_an_error_and_a_repetition_ends_well() {
    for auto_assign in [true, false] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        stage
            .faults
            .add(FaultRule::on_writes(Fault::LostAnswer, "").times(1));
        assert_eq!(stage.stop().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(stage.at_rest().await.stopped().holds());
        stage.stop().await.unwrap();
        stage
            .faults
            .add(FaultRule::on_writes(Fault::LostAnswer, "").times(2));
        while stage.restore(prior.snapshot()).await.is_err() {}
        assert!(
            is_exact(prior.snapshot(), &stage.at_rest().await),
            "{auto_assign}"
        );
    }
}

#[tokio::test]
async fn slow_answers_change_nothing() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage
        .faults
        .add(FaultRule::on_all(Fault::Latency(Duration::from_millis(3)), ""));
    stage.stopped().await;
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(prior.snapshot(), &stage.at_rest().await));
}

#[tokio::test]
async fn a_change_that_never_shows_is_never_claimed() {
    let stage = Stage::with(seed().with_auto_assign(false)).await;
    let prior = stage.observe().await;
    stage
        .faults
        .add(FaultRule::on_writes(Fault::NeverEnds, "").times(1));
    stage.stop().await.unwrap();
    assert!(!stage.at_rest().await.stopped().holds());

    stage.stopped().await;
    stage
        .faults
        .add(FaultRule::on_writes(Fault::NeverEnds, "").times(1));
    let error = stage.restore(prior.snapshot()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(stage.at_rest().await.stopped().holds());
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(prior.snapshot(), &stage.at_rest().await));
}

/// Another deployer's promotion is no field that a restore writes, but it shows that somebody was here.
#[tokio::test]
async fn another_deployment_in_production_shows_as_drift() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.faults.add(FaultRule::on_writes(Fault::Drift, ""));
    stage.stopped().await;
    let differences = prior.snapshot().differences(stage.observe().await.snapshot());
    assert!(
        differences
            .iter()
            .any(|difference| difference.path == "production_deployment"),
        "{differences:?}"
    );
}

#[tokio::test]
async fn a_broken_rule_of_the_vendor_turns_the_report_false() {
    let stage = Stage::new().await;
    stage.sim.break_rule(BrokenRule::PauseIsIgnored);
    stage.stop().await.unwrap();
    assert!(!stage.at_rest().await.stopped().holds());

    for (rule, auto_assign) in [
        (BrokenRule::UnpauseIsIgnored, true),
        (BrokenRule::AutoAssignIsForgotten, false),
    ] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        stage.stopped().await;
        stage.sim.break_rule(rule);
        stage.restore(prior.snapshot()).await.unwrap();
        assert!(!is_exact(prior.snapshot(), &stage.at_rest().await), "{rule:?}");
    }
}

/// The pause's side effect is not relied on: without it nothing is claimed, and a second stop makes up for it.
#[tokio::test]
async fn a_pause_that_forgets_the_flag_is_made_up_for_by_a_second_stop() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.sim.break_rule(BrokenRule::PauseForgetsAutoAssign);
    stage.stop().await.unwrap();
    let seen = stage.at_rest().await;
    assert_eq!(seen.stopped().name(), "not_yet");
    stage.stop().await.unwrap();
    assert!(stage.at_rest().await.stopped().holds());
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(prior.snapshot(), &stage.at_rest().await));
}

/// The restore compares after the unpause, so it does not rely on what the unpause does to the flag.
#[tokio::test]
async fn an_unpause_that_forgets_the_flag_is_made_up_for() {
    for auto_assign in [true, false] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        stage.stopped().await;
        stage.sim.break_rule(BrokenRule::UnpauseForgetsAutoAssign);
        stage.restore(prior.snapshot()).await.unwrap();
        assert!(
            is_exact(prior.snapshot(), &stage.at_rest().await),
            "{auto_assign}"
        );
    }
}
