//! What cannot be read is named, and hides nothing that can.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::CheckState;
use ops_core::ports::ReadinessProbe;
use ops_core::testkit::{Fault, FaultRule};
use ops_gcp::queues::sim::{JobSeed, QueueSeed, SubscriptionSeed};
use ops_gcp::queues::{GcpQueues, REQUIRED};
use ops_gcp::run::CloudRunTraffic;

use super::world::{API, PROJECT, REGION, World};
use ops_core::ports::Clock;

async fn one_of_each() -> World {
    let world = World::new().await;
    let host = API.trim_start_matches("https://");
    world
        .queues
        .add_subscription("events", SubscriptionSeed::push_to(API));
    world.queues.publish("events", 7);
    world
        .queues
        .add_queue(REGION, "tasks", QueueSeed::new().to_host(host));
    let next = world.clock.now() + Duration::from_secs(60);
    world.queues.add_job(REGION, "job", JobSeed::calls(API, next));
    world
}

#[tokio::test]
async fn without_one_permission_the_others_are_told_and_the_lack_is_named() {
    for (permission, left, unread) in [
        ("pubsub.subscriptions.list", 2, "Pub/Sub"),
        ("cloudtasks.queues.list", 2, "Cloud Tasks (asia-northeast1)"),
        ("cloudscheduler.jobs.list", 2, "Cloud Scheduler (asia-northeast1)"),
    ] {
        let world = one_of_each().await;
        world.queues.revoke(permission);
        let found = world.look(&[&world.api]).await;
        assert_eq!(found.queues.len(), left, "{permission}");
        let [(part, why)] = &found.unread[..] else {
            panic!("{found:#?}")
        };
        assert_eq!(part, unread);
        assert!(why.contains("permission denied"), "{why}");
    }
}

#[tokio::test]
async fn without_the_figures_the_queues_are_listed_with_an_unknown_backlog() {
    let world = one_of_each().await;
    world.queues.revoke("monitoring.timeSeries.list");
    let found = world.look(&[&world.api]).await;
    assert_eq!(found.queues.len(), 3);
    assert_eq!(found.queues[0].waiting, None, "not zero");
    let unread: Vec<_> = found.unread.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(
        unread,
        ["Pub/Sub (Cloud Monitoring)", "Cloud Tasks (Cloud Monitoring)"]
    );
}

#[tokio::test]
async fn a_service_that_fails_refuses_or_hangs_up_takes_down_its_own_part_only() {
    for (fault, said) in [
        (Fault::Unavailable, "unavailable"),
        (Fault::TooManyRequests, "rate limited"),
        (Fault::Refused, "unavailable"),
    ] {
        let world = one_of_each().await;
        world.faults.add(FaultRule::on_all(fault, "pubsub"));
        let found = world.look(&[&world.api]).await;
        assert_eq!(found.queues.len(), 2, "{fault:?}");
        assert_eq!(found.unread[0].0, "Pub/Sub");
        assert!(found.unread[0].1.contains(said), "{fault:?}: {:?}", found.unread);
    }
}

#[tokio::test]
async fn a_service_that_is_gone_is_named() {
    let world = one_of_each().await;
    world.cloud_run.remove_service(&world.api);
    let found = world.look(&[&world.api, &world.web]).await;
    assert_eq!(found.queues, []);
    assert!(
        found
            .unread
            .iter()
            .all(|(part, _)| *part == world.api.to_string())
    );
    assert!(!found.unread.is_empty());
}

#[tokio::test]
async fn the_doctor_names_each_permission_that_listing_needs_and_writes_nothing() {
    let world = one_of_each().await;
    let states = async || -> BTreeMap<String, CheckState> {
        let checks = world.gcp().examine(std::slice::from_ref(&world.api)).await;
        checks
            .into_iter()
            .map(|check| (format!("{} {}", check.subject, check.name), check.state))
            .collect()
    };
    // The permissions of the project are those that the simulation of Cloud Run, at the same address, tells.
    for permission in REQUIRED {
        world.cloud_run.grant(permission);
    }
    let ready = states().await;
    assert_eq!(ready.len(), 1 + 2 * REQUIRED.len());
    assert!(
        ready.values().all(|state| *state == CheckState::Ready),
        "{ready:#?}"
    );
    world.cloud_run.revoke("cloudtasks.tasks.list");
    let found = states().await;
    let missing: Vec<_> = found
        .iter()
        .filter(|(_, state)| **state != CheckState::Ready)
        .collect();
    let name = "permission:cloudtasks.tasks.list";
    assert_eq!(
        missing,
        [
            (
                &format!("cloud-run:soul-kun/asia-northeast1/api {name}"),
                &CheckState::Missing
            ),
            (&format!("{PROJECT} {name}"), &CheckState::Missing),
        ]
    );
    assert_eq!(world.cloud_run.writes(), 0);
    let checks = world.gcp().examine(&[]).await;
    let lacking = checks
        .iter()
        .find(|check| check.state == CheckState::Missing)
        .unwrap();
    assert!(lacking.remedy.is_some());
}

#[tokio::test]
async fn what_cannot_be_a_project_a_region_or_an_address_is_refused() {
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(ops_core::testkit::loopback_transport())
        .with_token(std::sync::Arc::new(ops_gcp::auth::StaticToken::new("any")))
        .with_clock(std::sync::Arc::new(ops_core::clock::SystemClock::new()))
        .build()
        .unwrap();
    let region = || [REGION.to_owned()];
    for (made, part) in [
        (
            GcpQueues::new(&cloud_run, PROJECT, []),
            "regions: name at least one",
        ),
        (GcpQueues::new(&cloud_run, "Soul/Kun", region()), "project: "),
        (GcpQueues::new(&cloud_run, PROJECT, ["-".to_owned()]), "region: "),
        (
            GcpQueues::new(&cloud_run, PROJECT, region())
                .unwrap()
                .with_base_url("http://10.0.0.1"),
            "base_url: must be https://host",
        ),
    ] {
        let error = made.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    }
}
