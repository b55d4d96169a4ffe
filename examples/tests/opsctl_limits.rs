//! `opsctl limits`: shows, tightens, resets, and a running limiter obeys.

mod support;

use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::file::FileLimits;
use ops_core::guard::LocalLimiter;
use ops_core::model::{EndpointClass, LimitKey, LimitRequest, LimitTable};
use ops_core::ports::RateLimiter;
use serde_json::{Value, json};
use support::Simulation;

fn in_force(document: &Value) -> Vec<u64> {
    let limits = document["limits"].as_array().expect("limits");
    limits
        .iter()
        .filter_map(|limit| limit["in_force"].as_u64())
        .collect()
}

#[tokio::test]
async fn what_is_tightened_is_obeyed_by_a_running_service_audited_and_taken_back() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let shown = simulation.run(&["limits", "show", "--json"]);
    assert_eq!(shown.code, 0, "{}{}", shown.out, shown.err);
    assert_eq!(in_force(&shown.json()), [100, 20, 30, 10]);

    let limiter = LocalLimiter::new(LimitTable::preset()).expect("a limiter");
    let file = FileLimits::open(simulation.path().join(".ops")).expect("a table");
    let clock = SystemClock::new();
    let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_a", "u"));
    let limit = || {
        limiter
            .check(&request.with_cost(0))
            .binding()
            .map(|limit| limit.limit)
    };
    let following = file.follow(&clock, Duration::from_millis(5), |table| {
        limiter.put_in_force(table)
    });
    let acting = async {
        let tightened = simulation.run(&[
            "limits",
            "tighten",
            "50",
            "--class",
            "llm",
            "--minutes",
            "60",
            "--json",
        ]);
        assert_eq!(tightened.code, 0, "{}{}", tightened.out, tightened.err);
        let tightened = tightened.json();
        assert_eq!(
            (&tightened["verified"], &tightened["audited"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(in_force(&tightened), [100, 10, 30, 10]);
        while limit() != Some(10) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let suspended = simulation.run(&["limits", "tighten", "0", "--json"]).json();
        assert_eq!(in_force(&suspended), [0, 0, 0, 0], "the tightest change wins");
        let rest = simulation
            .run(&["limits", "reset", "--class", "llm", "--json"])
            .json();
        assert_eq!(rest["changes"].as_array().map(Vec::len), Some(1));
        let reset = simulation.run(&["limits", "reset", "--json"]).json();
        assert_eq!(in_force(&reset), [100, 20, 30, 10]);
        while limit() != Some(20) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = following => {}
        () = acting => {}
    }
    let audited = simulation.run(&["audit", "search", "--action", "limits.tighten", "--json"]);
    assert_eq!(
        audited.json()["records"].as_array().map(Vec::len),
        Some(2),
        "{}{}",
        audited.out,
        audited.err
    );
    let wrong = simulation.run(&["limits", "tighten", "100"]);
    assert_eq!(wrong.code, 2, "that is no tightening: {}", wrong.err);
}

#[cfg(unix)]
#[tokio::test]
async fn limits_that_instances_share_are_changed_where_they_stand() {
    use std::sync::Arc;

    use ops_core::guard::{DistributedLimiter, SharedLimitOptions};
    use ops_core::testkit::RedisServer;
    use ops_railway::redis::RedisLimits;
    use secrecy::SecretString;
    use support::Ran;

    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let simulation = Simulation::start(&["--world", "gcp"]);
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("written") + "\n[shared_limits]\ntimeout_ms = 1000\n";
    std::fs::write(&file, text).expect("written");
    let without = simulation.run(&["limits", "tighten", "0", "--json"]);
    assert_eq!(without.code, 2, "{}{}", without.out, without.err);
    assert!(without.err.contains("REDIS_URL") || without.out.contains("REDIS_URL"));

    let run = |arguments: &[&str]| {
        let mut command = support::opsctl(simulation.path());
        command.env("REDIS_URL", server.url()).args(arguments);
        Ran::of(command.output().expect("opsctl runs"))
    };
    let early = run(&["limits", "tighten", "0", "--json"]);
    assert_eq!(
        early.code, 2,
        "the instances have limits of their own: {}{}",
        early.out, early.err
    );
    let url = SecretString::from(server.url());
    let clock = Arc::new(SystemClock::new());
    let store = RedisLimits::builder()
        .with_url(url)
        .with_clock(clock.clone())
        .build();
    let secret = SecretString::from("sixteen characters");
    let options = SharedLimitOptions::default().with_timeout(Duration::from_secs(5));
    let table = LimitTable::preset();
    let store = Arc::new(store.expect("a store"));
    let limiter = DistributedLimiter::new(store, table, &secret, options, clock).expect("a limiter");
    let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_a", "u")).with_cost(0);
    let limit = async || {
        let decision = limiter.check(&request).await;
        assert!(!decision.is_degraded(), "{:?}", limiter.figures());
        decision.verdicts().last().map(|verdict| verdict.limit)
    };
    assert_eq!(limit().await, Some(20));
    let suspended = run(&["limits", "tighten", "0", "--class", "llm", "--json"]);
    assert_eq!(suspended.code, 0, "{}{}", suspended.out, suspended.err);
    let told = suspended.json();
    assert_eq!(
        (
            &told["store"],
            &told["verified"],
            &told["audited"],
            &told["version"]
        ),
        (&json!("redis"), &json!(true), &json!(true), &json!(2))
    );
    assert_eq!(limit().await, Some(0), "the next check of every instance obeys");
    let looser = run(&[
        "limits",
        "tighten",
        "99",
        "--class",
        "llm",
        "--minutes",
        "1",
        "--json",
    ]);
    assert_eq!(
        in_force(&looser.json()),
        [100, 0, 30, 10],
        "the tightest change wins"
    );
    assert_eq!(limit().await, Some(0));
    assert_eq!(run(&["limits", "reset", "--json"]).code, 0);
    assert_eq!(limit().await, Some(20));
    assert!(!simulation.path().join(".ops/limits.toml").exists());
}
