//! `opsctl doctor` over processes: green in a world that is in order, red with the reason in one that is not, and nothing is written.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use support::{Ran, Simulation, opsctl};

fn with_config(simulation: &Simulation, change: impl FnOnce(String) -> String) {
    let file = simulation.path().join("ops.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, change(text)).expect("writable");
}

/// Name and subject of what is not ready.
fn not_ready(ran: &Ran) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let document = ran.json();
    document["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["state"] != "ready")
        .map(|check| {
            assert!(!text(&check["remedy"]).is_empty(), "{check}");
            (
                text(&check["name"]),
                text(&check["subject"]),
                text(&check["state"]),
            )
        })
        .collect()
}

fn missing(name: &str, subject: &str) -> (String, String, String) {
    (name.to_owned(), subject.to_owned(), "missing".to_owned())
}

/// Every file below a folder.
fn picture(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        match path.is_dir() {
            true => {
                found.insert(format!("{name}/"), Vec::new());
                found.extend(picture(&path));
            }
            false => {
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

#[test]
fn a_simulated_world_is_in_order_but_for_what_two_vendors_do_not_tell_and_the_doctor_writes_nothing() {
    let simulation = Simulation::start(&[]).with_two_approvers();
    let before = picture(simulation.path());
    let ran = simulation.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 4, "{:#?}\n{}", not_ready(&ran), ran.err);
    let unknown = |subject: &str| {
        let words = ["permission:write", subject, "unknown"];
        words.map(str::to_owned).into()
    };
    assert_eq!(not_ready(&ran), [unknown("railway"), unknown("vercel")]);
    let document = ran.json();
    assert_eq!(document["state"], "unknown");
    assert!(
        document["counts"]["ready"]
            .as_u64()
            .is_some_and(|ready| ready > 80),
        "{document}"
    );
    assert!(!document["limitations"].as_array().expect("a list").is_empty());
    // Not even the state directory is made.
    assert_eq!(picture(simulation.path()), before);

    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    simulation.run(&["stop", "api-stop"]);
    let before = picture(simulation.path());
    let ran = simulation.run(&["doctor", "--lang", "en"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("everything that the button needs is there"),
        "{}",
        ran.out
    );
    assert_eq!(picture(simulation.path()), before);
}

#[test]
fn restores_that_need_nobody_are_named() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let ran = simulation.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(not_ready(&ran), [missing("approvals:restore", "approvals")]);
}

#[test]
fn a_service_that_no_procedure_covers_and_one_that_is_gone_are_named() {
    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    with_config(&simulation, |text| {
        text.replace("\"proactive-monitor\", ", "")
            + "\n[[service]]\nname = \"old-api\"\nplatform = \"cloud-run\"\n"
    });
    let ran = simulation.run(&["doctor", "--json", "--metrics", "doctor.prom"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let uncovered = "cloud-run:soul-kun/asia-northeast1/proactive-monitor";
    let gone = "cloud-run:soul-kun/asia-northeast1/old-api";
    let found = not_ready(&ran);
    assert!(found.contains(&missing("covered", uncovered)), "{found:#?}");
    assert!(found.contains(&missing("deployed", gone)), "{found:#?}");
    assert!(found.contains(&missing("service-readable", gone)), "{found:#?}");
    assert_eq!(found.len(), 3, "{found:#?}");
    let document = ran.json();
    assert_eq!(document["uncovered"], serde_json::json!([uncovered]));
    assert_eq!(document["gone"], serde_json::json!([gone]));
    let metrics = std::fs::read_to_string(simulation.path().join("doctor.prom")).expect("metrics");
    for line in [
        "ops_doctor_ok 0",
        "ops_doctor_uncovered_services 1",
        "ops_doctor_gone_services 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }

    // In Japanese, with what to do.
    let people = simulation.run(&["doctor"]);
    assert!(
        people.out.contains("[[uncovered]]") && people.out.contains("不足"),
        "{}",
        people.out
    );

    let ignore = |until: &str| {
        with_config(&simulation, |text| {
            let text = text
                .split("\n[[uncovered]]")
                .next()
                .unwrap_or_default()
                .to_owned();
            text + &format!(
                "\n[[uncovered]]\ntarget = \"{uncovered}\"\nreason = \"sends no mail\"\nuntil = \"{until}\"\n"
            )
        });
        not_ready(&simulation.run(&["doctor", "--json"]))
    };
    assert_eq!(ignore("2999-12-31").len(), 2);
    assert_eq!(ignore("2020-01-01").len(), 3);
}

#[test]
fn a_missing_emergency_credential_is_named_and_the_stop_goes_on_with_the_everyday_one() {
    let simulation = Simulation::start(&["--world", "gcp"]).with_two_approvers();
    let doctor = |token: &str| {
        Ran::of(
            opsctl(simulation.path())
                .args(["doctor", "--json"])
                .env("GOOGLE_OAUTH_ACCESS_TOKEN", "everyday")
                .env("OPS_EMERGENCY_GCP_TOKEN", token)
                .output()
                .expect("opsctl runs"),
        )
    };
    assert_eq!(doctor("another").code, 0);
    let same = doctor("everyday");
    assert_eq!(
        not_ready(&same),
        [missing("emergency-credential-differs", "OPS_EMERGENCY_GCP_TOKEN")]
    );
    with_config(&simulation, |text| {
        text.replace("emergency_token_env = \"OPS_EMERGENCY_GCP_TOKEN\"\n", "")
    });
    let none = simulation.run(&["doctor", "--json"]);
    assert_eq!(
        not_ready(&none),
        [missing("emergency-credential", "GOOGLE_OAUTH_ACCESS_TOKEN")]
    );
    assert_eq!(simulation.run(&["stop", "api-stop"]).code, 0);
}

#[test]
fn a_vendor_that_does_not_answer_is_unknown_and_ends_with_4() {
    let simulation = Simulation::start(&["--world", "gcp", "--fault", "refused"]).with_two_approvers();
    let ran = simulation.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["state"], "unknown");
}

#[test]
fn the_presets_as_they_are_lack_credentials_and_approvers() {
    for name in ["soul-kun", "hrx-ai"] {
        let dir = tempfile::tempdir().expect("a folder");
        let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{name}.toml"));
        std::fs::copy(preset, dir.path().join("ops.toml")).expect("a preset");
        let ran = Ran::of(
            opsctl(dir.path())
                .args(["doctor", "--json"])
                .env_remove("GOOGLE_OAUTH_ACCESS_TOKEN")
                .env_remove("RAILWAY_TOKEN")
                .env_remove("VERCEL_TOKEN")
                .output()
                .expect("opsctl runs"),
        );
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let found = not_ready(&ran);
        for wanted in [
            missing("approver-key", "approver-1"),
            missing("approvers:restore", "approvers"),
            missing("credential-set", "DATABASE_URL"),
        ] {
            assert!(found.contains(&wanted), "{wanted:?}\n{found:#?}");
        }
        assert!(!dir.path().join(".ops").exists());
    }
}
