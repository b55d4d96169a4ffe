//! What the doctor asks of Cloud Run: each thing that is wrong turns its line red, and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::{CheckState, TargetId};
use ops_core::ports::{Clock, Inventory, ReadinessProbe};
use ops_core::testkit::{Fault, FaultRule, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::sim::ServiceSeed;
use ops_gcp::run::{CloudRunInventory, CloudRunTraffic};

use super::world::World;

/// By name and subject, what is not ready.
async fn not_ready(world: &World, targets: &[TargetId]) -> BTreeMap<(String, String), CheckState> {
    let checks = world.cloud_run().examine(targets).await;
    assert_eq!(world.sim.writes(), 0, "the doctor has written");
    assert!(
        checks
            .iter()
            .all(|check| (check.state == CheckState::Ready) == check.remedy.is_none()),
        "{checks:#?}"
    );
    checks
        .into_iter()
        .filter(|check| check.state != CheckState::Ready)
        .map(|check| ((check.name, check.subject), check.state))
        .collect()
}

fn red(name: &str, subject: &str) -> ((String, String), CheckState) {
    ((name.to_owned(), subject.to_owned()), CheckState::Missing)
}

async fn world_with_api() -> (World, TargetId) {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    world.sim.set_date(world.clock.now());
    (world, target)
}

#[tokio::test]
async fn with_the_smallest_role_everything_is_ready() {
    let (world, target) = world_with_api().await;
    let raw = world.sim.raw(&target);
    assert_eq!(
        not_ready(&world, std::slice::from_ref(&target)).await,
        BTreeMap::new()
    );
    assert_eq!(world.sim.raw(&target), raw);
    let checks = world.cloud_run().examine(&[target]).await;
    // Credential, clock, reachability; service, two permissions, two excesses; operations; three excesses of the project.
    assert_eq!(checks.len(), 12, "{checks:#?}");
}

#[tokio::test]
async fn a_permission_that_is_not_granted_is_named() {
    for permission in ["run.services.get", "run.services.update", "run.operations.get"] {
        let (world, target) = world_with_api().await;
        world.sim.revoke(permission);
        let found = not_ready(&world, std::slice::from_ref(&target)).await;
        let subject = match permission {
            "run.operations.get" => "cloud-run:soul-kun/asia-northeast1",
            _ => target.as_str(),
        };
        let (key, state) = red(&format!("permission:{permission}"), subject);
        assert_eq!(found.get(&key), Some(&state), "{found:#?}");
        // Without the right to read, the service cannot be read either; the other two leave one red line.
        let lines = if permission == "run.services.get" { 2 } else { 1 };
        assert_eq!(found.len(), lines, "{found:#?}");
    }
}

#[tokio::test]
async fn a_permission_that_is_never_needed_must_not_be_granted() {
    for (permission, on_project) in [
        ("run.services.delete", false),
        ("run.services.setIamPolicy", false),
        ("resourcemanager.projects.setIamPolicy", true),
        ("resourcemanager.projects.delete", true),
        ("iam.serviceAccountKeys.create", true),
    ] {
        let (world, target) = world_with_api().await;
        world.sim.grant(permission);
        let found = not_ready(&world, std::slice::from_ref(&target)).await;
        let subject = if on_project { "soul-kun" } else { target.as_str() };
        assert_eq!(
            found,
            BTreeMap::from([red(&format!("excess:{permission}"), subject)])
        );
    }
}

#[tokio::test]
async fn an_expired_token_is_told_from_a_missing_permission() {
    let (world, target) = world_with_api().await;
    world.sim.expire_token("t0ken");
    let found = not_ready(&world, &[target]).await;
    let (key, state) = red("credential-valid", "cloud-run");
    assert_eq!(found.get(&key), Some(&state), "{found:#?}");
    // That nobody could ask for the excess is unknown, not all well.
    assert_eq!(
        found[&("excess:run.services.delete".to_owned(), target_name())],
        CheckState::Unknown
    );
}

fn target_name() -> String {
    "cloud-run:soul-kun/asia-northeast1/api".to_owned()
}

#[tokio::test]
async fn a_service_that_is_gone_has_one_red_line() {
    let (world, target) = world_with_api().await;
    let gone = CloudRunTraffic::target("soul-kun", "asia-northeast1", "gone").unwrap();
    let found = not_ready(&world, &[target, gone.clone()]).await;
    assert_eq!(found, BTreeMap::from([red("service-readable", gone.as_str())]));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_seen() {
    let (world, target) = world_with_api().await;
    world.sim.set_date(world.clock.now() + Duration::from_secs(300));
    let found = not_ready(&world, &[target]).await;
    assert_eq!(found, BTreeMap::from([red("clock", "cloud-run")]));
}

#[tokio::test]
async fn a_vendor_that_does_not_answer_is_unknown_never_ready_and_never_missing() {
    let (world, target) = world_with_api().await;
    world.faults.add(FaultRule::on_all(Fault::Refused, ""));
    let checks = world.cloud_run().examine(std::slice::from_ref(&target)).await;
    assert!(
        checks.iter().all(|check| check.state == CheckState::Unknown),
        "{checks:#?}"
    );
    world.faults.clear();
    world.faults.add(FaultRule::on_all(Fault::Unavailable, ""));
    let found = not_ready(&world, &[target]).await;
    assert!(
        found.values().all(|state| *state == CheckState::Unknown),
        "{found:#?}"
    );
}

#[tokio::test]
async fn a_disabled_api_is_said_with_what_to_do() {
    let (world, target) = world_with_api().await;
    world.sim.disable_api("soul-kun");
    let checks = world.cloud_run().examine(&[target]).await;
    let service = checks
        .iter()
        .find(|check| check.name == "service-readable")
        .unwrap();
    assert_eq!(service.state, CheckState::Missing);
    assert!(
        service
            .detail
            .as_deref()
            .unwrap()
            .contains("gcloud services enable"),
        "{service:?}"
    );
}

#[tokio::test]
async fn every_page_of_every_region_is_listed() {
    let world = World::new().await;
    world.sim.set_page(2);
    let add = |region: &str, name: &str| {
        let seed = ServiceSeed::new();
        world.sim.add_service("soul-kun", region, name, seed).unwrap()
    };
    let mut expected: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|name| add("asia-northeast1", name))
        .into();
    expected.push(add("us-east1", "a"));
    add("europe-west1", "not-looked-at");
    let regions = ["us-east1", "asia-northeast1", "us-east1"].map(str::to_owned);
    let inventory = CloudRunInventory::new(&world.cloud_run(), "soul-kun", regions).unwrap();
    ops_core::testkit::inventory(&inventory, &expected).await;
    assert_eq!(world.sim.writes(), 0);
    assert!(
        inventory.limitations()[0]
            .get(ops_core::model::Lang::En)
            .contains("asia-northeast1, us-east1")
    );
}

/// "Location must be a valid Google Cloud region, and cannot be the "-" wildcard."
#[tokio::test]
async fn the_wildcard_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let all = CloudRunInventory::new(&world.cloud_run(), "soul-kun", ["-".to_owned()]);
    assert_eq!(all.unwrap_err().kind(), ErrorKind::InvalidInput);
    let none = CloudRunInventory::new(&world.cloud_run(), "soul-kun", []);
    assert_eq!(none.unwrap_err().kind(), ErrorKind::InvalidInput);
    let url = format!("{}/v2/projects/soul-kun/locations/-/services", world.base_url());
    world.add(ServiceSeed::new());
    let request = ops_core::http::HttpRequest::new(ops_core::http::Method::Get, url)
        .with_bearer(&secrecy::SecretString::from("any"));
    assert_eq!(loopback_transport().send(request).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_region_that_cannot_be_listed_leaves_the_others() {
    let world = World::new().await;
    world.add(ServiceSeed::new());
    let regions = || ["us-east1", "asia-northeast1"].map(str::to_owned);
    world.sim.cut_off_region("us-east1");
    let inventory = CloudRunInventory::new(&world.cloud_run(), "soul-kun", regions()).unwrap();
    let deployed = inventory.deployed().await.unwrap();
    assert_eq!(deployed.read, ["cloud-run:soul-kun/asia-northeast1/"]);
    assert_eq!(deployed.unread[0].0, "cloud-run:soul-kun/us-east1/");
    assert_eq!(deployed.services.len(), 1);

    world.sim.revoke("run.services.list");
    let error = inventory.deployed().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_a_missing_credential() {
    let (world, target) = world_with_api().await;
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(Arc::new(StaticToken::new("")))
        .with_clock(Arc::new(ManualClock::self_moving()))
        .with_base_url(world.base_url())
        .build()
        .unwrap();
    let checks = cloud_run.examine(&[target]).await;
    let credential = checks
        .iter()
        .find(|check| check.name == "credential-valid")
        .unwrap();
    assert_eq!(credential.state, CheckState::Missing);
}
