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

#[test]
fn a_drill_is_kept_as_evidence_listed_proven_and_shown_in_the_plan() {
    let simulation = support::Simulation::start(&["--world", "gcp"]);
    let plan = simulation.run(&["plan", "api-stop", "--lang", "en"]);
    assert!(plan.out.contains("never drilled"), "{}", plan.out);

    let ran = simulation.run(&["drill", "api-stop", "--world", "gcp", "--json"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let document = ran.json();
    assert_eq!(document["evidence"], ".ops/drills");
    let run = document["runs"][0]["run"].as_str().expect("a run").to_owned();
    assert_eq!(document["runs"][0]["verdict"], "passed");

    let listed = simulation.run(&["drill", "list", "--json"]).json();
    assert_eq!(listed["drills"][0]["run"], run.as_str());
    assert_eq!(
        listed["drills"][0]["report_digest"],
        document["runs"][0]["report_digest"]
    );
    let shown = simulation.run(&["drill", "show", &run, "--json"]).json();
    assert_eq!(
        (&shown["proof"], &shown["verdict"]),
        (&"proven".into(), &"passed".into())
    );
    assert_eq!(shown["report"]["confirmed"][0]["exact"], true);
    let shown = simulation.run(&["drill", "show", &run, "--lang", "en"]);
    assert!(
        shown.out.contains("fits the audit trail") && shown.out.contains("by no person"),
        "{}",
        shown.out
    );

    let plan = simulation.run(&["plan", "api-stop", "--lang", "en"]);
    assert!(
        plan.out.contains("promised 20 s, last drill ") && plan.out.contains("slowest cloud-run:"),
        "{}",
        plan.out
    );
    let plan = simulation.run(&["plan", "api-stop", "--json"]).json();
    assert_eq!(
        (&plan["last_drill"]["run"], &plan["last_drill"]["world"]),
        (&run.as_str().into(), &"simulated gcp".into())
    );
    let other = simulation.run(&["plan", "llm-brain-stop", "--json"]).json();
    assert_ne!(other["plan_digest"], plan["plan_digest"]);
    assert!(other["last_drill"].is_null(), "another procedure was not drilled");
}

#[test]
fn evidence_goes_where_it_is_told_and_a_changed_report_is_found_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let output = support::opsctl(dir.path()).args(arguments).output();
        support::Ran::of(output.expect("opsctl runs"))
    };
    let ran = run(&[
        "drill",
        "api-stop",
        "--world",
        "gcp",
        "--break-rule",
        "ignore-stop",
        "--evidence",
        "kept",
        "--json",
    ]);
    let id = ran.json()["runs"][0]["run"].as_str().expect("a run").to_owned();
    let shown = run(&["drill", "show", &id, "--evidence", "kept", "--json"]).json();
    assert_eq!(
        (&shown["proof"], &shown["verdict"]),
        (&"proven".into(), &"not_stopped".into())
    );
    assert_eq!(shown["report"]["injected"][0], "broken rule ignore-stop");

    let file = dir.path().join(format!("kept/drills/{id}.json"));
    let text = std::fs::read_to_string(&file).expect("a report");
    std::fs::write(&file, text.replace("unverified", "verified")).expect("written");
    let shown = run(&["drill", "show", &id, "--evidence", "kept", "--json"]);
    assert_eq!(shown.code, 1, "{}", shown.out);

    let listed = run(&["drill", "list"]);
    assert_eq!(listed.code, 2, "without a configuration nothing says where");
    assert!(listed.err.contains("--evidence"), "{}", listed.err);
    let kept = std::fs::read_dir(dir.path()).expect("a folder").count();
    let _ = run(&["drill", "api-stop", "--world", "gcp"]);
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("a folder").count(),
        kept,
        "nothing is left where nothing was asked for"
    );
}

#[test]
fn a_run_is_shown_as_a_timeline() {
    let simulation = support::Simulation::start(&["--world", "gcp"]);
    let stopped = simulation.run(&["stop", "api-stop", "--json"]).json();
    assert!(stopped["promised_ms"] == 20_000 && stopped["steps"][0]["promised_ms"] == 20_000);
    let run = stopped["run"].as_str().expect("a run");
    let shown = simulation.run(&["runs", run, "--json"]).json();
    let lines = shown["timeline"].as_array().expect("lines");
    // Beginning, three lines a step, end, published.
    assert_eq!(lines.len(), 1 + 3 * 4 + 2, "{shown:#}");
    assert_eq!(lines[0]["offset_ms"], 0);
    assert!(lines[1]["what"]["en"].is_string() && lines[1]["target"].is_string());
    let text = simulation.run(&["runs", run, "--lang", "ja"]);
    assert!(
        text.out.contains("alice が停止「api-stop」を開始") && text.out.contains("完了・確認済み"),
        "{}",
        text.out
    );
    let markdown = simulation.run(&["runs", run, "--markdown", "--lang", "en"]);
    assert!(
        markdown.out.contains("| time | since start |"),
        "{}",
        markdown.out
    );
    assert_eq!(simulation.run(&["runs", "run_unknown"]).code, 2);
}
