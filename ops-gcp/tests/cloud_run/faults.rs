use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result, Retry};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::{RunId, Snapshot, TargetId, TargetState};
use ops_core::ports::TrafficController;
use ops_core::testkit::{Fault, FaultRule, loopback_transport};
use ops_gcp::run::CloudRunTraffic;
use ops_gcp::run::sim::{BrokenRule, CloudRunSim, ServiceSeed};

use super::world::{World, key};

#[tokio::test]
async fn faults_before_the_effect_are_errors_of_their_kind_and_change_nothing() {
    for (fault, kind, retry) in [
        (Fault::Refused, ErrorKind::Unavailable, Retry::Safe),
        (
            Fault::TooManyRequests,
            ErrorKind::RateLimited,
            Retry::After(Duration::from_secs(1)),
        ),
        (Fault::Unavailable, ErrorKind::Unavailable, Retry::Safe),
        (Fault::Forbidden, ErrorKind::PermissionDenied, Retry::Never),
    ] {
        let world = World::new().await;
        let target = world.add(ServiceSeed::new());
        let before = world.sim.raw(&target);
        world.faults.add(FaultRule::on_writes(fault, "api"));
        let error = world.cloud_run().stop(&target, &key("run-1")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}");
        assert!(!error.to_string().contains("t0ken"));
        assert_eq!(world.sim.raw(&target), before, "{fault:?}");

        world.faults.clear();
        world.faults.add(FaultRule::on_all(fault, ""));
        let error = world.cloud_run().observe(&target).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
    }
}

#[tokio::test]
async fn after_a_lost_answer_a_read_shows_the_effect() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, "api").times(1));
    let error = world.cloud_run().stop(&target, &key("run-1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // The call is repeated: it finds the target stopped and writes nothing.
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    assert_eq!(world.writes(), 1);
    let mut verdicts = Vec::new();
    for _ in 0..4 {
        verdicts.push(world.observe(&target).await.stopped().name());
    }
    assert_eq!(verdicts.last(), Some(&"holds"), "{verdicts:?}");
}

#[tokio::test]
async fn an_operation_that_never_ends_never_becomes_a_success() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    world.faults.add(FaultRule::on_writes(Fault::NeverEnds, "api"));
    // The stop does not wait for ever to hear of a failure: it is accepted, and the read-back says that it does not hold.
    let accepted = world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    assert!(
        accepted
            .receipt()
            .is_some_and(|operation| operation.contains("/operations/"))
    );
    let observed = world.observe(&target).await;
    assert_eq!(observed.state(), TargetState::Stopped);
    assert_eq!(observed.stopped().name(), "not_yet");
    assert_eq!(world.sim.probe(&target), 200);
}

#[tokio::test]
async fn a_late_answer_is_still_an_answer() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    let late = Fault::Latency(Duration::from_millis(5));
    world.faults.add(FaultRule::on_all(late, "api"));
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    assert!(world.observe(&target).await.stopped().holds());
}

#[tokio::test]
async fn drift_by_another_deployer_leaves_the_stop_in_force_and_shows() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    let prior = world.observe(&target).await;
    world
        .faults
        .add(FaultRule::on_writes(Fault::Drift, "api").times(1));
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let stopped = world.observe(&target).await;
    assert!(stopped.stopped().holds());
    assert_ne!(prior.snapshot().witness(), stopped.snapshot().witness());
}

/// An operation that ends with an error has not changed what is in force, although the wanted state reads as changed.
#[tokio::test]
async fn a_failed_operation_is_an_error_and_the_next_stop_tries_again() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    for (code, kind) in [
        (10, ErrorKind::Conflict),
        (7, ErrorKind::PermissionDenied),
        (13, ErrorKind::Unavailable),
    ] {
        world.sim.fail_next_change(&target, code);
        let error = world.cloud_run().stop(&target, &key("run-1")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let observed = world.observe(&target).await;
        assert_eq!(observed.stopped().name(), "not_yet");
        assert_eq!(world.sim.probe(&target), 200);
    }
    world.cloud_run().stop(&target, &key("run-2")).await.unwrap();
    let stopped = world.observe(&target).await;
    assert!(stopped.stopped().holds());
    assert_eq!(stopped.marker().map(RunId::as_str), Some("run-1"));
    assert_eq!(world.sim.probe(&target), 503);
}

/// The etag of the read guards the write: whoever deploys in between makes it a conflict, and nothing is overwritten.
#[tokio::test]
async fn a_deployment_between_read_and_write_is_a_conflict() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(1, 3));
    let prior = world.observe(&target).await;
    let racing = || {
        world.cloud_run_over(Arc::new(DeployBeforeWrite {
            inner: loopback_transport(),
            sim: Arc::clone(&world.sim),
            target: target.clone(),
        }))
    };
    let error = racing().stop(&target, &key("run-1")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Conflict, Retry::Safe),
        "a stop reads anew, so that it may be repeated"
    );
    assert_eq!(world.sim.probe(&target), 200);

    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let error = racing()
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Never));
    assert_eq!(world.sim.probe(&target), 503);
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_by_kind() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    let unknown = CloudRunTraffic::target("soul-kun", "asia-northeast1", "gone").unwrap();
    let foreign = CloudRunTraffic::target("another-project", "asia-northeast1", "api").unwrap();
    let kind = async |target: &TargetId| world.cloud_run().observe(target).await.unwrap_err().kind();
    assert_eq!(kind(&unknown).await, ErrorKind::NotFound);
    assert_eq!(kind(&foreign).await, ErrorKind::PermissionDenied);
    assert_eq!(
        kind(&TargetId::new("railway:api").unwrap()).await,
        ErrorKind::InvalidInput
    );
    world.sim.disable_api("soul-kun");
    let error = world.cloud_run().observe(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("the API is not enabled"), "{error}");
}

#[tokio::test]
async fn a_snapshot_of_another_target_or_format_is_refused_before_any_request() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    for foreign in [
        Snapshot::new(TargetId::new("vercel:web").unwrap(), "cloud-run/1"),
        Snapshot::new(target, "vercel/1"),
    ] {
        let error = world
            .cloud_run()
            .restore(&foreign, &key("run-1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(world.sim.requests(), []);
}

#[tokio::test]
async fn a_vendor_that_breaks_a_rule_cannot_make_a_report_come_true() {
    for (rule, seed) in [
        (BrokenRule::StopIsIgnored, ServiceSeed::new().automatic(1, 3)),
        (
            BrokenRule::RestoreForgetsLimits,
            ServiceSeed::new().automatic(1, 3),
        ),
        (
            BrokenRule::RestoreForgetsLimits,
            ServiceSeed::new().automatic(1, None),
        ),
        (
            BrokenRule::TagsVanish,
            ServiceSeed::new().latest(100).tag("old", "api-00001"),
        ),
        (BrokenRule::LatestIsPinned, ServiceSeed::new()),
    ] {
        let world = World::new().await;
        let target = world.add(seed);
        world.sim.break_rule(rule);
        let prior = world.observe(&target).await;
        world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
        let stopped = world.observe(&target).await.stopped().holds();
        let restored = world.cloud_run().restore(prior.snapshot(), &key("run-1")).await;
        let after = world.observe(&target).await;
        let exact =
            restored.is_ok() && prior.snapshot().restorable_bytes() == after.snapshot().restorable_bytes();
        assert!(!(stopped && exact), "{rule:?}");
    }
}

/// Lets another deployer in between the client's read and its write.
#[derive(Debug)]
struct DeployBeforeWrite {
    inner: Arc<dyn HttpTransport>,
    sim: Arc<CloudRunSim>,
    target: TargetId,
}

#[async_trait]
impl HttpTransport for DeployBeforeWrite {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method() == Method::Patch {
            self.sim.deploy(&self.target)?;
        }
        self.inner.send(request).await
    }
}
