use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TargetId, Timestamp};

/// Something that delivers to a target by itself, and goes on trying while the target is stopped.
///
/// What is `None` could not be read, or the vendor does not tell it; nothing is guessed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FeedingQueue {
    /// The vendor's full name of it.
    pub name: String,
    /// What it is.
    pub kind: QueueKind,
    /// What it delivers to.
    pub target: TargetId,
    /// How that was found.
    pub matched: QueueMatch,
    /// Whether somebody has paused it: then it delivers nothing on return.
    pub paused: bool,
    /// How much waits.
    pub waiting: Option<u64>,
    /// How long the oldest has waited.
    pub oldest: Option<Duration>,
    /// The most that it delivers in a second.
    pub per_second: Option<f64>,
    /// How many times it tries; `None`: without end, as long as it keeps.
    pub attempts: Option<u32>,
    /// How long it tries and keeps at most; then what waits is gone, as `after` says.
    pub keeps: Option<Duration>,
    /// What becomes of that which was tried too often or kept too long.
    pub after: GivenUp,
    /// For a scheduled job: when it runs, in the vendor's words.
    pub schedule: Option<String>,
    /// For a scheduled job: its next run.
    pub next: Option<Timestamp>,
}

/// What delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueKind {
    /// Messages are pushed to it.
    PushSubscription,
    /// Tasks are dispatched to it.
    TaskQueue,
    /// It is called at certain times.
    ScheduledJob,
}

impl QueueKind {
    /// `push_subscription`, `task_queue` or `scheduled_job`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PushSubscription => "push_subscription",
            Self::TaskQueue => "task_queue",
            Self::ScheduledJob => "scheduled_job",
        }
    }
}

/// How it is known that a queue delivers to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueMatch {
    /// By the host that it calls.
    Host,
    /// By the audience of the token that it shows.
    Audience,
}

/// What becomes of that which a queue gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GivenUp {
    /// It is lost.
    Lost,
    /// It is set aside, and comes back only if somebody brings it.
    SetAside {
        /// Where.
        to: String,
    },
    /// The run is missed, and not made up for.
    RunMissed,
}

impl FeedingQueue {
    /// A queue of which nothing more is known.
    pub fn new(name: impl Into<String>, kind: QueueKind, target: TargetId, matched: QueueMatch) -> Self {
        Self {
            name: name.into(),
            kind,
            target,
            matched,
            paused: false,
            waiting: None,
            oldest: None,
            per_second: None,
            attempts: None,
            keeps: None,
            after: match kind {
                QueueKind::ScheduledJob => GivenUp::RunMissed,
                _ => GivenUp::Lost,
            },
            schedule: None,
            next: None,
        }
    }

    /// How long from now until the first of that which waits is given up for its age; zero: it happens now. `None`: not known, or nothing
    /// waits.
    pub fn first_given_up(&self) -> Option<Duration> {
        match self.waiting {
            Some(0) => None,
            _ => Some(self.keeps?.saturating_sub(self.oldest?)),
        }
    }

    /// What it delivers at once on return.
    pub fn burst(&self) -> Burst {
        let messages = match (self.kind, self.paused) {
            (_, true) => Some(0),
            // A scheduled job has one run in hand at most.
            (QueueKind::ScheduledJob, _) => Some(u64::from(self.attempts != Some(1))),
            _ => self.waiting,
        };
        let lasts = match (messages, self.per_second) {
            (Some(0), _) => Some(Duration::ZERO),
            _ if self.kind == QueueKind::ScheduledJob => Some(Duration::ZERO),
            (Some(messages), Some(rate)) if rate > 0.0 => {
                Duration::try_from_secs_f64(messages as f64 / rate).ok()
            }
            _ => None,
        };
        Burst {
            messages: messages.unwrap_or(0),
            per_second: self.per_second.unwrap_or(0.0) * f64::from(u8::from(!self.paused)),
            lasts,
            whole: messages.is_some(),
            paced: messages == Some(0) || self.kind == QueueKind::ScheduledJob || self.per_second.is_some(),
        }
    }
}

/// What arrives when the targets are back, as far as it is known now. What comes in until then is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Burst {
    /// How many messages, tasks and runs; at least so many unless it is [`whole`](Self::whole).
    pub messages: u64,
    /// How many of them in a second, at most; more unless it is [`paced`](Self::paced).
    pub per_second: f64,
    /// How long it lasts if the targets keep up; `None` unless the pace of all that waits is known.
    pub lasts: Option<Duration>,
    /// Whether it is known of every queue what waits in it.
    pub whole: bool,
    /// Whether every queue that has something to deliver has a limit to its pace.
    pub paced: bool,
}

impl Burst {
    /// That of all these queues: they deliver at the same time.
    pub fn of<'a>(queues: impl IntoIterator<Item = &'a FeedingQueue>) -> Self {
        let nothing = Self {
            messages: 0,
            per_second: 0.0,
            lasts: Some(Duration::ZERO),
            whole: true,
            paced: true,
        };
        queues
            .into_iter()
            .map(FeedingQueue::burst)
            .fold(nothing, |sum, next| Self {
                messages: sum.messages.saturating_add(next.messages),
                per_second: sum.per_second + next.per_second,
                lasts: sum.lasts.zip(next.lasts).map(|(one, other)| one.max(other)),
                whole: sum.whole && next.whole,
                paced: sum.paced && next.paced,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(kind: QueueKind) -> FeedingQueue {
        let target = TargetId::new("memory:api").unwrap();
        FeedingQueue::new("queue", kind, target, QueueMatch::Host)
    }

    fn waiting(messages: u64, rate: f64) -> FeedingQueue {
        let mut queue = queue(QueueKind::TaskQueue);
        (queue.waiting, queue.per_second) = (Some(messages), Some(rate));
        queue
    }

    #[test]
    fn the_burst_of_several_queues_is_their_sum_and_lasts_as_long_as_the_longest() {
        let burst = Burst::of(&[waiting(1_000, 10.0), waiting(50, 50.0)]);
        assert_eq!((burst.messages, burst.per_second), (1_050, 60.0));
        assert_eq!(burst.lasts, Some(Duration::from_secs(100)));
        assert!(burst.whole && burst.paced);
        assert_eq!(Burst::of(&[]).lasts, Some(Duration::ZERO));
    }

    #[test]
    fn what_is_not_known_is_never_taken_for_nothing() {
        let unread = queue(QueueKind::PushSubscription);
        let burst = Burst::of(&[waiting(10, 1.0), unread]);
        assert!(!burst.whole && !burst.paced);
        assert_eq!((burst.messages, burst.lasts), (10, None));
        let mut unlimited = queue(QueueKind::PushSubscription);
        unlimited.waiting = Some(7);
        let burst = Burst::of(&[unlimited]);
        assert!(
            burst.whole && !burst.paced,
            "it comes at whatever pace: {burst:?}"
        );
    }

    #[test]
    fn a_paused_queue_delivers_nothing_and_a_job_one_run() {
        let mut paused = waiting(10, 1.0);
        paused.paused = true;
        assert_eq!(Burst::of(&[paused]), Burst::of(&[]));
        let mut job = queue(QueueKind::ScheduledJob);
        assert_eq!(job.burst().messages, 1, "one that is being retried");
        assert!(job.burst().paced);
        job.attempts = Some(1);
        assert_eq!(job.burst().messages, 0, "a run that is not retried is missed");
    }

    #[test]
    fn what_waits_is_given_up_when_it_is_too_old() {
        let mut queue = waiting(10, 1.0);
        assert_eq!(queue.first_given_up(), None);
        (queue.keeps, queue.oldest) = (Some(Duration::from_secs(600)), Some(Duration::from_secs(540)));
        assert_eq!(queue.first_given_up(), Some(Duration::from_secs(60)));
        queue.oldest = Some(Duration::from_secs(601));
        assert_eq!(queue.first_given_up(), Some(Duration::ZERO));
        queue.waiting = Some(0);
        assert_eq!(queue.first_given_up(), None);
    }
}
