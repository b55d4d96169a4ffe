//! `opsctl audit preserve --archive` and `audit archive` over processes, with a directory and with a simulated bucket.

mod support;

use std::fs;

use support::{Ran, Simulation};

const BUCKET: &str = "gs://soul-kun-evidence/trail";

/// A world in which something was stopped, and a key.
fn world(more: &[&str]) -> Simulation {
    let simulation = Simulation::start(&[&["--world", "gcp"], more].concat());
    assert_eq!(simulation.run(&["stop", "llm-brain-stop"]).code, 0);
    let key = ["audit", "keygen", "audit.example.com", "--out", "audit.key"];
    assert_eq!(simulation.run(&key).code, 0);
    simulation
}

fn preserve(simulation: &Simulation, more: &[&str]) -> Ran {
    let verb = [
        "audit",
        "preserve",
        "--incident",
        "INC-7",
        "--key",
        "audit.key",
        "--out",
        "INC-7",
    ];
    simulation.run(&[&verb[..], more].concat())
}

fn archive(simulation: &Simulation, to: &str, more: &[&str]) -> Ran {
    let verb = [
        "audit",
        "archive",
        "--evidence",
        "INC-7",
        "--key",
        "audit.key.pub",
        "--incident",
        "INC-7",
    ];
    simulation.run(&[&verb[..], &["--to", to], more].concat())
}

#[test]
fn evidence_goes_to_a_bucket_is_held_there_and_is_not_sent_twice() {
    let simulation = world(&[]);
    let made = preserve(
        &simulation,
        &[
            "--archive",
            BUCKET,
            "--retain-until",
            "2126-01-01T00:00:00Z",
            "--json",
        ],
    );
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    let archived = made.json()["archived"].clone();
    let archived = archived.as_array().expect("files");
    assert_eq!(archived.len(), 3, "{}", made.out);
    assert_eq!(archived[2]["name"], "trail/INC-7/manifest");
    for file in archived {
        assert_eq!(file["object"]["hold"]["held"], true, "{file}");
        assert_eq!(file["object"]["hold"]["retained_until"], "2126-01-01T00:00:00Z");
    }
    // Again, from the files alone.
    let again = archive(&simulation, BUCKET, &["--json"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_eq!(
        &again.json()["archived"],
        &made.json()["archived"],
        "it keeps what it has"
    );

    // Another content does not take its place.
    fs::rename(simulation.path().join("INC-7"), simulation.path().join("first")).expect("a folder");
    let other = preserve(&simulation, &["--archive", BUCKET, "--json"]);
    assert_eq!(other.code, 3, "{}{}", other.out, other.err);
    let document = other.json();
    assert!(
        document["not_archived"]
            .as_str()
            .is_some_and(|why| why.contains("another content")),
        "{}",
        other.out
    );
    assert_eq!(
        (&document["intact"], &document["exit_code"]),
        (&true.into(), &3.into())
    );
}

#[test]
fn a_checkpoint_is_kept_elsewhere_and_another_trail_is_refused_there() {
    let simulation = world(&[]);
    let sign = |out: &str, place: &str| {
        let verb = [
            "audit",
            "checkpoint",
            "--key",
            "audit.key",
            "--out",
            out,
            "--archive",
            place,
            "--json",
        ];
        simulation.run(&verb)
    };
    let signed = sign("seen", BUCKET);
    assert_eq!(signed.code, 0, "{}{}", signed.out, signed.err);
    let there = signed.json()["archived"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        there.starts_with("trail/checkpoints/audit.example.com/") && there.ends_with("002"),
        "{there}"
    );
    assert_eq!(sign("seen", BUCKET).code, 0, "the same again");
    assert_eq!(sign("seen", "vault").code, 0, "and a directory");

    // A trail of the same length, signed with the same key: here that of another machine.
    let other = world(&[]);
    for key in ["audit.key", "audit.key.pub"] {
        fs::copy(simulation.path().join(key), other.path().join(key)).expect("a key");
    }
    let vault = simulation.path().join("vault").display().to_string();
    let verb = [
        "audit",
        "checkpoint",
        "--key",
        "audit.key",
        "--out",
        "seen",
        "--archive",
        &vault,
        "--json",
    ];
    let forked = other.run(&verb);
    assert_eq!(forked.code, 1, "{}{}", forked.out, forked.err);
    assert!(
        forked.json()["error"]["message"]
            .as_str()
            .is_some_and(|why| why.contains("another one of this length")),
        "{}",
        forked.out
    );
    assert!(
        !other.path().join("seen").exists(),
        "a trail that may not be the right one is signed by nobody"
    );
}

#[test]
fn what_does_not_arrive_is_said_with_the_command_that_brings_it() {
    let simulation = world(&["--fault", "403@/upload/storage"]);
    let until = ["--retain-until", "2126-01-01T00:00:00Z"];
    let made = preserve(
        &simulation,
        &[&["--archive", BUCKET, "--lang", "en"], &until[..]].concat(),
    );
    assert_eq!(made.code, 3, "{}{}", made.out, made.err);
    let again = "opsctl audit archive --evidence INC-7 --key audit.key.pub --incident INC-7 --to gs://soul-kun-evidence/trail --retain-until 2126-01-01T00:00:00Z";
    assert!(
        made.out.contains(again) && made.out.contains("permission denied"),
        "{}",
        made.out
    );
    assert!(!made.out.contains("read back"), "{}", made.out);
    // The export is whole, and another place takes it.
    let elsewhere = archive(&simulation, "vault", &[]);
    assert_eq!(elsewhere.code, 0, "{}{}", elsewhere.out, elsewhere.err);
    assert!(simulation.path().join("vault/objects/INC-7/manifest").exists());
    let bucket = archive(&simulation, BUCKET, &[]);
    assert_eq!(bucket.code, 1, "{}", bucket.out);

    // With JSON too, and as a shell takes it.
    let verb = [
        "audit",
        "preserve",
        "--incident",
        "INC-7",
        "--key",
        "audit.key",
        "--out",
        "my files",
    ];
    let made = simulation.run(&[&verb[..], &["--archive", BUCKET, "--json"]].concat());
    assert_eq!(made.code, 3, "{}{}", made.out, made.err);
    let again = made.json()["again"].as_str().unwrap_or_default().to_owned();
    assert!(
        again.contains("--evidence 'my files' --key audit.key.pub"),
        "{again}"
    );
}

/// What was seen is shown, whatever the archive does.
#[test]
fn an_incident_shows_what_was_seen_before_the_archive_is_asked() {
    let simulation = world(&["--fault", "403@/upload/storage"]);
    let verb = [
        "audit",
        "incident",
        "--kind",
        "leak",
        "--since",
        "2020-01-01T00:00:00Z",
        "--user",
        "alice",
        "--act",
        "--incident",
        "INC-7",
        "--key",
        "audit.key",
        "--out",
        "INC-7",
        "--archive",
        BUCKET,
        "--lang",
        "en",
    ];
    let told = simulation.run(&verb);
    assert_eq!(told.code, 3, "{}{}", told.out, told.err);
    let place = |text: &str| {
        told.out
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", told.out))
    };
    assert!(place("preserved") < place("alice"), "{}", told.out);
    assert!(place("alice") < place("not in the archive"), "{}", told.out);
    assert!(told.out.contains("opsctl audit archive"), "{}", told.out);
}

#[test]
fn evidence_is_not_filed_under_another_incident() {
    let simulation = world(&[]);
    assert_eq!(preserve(&simulation, &[]).code, 0);
    let verb = [
        "audit",
        "archive",
        "--evidence",
        "INC-7",
        "--key",
        "audit.key.pub",
        "--incident",
        "INC-8",
    ];
    let refused = simulation.run(&[&verb[..], &["--to", "vault", "--lang", "en"]].concat());
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("INC-7"), "{}", refused.err);
    assert!(!simulation.path().join("vault/objects/INC-8").exists());
}

#[test]
fn an_archive_that_fails_now_and_then_is_tried_again() {
    let simulation = world(&["--fault", "lost-answer@/upload/storage"]);
    let made = preserve(&simulation, &["--archive", BUCKET]);
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
}

#[test]
fn a_place_that_cannot_be_is_said_before_anything_is_exported() {
    let simulation = world(&[]);
    for place in [
        "s3://bucket",
        "gs://",
        "gs://UPPER",
        "gs://soul-kun-evidence/../b",
        "gs://soul-kun-evidence/a b",
        "",
    ] {
        let refused = preserve(&simulation, &["--archive", place]);
        assert_eq!(refused.code, 2, "{place}: {}{}", refused.out, refused.err);
        assert!(!simulation.path().join("INC-7").exists(), "{place}");
    }
    let no_gcp = simulation.path().join("ops.toml");
    let text = fs::read_to_string(&no_gcp).expect("a configuration");
    let begins = text.find("[gcp]").expect("a table");
    fs::write(&no_gcp, &text[..begins]).expect("writable");
    let refused = preserve(&simulation, &["--archive", BUCKET, "--lang", "en"]);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("[gcp]"), "{}", refused.err);
}

#[test]
fn the_doctor_tells_whether_evidence_can_be_kept() {
    let simulation = world(&[]);
    let checks = |ran: &Ran| -> Vec<(String, String)> {
        let document = ran.json();
        let all = document["checks"].as_array().expect("checks").clone();
        let about = all
            .into_iter()
            .filter(|check| check["subject"] == "soul-kun-evidence");
        about
            .map(|check| (check["name"].to_string(), check["state"].to_string()))
            .collect()
    };
    let ready = checks(&simulation.run(&["doctor", "--json"]));
    assert_eq!(ready.len(), 5, "{ready:?}");
    assert!(ready.iter().all(|(_, state)| state == "\"ready\""), "{ready:?}");
}
