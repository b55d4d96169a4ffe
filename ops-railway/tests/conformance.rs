//! The suite of the port, for both platforms and for the states that a service can be found in.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, also outside the function that is marked as one"
)]

use std::sync::Arc;

use ops_core::testkit::{self, Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_railway::railway::sim::{Progress, RailwaySim, ServiceSeed};
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use ops_railway::vercel::VercelTraffic;
use ops_railway::vercel::sim::{ProjectSeed, VercelSim};
use serde_json::json;

async fn railway(seed: ServiceSeed, token: RailwayToken) {
    let sim = RailwaySim::new(Faults::new());
    sim.add_project_token("project-token", "prj-1", "env-1");
    let target = sim.add_service(seed);
    let server = LoopbackServer::start(sim).await.unwrap();
    let traffic = RailwayTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(token)
        .with_base_url(server.base_url())
        .with_clock(Arc::new(ManualClock::self_moving()))
        .build()
        .unwrap();
    testkit::traffic_controller(&traffic, &target).await;
}

async fn vercel(seed: ProjectSeed) {
    let sim = VercelSim::new(Faults::new());
    let target = sim.add_project(seed);
    let server = LoopbackServer::start(sim).await.unwrap();
    let traffic = VercelTraffic::builder()
        .with_transport(loopback_transport())
        .with_token("token".into())
        .with_base_url(server.base_url())
        .with_clock(Arc::new(ManualClock::self_moving()))
        .build()
        .unwrap();
    testkit::traffic_controller(&traffic, &target).await;
}

fn seed() -> ServiceSeed {
    ServiceSeed::new("prj-1", "env-1", "svc-1").unwrap()
}

#[tokio::test]
async fn railway_keeps_the_contract_of_the_port() {
    railway(seed(), RailwayToken::Bearer("account".into())).await;
}

#[tokio::test]
async fn railway_keeps_the_contract_with_a_project_token_rules_and_two_deployments() {
    let rules = json!({"version": 1, "rules": [
        {"priority": 0, "enabled": true, "if": {"attr": "http.path", "op": "eq", "value": "/a"}, "then": {"action": "allow"}},
    ]});
    let seed = seed()
        .with_edge_rules(rules)
        .with_auto_deploy(false)
        .with_running(["d2", "d1"]);
    railway(seed, RailwayToken::Project("project-token".into())).await;
}

#[tokio::test]
async fn railway_keeps_the_contract_when_a_deployment_went_live_just_before() {
    railway(
        seed().with_pending("d9", Progress::Building),
        RailwayToken::Bearer("account".into()),
    )
    .await;
}

#[tokio::test]
async fn railway_keeps_the_contract_for_a_service_without_a_domain() {
    railway(
        seed().without_public_domain(),
        RailwayToken::Bearer("account".into()),
    )
    .await;
}

#[tokio::test]
async fn vercel_keeps_the_contract_of_the_port() {
    vercel(ProjectSeed::new("prj_1").unwrap()).await;
}

#[tokio::test]
async fn vercel_keeps_the_contract_for_a_pinned_project() {
    vercel(ProjectSeed::new("prj_1").unwrap().with_auto_assign(false)).await;
}
