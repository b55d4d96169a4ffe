//! Checkpoints and proofs by the tool: what a copy kept elsewhere shows, and what is checked with files alone.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Ran, Simulation, opsctl};

fn audit_file(simulation: &Simulation) -> PathBuf {
    let files = fs::read_dir(simulation.path().join(".ops/audit")).expect("an audit folder");
    files
        .flatten()
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .expect("an audit file")
}

/// The trail with another actor in each record, and checksums of lines that fit.
fn forged(trail: &str) -> String {
    let bit = |sum: u32, _| (sum >> 1) ^ (0x82f6_3b78 * (sum & 1));
    let line = |line: &str| {
        let (_, json) = line.split_once(' ').expect("a checksum and a text");
        let json = json.replace("\"alice\"", "\"mallory\"");
        let sum = json
            .bytes()
            .fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(byte), bit));
        format!("{:08x} {json}\n", !sum)
    };
    trail.lines().map(line).collect()
}

fn elsewhere(dir: &Path, arguments: &[&str]) -> Ran {
    Ran::of(opsctl(dir).args(arguments).output().expect("opsctl runs"))
}

#[test]
fn a_trail_that_was_put_back_is_found_by_the_checkpoint_and_never_signed_over() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["stop", "llm-brain-stop"]).code, 0);
    let older = fs::read(audit_file(&simulation)).expect("the trail");
    assert_eq!(simulation.run(&["stop", "api-stop"]).code, 0);

    let made = simulation.run(&["audit", "keygen", "audit.example.com", "--out", "audit.key"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(!made.out.contains("PRIVATE"), "{}", made.out);
    let again = simulation.run(&["audit", "keygen", "audit.example.com", "--out", "audit.key"]);
    assert_eq!(again.code, 2, "a key is never overwritten");

    let sign = [
        "audit",
        "checkpoint",
        "--key",
        "audit.key",
        "--out",
        "checkpoint",
        "--json",
    ];
    let signed = simulation.run(&sign);
    assert_eq!(signed.code, 0, "{}", signed.err);
    let size = signed.json()["checkpoint"]["size"].as_u64().expect("a size");
    assert!(size > 0);
    let kept = fs::read_to_string(simulation.path().join("checkpoint")).expect("a checkpoint");
    assert!(
        kept.starts_with("audit.example.com/") && kept.contains("\n\n— audit.example.com "),
        "{kept}"
    );

    let trail = fs::read_to_string(audit_file(&simulation)).expect("the trail");
    fs::write(audit_file(&simulation), forged(&trail)).expect("a changed trail");
    let fresh = ["audit", "checkpoint", "--key", "audit.key", "--out", "fresh"];
    let refused = simulation.run(&fresh);
    assert_eq!(
        refused.code, 1,
        "what does not fit its chain is not signed: {}",
        refused.out
    );
    assert!(!simulation.path().join("fresh").exists());
    fs::write(audit_file(&simulation), trail).expect("the trail");

    let verify = [
        "audit",
        "verify",
        "--checkpoint",
        "checkpoint",
        "--public-key",
        "audit.key.pub",
        "--json",
    ];
    let sound = simulation.run(&verify);
    assert_eq!(sound.code, 0, "{}{}", sound.out, sound.err);
    assert_eq!(sound.json()["checkpoint"]["size"], size);

    fs::write(audit_file(&simulation), older).expect("the older trail");
    assert_eq!(
        simulation.run(&["audit", "verify"]).code,
        0,
        "the chain alone shows nothing"
    );
    let found = simulation.run(&verify);
    assert_eq!(found.code, 1, "{}", found.out);
    assert!(
        found.out.contains("fewer records than were signed"),
        "{}",
        found.out
    );
    let refused = simulation.run(&sign);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    let after = fs::read_to_string(simulation.path().join("checkpoint")).expect("a checkpoint");
    assert_eq!(after, kept, "the largest one that was signed stays");
}

#[test]
fn a_record_is_proven_where_there_is_nothing_but_two_files() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["stop", "llm-brain-stop"]).code, 0);
    let key = ["audit", "keygen", "audit.example.com", "--out", "audit.key"];
    assert_eq!(simulation.run(&key).code, 0);
    let sign = ["audit", "checkpoint", "--key", "audit.key", "--out", "checkpoint"];
    assert_eq!(simulation.run(&sign).code, 0);
    let records = simulation.run(&["audit", "search", "--json"]).json();
    let id = records["records"][0]["id"].as_str().expect("an id").to_owned();
    let proof = simulation.run(&["audit", "prove", &id, "--checkpoint", "checkpoint"]);
    assert_eq!(proof.code, 0, "{}", proof.err);

    let other = tempfile::tempdir().expect("a temporary folder");
    let (file, public) = (other.path().join("proof.json"), other.path().join("key.pub"));
    fs::write(&file, &proof.out).expect("the proof");
    fs::copy(simulation.path().join("audit.key.pub"), public).expect("the public key");
    drop(simulation);
    let verify = [
        "audit",
        "verify",
        "--proof",
        "proof.json",
        "--public-key",
        "key.pub",
        "--json",
    ];
    let holds = elsewhere(other.path(), &verify);
    assert_eq!(holds.code, 0, "{}{}", holds.out, holds.err);
    assert_eq!(holds.json()["record"]["id"], id);

    let mut forged: Value = serde_json::from_str(&proof.out).expect("a proof");
    forged["record"]["actor"] = serde_json::json!({"kind": "person", "id": "somebody-else"});
    fs::write(&file, forged.to_string()).expect("the proof");
    let refused = elsewhere(other.path(), &verify);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);

    fs::write(&file, "rubbish").expect("a file");
    assert_eq!(elsewhere(other.path(), &verify).code, 2);
    let unknown = elsewhere(
        other.path(),
        &["audit", "verify", "--proof", "nothing", "--public-key", "key.pub"],
    );
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("nothing"), "{}", unknown.err);
}

#[test]
fn evidence_is_preserved_archived_and_checked_where_there_is_nothing_but_its_files() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["stop", "llm-brain-stop"]).code, 0);
    let key = ["audit", "keygen", "audit.example.com", "--out", "audit.key"];
    assert_eq!(simulation.run(&key).code, 0);
    let preserve = |filter: &[&str], out: &str| {
        let verb = [
            "audit",
            "preserve",
            "--incident",
            "INC-7",
            "--key",
            "audit.key",
            "--out",
            out,
            "--json",
        ];
        simulation.run(&[&verb[..], filter].concat())
    };
    let empty = preserve(&["--user", "nobody"], "empty");
    assert_eq!(empty.code, 1, "an empty export is no success: {}", empty.out);

    let made = preserve(&["--archive", "vault"], "INC-7");
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    let records = made.json()["manifest"]["records"].as_u64().expect("a number");
    assert!(records > 1, "{}", made.out);
    assert!(simulation.path().join("vault/objects/INC-7/manifest").exists());

    let there = tempfile::tempdir().expect("a folder");
    let copy = |from: &str, to: &str| {
        fs::copy(simulation.path().join(from), there.path().join(to)).expect("a copy");
    };
    fs::create_dir(there.path().join("evidence")).expect("a folder");
    for file in ["manifest", "checkpoint", "part-00001.zst"] {
        copy(
            &format!("vault/objects/INC-7/{file}"),
            &format!("evidence/{file}"),
        );
    }
    copy("audit.key.pub", "audit.pub");
    let verify = |dir: &Path, more: &[&str]| {
        elsewhere(
            dir,
            &[
                &["audit", "verify", "--evidence", "evidence", "--key", "audit.pub"][..],
                more,
            ]
            .concat(),
        )
    };
    let sound = verify(there.path(), &["--json"]);
    assert_eq!(sound.code, 0, "{}{}", sound.out, sound.err);
    assert_eq!(sound.json()["records"], records);
    let printed = verify(there.path(), &["--print"]);
    assert_eq!(printed.out.lines().count() as u64, records, "{}", printed.out);

    let part = there.path().join("evidence/part-00001.zst");
    let mut bytes = fs::read(&part).expect("a part");
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::remove_file(&part).expect("a part");
    fs::write(&part, bytes).expect("a changed part");
    let changed = verify(there.path(), &["--json"]);
    assert_eq!(changed.code, 1, "{}", changed.out);
    assert!(changed.out.contains("part_edited"), "{}", changed.out);

    // Who preserved and who searched is in the trail.
    assert_eq!(simulation.run(&["audit", "search", "--user", "alice"]).code, 0);
    let found = simulation
        .run(&["audit", "search", "--resource", "audit_log", "--json"])
        .json();
    let actions: Vec<_> = found["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["action"].clone())
        .collect();
    for action in ["audit.export", "audit.search"] {
        assert!(
            actions.iter().any(|found| found == action),
            "{action} in {actions:?}"
        );
    }
}

#[test]
fn a_permission_incident_is_shown_and_preserved_only_when_told_to() {
    let simulation = Simulation::start(&["--world", "gcp"]);
    assert_eq!(simulation.run(&["stop", "llm-brain-stop"]).code, 0);
    let key = ["audit", "keygen", "audit.example.com", "--out", "audit.key"];
    assert_eq!(simulation.run(&key).code, 0);
    let found = simulation.run(&["audit", "search", "--json"]).json();
    let stopped = found["records"]
        .as_array()
        .expect("records")
        .iter()
        .find(|record| record["action"] == "emergency.stop")
        .expect("a stop");
    let text = |field: &str| stopped[field].as_str().expect("a text").to_owned();
    let resource = format!("{}:{}", text("resource_type"), text("resource_id"));
    let incident = |more: &[&str]| {
        let verb = [
            "audit",
            "incident",
            "--kind",
            "leak",
            "--since",
            "2020-01-01T00:00:00Z",
            "--user",
            "alice",
            "--resource",
            &resource,
            "--known-at",
            "2026-01-30T00:00:00Z",
        ];
        simulation.run(&[&verb[..], more].concat())
    };
    let shown = incident(&["--json"]);
    assert_eq!(shown.code, 0, "{}{}", shown.out, shown.err);
    let shown = shown.json();
    assert!(shown["evidence"].is_null(), "{shown}");
    assert_eq!(
        shown["reports_due"],
        serde_json::json!({"first": "2026-02-02T00:00:00Z", "whole": "2026-03-01T00:00:00Z"})
    );
    assert!(shown["tenant"].is_string() && shown["error"].is_null(), "{shown}");
    let touched = |list: &str| shown["exposure"][list].as_array().expect("a list").clone();
    assert!(touched("by_user").len() > 1, "{shown}");
    let who = touched("to_resource");
    assert!(who.len() == 1 && who[0]["actor"]["id"] == "alice", "{shown}");
    assert_eq!(who[0]["actions"]["emergency.stop"], 1, "{shown}");
    let read = incident(&[]);
    assert!(
        read.out.contains("emergency.stop ×1")
            && read.out.contains("--act")
            && read.out.contains(shown["tenant"].as_str().expect("a tenant"))
            && read.out.contains("2026-02-02 09:00:00 JST"),
        "{}",
        read.out
    );

    // Nothing is preserved by half a command.
    assert_eq!(incident(&["--act", "--incident", "INC-8"]).code, 2);
    let act = [
        "--act",
        "--incident",
        "INC-8",
        "--key",
        "audit.key",
        "--out",
        "INC-8",
        "--json",
    ];
    // What is wrong with the command is said before anything is written.
    let archive = ["--archive", "vault", "--retain-until", "soon"];
    assert_eq!(incident(&[&act[..], &archive].concat()).code, 2);
    let made = incident(&act);
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    assert_eq!(made.json()["evidence"]["intact"], true);
    let verify = [
        "audit",
        "verify",
        "--evidence",
        "INC-8",
        "--key",
        "audit.key.pub",
        "--print",
    ];
    let preserved = simulation.run(&verify);
    assert_eq!(preserved.code, 0, "{}", preserved.err);
    assert!(preserved.out.contains("emergency.stop") && preserved.out.contains("audit.exposure"));
    // One name for both, or no answer at all.
    let vague = [
        "audit",
        "incident",
        "--kind",
        "leak",
        "--since",
        "2020-01-01T00:00:00Z",
    ];
    assert_eq!(simulation.run(&vague).code, 2);
    for wrong in [
        ["--resource", "task"],
        ["--resource", "task:"],
        ["--resource", ":t1"],
        ["--user", ""],
    ] {
        let wrong = [&vague[..], &wrong].concat();
        assert_eq!(simulation.run(&wrong).code, 2, "{wrong:?}");
    }
    let later = [
        "audit",
        "incident",
        "--kind",
        "missing",
        "--since",
        "2120-01-01T00:00:00Z",
    ];
    let later = [&later[..], &["--user", "alice"]].concat();
    assert_eq!(simulation.run(&later).code, 2);
}

#[test]
fn a_dump_is_complete_only_when_it_has_the_rows_that_were_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |dump: &str, more: &[&str]| {
        fs::write(dir.path().join("dump.sql"), dump).expect("a dump");
        elsewhere(
            dir.path(),
            &[&["audit", "verify", "--dump", "dump.sql", "--json"][..], more].concat(),
        )
    };
    let whole =
        "COPY public.audit_logs (id) FROM stdin;\n1\n2\n\\.\n\n-- PostgreSQL database dump complete\n";
    assert_eq!(check(whole, &["--rows", "2"]).code, 0);
    assert_eq!(check(whole, &["--rows", "3"]).code, 1);
    assert_eq!(check(whole, &[]).code, 4, "nobody said how many there should be");
    assert_eq!(
        check("", &[]).code,
        1,
        "an empty file with exit code 0 is the trap"
    );
}
