use ops_core::model::{Lang, RunId, TargetState};
use ops_core::ports::TrafficController;
use ops_gcp::run::sim::{Scaling, ServiceSeed};

use super::world::{World, key};

/// Going to manual scaling unsets the service's minimum and maximum: they are in the snapshot or they are lost.
#[tokio::test]
async fn the_snapshot_holds_the_limits_that_a_stop_makes_the_vendor_forget() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(2, 20));
    let prior = world.observe(&target).await;
    assert_eq!(prior.snapshot().field("scaling").unwrap()["minInstanceCount"], 2);
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let stopped = world.sim.raw(&target);
    assert!(stopped["scaling"].get("minInstanceCount").is_none());
    assert!(stopped["scaling"].get("maxInstanceCount").is_none());
}

#[tokio::test]
async fn a_second_stop_writes_nothing_and_leaves_the_marker_of_the_first() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(1, 4));
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let (writes, before) = (world.writes(), world.sim.raw(&target));
    world.cloud_run().stop(&target, &key("run-2")).await.unwrap();
    assert_eq!(world.writes(), writes);
    assert_eq!(world.sim.raw(&target), before);
    assert_eq!(
        world.observe(&target).await.marker().map(RunId::as_str),
        Some("run-1")
    );
}

#[tokio::test]
async fn other_labels_survive_and_the_run_becomes_a_valid_label() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().label("team", "brain"));
    world.cloud_run().stop(&target, &key("Run.A")).await.unwrap();
    let labels = world.sim.raw(&target)["labels"].clone();
    assert_eq!(labels["team"], "brain");
    assert_eq!(labels["ops-stop-run"], "run-a");
}

/// Labels in system namespaces are rejected, also when a service of old times has one.
#[tokio::test]
async fn a_refused_marker_does_not_keep_the_stop_from_happening() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().label("cloud.googleapis.com/location", "x"));
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let stopped = world.observe(&target).await;
    assert!(stopped.stopped().holds());
    assert_eq!(stopped.marker(), None);
}

/// Revisions that are active only because of a tag still start one instance for a call of the tag URL.
#[tokio::test]
async fn tag_urls_that_stay_reachable_are_said() {
    let world = World::new().await;
    let target = world.add(
        ServiceSeed::new()
            .latest(100)
            .tag("old", "api-00001")
            .tag("live", "api-00002"),
    );
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    assert_eq!(world.sim.probe(&target), 503);
    assert_eq!(world.sim.probe_tag(&target, "old"), 200);
    assert_eq!(world.sim.probe_tag(&target, "live"), 503);
    let stopped = world.observe(&target).await;
    assert_eq!(stopped.caveats().len(), 1);
    for lang in [Lang::Ja, Lang::En] {
        assert!(
            stopped.caveats()[0]
                .get(lang)
                .contains("https://old---api-sim.a.run.app")
        );
    }
}

#[tokio::test]
async fn a_snapshot_holds_no_environment_value_and_no_person() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().environment("API_KEY", "hunter2"));
    let observed = serde_json::to_string(&world.observe(&target).await).unwrap();
    let raw = world.sim.raw(&target).to_string();
    for secret in ["hunter2", "API_KEY", "deployer@example.com"] {
        assert!(raw.contains(secret));
        assert!(!observed.contains(secret), "{observed}");
    }
}

/// A finished call proves nothing: until the reconciliation has ended the former state is in force.
#[tokio::test]
async fn while_the_service_reconciles_a_stop_is_not_yet_verified() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    world.sim.set_pace(4);
    let stop = world.cloud_run();
    let watch = async {
        let mut seen = Vec::new();
        for _ in 0..20 {
            let observed = world.observe(&target).await;
            if observed.state() == TargetState::Stopped {
                seen.push(observed.stopped().name());
            }
        }
        seen
    };
    let run = key("run-1");
    let (stopped, seen) = tokio::join!(stop.stop(&target, &run), watch);
    stopped.unwrap();
    assert_eq!(seen.first(), Some(&"not_yet"), "{seen:?}");
    assert_eq!(seen.last(), Some(&"holds"), "{seen:?}");
}

/// Services that are scaled by hand to zero are stopped, whoever did it; others are not, whatever their zeros.
#[tokio::test]
async fn a_stop_by_hand_counts_and_is_left_alone() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    assert_eq!(world.sim.raw(&target)["scaling"]["manualInstanceCount"], 0);
    assert_eq!(world.observe(&target).await.state(), TargetState::Serving);
    world
        .sim
        .set_scaling_by_hand(&target, Scaling::Manual(0))
        .unwrap();
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    assert_eq!(world.writes(), 0);
    assert_eq!(world.observe(&target).await.marker(), None);
}

#[tokio::test]
async fn the_limitations_are_said_in_both_languages() {
    let capability = World::new().await.cloud_run().capability();
    assert!(capability.leaves_marker && capability.lets_running_requests_finish);
    assert_eq!(capability.limitations.len(), 4);
    for limitation in &capability.limitations {
        assert!(!limitation.get(Lang::Ja).is_ascii());
        assert!(limitation.get(Lang::En).is_ascii());
    }
}
