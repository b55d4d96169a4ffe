//! What the plan foretells is what then happens, seen by the simulated vendors' own rules.

use std::time::Duration;

use ops_core::ports::Clock;
use ops_gcp::queues::sim::{JobSeed, QueueSeed, SubscriptionSeed};

use super::world::{API, REGION, World};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_message_is_lost_when_it_is_foretold_and_not_before() {
    let world = World::new().await;
    let seed = SubscriptionSeed::push_to(API).keeps(Duration::from_secs(900));
    world.queues.add_subscription("events", seed);
    world.queues.publish("events", 40);
    world.clock.advance(Duration::from_secs(300));
    world.queues.publish("events", 2);
    let left = world.feeding_api().await[0].first_given_up().unwrap();
    assert_eq!(left, Duration::from_secs(600));
    world.clock.advance(left - SECOND);
    assert_eq!(world.queues.given_up(), 0);
    world.clock.advance(2 * SECOND);
    assert_eq!(world.queues.given_up(), 40);
    let found = world.feeding_api().await;
    assert_eq!(found[0].waiting, Some(2), "the later ones are still there");
}

#[tokio::test]
async fn a_task_is_deleted_when_its_attempts_are_used_up_and_not_before() {
    let world = World::new().await;
    let pauses = (Duration::from_secs(10), Duration::from_secs(300), 3);
    let seed = || QueueSeed::new().pauses(pauses.0, pauses.1, pauses.2).attempts(7);
    world.queues.add_queue(REGION, "few", seed());
    world.queues.create_tasks(REGION, "few", 3, API, None);
    let queue = world.feeding_api().await.remove(0);
    assert_eq!(queue.attempts, Some(7));
    let left = queue.first_given_up().unwrap();
    assert_eq!(left, Duration::from_secs(550), "10, 20, 40, 80, 160, 240");
    world.clock.advance(left - SECOND);
    assert_eq!(world.queues.given_up(), 0);
    world.clock.advance(2 * SECOND);
    assert_eq!(world.queues.given_up(), 3);

    // The limit of time alone ends nothing, and the number of attempts alone neither.
    let longer = Duration::from_secs(850);
    world.queues.add_queue(REGION, "few", seed().retry_for(longer));
    world.queues.create_tasks(REGION, "few", 1, API, None);
    let queue = world.feeding_api().await.remove(0);
    assert_eq!(queue.keeps, Some(longer));
    world.clock.advance(longer - SECOND);
    assert_eq!(
        world.queues.given_up(),
        0,
        "the queue was replaced, with its count"
    );
    world.clock.advance(2 * SECOND);
    assert_eq!(world.queues.given_up(), 1);

    world
        .queues
        .add_queue(REGION, "few", seed().attempts(-1).retry_for(SECOND));
    world.queues.create_tasks(REGION, "few", 1, API, None);
    let queue = world.feeding_api().await.remove(0);
    assert_eq!((queue.attempts, queue.keeps), (None, Some(31 * 86_400 * SECOND)));
    world.clock.advance(30 * 86_400 * SECOND);
    assert_eq!(world.queues.given_up(), 0);
    world.clock.advance(2 * 86_400 * SECOND);
    assert_eq!(world.queues.given_up(), 1);
}

#[tokio::test]
async fn a_run_is_missed_at_the_time_that_is_told_unless_it_is_tried_again() {
    let world = World::new().await;
    let next = world.clock.now() + Duration::from_secs(90);
    let every = Duration::from_secs(300);
    world.queues.add_job(
        REGION,
        "once",
        JobSeed::calls(API, next).schedule("*/5 * * * *", every),
    );
    let found = world.feeding_api().await;
    assert_eq!((found[0].next, found[0].attempts), (Some(next), Some(1)));
    assert_eq!(found[0].burst().messages, 0, "a missed run is not made up for");
    world.clock.advance(Duration::from_secs(89));
    assert_eq!(world.queues.given_up(), 0);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.queues.given_up(), 1);
    world.clock.advance(every);
    assert_eq!(world.queues.given_up(), 2);

    let again = JobSeed::calls(API, next + every + every).retries(3, Duration::from_secs(600));
    world.queues.add_job(REGION, "once", again);
    let found = world.feeding_api().await;
    assert_eq!(
        (found[0].attempts, found[0].keeps),
        (Some(4), Some(Duration::from_secs(600)))
    );
    assert_eq!(found[0].burst().messages, 1);
    let endless = JobSeed::calls(API, next + every + every).retries(0, Duration::from_secs(600));
    world.queues.add_job(REGION, "once", endless);
    assert_eq!(world.feeding_api().await[0].attempts, None);
}
