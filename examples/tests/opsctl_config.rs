//! What the tool says when it is used wrongly, and that a stop goes on when its records cannot be kept.

mod support;

use std::path::Path;

use support::{Ran, Simulation, opsctl};

fn run_with(config: &str, arguments: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("ops.toml"), config).expect("a configuration");
    Ran::of(opsctl(dir.path()).args(arguments).output().expect("opsctl runs"))
}

#[test]
fn every_fault_of_a_configuration_is_shown_at_once_with_its_line_and_remedy() {
    let config = "lang = \"fr\"\nstat_dir = \"x\"\n\n[[service]]\nname = \"a\"\nplatform = \"cloudrun\"\n\n[[procedure]]\nname = \"p\"\nkind = \"api-stop\"\nservices = [\"b\"]\n";
    let ran = run_with(config, &["plan", "p", "--json"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    let document = ran.json();
    let faults = document["error"]["faults"].as_array().expect("faults");
    let lines: Vec<_> = faults.iter().filter_map(|fault| fault["line"].as_u64()).collect();
    for line in [1, 2, 6, 11] {
        assert!(lines.contains(&line), "line {line}: {faults:#?}");
    }
    assert!(
        faults
            .iter()
            .all(|fault| fault["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()))
    );
    let people = run_with(config, &["plan", "p"]);
    assert!(
        people.err.contains("line 6") && people.err.contains("cloud-run"),
        "{}",
        people.err
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| Ran::of(opsctl(dir.path()).args(arguments).output().expect("opsctl runs"));
    for arguments in [
        &["stop", "llm-brain-stop"][..],
        &["frobnicate"],
        &["drill", "no-such-procedure"],
        &["drill", "--fault", "flood"],
        &["drill", "--break-rule", "nothing"],
        &[],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.is_empty());
    }
    let simulation = Simulation::start(&["--world", "gcp"]);
    for arguments in [
        &["stop", "nothing"][..],
        &["stop", "api-stop", "--param", "services=soul-kun-api"],
        &["stop", "api-stop", "--param", "colour=red"],
        &["restore", "run_unknown"],
        &["resume", "run_unknown"],
        &["resume"],
        &["switch", "stop", "nothing"],
        &["db", "status"],
        &["approve", "1234", "--key", "none"],
        &["audit", "search", "--from", "yesterday"],
        &["audit", "search", "--after", "forged"],
        &["stop", "api-stop", "--break-glass", "short"],
    ] {
        let ran = simulation.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn a_stop_goes_on_when_its_records_cannot_be_kept_and_says_so() {
    for broken in ["journal", "audit", "notices", "switches"] {
        let simulation = Simulation::start(&["--world", "gcp"]);
        std::fs::create_dir(simulation.path().join(".ops")).expect("a folder");
        // A file where a folder must be: it can be neither read nor written, whoever runs the test.
        std::fs::write(simulation.path().join(".ops").join(broken), "x").expect("a file");
        if broken == "audit" {
            std::fs::write(simulation.path().join(".ops/audit-spool"), "x").expect("a file");
        }
        let ran = simulation.run(&["stop", "api-stop", "--json"]);
        assert_eq!(ran.code, 0, "{broken}: {}{}", ran.out, ran.err);
        let document = ran.json();
        assert!(
            document["steps"]
                .as_array()
                .expect("steps")
                .iter()
                .all(|step| step["verdict"] == "holds"),
            "{broken}"
        );
        assert_eq!(document["journalled"], broken != "journal", "{broken}");
        assert_eq!(document["audited"], broken != "audit", "{broken}");
        assert_eq!(
            document["notices"][0]["error"].is_null(),
            broken != "notices",
            "{broken}"
        );
        assert!(!ran.err.is_empty(), "{broken}: the operator is told");
        if broken == "journal" {
            for step in document["steps"].as_array().expect("steps") {
                assert_eq!(step["journalled"], false);
                assert!(
                    step["prior"]["snapshot"]["fields"].is_object(),
                    "the report carries the only copy"
                );
            }
        }
    }
}

#[test]
fn what_the_audit_store_missed_is_delivered_later() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    std::fs::create_dir(simulation.path().join(".ops")).expect("a folder");
    std::fs::write(simulation.path().join(".ops/audit"), "x").expect("a file");
    assert_eq!(
        simulation.run(&["stop", "api-stop", "--json"]).json()["audited"],
        false
    );
    std::fs::remove_file(simulation.path().join(".ops/audit")).expect("removed");
    let found = simulation
        .run(&["audit", "search", "--resource", "cloud-run", "--json"])
        .json();
    assert_eq!(
        (found["records"].as_array().map(Vec::len), &found["complete"]),
        (Some(4), &true.into()),
        "{found:#}"
    );
    let verified = simulation.run(&["audit", "verify", "--json"]);
    assert_eq!((verified.code, &verified.json()["intact"]), (0, &true.into()));
}

#[test]
fn a_changed_audit_record_is_found() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["stop", "api-stop"]).code, 0);
    assert_eq!(simulation.run(&["audit", "verify"]).code, 0);
    let mut changed = 0;
    for file in walk(&simulation.path().join(".ops/audit")) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.contains("emergency.stop") {
            std::fs::write(&file, text.replacen("\"alice\"", "\"mallory\"", 1)).expect("written");
            changed += 1;
        }
    }
    assert!(changed > 0);
    assert_ne!(simulation.run(&["audit", "verify"]).code, 0);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

#[test]
fn a_switch_is_stopped_listed_and_opened() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let stopped = || simulation.run(&["switch", "list", "--json"]).json()["switches"][0]["stopped"].clone();
    assert_eq!(stopped(), false);
    assert_eq!(
        simulation.run(&["switch", "stop", "llm-brain", "--json"]).json()["status"],
        "verified"
    );
    assert_eq!(stopped(), true);
    assert_eq!(simulation.run(&["switch", "open", "llm-brain"]).code, 0);
    assert_eq!(stopped(), false);
}

#[test]
fn a_plan_acts_on_nothing() {
    let simulation = Simulation::start(&["--world", "all"]);
    let plan = || simulation.run(&["plan", "api-stop", "--json"]).json();
    let first = plan();
    assert_eq!(
        first["plan_digest"],
        plan()["plan_digest"],
        "the same world, the same digest"
    );
    assert!(
        first["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .all(|step| step["prior"]["prior"] == "observed")
    );
    let narrow = simulation
        .run(&[
            "plan",
            "api-stop",
            "--param",
            "services=chatwork-webhook",
            "--json",
        ])
        .json();
    assert_eq!(narrow["steps"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        simulation.run(&["runs", "--json"]).json()["runs"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

#[test]
fn rubbish_beside_the_road_does_not_block_a_stop() {
    let simulation = Simulation::start(&["--world", "all"]);
    let digest = simulation.run(&["plan", "api-stop", "--json"]).json()["plan_digest"].clone();
    let approvals = simulation.path().join(".ops/approvals");
    std::fs::create_dir_all(&approvals).expect("a folder");
    let name = format!("{}.x.json", digest.as_str().expect("a digest"));
    std::fs::write(approvals.join(name), "{torn").expect("a file");
    let mut command = opsctl(simulation.path());
    // The credential of a platform that this stop does not need.
    let ran = Ran::of(
        command
            .env("VERCEL_TOKEN", "two\nlines")
            .args(["stop", "api-stop", "--json"])
            .output()
            .expect("opsctl runs"),
    );
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn a_switch_that_no_run_holds_can_be_opened_and_is_recorded() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(
        simulation.run(&["switch", "open", "llm-brain"]).code,
        2,
        "it is open"
    );
    assert_eq!(simulation.run(&["switch", "stop", "llm-brain"]).code, 0);
    std::fs::remove_dir_all(simulation.path().join(".ops/journal")).expect("removed");
    let opened = simulation.run(&["switch", "open", "llm-brain", "--json"]);
    assert_eq!(opened.code, 0, "{}{}", opened.out, opened.err);
    assert_eq!(
        (&opened.json()["verified"], &opened.json()["audited"]),
        (&true.into(), &true.into())
    );
    // With the approvals of a real configuration it needs signatures.
    let file = simulation.path().join("ops.toml");
    let key = |seed: u8| {
        ops_core::emergency::ApprovalKey::from_hex(&format!("{seed:02x}").repeat(32).into()).expect("a key")
    };
    let approver = |name: &str, seed| {
        format!(
            "\n[[approver]]\nname = \"{name}\"\npublic_key = \"{}\"\n",
            key(seed).public_hex()
        )
    };
    let config = std::fs::read_to_string(&file)
        .expect("a configuration")
        .replace("restore = 0", "restore = 2");
    std::fs::write(&file, config + &approver("bob", 2) + &approver("carol", 3)).expect("a configuration");
    assert_eq!(simulation.run(&["switch", "stop", "llm-brain"]).code, 0);
    std::fs::remove_dir_all(simulation.path().join(".ops/journal")).expect("removed");
    assert_eq!(simulation.run(&["switch", "open", "llm-brain"]).code, 5);
}

#[test]
fn a_run_that_died_before_it_was_recorded_is_named_and_recorded_by_a_resume() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let run = simulation.run(&["stop", "api-stop", "--json"]).json()["run"]
        .as_str()
        .expect("a run")
        .to_owned();
    // As if it had been killed between its end and its record.
    let journal = walk(&simulation.path().join(".ops/journal/runs")).remove(0);
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let kept: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("\"published\""))
        .collect();
    std::fs::write(&journal, kept.join("\n") + "\n").expect("written");
    std::fs::remove_dir_all(simulation.path().join(".ops/audit")).expect("removed");

    let found = simulation.run(&["audit", "search", "--json"]);
    assert_eq!(found.json()["complete"], false);
    assert!(found.err.contains(&run), "{}", found.err);
    assert_eq!(simulation.run(&["resume"]).code, 0);
    let found = simulation.run(&["audit", "search", "--json"]).json();
    // The search before is a record too.
    let of_the_stop = |records: &Vec<serde_json::Value>| {
        records
            .iter()
            .filter(|record| record["action"] != "audit.search")
            .count()
    };
    assert_eq!(
        (&found["complete"], found["records"].as_array().map(of_the_stop)),
        (&true.into(), Some(4))
    );
}

/// The commands of a document: what stands in its blocks of code, up to a comment or the next command.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim_start);
    let ours = lines.filter(|line| line.starts_with("opsctl ") || line.starts_with("$ opsctl "));
    let parts = ours.flat_map(|line| line.split(" # ").next().unwrap_or_default().split("&&"));
    parts.map(words).collect()
}

fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in command.split(['\'', '"']).enumerate() {
        match at % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    if let Some(end) = words
        .iter()
        .position(|word| matches!(word.as_str(), "&" | "|" | ">" | "<"))
    {
        words.truncate(end);
    }
    words.retain(|word| !matches!(word.as_str(), "$" | "opsctl" | "…"));
    // What stands for an id has to be one.
    let ids = words.iter_mut().filter(|word| *word == "HOLD");
    ids.for_each(|word| *word = "01936a3e-5e5c-7a3e-8000-000000000000".to_owned());
    words
}

#[test]
fn every_command_of_the_documents_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guides = std::fs::read_dir(root.join("docs/guide")).expect("the guides");
    let mut documents: Vec<_> = guides.flatten().map(|entry| entry.path()).collect();
    documents.extend(["README.md", "README.ja.md"].map(|name| root.join(name)));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut tried = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).expect("a document");
        for command in commands(&text) {
            // Everything before it is parsed first.
            let ran = opsctl(dir.path())
                .args(&command)
                .arg("--help")
                .output()
                .expect("opsctl runs");
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(
                ran.status.success(),
                "{}: {command:?}: {said}",
                document.display()
            );
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}
