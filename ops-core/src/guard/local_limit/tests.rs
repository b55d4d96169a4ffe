use proptest::prelude::*;

use super::*;
use crate::guard::{GovernorLimiter, RateLimits};
use crate::model::{EndpointClass, LimitChange, LimitKey, LimitName, TenantId, Timestamp};
use crate::testkit::ManualClock;
use EndpointClass::{Admin, Api, Llm, Search};

fn limiter(table: LimitTable) -> (LocalLimiter, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let limiter = LocalLimiter::with_clock(table, LocalLimitOptions::default(), shared).unwrap();
    (limiter, clock)
}

fn of(class: EndpointClass, user: &str) -> LimitRequest<'_> {
    LimitRequest::new(class, LimitKey::user("org_a", user))
}

fn admitted(limiter: &LocalLimiter, class: EndpointClass, user: &str) -> usize {
    (0..1_000)
        .take_while(|_| limiter.check(&of(class, user)).is_admitted())
        .count()
}

#[test]
fn the_first_runbooks_table_holds_in_every_minute() {
    for (class, limit) in [(Api, 100), (Llm, 20), (Search, 30), (Admin, 10)] {
        let (limiter, clock) = limiter(LimitTable::preset());
        let mut times = Vec::new();
        for second in 0..180 {
            times.extend((0..admitted(&limiter, class, "u")).map(|_| second));
            let window = times.iter().filter(|then| second - **then <= 60).count();
            assert!(window <= limit, "{window} of {limit} at {second} s");
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(times.len(), 3 * limit, "and all of it can be used");
    }
}

#[test]
fn a_request_that_one_limit_denies_uses_up_nothing_of_the_others() {
    let (limiter, _) = limiter(LimitTable::preset());
    assert_eq!(admitted(&limiter, Llm, "u"), 20);
    for _ in 0..500 {
        assert!(!limiter.check(&of(Llm, "u")).is_admitted());
    }
    let denied = limiter.check(&of(Llm, "u"));
    let left: Vec<_> = denied.verdicts().map(|limit| limit.standing.remaining).collect();
    assert_eq!(
        left,
        [80, 0],
        "a denied call of the model burns no token of all requests"
    );
    assert_eq!(admitted(&limiter, Search, "u"), 30);
    assert_eq!(admitted(&limiter, Api, "u"), 50);
    assert_eq!(admitted(&limiter, Admin, "u"), 0);
}

#[test]
fn after_the_wait_the_same_request_is_admitted_and_not_before() {
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let (limiter, clock) = limiter(LimitTable::preset().with_semantics(semantics));
        clock.advance(Duration::from_millis(777));
        admitted(&limiter, Llm, "u");
        let request = of(Llm, "u").with_cost(3);
        let wait = limiter.check(&request).retry_after().unwrap();
        clock.advance(wait - Duration::from_millis(1));
        assert!(!limiter.check(&request).is_admitted(), "{semantics:?}");
        clock.advance(Duration::from_millis(1));
        assert!(limiter.check(&request).is_admitted(), "{semantics:?}");
    }
}

#[test]
fn a_change_holds_for_the_next_check_and_ends_by_itself() {
    let (limiter, clock) = limiter(LimitTable::preset());
    assert_eq!(admitted(&limiter, Llm, "before"), 20);
    let end = Timestamp::UNIX_EPOCH + Duration::from_secs(600);
    let other = TenantId::new("org_b").unwrap();
    let table = limiter
        .table()
        .changed(LimitChange::new(50).for_class(Llm).until(end), clock.now())
        .and_then(|table| table.changed(LimitChange::suspend().for_tenant(other), clock.now()))
        .unwrap();
    limiter.put_in_force(table).unwrap();
    assert_eq!(admitted(&limiter, Llm, "before"), 0);
    assert_eq!(admitted(&limiter, Llm, "u"), 10);
    let suspended = limiter.check(&LimitRequest::new(Api, LimitKey::user("org_b", "u")));
    assert_eq!((suspended.is_admitted(), suspended.retry_after()), (false, None));
    clock.advance(Duration::from_secs(599));
    assert_eq!(admitted(&limiter, Llm, "v"), 10);
    clock.advance(Duration::from_secs(1));
    assert_eq!(admitted(&limiter, Llm, "v"), 10, "the other ten, at once");
    assert!(
        limiter
            .put_in_force(LimitTable::of(vec![LimitTable::preset().rules[0].clone(); 2]))
            .is_err()
    );
    assert_eq!(
        limiter.table().version,
        3,
        "a table that is wrong changes nothing"
    );
}

#[test]
fn nobody_waits_longer_than_the_new_period() {
    let hour = LimitRule::per_minute(LimitName::of(Api), Api, 100).with_period(3_600);
    let (limiter, _) = limiter(LimitTable::of(vec![hour.clone()]).with_semantics(LimitSemantics::Burst));
    assert_eq!(admitted(&limiter, Api, "u"), 100);
    limiter
        .put_in_force(LimitTable::of(vec![hour.with_period(60)]).with_semantics(LimitSemantics::Burst))
        .unwrap();
    assert!(limiter.check(&of(Api, "u").with_cost(100)).retry_after() <= Some(Duration::from_secs(60)));
}

#[test]
fn a_limit_of_a_tenant_is_shared_by_its_users_only() {
    let shared =
        LimitRule::per_minute(LimitName::new("tenant").unwrap(), Api, 5).with_scope(LimitScope::Tenant);
    let mut table = LimitTable::preset();
    table.rules.push(shared);
    let (limiter, _) = limiter(table);
    assert_eq!(admitted(&limiter, Api, "u") + admitted(&limiter, Api, "v"), 5);
    let elsewhere = LimitRequest::new(Api, LimitKey::user("org_b", "u"));
    assert!(limiter.check(&elsewhere).is_admitted());
    assert_eq!(
        limiter
            .check(&of(Api, "w").with_cost(0))
            .binding()
            .map(|limit| limit.standing.remaining),
        Some(0)
    );
}

#[test]
fn a_flood_of_addresses_lets_nobody_through_uncounted_and_keeps_its_memory() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let options = LocalLimitOptions::default().with_most_keys(32_768);
    let one = LimitTable::of(vec![LimitRule::per_minute(LimitName::of(Api), Api, 1)]);
    let limiter = LocalLimiter::with_clock(one, options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let address = |n: u32| LimitRequest::new(Api, LimitKey::address(std::net::Ipv4Addr::from(n).into()));
    let passed = (0..150_000)
        .filter(|n| limiter.check(&address(*n)).is_admitted())
        .count();
    assert!((32_000..40_000).contains(&passed), "{passed}");
    assert!(
        (0..150_000).all(|n| !limiter.check(&address(n)).is_admitted()),
        "each is counted somewhere"
    );
    assert!(limiter.spilled() > 0);
    assert!(limiter.bytes() < 8_000_000, "{}", limiter.bytes());
    clock.advance(Duration::from_secs(62));
    assert!(
        limiter.check(&address(149_999)).is_admitted(),
        "there is room again"
    );
}

#[test]
fn two_threads_together_get_no_more_than_one() {
    let (limiter, _) = limiter(LimitTable::preset());
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| admitted(&limiter, Api, "u")))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 100);
}

#[test]
fn debug_names_no_user() {
    let (limiter, _) = limiter(LimitTable::preset());
    admitted(&limiter, Api, "tanaka");
    assert!(!format!("{limiter:?}").contains("tanaka"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same decisions, waits and rests as governor, under one clock.
    #[test]
    fn a_burst_decides_as_governor_does(
        steps in prop::collection::vec((0_usize..4, 0_usize..3, 0_u64..1_500, 1_u32..4), 1..300)
    ) {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let limits = RateLimits::default();
        let governor = GovernorLimiter::with_clock(limits, shared());
        let ours = LocalLimiter::with_clock(limits.into(), LocalLimitOptions::default(), shared()).unwrap();
        for (class, user, pause, cost) in steps {
            clock.advance(Duration::from_millis(pause));
            let request = of(EndpointClass::ALL[class], ["a", "b", "c"][user]).with_cost(cost);
            let (expected, decision) = (governor.check(&request), ours.check(&request));
            prop_assert_eq!(decision.is_admitted(), expected.is_admitted());
            prop_assert_eq!(decision.retry_after(), expected.retry_after());
            let left = |decision: &LimitDecision| -> Vec<_> {
                decision.verdicts().map(|limit| (limit.name, limit.standing.remaining, limit.standing.reset)).collect()
            };
            prop_assert_eq!(left(&decision), left(&expected));
        }
    }

    /// However requests of several users, classes and costs come, and however the limit is lowered meanwhile, no window holds too many.
    #[test]
    fn no_window_of_a_strict_limit_holds_more_than_it(
        steps in prop::collection::vec((0_usize..4, 0_usize..3, 0_u64..4_000, 1_u32..9), 1..400)
    ) {
        let (limiter, clock) = limiter(LimitTable::preset());
        let mut passed: Vec<(Duration, usize, usize, u32)> = Vec::new();
        for (class, user, pause, cost) in steps {
            clock.advance(Duration::from_millis(pause));
            let now = clock.monotonic();
            if limiter.check(&of(EndpointClass::ALL[class], ["a", "b", "c"][user]).with_cost(cost)).is_admitted() {
                passed.push((now, class, user, cost));
            }
            let within = |of: &dyn Fn(usize) -> bool| -> u32 {
                let same = passed.iter().filter(|(then, class, who, _)| *who == user && of(*class) && now - *then <= Duration::from_secs(60));
                same.map(|(.., cost)| cost).sum()
            };
            prop_assert!(within(&|_| true) <= 100);
            for (at, limit) in [(1, 20), (2, 30), (3, 10)] {
                prop_assert!(within(&|class| class == at) <= limit);
            }
        }
    }
}
