//! Which queues belong to a service, and what is told of each.

use std::sync::Arc;
use std::time::Duration;

use ops_core::model::{Burst, FeedingQueue, GivenUp, QueueKind, QueueMatch};
use ops_core::ports::{Clock, QueueInspector};
use ops_core::testkit;
use ops_gcp::queues::sim::{JobSeed, QueueSeed, SubscriptionSeed};
use ops_gcp::queues::{PushSubscriptions, ScheduledJobs, TaskQueues};

use super::world::{API, REGION, WEB, World, job, queue, subscription};

const DAY: Duration = Duration::from_secs(86_400);

fn names(queues: &[FeedingQueue]) -> Vec<&str> {
    queues
        .iter()
        .map(|queue| queue.name.rsplit('/').next().unwrap())
        .collect()
}

#[tokio::test]
async fn each_kind_keeps_the_contract_of_a_queue_inspector_on_every_page() {
    let world = World::new().await;
    world.queues.set_page(1);
    let gcp = world.gcp();
    let of = |name: String, kind, target, matched| FeedingQueue::new(name, kind, target, matched);
    let quiet = ops_gcp::run::CloudRunTraffic::target("soul-kun", REGION, "quiet").unwrap();
    world
        .cloud_run
        .add_service("soul-kun", REGION, "quiet", ops_gcp::run::sim::ServiceSeed::new())
        .unwrap();

    world
        .queues
        .add_subscription("events", SubscriptionSeed::push_to(&format!("{API}/push")));
    world
        .queues
        .add_subscription("pulled", SubscriptionSeed::pulled());
    world
        .queues
        .add_subscription("web", SubscriptionSeed::push_to(&format!("{WEB}/push")));
    let push = QueueKind::PushSubscription;
    let mut expected = [
        of(subscription("events"), push, world.api.clone(), QueueMatch::Host),
        of(subscription("web"), push, world.web.clone(), QueueMatch::Host),
    ];
    for queue in &mut expected {
        (queue.waiting, queue.oldest, queue.keeps) = (Some(0), Some(Duration::ZERO), Some(7 * DAY));
    }
    testkit::queue_inspector(&PushSubscriptions::new(&gcp), &expected, &quiet).await;

    let host = API.trim_start_matches("https://");
    world.queues.add_queue(
        REGION,
        "a",
        QueueSeed::new().to_host(host).rate(10.0).attempts(-1),
    );
    world.queues.add_queue(REGION, "b", QueueSeed::new().attempts(-1));
    world.queues.create_tasks(REGION, "b", 1, WEB, None);
    let mut expected = [
        of(
            queue("a"),
            QueueKind::TaskQueue,
            world.api.clone(),
            QueueMatch::Host,
        ),
        of(
            queue("b"),
            QueueKind::TaskQueue,
            world.web.clone(),
            QueueMatch::Host,
        ),
    ];
    (expected[0].waiting, expected[0].per_second) = (Some(0), Some(10.0));
    (expected[1].waiting, expected[1].per_second) = (Some(1), Some(500.0));
    expected[1].oldest = Some(Duration::ZERO);
    for queue in &mut expected {
        queue.keeps = Some(31 * DAY);
    }
    testkit::queue_inspector(&TaskQueues::new(&gcp), &expected, &quiet).await;

    let next = world.clock.now() + DAY;
    world
        .queues
        .add_job(REGION, "nightly", JobSeed::calls(&format!("{API}/nightly"), next));
    world.queues.add_job(REGION, "topic", JobSeed::publishes(next));
    world.queues.add_job(REGION, "web", JobSeed::calls(WEB, next));
    let mut expected = [
        of(
            job("nightly"),
            QueueKind::ScheduledJob,
            world.api.clone(),
            QueueMatch::Host,
        ),
        of(
            job("web"),
            QueueKind::ScheduledJob,
            world.web.clone(),
            QueueMatch::Host,
        ),
    ];
    for job in &mut expected {
        (job.next, job.attempts) = (Some(next), Some(1));
        job.schedule = Some("0 * * * * (Asia/Tokyo)".to_owned());
    }
    testkit::queue_inspector(&ScheduledJobs::new(&gcp), &expected, &quiet).await;
}

#[tokio::test]
async fn a_subscription_tells_what_waits_how_long_it_keeps_and_where_it_sets_aside() {
    let world = World::new().await;
    let seed = SubscriptionSeed::push_to(API).keeps(Duration::from_secs(3_600));
    world
        .queues
        .add_subscription("events", seed.dead_letters("projects/soul-kun/topics/dead", 5));
    world
        .queues
        .add_subscription("gone", SubscriptionSeed::push_to(API).detached());
    world.queues.publish("events", 1_200);
    world.queues.publish("gone", 5);
    world.clock.advance(Duration::from_secs(600));
    let found = world.feeding_api().await;
    let [events, gone] = &found[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(events.waiting, Some(1_200));
    assert_eq!(events.oldest, Some(Duration::from_secs(600)));
    assert_eq!(events.first_given_up(), Some(Duration::from_secs(3_000)));
    assert_eq!(events.attempts, Some(5));
    let dead = GivenUp::SetAside {
        to: "projects/soul-kun/topics/dead".to_owned(),
    };
    assert_eq!(events.after, dead);
    assert!(gone.paused && !events.paused);
    let burst = Burst::of(&found);
    assert_eq!((burst.messages, burst.whole), (1_200, true));
    assert!(
        !burst.paced && burst.lasts.is_none(),
        "a push has no limit to its pace"
    );
}

#[tokio::test]
async fn behind_a_custom_domain_the_audience_tells_whose_it_is() {
    let world = World::new().await;
    let domain = "https://api.soul-kun.com/push";
    world
        .queues
        .add_subscription("ours", SubscriptionSeed::push_to(domain).audience(API));
    world
        .queues
        .add_subscription("theirs", SubscriptionSeed::push_to(domain).audience(WEB));
    world
        .queues
        .add_subscription("unknown", SubscriptionSeed::push_to(domain));
    let next = world.clock.now() + DAY;
    world
        .queues
        .add_job(REGION, "job", JobSeed::calls(domain, next).audience(API));
    world.queues.add_queue(REGION, "tasks", QueueSeed::new());
    world.queues.create_tasks(REGION, "tasks", 2, domain, Some(API));
    let found = world.feeding_api().await;
    assert_eq!(names(&found), ["ours", "tasks", "job"]);
    assert!(found.iter().all(|queue| queue.matched == QueueMatch::Audience));
}

#[tokio::test]
async fn a_queue_whose_tasks_go_to_two_services_is_told_for_each_with_what_is_its_own() {
    let world = World::new().await;
    world.queues.add_queue(REGION, "both", QueueSeed::new().rate(5.0));
    world
        .queues
        .create_tasks(REGION, "both", 30, &format!("{API}/a"), None);
    world.clock.advance(Duration::from_secs(60));
    world
        .queues
        .create_tasks(REGION, "both", 12, &format!("{WEB}/b"), None);
    world.queues.add_queue(REGION, "empty", QueueSeed::new());
    let found = world.look(&[&world.api, &world.web]).await;
    assert_eq!(
        names(&found.queues),
        ["both", "both"],
        "an empty queue without a host is nobody's"
    );
    let [api, web] = &found.queues[..] else {
        panic!("{found:#?}")
    };
    assert_eq!((&api.target, api.waiting), (&world.api, Some(30)));
    assert_eq!((&web.target, web.waiting), (&world.web, Some(12)));
    assert_eq!(api.oldest, Some(Duration::from_secs(60)));
    assert_eq!(Burst::of([api]).lasts, Some(Duration::from_secs(6)));
}

#[tokio::test]
async fn of_more_tasks_than_a_page_the_depth_is_told_if_they_have_one_target() {
    let world = World::new().await;
    world.queues.set_page(10);
    world.queues.add_queue(REGION, "one", QueueSeed::new());
    world.queues.create_tasks(REGION, "one", 25, API, None);
    world.queues.add_queue(REGION, "both", QueueSeed::new());
    world.queues.create_tasks(REGION, "both", 5, API, None);
    world.queues.create_tasks(REGION, "both", 25, WEB, None);
    let found = world.look(&[&world.api, &world.web]).await.queues;
    let waiting: Vec<_> = found
        .iter()
        .map(|queue| (queue.name.rsplit('/').next().unwrap(), queue.waiting))
        .collect();
    assert_eq!(waiting, [("both", None), ("both", None), ("one", Some(25))]);
    assert!(!Burst::of(&found).whole, "what is not known is said");
}

#[tokio::test]
async fn a_host_that_is_forced_on_all_tasks_outranks_what_they_say() {
    let world = World::new().await;
    let (api, web) = (
        API.trim_start_matches("https://"),
        WEB.trim_start_matches("https://"),
    );
    world
        .queues
        .add_queue(REGION, "forced", QueueSeed::new().to_host(api));
    world.queues.create_tasks(REGION, "forced", 3, WEB, None);
    world
        .queues
        .add_queue(REGION, "fallback", QueueSeed::new().to_host_if_none(web));
    world.queues.create_tasks(REGION, "fallback", 4, API, None);
    let found = world.feeding_api().await;
    assert_eq!(names(&found), ["fallback", "forced"]);
    assert_eq!((found[0].waiting, found[1].waiting), (Some(4), Some(3)));
}

#[tokio::test]
async fn paused_queues_and_jobs_are_told_and_promise_nothing() {
    let world = World::new().await;
    let host = API.trim_start_matches("https://");
    world
        .queues
        .add_queue(REGION, "paused", QueueSeed::new().to_host(host).paused());
    world.queues.create_tasks(REGION, "paused", 9, API, None);
    let next = world.clock.now() + DAY;
    world.queues.add_job(
        REGION,
        "off",
        JobSeed::calls(API, next).retries(3, Duration::ZERO).paused(),
    );
    let found = world.feeding_api().await;
    assert_eq!(names(&found), ["paused", "off"]);
    assert!(found.iter().all(|queue| queue.paused));
    assert_eq!(found[1].next, None);
    assert_eq!(Burst::of(&found).messages, 0);
}

#[tokio::test]
async fn only_services_of_the_project_that_it_is_told_are_asked_about() {
    let world = World::new().await;
    world
        .queues
        .add_subscription("events", SubscriptionSeed::push_to(API));
    let other = ops_gcp::run::CloudRunTraffic::target("another", REGION, "api").unwrap();
    let found = world.look(&[&other]).await;
    assert_eq!((found.queues.len(), found.unread.len()), (0, 0));
    assert_eq!(world.queues.requests(), [], "nothing is asked without a service");
    assert_eq!(world.cloud_run.writes(), 0);
}

#[test]
fn three_inspectors_have_three_names_and_say_where_they_do_not_look() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new());
    let inspectors: Vec<Arc<dyn QueueInspector>> = world.inspectors();
    let names: Vec<_> = inspectors.iter().map(|inspector| inspector.name()).collect();
    assert_eq!(names, ["Pub/Sub", "Cloud Tasks", "Cloud Scheduler"]);
    assert!(
        inspectors
            .iter()
            .all(|inspector| !inspector.limitations().is_empty())
    );
}
