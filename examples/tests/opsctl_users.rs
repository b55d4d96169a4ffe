//! `opsctl user` over processes: a simulated Identity Toolkit, looked at directly.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use ops_core::emergency::ApprovalKey;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use support::{Ran, Simulation, opsctl};

const HANAKO: &str = "usr_hanako";
const ACCOUNT: &str = "account:gcip/soul-kun/-/usr_hanako";

/// Asks the vendor itself, as its console would.
fn ask(simulation: &Simulation, call: &str, body: &Value) -> Value {
    let config = std::fs::read_to_string(simulation.path().join("ops.toml")).expect("a configuration");
    let line = config
        .lines()
        .find(|line| line.starts_with("run_base_url"))
        .expect("an address");
    let host = line
        .trim_end_matches('"')
        .rsplit('/')
        .next()
        .expect("host and port");
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).expect("the simulation");
    write!(
        stream,
        "POST /v1/projects/soul-kun/{call} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer console\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Whether the account is disabled, and the second before which sign-ins are not renewed.
fn account(simulation: &Simulation, user: &str) -> (bool, i64) {
    let found = ask(simulation, "accounts:lookup", &json!({"localId": [user]}));
    let found = &found["users"][0];
    let since = found["validSince"].as_str().expect("a time");
    (found["disabled"] == true, since.parse().expect("seconds"))
}

fn stop(simulation: &Simulation, user: &str) -> Ran {
    simulation.run(&["user", "stop", "-", user, "--json"])
}

fn show(simulation: &Simulation, user: &str) -> Value {
    let shown = simulation.run(&["user", "show", "-", user, "--json"]);
    assert_eq!(shown.code, 0, "{}{}", shown.out, shown.err);
    shown.json()
}

fn runs(simulation: &Simulation) -> usize {
    let runs = simulation.run(&["runs", "--json"]).json();
    runs["runs"].as_array().expect("runs").len()
}

#[test]
fn a_stop_ends_sessions_suspends_the_account_and_is_audited_and_a_restore_gives_it_back() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let (disabled, since) = account(&simulation, HANAKO);
    assert!(!disabled);
    assert_eq!(show(&simulation, HANAKO)["suspended"], false);

    let stopped = stop(&simulation, HANAKO);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let document = stopped.json();
    let name = document["procedure"].as_str().expect("a name").to_owned();
    let decided = name.strip_prefix("user:-/usr_hanako@").expect("user and time");
    let (disabled, ended) = account(&simulation, HANAKO);
    assert!(disabled);
    let decided: ops_core::model::Timestamp = decided.parse().expect("a time");
    assert!(
        ended > since && ended * 1_000_000 >= decided.as_unix_micros(),
        "{ended} {decided}"
    );
    let steps = document["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2, "{}", stopped.out);
    // Of the revocation that counts, not of the one of long ago.
    assert!(stopped.out.contains("may be accepted until"), "{}", stopped.out);
    assert!(!stopped.out.contains("2023-11-1"), "{}", stopped.out);
    assert!(
        steps
            .iter()
            .all(|step| step["verdict"] == "holds" && step["stage"] == 0)
    );
    assert_eq!(document["audited"], true);
    let audited = simulation.run(&["audit", "search", "--json"]).out;
    for resource in ["gcip/soul-kun/-/usr_hanako", name.as_str()] {
        assert!(audited.contains(resource), "{resource}: {audited}");
    }
    let shown = show(&simulation, HANAKO);
    assert_eq!(
        (&shown["suspended"], &shown["held_by"], &shown["target"]),
        (&true.into(), &document["run"], &ACCOUNT.into()),
    );
    assert!(shown["sessions"]["ended_before"].is_string() && shown["sessions"]["active"].is_null());
    // The same id in a tenant is another user.
    let other = simulation
        .run(&["user", "show", "org-customer", HANAKO, "--json"])
        .json();
    assert_eq!(other["suspended"], false);

    let planned = simulation.run(&["user", "restore", "-", HANAKO, "--dry-run", "--json"]);
    assert_eq!(planned.code, 0, "{}{}", planned.out, planned.err);
    assert!(account(&simulation, HANAKO).0, "a plan gives nothing back");
    let restored = simulation.run(&["user", "restore", "-", HANAKO, "--json"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    assert_eq!(restored.json()["restored_exactly"], true);
    assert_eq!(
        account(&simulation, HANAKO),
        (false, ended),
        "the sessions stay ended"
    );
    let again = simulation.run(&["user", "restore", "-", HANAKO, "--lang", "en"]);
    assert_eq!(again.code, 2, "{}{}", again.out, again.err);
    assert!(again.err.contains("no run of this journal"), "{}", again.err);
}

#[test]
fn a_user_of_a_tenant_is_stopped_and_the_one_of_that_id_in_none_is_not() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let stopped = simulation.run(&["user", "stop", "org-customer", HANAKO, "--json"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let there = ask(
        &simulation,
        "tenants/org-customer/accounts:lookup",
        &json!({"localId": [HANAKO]}),
    );
    assert_eq!(there["users"][0]["disabled"], true, "{there}");
    assert!(!account(&simulation, HANAKO).0);
}

/// The vendor is slow, so that the kill comes in the middle; and more time passes than a revocation is ahead of its decision.
#[test]
fn a_stop_that_was_killed_is_resumed_and_judged_by_the_time_of_its_decision() {
    for entries in [1, 4] {
        let simulation = Simulation::start(&["--world", "gcp", "--fault", "latency@identitytoolkit"]);
        let mut killed = simulation.spawn(&["user", "stop", "-", HANAKO]);
        for _ in 0..4_000 {
            if simulation.journal_entries(0) >= entries {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(simulation.journal_entries(0) >= entries, "{entries}");
        killed.kill().expect("SIGKILL");
        killed.wait().expect("it ends");
        let name = |document: &Value| document["runs"][0]["procedure"].as_str().map(str::to_owned);
        let began = name(&simulation.run(&["runs", "--json"]).json()).expect("a name");
        if entries > 1 {
            std::thread::sleep(Duration::from_secs(4));
        }

        let resumed = simulation.run(&["resume", "--json"]);
        assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
        let document = resumed.json();
        assert_eq!(document["procedure"], began.as_str());
        let steps = document["steps"].as_array().expect("steps");
        assert!(
            steps.iter().all(|step| step["verdict"] == "holds"),
            "{}",
            resumed.out
        );
        assert!(resumed.out.contains("may be accepted until"), "{}", resumed.out);
        assert!(account(&simulation, HANAKO).0);
        let run = document["run"].as_str().expect("a run");
        let restored = simulation.run(&["restore", run, "--json"]);
        assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
        assert!(!account(&simulation, HANAKO).0);
    }
}

#[test]
fn an_account_that_somebody_else_suspended_stays_so() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert!(account(&simulation, "usr_taro").0);
    let stopped = stop(&simulation, "usr_taro");
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let restored = simulation.run(&["user", "restore", "-", "usr_taro", "--json"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    let steps = restored.json()["steps"].clone();
    assert_eq!(
        steps.as_array().map(Vec::len),
        Some(1),
        "the sessions only: {steps}"
    );
    assert!(account(&simulation, "usr_taro").0);
    assert_eq!(show(&simulation, "usr_taro")["held_by"], Value::Null);
}

/// Another program must not take "not known" for "nobody holds it".
#[test]
fn a_journal_that_cannot_be_read_is_told_to_a_program_too() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(stop(&simulation, HANAKO).code, 0);
    let shown = show(&simulation, HANAKO);
    assert!(
        shown["held_by"].is_string() && shown["exit_code"] == 0,
        "{shown:#}"
    );
    assert_eq!(shown.get("held_error"), Some(&Value::Null), "{shown:#}");

    let foreign = simulation.path().join(".ops/journal/held/foreign.json");
    std::fs::write(foreign, "{}").expect("written");
    let shown = simulation.run(&["user", "show", "-", HANAKO, "--json"]);
    assert_eq!(shown.code, 4, "{}{}", shown.out, shown.err);
    let document = shown.json();
    assert_eq!(
        (
            &document["suspended"],
            &document["held_by"],
            &document["exit_code"]
        ),
        (&true.into(), &Value::Null, &4.into()),
        "{document:#}"
    );
    let why = document["held_error"].as_str().expect("why it is not known");
    assert!(why.contains("held/foreign.json"), "{why}");
    let told = simulation.run(&["user", "show", "-", HANAKO]);
    assert!(
        told.code == 4 && told.err.contains(why),
        "{}{}",
        told.out,
        told.err
    );
}

/// An address that answers every request with this status.
fn answers(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The whole request, or the answer may be lost.
            let mut request = Vec::new();
            let mut piece = [0; 1_024];
            while !request.ends_with(b"}") {
                match stream.read(&mut piece) {
                    Ok(1..) => request.extend(piece),
                    _ => break,
                }
                while request.last() == Some(&0) {
                    request.pop();
                }
            }
            let body = r#"{"error":{"code":400,"message":"INVALID_LOCAL_ID"}}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn a_request_that_the_vendor_calls_wrong_is_no_unknown_user_but_in_a_tenant() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let line = text
        .lines()
        .find(|line| line.starts_with("run_base_url"))
        .expect("an address");
    let wrong = format!("run_base_url = \"{}\"", answers("400 Bad Request"));
    std::fs::write(&file, text.replace(line, &wrong)).expect("writable");
    let show = |tenant: &str| simulation.run(&["user", "show", tenant, HANAKO, "--lang", "en"]);
    let refused = show("-");
    assert!(
        refused.err.contains("status: 400") && !refused.err.contains("there is no user"),
        "{}: {}{}",
        refused.code,
        refused.out,
        refused.err
    );
    // There the vendor says so of a tenant that it does not know.
    let refused = show("org-customer");
    assert!(
        refused.code == 2 && refused.err.contains("there is no user"),
        "{}: {}{}",
        refused.code,
        refused.out,
        refused.err
    );
}

#[test]
fn an_unknown_user_or_tenant_is_said_and_nothing_else_is_done() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    for (tenant, user) in [
        ("-", "usr_nobody"),
        ("org-nowhere", HANAKO),
        ("org-customer", "usr_taro"),
    ] {
        for verb in [&["user", "stop"][..], &["user", "show"]] {
            let refused = simulation.run(&[verb, &[tenant, user, "--lang", "en"]].concat());
            assert_eq!(
                refused.code, 2,
                "{verb:?} {tenant}/{user}: {}{}",
                refused.out, refused.err
            );
            let said = format!("there is no user {user} in gcip/soul-kun/{tenant}");
            assert!(refused.err.contains(&said), "{}", refused.err);
        }
    }
    let document = stop(&simulation, "usr_nobody");
    assert_eq!((document.code, &document.json()["exit_code"]), (2, &2.into()));
    assert_eq!(runs(&simulation), 0);
    assert!(!account(&simulation, HANAKO).0);
}

#[test]
fn what_is_no_id_is_refused_and_an_address_is_not_repeated() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let name = "user:-/hanako@example.com@2026-01-30T09:00:00Z";
    for verb in [
        &["user", "stop", "-", "hanako@example.com"][..],
        &["user", "show", "-", "hanako@example.com"],
        &["user", "restore", "-", "hanako@example.com"],
        &["stop", name],
        &["plan", name],
        &["user", "stop", "-", "花子"],
        &["user", "stop", "-", "a b"],
        &["user", "stop", "-", ""],
        &["user", "stop", "a/b", HANAKO],
        &["user", "stop", "-", &"x".repeat(129)],
        &["stop", "user:-/usr_hanako"],
        &["stop", "user:-/usr_hanako@2999-01-01T00:00:00Z"],
        &["plan", "user:-/usr_hanako@2999-01-01T00:00:00Z"],
        &["stop", "user:-/usr_hanako@2026-01-30T09:00:00Z"],
    ] {
        let refused = simulation.run(&[verb, &["--lang", "en"]].concat());
        assert_eq!(refused.code, 2, "{verb:?}: {}{}", refused.out, refused.err);
        assert!(refused.err.contains("  → "), "{}", refused.err);
        let said = refused.out + &refused.err;
        assert!(!said.contains("example.com") && !said.contains("花子"), "{said}");
    }
    assert_eq!(runs(&simulation), 0);
    // Another program reads it too.
    let refused = simulation.run(&["user", "stop", "-", "hanako@example.com", "--json"]);
    assert_eq!(refused.json()["error"]["kind"], "usage");
}

#[test]
fn a_change_that_the_vendor_refuses_fails_the_stop() {
    let simulation = Simulation::start(&["--world", "gcp", "--fault", "403@identitytoolkit"]);
    let stopped = stop(&simulation, HANAKO);
    assert_eq!(stopped.code, 1, "{}{}", stopped.out, stopped.err);
    assert_eq!(stopped.json()["status"], "failed");
    assert_eq!(runs(&simulation), 1);
    assert!(!account(&simulation, HANAKO).0);
    // Another decision ends what began since, too.
    let told = simulation.run(&["user", "stop", "-", HANAKO, "--lang", "en"]);
    let again = "try again: opsctl user stop - usr_hanako";
    assert!(told.out.contains(again), "{}{}", told.out, told.err);
    let run = stopped.json()["run"].as_str().expect("a run").to_owned();
    let resumed = simulation.run(&["resume", &run, "--lang", "en"]);
    assert!(
        resumed
            .out
            .contains("are not judged: opsctl user stop - usr_hanako"),
        "{}{}",
        resumed.out,
        resumed.err
    );
}

#[test]
fn a_stop_waits_for_nobody_and_a_restore_for_two() {
    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    assert_eq!(stop(&simulation, HANAKO).code, 0);
    let refused = simulation.run(&["user", "restore", "-", HANAKO, "--lang", "en"]);
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("opsctl approve"), "{}", refused.err);
    assert!(account(&simulation, HANAKO).0);
}

#[test]
fn where_a_stop_needs_approval_the_one_that_was_approved_is_carried_out_by_its_name() {
    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    let file = simulation.path().join("ops.toml");
    let key = ApprovalKey::from_hex(&"02".repeat(32).into()).expect("a key");
    let text = std::fs::read_to_string(&file)
        .expect("a configuration")
        .replace("stop = 0", "stop = 1")
        .replace(
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &key.public_hex(),
        );
    std::fs::write(&file, text).expect("writable");
    std::fs::write(simulation.path().join("bob.key"), key.to_hex().expose_secret()).expect("a key");
    let refused = simulation.run(&["user", "stop", "-", HANAKO, "--lang", "en"]);
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    assert!(!account(&simulation, HANAKO).0);
    let after = |what: &str| {
        let (_, rest) = refused
            .err
            .split_once(what)
            .unwrap_or_else(|| panic!("{what}: {}", refused.err));
        rest.split_whitespace().next().expect("a word").to_owned()
    };
    let approved = opsctl(simulation.path())
        .args(["approve", &after("opsctl approve "), "--key", "bob.key"])
        .output()
        .expect("runs");
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    let stopped = simulation.run(&["stop", &after("opsctl stop "), "--lang", "en"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    assert!(account(&simulation, HANAKO).0);
}

#[test]
fn users_that_are_not_configured_are_not_reached_and_the_doctor_tells_what_is_granted() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let found = simulation.run(&["doctor", "--json"]).json();
    let granted = |found: &Value| {
        let checks = found["checks"].as_array().expect("checks").clone();
        let of_users = checks
            .into_iter()
            .filter(|check| check.to_string().contains("firebaseauth.users"));
        of_users.map(|check| check["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(granted(&found), [json!("ready"), json!("ready")]);
    assert!(found.to_string().contains("user-lookup"), "{found}");
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("identity_project = \"soul-kun\"\n", "")).expect("writable");
    let refused = simulation.run(&["user", "stop", "-", HANAKO, "--lang", "en"]);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("identity_project"), "{}", refused.err);
    assert!(granted(&simulation.run(&["doctor", "--json"]).json()).is_empty());
}

#[test]
fn metrics_name_no_user() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(stop(&simulation, HANAKO).code, 0);
    let text = simulation.run(&["metrics"]).out;
    assert!(
        text.contains("ops_runs_started_total{procedure=\"user\",kind=\"stop\"} 1"),
        "{text}"
    );
    assert!(!text.contains(HANAKO), "{text}");
}

#[test]
fn a_second_stop_ends_what_began_since_and_the_first_run_gives_the_account_back() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let first = stop(&simulation, HANAKO).json();
    let (_, ended) = account(&simulation, HANAKO);
    // Longer than a revocation is ahead of its decision.
    std::thread::sleep(Duration::from_secs(4));
    let second = stop(&simulation, HANAKO);
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    assert!(account(&simulation, HANAKO).1 > ended, "{}", second.out);
    assert_eq!(show(&simulation, HANAKO)["held_by"], first["run"]);
    let restored = simulation.run(&["user", "restore", "-", HANAKO, "--json"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    assert!(!account(&simulation, HANAKO).0);
}

#[test]
fn a_permission_incident_names_the_verb_where_users_are_configured() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let verb = [
        "audit",
        "incident",
        "--kind",
        "leak",
        "--since",
        "2020-01-01T00:00:00Z",
        "--user",
        "alice",
        "--lang",
        "en",
    ];
    let told = simulation.run(&verb);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.out.contains("opsctl user stop TENANT USER"), "{}", told.out);
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("identity_project = \"soul-kun\"\n", "")).expect("writable");
    let told = simulation.run(&verb);
    assert!(
        told.out.contains("end sessions in the application"),
        "{}",
        told.out
    );
}
