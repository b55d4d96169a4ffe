//! Rows that cannot be read: the error names the row and the remedy, nothing is deleted, and every other row is still read.

use std::collections::BTreeMap;

use ops_core::error::{Error, ErrorKind};
use ops_core::model::{Approval, Digest, OutcomeStatus, RunId, Snapshot, TargetId, Timestamp};
use ops_core::ports::{ApprovalStore, DrillLog, Held, Journal, JournalEntry, JournalEvent, SwitchStore};
use ops_postgres::{
    PostgresApprovals, PostgresDrillLog, PostgresJournal, PostgresStore, PostgresSwitchStore,
};

use super::world::{World, count, run};

/// That the error is one a person can act on.
#[track_caller]
fn said(error: &Error, parts: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
    let text = error.to_string();
    for part in parts.iter().chain(&["remedy: "]) {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("taro"), "nothing of the row is repeated: {text}");
}

fn run_id(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

async fn ended(journal: &PostgresJournal, run: &RunId) {
    let status = OutcomeStatus::Verified;
    let entry = JournalEntry::new(run.clone(), Timestamp::UNIX_EPOCH, JournalEvent::Ended { status });
    journal.append(&entry).await.unwrap();
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_and_other_runs_are_read() {
    let Some(world) = World::new().await else { return };
    let journal = PostgresJournal::new(&world.store);
    ended(&journal, &run_id("run_good")).await;
    let mut owner = world.owner().await;
    for (name, entry, fault) in [
        ("run_torn", r#"{"run":"run_torn","at":"1970"#, "is no JSON"),
        ("run_foreign", r#"{"name":"taro"}"#, "is not what belongs there"),
        (
            "run_newer",
            r#"{"run":"run_newer","at":"1970-01-01T00:00:00Z","event":"forgotten_by_law"}"#,
            "a newer version of this program wrote it (event forgotten_by_law)",
        ),
        (
            "run_odd",
            r#"{"run":"run_odd","at":"1970-01-01T00:00:00Z","event":"ended","status":"taro"}"#,
            "is not what belongs there",
        ),
    ] {
        run(
            &mut owner,
            &format!("insert into ops.journal_entry (run, entry) values ('{name}', '{entry}')"),
        )
        .await
        .unwrap();
        let error = journal.entries(&run_id(name)).await.unwrap_err();
        said(
            &error,
            &["table: ops.journal_entry", "row: position ", name, fault],
        );
    }
    assert_eq!(journal.entries(&run_id("run_good")).await.unwrap().len(), 1);
    assert_eq!(journal.runs().await.unwrap().len(), 5);
    // A run whose beginning cannot be read goes on being written to.
    ended(&journal, &run_id("run_torn")).await;
    assert_eq!(count(&mut owner, "ops.journal_entry").await, 6);
    world.close().await;
}

#[tokio::test]
async fn a_hold_that_cannot_be_read_is_named_and_never_overwritten() {
    let Some(world) = World::new().await else { return };
    let journal = PostgresJournal::new(&world.store);
    let held = |target: &str| {
        let snapshot = Snapshot::new(TargetId::new(target).unwrap(), "test/1").with_field("state", "on");
        Held::new(run_id("run_2"), Timestamp::UNIX_EPOCH, snapshot)
    };
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "insert into ops.journal_hold (target, run, at_micros, snapshot) values ('test:bad', 'run_1', 0, '{\"by\":\"taro\"}')",
    )
    .await
    .unwrap();
    journal.hold(&held("test:good")).await.unwrap();
    let bad = TargetId::new("test:bad").unwrap();
    for error in [
        journal.hold(&held("test:bad")).await.unwrap_err(),
        journal.held_of(&bad).await.unwrap_err(),
        journal.held().await.unwrap_err(),
    ] {
        said(
            &error,
            &[
                "table: ops.journal_hold",
                "row: position ",
                "is not what belongs there",
            ],
        );
    }
    let good = TargetId::new("test:good").unwrap();
    assert!(journal.held_of(&good).await.unwrap().is_some());
    assert_eq!(count(&mut owner, "ops.journal_hold").await, 2);
    world.close().await;
}

#[tokio::test]
async fn switches_that_cannot_be_read_are_named_and_stay() {
    let Some(world) = World::new().await else { return };
    let switches = PostgresSwitchStore::new(&world.store);
    let mut owner = world.owner().await;
    for (change, fault) in [
        ("stopped = '{'", "is no JSON"),
        ("stopped = '[\"taro\"]'", "is not what belongs there"),
    ] {
        run(&mut owner, &format!("update ops.switch_state set {change}"))
            .await
            .unwrap();
        let error = switches.read().await.unwrap_err();
        said(&error, &["table: ops.switch_state", fault]);
    }
    assert_eq!(
        switches.write(99, &BTreeMap::new()).await.unwrap_err().kind(),
        ErrorKind::Conflict,
        "what cannot be read is not written over by guessing"
    );
    assert_eq!(count(&mut owner, "ops.switch_state").await, 1);
    world.close().await;
}

#[tokio::test]
async fn an_approval_that_cannot_be_read_is_named_and_hides_no_other() {
    let Some(world) = World::new().await else { return };
    let approvals = PostgresApprovals::new(&world.store);
    let digest = Digest::of(b"plan");
    let mut owner = world.owner().await;
    for (fingerprint, text) in [("aa", "{"), ("bb", r#"{"format":9,"name":"taro"}"#)] {
        run(
            &mut owner,
            &format!("insert into ops.approval values ('{digest}', '{fingerprint}', '{text}')"),
        )
        .await
        .unwrap();
    }
    run(
        &mut owner,
        &format!("insert into ops.approval_request values ('{digest}', 0, 9000000000000000, '{{')"),
    )
    .await
    .unwrap();
    let good: Approval = serde_json::from_value(serde_json::json!({
        "person": "bob", "plan": digest, "until": Timestamp::UNIX_EPOCH, "signature": "0".repeat(128),
    }))
    .unwrap();
    approvals.approve(&good).await.unwrap();
    let found = approvals.approvals(digest).await.unwrap();
    assert_eq!(found.approvals, [good]);
    assert_eq!(found.passed_over, ["ops.approval aa", "ops.approval bb"]);
    assert_eq!(
        approvals.requested(digest).await.unwrap(),
        None,
        "it counts as absent"
    );
    assert_eq!(count(&mut owner, "ops.approval").await, 3);
    assert_eq!(count(&mut owner, "ops.approval_request").await, 1);
    world.close().await;
}

#[tokio::test]
async fn a_report_of_a_drill_that_was_changed_by_hand_is_named() {
    let Some(world) = World::new().await else { return };
    let drills = PostgresDrillLog::new(&world.store);
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "insert into ops.drill values ('run_1', 'api-stop', 'x', '{\"name\":\"taro\"}')",
    )
    .await
    .unwrap();
    for error in [
        drills.find(&run_id("run_1")).await.unwrap_err(),
        drills.newest("api-stop").await.unwrap_err(),
        drills.list().await.unwrap_err(),
    ] {
        said(&error, &["table: ops.drill", "row: run run_1"]);
    }
    run(&mut owner, "delete from ops.drill").await.unwrap();

    ops_core::testkit::drill_log(&drills).await;
    let kept = drills.list().await.unwrap().remove(0);
    run(
        &mut owner,
        "update ops.drill set report = replace(report, '\"journalled\":true', '\"journalled\":false')",
    )
    .await
    .unwrap();
    let error = drills.find(&kept.run).await.unwrap_err();
    said(&error, &["it does not fit its own digest", kept.run.as_str()]);
    world.close().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_left_alone_and_named() {
    let Some(world) = World::new().await else { return };
    let mut owner = world.owner().await;
    let before = count(&mut owner, "ops.schema_migration").await;
    run(
        &mut owner,
        "insert into ops.schema_migration (version, description, success, checksum, execution_time)
         values (99, 'of tomorrow', true, '\\x00', 0)",
    )
    .await
    .unwrap();
    let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    for error in [
        store.migrate().await.unwrap_err(),
        store.check_schema().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = error.to_string();
        for part in ["found: 99", "remedy: a newer version of this program made it"] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(count(&mut owner, "ops.schema_migration").await, before + 1);
    store.close().await;
    world.close().await;
}
