//! Cloud Run services: stopped by manual scaling with zero instances, put back exactly.
//!
//! Why this lever: it needs no new revision, so it takes seconds and leaves nothing behind. Sending no traffic to a new
//! revision (`--no-traffic`) stops nothing, an empty traffic list means "all to the latest", and a maximum of zero
//! instances means "no maximum".
//!
//! What a restore has to know: going to manual scaling makes the vendor forget the service's minimum and maximum, and
//! going back takes both or none, where none means that both become zero. See [`CloudRunTraffic`].

mod builder;
mod client;
mod evidence;
mod inventory;
mod name;
mod readiness;
mod settings;
#[cfg(feature = "sim")]
pub mod sim;
mod wire;
mod write;

use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::{Accepted, IdempotencyKey, Observation, RunId, Snapshot, TargetId, TargetState, Text};
use ops_core::ports::{TrafficCapability, TrafficController};

pub use self::builder::CloudRunTrafficBuilder;
pub(crate) use self::client::Client;
pub use self::inventory::CloudRunInventory;
pub(crate) use self::name::ServiceName;
pub(crate) use self::readiness::{RESOURCE_MANAGER, project_permissions_path};
use self::settings::{Settings, snapshot};
use self::wire::Service;
use self::write::{MARKER, Write, label_value};
use crate::operation::OperationName;

/// Stops Cloud Run services and puts them back. Targets are `cloud-run:{project}/{region}/{service}`.
///
/// # What is changed
/// - [`stop`](TrafficController::stop): scaling mode and manual instance count, and the label `ops-stop-run` with the run
///   (as a label value: lower case, at most 63 characters). A vendor that refuses the label gets the stop without it.
/// - [`restore`](TrafficController::restore): those of scaling, traffic and ingress that differ from the snapshot, and
///   the label goes. A prior setting with one instance limit or none takes two writes; between them the service runs with
///   a stand-in for the missing limit.
///
/// Every write is guarded by the etag of a read just before, and has an update mask.
///
/// # Errors
/// As [`TrafficController`]. `Conflict`: somebody changed the service between read and write. For a stop it is safe to
/// call again, because the stop reads anew; for a restore somebody has to look first.
///
/// # Time
/// `stop` follows the vendor's operation for five seconds, to hear of a failure; after that the change is accepted and no more.
/// `restore` returns when its operations have ended, however long that takes: bound it from outside.
///
/// ```
/// use std::sync::Arc;
/// use ops_core::{error::Result, http::{HostPolicy, ReqwestTransport}, ports::Clock};
/// use ops_gcp::{auth::StaticToken, run::CloudRunTraffic};
///
/// fn cloud_run(token: String, clock: Arc<dyn Clock>) -> Result<CloudRunTraffic> {
///     CloudRunTraffic::builder()
///         .with_transport(Arc::new(ReqwestTransport::new(HostPolicy::Any)?))
///         .with_token(Arc::new(StaticToken::new(token)))
///         .with_clock(clock)
///         .build()
/// }
/// # fn main() -> Result<()> {
/// let target = CloudRunTraffic::target("soul-kun", "asia-northeast1", "soul-kun-api")?;
/// assert_eq!(target.as_str(), "cloud-run:soul-kun/asia-northeast1/soul-kun-api");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CloudRunTraffic {
    client: Client,
}

impl CloudRunTraffic {
    /// Begins a provider.
    pub fn builder() -> CloudRunTrafficBuilder {
        CloudRunTrafficBuilder::new()
    }

    /// The id of a service. `project` is an id or a number.
    ///
    /// # Errors
    /// `InvalidInput`, naming every part that cannot be one.
    pub fn target(project: &str, region: &str, service: &str) -> Result<TargetId> {
        ServiceName::new(project, region, service)?.target()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    async fn write(
        &self,
        name: &ServiceName,
        service: &Service,
        write: Write,
        patience: Option<Duration>,
        doing: &'static str,
    ) -> Result<OperationName> {
        let patch = write.into_patch(name, service)?;
        self.client.change(name, service, &patch, patience, doing).await
    }
}

#[async_trait]
impl TrafficController for CloudRunTraffic {
    fn capability(&self) -> TrafficCapability {
        let mut capability = TrafficCapability::default();
        capability.lets_running_requests_finish = true;
        capability.leaves_marker = true;
        capability.limitations = limitations();
        capability
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        let name = ServiceName::of(target)?;
        let service = self.client.service(&name, "observe").await?;
        let state = match Settings::of(&service).scaling.is_stopped() {
            true => TargetState::Stopped,
            false => TargetState::Serving,
        };
        let marker = service.labels.get(MARKER);
        let observation = Observation::new(snapshot(target, &service), state)
            .with_settled(evidence::settled(&service))
            .with_marker(marker.and_then(|run| RunId::new(run.as_str()).ok()));
        Ok(evidence::caveats(&service)
            .into_iter()
            .fold(observation, Observation::with_caveat))
    }

    async fn stop(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        let name = ServiceName::of(target)?;
        let service = self.client.service(&name, "stop").await?;
        let stopped = Settings::of(&service).scaling.is_stopped();
        if stopped && !evidence::failed(&service) {
            return Ok(Accepted::new());
        }
        let marked = stopped && service.labels.contains_key(MARKER);
        let marker = (!marked).then(|| label_value(key.run()));
        let patience = Some(STOP_PATIENCE);
        let done = self
            .write(&name, &service, Write::stop(marker), patience, "stop")
            .await;
        let done = match done {
            // The label is a courtesy (a full label set or a policy can forbid it): the stop comes first.
            Err(error) if error.kind() == ErrorKind::InvalidInput && !marked => {
                self.write(&name, &service, Write::stop(None), patience, "stop")
                    .await
            }
            done => done,
        };
        Ok(Accepted::with_receipt(
            done.map_err(stop_may_be_repeated)?.as_str(),
        ))
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        let name = ServiceName::of(prior.target())?;
        let wanted = Settings::from_snapshot(prior)?;
        let mut service = self.client.service(&name, "restore").await?;
        let marked = service.labels.contains_key(MARKER);
        let mut accepted = Accepted::new();
        let writes = Write::way_back(&Settings::of(&service), &wanted, marked);
        for (position, write) in writes.into_iter().enumerate() {
            if position > 0 {
                // The first write has made the etag stale.
                service = self.client.service(&name, "restore").await?;
            }
            let operation = self.write(&name, &service, write, None, "restore").await?;
            accepted = Accepted::with_receipt(operation.as_str());
        }
        Ok(accepted)
    }
}

/// A stop reads anew and sets a fixed state, so that losing a race is no reason to give up.
fn stop_may_be_repeated(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_retry(Retry::Safe),
        _ => error,
    }
}

fn limitations() -> Vec<Text> {
    vec![
        Text::new(
            "処理中のリクエストは、サービスのリクエストタイムアウト（最長60分）まで完了することがあります",
            "requests that are running may finish, up to the service's request timeout (60 minutes at most)",
        ),
        Text::new(
            "タグだけで有効なリビジョンは、タグURLへのアクセスに最大1インスタンスで応答し続けます",
            "revisions that only a traffic tag keeps active still answer at their tag URL, with at most one instance",
        ),
        Text::new(
            "Pub/Sub、Cloud Tasks、Cloud Scheduler、Eventarc は停止中も再送を続け、再開時にまとめて届くことがあります",
            "Pub/Sub, Cloud Tasks, Cloud Scheduler and Eventarc keep retrying meanwhile and may arrive as a burst afterwards",
        ),
        Text::new(
            "復旧は一度に全体を開きます（Cloud Run の割合はリビジョン間の配分で、一部だけを通す設定はありません）",
            "a restore opens the service as a whole: shares of Cloud Run divide traffic among revisions, none holds a part of it back",
        ),
    ]
}

const PROVIDER: &str = "cloud-run";

/// How long a stop follows its operation, to hear of a failure; what comes later is for the read-back to see.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Fields of the vendor's `Service` that a snapshot holds and a restore writes back.
pub const RESTORABLE: &[&str] = &["ingress", "scaling", "traffic"];

/// Fields that tell whether somebody deployed meanwhile: compared before a restore, never written.
pub const WITNESSED: &[&str] = &["latestCreatedRevision", "template"];

/// Fields that the vendor changes by itself, with any write or with time: neither kept nor compared.
pub const VOLATILE: &[&str] = &[
    "conditions",
    "createTime",
    "creator",
    "deleteTime",
    "etag",
    "expireTime",
    "generation",
    "lastModifier",
    "latestReadyRevision",
    "observedGeneration",
    "reconciling",
    "satisfiesPzs",
    "terminalCondition",
    "threatDetectionEnabled",
    "trafficStatuses",
    "uid",
    "updateTime",
    "uri",
    "urls",
];

/// Fields that neither a stop nor a restore touches. Of `labels`, only the run marker is set and removed.
pub const UNTOUCHED: &[&str] = &[
    "annotations",
    "binaryAuthorization",
    "buildConfig",
    "client",
    "clientVersion",
    "customAudiences",
    "defaultUriDisabled",
    "description",
    "functionalType",
    "iapEnabled",
    "invokerIamDisabled",
    "labels",
    "launchStage",
    "multiRegionSettings",
    "name",
    "sshEnabled",
];
