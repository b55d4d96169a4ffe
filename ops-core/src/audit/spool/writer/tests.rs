use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::super::ahead::{Ready, Room};
use super::*;
use crate::durable::frame::Found;

/// Files in memory that show what was durable, and fail when told to.
#[derive(Debug, Default)]
struct Disk {
    files: Mutex<Vec<Vec<u8>>>,
    synced: AtomicUsize,
    /// How often a file was asked for, and how much room for the last one.
    asked: AtomicUsize,
    wanted: AtomicUsize,
    /// So many syncs fail from now on.
    failing: AtomicUsize,
    full: AtomicBool,
    /// A file that is shown is seen, and its caller told that it failed.
    blind: AtomicBool,
}

struct MemoryFile {
    disk: Arc<Disk>,
    number: usize,
    pending: Vec<u8>,
    poisoned: bool,
}

impl Medium for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(
            !self.poisoned,
            "a file whose sync failed must not be written again"
        );
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        assert!(
            !self.poisoned,
            "a file whose sync failed must not be synced again"
        );
        let fails = self
            .disk
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            self.poisoned = true;
            return Err(io::Error::other("the disk is ill"));
        }
        self.disk.synced.fetch_add(1, Ordering::SeqCst);
        let pending = mem::take(&mut self.pending);
        self.disk.files.lock().unwrap()[self.number].extend(pending);
        Ok(())
    }
}

fn show(disk: &Arc<Disk>) -> Result<Box<dyn Medium>> {
    let mut files = disk.files.lock().unwrap();
    files.push(Vec::new());
    if disk.blind.load(Ordering::SeqCst) {
        return Err(Error::new(ErrorKind::Unavailable, "sync directory"));
    }
    Ok(Box::new(MemoryFile {
        disk: Arc::clone(disk),
        number: files.len() - 1,
        pending: Vec::new(),
        poisoned: false,
    }))
}

fn writer(disk: &Arc<Disk>, room: usize) -> Writer {
    let disk = Arc::clone(disk);
    let make: Make = Box::new(move |asked: Room| {
        let room = asked.wanted;
        disk.wanted.store(room, Ordering::SeqCst);
        disk.asked.fetch_add(1, Ordering::SeqCst);
        if disk.full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "make segment").context("cause", "no space left"));
        }
        let disk = Arc::clone(&disk);
        Ok(Ready::new(room, move || show(&disk)))
    });
    Writer::start(make, room).unwrap()
}

fn durable(disk: &Disk) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    for file in &*disk.files.lock().unwrap() {
        let mut at = 0;
        while let Found::Frame { number, payload, end } = frame::read(file, at) {
            frames.push((number, payload.to_vec()));
            at = end;
        }
    }
    frames
}

#[tokio::test]
async fn what_is_acknowledged_is_durable_and_numbered_without_a_gap() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 100);
    let answers: Vec<_> = (0..200_u8).map(|n| writer.push(vec![n; 10])).collect();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let frames = durable(&disk);
    assert_eq!(
        frames.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (0..200).collect::<Vec<_>>()
    );
    assert!(
        (0..200_u8)
            .zip(&frames)
            .all(|(n, (_, payload))| *payload == vec![n; 10])
    );
}

#[tokio::test]
async fn many_callers_share_a_sync() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1 << 20);
    // They gather while the first file is being made.
    let guard = disk.files.lock().unwrap();
    let answers: Vec<_> = (0..64_u8).map(|n| writer.push(vec![n])).collect();
    drop(guard);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert!(disk.synced.load(Ordering::SeqCst) <= 2, "{disk:?}");
}

#[tokio::test]
async fn a_failed_sync_gives_up_the_file_and_the_records_go_to_the_next_one() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1 << 20);
    writer.push(vec![1]).await.unwrap().unwrap();
    disk.failing.store(1, Ordering::SeqCst);
    writer.push(vec![2]).await.unwrap().unwrap();
    writer.push(vec![3]).await.unwrap().unwrap();
    assert_eq!(durable(&disk), [(0, vec![1]), (1, vec![2]), (2, vec![3])]);
    assert_eq!(disk.files.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_made_durable_is_said_to_its_caller_and_leaves_no_gap() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1 << 20);
    writer.push(vec![1]).await.unwrap().unwrap();
    disk.failing.store(2, Ordering::SeqCst);
    let error = writer.push(vec![2]).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the disk is ill"), "{error}");
    disk.full.store(true, Ordering::SeqCst);
    let error = writer.push(vec![3]).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(
        disk.asked.load(Ordering::SeqCst),
        3,
        "once for each file, and once in vain"
    );
    disk.full.store(false, Ordering::SeqCst);
    writer.push(vec![4]).await.unwrap().unwrap();
    assert_eq!(durable(&disk), [(0, vec![1]), (1, vec![4])]);
}

#[tokio::test]
async fn many_who_wait_for_what_cannot_be_made_durable_are_all_told() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1 << 20);
    disk.failing.store(2, Ordering::SeqCst);
    let guard = disk.files.lock().unwrap();
    let answers: Vec<_> = (0..64_u8).map(|n| writer.push(vec![n])).collect();
    drop(guard);
    let (mut failed, mut kept) = (0, 0);
    for answer in answers {
        match answer.await.unwrap() {
            Ok(()) => kept += 1,
            Err(error) => {
                assert!(error.to_string().contains("the disk is ill"), "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0, "{disk:?}");
    assert_eq!(
        durable(&disk).len(),
        kept,
        "who was told so is kept, and nobody else"
    );
}

#[tokio::test]
async fn behind_another_file_that_may_be_seen_nothing_is_written() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 100);
    writer.push(vec![1; 10]).await.unwrap().unwrap();
    disk.blind.store(true, Ordering::SeqCst);
    writer.push(vec![2; 200]).await.unwrap().unwrap_err();
    disk.blind.store(false, Ordering::SeqCst);
    writer.push(vec![3; 10]).await.unwrap().unwrap();
    let files: Vec<_> = disk.files.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(files, [30, 0, 30]);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_leaves_the_one_that_is_there() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 100);
    writer.push(vec![1; 10]).await.unwrap().unwrap();
    disk.full.store(true, Ordering::SeqCst);
    writer.push(vec![2; 200]).await.unwrap().unwrap_err();
    writer.push(vec![3; 10]).await.unwrap().unwrap();
    let files: Vec<_> = disk.files.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(files, [60]);
}

/// Of four mebibytes, a quarter at once.
async fn quarters(writer: &Writer, count: usize) {
    for _ in 0..count {
        let quarter = vec![7; MOST_ROOM / 4 - 20];
        writer.push(quarter).await.unwrap().unwrap();
    }
}

/// Waits for what another thread does.
fn wait_for(mut done: impl FnMut() -> bool) {
    let came = (0..1_000_000).any(|_| {
        thread::yield_now();
        done()
    });
    assert!(came, "it never came");
}

#[tokio::test]
async fn the_next_large_file_is_made_while_one_is_being_filled() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, MOST_ROOM);
    quarters(&writer, 2).await;
    wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
    quarters(&writer, 2).await;
    assert_eq!(disk.files.lock().unwrap().len(), 1, "nobody sees the next one");
    // Now none could be made.
    disk.full.store(true, Ordering::SeqCst);
    quarters(&writer, 1).await;
    assert_eq!(disk.files.lock().unwrap().len(), 2);
    assert_eq!(disk.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whoever_fills_small_files_has_none_made_ahead() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1000);
    writer.push(vec![7; 900]).await.unwrap().unwrap();
    writer.push(vec![7; 900]).await.unwrap().unwrap();
    assert_eq!(disk.asked.load(Ordering::SeqCst), 2);
    assert_eq!(
        disk.wanted.load(Ordering::SeqCst),
        4000,
        "the next size, not the largest"
    );
}

#[tokio::test]
async fn a_file_that_could_not_be_made_ahead_is_tried_again_when_it_is_needed() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, MOST_ROOM);
    quarters(&writer, 1).await;
    disk.full.store(true, Ordering::SeqCst);
    quarters(&writer, 3).await;
    wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
    disk.full.store(false, Ordering::SeqCst);
    quarters(&writer, 1).await;
    assert_eq!(disk.asked.load(Ordering::SeqCst), 3);
    assert_eq!(durable(&disk).len(), 5);
}

#[tokio::test]
async fn a_file_made_ahead_that_is_too_small_is_not_used() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, MOST_ROOM);
    quarters(&writer, 3).await;
    wait_for(|| disk.asked.load(Ordering::SeqCst) == 2);
    writer.push(vec![8; MOST_ROOM + 1]).await.unwrap().unwrap();
    let asked = disk.asked.load(Ordering::SeqCst);
    assert!(asked >= 3, "another one, and perhaps the next already: {asked}");
    assert_eq!(durable(&disk).len(), 4);
}

#[tokio::test]
async fn dropping_the_writer_loses_nothing_that_it_was_given() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk, 1 << 20);
    let answers: Vec<_> = (0..50_u8).map(|n| writer.push(vec![n])).collect();
    drop(writer);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(durable(&disk).len(), 50);
}

#[tokio::test]
async fn of_a_batch_that_does_not_fit_the_first_are_kept_and_the_others_told() {
    let disk = Arc::new(Disk::default());
    // Room for one file of 200 bytes.
    let gate = Arc::new(Mutex::new(()));
    let (shared, wait) = (Arc::clone(&disk), Arc::clone(&gate));
    let make: Make = Box::new(move |asked: Room| {
        let least = asked.least;
        let _gate = wait.lock().unwrap();
        if !shared.files.lock().unwrap().is_empty() || least > 200 {
            return Err(Error::new(FULL, "make segment"));
        }
        let disk = Arc::clone(&shared);
        Ok(Ready::new(200, move || show(&disk)))
    });
    let writer = Writer::start(make, 200).unwrap();
    // The first waits for its file while the others gather.
    let closed = gate.lock().unwrap();
    let first = writer.push(vec![0; 20]);
    let answers: Vec<_> = (1..20_u8).map(|n| writer.push(vec![n; 20])).collect();
    drop(closed);
    first.await.unwrap().unwrap();
    let (mut kept, mut told) = (1, 0);
    for answer in answers {
        match answer.await.unwrap() {
            Ok(()) => kept += 1,
            Err(error) => {
                assert_eq!(error.kind(), FULL);
                told += 1;
            }
        }
    }
    let numbers: Vec<_> = durable(&disk).into_iter().map(|(number, _)| number).collect();
    assert_eq!((numbers.len(), told), (kept, 20 - kept));
    assert_eq!(numbers, (0..kept as u64).collect::<Vec<_>>());
    assert!(kept >= 4, "all that there was room for: {kept}");
}
