//! `opsctl calendar`: on this machine, in a real PostgreSQL, and while that does not answer.

mod support;

use std::path::Path;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::file::FileDueDates;
use ops_core::model::{Digest, Every, Period, Timestamp};
use ops_core::ports::{Clock, DueDates as _};
use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use support::{Ran, opsctl};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// The day in Japan, so many days ago.
fn day(ago: u32) -> Period {
    Period::of(Every::Daily, now() - DAY * ago)
}

/// A yearly item that is owed since this year began, and a monthly one that is owed since the first look.
fn folder(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let year = Period::of(Every::Yearly, now());
    let text = format!(
        "lang = \"en\"\n{more}\n[[calendar]]\nid = \"dr-test\"\ntitle = \"DR テスト\"\nevery = \"yearly\"\nsince = \"{year}-01-01\"\nowner = \"sre\"\n"
    );
    std::fs::write(dir.path().join("ops.toml"), text).expect("written");
    dir
}

fn run(dir: &Path, arguments: &[&str]) -> Ran {
    Ran::of(opsctl(dir).args(arguments).output().expect("opsctl runs"))
}

fn states(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = document["entries"].as_array().expect("entries");
    let state = |entry: &Value| (text(&entry["key"]), text(&entry["state"]));
    entries.iter().map(state).collect()
}

#[test]
fn what_is_due_is_done_once_recorded_and_remembered() {
    let more = format!(
        "[[calendar]]\nid = \"alerts\"\ntitle = \"alerts\"\nevery = \"daily\"\nsince = \"{}\"",
        day(1)
    );
    let dir = folder(&more);
    let path = dir.path();
    let (yesterday, today) = (format!("alerts/{}", day(1)), format!("alerts/{}", day(0)));
    let due = run(path, &["calendar", "due", "--within", "0d", "--json"]);
    assert_eq!(due.code, 1, "{}{}", due.out, due.err);
    let found = states(&due.json());
    assert!(
        found.contains(&(yesterday.clone(), "overdue".to_owned())),
        "{found:?}"
    );
    assert!(found.contains(&(today.clone(), "due".to_owned())), "{found:?}");

    let report = path.join("alerts.txt");
    std::fs::write(&report, "nothing unusual").expect("written");
    let done = run(
        path,
        &[
            "calendar",
            "done",
            &today,
            "--note",
            "ok: taro@example.com",
            "--evidence",
            "alerts.txt",
            "--json",
        ],
    );
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let done = done.json();
    let digest = Digest::of(b"nothing unusual").to_string();
    assert_eq!(
        done["completion"]["evidence"],
        json!({"kind": "file", "name": "alerts.txt", "sha256": digest})
    );
    assert_eq!((&done["shared"], &done["audited"]), (&json!(true), &json!(true)));
    assert!(!done.to_string().contains("taro@example.com"), "{done}");

    let again = run(path, &["calendar", "done", &today, "--actor", "bob"]);
    assert_eq!(again.code, 5, "{}{}", again.out, again.err);
    assert!(again.err.contains("alice"), "who was first: {}", again.err);

    let skipped = run(
        path,
        &[
            "calendar",
            "skip",
            &yesterday,
            "--reason",
            "the system was down",
            "--json",
        ],
    );
    assert_eq!(skipped.code, 0, "{}{}", skipped.out, skipped.err);
    let due = run(path, &["calendar", "due", "--within", "0d", "--json"]);
    assert!(
        !states(&due.json())
            .iter()
            .any(|(key, _)| key.starts_with("alerts/")),
        "{}",
        due.out
    );
    let all = run(path, &["calendar", "due", "--all", "--json"]).json();
    assert!(states(&all).contains(&(yesterday, "skipped".to_owned())), "{all}");

    let history = run(path, &["calendar", "history", "alerts", "--json"]).json();
    let outcomes = history["history"].as_array().expect("history").iter();
    let outcomes: Vec<_> = outcomes.map(|one| one["completion"]["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("done"), json!("skipped")]);
    for (action, count) in [("calendar.done", 1), ("calendar.skip", 1)] {
        let audited = run(path, &["audit", "search", "--action", action, "--json"]).json();
        assert_eq!(
            audited["records"].as_array().map(Vec::len),
            Some(count),
            "{audited}"
        );
        assert!(!audited.to_string().contains("taro@example.com"), "{audited}");
    }
}

#[test]
fn an_item_is_owed_from_the_first_look_on_and_that_is_remembered() {
    let dir = folder("[[calendar]]\nid = \"reindex\"\ntitle = \"REINDEX\"\nevery = \"monthly\"");
    let next = Period::of(Every::Monthly, now()).next();
    for _ in 0..2 {
        let all = run(dir.path(), &["calendar", "due", "--all", "--json"]).json();
        let first = states(&all)
            .into_iter()
            .find(|(key, _)| key.starts_with("reindex/"));
        assert_eq!(
            first.map(|(key, _)| key),
            Some(format!("reindex/{next}")),
            "{all}"
        );
    }
    assert!(dir.path().join(".ops/due/begun-reindex.json").exists());
    let early = run(dir.path(), &["calendar", "done", &format!("reindex/{next}")]);
    assert_eq!(early.code, 2, "it has not begun: {}{}", early.out, early.err);
    let this = Period::of(Every::Monthly, now());
    let done = run(dir.path(), &["calendar", "done", &format!("reindex/{this}")]);
    assert_eq!(done.code, 0, "done, though not owed: {}{}", done.out, done.err);
}

#[tokio::test]
async fn an_item_that_was_first_looked_at_by_a_clock_that_was_ahead_is_not_called_fine() {
    let dir = folder("[[calendar]]\nid = \"reindex\"\ntitle = \"REINDEX\"\nevery = \"monthly\"");
    let path = dir.path();
    let kept = FileDueDates::open(path.join(".ops/due")).expect("a directory");
    kept.begin("reindex", now() + 2 * DAY).await.expect("kept");
    let year = Period::of(Every::Yearly, now());
    run(path, &["calendar", "done", &format!("dr-test/{year}")]);
    let due = run(path, &["calendar", "due", "--json"]);
    assert_eq!(
        (due.code, &due.json()["begun_ahead"]),
        (4, &json!(["reindex"])),
        "{}{}",
        due.out,
        due.err
    );
    assert!(due.err.contains("write since"), "{}", due.err);
    assert!(!run(path, &["metrics"]).out.contains("ops_due_overdue"));
}

#[test]
fn a_drill_that_passed_settles_the_item_that_names_it() {
    let dir = folder(
        "[[calendar]]\nid = \"drill\"\ntitle = \"drill\"\nevery = \"daily\"\ndrill = \"api-stop\"\nsince = \"2026-01-01\"",
    );
    let path = dir.path();
    let of_today = || {
        let document = run(path, &["calendar", "due", "--within", "1d", "--all", "--json"]).json();
        let entries = document["entries"].as_array().expect("entries").clone();
        let today = |entry: &Value| {
            entry["key"] == json!(format!("drill/{}", day(0)))
                || entry["key"] == json!(format!("drill/{}", day(1)))
        };
        entries
            .into_iter()
            .filter(|entry| today(entry) && entry["state"] == "done")
            .collect::<Vec<_>>()
    };
    // What was made to fail settles nothing.
    run(
        path,
        &[
            "drill",
            "api-stop",
            "--world",
            "gcp",
            "--break-rule",
            "ignore-stop",
        ],
    );
    assert_eq!(of_today(), Vec::<Value>::new());
    let ran = run(path, &["drill", "api-stop", "--world", "gcp", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let settled = of_today();
    assert_eq!(settled.len(), 1, "{settled:?}");
    assert_eq!(
        settled[0]["completion"]["evidence"],
        json!({"kind": "run", "run": ran.json()["runs"][0]["run"]})
    );
    let history = run(path, &["calendar", "history", "drill", "--json"]).json();
    assert_eq!(history["history"].as_array().map(Vec::len), Some(1), "{history}");
}

#[test]
fn a_report_is_set_once_and_is_due_at_its_hour() {
    let dir = folder("");
    let path = dir.path();
    let set = |due: &str| {
        run(
            path,
            &[
                "calendar",
                "add",
                "report to the regulator",
                "--due",
                due,
                "--about",
                "inc_1",
                "--json",
            ],
        )
    };
    let due = (now() - Duration::from_secs(60)).to_string();
    let first = set(&due);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let key = first.json()["date"]["key"].as_str().expect("a key").to_owned();
    let again = set(&due);
    assert_eq!(
        (again.code, &again.json()["date"]["key"]),
        (0, &json!(key)),
        "{}",
        again.err
    );
    let moved = set("2099-01-01");
    assert_eq!(moved.code, 5, "{}{}", moved.out, moved.err);
    let overdue = run(path, &["calendar", "due", "--json"]);
    assert_eq!(overdue.code, 1, "{}{}", overdue.out, overdue.err);
    assert_eq!(states(&overdue.json())[0], (key.clone(), "overdue".to_owned()));
    let metrics = run(path, &["metrics"]);
    assert!(metrics.out.contains("\nops_due_overdue 1\n"), "{}", metrics.out);
    assert_eq!(run(path, &["calendar", "done", &key]).code, 0);
    let history = run(path, &["calendar", "history", "inc_1", "--json"]).json();
    assert_eq!(history["history"][0]["title"], "report to the regulator");
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_remedy_and_leaves_nothing() {
    let dir = folder("");
    let year = Period::of(Every::Yearly, now());
    let key = format!("dr-test/{year}");
    let tomorrow = (now() + DAY).to_string();
    for arguments in [
        vec!["done", "dr-test"],
        vec!["done", "dr-test/2026-11"],
        vec!["done", "once/0000000000000000"],
        vec!["done", "no key"],
        vec!["done", &key, "--at", &tomorrow],
        vec!["done", &key, "--at", "1999-01-01"],
        vec!["done", &key, "--at", "yesterday"],
        vec!["done", &key, "--note", ""],
        vec!["done", &key, "--evidence", "./gone.pdf"],
        vec!["done", &key, "--evidence", "/dev/zero"],
        vec!["skip", &key, "dr-test/x", "--reason", "r"],
        vec!["skip", &key, "--reason", " "],
        vec!["add", "title", "--due", "soon"],
        vec!["due", "--within", "1y"],
    ] {
        let ran = run(dir.path(), &[vec!["calendar"], arguments.clone()].concat());
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.trim().is_empty());
    }
    let history = run(dir.path(), &["calendar", "history", "--json"]).json();
    assert_eq!(history["history"], json!([]));
}

#[tokio::test]
async fn without_the_database_this_machine_answers_keeps_and_brings_it_later() {
    let Some(admin) = postgres_url().await else { return };
    let name = format!("ops_cli_calendar_{}", std::process::id());
    let database = ScratchDatabase::create(&SecretString::from(admin), &name)
        .await
        .expect("a database");
    let config = format!(
        "[database]\nurl_env = \"DATABASE_URL\"\n[[calendar]]\nid = \"alerts\"\ntitle = \"alerts\"\nevery = \"daily\"\nsince = \"{}\"",
        day(2)
    );
    let (one, other) = (folder(&config), folder(&config));
    let with = |dir: &Path, url: &str, arguments: &[&str]| {
        let mut command = opsctl(dir);
        command.env("DATABASE_URL", url).args(arguments);
        Ran::of(command.output().expect("opsctl runs"))
    };
    let reached = |dir: &tempfile::TempDir, arguments: &[&str]| {
        with(dir.path(), database.owner_url().expose_secret(), arguments)
    };
    let gone = |dir: &tempfile::TempDir, arguments: &[&str]| {
        with(dir.path(), "postgres://nobody@127.0.0.1:9/none", arguments)
    };
    let [two_ago, yesterday, today] = [2, 1, 0].map(|ago| format!("alerts/{}", day(ago)));

    // Everybody sees what was done elsewhere, and one is first.
    let done = reached(&one, &["calendar", "done", &two_ago, "--json"]);
    assert_eq!(
        (done.code, &done.json()["shared"]),
        (0, &json!(true)),
        "{}",
        done.err
    );
    let second = reached(&other, &["calendar", "done", &two_ago, "--actor", "bob"]);
    assert_eq!(second.code, 5, "{}{}", second.out, second.err);
    assert!(second.err.contains("alice"), "{}", second.err);

    // The database is gone.
    let due = gone(&one, &["calendar", "due", "--json"]);
    assert_eq!(due.code, 4, "{}{}", due.out, due.err);
    let due = due.json();
    assert!(due["unknown"].is_string(), "{due}");
    let found = states(&due);
    assert!(
        !found.iter().any(|(key, _)| *key == two_ago),
        "this machine's own deed is known"
    );
    assert!(
        found.contains(&(yesterday.clone(), "overdue".to_owned())),
        "{found:?}"
    );
    for key in [&yesterday, &today] {
        let kept = gone(&one, &["calendar", "done", key, "--json"]);
        assert_eq!(
            (kept.code, &kept.json()["shared"]),
            (4, &json!(false)),
            "{}",
            kept.err
        );
    }
    assert!(
        !states(&gone(&one, &["calendar", "due", "--json"]).json())
            .iter()
            .any(|(key, state)| key.starts_with("alerts/") && state != "coming")
    );

    // A date that is set here while somebody else sets another: the other counts, and that is said.
    let add = |due: &'static str| ["calendar", "add", "report", "--due", due];
    assert_eq!(gone(&one, &add("2099-01-20")).code, 4);
    let elsewhere = reached(&other, &[&add("2099-02-20")[..], &["--actor", "bob"]].concat());
    assert_eq!(elsewhere.code, 0, "{}{}", elsewhere.out, elsewhere.err);

    // It is back: meanwhile somebody else was first for one of the two; the other is brought.
    let first = reached(&other, &["calendar", "done", &today, "--actor", "bob"]);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let history = reached(&one, &["calendar", "history", "alerts", "--json"]);
    assert!(history.err.contains("bob was first (2"), "{}", history.err);
    assert!(
        history.err.contains("bob was first to set it, by 2099-02-21"),
        "{}",
        history.err
    );
    let seen = reached(&other, &["calendar", "history", "alerts", "--json"]).json();
    let by = seen["history"].as_array().expect("history").iter();
    let by: Vec<_> = by
        .map(|one| {
            (
                one["completion"]["key"].clone(),
                one["completion"]["by"]["id"].clone(),
            )
        })
        .collect();
    assert!(by.contains(&(json!(yesterday), json!("alice"))), "{seen}");
    assert!(by.contains(&(json!(today), json!("bob"))), "{seen}");
    database.drop_all().await.expect("dropped");
}
