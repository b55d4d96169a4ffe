//! The file-backed providers after crashes, beside other processes, and with damaged files.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::fs;
use std::path::{Path, PathBuf};

use ops_core::audit::link;
use ops_core::error::ErrorKind;
use ops_core::file::{FileAudit, FileJournal, FileSwitches};
use ops_core::model::{Actor, AuditRecord, RunId, Snapshot, TargetId, TenantId, Timestamp};
use ops_core::ports::{
    AuditQuery, AuditStore, Held, Journal, JournalEntry, JournalEvent, SwitchStore, SwitchedOff,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW: i64 = 1_769_731_200_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(NOW + second * 1_000_000)
}

fn intent(run: &RunId, step: u32) -> JournalEntry {
    let target = TargetId::new(format!("cloud-run:service-{step}")).unwrap();
    JournalEntry::new(
        run.clone(),
        at(i64::from(step)),
        JournalEvent::Intent {
            step,
            target,
            timeout: None,
            automated: false,
        },
    )
}

fn held(run: &RunId, value: impl Into<Value>) -> Held {
    let target = TargetId::new("cloud-run:api").unwrap();
    Held::new(
        run.clone(),
        at(0),
        Snapshot::new(target, "test/1").with_field("value", value),
    )
}

fn run_file(directory: &TempDir) -> PathBuf {
    let mut files = files_in(&directory.path().join("runs"));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    assert_eq!(files.len(), 1);
    files.remove(0)
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_crash_at_any_byte_of_an_append_loses_only_what_was_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunId::generate(at(0));
    let journal = FileJournal::open(directory.path()).unwrap();
    for step in 0..3 {
        journal.append(&intent(&run, step)).await.unwrap();
    }
    let file = run_file(&directory);
    let acknowledged = fs::metadata(&file).unwrap().len() as usize;
    journal.append(&intent(&run, 3)).await.unwrap();
    let whole = fs::read(&file).unwrap();

    for cut in acknowledged..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let reopened = FileJournal::open(directory.path()).unwrap();
        let expected: Vec<_> = (0..3).map(|step| intent(&run, step)).collect();
        assert_eq!(reopened.entries(&run).await.unwrap(), expected, "cut at {cut}");
        assert_eq!(reopened.runs().await.unwrap(), std::slice::from_ref(&run));

        reopened.append(&intent(&run, 9)).await.unwrap();
        let entries = reopened.entries(&run).await.unwrap();
        assert_eq!(entries.len(), 4, "cut at {cut}");
        assert_eq!(entries[3], intent(&run, 9));
    }
    // What was cut off is kept beside, and is no run.
    assert!(run_file(&directory).with_extension("jsonl.torn").exists());
    assert_eq!(journal.runs().await.unwrap(), [run]);
}

#[tokio::test]
async fn damage_before_the_end_is_an_error_that_names_file_and_line_and_deletes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunId::generate(at(0));
    let journal = FileJournal::open(directory.path()).unwrap();
    for step in 0..3 {
        journal.append(&intent(&run, step)).await.unwrap();
    }
    let file = run_file(&directory);
    let damaged = fs::read_to_string(&file)
        .unwrap()
        .replacen("service-1", "service-7", 1);
    fs::write(&file, &damaged).unwrap();

    let error = journal.entries(&run).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(
        error
            .to_string()
            .contains(".jsonl, line: 3, fault: does not fit its checksum"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
}

#[tokio::test]
async fn a_foreign_file_among_the_runs_is_an_error_of_its_own_and_hides_no_run() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    fs::write(directory.path().join("runs/.DS_Store"), "x").unwrap();
    assert!(journal.runs().await.unwrap().is_empty());
    let run = RunId::new("run_x").unwrap();
    fs::write(directory.path().join("runs/run_x.jsonl"), "hello\n").unwrap();
    assert_eq!(
        journal.entries(&run).await.unwrap_err().kind(),
        ErrorKind::Unexpected
    );
    assert_eq!(
        journal
            .append(&intent(&run, 0))
            .await
            .map_err(|error| error.kind()),
        Ok(())
    );
    fs::write(directory.path().join("runs/notes.txt"), "hello").unwrap();
    assert_eq!(journal.runs().await.unwrap(), [run]);
    assert_eq!(
        fs::read_to_string(directory.path().join("runs/notes.txt")).unwrap(),
        "hello",
        "it is left where it is"
    );
}

#[tokio::test]
async fn no_run_id_leaves_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path().join("journal")).unwrap();
    let odd = [
        "../../escape",
        "UPPER",
        "upper",
        ".hidden",
        "a/b",
        "%41",
        "a.torn",
    ];
    let mut runs: Vec<_> = odd.iter().map(|text| RunId::new(*text).unwrap()).collect();
    for run in &runs {
        journal.append(&intent(run, 0)).await.unwrap();
        assert_eq!(journal.entries(run).await.unwrap().len(), 1, "{run}");
    }
    runs.sort();
    assert_eq!(journal.runs().await.unwrap(), runs);
    assert_eq!(files_in(directory.path()), [directory.path().join("journal")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_of_many_writers_wins_through_handles_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            // A handle each, as processes of their own would have.
            let journal = FileJournal::open(directory.path()).unwrap();
            writers.spawn(async move {
                journal
                    .hold(&held(&RunId::generate(at(0)), writer))
                    .await
                    .unwrap()
            });
        }
        let answers = writers.join_all().await;
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "round {round}"
        );

        let journal = FileJournal::open(directory.path()).unwrap();
        assert_eq!(journal.held().await.unwrap(), [answers[0].clone()]);
        journal
            .release(&answers[0].run, answers[0].snapshot.target())
            .await
            .unwrap();
        assert!(journal.held().await.unwrap().is_empty());
    }
    assert_eq!(files_in(&directory.path().join("released")).len(), 20);
    let left = files_in(&directory.path().join("held"));
    assert_eq!(
        left,
        [directory.path().join("held/.release")],
        "no unfinished file is left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_never_takes_the_next_holders_state() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    let target = TargetId::new("cloud-run:api").unwrap();
    for _ in 0..30 {
        let (first, next) = (RunId::generate(at(0)), RunId::generate(at(1)));
        journal.hold(&held(&first, 1)).await.unwrap();
        let releases = [(); 3].map(|()| {
            let (journal, first, target) = (journal.clone(), first.clone(), target.clone());
            tokio::spawn(async move { journal.release(&first, &target).await })
        });
        while journal.hold(&held(&next, 2)).await.unwrap().run != next {}
        for release in releases {
            release.await.unwrap().unwrap();
        }
        assert_eq!(journal.held().await.unwrap(), [held(&next, 2)]);
        journal.release(&next, &target).await.unwrap();
    }
}

#[tokio::test]
async fn a_held_state_comes_back_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    let run = RunId::generate(at(0));
    let value = json!({
        "floats": [0.1, 1.0, -0.0, 1e300, 5e-324, 0.1 + 0.2],
        "integers": [u64::MAX, i64::MIN],
        "text": "改行\n\u{0}\u{7f}\"\\",
        "nothing": null,
    });
    let wanted = held(&run, value);
    journal.hold(&wanted).await.unwrap();
    let found = FileJournal::open(directory.path()).unwrap().held().await.unwrap();
    assert_eq!(
        found[0].snapshot.restorable_bytes(),
        wanted.snapshot.restorable_bytes()
    );
}

/// serde_json reads a float to within one unit in the last place, unless its feature `float_roundtrip` is on.
#[tokio::test]
async fn every_float_of_a_held_state_comes_back_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let floats: Vec<_> = std::iter::repeat_with(|| {
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits)
    })
    .filter(|float| float.is_finite())
    .take(10_000)
    .collect();
    let wanted = held(&RunId::generate(at(0)), json!(floats));
    journal.hold(&wanted).await.unwrap();
    let found = FileJournal::open(directory.path()).unwrap().held().await.unwrap();
    assert!(found[0].snapshot.restorable_bytes() == wanted.snapshot.restorable_bytes());
}

#[tokio::test]
async fn a_held_state_that_was_damaged_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    journal.hold(&held(&RunId::generate(at(0)), 1)).await.unwrap();
    let file = files_in(&directory.path().join("held")).remove(0);
    let whole = fs::read(&file).unwrap();
    for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", b"{}\n"] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(journal.held().await.unwrap_err().kind(), ErrorKind::Unexpected);
        let late = held(&RunId::generate(at(1)), 2);
        assert_eq!(
            journal.hold(&late).await.unwrap_err().kind(),
            ErrorKind::Unexpected
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("ops");
    let journal = FileJournal::open(&root).unwrap();
    let run = RunId::generate(at(0));
    journal.append(&intent(&run, 0)).await.unwrap();
    journal.hold(&held(&run, 1)).await.unwrap();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for path in files_in(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(
                    fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{path:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn switches_that_are_damaged_are_never_taken_for_open() {
    let directory = tempfile::tempdir().unwrap();
    let switches = FileSwitches::open(directory.path()).unwrap();
    let off = SwitchedOff::new(at(0), Actor::person("kazu").unwrap(), None);
    switches
        .write(0, &[("llm".to_owned(), off)].into())
        .await
        .unwrap();
    let file = directory.path().join("switches.json");
    let whole = fs::read(&file).unwrap();
    for cut in 0..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        assert_eq!(
            switches.read().await.unwrap_err().kind(),
            ErrorKind::Unexpected,
            "cut at {cut}"
        );
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(switches.read().await.unwrap().generation, 1);
}

fn record(tenant: &TenantId, n: i64) -> AuditRecord {
    AuditRecord::new(
        at(n),
        tenant.clone(),
        Actor::person("kazu").unwrap(),
        "export",
        "log",
        n.to_string(),
    )
}

#[tokio::test]
async fn two_audit_handles_on_one_directory_make_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let tenant = TenantId::new("org_a").unwrap();
    let first = FileAudit::open(directory.path()).unwrap();
    let second = FileAudit::open(directory.path()).unwrap();
    let records: Vec<_> = (0..6).map(|n| record(&tenant, n)).collect();
    for (n, record) in records.iter().enumerate() {
        let store = if n % 2 == 0 { &first } else { &second };
        assert_eq!(store.append(record).await.unwrap().sequence, n as u64 + 1);
    }
    for record in &records {
        first.append(record).await.unwrap();
        second.append(record).await.unwrap();
    }
    let report = FileAudit::open(directory.path())
        .unwrap()
        .verify(&tenant)
        .await
        .unwrap();
    assert!(report.intact() && report.records == 6, "{report:?}");
}

/// A file format of our own would be no evidence if an editor with a checksum tool could rewrite it.
#[tokio::test]
async fn an_audit_record_that_was_edited_with_its_checksum_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let tenant = TenantId::new("org_a").unwrap();
    let audit = FileAudit::open(directory.path()).unwrap();
    for n in 0..4 {
        audit.append(&record(&tenant, n)).await.unwrap();
    }
    let file = files_in(directory.path()).remove(0);
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    let rewrite = |lines: &[String]| fs::write(&file, lines.join("\n") + "\n").unwrap();
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let with_checksum = |line: &str| {
        let json = line.split_once(' ').unwrap().1;
        format!("{:08x} {json}", crc32c::crc32c(json.as_bytes()))
    };

    let mut edited = own(&lines);
    edited[2] = with_checksum(&edited[2].replace("export", "delete"));
    rewrite(&edited);
    let report = audit.verify(&tenant).await.unwrap();
    assert_eq!(
        report
            .faults
            .iter()
            .map(|fault| fault.sequence)
            .collect::<Vec<_>>(),
        [2]
    );

    let mut deleted = own(&lines);
    deleted.remove(2);
    rewrite(&deleted);
    assert!(!audit.verify(&tenant).await.unwrap().intact());

    let mut swapped = own(&lines);
    swapped.swap(2, 3);
    rewrite(&swapped);
    assert!(!audit.verify(&tenant).await.unwrap().intact());

    let mut unreadable = own(&lines);
    unreadable[2] = unreadable[2].replace("export", "delete");
    rewrite(&unreadable);
    let report = audit.verify(&tenant).await.unwrap();
    assert!(
        report.faults[0].what.contains("line 3 does not fit its checksum"),
        "{report:?}"
    );
    let error = audit.search(&tenant, &AuditQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);

    rewrite(&own(&lines));
    let report = audit.verify(&tenant).await.unwrap();
    assert!(report.intact());
    let head = report.head.unwrap();
    let mut previous = None;
    for n in 0..4_u64 {
        let page = audit.search(&tenant, &AuditQuery::default()).await.unwrap();
        let record = &page.records[3 - n as usize];
        previous = Some(link(previous.as_ref(), n + 1, record));
    }
    assert_eq!(previous, Some(head.hash), "an export verifies without the store");
}

#[tokio::test]
async fn an_audit_append_goes_on_after_a_crash_cut_the_last_one_short() {
    let directory = tempfile::tempdir().unwrap();
    let tenant = TenantId::new("org_a").unwrap();
    let audit = FileAudit::open(directory.path()).unwrap();
    let (first, second) = (record(&tenant, 1), record(&tenant, 2));
    audit.append(&first).await.unwrap();
    audit.append(&second).await.unwrap();
    let file = files_in(directory.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 7]).unwrap();

    let reopened = FileAudit::open(directory.path()).unwrap();
    assert_eq!(reopened.verify(&tenant).await.unwrap().records, 1);
    assert_eq!(reopened.append(&second).await.unwrap().sequence, 2);
    assert!(reopened.verify(&tenant).await.unwrap().intact());
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[tokio::test]
async fn a_run_whose_file_somebody_holds_makes_no_other_run_wait() {
    let directory = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(directory.path()).unwrap();
    let (slow, stop) = (RunId::generate(at(1)), RunId::generate(at(2)));
    journal.append(&intent(&slow, 0)).await.unwrap();
    let file = fs::File::options()
        .write(true)
        .open(run_file(&directory))
        .unwrap();
    file.lock().unwrap();
    let waiting = tokio::spawn({
        let (journal, entry) = (journal.clone(), intent(&slow, 1));
        async move { journal.append(&entry).await }
    });
    tokio::task::yield_now().await;
    journal.append(&intent(&stop, 0)).await.unwrap();
    assert!(!waiting.is_finished(), "the stop has waited for the other run");
    file.unlock().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(journal.entries(&slow).await.unwrap().len(), 2);
}
