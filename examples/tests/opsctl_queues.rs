//! What goes on delivering to a stopped service is shown beside the plan, and holds nothing back; the metrics of what is kept.

mod support;

use serde_json::Value;
use support::{Simulation, opsctl};

fn queues(document: &Value) -> Vec<(String, String)> {
    let found = document["queues"]["found"].as_array().expect("queues");
    let text = |value: &Value| {
        value
            .as_str()
            .expect("a text")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    found
        .iter()
        .map(|queue| (text(&queue["queue"]), text(&queue["target"])))
        .collect()
}

#[test]
fn a_plan_lists_what_delivers_to_its_targets_beside_its_digest() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let plan = simulation.run(&["plan", "api-stop", "--json"]).json();
    assert_eq!(
        queues(&plan),
        [
            ("chatwork-replies".to_owned(), "chatwork-webhook".to_owned()),
            ("proactive-check".to_owned(), "proactive-monitor".to_owned()),
        ]
    );
    let burst = &plan["queues"]["burst"];
    assert_eq!(
        (&burst["messages"], &burst["lasts_ms"]),
        (&300.into(), &60_000.into()),
        "{burst}"
    );
    assert_eq!(plan["queues"]["unread"], Value::Array(Vec::new()));
    let brain = simulation
        .run(&["stop", "llm-brain-stop", "--dry-run", "--json"])
        .json();
    assert_eq!(
        queues(&brain),
        [("memory-events".to_owned(), "soul-kun-api".to_owned())]
    );
    assert_eq!(brain["queues"]["burst"]["messages"], 1_200);
    assert_eq!(brain["queues"]["burst"]["paced"], false);

    // Without a right to look, the plan and its digest are the same, and it is said.
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let away = text.replace("[gcp]\n", "[gcp]\napi_base_url = \"http://127.0.0.1:9\"\n");
    std::fs::write(&file, away).expect("writable");
    let blind = simulation.run(&["plan", "api-stop", "--json"]).json();
    assert_eq!(
        blind["plan_digest"], plan["plan_digest"],
        "the queues are no part of what is approved"
    );
    assert_eq!(
        blind["queues"]["unread"].as_array().map(Vec::len),
        Some(3),
        "{}",
        blind["queues"]
    );
    assert_eq!(blind["queues"]["burst"]["known_whole"], false);
    let said = simulation.run(&["plan", "api-stop", "--lang", "en"]).out;
    assert!(said.contains("could not be read"), "{said}");
}

#[test]
fn a_stop_tells_the_queues_when_it_has_ended_and_a_restore_what_will_arrive() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let stopped = simulation.run(&["stop", "api-stop", "--json"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let stopped = stopped.json();
    assert_eq!(queues(&stopped).len(), 2);
    let run = stopped["run"].as_str().expect("a run").to_owned();
    let resumed = simulation.run(&["resume", &run, "--json"]).json();
    assert_eq!(queues(&resumed), queues(&stopped));
    let planned = simulation
        .run(&["restore", &run, "--dry-run", "--lang", "en"])
        .out;
    assert!(
        planned.contains("on return 300 messages will arrive within 60 s (5 a second at most)"),
        "{planned}"
    );
    assert!(
        planned.contains("the run is missed and not made up for"),
        "{planned}"
    );
    let restored = simulation.run(&["restore", &run, "--lang", "en"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    let lines: Vec<_> = restored
        .out
        .lines()
        .filter(|line| line.contains("will arrive"))
        .collect();
    assert_eq!(lines.len(), 2, "in the plan and in the report: {}", restored.out);
}

/// The vendors of the queues cannot be reached: the stop is as it was.
#[test]
fn a_stop_ends_first_and_then_says_which_queues_could_not_be_read() {
    let simulation = Simulation::start(&[
        "--world",
        "gcp",
        "--fault",
        "refused@pubsub",
        "--fault",
        "refused@monitoring",
    ]);
    let stopped = simulation.run(&["stop", "llm-brain-stop", "--lang", "en"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let at = |text: &str| {
        stopped
            .out
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", stopped.out))
    };
    assert!(at("result: stopped and verified") < at("Pub/Sub: could not be read"));
}

#[test]
fn the_metrics_of_what_is_kept_are_printed_and_written_with_those_of_the_doctor() {
    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    assert_eq!(simulation.run(&["stop", "api-stop"]).code, 0);
    let text = simulation.run(&["metrics"]).out;
    let begun = "ops_runs_started_total{procedure=\"api-stop\",kind=\"stop\"} 1";
    for line in [
        begun,
        "ops_held_states 4",
        "ops_runs_unpublished 0",
        "ops_audit_spool_records 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("ops_doctor_ok"));
    assert_eq!(
        simulation.run(&["doctor", "--metrics", ".ops/doctor.prom"]).code,
        0
    );
    let document = simulation
        .run(&["metrics", "--json", "--write", "all.prom"])
        .json();
    let metrics = document["metrics"].as_array().expect("samples");
    let of = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric["name"] == name)
            .expect("a sample")
    };
    assert_eq!(of("ops_doctor_ok")["value"], 1.0);
    assert_eq!(of("ops_runs_started_total")["labels"]["procedure"], "api-stop");
    let written = std::fs::read_to_string(simulation.path().join("all.prom")).expect("written");
    assert!(written.contains(begun) && written.contains("ops_doctor_ok 1"));
    let gone = opsctl(simulation.path())
        .args(["metrics", "--doctor", "none.prom"])
        .output()
        .expect("runs");
    assert_eq!(gone.status.code(), Some(2));
}
