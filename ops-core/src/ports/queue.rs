use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{FeedingQueue, TargetId, Text};

/// What delivers to some targets, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct QueuesFound {
    /// The queues, a line for each target of each.
    pub queues: Vec<FeedingQueue>,
    /// What could not be read, and why. Nothing can be said about a queue there.
    pub unread: Vec<(String, String)>,
}

impl QueuesFound {
    /// Nothing but that `part` could not be read.
    pub fn unread(part: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            queues: Vec::new(),
            unread: vec![(part.into(), why.into())],
        }
    }

    /// With what was found elsewhere.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.queues.extend(other.queues);
        self.unread.extend(other.unread);
        self
    }
}

/// Tells which queues deliver to a target by themselves: they go on trying while it is stopped, and all at once when it is back.
///
/// # Contract
/// - Only reads, every page to the last.
/// - A queue that delivers to several of the targets is there once for each.
/// - A target of another system than this one's has no queues here, and is not an error.
/// - A part that fails is in [`QueuesFound::unread`], the others are still told. What the vendor does not tell is `None`, never a guess.
/// - Does not retry. The caller bounds it: **nothing may wait for an answer of this port before a stop.**
///
/// # Errors
/// None: see above.
///
/// # Cancellation
/// Dropping the future has no effect.
#[async_trait]
pub trait QueueInspector: Debug + Send + Sync + 'static {
    /// What people call the system that it looks at.
    fn name(&self) -> &str;
    /// Where it does not look, for the plan.
    fn limitations(&self) -> Vec<Text>;
    /// Finds what delivers to each of `targets`.
    async fn feeding(&self, targets: &[TargetId]) -> QueuesFound;
}
