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
