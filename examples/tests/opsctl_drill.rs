//! The drill: what it reports when all goes well, and that it reports nothing good when it does not.

mod support;

use serde_json::Value;
use support::drill;

fn steps(run: &Value) -> &Vec<Value> {
    run["steps"].as_array().expect("steps")
}

fn step<'a>(run: &'a Value, target: &str) -> &'a Value {
    steps(run)
        .iter()
        .find(|step| {
            step["target"]
                .as_str()
                .is_some_and(|found| found.contains(target))
        })
        .expect("the target is in the report")
}

fn holds_except(run: &Value, target: &str) -> bool {
    steps(run)
        .iter()
        .filter(|step| {
            !step["target"]
                .as_str()
                .is_some_and(|found| found.contains(target))
        })
        .all(|step| step["verdict"] == "holds")
}

#[test]
fn every_procedure_is_stopped_and_restored_exactly_in_both_worlds() {
    let ran = drill(&[]);
    let document = ran.json();
    let runs = document["runs"].as_array().expect("runs");
    let names: Vec<_> = runs
        .iter()
        .map(|run| {
            (
                run["world"].as_str().unwrap_or(""),
                run["procedure"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("gcp", "llm-brain-stop"),
            ("gcp", "api-stop"),
            ("paas", "llm-brain-stop"),
            ("paas", "api-stop")
        ]
    );
    for run in runs {
        for name in [
            "stopped_verified",
            "restored_exactly",
            "audited",
            "audit_verified",
            "journalled",
        ] {
            assert_eq!(
                run[name], true,
                "{name} of {} in {}: {run:#}",
                run["procedure"], run["world"]
            );
        }
        assert_eq!(run["plan_digest"].as_str().map(str::len), Some(64));
        assert!(run["run"].as_str().is_some_and(|run| run.starts_with("run_")));
        assert!(!run["timeline"].as_array().expect("timeline").is_empty());
        for step in steps(run) {
            assert!(
                step["elapsed_ms"].is_u64() && step["within_target"] == true && step["action"].is_string(),
                "{step}"
            );
            assert_eq!(
                (&step["result"], &step["verdict"]),
                (&"done".into(), &"holds".into())
            );
        }
    }
    assert_eq!(steps(&runs[0]).len(), 3, "switch, service, database");
    assert_eq!(steps(&runs[1]).len(), 4, "the four services of the runbook");
    assert_eq!(ran.code, 0);
}

#[test]
fn one_failing_target_is_named_and_the_others_are_stopped() {
    for (fault, result) in [
        ("403@proactive-monitor", "failed"),
        ("503@proactive-monitor", "failed"),
        ("429@proactive-monitor", "failed"),
    ] {
        let ran = drill(&["api-stop", "--fault", fault]);
        assert_eq!(ran.code, 3, "{fault}: {}", ran.out);
        for run in ran.json()["runs"].as_array().expect("runs") {
            assert_eq!(run["stopped_verified"], false, "{fault}");
            assert_eq!(step(run, "proactive-monitor")["result"], result, "{fault}");
            assert_eq!(step(run, "proactive-monitor")["verdict"], "not_yet", "{fault}");
            assert!(step(run, "proactive-monitor")["reason"].is_string());
            assert!(holds_except(run, "proactive-monitor"), "{fault}: {run:#}");
        }
    }
}

#[test]
fn a_target_that_cannot_be_reached_is_unknown_and_the_others_are_stopped() {
    let ran = drill(&["api-stop", "--fault", "refused@proactive-monitor"]);
    assert_eq!(ran.code, 3, "{}", ran.out);
    for run in ran.json()["runs"].as_array().expect("runs") {
        let step = step(run, "proactive-monitor");
        assert_eq!(
            (&step["result"], &step["verdict"], &step["journalled"]),
            (&"unknown".into(), &"unknown".into(), &false.into())
        );
        assert_eq!(step["prior"]["prior"], "unknown");
        assert!(holds_except(run, "proactive-monitor"));
        assert_eq!(
            run["restored_exactly"], false,
            "what was never read cannot be restored"
        );
    }
}

#[test]
fn a_lost_answer_is_settled_by_the_read_back() {
    let ran = drill(&["api-stop", "--fault", "lost-answer@proactive-monitor"]);
    for run in ran.json()["runs"].as_array().expect("runs") {
        assert_eq!(step(run, "proactive-monitor")["result"], "done", "{run:#}");
        assert_eq!(run["stopped_verified"], true);
        assert_eq!(run["restored_exactly"], true);
    }
    assert_eq!(ran.code, 0);
}

#[test]
fn latency_delays_and_changes_nothing_else() {
    let ran = drill(&["llm-brain-stop", "--fault", "latency@soul-kun-api"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn an_operation_that_never_ends_is_accepted_and_not_verified() {
    let ran = drill(&[
        "llm-brain-stop",
        "--world",
        "gcp",
        "--fault",
        "never-ends@soul-kun-api",
    ]);
    assert_eq!(ran.code, 4, "{}", ran.out);
    let document = ran.json();
    let run = &document["runs"][0];
    assert_eq!(
        (
            &step(run, "soul-kun-api")["result"],
            &step(run, "soul-kun-api")["verdict"]
        ),
        (&"done".into(), &"not_yet".into())
    );
    assert_eq!(run["stopped_verified"], false);
    assert_eq!(step(run, "soul-kun-api")["within_target"], false);
    assert!(holds_except(run, "soul-kun-api"));
}

#[test]
fn a_restore_after_drift_is_refused_and_changes_nothing() {
    let ran = drill(&["api-stop", "--fault", "drift@chatwork-webhook"]);
    assert_eq!(ran.code, 5, "{}", ran.out);
    for run in ran.json()["runs"].as_array().expect("runs") {
        assert_eq!(run["stopped_verified"], true);
        assert_eq!(run["restored_exactly"], false);
        assert!(
            run["restore_refused"]
                .as_str()
                .is_some_and(|why| why.contains("chatwork-webhook")),
            "{run:#}"
        );
        assert!(run["restore_run"].is_null());
    }
}

#[test]
fn a_vendor_that_says_yes_and_does_nothing_turns_the_report_false() {
    let ran = drill(&["api-stop", "--break-rule", "ignore-stop"]);
    assert_ne!(ran.code, 0);
    for run in ran.json()["runs"].as_array().expect("runs") {
        assert_eq!(run["stopped_verified"], false, "{run:#}");
    }
}

#[test]
fn a_vendor_that_forgets_on_the_way_back_turns_the_report_false() {
    let ran = drill(&["--break-rule", "forget-on-restore"]);
    assert_ne!(ran.code, 0);
    let document = ran.json();
    for world in ["gcp", "paas"] {
        let exact = |run: &Value| run["restored_exactly"] == true;
        let runs = document["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .filter(|run| run["world"] == world);
        assert!(!runs.into_iter().all(exact), "{world}");
    }
}

#[test]
fn the_output_for_people_ends_with_the_result() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (lang, result) in [
        ("ja", "完全に復元しました (restored exactly)"),
        ("en", "restored exactly"),
    ] {
        let output = support::opsctl(dir.path())
            .args(["drill", "llm-brain-stop", "--world", "gcp", "--lang", lang])
            .output();
        let ran = support::Ran::of(output.expect("opsctl runs"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.trim_end().ends_with(result), "{}", ran.out);
        assert!(!ran.out.contains('\x1b'), "no colours where there is no terminal");
    }
}
