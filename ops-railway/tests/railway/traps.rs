//! One test for each thing that this vendor does and nobody expects.

use std::sync::Arc;

use ops_core::error::{ErrorKind, Retry};
use ops_core::model::{Lang, Observation, TargetState};
use ops_core::ports::TrafficController;
use ops_core::testkit::{Fault, FaultRule, loopback_transport};
use ops_railway::railway::sim::{Problem, Progress};
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use serde_json::json;

use crate::stage::{RefusingOnce, Rewriting, Stage, bearer, is_exact, key, seed};

/// A queued deployment goes live after the stop unless it is cancelled.
#[tokio::test]
async fn a_deployment_in_progress_never_goes_live_after_a_stop() {
    let untouched = Stage::with(seed().with_pending("d9", Progress::Queued)).await;
    for _ in 0..8 {
        untouched.observe().await;
    }
    assert_eq!(
        untouched.observe().await.snapshot().field("running"),
        Some(&json!(["d9"]))
    );

    let stage = Stage::with(seed().with_pending("d9", Progress::Queued)).await;
    stage.stopped().await;
    for _ in 0..8 {
        assert!(stage.observe().await.stopped().holds());
    }
}

/// The status of a stopped deployment stays SUCCESS; `deploymentStopped` turns true some time after the `true`.
#[tokio::test]
async fn an_accepted_stop_is_no_stop_and_the_status_does_not_show_it() {
    let stage = Stage::new().await;
    stage.stop().await.unwrap();
    let seen = stage.observe().await;
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    assert!(seen.settled().reason().unwrap().contains("has not stopped yet"));
    assert!(stage.watch_stop().await.stopped().holds());
    let raw = stage.sim.raw(&stage.target).unwrap();
    assert_eq!(raw["deployments"][0]["status"], "SUCCESS");
    assert_eq!(raw["deployments"][0]["deploymentStopped"], true);
}

/// With auto-deploy on, the next push brings the bad version back.
#[tokio::test]
async fn a_push_during_the_stop_starts_nothing_and_works_again_after_the_restore() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    assert_eq!(stage.sim.deploy(&stage.target), None);
    assert!(stage.observe().await.stopped().holds());
    stage.restore(prior.snapshot()).await.unwrap();
    stage.watch_restore(prior.snapshot()).await;
    assert!(stage.sim.deploy(&stage.target).is_some());
}

/// A push can come between the first look and the end of auto-deploy.
#[tokio::test]
async fn a_push_in_the_middle_of_a_stop_is_cancelled_with_the_rest() {
    let stage = Stage::new().await;
    stage.faults.add(FaultRule::on_writes(Fault::Drift, "").times(1));
    stage.stopped().await;
    assert!(stage.mutations().contains(&"DeploymentCancel".to_owned()));
}

/// A newer deployment is no field that a restore writes, but it shows that somebody was here.
#[tokio::test]
async fn a_newer_deployment_shows_as_drift() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    let new = stage.sim.deploy(&stage.target).unwrap();
    let now = stage.observe().await;
    let differences = prior.snapshot().differences(now.snapshot());
    let paths: Vec<_> = differences
        .iter()
        .map(|difference| difference.path.as_str())
        .collect();
    assert_eq!(paths, ["latest_commit", "latest_deployment"]);
    assert_eq!(differences[1].found, Some(new.into()));
}

/// A project token is bound to one environment. "Not Authorized" would come too late to say so.
#[tokio::test]
async fn a_project_token_of_another_environment_changes_nothing_and_names_no_id() {
    let stage = Stage::new().await;
    stage.sim.add_project_token("tok-same", "prj-1", "env-1");
    stage.sim.add_project_token("tok-env", "prj-1", "env-secret");
    stage.sim.add_project_token("tok-prj", "prj-secret", "env-1");
    let prior = stage.observe().await;
    for (token, what) in [("tok-env", "another environment"), ("tok-prj", "another project")] {
        let foreign = stage.with_token(RailwayToken::Project(token.into()));
        let stop = foreign.stop(&stage.target, &key("run_1")).await.unwrap_err();
        let restore = foreign
            .restore(prior.snapshot(), &key("run_2"))
            .await
            .unwrap_err();
        for error in [stop, restore] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains(what), "{error}");
            assert!(
                !error.to_string().contains("secret") && !error.to_string().contains("tok-"),
                "{error}"
            );
        }
        let observed = foreign.observe(&stage.target).await.unwrap_err();
        assert_eq!(observed.kind(), ErrorKind::PermissionDenied);
    }
    assert!(stage.mutations().is_empty());

    let own = stage.with_token(RailwayToken::Project("tok-same".into()));
    own.stop(&stage.target, &key("run_1")).await.unwrap();
    assert!(stage.watch_stop().await.stopped().holds());
    own.restore(prior.snapshot(), &key("run_2")).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
}

/// What a token is bound to is asked once in its life: on the smallest plan there are 100 requests an hour.
#[tokio::test]
async fn the_scope_of_a_token_is_asked_once() {
    let stage = Stage::new().await;
    stage.sim.add_project_token("tok", "prj-1", "env-1");
    let traffic = stage.with_token(RailwayToken::Project("tok".into()));
    for _ in 0..3 {
        traffic.stop(&stage.target, &key("run_1")).await.unwrap();
    }
    let asked = stage
        .sim
        .requests()
        .into_iter()
        .filter(|request| String::from_utf8_lossy(&request.body).contains("query TokenScope"));
    assert_eq!(asked.count(), 1);
}

/// A stop does not wait for a look that only makes its error nicer.
#[tokio::test]
async fn a_stop_goes_on_when_the_scope_cannot_be_read() {
    let stage = Stage::new().await;
    stage.sim.add_project_token("tok", "prj-1", "env-1");
    // The scope is the only request that belongs to no service, and the first one.
    stage
        .faults
        .add(FaultRule::on_all(Fault::Unavailable, "").times(1));
    let traffic = stage.with_token(RailwayToken::Project("tok".into()));
    traffic.stop(&stage.target, &key("run_1")).await.unwrap();
    assert!(stage.watch_stop().await.stopped().holds());
}

/// A project token goes into a header of its own; sent as Bearer it is refused.
#[tokio::test]
async fn a_project_token_sent_as_bearer_is_refused() {
    let stage = Stage::new().await;
    stage.sim.add_project_token("tok", "prj-1", "env-1");
    for wrong in [
        RailwayToken::Bearer("tok".into()),
        RailwayToken::Project("account-token".into()),
    ] {
        let error = stage.with_token(wrong).observe(&stage.target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
}

/// The plan's limit may refuse one more rule: the stop rule then stands alone, and the snapshot has the rest.
#[tokio::test]
async fn a_full_rule_set_makes_room_for_the_stop_and_comes_back() {
    let full = json!({"version": 1, "rules": [
        {"id": "rul_a", "priority": 0, "enabled": true, "if": {"attr": "http.path", "op": "eq", "value": "/a"}, "then": {"action": "allow"}},
        {"id": "rul_b", "priority": 1, "enabled": false, "if": {"attr": "http.path", "op": "eq", "value": "/b"}, "then": {"action": "allow"}},
    ]});
    let stage = Stage::with(seed().with_edge_rules(full.clone()).with_rule_limit(2)).await;
    let prior = stage.observe().await;
    stage.stopped().await;
    assert_eq!(stage.edge_rules()["rules"].as_array().unwrap().len(), 1);
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
    assert_eq!(stage.edge_rules(), full);
}

/// A plan without edge rules takes none: the containers stop all the same, and the error says what is missing.
#[tokio::test]
async fn without_an_allowance_for_rules_the_containers_stop_and_the_error_says_so() {
    let stage = Stage::with(seed().with_rule_limit(0)).await;
    let error = stage.stop().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("failed: edge rule: invalid input"),
        "{error}"
    );
    let seen = stage.watch(|seen| seen.settled().holds()).await;
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    assert_eq!(stage.sim.probe(&stage.target), 502);
}

/// Edge rules need a public domain. Without one there is no visitor to turn away, only containers to stop.
#[tokio::test]
async fn a_service_without_a_domain_is_stopped_by_its_containers() {
    let stage = Stage::with(seed().without_public_domain().with_cron("0 * * * *")).await;
    let prior = stage.observe().await;
    let caveats: Vec<_> = prior
        .caveats()
        .iter()
        .map(|caveat| caveat.get(Lang::En))
        .collect();
    assert!(
        caveats[0].contains("no public domain") && caveats[1].contains("cron"),
        "{caveats:?}"
    );
    stage.stopped().await;
    assert!(!stage.mutations().contains(&"UpdateEdgeRules".to_owned()));
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
}

/// A removed deployment cannot be restarted; a rollback makes a new one, which is not the same: no success, door closed.
#[tokio::test]
async fn what_cannot_be_restarted_is_replaced_once_and_never_called_exact() {
    for (images_expired, replaced_by) in [(false, "DeploymentRollback"), (true, "DeploymentRedeploy")] {
        let stage = Stage::new().await;
        let prior = stage.observe().await;
        stage.stopped().await;
        stage.sim.remove_deployment(&stage.target, "env-1-svc-1-d1");
        if images_expired {
            stage.sim.expire_images(&stage.target);
        }
        let error = stage.restore(prior.snapshot()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Never));
        assert!(error.to_string().contains("makes a new deployment"), "{error}");
        assert!(stage.mutations().contains(&replaced_by.to_owned()));

        let error = stage.restore(prior.snapshot()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("another deployment runs or is in progress"),
            "{error}"
        );
        let starts = stage
            .mutations()
            .into_iter()
            .filter(|name| name == replaced_by)
            .count();
        assert_eq!(starts, 1, "a second call must not start a second replacement");
        let seen = stage.watch_restore(prior.snapshot()).await;
        assert!(!is_exact(prior.snapshot(), &seen));
        assert_eq!(stage.sim.probe(&stage.target), 403, "the door stays closed");
    }
}

/// The vendor's catch-all error says nothing about the deployment: a replacement for it could not be taken back.
#[tokio::test]
async fn an_error_without_a_reason_never_replaces_a_deployment() {
    for (problem, tries) in [
        (Problem::BeforeTheEffect, 1),
        (Problem::AfterTheEffect, 1),
        (Problem::BeforeTheEffect, 5),
    ] {
        let stage = Stage::new().await;
        let prior = stage.observe().await;
        stage.stopped().await;
        for _ in 0..tries {
            stage.sim.add_problem("deploymentRestart", problem);
        }
        for _ in 0..tries {
            let error = stage.restore(prior.snapshot()).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.retry()),
                (ErrorKind::Unexpected, Retry::Safe)
            );
            assert!(
                error.to_string().contains("deployment: env-1-svc-1-d1"),
                "{error}"
            );
            assert_eq!(stage.sim.probe(&stage.target), 403, "the door stays closed");
        }
        stage.restore(prior.snapshot()).await.unwrap();
        let seen = stage.watch_restore(prior.snapshot()).await;
        assert!(is_exact(prior.snapshot(), &seen), "{problem:?} {tries}");
        // The edge follows its rules a little later.
        stage.observe().await;
        stage.observe().await;
        assert_eq!(stage.sim.probe(&stage.target), 200);
        assert_only_restarts(&stage, "env-1-svc-1-d1");
    }
}

/// One refusal may be a slip of the vendor: here the deployment can be restarted after all.
#[tokio::test]
async fn one_refusal_does_not_replace_a_deployment() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    let traffic = stage.with_transport(RefusingOnce::new("DeploymentRestart"));
    traffic.restore(prior.snapshot(), &key("run_2")).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
    assert_only_restarts(&stage, "env-1-svc-1-d1");
}

/// A refusal, then an error without a reason: that is not refused twice.
#[tokio::test]
async fn a_refusal_and_an_unclear_error_do_not_replace_a_deployment() {
    let stage = Stage::new().await;
    let prior = stage.observe().await;
    stage.stopped().await;
    stage
        .sim
        .add_problem("deploymentRestart", Problem::BeforeTheEffect);
    let traffic = stage.with_transport(RefusingOnce::new("DeploymentRestart"));
    let error = traffic
        .restore(prior.snapshot(), &key("run_2"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unexpected, Retry::Safe)
    );
    assert_only_restarts(&stage, "env-1-svc-1-d1");
    assert_eq!(stage.sim.probe(&stage.target), 403);
}

/// A rollback that fails without a reason may have begun one; a redeployment would then be a second replacement.
#[tokio::test]
async fn an_unclear_rollback_is_not_followed_by_a_redeployment() {
    for problem in [Problem::BeforeTheEffect, Problem::AfterTheEffect] {
        let stage = Stage::new().await;
        let prior = stage.observe().await;
        stage.stopped().await;
        stage.sim.remove_deployment(&stage.target, "env-1-svc-1-d1");
        stage.sim.add_problem("deploymentRollback", problem);
        let error = stage.restore(prior.snapshot()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(!stage.mutations().contains(&"DeploymentRedeploy".to_owned()));
        assert_eq!(stage.sim.probe(&stage.target), 403);
    }
}

/// A stopped deployment may go on saying that it sleeps: the next request does not wake it, and a restore has to restart it.
#[tokio::test]
async fn a_sleeping_service_is_stopped_and_comes_back() {
    let stage = Stage::with(seed().asleep()).await;
    let prior = stage.observe().await;
    assert_eq!(prior.state(), TargetState::Serving);
    assert_eq!(
        prior.snapshot().field("running"),
        Some(&json!(["env-1-svc-1-d1"]))
    );
    stage.stopped().await;
    let raw = stage.sim.raw(&stage.target).unwrap();
    assert_eq!(raw["deployments"][0]["status"], "SLEEPING");
    stage.restore(prior.snapshot()).await.unwrap();
    assert!(is_exact(
        prior.snapshot(),
        &stage.watch_restore(prior.snapshot()).await
    ));
    assert_only_restarts(&stage, "env-1-svc-1-d1");
}

/// Without a domain there is no marker: a second run that looks in the middle of a first stop must at least be told.
#[tokio::test]
async fn half_a_stop_without_a_marker_is_not_silent() {
    let stage = Stage::with(seed().without_public_domain()).await;
    let warns = |seen: &Observation| {
        seen.caveats()
            .iter()
            .any(|caveat| caveat.get(Lang::En).contains("half done"))
    };
    assert!(!warns(&stage.observe().await));
    // Auto-deploy is off, and the process ended before it came to the containers.
    stage.sim.add_problem("deploymentStop", Problem::BeforeTheEffect);
    stage.stop().await.unwrap_err();
    let seen = stage.observe().await;
    assert_eq!(
        (seen.state(), seen.marker(), seen.snapshot().field("auto_deploy")),
        (TargetState::Serving, None, Some(&json!(false)))
    );
    assert!(warns(&seen));
    stage.stopped().await;
    assert!(!warns(&stage.observe().await));
}

/// A tired person reads these.
#[tokio::test]
async fn a_limitation_is_one_short_clause() {
    let limitations = Stage::new().await.traffic.capability().limitations;
    assert_eq!(limitations.len(), 4);
    for text in limitations {
        for lang in [Lang::Ja, Lang::En] {
            assert!(text.get(lang).chars().count() <= 90, "{}", text.get(lang));
        }
    }
}

fn assert_only_restarts(stage: &Stage, deployment: &str) {
    let raw = stage.sim.raw(&stage.target).unwrap();
    let ids: Vec<_> = raw["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [deployment]);
    for replacement in ["DeploymentRollback", "DeploymentRedeploy"] {
        assert!(
            !stage.mutations().contains(&replacement.to_owned()),
            "{replacement}"
        );
    }
}

/// A mutation answers `true` or `false`; `false` came with a 200 too.
#[tokio::test]
async fn false_inside_a_200_is_an_error() {
    let stage = Stage::new().await;
    let traffic = stage.with_transport(Arc::new(Rewriting {
        inner: loopback_transport(),
        operation: "DeploymentStop",
        from: "true",
        to: "false",
    }));
    let error = traffic.stop(&stage.target, &key("run_1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("failed: stop of env-1-svc-1-d1: conflict, accepted: auto-deploy off, edge rule"),
        "{error}"
    );
}

/// The schema has more states than the documentation, and may get further ones.
#[tokio::test]
async fn a_status_that_nobody_knows_does_not_break_a_read() {
    let stage = Stage::new().await;
    let traffic = stage.with_transport(Arc::new(Rewriting {
        inner: loopback_transport(),
        operation: "ServiceState",
        from: "SUCCESS",
        to: "HIBERNATING",
    }));
    let seen = traffic.observe(&stage.target).await.unwrap();
    assert_eq!(seen.snapshot().field("running"), Some(&json!(["env-1-svc-1-d1"])));
}

#[tokio::test]
async fn more_deployments_than_one_page_holds_are_all_cancelled() {
    let mut many = seed().with_auto_deploy(false);
    for number in 0..120 {
        many = many.with_pending(format!("q{number}"), Progress::NeedsApproval);
    }
    let stage = Stage::with(many).await;
    stage.stopped().await;
    let cancelled = stage
        .mutations()
        .into_iter()
        .filter(|name| name == "DeploymentCancel")
        .count();
    assert_eq!(cancelled, 120);
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let stage = Stage::new().await;
    let nowhere = RailwayTraffic::target("prj-1", "env-1", "svc-none").unwrap();
    assert_eq!(
        stage.traffic.observe(&nowhere).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = stage.traffic.stop(&nowhere, &key("run_1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(stage.mutations().is_empty());
}

#[test]
fn a_builder_names_every_fault_at_once_and_no_token() {
    let error = RailwayTraffic::builder()
        .with_base_url("railway.com")
        .with_token(RailwayToken::Bearer("se cret".into()))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    for part in ["base url", "token", "transport", "clock"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("cret"), "{text}");
    assert!(!format!("{:?}", bearer()).contains("account-token"));
}
