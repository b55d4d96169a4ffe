use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::model::{EndpointClass, LimitChange, LimitName, LimitRule, LimitSemantics, LimitTable};
use ops_core::ports::{Clock, LimitStore};
use ops_core::testkit::{self, RedisServer, redis_url};

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

#[tokio::test]
async fn what_was_used_counts_into_the_span_after_its_own_and_is_gone_with_that() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    // Puts what was written into the span before, as if it had been then.
    let age = "EVAL \"for _, key in ipairs(redis.call('KEYS', '*states:*')) do \
        for _, field in ipairs(redis.call('HKEYS', key)) do \
        if redis.call('HSTRLEN', key, field) == 100 then \
        local turn = field - 1; \
        redis.call('HSET', key, turn, redis.call('HGET', key, field)); redis.call('HDEL', key, field); \
        redis.call('RENAME', key, key:sub(1, -2) .. turn % 3) end end end return 'aged'\" 0";
    for semantics in [LimitSemantics::Burst, LimitSemantics::Strict] {
        let store = store(&server.url());
        let name = LimitName::new("api").unwrap();
        let rule = LimitRule::per_minute(name, EndpointClass::Api, 3).with_semantics(semantics);
        // Instances that begin anew: nothing is remembered.
        let admitted = async || {
            let limiter = instance_of(&store, LimitTable::of(vec![rule.clone()]), patient());
            let mut admitted = 0;
            for _ in 0..5 {
                let decision = limiter.check(&llm("u")).await;
                assert!(!decision.is_degraded());
                admitted += u32::from(decision.is_admitted());
            }
            admitted
        };
        let until_next = 64 - SystemClock::new().now().as_unix_micros() / 1_000_000 % 64;
        if until_next < 5 {
            // A span that ends in the middle would be one too many.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(admitted().await, 3);
        assert!(say(server.port(), age).contains("aged"));
        assert_eq!(admitted().await, 0, "{semantics:?}: read from the span before");
        assert!(say(server.port(), age).contains("aged"));
        assert_eq!(admitted().await, 3, "{semantics:?}: what is over counts no more");
        let kept = say(
            server.port(),
            "EVAL \"return #redis.call('KEYS', '*states:*')\" 0",
        );
        assert!(kept.starts_with(":1"), "what is over is not kept: {kept}");
        assert!(
            say(
                server.port(),
                "EVAL \"return redis.call('PTTL', redis.call('KEYS', '*states:*')[1])\" 0"
            )
            .starts_with(":19"),
            "three spans"
        );
        assert!(
            say(
                server.port(),
                "EVAL \"return redis.call('OBJECT', 'ENCODING', redis.call('KEYS', '*states:*')[1])\" 0"
            )
            .contains("hashtable")
        );
        assert!(say(server.port(), "FLUSHALL").starts_with("+OK"));
    }
}
