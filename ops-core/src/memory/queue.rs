use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::model::{FeedingQueue, TargetId, Text};
use crate::ports::{QueueInspector, QueuesFound};

/// Queues in memory that deliver to targets in memory: what waits grows while the target is stopped, and is delivered at the pace of the queue.
#[derive(Debug, Default)]
pub struct InMemoryQueues {
    queues: Mutex<BTreeMap<(TargetId, String), FeedingQueue>>,
    plug: Plug,
}

impl InMemoryQueues {
    /// No queues.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a queue, or replaces the one of that name and target.
    pub fn add(&self, queue: FeedingQueue) {
        lock(&self.queues).insert((queue.target.clone(), queue.name.clone()), queue);
    }

    /// So many come into the queue `name` while its targets are stopped.
    pub fn arrive(&self, name: &str, messages: u64) {
        for queue in lock(&self.queues).values_mut().filter(|queue| queue.name == name) {
            queue.waiting = Some(queue.waiting.unwrap_or(0).saturating_add(messages));
        }
    }

    /// A second has passed since `target` is back; gives how many it got. A queue without a limit delivers all it has.
    pub fn deliver(&self, target: &TargetId) -> u64 {
        let mut queues = lock(&self.queues);
        let of_target = queues
            .values_mut()
            .filter(|queue| queue.target == *target && !queue.paused);
        of_target
            .map(|queue| {
                let waiting = queue.waiting.unwrap_or(0);
                let sent = queue.per_second.map_or(waiting, |rate| waiting.min(rate as u64));
                queue.waiting = Some(waiting - sent);
                sent
            })
            .sum()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl QueueInspector for InMemoryQueues {
    fn name(&self) -> &str {
        "memory"
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn feeding(&self, targets: &[TargetId]) -> QueuesFound {
        if let Err(error) = self.plug.check("list queues") {
            return QueuesFound::unread(self.name(), error.to_string());
        }
        let queues = lock(&self.queues);
        let wanted = queues.values().filter(|queue| targets.contains(&queue.target));
        QueuesFound {
            queues: wanted.cloned().collect(),
            unread: Vec::new(),
        }
    }
}
