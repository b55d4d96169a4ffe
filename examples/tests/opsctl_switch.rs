//! `opsctl switch`: what it shows of the processes, and that it opens only what was agreed on.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use ops_core::file::{FileProcesses, FileSwitches};
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{CallCount, ProcessId, ProcessRegistry, SwitchProcess, SwitchStore, SwitchedOff};
use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use support::{Simulation, opsctl};

fn process(instance: &str, generation: u64) -> SwitchProcess {
    let id = ProcessId::new(format!("id-{instance}")).expect("an id");
    let mut process = SwitchProcess::new(id, "chat", instance, Timestamp::UNIX_EPOCH);
    process.generation = generation;
    process.calls.insert("llm-brain".to_owned(), CallCount::new(7, 2));
    process
}

fn registry(simulation: &Simulation) -> FileProcesses {
    FileProcesses::open(simulation.path().join(".ops/processes")).expect("a registry")
}

fn brain(document: &Value) -> &Value {
    document["switches"]
        .as_array()
        .and_then(|switches| switches.iter().find(|switch| switch["feature"] == "llm-brain"))
        .expect("the switch")
}

#[tokio::test]
async fn the_list_shows_who_stopped_what_and_which_process_has_not_applied_it() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let open = simulation.run(&["switch", "list", "--json"]);
    assert_eq!(open.code, 0, "{}{}", open.out, open.err);
    let open = open.json();
    assert_eq!(
        (&open["generation"], &open["processes"], &open["processes_error"]),
        (&0.into(), &json!([]), &Value::Null)
    );
    assert_eq!(
        open["notifications_arrive"],
        Value::Null,
        "files have no notifications"
    );
    let open = brain(&open);
    assert_eq!(
        (&open["stopped"], &open["layer"], &open["admitted"], &open["by"]),
        (&false.into(), &Value::Null, &Value::Null, &Value::Null)
    );

    let registry = registry(&simulation);
    registry.report(&process("fresh", 1)).await.expect("reported");
    // From before the store was restored from a backup: it has not applied this generation either.
    registry.report(&process("ahead", 9)).await.expect("reported");
    stop(&simulation.path().join(".ops/switches"), 0).await;
    let listed = simulation.run(&["switch", "list", "--json"]).json();
    assert_eq!(listed["generation"], 1);
    assert_eq!(listed["processes"].as_array().map(Vec::len), Some(2));
    let stopped = brain(&listed);
    assert_eq!(
        (&stopped["stopped"], &stopped["layer"], &stopped["by"]["by"]["id"]),
        (&true.into(), &"shared".into(), &"alice".into())
    );
    assert_eq!(stopped["not_applied_by"], json!(["chat (ahead)"]));
    for (lang, words) in [
        (
            "en",
            ["stopped by", "not applied", "applied calls running 2 of 7"],
        ),
        ("ja", ["停止", "未適用", "適用済み 実行中 2 / 計 7"]),
    ] {
        // Not yet missing, however slow this machine is.
        for process in [process("fresh", 1), process("ahead", 9)] {
            registry.report(&process).await.expect("reported");
        }
        let people = simulation.run(&["switch", "list", "--lang", lang]);
        for word in words {
            assert!(people.out.contains(word), "{word}: {}", people.out);
        }
    }
}

#[test]
fn an_unreadable_list_of_processes_is_unknown_and_not_empty() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["switch", "stop", "llm-brain"]).code, 0);
    let folder = simulation.path().join(".ops/processes");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("rubbish.json"), "{torn").expect("written");
    let listed = simulation.run(&["switch", "list", "--json"]);
    assert_eq!(listed.code, 4, "{}{}", listed.out, listed.err);
    let listed = listed.json();
    assert_eq!(
        (
            &listed["processes"],
            &brain(&listed)["not_applied_by"],
            &listed["exit_code"]
        ),
        (&Value::Null, &Value::Null, &4.into())
    );
    assert!(
        listed["processes_error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
    assert_eq!(
        brain(&listed)["stopped"],
        true,
        "the switches themselves are known"
    );
    let people = simulation.run(&["switch", "list", "--lang", "en"]);
    assert_eq!(people.code, 4);
    assert!(people.err.contains("cannot be listed"), "{}", people.err);
}

/// Whether the process waits for the lock of the switches: it has come to its write.
#[cfg(target_os = "linux")]
fn is_writing(process: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|file| file.ends_with(".switches.lock"))
}

/// Writes a stop by Alice over `generation`.
async fn stop(folder: &Path, generation: u64) {
    let off = SwitchedOff::new(
        Timestamp::UNIX_EPOCH,
        Actor::person("alice").expect("an id"),
        None,
    );
    let stopped = BTreeMap::from([("llm-brain".to_owned(), off)]);
    let switches = FileSwitches::open(folder).expect("the switches");
    switches.write(generation, &stopped).await.expect("written");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_opening_that_a_newer_stop_overtakes_is_refused_in_words() {
    for (json, words) in [(false, "changed since"), (true, "overtaken")] {
        let simulation = Simulation::start(&["--world", "gcp"]);
        assert_eq!(simulation.run(&["switch", "stop", "llm-brain"]).code, 0);
        fs::remove_dir_all(simulation.path().join(".ops/journal")).expect("removed");
        let folder = simulation.path().join(".ops/switches");
        // Made ready beside it: nobody else gets the lock.
        let beside = tempfile::tempdir().expect("a temporary folder");
        let newer = beside.path().join("switches.json");
        fs::copy(folder.join("switches.json"), &newer).expect("copied");
        stop(beside.path(), 1).await;
        let lock = File::open(folder.join(".switches.lock")).expect("the lock");
        lock.lock().expect("locked");
        let mut command = opsctl(simulation.path());
        command.args(["switch", "open", "llm-brain", "--lang", "en"]);
        command.args(json.then_some("--json"));
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let opening = command.spawn().expect("opsctl starts");
        while !is_writing(opening.id()) {
            std::thread::yield_now();
        }
        // It has been stopped again meanwhile.
        fs::copy(&newer, folder.join("switches.json")).expect("copied");
        lock.unlock().expect("unlocked");
        let opened = support::Ran::of(opening.wait_with_output().expect("it ends"));
        assert_eq!(opened.code, 5, "{}{}", opened.out, opened.err);
        assert!((opened.out + &opened.err).contains(words));
        let listed = simulation.run(&["switch", "list", "--json"]).json();
        assert_eq!(brain(&listed)["stopped"], true);
    }
}

#[tokio::test]
async fn on_postgresql_the_list_and_the_doctor_say_whether_notifications_arrive() {
    let Some(admin) = postgres_url().await else { return };
    let database = ScratchDatabase::create(
        &SecretString::from(admin),
        &format!("ops_cli_switch_{}", std::process::id()),
    )
    .await
    .expect("a database");
    let simulation = Simulation::start(&["--world", "gcp", "--database"]);
    let run = |arguments: &[&str]| {
        let mut command = opsctl(simulation.path());
        command
            .env("DATABASE_URL", database.owner_url().expose_secret())
            .env("OPS_AUDIT_DATABASE_URL", database.audit_url().expose_secret());
        support::Ran::of(command.args(arguments).output().expect("opsctl runs"))
    };
    assert_eq!(run(&["db", "migrate"]).code, 0);
    let listed = run(&["switch", "list", "--json"]);
    assert_eq!(
        listed.json()["notifications_arrive"],
        true,
        "{}{}",
        listed.out,
        listed.err
    );
    let examined = run(&["doctor", "--json"]).json();
    let checks = examined["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|check| check["name"] == "switch-notifications");
    assert_eq!(check.expect("the check")["state"], "ready");
    drop(simulation);
    database.drop_all().await.expect("dropped");
}
