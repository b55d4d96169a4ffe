use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{DrainOptions, Spool, SpoolQuota};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryAudit;
use ops_core::model::TenantId;

use super::{delivered_names, end_of, left_behind, record, recorder, segments};

#[tokio::test]
async fn a_spool_cut_short_by_a_crash_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let file = left_behind(directory.path(), 3).await;
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..end_of(&whole) - 5]).unwrap();
    let reopened = Spool::open(directory.path()).unwrap();
    assert_eq!(reopened.pending().await.unwrap().len(), 2);
    reopened.append(record(3_000)).await.unwrap();
    let (delivered, names) = delivered_names(&reopened).await;
    assert_eq!(names, ["0", "1", "3000"]);
    assert_eq!(
        (delivered.missing, delivered.damaged, delivered.pending),
        (0, 0, 0)
    );
    let kept = std::fs::read_dir(directory.path()).unwrap().flatten();
    let torn: Vec<_> = kept
        .filter(|file| file.file_name().to_string_lossy().starts_with("torn-"))
        .map(|file| String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned())
        .collect();
    assert!(torn.len() == 1 && torn[0].contains("emergency.stop"), "{torn:?}");
}

#[tokio::test]
async fn damage_in_the_middle_is_kept_aside_counted_and_holds_up_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = left_behind(directory.path(), 5).await;
    let mut bytes = std::fs::read(&file).unwrap();
    let place = end_of(&bytes) / 2;
    bytes[place] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let (delivered, names) = delivered_names(&Spool::open(directory.path()).unwrap()).await;
    assert_eq!(names, ["0", "1", "3", "4"]);
    assert_eq!(
        (delivered.missing, delivered.damaged, delivered.pending),
        (1, 1, 0)
    );
    let kept: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("damaged-"))
        .collect();
    assert_eq!(kept.len(), 1);
    let aside = std::fs::read(kept[0].path()).unwrap();
    assert!(String::from_utf8_lossy(&aside).contains("emergency.stop"));
}

#[tokio::test]
async fn damage_in_the_file_of_a_process_that_lives_holds_up_nothing_either() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..5 {
        spool.append(record(n)).await.unwrap();
    }
    let file = segments(directory.path()).remove(0);
    let flip = |place: fn(usize) -> usize| {
        let mut bytes = std::fs::read(&file).unwrap();
        let place = place(end_of(&bytes));
        let handle = std::fs::File::options().write(true).open(&file).unwrap();
        bytes[place] ^= 1;
        std::os::unix::fs::FileExt::write_at(&handle, &bytes[place..=place], place as u64).unwrap();
    };
    flip(|end| end / 2);
    let (delivered, names) = delivered_names(&spool).await;
    assert_eq!(names, ["0", "1", "3", "4"]);
    assert_eq!((delivered.missing, delivered.damaged), (1, 1));

    // At the very end it may be a record that is just being written: nobody says that all is in the store.
    spool.append(record(5)).await.unwrap();
    flip(|end| end - 3);
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store).with_spool(spool.clone());
    let drain = recorder.drain(DrainOptions::default()).unwrap();
    let late = drain.flush(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    // The next record shows that it was none.
    spool.append(record(6)).await.unwrap();
    let status = drain.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!((status.stored, status.damaged, status.missing), (1, 1, 1));
}

#[tokio::test]
async fn a_record_that_no_reader_would_take_is_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let large = record(1).with_detail("text", "x".repeat(17 << 20));
    let refused = spool.append(large).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    spool.append(record(2)).await.unwrap();
    let (delivered, names) = delivered_names(&spool).await;
    assert_eq!((names, delivered.damaged), (vec!["2".to_owned()], 0));
}

#[tokio::test]
async fn a_segment_that_is_gone_shows_as_missing_records() {
    let directory = tempfile::tempdir().unwrap();
    let _ = left_behind(directory.path(), 400).await;
    let files = segments(directory.path());
    assert!(files.len() > 1, "{files:?}");
    let lost = std::fs::read(&files[0]).unwrap();
    let lost = String::from_utf8_lossy(&lost).matches("emergency.stop").count();
    std::fs::remove_file(&files[0]).unwrap();
    let (delivered, names) = delivered_names(&Spool::open(directory.path()).unwrap()).await;
    assert_eq!(delivered.missing, lost as u64);
    assert_eq!(names.len(), 400 - lost);
}

#[tokio::test]
async fn the_place_of_the_version_before_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let _ = left_behind(directory.path(), 400).await;
    let files = segments(directory.path());
    // That version wrote where it was into a file.
    let first = std::fs::read(&files[0]).unwrap();
    let delivered = String::from_utf8_lossy(&first).matches("emergency.stop").count();
    let place = format!(r#"{{"segment":2,"offset":16,"number":{delivered}}}"#);
    let process = files[0].parent().unwrap();
    std::fs::write(
        process.join("delivered"),
        format!("{:08x} {place}\n", crc32c::crc32c(place.as_bytes())),
    )
    .unwrap();
    for file in std::fs::read_dir(process).unwrap().flatten() {
        let path = file.path();
        if path == files[0] || path.extension().is_some_and(|end| end == "delivered") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (told, names) = delivered_names(&Spool::open(directory.path()).unwrap()).await;
    assert_eq!((told.missing, told.damaged), (0, 0));
    let wanted: Vec<_> = (delivered..400).map(|n| n.to_string()).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn what_waits_apart_counts_in_depth_bytes_and_quota() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spool/v1/spool.jsonl");
    let apart = std::fs::copy(fixture, directory.path().join("spool.jsonl")).unwrap();
    let clock = Arc::new(SystemClock::new());
    // What it leaves is room for a record or two.
    let quota = SpoolQuota::of(apart + 600).with_wait(Duration::ZERO);
    let spool = Spool::open(directory.path()).unwrap().with_quota(quota, clock);
    let status = spool.status().await.unwrap();
    assert_eq!((status.records, status.bytes), (4, apart));
    let mut kept = 0;
    let full = loop {
        match spool.append(record(kept)).await {
            Ok(()) => kept += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(full.kind(), ErrorKind::RateLimited, "{full}");
    assert!((1..4).contains(&kept), "{kept}");
    let delivered = spool.deliver(&InMemoryAudit::new()).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.pending),
        (4 + kept.unsigned_abs(), 0)
    );
    spool.append(record(kept)).await.unwrap();
}

#[tokio::test]
async fn what_is_delivered_leaves_no_file_of_a_process_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let _ = left_behind(directory.path(), 400).await;
    let (delivered, names) = delivered_names(&Spool::open(directory.path()).unwrap()).await;
    assert_eq!((delivered.stored, delivered.pending), (400, 0));
    assert_eq!(names, (0..400).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(segments(directory.path()).is_empty());
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.path().is_file()), "{left:?}");
}

#[tokio::test]
async fn a_file_that_a_process_made_ahead_is_removed_once_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let alive = Spool::open(directory.path()).unwrap();
    alive.append(record(400)).await.unwrap();
    let alive_at = segments(directory.path())[0].parent().unwrap().to_owned();
    let _ = left_behind(directory.path(), 1).await;
    let gone_at = segments(directory.path())
        .iter()
        .map(|segment| segment.parent().unwrap().to_owned())
        .find(|place| *place != alive_at)
        .unwrap();
    let ahead = [alive_at, gone_at].map(|place| place.join(".000000000009.segment"));
    for file in &ahead {
        std::fs::write(file, [0; 1000]).unwrap();
    }
    // Nothing needs to be delivered for it: another process begins to record.
    Spool::open(directory.path())
        .unwrap()
        .append(record(1))
        .await
        .unwrap();
    assert_eq!(ahead.map(|file| file.exists()), [true, false]);
}

#[tokio::test]
async fn what_was_delivered_before_a_crash_is_removed_by_the_next_delivery() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..400 {
        spool.append(record(n)).await.unwrap();
    }
    let first = segments(directory.path()).remove(0);
    let bytes = std::fs::read(&first).unwrap();
    assert_eq!(delivered_names(&spool).await.1.len(), 400);
    assert!(!first.exists());
    // As if it had ended behind the place: the process that records lives on, and the room counts against the quota.
    std::fs::write(&first, bytes).unwrap();
    let (delivered, names) = delivered_names(&spool).await;
    assert_eq!((delivered.missing, names.len(), first.exists()), (0, 0, false));
}

#[tokio::test]
async fn a_spool_of_the_version_before_is_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spool/v1/spool.jsonl");
    std::fs::copy(fixture, directory.path().join("spool.jsonl")).unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    assert_eq!(spool.pending().await.unwrap().len(), 4);
    spool.append(record(3)).await.unwrap();
    let store = InMemoryAudit::new();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.stored, delivered.pending), (5, 0));
    let chain = store.chain(&TenantId::new("org_soulsyncs").unwrap());
    let stopped: Vec<_> = chain
        .iter()
        .filter_map(|(_, record)| record.resource_id.rsplit('/').next())
        .collect();
    assert_eq!(
        stopped,
        [
            "chatwork-webhook",
            "soulkun-mobile-api",
            "proactive-monitor",
            "soulkun-mcp-server"
        ]
    );
    assert!(spool.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_segment_of_a_newer_version_is_said_to_be_one_and_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let file = left_behind(directory.path(), 1).await;
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[10] = b'9';
    std::fs::write(&file, &bytes).unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let error = spool.deliver(&InMemoryAudit::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.to_string().contains("newer"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}
