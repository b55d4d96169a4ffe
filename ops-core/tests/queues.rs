//! What delivers to a stopped target: found beside a plan, never in the way of a stop.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::governance::queues_feeding;
use ops_core::memory::InMemoryQueues;
use ops_core::model::{Burst, FeedingQueue, QueueKind, QueueMatch, TargetId, Text};
use ops_core::ports::{QueueInspector, QueuesFound};
use ops_core::testkit::ManualClock;

const BUDGET: Duration = Duration::from_secs(3);

fn target(name: &str) -> TargetId {
    TargetId::new(format!("memory:{name}")).unwrap()
}

fn queue(name: &str, of: &str) -> FeedingQueue {
    let mut queue = FeedingQueue::new(name, QueueKind::PushSubscription, target(of), QueueMatch::Host);
    (queue.waiting, queue.per_second) = (Some(0), Some(100.0));
    queue
}

async fn look(inspectors: &[Arc<dyn QueueInspector>], targets: &[TargetId]) -> QueuesFound {
    queues_feeding(inspectors, targets, Arc::new(ManualClock::self_moving()), BUDGET).await
}

/// One that behaves badly.
#[derive(Debug)]
enum Bad {
    NeverAnswers,
    Panics,
}

#[async_trait]
impl QueueInspector for Bad {
    fn name(&self) -> &str {
        match self {
            Self::NeverAnswers => "hung",
            Self::Panics => "panicking",
        }
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn feeding(&self, _targets: &[TargetId]) -> QueuesFound {
        match self {
            Self::NeverAnswers => std::future::pending().await,
            Self::Panics => panic!("on purpose"),
        }
    }
}

#[tokio::test]
async fn an_inspector_that_hangs_panics_or_fails_is_named_and_hides_no_other() {
    let (good, away) = (InMemoryQueues::new(), InMemoryQueues::new());
    good.add(queue("events", "api"));
    away.set_reachable(false);
    let inspectors: [Arc<dyn QueueInspector>; 4] = [
        Arc::new(Bad::NeverAnswers),
        Arc::new(Bad::Panics),
        Arc::new(away),
        Arc::new(good),
    ];
    let found = look(&inspectors, &[target("api")]).await;
    assert_eq!(found.queues, [queue("events", "api")]);
    let unread: Vec<_> = found.unread.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(unread, ["hung", "panicking", "memory"]);
    assert_eq!(found.unread[0].1, "no answer within 3 s");
    assert_eq!(found.unread[1].1, "the inspector ended unexpectedly");
}

#[tokio::test]
async fn without_inspectors_nothing_is_found_and_nothing_is_said_to_be_unread() {
    assert_eq!(look(&[], &[target("api")]).await, QueuesFound::default());
}

/// What the burst foretells is what the in-memory queue then delivers.
#[tokio::test]
async fn the_burst_that_is_foretold_is_the_burst_that_comes() {
    let queues = Arc::new(InMemoryQueues::new());
    queues.add(queue("events", "api"));
    queues.arrive("events", 250);
    let found = look(&[Arc::clone(&queues) as _], &[target("api")]).await;
    let burst = Burst::of(&found.queues);
    assert_eq!(burst.messages, 250);
    let mut got = Vec::new();
    while got.last() != Some(&0) {
        got.push(queues.deliver(&target("api")));
    }
    assert_eq!(got, [100, 100, 50, 0]);
    assert_eq!(got.iter().sum::<u64>(), burst.messages);
    assert!(got.iter().all(|second| *second <= 100), "{}", burst.per_second);
    let seconds = got.iter().filter(|second| **second > 0).count();
    assert_eq!(
        burst.lasts.unwrap().as_secs_f64().ceil(),
        f64::from(u32::try_from(seconds).unwrap())
    );
}
