use std::time::Duration;

use ops_core::model::Timestamp;

/// A subscription as it is before anybody touches it. The default: pushes to no endpoint (it is pulled), keeps for seven days.
#[derive(Clone, Debug)]
#[must_use]
pub struct SubscriptionSeed {
    pub(super) endpoint: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) retention: Duration,
    pub(super) dead_letters: Option<(String, u32)>,
    pub(super) detached: bool,
}

impl SubscriptionSeed {
    /// One that is pulled.
    pub fn pulled() -> Self {
        Self {
            endpoint: None,
            audience: None,
            retention: Duration::from_secs(604_800),
            dead_letters: None,
            detached: false,
        }
    }

    /// One that pushes to this URL.
    pub fn push_to(url: &str) -> Self {
        Self {
            endpoint: Some(url.to_owned()),
            ..Self::pulled()
        }
    }

    /// Shows a token for this audience.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.to_owned());
        self
    }

    /// Keeps what is not acknowledged for so long; from 10 minutes to 31 days.
    pub fn keeps(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets aside in this topic what was tried so often.
    pub fn dead_letters(mut self, topic: &str, attempts: u32) -> Self {
        self.dead_letters = Some((topic.to_owned(), attempts));
        self
    }

    /// Detached from its topic: nothing is pushed, and no backlog is kept.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }
}

/// A queue as it is before anybody touches it. The default: 500 a second, 100 attempts, pauses from 0.1 s to an hour with 16 doublings.
#[derive(Clone, Debug)]
#[must_use]
pub struct QueueSeed {
    pub(super) host: Option<(String, bool)>,
    pub(super) audience: Option<String>,
    pub(super) rate: f64,
    pub(super) attempts: i32,
    pub(super) retry_for: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) doublings: u32,
    pub(super) paused: bool,
}

impl Default for QueueSeed {
    fn default() -> Self {
        Self {
            host: None,
            audience: None,
            rate: 500.0,
            attempts: 100,
            retry_for: Duration::ZERO,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(3_600),
            doublings: 16,
            paused: false,
        }
    }
}

impl QueueSeed {
    /// The default queue: each task says where it goes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends every task to this host, whatever the task says.
    pub fn to_host(mut self, host: &str) -> Self {
        self.host = Some((host.to_owned(), true));
        self
    }

    /// Sends those tasks to this host that name none.
    pub fn to_host_if_none(mut self, host: &str) -> Self {
        self.host = Some((host.to_owned(), false));
        self
    }

    /// Shows a token for this audience with every task.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.to_owned());
        self
    }

    /// So many dispatches a second at most.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = per_second;
        self
    }

    /// Tries each task so often; -1: without end.
    pub fn attempts(mut self, attempts: i32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Tries each task at least for so long.
    pub fn retry_for(mut self, at_least: Duration) -> Self {
        self.retry_for = at_least;
        self
    }

    /// The pauses between attempts: the first, the longest, and how often they double.
    pub fn pauses(mut self, first: Duration, longest: Duration, doublings: u32) -> Self {
        (self.first_pause, self.longest_pause, self.doublings) = (first, longest, doublings);
        self
    }

    /// Paused by somebody.
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }
}

/// A job as it is before anybody touches it. The default: every hour, not tried again.
#[derive(Clone, Debug)]
#[must_use]
pub struct JobSeed {
    pub(super) uri: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) schedule: String,
    pub(super) every: Duration,
    pub(super) next: Timestamp,
    pub(super) retries: u32,
    pub(super) retry_for: Duration,
    pub(super) paused: bool,
}

impl JobSeed {
    /// One that calls this URI, next at `next`.
    pub fn calls(uri: &str, next: Timestamp) -> Self {
        Self {
            uri: Some(uri.to_owned()),
            audience: None,
            schedule: "0 * * * *".to_owned(),
            every: Duration::from_secs(3_600),
            next,
            retries: 0,
            retry_for: Duration::ZERO,
            paused: false,
        }
    }

    /// One that publishes to a topic, next at `next`.
    pub fn publishes(next: Timestamp) -> Self {
        Self {
            uri: None,
            ..Self::calls("", next)
        }
    }

    /// Shows a token for this audience.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.to_owned());
        self
    }

    /// Runs at these times, which are so far apart.
    pub fn schedule(mut self, cron: &str, every: Duration) -> Self {
        (self.schedule, self.every) = (cron.to_owned(), every);
        self
    }

    /// Tries a failed run so often again, and at least for so long (zero: without a limit of time).
    pub fn retries(mut self, retries: u32, at_least: Duration) -> Self {
        (self.retries, self.retry_for) = (retries, at_least);
        self
    }

    /// Paused by somebody.
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }
}
