use std::time::Duration;

use ops_core::error::{ErrorKind, Retry};
use ops_core::model::TargetState;
use ops_core::testkit::{Fault, FaultRule};
use ops_railway::railway::sim::{BrokenRule, Progress};
use serde_json::json;

use crate::stage::{Stage, is_exact, seed};

#[tokio::test]
async fn a_fault_of_one_part_keeps_no_other_part_from_being_done() {
    for (fault, kind) in [
        (Fault::Refused, ErrorKind::Unavailable),
        (Fault::TooManyRequests, ErrorKind::RateLimited),
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::Forbidden, ErrorKind::PermissionDenied),
    ] {
        let stage = Stage::with(seed().with_pending("d9", Progress::Building)).await;
        stage.faults.add(FaultRule::on_writes(fault, "svc-1").times(1));
        let error = stage.stop().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("failed: auto-deploy off: {kind},")),
            "{text}"
        );
        assert!(
            text.contains("accepted: edge rule, stop of env-1-svc-1-d1, cancel of d9"),
            "{text}"
        );
        let seen = stage.watch(|seen| seen.settled().holds()).await;
        assert_eq!(seen.state(), TargetState::PartlyStopped, "{fault:?}");
        assert_eq!(stage.sim.probe(&stage.target), 403);

        stage.stop().await.unwrap();
        assert!(stage.watch_stop().await.stopped().holds(), "{fault:?}");
    }
}

#[tokio::test]
async fn the_vendors_wait_is_passed_on() {
    let stage = Stage::new().await;
    stage.faults.add(FaultRule::on_all(Fault::TooManyRequests, ""));
    let error = stage.stop().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::RateLimited, Retry::After(Duration::from_secs(1)))
    );
    assert!(
        stage.mutations().is_empty(),
        "an exhausted limit is not spent further"
    );
}

/// The answer is lost, the effect is not: repeating finds it done and is harmless.
#[tokio::test]
async fn a_lost_answer_is_an_error_and_a_repetition_ends_well() {
    let stage = Stage::with(seed().with_edge_rules(json!({"version": 1, "rules": []}))).await;
    let prior = stage.observe().await;
    stage.faults.add(FaultRule::on_writes(Fault::LostAnswer, ""));
    assert_eq!(stage.stop().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(stage.watch_stop().await.stopped().holds());
    stage.stop().await.unwrap();

    for _ in 0..3 {
        assert_eq!(
            stage.restore(prior.snapshot()).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        stage.observe().await;
        stage.observe().await;
    }
    stage.faults.clear();
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
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
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
}

#[tokio::test]
async fn a_stop_that_never_ends_is_never_called_stopped() {
    let stage = Stage::new().await;
    stage.faults.add(FaultRule::on_writes(Fault::NeverEnds, ""));
    stage.stop().await.unwrap();
    let seen = stage.watch_stop().await;
    assert_eq!(seen.stopped().name(), "not_yet");
}

#[tokio::test]
async fn a_restart_that_never_ends_is_never_called_restored() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage
        .faults
        .add(FaultRule::on_writes(Fault::NeverEnds, "").times(1));
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(!is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
}

/// One field that the token may not read spoils the whole answer. What can be read by itself is stopped all the same.
#[tokio::test]
async fn a_stop_does_what_it_can_when_the_whole_cannot_be_read() {
    let stage = Stage::with(seed().with_pending("d9", Progress::Building)).await;
    stage.faults.add(FaultRule::on_all(Fault::Forbidden, "").times(1));
    stage.stop().await.unwrap();
    assert_eq!(
        stage.mutations(),
        [
            "AutoDeployUpdate",
            "UpdateEdgeRules",
            "DeploymentStop",
            "DeploymentCancel"
        ]
    );
    assert!(stage.watch_stop().await.stopped().holds());
}

#[tokio::test]
async fn rules_that_could_not_be_read_are_not_overwritten() {
    let stage = Stage::with(seed().with_edge_rules(json!({"version": 1, "rules": []}))).await;
    stage.faults.add(FaultRule::on_all(Fault::Forbidden, "").times(2));
    let error = stage.stop().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("edge rule and running deployments: permission denied"),
        "{error}"
    );
    assert_eq!(stage.mutations(), ["AutoDeployUpdate"]);
}

#[tokio::test]
async fn a_vendor_that_is_away_is_an_error_and_no_state() {
    let stage = Stage::new().await;
    stage.faults.add(FaultRule::on_all(Fault::Unavailable, ""));
    let error = stage.stop().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
}

#[tokio::test]
async fn a_restore_that_meets_a_fault_leaves_the_door_closed() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage
        .faults
        .add(FaultRule::on_writes(Fault::Unavailable, "").times(1));
    stage.restore(prior.snapshot()).await.unwrap_err();
    for _ in 0..4 {
        stage.observe().await;
    }
    assert_eq!(stage.sim.probe(&stage.target), 403);
}

#[tokio::test]
async fn a_broken_rule_of_the_vendor_turns_the_report_false() {
    for rule in [BrokenRule::StopIsIgnored, BrokenRule::EdgeRulesAreForgotten] {
        let stage = Stage::new().await;
        stage.sim.break_rule(rule);
        stage.stop().await.unwrap();
        assert!(!stage.watch_stop().await.stopped().holds(), "{rule:?}");
    }
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage.sim.break_rule(BrokenRule::RestartBuildsAnew);
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(!is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
}
