//! A restore behind a gate: abort from another process, and the fast path of a person with its review.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::Simulation;

/// A health endpoint on this machine; its thread ends with the test program.
fn endpoint() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/health", listener.local_addr().expect("an address"));
    let well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&well);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 2048]);
            let status = match seen.load(Ordering::SeqCst) {
                true => "200 OK",
                false => "503 Service Unavailable",
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    (url, well)
}

/// Gates at these places, which share a check, stand on the way back of `api-stop`.
fn gated(simulation: &Simulation, url: &str, places: &[&str]) {
    let file = simulation.path().join("ops.toml");
    let mut config = std::fs::read_to_string(&file).expect("a configuration");
    let procedure = config.find("name = \"api-stop\"").expect("the procedure");
    let ends = "target_seconds = 20\n";
    let at = procedure + config[procedure..].find(ends).expect("its last line") + ends.len();
    let gate = |after: &&str| {
        let times = "hold = \"1s\"\nevery = \"1s\"\npatience = \"60s\"";
        format!("[[procedure.gate]]\nafter = \"{after}\"\nhealth = [\"edge\"]\n{times}\n")
    };
    config.insert_str(at, &places.iter().map(gate).collect::<String>());
    config += &format!("\n[[health]]\nname = \"edge\"\nurl = \"{url}\"\n");
    std::fs::write(&file, config).expect("a configuration");
}

/// Stops everything of `api-stop`; gives the run.
fn stop(simulation: &Simulation) -> String {
    let stopped = simulation.run(&["stop", "api-stop", "--json"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    stopped.json()["run"].as_str().expect("a run").to_owned()
}

/// The id of the newest run.
fn newest(simulation: &Simulation) -> String {
    let runs = simulation.path().join(".ops/journal/runs");
    let files = std::fs::read_dir(runs).expect("a journal").flatten();
    let name = |file: std::fs::DirEntry| {
        file.path()
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
    };
    files.filter_map(name).max().expect("a run")
}

/// Waits until a line of the newest run's journal has `text`.
fn wait_for(simulation: &Simulation, text: &str) -> String {
    for _ in 0..4_000 {
        let run = newest(simulation);
        let file = simulation.path().join(format!(".ops/journal/runs/{run}.jsonl"));
        if std::fs::read_to_string(file).is_ok_and(|lines| lines.contains(text)) {
            return run;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{text} never came");
}

#[test]
fn a_restore_that_waits_at_its_gate_is_aborted_from_another_process_and_done_again() {
    let (url, well) = endpoint();
    let simulation = Simulation::start(&["--world", "gcp"]);
    gated(&simulation, &url, &["services"]);
    let stopped = stop(&simulation);
    let mut restoring = simulation.spawn(&["restore", &stopped]);
    let run = wait_for(&simulation, "\"moment\":\"saw\"");

    let aborted = simulation.run(&["abort", &run, "--reason", "the cause is not gone", "--json"]);
    assert_eq!(aborted.code, 0, "{}{}", aborted.out, aborted.err);
    let document = aborted.json();
    assert_eq!(document["aborted"]["cause"], "asked", "{document:#}");
    let closed = document["aborted"]["closed"].as_array().expect("what was closed");
    assert!(!closed.is_empty(), "{document:#}");
    assert!(
        closed
            .iter()
            .all(|one| one["verdict"]["verdict"] == "holds" && one["held"] == true),
        "{document:#}"
    );
    let ended = restoring.wait().expect("it ends");
    assert_eq!(ended.code(), Some(1), "the restore noticed, and is no success");
    let again = simulation.run(&["abort", &run, "--reason", "to be sure", "--json"]);
    assert_eq!(again.code, 0, "repeating it is harmless: {}", again.out);

    well.store(true, Ordering::SeqCst);
    let restored = simulation.run(&["restore", &stopped, "--json"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    assert_eq!(restored.json()["restored_exactly"], true);
    let reviews = simulation.run(&["reviews", "--json"]).json();
    assert_eq!(reviews["reviews"].as_array().map(Vec::len), Some(0));
    let late = simulation.run(&["abort", &newest(&simulation), "--reason", "too late", "--json"]);
    assert_eq!(late.code, 5, "{}", late.out);
}

#[test]
fn a_person_who_skips_the_gates_opens_at_once_and_leaves_a_review_to_another_one() {
    let (url, _never_well) = endpoint();
    let simulation = Simulation::start(&["--world", "gcp"]);
    gated(&simulation, &url, &["start", "services"]);
    let stopped = stop(&simulation);
    let short = simulation.run(&["restore", &stopped, "--skip-gates", "now", "--json"]);
    assert_eq!(short.code, 2, "a reason has something to say: {}", short.out);
    let skip = [
        "restore",
        &stopped,
        "--skip-gates",
        "hospital line is down",
        "--json",
    ];
    let restored = simulation.run(&skip);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    let document = restored.json();
    assert_eq!(document["restored_exactly"], true);
    assert_eq!(document["ungated"], "hospital line is down");
    assert!(document["review_due"].is_string(), "{document:#}");

    let run = document["run"].as_str().expect("a run");
    let reviews = simulation.run(&["reviews", "--json"]).json();
    let review = &reviews["reviews"][0];
    assert_eq!(
        (&review["run"], &review["overrides"][0]),
        (&run.into(), &"gates".into())
    );
    assert_eq!(review["reason"], "hospital line is down");
    let close = ["review", run, "--note", "the line was down indeed"];
    assert_eq!(simulation.run(&close).code, 5, "not by the one who did it");
    let closed = simulation.run(&[&close[..], &["--actor", "bob"]].concat());
    assert_eq!(closed.code, 0, "{}{}", closed.out, closed.err);
    let found = simulation.run(&["audit", "search", "--action", "emergency.break_glass", "--json"]);
    let records = found.json();
    assert_eq!(
        records["records"].as_array().map(Vec::len),
        Some(1),
        "{records:#}"
    );
}
