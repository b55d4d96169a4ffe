mod faulty;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use async_trait::async_trait;

use super::*;
use crate::memory::InMemoryLimits;
use crate::model::{EndpointClass, LimitKey, LimitSemantics, Timestamp};
use crate::ports::{CountedLimit, DenialCount, DenialsCounted, LimitStamp, LimitsChecked};
use crate::testkit::ManualClock;
use EndpointClass::{Api, Llm};

/// Instances with clocks of their own, and a store with its own.
struct World {
    store: Arc<InMemoryLimits>,
    clocks: Vec<Arc<ManualClock>>,
    instances: Vec<DistributedLimiter>,
}

fn secret() -> SecretString {
    SecretString::from("sixteen characters")
}

fn start() -> Timestamp {
    Timestamp::from_unix_micros(1_769_731_200_000_000)
}

impl World {
    /// The clocks of the instances differ from the store's by up to 5 s.
    fn new(instances: u64, table: &LimitTable, options: SharedLimitOptions) -> Self {
        let server = Arc::new(ManualClock::new(start()));
        let store = Arc::new(InMemoryLimits::with_clock(Arc::clone(&server) as Arc<dyn Clock>));
        let mut clocks = vec![server];
        let limiters = (0..instances).map(|number| {
            let offset = Duration::from_millis(number * 10_000 / instances.max(2));
            let clock = Arc::new(ManualClock::new(start() + offset - Duration::from_secs(5)));
            clocks.push(Arc::clone(&clock));
            DistributedLimiter::new(
                Arc::clone(&store) as Arc<dyn LimitStore>,
                table.clone(),
                &secret(),
                options,
                clock,
            )
            .unwrap()
        });
        let instances = limiters.collect();
        Self {
            store,
            clocks,
            instances,
        }
    }

    fn advance(&self, by: Duration) {
        self.clocks.iter().for_each(|clock| clock.advance(by));
    }

    fn now(&self) -> Duration {
        self.clocks[0].monotonic()
    }

    async fn admits(&self, instance: usize, class: EndpointClass, user: &str) -> bool {
        self.instances[instance]
            .check(&request(class, user))
            .await
            .is_admitted()
    }

    /// How many of `tries` requests are admitted, on the instances in turn.
    async fn admitted(&self, class: EndpointClass, user: &str, tries: usize) -> usize {
        let mut admitted = 0;
        for try_number in 0..tries {
            let instance = try_number % self.instances.len();
            admitted += usize::from(self.admits(instance, class, user).await);
        }
        admitted
    }
}

fn request(class: EndpointClass, user: &str) -> LimitRequest<'_> {
    LimitRequest::new(class, LimitKey::user("org", user))
}

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn no_minute_holds_more_than_the_limit_over_twenty_instances_whose_clocks_differ() {
    let world = World::new(20, &LimitTable::preset(), SharedLimitOptions::default());
    let mut next = random(7);
    let users = ["a", "b"];
    let mut admitted: Vec<VecDeque<(Duration, bool)>> = vec![VecDeque::new(); users.len()];
    let mut seen = 0;
    for _ in 0..6_000 {
        world.advance(ms(next(120)));
        let user = usize::try_from(next(2)).unwrap();
        let class = if next(3) == 0 { Llm } else { Api };
        let instance = usize::try_from(next(20)).unwrap();
        if !world.admits(instance, class, users[user]).await {
            continue;
        }
        seen += 1;
        let now = world.now();
        let window = &mut admitted[user];
        window.push_back((now, class == Llm));
        while window
            .front()
            .is_some_and(|(then, _)| now - *then > Duration::from_secs(60))
        {
            window.pop_front();
        }
        let llm = window.iter().filter(|(_, llm)| *llm).count();
        assert!(
            window.len() <= 100 && llm <= 20,
            "{} of 100, {llm} of 20",
            window.len()
        );
    }
    assert!(seen > 700, "only {seen} were admitted, which proves nothing");
}

#[tokio::test]
async fn a_caller_at_a_hundred_times_the_limit_costs_few_calls_and_gets_what_is_due() {
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let table = LimitTable::preset().with_semantics(semantics);
        let world = World::new(20, &table, SharedLimitOptions::default());
        let rule = &table.rules[0];
        let key = LimitKey::user("org", "u").digest(rule, &[7; 32]);
        let mut one = LimitCheck::new(1);
        one.push(CountedLimit::new(key, semantics, rule.limit, rule.per()));
        let mut exact = LimitCounts::new(usize::MAX);
        let mut next = random(11);
        let (mut admitted, mut due, mut behind) = (0_u32, 0_u32, 0);
        let checks = 100_000;
        for _ in 0..checks {
            world.advance(ms(next(13)));
            let instance = usize::try_from(next(20)).unwrap();
            admitted += u32::from(world.admits(instance, Api, "u").await);
            let mut standings = Vec::new();
            exact.decide(&one, limit_time(world.clocks[0].now()), &mut standings);
            due += u32::from(standings[0].admitted);
            assert!(admitted <= due, "{semantics:?}: {admitted} admitted, {due} due");
            behind = behind.max(due - admitted);
        }
        let calls = world.store.calls() as f64 / f64::from(checks);
        let share = f64::from(admitted) / f64::from(due);
        eprintln!("{semantics:?}: {calls:.3} calls per check, {admitted} of {due}, {behind} behind");
        assert!(calls <= 0.12, "{semantics:?}: {calls} calls per check");
        assert!(behind <= 2, "{semantics:?}: {behind} are late");
        assert!(share >= 0.999, "{semantics:?}: {share} of what is due");
    }
}

#[tokio::test]
async fn tightening_holds_for_the_next_check_on_every_instance() {
    let world = World::new(5, &LimitTable::preset(), SharedLimitOptions::default());
    assert_eq!(world.admitted(Llm, "u", 5).await, 5);
    world.instances[0].change(LimitChange::new(50)).await.unwrap();
    assert_eq!(
        world.admitted(Llm, "u", 50).await,
        5,
        "10 a minute now, and 5 are used"
    );
    assert_eq!(world.admitted(Llm, "other", 50).await, 10);
    for instance in &world.instances {
        assert_eq!(instance.table().version, 2);
    }
    world.instances[4]
        .change(LimitChange::suspend().for_class(Llm))
        .await
        .unwrap();
    assert_eq!(world.admitted(Llm, "third", 50).await, 0);
    assert_eq!(world.admitted(Api, "third", 50).await, 50);
}

#[tokio::test]
async fn loosening_ends_remembered_denials_within_a_second() {
    let world = World::new(3, &LimitTable::preset(), SharedLimitOptions::default());
    assert_eq!(world.admitted(Llm, "u", 60).await, 20);
    let calls = world.store.calls();
    assert_eq!(world.admitted(Llm, "u", 300).await, 0);
    assert_eq!(world.store.calls(), calls, "no call for what is known");
    let limiter = &world.instances[0];
    assert!(!limiter.admit_now(&request(Llm, "u")).unwrap().is_admitted());
    assert!(
        limiter.admit_now(&request(Llm, "v")).is_none(),
        "that needs a call"
    );
    world.instances[0]
        .change(LimitChange::new(200).for_class(Llm))
        .await
        .unwrap();
    for instance in &world.instances {
        instance.flush_denials().await.unwrap();
    }
    assert_eq!(
        world.admitted(Llm, "u", 60).await,
        20,
        "40 a minute now, and 20 are used"
    );
}

#[tokio::test]
async fn a_change_ends_when_the_store_says_whatever_the_clocks_of_instances_say() {
    let world = World::new(4, &LimitTable::preset(), SharedLimitOptions::default());
    let until = start() + Duration::from_secs(30);
    let change = LimitChange::new(50).for_class(Llm).until(until);
    world.instances[2].change(change).await.unwrap();
    for instance in 0..4 {
        let user = format!("before {instance}");
        world.advance(ms(100));
        let mut admitted = 0;
        for _ in 0..30 {
            admitted += u32::from(world.admits(instance, Llm, &user).await);
        }
        assert_eq!(admitted, 10, "instance {instance}");
    }
    world.advance(Duration::from_secs(29) - ms(401));
    assert_eq!(world.admitted(Llm, "just before", 4 * 30).await, 10);
    world.advance(ms(1_001));
    assert_eq!(world.admitted(Llm, "just after", 4 * 30).await, 20);
}

#[tokio::test]
async fn while_the_store_is_away_all_instances_together_stay_within_the_limit() {
    let options = SharedLimitOptions::default().with_max_instances(5);
    let world = World::new(5, &LimitTable::preset(), options);
    assert!(world.admits(0, Api, "u").await);
    world.store.set_reachable(false);
    assert_eq!(world.admitted(Api, "away", 1_000).await, 100);
    assert_eq!(world.admitted(Llm, "llm", 1_000).await, 20);
    assert_eq!(world.admitted(EndpointClass::Admin, "admin", 1_000).await, 10);
    let decision = world.instances[0].check(&request(Api, "seen")).await;
    assert!(
        decision.is_admitted() && decision.is_degraded(),
        "the answer says so"
    );
    assert_eq!(decision.binding().unwrap().limit, 20, "the share is what is told");
    let figures = world.instances[0].figures();
    assert!(!figures.store_answers && figures.degraded > 600);
    assert!(
        figures.failed_calls <= 3,
        "the breaker keeps calls away: {figures:?}"
    );
    assert!(
        figures
            .to_prometheus()
            .contains("ops_shared_limits_store_answers 0\n")
    );

    world.store.set_reachable(true);
    world.advance(Duration::from_secs(1));
    let back = world.instances[0].check(&request(Api, "back")).await;
    assert!(back.is_admitted() && !back.is_degraded());
    assert!(world.instances[0].figures().store_answers);
}

#[tokio::test]
async fn a_class_can_be_closed_while_the_store_is_away() {
    let options =
        SharedLimitOptions::default().with_on_unavailable(EndpointClass::Admin, OnUnavailable::Deny);
    let world = World::new(1, &LimitTable::preset(), options);
    world.store.set_reachable(false);
    let decision = world.instances[0]
        .check(&request(EndpointClass::Admin, "u"))
        .await;
    assert!(!decision.is_admitted() && decision.is_degraded());
    assert_eq!(decision.retry_after(), Some(Duration::from_secs(5)));
    assert!(world.admits(0, Api, "u").await);
}

#[tokio::test]
async fn ninety_nine_denials_raise_nothing_and_a_hundred_one_alarm_over_all_instances() {
    let world = World::new(20, &LimitTable::preset(), SharedLimitOptions::default());
    let flush = async || {
        let mut raised = Vec::new();
        for instance in &world.instances {
            raised.extend(instance.flush_denials().await.unwrap());
        }
        raised
    };
    assert_eq!(world.admitted(Llm, "u", 20 + 99).await, 20);
    world.admitted(Llm, "somebody else", 20 + 60).await;
    assert!(flush().await.is_empty(), "99 raise nothing");
    let remembered: u64 = world.instances.iter().map(|one| one.figures().remembered).sum();
    assert!(
        remembered > 70,
        "most denials never reached the store: {remembered}"
    );
    assert!(!world.admits(13, Llm, "u").await);
    let raised = flush().await;
    assert_eq!(raised.len(), 1, "100 do");
    assert_eq!(
        (raised[0].caller.to_string().as_str(), raised[0].denials),
        ("org/u", 100)
    );
    assert_eq!(raised[0].signal(start()).alert, "rate_limit_exceeded");
    world.admitted(Llm, "u", 500).await;
    assert!(flush().await.is_empty(), "once");
    world.advance(Duration::from_secs(61));
    assert_eq!(
        world.admitted(Llm, "u", 20 + 200).await,
        0,
        "the slot has not ended yet"
    );
    assert_eq!(flush().await.len(), 1, "and again in another minute");
}

#[tokio::test]
async fn denials_that_could_not_be_counted_are_counted_later() {
    let world = World::new(2, &LimitTable::preset(), SharedLimitOptions::default());
    world.admitted(Llm, "u", 20 + 150).await;
    world.store.set_reachable(false);
    for instance in &world.instances {
        assert_eq!(
            instance.flush_denials().await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
    }
    world.store.set_reachable(true);
    let first = world.instances[0].flush_denials().await.unwrap();
    let second = world.instances[1].flush_denials().await.unwrap();
    assert_eq!(first.len() + second.len(), 1);
}

#[tokio::test]
async fn a_store_that_lost_everything_gets_its_limits_back() {
    let world = World::new(3, &LimitTable::preset(), SharedLimitOptions::default());
    world.instances[0].change(LimitChange::new(50)).await.unwrap();
    assert_eq!(world.admitted(Llm, "u", 30).await, 10);
    world.store.lose_everything();
    assert_eq!(world.admitted(Llm, "v", 30).await, 10, "tightened as before");
    assert_eq!(world.store.table().await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_change_made_at_the_same_time_as_another_one_is_told() {
    let world = World::new(2, &LimitTable::preset(), SharedLimitOptions::default());
    let table = world.instances[0]
        .table()
        .changed(LimitChange::new(10), start())
        .unwrap();
    world.instances[1].change(LimitChange::new(50)).await.unwrap();
    let error = world.instances[0].publish(table).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn bad_input_is_named_with_its_remedy() {
    let make = |secret: &str, options: SharedLimitOptions| {
        DistributedLimiter::new(
            Arc::new(InMemoryLimits::new()),
            LimitTable::preset(),
            &SecretString::from(secret),
            options,
            Arc::new(ManualClock::self_moving()),
        )
    };
    let options = SharedLimitOptions::default();
    let checks = |most_checks| {
        let mut options = options;
        options.most_checks = most_checks;
        options
    };
    for (wrong, name) in [
        (make("short", options), "secret"),
        (
            make("sixteen characters", options.with_max_instances(0)),
            "max_instances",
        ),
        (
            make("sixteen characters", options.with_timeout(Duration::ZERO)),
            "timeout",
        ),
        (make("sixteen characters", checks(0)), "most_checks"),
        (make("sixteen characters", checks(251)), "most_checks"),
    ] {
        let error = wrong.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(name), "{error}");
        assert!(!error.to_string().contains("short"), "{error}");
    }
}
