use std::time::Duration;

use super::*;
use crate::model::{
    ArchiveMode, Archived, BackupCopy, CopyKind, Lang, ReplicationSlot, RestoredTable, RunId, ServerBackups,
    Standby,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Timestamp {
    "2026-11-27T06:00:00Z".parse().unwrap()
}

fn archiving() -> ServerBackups {
    let mut server = ServerBackups::new(now(), "shop");
    server.system = Some("7".to_owned());
    let archiving = &mut server.archiving;
    archiving.mode = ArchiveMode::On;
    archiving.configured = true;
    archiving.last = Some(Archived::new("000000010000000000000007", now() - MINUTE * 3));
    archiving.complete_until = Some(now() - MINUTE * 4);
    archiving.waiting = Some(0);
    archiving.bytes_behind = Some(70_000);
    archiving.timeout = MINUTE * 5;
    server
}

fn copies() -> Vec<BackupCopy> {
    let daily = |day: u32| {
        let at = now() - DAY * day - MINUTE * 60;
        let mut copy = BackupCopy::new(format!("{day}"), CopyKind::BaseBackup, at, 1_000);
        copy.system = Some("7".to_owned());
        copy
    };
    (0..31).map(daily).collect()
}

fn tested() -> RestoreTest {
    let mut test = RestoreTest::new(RunId::generate(now()), now() - DAY, "0");
    test.tables.push(RestoredTable::new("public.orders", 1));
    test
}

fn good() -> BackupState {
    BackupState {
        server: Some(archiving()),
        copies: Some(copies()),
        ..BackupState::default()
    }
}

fn report(state: &BackupState) -> BackupReport {
    backup_report(state, &BackupPolicy::default(), None, Some(&tested()), now())
}

fn kinds(state: &BackupState) -> Vec<String> {
    report(state)
        .findings
        .into_iter()
        .map(|finding| finding.kind)
        .collect()
}

#[test]
fn with_archive_daily_copies_and_a_test_nothing_is_found_and_the_loss_is_what_no_archive_has() {
    let report = report(&good());
    assert_eq!(report.findings, []);
    assert_eq!((report.worst(), report.destroyed.by), (None, LossBy::Archive));
    assert_eq!(report.destroyed.since, Some(now() - MINUTE * 4));
    assert_eq!(report.destroyed.most, Some(MINUTE * 4));
    assert!(report.destroyed.exact);
    assert!(
        report.destroyed.text.get(Lang::En).starts_with("4 min of data"),
        "{report:?}"
    );
}

#[test]
fn a_server_that_writes_nothing_is_not_late_however_long_it_archives_nothing() {
    let mut state = good();
    let server = state.server.as_mut().unwrap();
    server.archiving.last.as_mut().unwrap().at = now() - DAY * 3;
    server.archiving.complete_until = Some(now() - DAY * 3);
    // It would have closed a segment in which anything stands that matters.
    assert_eq!(report(&state).destroyed.most, Some(Duration::ZERO));
    // Without a timeout nobody would have: what stands there is three days old, and only here.
    let server = state.server.as_mut().unwrap();
    server.archiving.timeout = Duration::ZERO;
    let found = report(&state);
    assert_eq!(
        (found.destroyed.by, found.destroyed.most),
        (LossBy::Copy, Some(MINUTE * 60))
    );
    assert_eq!(kinds(&state), ["beyond_rpo", "archive_timeout"]);
    // Nothing but the header of a segment stands there.
    state.server.as_mut().unwrap().archiving.bytes_behind = Some(EMPTY_SEGMENT);
    assert_eq!(report(&state).destroyed.most, Some(Duration::ZERO));
}
const EMPTY_SEGMENT: u64 = 40;

#[test]
fn a_full_segment_that_waits_is_lost_however_short_the_timeout_is() {
    let mut state = good();
    let server = state.server.as_mut().unwrap();
    server.archiving.complete_until = Some(now() - MINUTE * 40);
    server.archiving.waiting = Some(1);
    let found = report(&state);
    assert_eq!(found.destroyed.most, Some(MINUTE * 40));
    assert_eq!(found.worst(), Some(BackupSeverity::Failed));
}

#[test]
fn an_archiver_that_lags_is_not_judged_by_the_old_segment_that_it_archived_lately() {
    let mut state = good();
    let archiving = &mut state.server.as_mut().unwrap().archiving;
    archiving.complete_until = None;
    archiving.waiting = Some(90);
    archiving.last.as_mut().unwrap().at = now() - Duration::from_secs(5);
    archiving.oldest_waiting = Some(now() - MINUTE * 50);
    let found = report(&state).destroyed;
    assert_eq!(
        (found.by, found.most, found.exact),
        (LossBy::Archive, Some(MINUTE * 50), false)
    );
    assert!(
        found.text.get(Lang::En).starts_with("at least 50 min"),
        "{found:?}"
    );
}

#[test]
fn a_failing_archive_is_found_until_a_success_is_newer_than_the_failure() {
    let mut state = good();
    let server = state.server.as_mut().unwrap();
    server.archiving.last_failure = Some(Archived::new("000000010000000000000008", now() - MINUTE));
    assert_eq!(kinds(&state), ["archive_failing"]);
    let server = state.server.as_mut().unwrap();
    server.archiving.last_failure.as_mut().unwrap().at = now() - MINUTE * 9;
    assert_eq!(kinds(&state), [""; 0]);
}

#[test]
fn what_is_not_seen_is_unknown_and_never_fine() {
    assert_eq!(
        kinds(&BackupState::default()),
        ["copies_not_looked_at", "loss_unknown"]
    );
    let mut state = good();
    state
        .unseen
        .push(Unseen::new("standbys", text::needs_monitor("standbys")));
    assert_eq!(report(&state).worst(), Some(BackupSeverity::Unknown));
    state.unseen.clear();
    state.copies = None;
    assert_eq!(kinds(&state), ["copies_not_looked_at", "no_base_backup"]);
    assert!(!report(&state).destroyed.exact);
    state.copies = Some(copies());
    state.server.as_mut().unwrap().archiving.last = None;
    assert!(kinds(&state).contains(&"archive_unproven".to_owned()));
}

#[test]
fn no_copy_a_damaged_one_an_old_one_and_one_of_another_database_save_nothing() {
    let mut state = BackupState::default();
    let old = BackupCopy::new("old", CopyKind::CustomDump, now() - DAY * 2, 10);
    let cut =
        BackupCopy::new("cut", CopyKind::CustomDump, now() - MINUTE, 10).with_fault(Some(false), "cut off");
    let other = BackupCopy::new("other", CopyKind::CustomDump, now() - MINUTE, 10)
        .of_database(Some("staging".to_owned()));
    for (copies, wanted) in [
        (vec![], vec!["no_backup"]),
        (vec![cut.clone()], vec!["no_backup", "copy_damaged"]),
        (vec![other.clone()], vec!["no_backup", "copy_of_another"]),
        (vec![old.clone()], vec!["beyond_rpo", "stale", "short_history"]),
        (
            vec![cut, other, old],
            vec![
                "beyond_rpo",
                "stale",
                "copy_damaged",
                "copy_of_another",
                "short_history",
            ],
        ),
    ] {
        state.copies = Some(copies);
        let report = backup_report(
            &state,
            &BackupPolicy::default(),
            Some("shop"),
            Some(&tested()),
            now(),
        );
        let kinds: Vec<_> = report
            .findings
            .iter()
            .map(|finding| finding.kind.as_str())
            .collect();
        assert_eq!(kinds, wanted);
        assert_eq!(report.worst(), Some(BackupSeverity::Failed));
    }
}

#[test]
fn a_copy_of_less_than_half_a_missing_day_and_a_short_history_are_warnings() {
    let mut state = good();
    state.copies.as_mut().unwrap()[0].bytes = 499;
    assert_eq!(kinds(&state), ["copy_shrank"]);
    state.copies.as_mut().unwrap()[0].bytes = 500;
    assert_eq!(kinds(&state), [""; 0]);
    state.copies.as_mut().unwrap().remove(3);
    assert_eq!(kinds(&state), ["gap"]);
    state.copies.as_mut().unwrap().truncate(3);
    assert_eq!(kinds(&state), ["short_history"]);
    assert_eq!(report(&state).worst(), Some(BackupSeverity::Warning));
}

#[test]
fn a_standby_saves_from_a_dead_disk_and_not_from_a_mistake() {
    let mut state = good();
    let server = state.server.as_mut().unwrap();
    let mut standby = Standby::new("tokyo-2");
    standby.state = Some("streaming".to_owned());
    standby.bytes = Some(900);
    standby.lag = Some(Duration::from_secs(2));
    server.standbys.push(standby);
    let found = report(&state);
    assert_eq!(
        (found.disk.by, found.disk.most),
        (LossBy::Standby, Some(Duration::from_secs(2)))
    );
    assert_eq!(found.destroyed.by, LossBy::Archive);
    // A base backup that is being taken is no standby.
    state.server.as_mut().unwrap().standbys[0].state = Some("backup".to_owned());
    assert_eq!(report(&state).disk.by, LossBy::Archive);
}

#[test]
fn settings_slots_and_standbys_that_put_data_at_risk_are_warnings() {
    let mut state = good();
    let server = state.server.as_mut().unwrap();
    (server.fsync, server.full_page_writes, server.checksums) = (false, false, false);
    server.wal_level = "minimal".to_owned();
    let mut slot = ReplicationSlot::new("left", "physical", false);
    slot.held = Some(1 << 30);
    server.slots.push(slot.clone());
    slot.wal_status = Some("lost".to_owned());
    server.slots.push(slot);
    let policy = BackupPolicy {
        min_standbys: 1,
        ..BackupPolicy::default()
    };
    let report = backup_report(&state, &policy, None, Some(&tested()), now());
    let kinds: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "few_standbys",
            "fsync_off",
            "full_page_writes_off",
            "no_checksums",
            "slot_fills_disk",
            "slot_lost",
            "wal_level_minimal"
        ]
    );
    assert_eq!(report.worst(), Some(BackupSeverity::Warning));
    state.server.as_mut().unwrap().checksum_failures = Some(1);
    assert_eq!(
        super::backup_report(&state, &policy, None, Some(&tested()), now()).worst(),
        Some(BackupSeverity::Failed)
    );
}

#[test]
fn a_restore_that_was_never_tried_long_ago_or_without_success_is_said() {
    let judged = |test: Option<&RestoreTest>| {
        let report = backup_report(&good(), &BackupPolicy::default(), None, test, now());
        let mut kinds = report.findings.into_iter().map(|finding| finding.kind);
        (kinds.next(), kinds.next())
    };
    let due = (Some("test_due".to_owned()), None);
    assert_eq!(judged(None), due);
    let mut test = tested();
    test.at = now() - DAY * 93;
    assert_eq!(judged(Some(&test)), due);
    test.failures.push("no such extension".to_owned());
    assert_eq!(judged(Some(&test)), (Some("test_failed".to_owned()), None));
}

#[test]
fn a_base_backup_that_is_too_old_or_of_another_server_vouches_for_no_archive() {
    let kinds = |change: &dyn Fn(&mut BackupState)| {
        let mut state = good();
        change(&mut state);
        let found = report(&state);
        assert!(!found.destroyed.exact, "{found:?}");
        let kinds: Vec<String> = found.findings.into_iter().map(|finding| finding.kind).collect();
        kinds.into_iter().find(|kind| kind.contains("base_backup"))
    };
    let each = |state: &mut BackupState, change: &dyn Fn(&mut BackupCopy)| {
        state.copies.iter_mut().flatten().for_each(change);
    };
    let missing = Some("no_base_backup".to_owned());
    let unproven = Some("base_backup_unproven".to_owned());
    assert_eq!(
        kinds(&|state| each(state, &|copy| copy.at = copy.at - DAY * 31)),
        missing
    );
    assert_eq!(
        kinds(&|state| each(state, &|copy| copy.system = Some("8".to_owned()))),
        missing
    );
    assert_eq!(kinds(&|state| each(state, &|copy| copy.system = None)), unproven);
    assert_eq!(
        kinds(&|state| each(state, &|copy| *copy = copy.clone().with_fault(None, "compressed"))),
        unproven
    );
    assert_eq!(
        kinds(&|state| state.server.as_mut().unwrap().system = None),
        unproven
    );
}

#[test]
fn a_copy_of_the_future_is_unknown_and_never_the_newest() {
    let mut state = good();
    let mut ahead = state.copies.as_ref().unwrap()[0].clone();
    ahead.name = "ahead".to_owned();
    ahead.at = now() + MINUTE * 11;
    state.copies.as_mut().unwrap().insert(0, ahead);
    assert_eq!(kinds(&state), ["copy_unknown"]);
    let seen = state.clone().seen_at(now());
    assert_eq!(seen.newest_complete(None).unwrap().name, "0");
    // Clocks are apart by so much.
    state.copies.as_mut().unwrap()[0].at = now() + MINUTE * 10;
    assert_eq!(kinds(&state), [""; 0]);
}

#[test]
fn a_restore_has_failed_if_a_table_came_back_empty_that_is_full() {
    let passed = |rows, live_rows| {
        let mut test = tested();
        test.tables[0].rows = rows;
        test.tables[0].live_rows = live_rows;
        test.passed()
    };
    assert!(!passed(0, Some(1_001)));
    // So many may have come since, and nobody knows without an estimate.
    for (rows, live_rows) in [(0, Some(1_000)), (0, None), (1, Some(1_001))] {
        assert!(passed(rows, live_rows), "{rows} {live_rows:?}");
    }
}
