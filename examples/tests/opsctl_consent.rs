//! Approvals over processes and machines, broken glass and its review, safety rules of `ops.toml`.

mod support;

use std::path::Path;

use ops_core::emergency::ApprovalKey;
use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use support::{Ran, Simulation, opsctl};

fn key(seed: u8) -> ApprovalKey {
    ApprovalKey::from_hex(&format!("{seed:02x}").repeat(32).into()).expect("a key")
}

fn write_key(dir: &Path, name: &str, seed: u8) {
    std::fs::write(
        dir.join(format!("{name}.key")),
        key(seed).to_hex().expose_secret(),
    )
    .expect("a key file");
}

/// Changes `ops.toml`: approvals, the approvers Bob and Carol, and what else is given.
fn configure(simulation: &Simulation, stop: u8, restore: u8, more: &str) {
    let file = simulation.path().join("ops.toml");
    let approver = |name: &str, seed| {
        format!(
            "\n[[approver]]\nname = \"{name}\"\npublic_key = \"{}\"\n",
            key(seed).public_hex()
        )
    };
    let config = std::fs::read_to_string(&file)
        .expect("a configuration")
        .replace("restore = 0", &format!("restore = {restore}"))
        .replace("stop = 0", &format!("stop = {stop}"));
    assert!(config.contains(&format!("stop = {stop}")), "{config}");
    std::fs::write(&file, config + &approver("bob", 2) + &approver("carol", 3) + more)
        .expect("a configuration");
}

fn digest_of(ran: &Ran) -> String {
    ran.json()["plan_digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn an_approver_sees_the_plan_and_a_digest_that_nobody_asked_for_is_refused() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    configure(&simulation, 1, 2, "");
    write_key(simulation.path(), "bob", 2);
    let unknown = "0".repeat(64);
    let refused = simulation.run(&["approve", &unknown, "--key", "bob.key"]);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert_eq!(
        simulation
            .run(&["approve", &unknown, "--key", "bob.key", "--blind"])
            .code,
        0
    );

    let digest = digest_of(&simulation.run(&["stop", "api-stop", "--dry-run", "--json"]));
    // A program is shown what it would sign, and signs by a second call.
    let shown = simulation.run(&["approve", &digest, "--key", "bob.key", "--json"]);
    assert_eq!(shown.code, 2, "{}{}", shown.out, shown.err);
    let shown = shown.json();
    assert_eq!(
        (&shown["signed"], &shown["plan_digest"]),
        (&false.into(), &digest.as_str().into())
    );
    let steps = shown["request"]["steps"].as_array().expect("the steps");
    assert!(
        steps
            .iter()
            .any(|step| step["target"].to_string().contains("soulkun-mcp-server"))
    );
    assert_eq!(
        simulation.run(&["stop", "api-stop"]).code,
        5,
        "nothing was signed"
    );

    let file = simulation.path().join(format!(".ops/approvals/{digest}.request"));
    let request = std::fs::read_to_string(&file).expect("a request");
    // It shows less than it signs.
    std::fs::write(&file, request.replace("soulkun-mcp-server", "something-harmless")).expect("written");
    assert_eq!(simulation.run(&["approve", &digest, "--key", "bob.key"]).code, 2);
    write_key(simulation.path(), "carol", 3);
    let blind = simulation.run(&["approve", &digest, "--key", "carol.key", "--blind", "--json"]);
    assert_eq!(
        (blind.code, &blind.json()["request"]),
        (2, &serde_json::Value::Null)
    );
    assert!(!blind.out.contains("something-harmless"), "{}", blind.out);
    std::fs::write(&file, request).expect("written");

    let forged = simulation
        .path()
        .join(format!(".ops/approvals/{digest}.forged.json"));
    std::fs::write(forged, "{\"person\": \"bob\"}").expect("written");
    let refused = simulation.run(&["stop", "api-stop"]);
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    let approved = simulation.run(&["approve", &digest, "--key", "bob.key"]);
    assert_eq!(approved.code, 0, "{}{}", approved.out, approved.err);
    for shown in ["soulkun-mcp-server", "alice", "停止計画"] {
        assert!(approved.out.contains(shown), "{shown}: {}", approved.out);
    }
    let stopped = simulation.run(&["stop", "api-stop", "--json"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    assert!(stopped.err.contains("forged.json"), "{}", stopped.err);
    assert_eq!(stopped.json()["approval"], "approved by bob");
}

#[tokio::test]
async fn approvals_given_on_another_machine_arrive_through_postgresql() {
    let Some(admin) = postgres_url().await else { return };
    let database = ScratchDatabase::create(
        &SecretString::from(admin),
        &format!("ops_cli_consent_{}", std::process::id()),
    )
    .await
    .expect("a database");
    let simulation = Simulation::start(&["--world", "gcp", "--database"]);
    configure(&simulation, 0, 2, "");
    // Another machine: the same configuration and database, and nothing else in common.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(
        simulation.path().join("ops.toml"),
        elsewhere.path().join("ops.toml"),
    )
    .expect("copied");
    write_key(elsewhere.path(), "bob", 2);
    write_key(elsewhere.path(), "carol", 3);
    let run = |dir: &Path, arguments: &[&str]| {
        let mut command = opsctl(dir);
        command
            .env("DATABASE_URL", database.owner_url().expose_secret())
            .env("OPS_AUDIT_DATABASE_URL", database.audit_url().expose_secret());
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    };
    let here = simulation.path();
    let stopped = run(here, &["stop", "api-stop", "--json"]);
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let id = stopped.json()["run"].as_str().expect("a run").to_owned();
    let digest = digest_of(&run(here, &["restore", &id, "--dry-run", "--json"]));
    assert_eq!(run(here, &["restore", &id]).code, 5);
    for name in ["bob", "carol"] {
        let approved = run(
            elsewhere.path(),
            &[
                "approve",
                &digest,
                "--key",
                &format!("{name}.key"),
                "--json",
                "--yes",
            ],
        );
        assert_eq!(approved.code, 0, "{}{}", approved.out, approved.err);
        assert_eq!(approved.json()["request"]["asked_by"]["id"], "alice");
    }
    let restored = run(here, &["restore", &id, "--json"]);
    assert_eq!(restored.code, 0, "{}{}", restored.out, restored.err);
    assert_eq!(restored.json()["restored_exactly"], true);
    drop(simulation);
    database.drop_all().await.expect("dropped");
}

#[test]
fn a_rule_of_the_file_refuses_a_stop_until_a_broken_glass_names_it_and_another_person_reviews_it() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    let file = simulation.path().join("ops.toml");
    let config = std::fs::read_to_string(&file).expect("a configuration");
    let ruled = config.replace("name = \"api-stop\"\n", "name = \"api-stop\"\nat_most = 2\n");
    assert_ne!(ruled, config);
    std::fs::write(&file, ruled).expect("a configuration");
    let glass = [
        "stop",
        "api-stop",
        "--json",
        "--break-glass",
        "data is leaking now",
    ];

    let refused = simulation.run(&["stop", "api-stop", "--json"]);
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    assert_eq!(refused.json()["error"]["rules"][0]["rule"], "at-most");
    assert_eq!(simulation.run(&glass).code, 5, "it must be named");
    assert_eq!(
        simulation
            .run(&[&glass[..], &["--override", "at-mots"]].concat())
            .code,
        2
    );
    let stopped = simulation.run(&[&glass[..], &["--override", "at-most"]].concat());
    assert_eq!(stopped.code, 0, "{}{}", stopped.out, stopped.err);
    let run = stopped.json()["run"].as_str().expect("a run").to_owned();

    let reviews = simulation.run(&["reviews", "--json"]).json();
    assert_eq!(reviews["reviews"][0]["run"], run.as_str());
    assert_eq!(reviews["reviews"][0]["overdue"], false);
    let review = ["review", &run, "--note", "it was right"];
    assert_eq!(simulation.run(&review).code, 5, "not by the one who did it");
    let reviewed = simulation.run(&[&review[..], &["--actor", "bob"]].concat());
    assert_eq!(reviewed.code, 0, "{}{}", reviewed.out, reviewed.err);
    assert_eq!(
        simulation.run(&["reviews", "--json"]).json()["reviews"][0]["reviewed"][0]["id"],
        "bob"
    );
    let found = simulation.run(&[
        "audit",
        "search",
        "--action",
        "emergency.break_glass",
        "--action",
        "emergency.review",
        "--json",
    ]);
    assert_eq!(
        found.json()["records"].as_array().map(Vec::len),
        Some(2),
        "{}",
        found.out
    );
}

#[test]
fn what_nobody_will_put_back_is_given_up_by_two_others_and_said_everywhere() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    configure(&simulation, 0, 2, "");
    write_key(simulation.path(), "bob", 2);
    write_key(simulation.path(), "carol", 3);
    let stopped = simulation.run(&["stop", "api-stop", "--json"]);
    let run = stopped.json()["run"].as_str().expect("a run").to_owned();
    let target = stopped.json()["steps"][0]["target"]
        .as_str()
        .expect("a target")
        .to_owned();
    let forget = [
        "forget",
        &run,
        "--target",
        &target,
        "--reason",
        "削除済みのサービス",
    ];
    let json = |more: &str| simulation.run(&[&forget[..], &[more, "--json"]].concat());

    let asked = json("--dry-run");
    assert_eq!(asked.code, 0, "{}{}", asked.out, asked.err);
    assert_eq!(asked.json()["approvals_needed"], 2);
    let digest = digest_of(&asked);
    let refused = simulation.run(&forget);
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains(&format!("opsctl approve {digest}")),
        "{}",
        refused.err
    );
    let shown = simulation.run(&["approve", &digest, "--key", "bob.key"]);
    for part in ["停止前の状態の破棄", "削除済みのサービス", &run] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert_eq!(
        simulation.run(&["approve", &digest, "--key", "carol.key"]).code,
        0
    );
    let done = simulation.run(&[&forget[..], &["--json"]].concat());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let done = done.json();
    assert_eq!(
        (&done["forgotten"]["targets"][0], &done["audited"]),
        (&target.as_str().into(), &true.into())
    );
    let again = simulation.run(&forget);
    assert_eq!(again.code, 5, "{}{}", again.out, again.err);
    let timeline = simulation.run(&["runs", &run]);
    assert!(timeline.out.contains("bob, carol"), "{}", timeline.out);
    let found = simulation.run(&["audit", "search", "--json"]);
    assert!(found.out.contains("emergency.forget"), "{}", found.out);
    // What is left is put back; of the other nobody speaks any more.
    let plan = simulation.run(&["restore", &run, "--dry-run", "--json"]);
    let steps = plan.json()["steps"].as_array().expect("steps").clone();
    assert!(
        !steps.is_empty() && steps.iter().all(|step| step["target"] != target.as_str()),
        "{}",
        plan.out
    );
}
