//! Incidents by the tool: from the first line to the report, and with a database that is away.

mod support;

use std::fs;

use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use support::{Ran, Simulation, opsctl};

fn id_of(opened: &Ran) -> String {
    opened.json()["incident"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn end_of(id: &str) -> &str {
    &id[id.len() - 6..]
}

#[test]
fn an_incident_goes_from_its_first_line_to_its_report() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let run = |arguments: &[&str]| simulation.run(arguments);
    let open = [
        "incident",
        "open",
        "tanaka@example.com の回答が遅い",
        "--severity",
        "Sev2",
        "--layer",
        "llm-brain",
        "--detected-at",
        "2026-01-30T09:00:00+09:00",
        "--json",
    ];
    let opened = run(&open);
    assert_eq!(opened.code, 0, "{}{}", opened.out, opened.err);
    let document = opened.json();
    assert_eq!(document["incident"]["severity"], "P2");
    assert_eq!(document["incident"]["layer"], "llm-brain");
    assert!(!opened.out.contains("tanaka@"), "{}", opened.out);
    let id = id_of(&opened);
    let end = end_of(&id);

    let stopped = run(&["stop", "llm-brain-stop", "--json"]);
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    let stop = stopped.json()["run"].as_str().expect("a run").to_owned();
    for arguments in [
        vec!["ack", end],
        vec!["note", end, "切り分け中"],
        vec!["severity", end, "P1", "--why", "全停止"],
        vec!["link", end, &stop],
        vec!["layer", &id, "database"],
        vec!["impact", end, "全ユーザー"],
        vec!["cause", end, "ロック"],
        vec!["prevent", end, "タイムアウトを設定", "--owner", "bob"],
        vec!["resolve", end, "再起動"],
    ] {
        let done = run(&[&["incident"], arguments.as_slice()].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        assert!(done.out.contains(end), "{}", done.out);
    }
    let twice = run(&["incident", "resolve", end, "again"]);
    assert_eq!(twice.code, 5, "{}{}", twice.out, twice.err);
    assert!(twice.err.contains("reopen"), "{}", twice.err);
    assert_eq!(
        run(&["incident", "resolve", end, "x", "--json"]).json()["error"]["rule"],
        "resolved_already"
    );

    let shown = run(&["incident", "show", end, "--json"]).json();
    assert_eq!(shown["incident"]["status"], "resolved");
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(11));
    assert_eq!(shown["recover"]["in_time"], false, "it was noticed long ago");
    assert!(!run(&["incident", "list"]).out.contains(end), "it is over");
    let listed = run(&["incident", "list", "--all", "--json"]).json();
    assert_eq!(listed["incidents"][0]["id"], id.as_str());

    let report = run(&["incident", "report", end, "--out", "report.md", "--lang", "en"]);
    assert_eq!(report.code, 0, "{}{}", report.out, report.err);
    let markdown = fs::read_to_string(simulation.path().join("report.md")).expect("a report");
    assert!(
        markdown.contains("## Prevention") && markdown.contains("## What this report lacks\n\nnothing"),
        "{markdown}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let found = fs::metadata(simulation.path().join("report.md")).expect("a report");
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
    }
    let over = run(&["incident", "report", end, "--out", "report.md"]);
    assert_eq!(over.code, 2, "a file is never written over");
    assert!(run(&["incident", "report", end]).out.starts_with("# 障害報告書"));

    let trail = run(&[
        "audit",
        "search",
        "--resource",
        &format!("incident:{id}"),
        "--json",
    ]);
    assert_eq!(trail.code, 0, "{}", trail.err);
    let actions = trail.out.matches("\"incident.").count();
    assert_eq!(actions, 11, "each deed is recorded once: {}", trail.out);
    let entries = shown["entries"].as_array().expect("entries");
    for entry in entries {
        let id = entry["id"].as_str().expect("an id");
        assert!(trail.out.contains(id), "{id} is named: {}", trail.out);
    }
    assert!(
        !trail.out.contains("切り分け中"),
        "what was said is in the incident"
    );
}

#[test]
fn bad_input_is_told_with_a_remedy_and_writes_nothing() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let run = |arguments: &[&str]| simulation.run(&[&["incident"], arguments].concat());
    for (arguments, said) in [
        (vec!["open", "a", "--severity", "P5"], "P1 to P4"),
        (vec!["open", "", "--severity", "P1"], "title"),
        (
            vec!["open", "a", "--severity", "P1", "--layer", "cloud"],
            "llm-brain",
        ),
        (
            vec!["open", "a", "--severity", "P1", "--detected-at", "yesterday"],
            "RFC 3339",
        ),
        (
            vec![
                "open",
                "a",
                "--severity",
                "P1",
                "--detected-at",
                "2999-01-01T00:00:00Z",
            ],
            "future",
        ),
        (vec!["note", "abc", "a"], "incident list"),
        (vec!["note", "%%%%", "a"], "incident list"),
        (vec!["note", "abcdef", "a"], "incident list"),
        (vec!["show", "abcdef"], "incident list"),
    ] {
        let ran = run(&arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(
        run(&["list", "--all", "--json"]).json()["incidents"],
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn a_database_that_is_away_keeps_nobody_from_writing_and_gets_it_later() {
    let Some(url) = postgres_url().await else { return };
    let name = format!("ops_cli_incident_{}", std::process::id());
    let database = ScratchDatabase::create(&SecretString::from(url), &name)
        .await
        .expect("a database");
    let simulation = Simulation::start(&["--world", "gcp", "--database"]);
    let at = |url: &str, arguments: &[&str]| {
        let mut command = opsctl(simulation.path());
        command
            .env("DATABASE_URL", url)
            .env("OPS_AUDIT_DATABASE_URL", database.audit_url().expose_secret());
        Ran::of(
            command
                .args([&["incident"], arguments].concat())
                .output()
                .expect("opsctl runs"),
        )
    };
    let there = |arguments: &[&str]| at(database.owner_url().expose_secret(), arguments);
    let away = |arguments: &[&str]| at("postgres://nobody:x@127.0.0.1:1/none", arguments);

    let first = there(&["open", "in the database", "--severity", "P2", "--json"]);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert_eq!(first.json()["only_on_this_machine"], false);
    let first = id_of(&first);

    let second = away(&["open", "on this machine", "--severity", "P1", "--json"]);
    assert_eq!(second.code, 3, "{}{}", second.out, second.err);
    assert_eq!(second.json()["only_on_this_machine"], true);
    let second = id_of(&second);
    let noted = away(&["note", end_of(&second), "offline", "--lang", "en"]);
    assert_eq!(noted.code, 3, "{}{}", noted.out, noted.err);
    assert!(
        noted.err.contains("the next opsctl incident that reaches it"),
        "{}",
        noted.err
    );
    let unknown = away(&["note", end_of(&first), "offline"]);
    assert_eq!(unknown.code, 1, "{}{}", unknown.out, unknown.err);
    assert!(unknown.err.contains("open one here"), "{}", unknown.err);

    let listed = there(&["list", "--json", "--lang", "en"]);
    assert!(listed.err.contains("2 entries that waited"), "{}", listed.err);
    let listed = listed.json();
    assert_eq!(listed["incidents"][0]["id"], second.as_str());
    assert_eq!(listed["incidents"][1]["id"], first.as_str());
    assert_eq!(listed["incidents"][0]["newest"], 2);
    let unsure = away(&["list", "--json"]);
    assert_eq!(unsure.code, 4, "nobody knows: {}{}", unsure.out, unsure.err);
    // Away again: what came from here can still be gone on with.
    assert_eq!(away(&["resolve", end_of(&second), "restarted"]).code, 3);
    let shown = there(&["show", end_of(&second), "--json"]).json();
    assert_eq!(shown["incident"]["status"], "resolved");
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(3));
    // Nothing waits any more; everything is compared only when asked for.
    let quiet = there(&["list", "--json", "--lang", "en"]);
    assert!(!quiet.err.contains("waited"), "{}", quiet.err);
    let compared = there(&["share", "--json"]);
    assert_eq!(compared.code, 0, "{}{}", compared.out, compared.err);
    assert_eq!(compared.json()["entries"], 0);
    assert_eq!(away(&["share"]).code, 4);

    // Both ended it, apart; then it was reopened.
    let fourth = away(&["open", "apart", "--severity", "P2", "--json"]);
    let fourth = id_of(&fourth);
    assert_eq!(there(&["resolve", end_of(&fourth), "there"]).code, 0);
    let here = away(&["resolve", end_of(&fourth), "here", "--json"]);
    assert_eq!(here.code, 3, "{}{}", here.out, here.err);
    let here = here.json();
    assert_eq!(here["number"], 2);
    assert_eq!(there(&["reopen", end_of(&fourth), "again"]).code, 0);
    let shown = there(&["show", end_of(&fourth), "--json"]).json();
    assert_eq!(shown["incident"]["status"], "open", "{shown}");
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(4));
    let moved = shown["entries"].as_array().expect("entries").iter();
    let moved: Vec<_> = moved.filter(|entry| entry["id"] == here["entry"]).collect();
    assert_eq!(moved.len(), 1, "the entry is known by its id: {shown}");
    assert_ne!(moved[0]["number"], here["number"], "its number is another one");

    // A damaged log keeps no other from the database, and what was brought is told beside it.
    let damaged = id_of(&away(&["open", "damaged", "--severity", "P4", "--json"]));
    let whole = id_of(&away(&["open", "whole", "--severity", "P4", "--json"]));
    let log = simulation.path().join(format!(".ops/incidents/{damaged}.jsonl"));
    let kept = fs::read(&log).expect("a log");
    fs::write(&log, "no entry\n").expect("written");
    let partly = there(&["share", "--json"]);
    assert_eq!(partly.code, 3, "{}{}", partly.out, partly.err);
    let said = partly.json();
    assert_eq!(said["entries"], 1, "{said}");
    assert_eq!(said["incidents"][0], whole.as_str());
    assert_eq!(said["fault"]["kind"], "unexpected answer", "{said}");
    fs::write(&log, kept).expect("written");
    let rest = there(&["share", "--json"]);
    assert_eq!(rest.code, 0, "{}{}", rest.out, rest.err);
    let rest = rest.json();
    assert_eq!(rest["incidents"][0], damaged.as_str());
    assert!(rest["fault"].is_null(), "{rest}");

    // Files that cannot be read keep nothing from the database.
    let files = simulation.path().join(".ops/incidents");
    assert!(files.is_dir(), "{}", files.display());
    fs::remove_dir_all(&files).expect("removed");
    fs::write(&files, "no directory").expect("written");
    let third = there(&["open", "without files", "--severity", "P3", "--json"]);
    assert_eq!(third.code, 0, "{}{}", third.out, third.err);
    assert_eq!(third.json()["only_on_this_machine"], false);
    let noted = there(&["note", end_of(&first), "still here"]);
    assert_eq!(noted.code, 0, "{}{}", noted.out, noted.err);
    let listed = there(&["list", "--json"]);
    assert_eq!(listed.code, 4, "what lies here was not read: {}", listed.out);
    database.drop_all().await.expect("dropped");
}
