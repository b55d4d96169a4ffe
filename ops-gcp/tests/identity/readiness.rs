//! Whether it would work, without writing.

use std::sync::Arc;

use ops_core::model::{Check, CheckState, TargetId};
use ops_core::ports::{AccountSuspender, Action, ReadinessProbe};
use ops_core::testkit::{self, Fault, FaultRule, Faults, LoopbackServer, ManualClock};
use ops_gcp::identity::REQUIRED;
use ops_gcp::identity::sim::IdentitySim;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};

use super::world::{EMAIL, PROJECT, USER, World};

fn of<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract_of_a_readiness_probe() {
    let world = World::new().await;
    let known = world.revoke().target().clone();
    let unknown = TargetId::new("sessions:gcip/soul-kun/-/u-unknown").unwrap();
    testkit::readiness_probe(&world.users(), &known, &unknown).await;
    // The same id in a tenant is nobody yet.
    let of_tenant = world.users().with_tenant("org-one").unwrap();
    let checks = of_tenant.examine(&[known]).await;
    assert_eq!(of(&checks, "user").state, CheckState::Missing);
    for elsewhere in [
        "queue:gcip/soul-kun/-/",
        "sessions:gcip/soul-kun/-x/",
        "account:memory/",
    ] {
        let target = TargetId::new(format!("{elsewhere}{USER}")).unwrap();
        let checks = world.users().examine(&[target]).await;
        assert_eq!(of(&checks, "user").state, CheckState::Missing, "{elsewhere}");
    }
    let account = TargetId::new(format!("account:gcip/soul-kun/-/{USER}")).unwrap();
    let checks = world.users().examine(&[account]).await;
    assert_eq!(of(&checks, "user").state, CheckState::Ready);
    assert_eq!(world.sim.writes(), 0);
}

#[tokio::test]
async fn each_permission_that_lacks_is_named_and_one_that_cannot_be_read_is_unknown() {
    for permission in REQUIRED {
        let world = World::new().await;
        world.sim.revoke(permission);
        let checks = world.users().examine(&[]).await;
        for other in REQUIRED {
            let check = of(&checks, &format!("permission:{other}"));
            let wanted = match other == permission {
                true => CheckState::Missing,
                false => CheckState::Ready,
            };
            assert_eq!(check.state, wanted, "{other} without {permission}");
        }
    }
    let world = World::new().await;
    let rule = FaultRule::on_all(Fault::Unavailable, "cloudresourcemanager");
    world.faults.add(rule);
    let checks = world.users().examine(&[]).await;
    assert_eq!(checks.len(), 4);
    let (lookup, of_project): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check.name == "user-lookup");
    assert!(
        of_project.iter().all(|check| check.state == CheckState::Unknown),
        "{checks:#?}"
    );
    assert_eq!(lookup[0].state, CheckState::Ready);
}

/// Where the service is not enabled, permissions are granted all the same.
#[tokio::test]
async fn without_a_user_to_look_for_the_service_itself_is_asked() {
    let world = World::new().await;
    let rule = FaultRule::on_all(Fault::Forbidden, "identitytoolkit");
    world.faults.add(rule);
    let checks = world.users().examine(&[]).await;
    for permission in REQUIRED {
        let check = of(&checks, &format!("permission:{permission}"));
        assert_eq!(check.state, CheckState::Ready);
    }
    assert_ne!(of(&checks, "user-lookup").state, CheckState::Ready);
    let nowhere = World::new().await.users().with_tenant("org-nowhere").unwrap();
    let checks = nowhere.examine(&[]).await;
    assert_ne!(of(&checks, "user-lookup").state, CheckState::Ready);
}

/// At one address with others, permissions are the project's and the vendor of the others has them.
#[tokio::test]
async fn users_beside_other_services_have_their_permissions_from_these() {
    let (faults, clock) = (Faults::new(), Arc::new(ManualClock::self_moving()));
    let cloud_run = CloudRunSim::new(faults.clone());
    // A project is known there by its services.
    cloud_run
        .add_service(PROJECT, "asia-northeast1", "api", ServiceSeed::new())
        .unwrap();
    let sim = IdentitySim::beside(
        Arc::clone(&cloud_run) as _,
        PROJECT,
        Arc::clone(&clock) as _,
        faults,
    );
    sim.add_user(None, USER, EMAIL);
    let server = LoopbackServer::start(sim).await.unwrap();
    let world = World::new().await;
    let users = world.users().with_base_url(&server.base_url()).unwrap();
    assert!(AccountSuspender::account(&users, USER).await.is_ok());
    for state in [CheckState::Missing, CheckState::Ready] {
        let checks = users.examine(&[]).await;
        for permission in REQUIRED {
            assert_eq!(of(&checks, &format!("permission:{permission}")).state, state);
        }
        REQUIRED.iter().for_each(|permission| cloud_run.grant(permission));
    }
}
