use std::time::Duration;

use async_trait::async_trait;
use ops_core::model::{FeedingQueue, GivenUp, QueueKind, TargetId, Text};
use ops_core::ports::{QueueInspector, QueuesFound};

use super::client::Client;
use super::item::Item;
use super::{GcpQueues, backlog};

/// Pub/Sub push subscriptions that deliver to Cloud Run services. Those that Eventarc made are among them.
#[derive(Clone, Debug)]
pub struct PushSubscriptions {
    client: Client,
}

impl PushSubscriptions {
    /// Those of the project of `queues`.
    pub fn new(queues: &GcpQueues) -> Self {
        Self {
            client: queues.client.clone(),
        }
    }
}

#[async_trait]
impl QueueInspector for PushSubscriptions {
    fn name(&self) -> &str {
        NAME
    }

    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Pub/Sub: 独自ドメイン宛ての購読は、トークンの audience がサービスのものでなければ見つかりません",
                "Pub/Sub: a subscription that pushes to a custom domain is found only if the audience of its token is the service's",
            ),
            Text::new(
                "Pub/Sub・Cloud Tasks: 滞留数は Cloud Monitoring の値で、数分前のものです。プッシュの速度に上限はなく、成功に応じて上がります",
                "Pub/Sub, Cloud Tasks: backlogs are those of Cloud Monitoring, some minutes old; a push has no limit to its pace, it grows with success",
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
        let url = format!(
            "{}/v1/projects/{}/subscriptions",
            self.client.pubsub, self.client.project
        );
        let listed = match self
            .client
            .list_all(&url, SUBSCRIPTIONS, PAGE, "list subscriptions")
            .await
        {
            Ok(listed) => listed,
            Err(error) => {
                found.unread.push((NAME.to_owned(), error.to_string()));
                return found;
            }
        };
        for subscription in &listed {
            let (url, audience) = (subscription.text(ENDPOINT), subscription.text(AUDIENCE));
            let Some(url) = url.filter(|url| !url.is_empty()) else {
                continue;
            };
            for endpoint in &endpoints {
                if let Some(matched) = endpoint.matched(Some(url), audience) {
                    let name = subscription.text(SUBSCRIPTION).unwrap_or_default();
                    let kind = QueueKind::PushSubscription;
                    let queue = FeedingQueue::new(name, kind, endpoint.target.clone(), matched);
                    found.queues.push(described(queue, subscription));
                }
            }
        }
        if !found.queues.is_empty() {
            self.fill_in(&mut found).await;
        }
        found
    }
}

impl PushSubscriptions {
    async fn fill_in(&self, found: &mut QueuesFound) {
        let waiting = backlog::newest(&self.client, UNDELIVERED, LABEL).await;
        let oldest = backlog::newest(&self.client, OLDEST, LABEL).await;
        let (waiting, oldest) = match (waiting, oldest) {
            (Ok(waiting), Ok(oldest)) => (waiting, oldest),
            (Err(error), _) | (_, Err(error)) => {
                let part = format!("{NAME} (Cloud Monitoring)");
                found.unread.push((part, error.to_string()));
                return;
            }
        };
        for queue in &mut found.queues {
            let id = queue.name.rsplit('/').next().unwrap_or_default();
            queue.waiting = waiting.get(id).copied().and_then(backlog::count);
            queue.oldest = oldest.get(id).copied().and_then(backlog::age);
        }
    }
}

fn described(mut queue: FeedingQueue, subscription: &Item) -> FeedingQueue {
    queue.paused = subscription.flag(DETACHED);
    queue.keeps = Some(subscription.duration(RETENTION).unwrap_or(DEFAULT_RETENTION));
    if let Some(to) = subscription.text(DEAD_LETTERS) {
        queue.after = GivenUp::SetAside { to: to.to_owned() };
        let attempts = subscription.whole(DELIVERY_ATTEMPTS);
        queue.attempts = attempts
            .and_then(|attempts| u32::try_from(attempts).ok())
            .filter(|attempts| *attempts > 0);
    }
    queue
}

pub(super) const NAME: &str = "Pub/Sub";
const PAGE: u32 = 1_000;
/// What the vendor keeps a message for if the subscription does not say.
const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 86_400);

// Unverified, each: there was no description of Pub/Sub v1 to test against.
const SUBSCRIPTIONS: &str = "/subscriptions";
const SUBSCRIPTION: &str = "/name";
const ENDPOINT: &str = "/pushConfig/pushEndpoint";
const AUDIENCE: &str = "/pushConfig/oidcToken/audience";
const DETACHED: &str = "/detached";
const RETENTION: &str = "/messageRetentionDuration";
const DEAD_LETTERS: &str = "/deadLetterPolicy/deadLetterTopic";
const DELIVERY_ATTEMPTS: &str = "/deadLetterPolicy/maxDeliveryAttempts";

// Unverified, each: the names of metrics and labels are in no description.
pub(super) const UNDELIVERED: &str = "pubsub.googleapis.com/subscription/num_undelivered_messages";
pub(super) const OLDEST: &str = "pubsub.googleapis.com/subscription/oldest_unacked_message_age";
pub(super) const LABEL: &str = "subscription_id";
