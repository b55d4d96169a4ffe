//! One test for each thing that this vendor does and nobody expects.

use std::sync::Arc;

use ops_core::error::ErrorKind;
use ops_core::http::{HttpRequest, Method};
use ops_core::model::{Lang, TargetState};
use ops_core::ports::TrafficController;
use ops_core::testkit::loopback_transport;
use ops_railway::vercel::VercelTraffic;

use crate::stage::{Stage, is_exact, key, seed};

/// Unpausing turns the flag on whatever it was. After a rollback it is off on purpose: with it on, the next push goes live.
#[tokio::test]
async fn a_pinned_project_stays_pinned_after_a_restore() {
    let stage = Stage::with(seed().with_auto_assign(false)).await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage.restore(prior.snapshot()).await.unwrap();
    assert_eq!(
        stage.changes(),
        [
            "POST /v1/projects/prj_1/pause",
            "POST /v1/projects/prj_1/unpause",
            "PATCH /v9/projects/prj_1"
        ]
    );
    let before = stage.at_rest().await;
    stage.sim.deploy(&stage.target).unwrap();
    assert!(
        before
            .snapshot()
            .differences(stage.at_rest().await.snapshot())
            .is_empty(),
        "a push went live"
    );
}

/// A pause turns the flag off as a side effect: it belongs to the snapshot although no stop writes it.
#[tokio::test]
async fn a_pause_changes_the_flag_too() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    let differences = prior.snapshot().differences(stage.observe().await.snapshot());
    let paths: Vec<_> = differences
        .iter()
        .map(|difference| difference.path.as_str())
        .collect();
    assert_eq!(paths, ["auto_assign_custom_domains", "paused"]);
}

/// With the flag on, a push takes over production behind the pause, and the unpause would show it.
#[tokio::test]
async fn a_pause_alone_is_no_stop() {
    let stage = Stage::with(seed().with_paused(true)).await;
    let before = stage.observe().await;
    assert_eq!(before.state(), TargetState::PartlyStopped);
    stage.sim.deploy(&stage.target).unwrap();
    let pushed = stage.observe().await;
    assert!(!before.snapshot().differences(pushed.snapshot()).is_empty());

    stage.stop().await.unwrap();
    stage.sim.deploy(&stage.target).unwrap();
    let after = stage.observe().await;
    assert!(after.stopped().holds());
    assert_eq!(
        after.snapshot().witness()["production_deployment"],
        pushed.snapshot().witness()["production_deployment"]
    );
}

/// A tired person reads these.
#[tokio::test]
async fn a_limitation_is_one_short_clause() {
    let limitations = Stage::new().await.traffic.capability().limitations;
    assert_eq!(limitations.len(), 3);
    for text in limitations {
        for lang in [Lang::Ja, Lang::En] {
            assert!(text.get(lang).chars().count() <= 90, "{}", text.get(lang));
        }
    }
}

/// 200 means accepted. The pause shows some time later.
#[tokio::test]
async fn an_accepted_pause_is_not_yet_a_stop() {
    let stage = Stage::new().await;
    stage.stop().await.unwrap();
    assert_eq!(stage.observe().await.state(), TargetState::Serving);
    assert!(stage.watch(|seen| seen.stopped().holds()).await.stopped().holds());
}

/// The CDN goes on serving cached pages during a pause; only an uncached path shows the 503.
#[tokio::test]
async fn cached_pages_survive_a_pause_and_the_report_says_so() {
    let stage = Stage::new().await;
    stage.stopped().await;
    assert_eq!(
        (
            stage.sim.probe(&stage.target),
            stage.sim.probe_cached(&stage.target)
        ),
        (503, 200)
    );
    let seen = stage.observe().await;
    assert!(
        seen.caveats()
            .iter()
            .any(|caveat| caveat.get(Lang::En).contains("cached"))
    );
    let limitations = stage.traffic.capability().limitations;
    assert!(limitations.iter().any(|text| text.get(Lang::Ja).contains("CDN")));
}

/// The vendor has no place for a marker.
#[tokio::test]
async fn there_is_no_marker_and_the_capability_says_so() {
    let stage = Stage::new().await;
    stage.stopped().await;
    assert_eq!(stage.observe().await.marker(), None);
    assert!(!stage.traffic.capability().leaves_marker);
}

/// The team is `teamId`. `teamID`, as in published examples, is ignored, and the call acts on the personal scope.
#[tokio::test]
async fn the_team_goes_into_the_query_in_its_one_right_spelling() {
    let stage = Stage::with(seed().with_team("team_1")).await;
    let team = stage.with_team(Some("team_1"));
    assert_eq!(
        team.observe(&stage.target).await.unwrap().state(),
        TargetState::Serving
    );
    assert_eq!(stage.sim.requests()[0].query("teamId"), Some("team_1"));
    team.stop(&stage.target, &key()).await.unwrap();

    for wrong in [None, Some("team_2")] {
        let other = stage.with_team(wrong);
        assert_eq!(
            other.observe(&stage.target).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let error = other.stop(&stage.target, &key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    let misspelt = format!("{}/v1/projects/prj_1/pause?teamID=team_1", stage.base_url());
    let request = HttpRequest::new(Method::Post, misspelt).with_bearer(&"token".into());
    assert_eq!(loopback_transport().send(request).await.unwrap().status(), 403);
}

/// A wrong id gives 404 on a read and 400 on a pause; both mean that there is no such project.
#[tokio::test]
async fn a_wrong_id_is_not_found_everywhere() {
    let stage = Stage::new().await;
    let nowhere = VercelTraffic::target("prj_none").unwrap();
    assert_eq!(
        stage.traffic.observe(&nowhere).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = stage.traffic.stop(&nowhere, &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("status: 400"), "{error}");
}

/// Reads take a name as well as an id, pauses only an id: a name must not look as if it worked.
#[tokio::test]
async fn a_name_in_place_of_an_id_is_refused() {
    let stage = Stage::new().await;
    stage.stop().await.unwrap();
    let by_name = VercelTraffic::target("name-of-prj_1").unwrap();
    assert_eq!(
        stage.traffic.observe(&by_name).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let sent = stage.changes().len();
    assert_eq!(
        stage.traffic.stop(&by_name, &key()).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(stage.changes().len(), sent);
}

/// A project that was never paused has no field `paused`.
#[tokio::test]
async fn a_missing_field_is_not_a_pause() {
    let stage = Stage::new().await;
    assert!(stage.sim.raw(&stage.target).unwrap().get("paused").is_none());
    let prior = stage.observe().await;
    stage.stopped().await;
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(stage.sim.raw(&stage.target).unwrap().get("paused").is_some());
    assert!(is_exact(prior.snapshot(), &stage.at_rest().await));
}

#[tokio::test]
async fn a_missing_token_is_not_a_missing_right() {
    let stage = Stage::new().await;
    let url = format!("{}/v9/projects/prj_1", stage.base_url());
    let response = loopback_transport()
        .send(HttpRequest::new(Method::Get, url))
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
}

#[test]
fn a_builder_names_every_fault_at_once_and_no_token() {
    let error = VercelTraffic::builder()
        .with_base_url("api.vercel.com")
        .with_token("se cret".into())
        .with_team(Some("team_1&slug=x".to_owned()))
        .with_clock(Arc::new(ops_core::testkit::ManualClock::self_moving()))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    for part in ["base url", "token", "team", "transport"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("clock") && !text.contains("cret"), "{text}");
}
