use crate::model::{FeedingQueue, TargetId};
use crate::ports::QueueInspector;

/// The contract of [`QueueInspector`]: exactly `expected` deliver to the targets that they name; nothing delivers to `quiet`.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn queue_inspector(port: &dyn QueueInspector, expected: &[FeedingQueue], quiet: &TargetId) {
    assert!(!port.name().is_empty(), "it must have a name for people");
    let mut targets: Vec<_> = expected.iter().map(|queue| queue.target.clone()).collect();
    targets.push(quiet.clone());
    targets.sort();
    targets.dedup();
    let found = port.feeding(&targets).await;
    assert_eq!(found.unread, [], "everything can be read here");
    let sorted = |queues: &[FeedingQueue]| {
        let mut queues = queues.to_vec();
        queues.sort_by(|one, other| (&one.name, &one.target).cmp(&(&other.name, &other.target)));
        queues
    };
    assert_eq!(
        sorted(&found.queues),
        sorted(expected),
        "what delivers to which target, on every page"
    );
    assert_eq!(port.feeding(&targets).await, found, "asking changes nothing");
    assert_eq!(
        port.feeding(std::slice::from_ref(quiet)).await.queues,
        [],
        "only what was asked about is told"
    );
    let Ok(elsewhere) = TargetId::new("another-system:of-which/nothing/is-known") else {
        panic!("the suite's own target id");
    };
    let nothing = port.feeding(&[elsewhere]).await;
    assert_eq!(
        nothing.queues,
        [],
        "a target of another system has no queues here"
    );
    assert_eq!(nothing.unread, [], "and is no failure");
}
