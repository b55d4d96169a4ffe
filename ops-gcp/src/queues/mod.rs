//! What goes on delivering to a Cloud Run service while it is stopped, and comes all at once when it is back: Pub/Sub push subscriptions,
//! Cloud Tasks queues, Cloud Scheduler jobs. Only reads.
//!
//! A queue belongs to a service if it calls a host of the service (each of its `run.app` URLs, those of tags too), or if its OIDC token has
//! an audience of the service (one of these hosts, or a custom audience). A custom domain in front of the service is thus found only by the
//! audience.

mod backlog;
mod client;
mod endpoint;
mod item;
mod pubsub;
mod readiness;
mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
mod tasks;

use std::sync::Arc;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::ports::QueueInspector;

use self::client::Client;
pub use self::pubsub::PushSubscriptions;
pub use self::readiness::REQUIRED;
pub use self::scheduler::ScheduledJobs;
pub use self::tasks::TaskQueues;
use crate::base_url;
use crate::run::{CloudRunTraffic, ServiceName};

/// The queues of a project, in the regions that it is told. Makes one [`QueueInspector`] for each vendor's service, so that one that is slow
/// keeps none of the others back.
///
/// It needs rights that a stop does not (see [`REQUIRED`]): give it the everyday credential.
///
/// ```
/// use ops_core::{error::Result, model::{Burst, TargetId}};
/// use ops_gcp::{queues::GcpQueues, run::CloudRunTraffic};
///
/// async fn burst(cloud_run: &CloudRunTraffic, api: TargetId) -> Result<Burst> {
///     let queues = GcpQueues::new(cloud_run, "soul-kun", ["asia-northeast1".to_owned()])?;
///     let mut found = Vec::new();
///     // In an application: `governance::queues_feeding`, which asks all at once and bounds each.
///     for inspector in queues.inspectors() {
///         found.extend(inspector.feeding(&[api.clone()]).await.queues);
///     }
///     Ok(Burst::of(&found))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct GcpQueues {
    client: Client,
}

impl GcpQueues {
    /// Asks with the transport and the credential of `cloud_run`.
    ///
    /// # Errors
    /// `InvalidInput` for a project or region that cannot be, or without any region.
    pub fn new(
        cloud_run: &CloudRunTraffic,
        project: &str,
        regions: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let mut regions: Vec<_> = regions.into_iter().collect();
        regions.sort();
        regions.dedup();
        if regions.is_empty() {
            return Err(invalid("regions", "name at least one"));
        }
        for region in &regions {
            ServiceName::new(project, region, "any")?;
        }
        Ok(Self {
            client: Client::new(cloud_run.client().clone(), project.to_owned(), regions),
        })
    }

    /// Asks this address in place of those of Pub/Sub, Cloud Tasks, Cloud Scheduler, Monitoring and Resource Manager: a simulation, or a
    /// private endpoint. Services are read where `cloud_run` reads them.
    ///
    /// # Errors
    /// `InvalidInput` unless it is `https://host`, or `http://` on this machine.
    pub fn with_base_url(mut self, base_url: &str) -> Result<Self> {
        if !base_url::is_usable(base_url) {
            return Err(invalid("base_url", base_url::MUST_BE));
        }
        self.client.all_at(base_url.trim_end_matches('/'));
        Ok(self)
    }

    /// One for each of Pub/Sub, Cloud Tasks and Cloud Scheduler.
    pub fn inspectors(&self) -> Vec<Arc<dyn QueueInspector>> {
        vec![
            Arc::new(PushSubscriptions::new(self)),
            Arc::new(TaskQueues::new(self)),
            Arc::new(ScheduledJobs::new(self)),
        ]
    }
}

fn invalid(part: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "look for queues")
        .provider("gcp")
        .context(part, what)
}
