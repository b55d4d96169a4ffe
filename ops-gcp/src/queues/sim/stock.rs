//! What waits in the simulated queues, and what becomes of it while nobody answers.

use std::time::Duration;

use ops_core::model::Timestamp;
use serde_json::{Value, json};

use super::seed::{JobSeed, QueueSeed, SubscriptionSeed};

/// A subscription and its unacknowledged messages.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) seed: SubscriptionSeed,
    /// How many, and since when.
    pub(super) messages: Vec<(u64, Timestamp)>,
    pub(super) lost: u64,
}

impl Subscription {
    /// What is kept longer than the retention is gone.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let retention = self.seed.retention;
        let (gone, kept) = self
            .messages
            .drain(..)
            .partition::<Vec<_>, _>(|(_, since)| now.saturating_since(*since) > retention);
        self.lost += gone.iter().map(|(count, _)| count).sum::<u64>();
        self.messages = kept;
    }

    pub(super) fn json(&self, name: &str) -> Value {
        let seed = &self.seed;
        let mut push = json!({});
        if let Some(endpoint) = &seed.endpoint {
            push["pushEndpoint"] = json!(endpoint);
            push["attributes"] = json!({"x-goog-version": "v1"});
        }
        if let Some(audience) = &seed.audience {
            push["oidcToken"] = json!({"serviceAccountEmail": SERVICE_ACCOUNT, "audience": audience});
        }
        let mut subscription = json!({
            "name": name,
            "topic": "projects/soul-kun/topics/events",
            "pushConfig": push,
            "ackDeadlineSeconds": 10,
            "messageRetentionDuration": seconds(seed.retention),
            "expirationPolicy": {"ttl": "2678400s"},
            "state": "ACTIVE",
        });
        if seed.detached {
            subscription["detached"] = json!(true);
        }
        if let Some((topic, attempts)) = &seed.dead_letters {
            subscription["deadLetterPolicy"] =
                json!({"deadLetterTopic": topic, "maxDeliveryAttempts": attempts});
        }
        subscription
    }
}

/// A queue and its tasks.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) seed: QueueSeed,
    pub(super) tasks: Vec<Task>,
    pub(super) lost: u64,
    pub(super) made: u64,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) url: String,
    pub(super) audience: Option<String>,
    pub(super) first_attempt: Timestamp,
}

impl Queue {
    /// Each task that was tried often and long enough is deleted, and one of 31 days in any case.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let before = self.tasks.len();
        let seed = &self.seed;
        self.tasks.retain(|task| {
            let tried = now.saturating_since(task.first_attempt);
            tried <= Duration::from_secs(31 * 86_400) && !is_over(seed, tried)
        });
        self.lost += u64::try_from(before - self.tasks.len()).unwrap_or(u64::MAX);
    }

    pub(super) fn json(&self, name: &str) -> Value {
        let seed = &self.seed;
        let mut retry = json!({
            "maxAttempts": seed.attempts,
            "minBackoff": seconds(seed.first_pause),
            "maxBackoff": seconds(seed.longest_pause),
            "maxDoublings": seed.doublings,
        });
        if !seed.retry_for.is_zero() {
            retry["maxRetryDuration"] = json!(seconds(seed.retry_for));
        }
        let mut queue = json!({
            "name": name,
            "rateLimits": {
                "maxDispatchesPerSecond": seed.rate, "maxBurstSize": 100, "maxConcurrentDispatches": 1000,
            },
            "retryConfig": retry,
            "state": if seed.paused { "PAUSED" } else { "RUNNING" },
        });
        if let Some((host, always)) = &seed.host {
            queue["httpTarget"]["uriOverride"] = json!({
                "scheme": "HTTPS", "host": host,
                "uriOverrideEnforceMode": if *always { "ALWAYS" } else { "IF_NOT_EXISTS" },
            });
        }
        if let Some(audience) = &seed.audience {
            queue["httpTarget"]["oidcToken"] =
                json!({"serviceAccountEmail": SERVICE_ACCOUNT, "audience": audience});
        }
        queue
    }
}

impl Task {
    /// The view that is the default: without payload.
    pub(super) fn json(&self, queue: &str) -> Value {
        let mut request = json!({"url": self.url, "httpMethod": "POST"});
        if let Some(audience) = &self.audience {
            request["oidcToken"] = json!({"serviceAccountEmail": SERVICE_ACCOUNT, "audience": audience});
        }
        json!({
            "name": format!("{queue}/tasks/{}", self.number),
            "httpRequest": request,
            "createTime": self.first_attempt,
            "scheduleTime": self.first_attempt,
            "dispatchDeadline": "600s",
            "dispatchCount": 1,
            "responseCount": 1,
            "firstAttempt": {"dispatchTime": self.first_attempt},
            "view": "BASIC",
        })
    }
}

/// Walks from attempt to attempt, as the vendor does.
fn is_over(seed: &QueueSeed, tried: Duration) -> bool {
    let Ok(most) = u32::try_from(seed.attempts) else {
        return false;
    };
    let step = seed.first_pause * 2_u32.pow(seed.doublings);
    let (mut at, mut pause, mut attempt) = (Duration::ZERO, seed.first_pause, 1);
    while at < tried {
        if attempt >= most && at >= seed.retry_for {
            return true;
        }
        at += pause.min(seed.longest_pause);
        pause = match attempt <= seed.doublings {
            true => pause * 2,
            false => (pause + step).min(seed.longest_pause),
        };
        attempt += 1;
    }
    false
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) seed: JobSeed,
    pub(super) missed: u64,
}

impl Job {
    /// A run whose time has come while nobody answers is missed, unless it is tried again.
    pub(super) fn settle(&mut self, now: Timestamp) {
        while !self.seed.paused && self.seed.next < now && !self.seed.every.is_zero() {
            self.missed += u64::from(self.seed.retries == 0 && self.seed.retry_for.is_zero());
            self.seed.next = self.seed.next + self.seed.every;
        }
    }

    pub(super) fn json(&self, name: &str) -> Value {
        let seed = &self.seed;
        let mut job = json!({
            "name": name,
            "schedule": seed.schedule,
            "timeZone": "Asia/Tokyo",
            "state": if seed.paused { "PAUSED" } else { "ENABLED" },
            "attemptDeadline": "180s",
            "retryConfig": {
                "retryCount": seed.retries, "maxRetryDuration": seconds(seed.retry_for), "minBackoffDuration": "5s",
                "maxBackoffDuration": "3600s", "maxDoublings": 5,
            },
        });
        if !seed.paused {
            job["scheduleTime"] = json!(seed.next);
        }
        match &seed.uri {
            Some(uri) => job["httpTarget"] = json!({"uri": uri, "httpMethod": "POST"}),
            None => {
                job["pubsubTarget"] = json!({"topicName": "projects/soul-kun/topics/events", "data": "e30="})
            }
        }
        if let Some(audience) = &seed.audience {
            job["httpTarget"]["oidcToken"] =
                json!({"serviceAccountEmail": SERVICE_ACCOUNT, "audience": audience});
        }
        job
    }
}

/// As JSON has a `google-duration`.
fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        millis => format!("{}.{millis:03}s", duration.as_secs()),
    }
}

const SERVICE_ACCOUNT: &str = "pusher@soul-kun.iam.gserviceaccount.com";
