use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::model::{
    EndpointClass, LimitChange, LimitKey, LimitName, LimitRule, LimitSemantics, LimitTable,
};
use ops_core::ports::{Clock, CountedLimit, LimitCheck, LimitStamp, LimitStore, LimitsChecked};
use ops_core::testkit::{self, RedisServer, redis_url};
use ops_railway::redis::RedisLimits;

use crate::stage::{instance, instance_of, llm, patient, say, store};

#[tokio::test]
async fn the_store_of_limits_keeps_its_contract() {
    let Some(url) = redis_url().await else { return };
    testkit::limit_store(&*store(&url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_instances_together_admit_exactly_the_limit() {
    let Some(url) = redis_url().await else { return };
    let one = store(&url);
    let stores = [Arc::clone(&one), one];
    let instances: Vec<_> = (0..4)
        .map(|number| instance(&stores[number % 2], patient()))
        .collect();
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let limiter = instances[number % 4].clone();
            tokio::spawn(async move {
                let mut admitted = 0;
                for _ in 0..5 {
                    let decision = limiter.check(&llm("u")).await;
                    assert!(!decision.is_degraded());
                    admitted += usize::from(decision.is_admitted());
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap();
    }
    assert_eq!(admitted, 20);
    let calls: u64 = instances.iter().map(|one| one.figures().calls).sum();
    assert!(
        calls < 320,
        "checks go together, and denials are remembered: {calls} calls"
    );
}

#[tokio::test]
async fn all_keys_of_a_space_live_on_one_node_of_a_cluster() {
    let bus = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let Some(server) = RedisServer::for_test(&options).await else {
        return;
    };
    assert!(say(server.port(), "CLUSTER ADDSLOTSRANGE 0 16383").starts_with("+OK"));
    for _ in 0..200 {
        if say(server.port(), "CLUSTER INFO").contains("cluster_state:ok") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let store = store(&server.url());
    testkit::limit_store(&*store).await;
    assert!(store.table().await.unwrap().is_some());
}

#[tokio::test]
async fn a_rule_may_be_named_as_denials_are() {
    let Some(url) = redis_url().await else { return };
    let name = LimitName::new("denials").unwrap();
    let table = LimitTable::of(vec![LimitRule::per_minute(name, EndpointClass::Api, 3)]);
    let limiter = instance_of(&store(&url), table, patient());
    for round in 0..3 {
        for number in 0..5 {
            let decision = limiter.check(&llm("u")).await;
            assert!(!decision.is_degraded(), "{:?}", limiter.figures());
            assert_eq!(decision.is_admitted(), round == 0 && number < 3);
        }
        limiter.flush_denials().await.unwrap();
        // Another version: nothing is remembered, and the store is asked again.
        limiter.change(LimitChange::new(100)).await.unwrap();
    }
}

/// Puts what was written into a span so many after its own, as if the clock had been there.
fn moved(port: u16, spans: i32) {
    let script = format!(
        "EVAL \"for _, key in ipairs(redis.call('KEYS', '*states:*')) do \
         for _, field in ipairs(redis.call('HKEYS', key)) do \
         if redis.call('HSTRLEN', key, field) == 100 then \
         local turn = field + {spans}; \
         redis.call('HSET', key, turn, redis.call('HGET', key, field)); redis.call('HDEL', key, field); \
         redis.call('RENAME', key, key:sub(1, -2) .. turn % 3); \
         redis.call('HSET', redis.call('KEYS', '*table')[1], 'turn:64000000', turn) end end end return 'moved'\" 0"
    );
    assert!(say(port, &script).contains("moved"));
}

/// How many of five requests of a limit of three are admitted by an instance that begins anew: nothing is remembered.
async fn admitted(store: &Arc<RedisLimits>, semantics: LimitSemantics) -> u32 {
    let name = LimitName::new("api").unwrap();
    let rule = LimitRule::per_minute(name, EndpointClass::Api, 3).with_semantics(semantics);
    let limiter = instance_of(store, LimitTable::of(vec![rule]), patient());
    let mut admitted = 0;
    for _ in 0..5 {
        let decision = limiter.check(&llm("u")).await;
        assert!(!decision.is_degraded());
        admitted += u32::from(decision.is_admitted());
    }
    admitted
}

/// A span that ends in the middle of a test would be one too many.
async fn early_in_a_span() {
    let seconds = SystemClock::new().now().as_unix_micros() / 1_000_000;
    if seconds % 64 > 58 {
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
}

#[tokio::test]
async fn what_was_used_counts_into_the_span_after_its_own_and_is_gone_with_that() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let ask = |script: &str| say(server.port(), &format!("EVAL \"return {script}\" 0"));
    for semantics in [LimitSemantics::Burst, LimitSemantics::Strict] {
        let store = store(&server.url());
        early_in_a_span().await;
        assert_eq!(admitted(&store, semantics).await, 3);
        moved(server.port(), -1);
        assert_eq!(
            admitted(&store, semantics).await,
            0,
            "{semantics:?}: read from the span before"
        );
        moved(server.port(), -1);
        assert_eq!(
            admitted(&store, semantics).await,
            3,
            "{semantics:?}: what is over counts no more"
        );
        let kept = ask("#redis.call('KEYS', '*states:*')");
        assert_eq!(kept, ":1\r\n", "what is over is not kept");
        let kept = ask("redis.call('PTTL', redis.call('KEYS', '*states:*')[1])");
        assert!(kept.starts_with(":19"), "for three spans: {kept}");
        let form = ask("redis.call('OBJECT', 'ENCODING', redis.call('KEYS', '*states:*')[1])");
        assert!(form.contains("hashtable"), "{form}");
        assert!(say(server.port(), "FLUSHALL").starts_with("+OK"));
    }
}

#[tokio::test]
async fn a_server_whose_clock_is_put_back_over_the_turn_of_a_span_forgets_nothing() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    for semantics in [LimitSemantics::Burst, LimitSemantics::Strict] {
        let store = store(&server.url());
        early_in_a_span().await;
        assert_eq!(admitted(&store, semantics).await, 3);
        moved(server.port(), 1);
        assert_eq!(admitted(&store, semantics).await, 0, "{semantics:?}");
        assert!(say(server.port(), "FLUSHALL").starts_with("+OK"));
    }
}

#[tokio::test]
async fn a_limit_that_changes_its_number_keeps_what_was_used() {
    let Some(url) = redis_url().await else { return };
    let store = store(&url);
    let stamp = LimitStamp::of_version(0);
    // Where intervals are rounded up, limits of this period last longer than it.
    let per = Duration::from_secs(64);
    for limit in [90, 128, 12, 100, 7] {
        let name = LimitName::new("api").unwrap();
        let rule = LimitRule::per_minute(name, EndpointClass::Api, 1);
        let key = LimitKey::user("org", "u").digest(&rule, &[7; 32]);
        let mut check = LimitCheck::new(1);
        check.push(CountedLimit::new(key, LimitSemantics::Burst, limit, per));
        let decided = store.check(stamp, &vec![check; 150]).await.unwrap();
        let LimitsChecked::Decided { standings, .. } = decided else {
            panic!("{decided:?}")
        };
        let admitted = standings.iter().filter(|standing| standing.admitted).count();
        assert_eq!(admitted, if limit == 90 { 90 } else { 0 }, "{limit}");
    }
}

#[tokio::test]
async fn what_the_script_cannot_take_is_refused_before_it_is_sent() {
    let store = store("redis://127.0.0.1:1");
    let name = LimitName::new("api").unwrap();
    let rule = LimitRule::per_minute(name, EndpointClass::Api, 1);
    let key = LimitKey::user("org", "u").digest(&rule, &[7; 32]);
    let limit = CountedLimit::new(key, LimitSemantics::Strict, 3, Duration::from_secs(60));
    let mut twice = LimitCheck::new(1);
    twice.push(limit);
    let many = vec![twice; 1_001];
    twice.push(limit);
    for (checks, named) in [(many, "1000"), (vec![twice], "twice")] {
        let error = store.check(LimitStamp::of_version(0), &checks).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(named), "{error}");
    }
}
