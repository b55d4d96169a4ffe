//! Every request and every answer against the vendor's discovery document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ops_core::ports::{AccountSuspender, ReadinessProbe, SessionRevoker};
use ops_gcp::identity::sim::{LOOKUP_FIELDS, UPDATE_FIELDS};

use super::discovery::{Discovery, Way};
use super::exchange::{Exchange, Recorder};
use super::world::{EMAIL, USER, World};

/// Everything that is asked and answered, of a user, of one in a tenant, of nobody, without rights.
async fn exchanges() -> Vec<Exchange> {
    let world = World::new().await;
    let tenant = Some("org-one");
    world.sim.add_user(tenant, USER, EMAIL);
    let recorder = Recorder::new();
    let users = world.users_over(Arc::clone(&recorder) as _, Arc::clone(&world.clock) as _);
    let in_tenant = users.clone().with_tenant("org-one").unwrap();
    let billed = users.clone().with_quota_project("soul-kun").unwrap();
    let key = world.key();
    for users in [&users, &in_tenant, &billed] {
        world.clock.advance(Duration::from_secs(5));
        world.sim.sign_in(None, USER).unwrap();
        users.sessions(USER).await.unwrap();
        users.revoke(USER, &key).await.unwrap();
        users.sessions(USER).await.unwrap();
        users.suspend(USER, &key).await.unwrap();
        users.account(USER).await.unwrap();
        users.resume(USER, &key).await.unwrap();
        users.examine(&[]).await;
    }
    users.sessions("u-unknown").await.unwrap_err();
    world.sim.set_valid_since(None, USER, None);
    users.sessions(USER).await.unwrap();
    world.sim.set_disabled(None, USER, true);
    users.sessions(USER).await.unwrap();
    world.sim.revoke("firebaseauth.users.update");
    users.revoke(USER, &key).await.unwrap_err();
    world.sim.revoke("firebaseauth.users.get");
    users.sessions(USER).await.unwrap_err();
    recorder.take()
}

#[tokio::test]
async fn what_is_asked_and_answered_keeps_the_vendors_schema() {
    let Some(vendor) = Discovery::open("identitytoolkit.v1.json") else {
        return;
    };
    let mut seen = BTreeMap::<_, usize>::new();
    for exchange in exchanges().await {
        let Exchange {
            method, path, status, ..
        } = &exchange;
        if path.ends_with(":testIamPermissions") {
            continue;
        }
        let found = vendor
            .method(method, path)
            .unwrap_or_else(|| panic!("the vendor has no {method} {path}"));
        let faults = found.request_faults(&exchange.query, exchange.body().as_ref());
        assert_eq!(faults, Vec::<String>::new(), "{path}");
        if *status == 200 {
            let faults = found.response_faults(&exchange.answer());
            assert_eq!(faults, Vec::<String>::new(), "{path}");
        }
        *seen.entry(format!("{} {status}", found.id())).or_default() += 1;
    }
    assert_eq!(
        seen.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "identitytoolkit.projects.accounts.lookup 200",
            "identitytoolkit.projects.accounts.lookup 403",
            "identitytoolkit.projects.accounts.update 200",
            "identitytoolkit.projects.accounts.update 403",
            "identitytoolkit.projects.tenants.accounts.lookup 200",
            "identitytoolkit.projects.tenants.accounts.update 200",
        ]
    );
}

/// The simulation refuses a field exactly where the vendor does not know it.
#[test]
fn the_simulation_knows_the_fields_that_the_vendor_knows() {
    let Some(vendor) = Discovery::open("identitytoolkit.v1.json") else {
        return;
    };
    for (schema, known) in [("Set", UPDATE_FIELDS), ("Get", LOOKUP_FIELDS)] {
        let schema = format!("GoogleCloudIdentitytoolkitV1{schema}AccountInfoRequest");
        let fields: BTreeSet<_> = vendor.schema(&schema).keys().map(String::as_str).collect();
        assert_eq!(fields, known.iter().copied().collect(), "{schema}");
    }
    // The field that is written is not the field that is read.
    let user = "GoogleCloudIdentitytoolkitV1UserInfo";
    let wrong = serde_json::json!({"disableUser": true});
    assert_eq!(vendor.faults(user, &wrong, Way::Response).len(), 1);
}

#[tokio::test]
async fn the_project_that_is_counted_is_named_only_where_it_was_set() {
    let exchanges = exchanges().await;
    let of_project = |name: &String| name == "x-goog-user-project";
    let named = exchanges
        .iter()
        .filter(|exchange| exchange.headers.iter().any(of_project));
    // Two of sessions, two of revoke, two of suspend, one of account, two of resume, one of the permissions, one of nobody.
    assert_eq!(named.count(), 11);
}
