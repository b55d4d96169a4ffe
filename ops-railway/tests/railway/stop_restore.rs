use ops_core::error::ErrorKind;
use ops_core::model::{Snapshot, TargetState};
use ops_core::ports::TrafficController;
use ops_railway::railway::sim::{Progress, ServiceSeed};
use serde_json::{Value, json};

use crate::stage::{Stage, is_exact, is_serving, key, seed};

fn rule(id: &str, priority: i64, action: &str) -> Value {
    json!({"id": id, "description": "ours", "priority": priority, "enabled": true,
        "if": {"attr": "http.path", "op": "matches", "value": "/admin/*"},
        "then": {"action": action, "params": {"status": 404}}})
}

fn section(priorities: &[i64]) -> Value {
    let rules: Vec<_> = priorities
        .iter()
        .map(|priority| rule(&format!("rul_k{priority}"), *priority, "block"))
        .collect();
    json!({"version": 1, "rules": rules})
}

/// Stop, see it hold, restore, see it exact with a client that remembers nothing.
async fn round_trip(seed: ServiceSeed) {
    let stage = Stage::with(seed.clone()).await;
    let prior = stage.observe().await;
    let raw = stage.sim.raw(&stage.target).unwrap();
    stage.stop().await.unwrap();
    let stopped = stage.watch_stop().await;
    assert!(stopped.stopped().holds(), "{seed:?}: {stopped:?}");
    assert_eq!(stage.sim.probe(&stage.target), 403, "{seed:?}");
    assert_eq!(stopped.marker().unwrap().as_str(), "run_1");
    assert!(
        prior
            .snapshot()
            .differences(&stopped.snapshot().clone())
            .iter()
            .all(|difference| !difference.path.starts_with("latest"))
    );

    stage.restore(prior.snapshot()).await.unwrap();
    let restored = stage.watch_restore(prior.snapshot()).await;
    assert!(
        is_exact(prior.snapshot(), &restored),
        "{seed:?}: {:?}",
        prior.snapshot().differences(restored.snapshot())
    );
    let now = stage.sim.raw(&stage.target).unwrap();
    assert_eq!(
        (&now["edge_rules"], &now["auto_deploy"]),
        (&raw["edge_rules"], &raw["auto_deploy"]),
        "{seed:?}"
    );
    assert_eq!(stage.sim.probe(&stage.target), 200, "{seed:?}");
}

#[tokio::test]
async fn every_combination_of_rules_auto_deploy_and_deployments_comes_back_exactly() {
    for rules in [
        None,
        Some(Value::Null),
        Some(section(&[])),
        Some(section(&[3, 8])),
        Some(section(&[0, 1])),
    ] {
        for auto_deploy in [true, false] {
            for running in [vec!["d1"], vec!["d2", "d1"]] {
                let mut seed = seed().with_auto_deploy(auto_deploy).with_running(running);
                if let Some(rules) = rules.clone() {
                    seed = seed.with_edge_rules(rules);
                }
                round_trip(seed).await;
            }
        }
    }
}

#[tokio::test]
async fn a_deployment_in_progress_is_cancelled_and_what_ran_comes_back() {
    for progress in [
        Progress::Building,
        Progress::Queued,
        Progress::Waiting,
        Progress::NeedsApproval,
        Progress::Initializing,
        Progress::Deploying,
    ] {
        let stage = Stage::with(seed().with_pending("d9", progress)).await;
        let prior = stage.observe().await;
        assert!(!prior.settled().holds(), "{progress:?}");
        assert!(
            prior
                .caveats()
                .iter()
                .any(|caveat| caveat.get(ops_core::model::Lang::En).contains("in progress"))
        );
        stage.stopped().await;
        stage.restore(prior.snapshot()).await.unwrap();
        let restored = stage.watch_restore(prior.snapshot()).await;
        assert!(
            is_exact(prior.snapshot(), &restored),
            "{progress:?}: {restored:?}"
        );
    }
}

#[tokio::test]
async fn the_parts_of_a_stop_go_out_in_their_order_and_the_door_opens_last() {
    let stage = Stage::with(seed().with_pending("d9", Progress::Building)).await;
    let prior = stage.observe().await;
    let accepted = stage.stop().await.unwrap();
    assert_eq!(
        accepted.receipt(),
        Some("auto-deploy off, edge rule, stop of env-1-svc-1-d1, cancel of d9")
    );
    let stop = [
        "AutoDeployUpdate",
        "UpdateEdgeRules",
        "DeploymentStop",
        "DeploymentCancel",
    ];
    assert_eq!(stage.mutations(), stop);
    stage.watch_stop().await;
    let accepted = stage.restore(prior.snapshot()).await.unwrap();
    assert_eq!(
        accepted.receipt(),
        Some("restart of env-1-svc-1-d1, auto-deploy, edge rules")
    );
    assert_eq!(
        stage.mutations()[stop.len()..],
        ["DeploymentRestart", "AutoDeployUpdate", "UpdateEdgeRules"]
    );
}

#[tokio::test]
async fn a_stop_of_what_is_stopped_changes_nothing_and_keeps_the_first_marker() {
    let stage = Stage::new().await;
    stage.stopped().await;
    let (sent, raw) = (stage.mutations().len(), stage.sim.raw(&stage.target));
    let accepted = stage.traffic.stop(&stage.target, &key("run_9")).await.unwrap();
    assert_eq!(accepted.receipt(), None);
    assert_eq!(
        (stage.mutations().len(), stage.sim.raw(&stage.target)),
        (sent, raw)
    );
    assert_eq!(stage.observe().await.marker().unwrap().as_str(), "run_1");
}

#[tokio::test]
async fn a_second_stop_while_the_first_takes_effect_leaves_one_rule_and_the_first_marker() {
    let stage = Stage::with(seed().with_edge_rules(section(&[0]))).await;
    stage.stop().await.unwrap();
    stage.traffic.stop(&stage.target, &key("run_9")).await.unwrap();
    let seen = stage.watch_stop().await;
    assert!(seen.stopped().holds());
    assert_eq!(seen.marker().unwrap().as_str(), "run_1");
    assert_eq!(stage.edge_rules()["rules"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeated_restore_sends_no_further_change() {
    let stage = Stage::with(seed().with_edge_rules(section(&[0]))).await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage.restore(prior.snapshot()).await.unwrap();
    stage.watch_restore(prior.snapshot()).await;
    let sent = stage.mutations().len();
    assert_eq!(stage.restore(prior.snapshot()).await.unwrap().receipt(), None);
    assert_eq!(stage.mutations().len(), sent);
    assert!(is_exact(prior.snapshot(), &stage.observe().await));
}

/// A stop that was accepted a moment ago still arrives: a deployment that seems to run must be restarted all the same.
#[tokio::test]
async fn a_restore_right_after_the_stop_is_exact_too() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stop().await.unwrap();
    stage.restore(prior.snapshot()).await.unwrap();
    for _ in 0..6 {
        stage.observe().await;
    }
    assert!(is_exact(prior.snapshot(), &stage.observe().await));
    assert_eq!(stage.sim.probe(&stage.target), 200);
}

#[tokio::test]
async fn a_restore_writes_back_whatever_is_there_now() {
    let stage = Stage::with(seed().with_edge_rules(section(&[2])).with_auto_deploy(false)).await;
    let prior = stage.observe().await;
    let changed = Snapshot::new(stage.target.clone(), prior.snapshot().format())
        .with_field("edge_rules", section(&[5, 6]))
        .with_field("auto_deploy", true)
        .with_field("running", json!([]));
    stage.restore(&changed).await.unwrap();
    let seen = stage.watch_restore(&changed).await;
    assert!(
        is_exact(&changed, &seen),
        "{:?}",
        changed.differences(seen.snapshot())
    );
    stage.restore(prior.snapshot()).await.unwrap();
    let seen = stage.watch_restore(prior.snapshot()).await;
    assert!(
        is_exact(prior.snapshot(), &seen),
        "{:?}",
        prior.snapshot().differences(seen.snapshot())
    );
}

/// A service with nothing running before the stop has nothing to restart after it.
#[tokio::test]
async fn nothing_is_started_that_did_not_run() {
    let stage = Stage::with(seed().with_running(Vec::<String>::new())).await;
    let prior = stage.observe().await;
    assert_eq!(prior.state(), TargetState::PartlyStopped);
    stage.stopped().await;
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
    assert!(!stage.mutations().contains(&"DeploymentRestart".to_owned()));
}

#[tokio::test]
async fn a_snapshot_of_another_provider_is_refused_before_any_request() {
    let stage = Stage::new().await;
    let foreign = Snapshot::new(stage.target.clone(), "vercel/1").with_field("paused", false);
    assert_eq!(
        stage.restore(&foreign).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(stage.sim.requests().is_empty());
    assert!(is_serving(&stage.observe().await));
}
