use ops_core::error::ErrorKind;
use ops_core::model::{Snapshot, TargetState};
use serde_json::json;

use crate::stage::{Stage, is_exact, seed};

#[tokio::test]
async fn both_values_of_the_flag_come_back_exactly() {
    for auto_assign in [true, false] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        assert_eq!(prior.state(), TargetState::Serving);
        assert_eq!(
            prior.snapshot().field("auto_assign_custom_domains"),
            Some(&json!(auto_assign))
        );
        stage.stopped().await;
        assert_eq!(stage.sim.probe(&stage.target), 503);
        stage.restore(prior.snapshot()).await.unwrap();
        let seen = stage.at_rest().await;
        assert!(
            is_exact(prior.snapshot(), &seen),
            "{:?}",
            prior.snapshot().differences(seen.snapshot())
        );
        assert_eq!(seen.state(), TargetState::Serving);
        assert_eq!(stage.sim.probe(&stage.target), 200);
        let raw = stage.sim.raw(&stage.target).unwrap();
        assert_eq!(raw["autoAssignCustomDomains"], auto_assign);
    }
}

#[tokio::test]
async fn a_repeated_restore_ends_in_the_same_state() {
    for auto_assign in [true, false] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        stage.stopped().await;
        for _ in 0..3 {
            stage.restore(prior.snapshot()).await.unwrap();
        }
        assert!(
            is_exact(prior.snapshot(), &stage.at_rest().await),
            "{auto_assign}"
        );
    }
}

/// A pause that was accepted a moment ago still arrives after the restore has begun.
#[tokio::test]
async fn a_restore_right_after_the_stop_is_exact_too() {
    for auto_assign in [true, false] {
        let stage = Stage::with(seed().with_auto_assign(auto_assign)).await;
        let prior = stage.observe().await;
        stage.stop().await.unwrap();
        stage.restore(prior.snapshot()).await.unwrap();
        assert!(
            is_exact(prior.snapshot(), &stage.at_rest().await),
            "{auto_assign}"
        );
    }
}

#[tokio::test]
async fn a_stopped_project_is_left_alone_by_a_stop() {
    let stage = Stage::with(seed().with_paused(true).with_auto_assign(false)).await;
    let before = stage.sim.raw(&stage.target);
    assert!(stage.observe().await.stopped().holds());
    assert_eq!(stage.stop().await.unwrap().receipt(), None);
    assert_eq!(stage.sim.raw(&stage.target), before);
    assert!(stage.changes().is_empty());
}

/// Somebody turned the flag on during a pause: the pause stays, the flag goes, and both come back.
#[tokio::test]
async fn a_paused_project_that_takes_pushes_is_stopped_by_its_flag_and_comes_back_exactly() {
    let stage = Stage::with(seed().with_paused(true)).await;
    let prior = stage.observe().await;
    assert_eq!(prior.state(), TargetState::PartlyStopped);
    assert!(!prior.stopped().holds());
    let raw = stage.sim.raw(&stage.target);
    for _ in 0..3 {
        stage.stop().await.unwrap();
    }
    assert_eq!(stage.changes(), ["PATCH /v9/projects/prj_1"]);
    let stopped = stage.at_rest().await;
    assert!(stopped.stopped().holds());
    for _ in 0..2 {
        stage.restore(prior.snapshot()).await.unwrap();
    }
    assert!(is_exact(prior.snapshot(), &stage.at_rest().await));
    assert_eq!(stage.sim.raw(&stage.target), raw);
    assert!(
        stage.changes().iter().all(|change| change.starts_with("PATCH")),
        "the pause was never touched"
    );
}

#[tokio::test]
async fn a_restore_writes_back_whatever_is_there_now() {
    for (paused, auto_assign) in [(true, true), (true, false), (false, true), (false, false)] {
        for now_paused in [true, false] {
            for now in [true, false] {
                let stage = Stage::with(seed().with_auto_assign(now).with_paused(now_paused)).await;
                let prior = Snapshot::new(stage.target.clone(), "vercel/1")
                    .with_field("paused", paused)
                    .with_field("auto_assign_custom_domains", auto_assign);
                stage.restore(&prior).await.unwrap();
                let seen = stage.at_rest().await;
                assert!(
                    is_exact(&prior, &seen),
                    "{now_paused} {now}: {:?}",
                    prior.differences(seen.snapshot())
                );
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_of_another_provider_is_refused_before_any_request() {
    let stage = Stage::new().await;
    let foreign = Snapshot::new(stage.target.clone(), "railway/1").with_field("running", json!([]));
    assert_eq!(
        stage.restore(&foreign).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(stage.sim.requests().is_empty());
}
