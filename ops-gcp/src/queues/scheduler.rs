use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::{FeedingQueue, QueueKind, TargetId, Text};
use ops_core::ports::{QueueInspector, QueuesFound};

use super::GcpQueues;
use super::client::Client;
use super::endpoint::Endpoint;
use super::item::Item;

/// Cloud Scheduler jobs that call Cloud Run services.
#[derive(Clone, Debug)]
pub struct ScheduledJobs {
    client: Client,
}

impl ScheduledJobs {
    /// Those of the project and the regions of `queues`.
    pub fn new(queues: &GcpQueues) -> Self {
        Self {
            client: queues.client.clone(),
        }
    }

    async fn region(&self, region: &str, endpoints: &[Endpoint]) -> Result<Vec<FeedingQueue>> {
        let client = &self.client;
        let url = format!(
            "{}/v1/projects/{}/locations/{region}/jobs",
            client.scheduler, client.project
        );
        let mut found = Vec::new();
        for job in client.list_all(&url, JOBS, PAGE, "list jobs").await? {
            for endpoint in endpoints {
                if let Some(matched) = endpoint.matched(job.text(URI), job.text(AUDIENCE)) {
                    let name = job.text(NAME_OF_JOB).unwrap_or_default();
                    let kind = QueueKind::ScheduledJob;
                    let queue = FeedingQueue::new(name, kind, endpoint.target.clone(), matched);
                    found.push(described(queue, &job));
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl QueueInspector for ScheduledJobs {
    fn name(&self) -> &str {
        NAME
    }

    fn limitations(&self) -> Vec<Text> {
        vec![Text::new(
            "Cloud Scheduler: トピックへ発行するジョブは、その購読の滞留として現れます",
            "Cloud Scheduler: a job that publishes to a topic shows in the backlog of its subscriptions",
        )]
    }

    async fn feeding(&self, targets: &[TargetId]) -> QueuesFound {
        let (endpoints, unread) = self.client.endpoints(targets).await;
        let mut found = QueuesFound::default();
        found.unread = unread;
        if endpoints.is_empty() {
            return found;
        }
        for region in &self.client.regions {
            match self.region(region, &endpoints).await {
                Ok(queues) => found.queues.extend(queues),
                Err(error) => found
                    .unread
                    .push((format!("{NAME} ({region})"), error.to_string())),
            }
        }
        found
    }
}

fn described(mut queue: FeedingQueue, job: &Item) -> FeedingQueue {
    queue.paused = job.text(STATE).is_some_and(|state| state != ENABLED);
    queue.next = job.time(NEXT_RUN).filter(|_| !queue.paused);
    queue.schedule = job.text(SCHEDULE).map(|schedule| match job.text(TIME_ZONE) {
        Some(zone) => format!("{schedule} ({zone})"),
        None => schedule.to_owned(),
    });
    // "Zero" means: of tries, that it is not tried again; of time, that there is no limit.
    let retries = job
        .whole(RETRIES)
        .and_then(|retries| u32::try_from(retries).ok())
        .unwrap_or(0);
    let limit = job.duration(RETRY_FOR).filter(|limit| !limit.is_zero());
    queue.attempts = match (retries, limit) {
        (0, Some(_)) => None,
        (retries, _) => Some(retries.saturating_add(1)),
    };
    queue.keeps = limit;
    queue
}

pub(super) const NAME: &str = "Cloud Scheduler";
const PAGE: u32 = 500;

// Unverified, each: there was no description of Cloud Scheduler v1 to test against.
const JOBS: &str = "/jobs";
const NAME_OF_JOB: &str = "/name";
const STATE: &str = "/state";
const ENABLED: &str = "ENABLED";
const SCHEDULE: &str = "/schedule";
const TIME_ZONE: &str = "/timeZone";
const NEXT_RUN: &str = "/scheduleTime";
const URI: &str = "/httpTarget/uri";
const AUDIENCE: &str = "/httpTarget/oidcToken/audience";
const RETRIES: &str = "/retryConfig/retryCount";
const RETRY_FOR: &str = "/retryConfig/maxRetryDuration";
