use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::guard::SharedLimitOptions;
use ops_core::model::{LimitChange, Timestamp};
use ops_core::ports::{Clock, LimitStamp, LimitStore};
use ops_core::testkit::{ManualClock, RedisServer};

use crate::stage::{builder, instance, llm, patient, say, store, until_shared};

async fn admitted(limiter: &ops_core::guard::DistributedLimiter, user: &str, tries: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..tries {
        admitted += usize::from(limiter.check(&llm(user)).await.is_admitted());
    }
    admitted
}

#[tokio::test]
async fn flushed_scripts_are_brought_back_and_nothing_is_counted_twice() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let limiter = instance(&store(&server.url()), patient());
    for left in (0..20).rev() {
        assert!(say(server.port(), "SCRIPT FLUSH").starts_with("+OK"));
        let decision = limiter.check(&llm("u")).await;
        assert!(decision.is_admitted() && !decision.is_degraded());
        assert_eq!(decision.binding().unwrap().standing.remaining, left);
    }
    assert!(!limiter.check(&llm("u")).await.is_admitted());
}

#[tokio::test]
async fn after_a_fail_over_that_lost_everything_the_limits_hold_as_before() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let limiter = instance(&store(&server.url()), patient().with_max_instances(1));
    limiter.check(&llm("u")).await;
    limiter.change(LimitChange::new(50)).await.unwrap();
    assert_eq!(admitted(&limiter, "u", 30).await, 9);
    let server = server.restart().await.unwrap();
    until_shared(&limiter, "other").await;
    assert_eq!(limiter.table().version, 2);
    assert_eq!(admitted(&limiter, "fresh", 30).await, 10, "tightened as before");
    assert!(say(server.port(), "EXISTS ops").starts_with(':'));
}

#[tokio::test]
async fn a_read_only_replica_is_named_and_counts_as_away() {
    let Some(primary) = RedisServer::for_test(&[]).await else {
        return;
    };
    let of = format!("127.0.0.1 {}", primary.port());
    let Some(replica) = RedisServer::for_test(&["--replicaof", &of]).await else {
        return;
    };
    for _ in 0..500 {
        if say(replica.port(), "INFO replication").contains("master_link_status:up") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let store = store(&replica.url());
    let table = ops_core::model::LimitTable::preset();
    let error = store.publish(&table).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("read-only replica"), "{error}");
    let limiter = instance(&store, patient().with_max_instances(2));
    let decision = limiter.check(&llm("u")).await;
    assert!(decision.is_admitted() && decision.is_degraded());
    assert_eq!(admitted(&limiter, "v", 100).await, 10, "half of the limit");
    assert!(!limiter.figures().store_answers);

    assert!(say(replica.port(), "REPLICAOF NO ONE").starts_with("+OK"));
    until_shared(&limiter, "w").await;
    assert_eq!(admitted(&limiter, "x", 100).await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_not_refused_holds_nobody_up_and_opens_no_door() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let store = store(&server.url());
    store.connect().await.unwrap();
    let options = SharedLimitOptions::default()
        .with_timeout(Duration::from_millis(100))
        .with_max_instances(4);
    let limiter = instance(&store, options);
    until_shared(&limiter, "u").await;
    server.pause().unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.check(&llm("u")).await })
        })
        .collect();
    let mut local = 0;
    for task in tasks {
        let decision = task.await.unwrap();
        assert!(decision.is_degraded());
        local += usize::from(decision.is_admitted());
    }
    assert_eq!(local, 5, "a quarter of the limit");
    assert_eq!(admitted(&limiter, "u", 50).await, 0);
    assert!(limiter.figures().failed_calls >= 1);

    server.unpause().unwrap();
    until_shared(&limiter, "v").await;
    let late = admitted(&limiter, "u", 100).await;
    assert!(
        late <= 20,
        "what it read before it was stopped is counted, not given twice: {late}"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_costs_one_degraded_answer_at_most_and_is_made_again() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let limiter = instance(&store(&server.url()), patient().with_max_instances(1));
    assert!(!limiter.check(&llm("u")).await.is_degraded());
    for round in 0..5 {
        assert!(say(server.port(), "CLIENT KILL TYPE normal SKIPME yes").starts_with(':'));
        let mut degraded = 0;
        for _ in 0..3 {
            degraded += u32::from(limiter.check(&llm(&format!("u{round}"))).await.is_degraded());
        }
        assert!(degraded <= 1, "{degraded} of 3");
    }
}

#[tokio::test]
async fn a_caller_that_is_cancelled_leaves_connection_and_others_alone() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let store = store(&server.url());
    let stamp = LimitStamp::of_version(0);
    // Polled once, then dropped, while the connection is being made and later.
    for _ in 0..20 {
        tokio::select! {
            biased;
            _ = store.check(stamp, &[]) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    let limiter = instance(&store, patient());
    let mut tasks = Vec::new();
    for number in 0..40 {
        let limiter = limiter.clone();
        let task = tokio::spawn(async move { limiter.check(&llm("u")).await });
        if number % 2 == 0 {
            task.abort();
        } else {
            tasks.push(task);
        }
    }
    for task in tasks {
        assert!(!task.await.unwrap().is_degraded());
    }
    let used = 20
        - limiter
            .check(&llm("u").with_cost(0))
            .await
            .binding()
            .unwrap()
            .standing
            .remaining;
    assert!((15..=20).contains(&used), "{used} counted of 20 to 40");
}

#[tokio::test]
async fn a_caller_that_gave_up_costs_no_healthy_connection_later() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let own_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = builder(&server.url()).with_clock(own_clock).build().unwrap();
    store.connect().await.unwrap();
    let made = || {
        let told = say(server.port(), "INFO stats");
        let (_, rest) = told.split_once("total_connections_received:").unwrap();
        rest.split_once('\r').unwrap().0.parse::<u32>().unwrap()
    };
    let before = made();
    tokio::select! {
        biased;
        _ = store.table() => panic!("it is dropped before the answer comes"),
        () = std::future::ready(()) => {}
    }
    for _ in 0..500 {
        if say(server.port(), "INFO commandstats").contains("cmdstat_hget") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The answer is on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    clock.advance(Duration::from_secs(2));
    let questions = made() - before;
    store.table().await.unwrap();
    assert_eq!(made() - before, questions + 1, "only those of this test");
}
