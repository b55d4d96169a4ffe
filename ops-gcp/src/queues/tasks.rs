use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::{FeedingQueue, QueueKind, TargetId, Text};
use ops_core::ports::{QueueInspector, QueuesFound};

use super::client::Client;
use super::endpoint::Endpoint;
use super::item::Item;
use super::{GcpQueues, backlog};

/// Cloud Tasks queues that dispatch to Cloud Run services: by the host that the queue sets for all its tasks, else by the tasks that wait in
/// it (the first 1000 are read).
#[derive(Clone, Debug)]
pub struct TaskQueues {
    client: Client,
}

impl TaskQueues {
    /// Those of the project and the regions of `queues`.
    pub fn new(queues: &GcpQueues) -> Self {
        Self {
            client: queues.client.clone(),
        }
    }

    async fn region(&self, region: &str, endpoints: &[Endpoint]) -> Result<Vec<FeedingQueue>> {
        let parent = format!("projects/{}/locations/{region}", self.client.project);
        let url = format!("{}/v2/{parent}/queues", self.client.tasks);
        let mut found = Vec::new();
        for queue in self
            .client
            .list_all(&url, QUEUES, QUEUE_PAGE, "list queues")
            .await?
        {
            let name = queue.text(NAME_OF_QUEUE).unwrap_or_default();
            // The name goes into a path: only one of this place is followed.
            let id = name
                .strip_prefix(&format!("{parent}/queues/"))
                .filter(|id| is_id(id));
            let forced = queue
                .text(HOST_OVERRIDE)
                .filter(|_| queue.text(ENFORCED) != Some(IF_NOT_EXISTS));
            match (forced, id) {
                (Some(host), _) => {
                    let audience = queue.text(QUEUE_AUDIENCE);
                    for endpoint in endpoints {
                        if let Some(matched) = endpoint.matched(Some(host), audience) {
                            let kind = QueueKind::TaskQueue;
                            let feeding = FeedingQueue::new(name, kind, endpoint.target.clone(), matched);
                            found.push(described(feeding, &queue));
                        }
                    }
                }
                (None, Some(id)) => found.extend(
                    self.by_tasks(&format!("{url}/{id}"), name, &queue, endpoints)
                        .await?,
                ),
                (None, None) => {}
            }
        }
        Ok(found)
    }

    /// A queue whose tasks each say where they go.
    async fn by_tasks(
        &self,
        url: &str,
        name: &str,
        queue: &Item,
        endpoints: &[Endpoint],
    ) -> Result<Vec<FeedingQueue>> {
        let url = format!("{url}/tasks");
        let (tasks, more) = self.client.list(&url, TASKS, TASK_PAGE, 1, "list tasks").await?;
        let now = self.client.now();
        let mut found = Vec::new();
        for endpoint in endpoints {
            let (mut count, mut tried, mut how) = (0, None, None);
            for task in &tasks {
                let Some(matched) = endpoint.matched(task.text(TASK_URL), task.text(TASK_AUDIENCE)) else {
                    continue;
                };
                count += 1;
                how = how.or(Some(matched));
                let since = task.time(FIRST_ATTEMPT).map(|at| now.saturating_since(at));
                tried = tried.max(since);
            }
            if let Some(matched) = how {
                let kind = QueueKind::TaskQueue;
                let mut feeding = described(
                    FeedingQueue::new(name, kind, endpoint.target.clone(), matched),
                    queue,
                );
                if !more {
                    (feeding.waiting, feeding.oldest) = (Some(count), Some(tried.unwrap_or_default()));
                }
                found.push(feeding);
            }
        }
        Ok(found)
    }

    /// The depth of each queue, where the tasks themselves did not tell: of a queue that delivers to one target only.
    async fn fill_in(&self, found: &mut QueuesFound) {
        if found.queues.iter().all(|queue| queue.waiting.is_some()) {
            return;
        }
        let depth = match backlog::newest(&self.client, DEPTH, LABEL).await {
            Ok(depth) => depth,
            Err(error) => {
                let part = format!("{NAME} (Cloud Monitoring)");
                found.unread.push((part, error.to_string()));
                return;
            }
        };
        let names: Vec<_> = found.queues.iter().map(|queue| queue.name.clone()).collect();
        for queue in found.queues.iter_mut().filter(|queue| queue.waiting.is_none()) {
            let alone = names.iter().filter(|name| **name == queue.name).count() == 1;
            let id = queue.name.rsplit('/').next().unwrap_or_default();
            // The same id in two regions is one label: then the figure is of both.
            let unique = !names
                .iter()
                .any(|name| *name != queue.name && name.rsplit('/').next() == Some(id));
            if alone && unique {
                queue.waiting = depth.get(id).copied().and_then(backlog::count);
            }
        }
    }
}

#[async_trait]
impl QueueInspector for TaskQueues {
    fn name(&self) -> &str {
        NAME
    }

    fn limitations(&self) -> Vec<Text> {
        let regions = self.client.regions.join(", ");
        vec![
            Text::new(
                "Cloud Tasks: 宛先をタスクごとに持つキューは、空のときは見つかりません（キューに宛先ホストを設定したものは見つかる）",
                "Cloud Tasks: a queue whose tasks each name their target is not found while it is empty (one with a host of its own is)",
            ),
            Text::new(
                format!(
                    "Cloud Tasks・Cloud Scheduler: {regions} だけを調べます（[gcp] inventory_regions で追加）"
                ),
                format!(
                    "Cloud Tasks, Cloud Scheduler: looked at in {regions} only (add regions to inventory_regions in [gcp])"
                ),
            ),
        ]
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
        self.fill_in(&mut found).await;
        found
    }
}

fn described(mut queue: FeedingQueue, listed: &Item) -> FeedingQueue {
    queue.paused = listed.text(STATE).is_some_and(|state| state != RUNNING);
    queue.per_second = listed.number(RATE).filter(|rate| *rate > 0.0);
    let retry = Retry {
        first: listed.duration(MIN_BACKOFF).unwrap_or(DEFAULT_MIN_BACKOFF),
        longest: listed.duration(MAX_BACKOFF).unwrap_or(DEFAULT_MAX_BACKOFF),
        doublings: listed
            .whole(DOUBLINGS)
            .and_then(|times| u32::try_from(times).ok())
            .unwrap_or(DEFAULT_DOUBLINGS),
    };
    let attempts = listed.whole(ATTEMPTS).unwrap_or(DEFAULT_ATTEMPTS);
    // A limit of time alone ends nothing: a task is given up when both are over.
    queue.attempts = u32::try_from(attempts).ok().filter(|attempts| *attempts > 0);
    let tried_for = queue.attempts.map_or(LIFETIME, |attempts| {
        let at_least = listed.duration(RETRY_FOR).unwrap_or_default();
        retry.lasts(attempts).max(at_least)
    });
    queue.keeps = Some(tried_for.min(LIFETIME));
    queue
}

/// How the pauses between attempts grow: doubling so many times, then by the same step, up to the longest.
#[derive(Clone, Copy, Debug)]
struct Retry {
    first: Duration,
    longest: Duration,
    doublings: u32,
}

impl Retry {
    /// From the first attempt to the last of so many, if each fails at once.
    fn lasts(self, attempts: u32) -> Duration {
        let (mut pause, mut sum) = (self.first, Duration::ZERO);
        let step = self
            .first
            .saturating_mul(1_u32.checked_shl(self.doublings).unwrap_or(u32::MAX));
        for retry in 1..attempts {
            let next = pause.min(self.longest);
            sum = sum.saturating_add(next);
            if sum >= LIFETIME {
                return LIFETIME;
            }
            if next == self.longest {
                let left = attempts - 1 - retry;
                return sum
                    .saturating_add(self.longest.saturating_mul(left))
                    .min(LIFETIME);
            }
            pause = match retry <= self.doublings {
                true => pause.saturating_mul(2),
                false => pause.saturating_add(step),
            };
            if pause.is_zero() {
                return sum;
            }
        }
        sum
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) const NAME: &str = "Cloud Tasks";
const QUEUE_PAGE: u32 = 1_000;
const TASK_PAGE: u32 = 1_000;

// Unverified, each: there was no description of Cloud Tasks v2 to test against.
const QUEUES: &str = "/queues";
const NAME_OF_QUEUE: &str = "/name";
const STATE: &str = "/state";
const RUNNING: &str = "RUNNING";
const RATE: &str = "/rateLimits/maxDispatchesPerSecond";
const ATTEMPTS: &str = "/retryConfig/maxAttempts";
const RETRY_FOR: &str = "/retryConfig/maxRetryDuration";
const MIN_BACKOFF: &str = "/retryConfig/minBackoff";
const MAX_BACKOFF: &str = "/retryConfig/maxBackoff";
const DOUBLINGS: &str = "/retryConfig/maxDoublings";
const HOST_OVERRIDE: &str = "/httpTarget/uriOverride/host";
const ENFORCED: &str = "/httpTarget/uriOverride/uriOverrideEnforceMode";
const IF_NOT_EXISTS: &str = "IF_NOT_EXISTS";
const QUEUE_AUDIENCE: &str = "/httpTarget/oidcToken/audience";
const TASKS: &str = "/tasks";
const TASK_URL: &str = "/httpRequest/url";
const TASK_AUDIENCE: &str = "/httpRequest/oidcToken/audience";
const FIRST_ATTEMPT: &str = "/firstAttempt/dispatchTime";

// Unverified, each: what the vendor takes where a queue says nothing.
const DEFAULT_ATTEMPTS: i64 = 100;
const DEFAULT_MIN_BACKOFF: Duration = Duration::from_millis(100);
const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(3_600);
const DEFAULT_DOUBLINGS: u32 = 16;
/// A task is deleted at this age whatever happens.
const LIFETIME: Duration = Duration::from_secs(31 * 86_400);

// Unverified, each: the names of metrics and labels are in no description.
pub(super) const DEPTH: &str = "cloudtasks.googleapis.com/queue/depth";
pub(super) const LABEL: &str = "queue_id";

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's own example: 10 s, 20 s, 40 s, 80 s, then by 80 s: 160 s, 240 s, then 300 s each.
    #[test]
    fn the_pauses_are_those_of_the_vendors_example() {
        let retry = Retry {
            first: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            doublings: 3,
        };
        let sums: Vec<_> = (1..=9).map(|attempts| retry.lasts(attempts).as_secs()).collect();
        assert_eq!(sums, [0, 10, 30, 70, 150, 310, 550, 850, 1_150]);
        assert_eq!(retry.lasts(u32::MAX), LIFETIME);
        let none = Retry {
            first: Duration::ZERO,
            ..retry
        };
        assert_eq!(none.lasts(u32::MAX), Duration::ZERO);
    }
}
