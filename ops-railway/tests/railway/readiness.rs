//! What the doctor asks of Railway: each thing that is wrong turns its line red, and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::{CheckState, TargetId};
use ops_core::ports::{Clock, Inventory, ReadinessProbe};
use ops_core::testkit::{
    Fault, FaultRule, Faults, LoopbackServer, ManualClock, inventory, loopback_transport, readiness_probe,
};
use ops_railway::railway::sim::{RailwaySim, ServiceSeed};
use ops_railway::railway::{RailwayInventory, RailwayToken, RailwayTraffic};

struct Place {
    sim: Arc<RailwaySim>,
    faults: Faults,
    clock: Arc<ManualClock>,
    server: LoopbackServer,
    api: TargetId,
}

fn seed(service: &str) -> ServiceSeed {
    ServiceSeed::new("prj-1", "env-1", service).unwrap()
}

impl Place {
    async fn new() -> Self {
        let faults = Faults::new();
        let sim = RailwaySim::new(faults.clone());
        sim.add_project_token("project", "prj-1", "env-1");
        let api = sim.add_service(seed("api"));
        let clock = Arc::new(ManualClock::self_moving());
        sim.set_date(clock.now());
        let server = LoopbackServer::start(Arc::<RailwaySim>::clone(&sim))
            .await
            .unwrap();
        Self {
            sim,
            faults,
            clock,
            server,
            api,
        }
    }

    fn traffic(&self, token: RailwayToken) -> RailwayTraffic {
        RailwayTraffic::builder()
            .with_transport(loopback_transport())
            .with_token(token)
            .with_base_url(self.server.base_url())
            .with_clock(Arc::<ManualClock>::clone(&self.clock))
            .build()
            .unwrap()
    }

    fn project(&self) -> RailwayTraffic {
        self.traffic(RailwayToken::Project("project".into()))
    }

    /// What is not ready, by name. The right to write is a story of its own.
    async fn not_ready(&self, token: RailwayToken, targets: &[TargetId]) -> BTreeMap<String, CheckState> {
        let checks = self.traffic(token).examine(targets).await;
        assert_eq!(self.sim.writes(), 0, "the doctor has written");
        checks
            .into_iter()
            .filter(|check| check.state != CheckState::Ready && check.name != "permission:write")
            .map(|check| {
                assert!(check.remedy.is_some());
                (check.name, check.state)
            })
            .collect()
    }

    async fn with_project(&self) -> BTreeMap<String, CheckState> {
        self.not_ready(
            RailwayToken::Project("project".into()),
            std::slice::from_ref(&self.api),
        )
        .await
    }
}

fn missing(names: &[&str]) -> BTreeMap<String, CheckState> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), CheckState::Missing))
        .collect()
}

#[tokio::test]
async fn a_token_of_the_environment_is_ready_and_nothing_changes() {
    let place = Place::new().await;
    let before = place.sim.raw(&place.api);
    assert_eq!(place.with_project().await, BTreeMap::new());
    let bearer = RailwayToken::Bearer("account".into());
    assert_eq!(
        place.not_ready(bearer, std::slice::from_ref(&place.api)).await,
        BTreeMap::new()
    );
    assert_eq!(place.sim.raw(&place.api), before);
    let gone = RailwayTraffic::target("prj-1", "env-1", "none").unwrap();
    readiness_probe(&place.project(), &place.api, &gone).await;
}

#[tokio::test]
async fn the_right_to_write_is_unknown_once_the_token_may_read() {
    let place = Place::new().await;
    let asked = async || {
        let checks = place.project().examine(std::slice::from_ref(&place.api)).await;
        let mut checks = checks.into_iter();
        checks.find(|check| check.name == "permission:write")
    };
    let check = asked().await.unwrap();
    assert_eq!(
        (check.state, check.subject.as_str()),
        (CheckState::Unknown, "railway")
    );
    assert!(check.remedy.is_some());
    place.sim.revoke_project_token("project");
    assert_eq!(asked().await, None, "what is missing is told");
    assert_eq!(place.project().limitations().len(), 2);
}

#[tokio::test]
async fn a_revoked_token_is_a_missing_credential() {
    let place = Place::new().await;
    place.sim.revoke_project_token("project");
    assert_eq!(
        place.with_project().await,
        missing(&["credential-scope", "credential-valid", "service-readable"])
    );
}

/// Sent as the other sort, a token is refused.
#[tokio::test]
async fn a_token_of_the_wrong_kind_is_a_missing_credential() {
    let place = Place::new().await;
    let bearer = RailwayToken::Bearer("project".into());
    let found = place.not_ready(bearer, std::slice::from_ref(&place.api)).await;
    assert_eq!(found, missing(&["credential-valid", "service-readable"]));
}

#[tokio::test]
async fn a_token_of_another_environment_is_named_as_such() {
    let place = Place::new().await;
    place.sim.add_project_token("staging", "prj-1", "env-staging");
    let staging = RailwayToken::Project("staging".into());
    let found = place.not_ready(staging, std::slice::from_ref(&place.api)).await;
    assert_eq!(found, missing(&["credential-scope", "service-readable"]));
}

#[tokio::test]
async fn a_deleted_service_and_a_full_plan_are_named() {
    let place = Place::new().await;
    place.sim.delete_service("api");
    assert_eq!(place.with_project().await, missing(&["service-readable"]));

    let place = Place::new().await;
    place.sim.add_service(seed("api").with_rule_limit(0));
    assert_eq!(place.with_project().await, missing(&["stop-rule-accepted"]));
    // A plan with room for one rule takes the stop rule in place of the others.
    let rules = serde_json::json!({"version": 1, "rules": [
        {"priority": 0, "enabled": true, "if": {"attr": "http.path", "op": "eq", "value": "/a"}, "then": {"action": "allow"}},
    ]});
    place
        .sim
        .add_service(seed("api").with_edge_rules(rules).with_rule_limit(1));
    assert_eq!(place.with_project().await, BTreeMap::new());
}

#[tokio::test]
async fn a_wrong_clock_is_seen_and_an_outage_is_unknown() {
    let place = Place::new().await;
    place.sim.set_date(place.clock.now() + Duration::from_secs(3600));
    assert_eq!(place.with_project().await, missing(&["clock"]));

    let place = Place::new().await;
    place.faults.add(FaultRule::on_all(Fault::Unavailable, ""));
    let found = place.with_project().await;
    assert!(
        !found.is_empty() && found.values().all(|state| *state == CheckState::Unknown),
        "{found:#?}"
    );
}

#[tokio::test]
async fn every_page_of_the_environment_is_listed_and_deleted_services_are_not() {
    let place = Place::new().await;
    place.sim.set_page(2);
    let mut expected = vec![place.api.clone()];
    for name in ["b", "c", "d", "e"] {
        expected.push(place.sim.add_service(seed(name)));
    }
    place.sim.add_service(seed("old"));
    place.sim.delete_service("old");
    place
        .sim
        .add_service(ServiceSeed::new("prj-1", "env-staging", "other").unwrap());
    let listed = RailwayInventory::new(&place.project(), "prj-1", "env-1").unwrap();
    inventory(&listed, &expected).await;
    assert_eq!(place.sim.writes(), 0);

    let elsewhere = RailwayInventory::new(&place.project(), "prj-1", "env-staging").unwrap();
    assert_eq!(
        elsewhere.deployed().await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}
