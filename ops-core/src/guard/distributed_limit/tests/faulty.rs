//! Stores that are silent, lose answers or take no writes.

use super::*;

/// A store that takes every call and answers none, or answers after it was let go.
#[derive(Debug)]
struct Silent {
    behind: InMemoryLimits,
    silent: AtomicBool,
    heard: AtomicU64,
}

#[async_trait]
impl LimitStore for Silent {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let answer = self.behind.check(stamp, checks).await;
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        self.behind.count_denials(counts).await
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        self.behind.table().await
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        self.behind.publish(table).await
    }
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again_and_makes_limits_stricter_only() {
    let clock = Arc::new(ManualClock::self_moving());
    let store = Arc::new(Silent {
        behind: InMemoryLimits::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        silent: AtomicBool::new(false),
        heard: AtomicU64::new(0),
    });
    let shared = Arc::clone(&store) as Arc<dyn LimitStore>;
    let options = SharedLimitOptions::default().with_max_instances(1);
    let limiter = DistributedLimiter::new(
        shared,
        LimitTable::preset(),
        &secret(),
        options,
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .unwrap();
    assert!(limiter.check(&request(Llm, "u")).await.is_admitted());
    store.silent.store(true, Ordering::Relaxed);
    let before = store.heard.load(Ordering::Relaxed);
    let decision = limiter.check(&request(Llm, "u")).await;
    assert!(decision.is_admitted() && decision.is_degraded());
    assert_eq!(store.heard.load(Ordering::Relaxed), before + 1, "asked once");
    let mut local = 1;
    for _ in 0..100 {
        local += u32::from(limiter.check(&request(Llm, "u")).await.is_admitted());
    }
    assert_eq!(local, 20, "the share of the only instance");
    assert_eq!(
        store.heard.load(Ordering::Relaxed),
        before + 3,
        "then the breaker is open"
    );

    store.silent.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_secs(1));
    let mut shared = 1;
    for _ in 0..100 {
        let decision = limiter.check(&request(Llm, "u")).await;
        assert!(!decision.is_degraded());
        shared += u32::from(decision.is_admitted());
    }
    assert_eq!(shared, 20 - 3, "what was counted without an answer stays counted");
}

/// A replica that was never written to: it answers, has no limits, and takes none.
#[derive(Debug)]
struct ReadOnly {
    behind: InMemoryLimits,
    read_only: AtomicBool,
}

#[async_trait]
impl LimitStore for ReadOnly {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        self.behind.check(stamp, checks).await
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        self.behind.count_denials(counts).await
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        self.behind.table().await
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        if self.read_only.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "publish limits"));
        }
        self.behind.publish(table).await
    }
}

#[tokio::test]
async fn a_store_that_answers_but_takes_no_limits_counts_as_away() {
    let clock = Arc::new(ManualClock::new(start()));
    let store = Arc::new(ReadOnly {
        behind: InMemoryLimits::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        read_only: AtomicBool::new(true),
    });
    let limiter = DistributedLimiter::new(
        Arc::clone(&store) as Arc<dyn LimitStore>,
        LimitTable::preset(),
        &secret(),
        SharedLimitOptions::default().with_max_instances(2),
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .unwrap();
    let mut admitted = 0;
    for _ in 0..100 {
        let decision = limiter.check(&request(Llm, "u")).await;
        assert!(decision.is_degraded());
        admitted += usize::from(decision.is_admitted());
    }
    assert_eq!(admitted, 10, "half of the limit");
    assert!(!limiter.figures().store_answers);
    assert_eq!(store.behind.calls(), 3, "then the breaker is open");
    store.read_only.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_secs(1));
    assert!(!limiter.check(&request(Llm, "u")).await.is_degraded());
    assert!(limiter.figures().store_answers);
}

#[tokio::test]
async fn cancelled_callers_lose_nothing_of_others_and_a_cancelled_probe_does_not_close_the_door() {
    let world = World::new(1, &LimitTable::preset(), SharedLimitOptions::default());
    let limiter = world.instances[0].clone();
    assert!(world.admits(0, Api, "u").await);
    for _ in 0..50 {
        // Polled once, then dropped.
        let gone = request(Api, "gone");
        tokio::select! {
            biased;
            _ = limiter.check(&gone) => {}
            () = std::future::ready(()) => {}
        }
        assert!(limiter.check(&request(Api, "stays")).await.is_admitted());
    }
    world.store.set_reachable(false);
    world.admitted(Api, "u", 5).await;
    world.store.set_reachable(true);
    world.advance(Duration::from_secs(1));
    let probe = request(Api, "probe");
    tokio::select! {
        biased;
        _ = limiter.check(&probe) => {}
        () = std::future::ready(()) => {}
    }
    world.advance(Duration::from_secs(1));
    assert!(!limiter.check(&request(Api, "after")).await.is_degraded());
}

/// A store that loses the answers of some calls, or holds them back.
#[derive(Debug)]
struct Lossy {
    behind: InMemoryLimits,
    lose_counts: AtomicBool,
    cut_counts: AtomicBool,
    hold_publish: AtomicBool,
    published: AtomicUsize,
}

impl Lossy {
    fn new(clock: &Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self {
            behind: InMemoryLimits::with_clock(Arc::clone(clock) as Arc<dyn Clock>),
            lose_counts: AtomicBool::new(false),
            cut_counts: AtomicBool::new(false),
            hold_publish: AtomicBool::new(false),
            published: AtomicUsize::new(0),
        })
    }

    fn instance(self: &Arc<Self>, clock: &Arc<ManualClock>) -> DistributedLimiter {
        let (store, clock) = (
            Arc::clone(self) as Arc<dyn LimitStore>,
            Arc::clone(clock) as Arc<dyn Clock>,
        );
        let options = SharedLimitOptions::default().with_max_instances(1);
        DistributedLimiter::new(store, LimitTable::preset(), &secret(), options, clock).unwrap()
    }
}

#[async_trait]
impl LimitStore for Lossy {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        self.behind.check(stamp, checks).await
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        let mut answer = self.behind.count_denials(counts).await;
        if let (true, Ok(counted)) = (self.cut_counts.load(Ordering::Relaxed), &mut answer) {
            counted.totals.pop();
        }
        match self.lose_counts.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Timeout, "count denials")),
            false => answer,
        }
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        self.behind.table().await
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        self.published.fetch_add(1, Ordering::Relaxed);
        if self.hold_publish.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.behind.publish(table).await
    }
}

#[tokio::test]
async fn an_alarm_whose_answer_is_lost_is_raised_with_the_next_count() {
    let clock = Arc::new(ManualClock::new(start()));
    let store = Lossy::new(&clock);
    let limiter = store.instance(&clock);
    for _ in 0..20 + 150 {
        limiter.check(&request(Llm, "u")).await;
    }
    for _ in 0..20 + 10 {
        limiter.check(&request(Llm, "somebody else")).await;
    }
    store.lose_counts.store(true, Ordering::Relaxed);
    assert!(limiter.flush_denials().await.is_err());
    store.lose_counts.store(false, Ordering::Relaxed);
    let raised = limiter.flush_denials().await.unwrap();
    assert_eq!(raised.len(), 1, "the store thinks that it was told: {raised:?}");
    assert_eq!(raised[0].caller.to_string(), "org/u");
    assert!(limiter.flush_denials().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_that_lacks_a_total_loses_no_caller() {
    let clock = Arc::new(ManualClock::new(start()));
    let store = Lossy::new(&clock);
    let limiter = store.instance(&clock);
    for user in ["u", "v"] {
        for _ in 0..20 + 150 {
            limiter.check(&request(Llm, user)).await;
        }
    }
    store.cut_counts.store(true, Ordering::Relaxed);
    let error = limiter.flush_denials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    store.cut_counts.store(false, Ordering::Relaxed);
    assert_eq!(
        limiter.flush_denials().await.unwrap().len(),
        2,
        "both are told of"
    );
}

#[tokio::test]
async fn a_flush_that_is_dropped_midway_loses_no_denial_and_no_alarm() {
    let clock = Arc::new(ManualClock::new(start()));
    let store = Lossy::new(&clock);
    let limiter = store.instance(&clock);
    for _ in 0..20 + 150 {
        limiter.check(&request(Llm, "u")).await;
    }
    // It is counted, and the flush ends while it looks at the limits, which others have changed.
    let newer = limiter.table().changed(LimitChange::new(50), start()).unwrap();
    store.behind.publish(&newer).await.unwrap();
    store.hold_publish.store(true, Ordering::Relaxed);
    tokio::select! {
        biased;
        _ = limiter.flush_denials() => panic!("the look-up is held back"),
        () = tokio::task::yield_now() => {}
    }
    store.hold_publish.store(false, Ordering::Relaxed);
    clock.advance(ms(50));
    let raised = limiter.flush_denials().await.unwrap();
    assert_eq!(
        (raised.len(), raised[0].denials),
        (1, 150),
        "counted once, told once"
    );
}

#[tokio::test]
async fn another_table_of_the_same_version_is_noticed_before_the_first_check() {
    let world = World::new(1, &LimitTable::preset(), SharedLimitOptions::default());
    assert!(world.admits(0, Llm, "u").await);
    let mut other = LimitTable::preset();
    other.rules[1].limit = 5;
    let instance = |table: &LimitTable| {
        let (store, clock) = (Arc::clone(&world.store), Arc::clone(&world.clocks[0]));
        let options = SharedLimitOptions::default();
        DistributedLimiter::new(store, table.clone(), &secret(), options, clock).unwrap()
    };
    let late = instance(&other);
    let decision = late.check(&request(Llm, "v")).await;
    assert!(decision.is_admitted() && !decision.is_degraded());
    assert_eq!(late.table(), LimitTable::preset(), "what the store has holds");
    assert!(late.figures().table_differs && !world.instances[0].figures().table_differs);
    assert!(late.figures().to_prometheus().contains("table_differs 1\n"));

    other.version = 2;
    let newer = instance(&other);
    newer.change(LimitChange::new(60)).await.unwrap();
    assert_eq!(
        world.admitted(Llm, "w", 30).await,
        3,
        "a newer one holds, and what is changed of it"
    );
    assert_eq!(world.instances[0].table().version, 3);
    assert!(!newer.figures().table_differs);
}

#[tokio::test]
async fn a_check_waits_for_a_slow_table_no_longer_than_for_two_calls() {
    let clock = Arc::new(ManualClock::new(start()));
    let store = Lossy::new(&clock);
    let limiter = store.instance(&clock);
    store.hold_publish.store(true, Ordering::Relaxed);
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.check(&request(Llm, "u")).await })
        })
        .collect();
    let settle = async || {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    assert!(asked.iter().all(|one| !one.is_finished()));
    clock.advance(ms(10));
    for one in asked {
        assert!(one.await.unwrap().is_degraded());
    }
    assert_eq!(
        store.published.load(Ordering::Relaxed),
        1,
        "all wait for one look-up"
    );
    assert!(limiter.figures().store_answers, "which goes on");
    clock.advance(ms(40));
    settle().await;
    assert!(
        limiter.figures().store_answers,
        "one look-up fails once, whoever waited"
    );
    store.hold_publish.store(false, Ordering::Relaxed);
    assert!(!limiter.check(&request(Llm, "v")).await.is_degraded());
}
