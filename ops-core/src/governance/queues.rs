use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::model::TargetId;
use crate::ports::{Clock, QueueInspector, QueuesFound};
use crate::resilience::Deadline;

/// What delivers to `targets`, asked of all inspectors at the same time, at most `budget` each. One that is slow, fails or panics is
/// [unread](QueuesFound::unread), and takes nothing else with it.
///
/// To be shown beside a plan. Do not await it before a stop: spawn it, and look at it when the stop has ended.
///
/// # Cancellation
/// Dropping the future ends the asking.
pub async fn queues_feeding(
    inspectors: &[Arc<dyn QueueInspector>],
    targets: &[TargetId],
    clock: Arc<dyn Clock>,
    budget: Duration,
) -> QueuesFound {
    let mut asking = JoinSet::new();
    for (position, inspector) in inspectors.iter().enumerate() {
        let (inspector, targets, clock) = (Arc::clone(inspector), targets.to_vec(), Arc::clone(&clock));
        asking.spawn(async move { (position, ask(inspector, targets, &*clock, budget).await) });
    }
    let mut found = asking.join_all().await;
    found.sort_by_key(|(position, _)| *position);
    let found = found.into_iter().map(|(_, found)| found);
    found.fold(QueuesFound::default(), QueuesFound::and)
}

async fn ask(
    inspector: Arc<dyn QueueInspector>,
    targets: Vec<TargetId>,
    clock: &dyn Clock,
    budget: Duration,
) -> QueuesFound {
    let name = Arc::clone(&inspector);
    let mut task = JoinSet::new();
    task.spawn(async move { inspector.feeding(&targets).await });
    let answer = Deadline::after(clock, budget).bound(clock, "list queues", async {
        Ok(match task.join_next().await {
            Some(Ok(found)) => found,
            _ => QueuesFound::unread(name.name(), "the inspector ended unexpectedly"),
        })
    });
    answer.await.unwrap_or_else(|_| {
        QueuesFound::unread(
            name.name(),
            format!("no answer within {} s", budget.as_secs_f64()),
        )
    })
}
