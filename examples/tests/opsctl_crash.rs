//! Stop in one process, killed in the middle; resume and restore in others.

mod support;

use std::time::Duration;

use support::Simulation;

/// Waits until the journal of the `nth` run has that many entries.
fn wait_for_entries(simulation: &Simulation, nth: usize, entries: usize) {
    for _ in 0..4_000 {
        if simulation.journal_entries(nth) >= entries {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("run {nth} never had {entries} entries");
}

fn verdicts_hold(document: &serde_json::Value) -> bool {
    document["steps"]
        .as_array()
        .is_some_and(|steps| !steps.is_empty() && steps.iter().all(|step| step["verdict"] == "holds"))
}

#[test]
fn a_stop_killed_in_the_middle_is_resumed_and_restored_exactly() {
    // The vendor is slow, so that the kill comes before the read-back of at least one target.
    for entries in [1, 3, 6] {
        let simulation = Simulation::start(&["--world", "gcp", "--fault", "latency@soulkun"]);
        let mut stop = simulation.spawn(&["stop", "api-stop"]);
        wait_for_entries(&simulation, 0, entries);
        stop.kill().expect("SIGKILL");
        stop.wait().expect("it ends");

        let resumed = simulation.run(&["resume", "--json"]);
        assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
        let document = resumed.json();
        assert!(verdicts_hold(&document), "{document:#}");
        assert_eq!(document["steps"].as_array().map(Vec::len), Some(4));

        let run = document["run"].as_str().expect("a run");
        let restored = simulation.run(&["restore", run, "--json"]);
        assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
        assert_eq!(restored.json()["restored_exactly"], true);
    }
}

#[test]
fn a_restore_killed_in_the_middle_is_resumed_to_the_exact_state() {
    let simulation = Simulation::start(&["--world", "paas", "--fault", "latency@chatwork"]);
    let stopped = simulation.run(&["stop", "api-stop", "--json"]).json();
    let run = stopped["run"].as_str().expect("a run").to_owned();
    let mut restore = simulation.spawn(&["restore", &run]);
    wait_for_entries(&simulation, 1, 3);
    restore.kill().expect("SIGKILL");
    restore.wait().expect("it ends");
    let resumed = simulation.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
    assert!(resumed.out.contains("restored exactly"), "{}", resumed.out);
    let again = simulation.run(&["stop", "api-stop", "--json"]);
    assert_eq!(
        again.code, 0,
        "everything was back, so everything could be stopped again: {}",
        again.out
    );
    assert!(
        again.json()["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .all(|step| step["prior"]["prior"] == "observed")
    );
}

#[test]
fn a_second_stop_changes_nothing_in_the_prior_state() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let first = simulation.run(&["stop", "llm-brain-stop", "--json"]).json();
    let second = simulation.run(&["stop", "llm-brain-stop", "--json"]);
    assert_eq!(second.code, 0, "{}", second.out);
    for step in second.json()["steps"].as_array().expect("steps") {
        assert_eq!(
            (&step["result"], &step["prior"]["prior"]),
            (&"already_done".into(), &"already_stopped".into())
        );
        assert_eq!(
            step["prior"]["by"], first["run"],
            "the marker names the first run"
        );
    }
    let refused = simulation.run(&["restore", second.json()["run"].as_str().expect("a run"), "--json"]);
    assert_eq!(refused.code, 5, "{}", refused.out);
    let restored = simulation.run(&["restore", first["run"].as_str().expect("a run"), "--json"]);
    assert_eq!(
        (restored.code, &restored.json()["restored_exactly"]),
        (0, &true.into()),
        "{}",
        restored.out
    );
}

#[test]
fn another_machine_sees_who_stopped_and_holds_nothing_of_its_own() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let first = simulation.run(&["stop", "api-stop", "--json"]).json();
    let other = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(simulation.path().join("ops.toml"), other.path().join("ops.toml")).expect("a copy");
    let on_other = |arguments: &[&str]| {
        support::Ran::of(
            support::opsctl(other.path())
                .args(arguments)
                .output()
                .expect("opsctl runs"),
        )
    };
    let second = on_other(&["stop", "api-stop", "--json"]);
    assert_eq!(second.code, 0, "{}", second.out);
    for step in second.json()["steps"].as_array().expect("steps") {
        assert_eq!(
            step["prior"]["by"], first["run"],
            "found by the marker on the target"
        );
    }
    assert_eq!(
        on_other(&["restore", second.json()["run"].as_str().expect("a run")]).code,
        5
    );
    let restored = simulation.run(&["restore", first["run"].as_str().expect("a run"), "--json"]);
    assert_eq!(
        (restored.code, &restored.json()["restored_exactly"]),
        (0, &true.into()),
        "{}",
        restored.out
    );
}

#[test]
fn a_restore_needs_the_signatures_that_the_configuration_asks_for() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let keys = [("alice", [1_u8; 32]), ("bob", [2; 32]), ("carol", [3; 32])];
    let file = simulation.path().join("ops.toml");
    let mut config = std::fs::read_to_string(&file)
        .expect("a configuration")
        .replace("restore = 0", "restore = 2");
    for (name, seed) in keys {
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = ops_core::emergency::ApprovalKey::from_hex(&hex.clone().into()).expect("a key");
        config += &format!(
            "\n[[approver]]\nname = \"{name}\"\npublic_key = \"{}\"\n",
            key.public_hex()
        );
        std::fs::write(simulation.path().join(format!("{name}.key")), hex).expect("a key file");
    }
    std::fs::write(&file, config).expect("a configuration");
    let run = simulation.run(&["stop", "llm-brain-stop", "--json"]).json()["run"]
        .as_str()
        .expect("a run")
        .to_owned();
    let digest = simulation.run(&["restore", &run, "--dry-run", "--json"]).json()["plan_digest"]
        .as_str()
        .expect("a digest")
        .to_owned();

    assert_eq!(simulation.run(&["restore", &run]).code, 5, "nobody has signed");
    assert_eq!(simulation.run(&["approve", &digest, "--key", "bob.key"]).code, 0);
    assert_eq!(simulation.run(&["approve", &digest, "--key", "bob.key"]).code, 0);
    assert_eq!(
        simulation.run(&["restore", &run]).code,
        5,
        "one person twice is one person"
    );
    assert_eq!(
        simulation.run(&["approve", &digest, "--key", "alice.key"]).code,
        0
    );
    assert_eq!(
        simulation.run(&["restore", &run]).code,
        5,
        "alice runs it and cannot approve it"
    );
    assert_eq!(
        simulation.run(&["approve", &digest, "--key", "carol.key"]).code,
        0
    );
    let restored = simulation.run(&["restore", &run, "--json"]);
    assert_eq!(
        (restored.code, &restored.json()["restored_exactly"]),
        (0, &true.into()),
        "{}",
        restored.out
    );
}

/// Sends a signal, as an init system or a terminal does.
fn signal(process: &std::process::Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &process.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_signal_in_the_middle_ends_the_tool_with_a_run_that_resume_completes() {
    for (name, again) in [("TERM", false), ("INT", false), ("TERM", true)] {
        let simulation = Simulation::start(&["--world", "gcp", "--fault", "latency@soulkun"]);
        let stop = support::opsctl(simulation.path())
            .args(["stop", "api-stop", "--lang", "en"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("opsctl starts");
        wait_for_entries(&simulation, 0, 3);
        signal(&stop, name);
        if again {
            // It may be gone already; a process that is not yet waited for can still be signalled.
            signal(&stop, name);
        }
        let ended = support::Ran::of(stop.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, 6, "{}{}", ended.out, ended.err);
        if !again {
            assert!(ended.err.contains("opsctl resume run_"), "{}", ended.err);
        }
        let resumed = simulation.run(&["resume", "--json"]);
        assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
        assert!(verdicts_hold(&resumed.json()));
        let run = resumed.json()["run"].as_str().expect("a run").to_owned();
        let restored = simulation.run(&["restore", &run, "--json"]);
        assert_eq!(
            (restored.code, &restored.json()["restored_exactly"]),
            (0, &true.into()),
            "{}",
            restored.out
        );
    }
}

#[test]
fn a_signal_in_the_middle_of_a_restore_is_told_as_json_and_in_japanese() {
    for (arguments, expected) in [
        (&["--json"] as &[&str], "\"kind\": \"interrupted\""),
        (&["--lang", "ja"], "再開できます"),
    ] {
        let simulation = Simulation::start(&["--world", "gcp", "--fault", "latency@soulkun"]);
        let stopped = simulation.run(&["stop", "api-stop", "--json"]).json();
        let run = stopped["run"].as_str().expect("a run").to_owned();
        let restore = support::opsctl(simulation.path())
            .args(["restore", &run])
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("opsctl starts");
        wait_for_entries(&simulation, 1, 2);
        signal(&restore, "TERM");
        let ended = support::Ran::of(restore.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, 6, "{}{}", ended.out, ended.err);
        assert!(
            format!("{}{}", ended.out, ended.err).contains(expected),
            "{}{}",
            ended.out,
            ended.err
        );
        let resumed = simulation.run(&["resume", "--json"]);
        assert_eq!(
            (resumed.code, &resumed.json()["restored_exactly"]),
            (0, &true.into()),
            "{}{}",
            resumed.out,
            resumed.err
        );
    }
}
