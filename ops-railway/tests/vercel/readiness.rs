//! What the doctor asks of Vercel: each thing that is wrong turns its line red, and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::{CheckState, TargetId};
use ops_core::ports::{Clock, Inventory, ReadinessProbe};
use ops_core::testkit::{
    Fault, FaultRule, Faults, LoopbackServer, ManualClock, inventory, loopback_transport, readiness_probe,
};
use ops_railway::vercel::sim::{ProjectSeed, VercelSim};
use ops_railway::vercel::{VercelInventory, VercelTraffic};

struct Place {
    sim: Arc<VercelSim>,
    faults: Faults,
    clock: Arc<ManualClock>,
    server: LoopbackServer,
    web: TargetId,
}

impl Place {
    async fn new() -> Self {
        let faults = Faults::new();
        let sim = VercelSim::new(faults.clone());
        let web = sim.add_project(ProjectSeed::new("prj_web").unwrap().with_team("team_1"));
        let clock = Arc::new(ManualClock::self_moving());
        sim.set_date(clock.now());
        let server = LoopbackServer::start(Arc::<VercelSim>::clone(&sim))
            .await
            .unwrap();
        Self {
            sim,
            faults,
            clock,
            server,
            web,
        }
    }

    fn traffic(&self, team: Option<&str>) -> VercelTraffic {
        VercelTraffic::builder()
            .with_transport(loopback_transport())
            .with_token("token".into())
            .with_team(team.map(str::to_owned))
            .with_base_url(self.server.base_url())
            .with_clock(Arc::<ManualClock>::clone(&self.clock))
            .build()
            .unwrap()
    }

    /// What is not ready, by name. The right to write is a story of its own.
    async fn not_ready(&self, targets: &[TargetId]) -> BTreeMap<String, CheckState> {
        let checks = self.traffic(Some("team_1")).examine(targets).await;
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
}

fn missing(names: &[&str]) -> BTreeMap<String, CheckState> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), CheckState::Missing))
        .collect()
}

#[tokio::test]
async fn a_token_of_the_team_is_ready_and_nothing_changes() {
    let place = Place::new().await;
    let before = place.sim.raw(&place.web);
    assert_eq!(
        place.not_ready(std::slice::from_ref(&place.web)).await,
        BTreeMap::new()
    );
    assert_eq!(place.sim.raw(&place.web), before);
    let gone = VercelTraffic::target("prj_gone").unwrap();
    readiness_probe(&place.traffic(Some("team_1")), &place.web, &gone).await;
}

#[tokio::test]
async fn the_right_to_write_is_unknown_once_the_token_may_read() {
    let place = Place::new().await;
    let asked = async || {
        let traffic = place.traffic(Some("team_1"));
        let checks = traffic.examine(std::slice::from_ref(&place.web)).await;
        let mut checks = checks.into_iter();
        checks.find(|check| check.name == "permission:write")
    };
    let check = asked().await.unwrap();
    assert_eq!(
        (check.state, check.subject.as_str()),
        (CheckState::Unknown, "vercel")
    );
    assert!(check.remedy.is_some());
    place.sim.expire_token("token");
    assert_eq!(asked().await, None, "what is missing is told");
    assert_eq!(place.traffic(None).limitations().len(), 2);
}

#[tokio::test]
async fn an_expired_token_and_a_missing_right_are_told_apart() {
    let place = Place::new().await;
    place.sim.expire_token("token");
    let found = place.not_ready(std::slice::from_ref(&place.web)).await;
    assert_eq!(found, missing(&["credential-valid", "service-readable"]));

    let place = Place::new().await;
    place.faults.add(FaultRule::on_all(Fault::Forbidden, ""));
    let found = place.not_ready(std::slice::from_ref(&place.web)).await;
    assert_eq!(found, missing(&["credential-scope", "service-readable"]));
}

/// A read takes a project's name, a pause its id only.
#[tokio::test]
async fn a_name_in_place_of_an_id_a_deleted_project_and_another_team_are_named() {
    let place = Place::new().await;
    let named = VercelTraffic::target("name-of-prj_web").unwrap();
    let checks = place.traffic(Some("team_1")).examine(&[named]).await;
    let check = checks
        .iter()
        .find(|check| check.name == "service-readable")
        .unwrap();
    assert_eq!(check.state, CheckState::Missing);
    assert!(check.detail.as_deref().unwrap().contains("id only"));

    let found = place
        .traffic(None)
        .examine(std::slice::from_ref(&place.web))
        .await;
    assert!(found.iter().any(|check| check.state == CheckState::Missing));

    place.sim.delete_project(&place.web);
    assert_eq!(
        place.not_ready(std::slice::from_ref(&place.web)).await,
        missing(&["service-readable"])
    );
}

#[tokio::test]
async fn a_wrong_clock_is_seen_and_an_outage_is_unknown() {
    let place = Place::new().await;
    place.sim.set_date(place.clock.now() + Duration::from_secs(3600));
    assert_eq!(
        place.not_ready(std::slice::from_ref(&place.web)).await,
        missing(&["clock"])
    );
    for fault in [Fault::Unavailable, Fault::Refused, Fault::TooManyRequests] {
        place.faults.clear();
        place.faults.add(FaultRule::on_all(fault, ""));
        let found = place.not_ready(std::slice::from_ref(&place.web)).await;
        assert!(
            !found.is_empty() && found.values().all(|state| *state == CheckState::Unknown),
            "{found:#?}"
        );
    }
}

#[tokio::test]
async fn every_page_of_the_team_is_listed() {
    let place = Place::new().await;
    place.sim.set_page(2);
    let mut expected = vec![place.web.clone()];
    for id in ["prj_b", "prj_c", "prj_d", "prj_e"] {
        let seed = ProjectSeed::new(id).unwrap().with_team("team_1");
        expected.push(place.sim.add_project(seed));
    }
    let own = place.sim.add_project(ProjectSeed::new("prj_mine").unwrap());
    inventory(&VercelInventory::new(&place.traffic(Some("team_1"))), &expected).await;
    inventory(&VercelInventory::new(&place.traffic(None)), &[own]).await;
    assert_eq!(place.sim.writes(), 0);
    place.sim.expire_token("token");
    let error = VercelInventory::new(&place.traffic(None))
        .deployed()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}
