//! What a process does, and says, when the store, the registry, the hints or the disk beside its kill switch fail.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::config::{Env, OnStale, SwitchConfig};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::guard::{
    EntryRefresh, Feature, KillSwitch, RefreshOptions, SwitchLayer, SwitchRefresher, SwitchSource,
};
use ops_core::memory::{InMemoryProcesses, InMemorySwitches};
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{
    Presence, ProcessId, ProcessRegistry, SwitchHint, SwitchHints, SwitchLink, SwitchProcess, SwitchState,
    SwitchStore, SwitchedOff,
};
use ops_core::testkit::ManualClock;
use tokio::sync::{Notify, mpsc};

/// A store that never answers.
#[derive(Debug)]
struct Hung;

#[async_trait]
impl SwitchStore for Hung {
    async fn read(&self) -> Result<SwitchState> {
        std::future::pending().await
    }

    async fn write(&self, _: u64, _: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        std::future::pending().await
    }
}

/// A part that panics when it is asked first.
#[derive(Debug)]
struct PanicsAtFirst<T> {
    asked: AtomicU32,
    then: T,
}

impl<T> PanicsAtFirst<T> {
    fn new(then: T) -> Self {
        Self {
            asked: AtomicU32::new(0),
            then,
        }
    }

    fn ask(&self) -> &T {
        assert!(self.asked.fetch_add(1, Ordering::SeqCst) > 0, "at first");
        &self.then
    }
}

#[async_trait]
impl ProcessRegistry for PanicsAtFirst<InMemoryProcesses> {
    async fn report(&self, process: &SwitchProcess) -> Result<()> {
        self.ask().report(process).await
    }

    async fn remove(&self, process: &ProcessId) -> Result<()> {
        self.then.remove(process).await
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        self.then.processes().await
    }
}

#[async_trait]
impl SwitchHints for PanicsAtFirst<()> {
    async fn next(&self) -> Result<SwitchHint> {
        self.ask();
        if self.asked.load(Ordering::SeqCst) == 2 {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Ok(SwitchHint::Arrive);
        }
        std::future::pending().await
    }
}

/// Waits, as long as it takes, until the refresher on its own thread has done something.
fn until(reached: impl Fn() -> bool) {
    while !reached() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn fast() -> RefreshOptions {
    RefreshOptions::new("chat").with_poll(Duration::from_millis(10))
}

fn start(switch: &Arc<KillSwitch>, options: RefreshOptions, link: SwitchLink) -> SwitchRefresher {
    SwitchRefresher::start(Arc::clone(switch), options, move || {
        let link = link.clone();
        async move { Ok(link) }
    })
    .unwrap()
}

fn single() -> (Arc<KillSwitch>, Feature) {
    let (switch, brain) = KillSwitch::single("brain");
    (Arc::new(switch), brain)
}

const GRACE: Duration = Duration::from_secs(60);

fn careful() -> (Arc<KillSwitch>, Feature) {
    let careful = SwitchConfig::new("brain").with_on_stale(OnStale::Stop { grace: GRACE });
    let switch = KillSwitch::configured(&[careful], &Env::from_pairs::<&str, &str>([])).unwrap();
    let brain = switch.feature("brain").unwrap();
    (Arc::new(switch), brain)
}

fn listed(processes: &dyn ProcessRegistry) -> Vec<Presence> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(processes.processes()).unwrap()
}

#[test]
fn a_process_that_cannot_say_what_it_applied_says_that_in_its_health() {
    let (switch, _) = single();
    let processes = Arc::new(InMemoryProcesses::new());
    processes.set_reachable(false);
    let link = SwitchLink {
        processes: Some(Arc::clone(&processes) as _),
        ..SwitchLink::new(Arc::new(InMemorySwitches::new()))
    };
    let refresher = start(&switch, fast(), link);
    until(|| refresher.health().report_fault.is_some());
    until(|| refresher.health().since_contact.is_some());
    assert_eq!(refresher.health().fault, None, "the store itself can be read");
    processes.set_reachable(true);
    until(|| refresher.health().report_fault.is_none());
    assert_eq!(listed(&*processes).len(), 1);
}

#[test]
fn a_registry_that_panics_is_asked_again() {
    let (switch, _) = single();
    let processes = Arc::new(PanicsAtFirst::new(InMemoryProcesses::new()));
    let link = SwitchLink {
        processes: Some(Arc::clone(&processes) as _),
        ..SwitchLink::new(Arc::new(InMemorySwitches::new()))
    };
    let refresher = start(&switch, fast(), link);
    until(|| !listed(&*processes).is_empty());
    until(|| refresher.health().report_fault.is_none());
}

#[test]
fn hints_that_panic_are_listened_for_again() {
    let (switch, _) = single();
    let link = SwitchLink {
        hints: Some(Arc::new(PanicsAtFirst::new(()))),
        ..SwitchLink::new(Arc::new(InMemorySwitches::new()))
    };
    let refresher = start(&switch, fast(), link);
    until(|| refresher.health().hints == Some(true));
    assert_eq!(refresher.health().hint_fault, None);
}

/// Hints that a test gives one by one.
#[derive(Debug)]
struct Heard(tokio::sync::Mutex<mpsc::UnboundedReceiver<Result<SwitchHint>>>);

#[async_trait]
impl SwitchHints for Heard {
    async fn next(&self) -> Result<SwitchHint> {
        match self.0.lock().await.recv().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        }
    }
}

#[test]
fn hints_that_were_lost_are_said_to_be_lost_until_one_arrives() {
    let (switch, _) = single();
    let (say, heard) = mpsc::unbounded_channel();
    let link = SwitchLink {
        hints: Some(Arc::new(Heard(tokio::sync::Mutex::new(heard)))),
        ..SwitchLink::new(Arc::new(InMemorySwitches::new()))
    };
    let refresher = start(&switch, fast(), link);
    assert_eq!(refresher.health().hints, None, "nobody knows yet");
    let cut = || Err(Error::new(ErrorKind::Unavailable, "listen"));
    say.send(Ok(SwitchHint::Lost)).unwrap();
    until(|| refresher.health().hints == Some(false));
    assert_eq!(refresher.health().hint_fault, None);
    say.send(cut()).unwrap();
    until(|| refresher.health().hint_fault.is_some());
    assert_eq!(refresher.health().hints, Some(false), "it was seen");
    say.send(Ok(SwitchHint::Arrive)).unwrap();
    until(|| refresher.health().hints == Some(true));
    assert_eq!(refresher.health().hint_fault, None);
    say.send(cut()).unwrap();
    until(|| refresher.health().hint_fault.is_some());
    assert_eq!(
        refresher.health().hints,
        None,
        "whether they still do is not known"
    );
}

/// Counts how often it is read.
#[derive(Debug, Default)]
struct Counted {
    reads: AtomicU32,
    store: InMemorySwitches,
}

#[async_trait]
impl SwitchStore for Counted {
    async fn read(&self) -> Result<SwitchState> {
        let state = self.store.read().await;
        self.reads.fetch_add(1, Ordering::SeqCst);
        state
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        self.store.write(expected, stopped).await
    }
}

/// Keeps which generations it was told of.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<u64>>);

#[async_trait]
impl ProcessRegistry for Told {
    async fn report(&self, process: &SwitchProcess) -> Result<()> {
        self.0.lock().unwrap().push(process.generation);
        Ok(())
    }

    async fn remove(&self, _: &ProcessId) -> Result<()> {
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        Ok(Vec::new())
    }
}

/// Hints of changes whenever a test wants one.
#[derive(Debug, Default)]
struct Hinting(Notify);

#[async_trait]
impl SwitchHints for Hinting {
    async fn next(&self) -> Result<SwitchHint> {
        self.0.notified().await;
        Ok(SwitchHint::Changed)
    }
}

#[test]
fn a_process_says_what_it_applied_at_once_and_not_with_every_poll() {
    // No time passes: only a hint makes it poll, and there is no sign of life.
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (switch, _) = single();
    let (store, told) = (Arc::new(Counted::default()), Arc::new(Told::default()));
    let hints = Arc::new(Hinting::default());
    let link = SwitchLink {
        hints: Some(Arc::clone(&hints) as _),
        processes: Some(Arc::clone(&told) as _),
        ..SwitchLink::new(Arc::clone(&store) as _)
    };
    let _refresher = start(&switch, fast().with_clock(clock), link);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.write(0, &BTreeMap::new())).unwrap();
    let poll = |times: u32| {
        let wanted = store.reads.load(Ordering::SeqCst) + times;
        until(|| {
            hints.0.notify_one();
            store.reads.load(Ordering::SeqCst) >= wanted
        });
    };
    poll(1);
    until(|| {
        poll(1);
        told.0.lock().unwrap().last() == Some(&1)
    });
    poll(5);
    let told = told.0.lock().unwrap().clone();
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");
}

#[test]
fn a_file_of_another_format_is_named_and_nothing_is_taken_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let text = r#"{"format":"ops-last-known-switches/2","state":{"generation":3,"stopped":{}}}"#;
    let text = format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()));
    std::fs::write(&file, &text).unwrap();
    let (switch, _) = single();
    let refresher = start(
        &switch,
        fast().with_last_known(&file),
        SwitchLink::new(Arc::new(Hung)),
    );
    let health = refresher.health();
    assert_eq!((health.generation, health.source), (0, SwitchSource::Default));
    let fault = health.last_known_fault.unwrap();
    assert!(
        fault.contains("is not the format ops-last-known-switches/1"),
        "{fault}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it stays as it is");
}

#[test]
fn what_could_not_be_kept_is_kept_once_the_disk_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("not-yet");
    let file = folder.join("last.json");
    let (switch, _) = single();
    let link = SwitchLink::new(Arc::new(InMemorySwitches::new()));
    let refresher = start(&switch, fast().with_last_known(&file), link);
    until(|| refresher.health().last_known_fault.is_some());
    assert_eq!(refresher.health().fault, None);
    // Nothing else changes.
    std::fs::create_dir(&folder).unwrap();
    until(|| file.exists());
    until(|| refresher.health().last_known_fault.is_none());
}

#[test]
fn a_store_that_hangs_for_good_is_connected_anew() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (switch, _) = single();
    let connections = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&connections);
    let options = fast().with_clock(Arc::clone(&clock) as _);
    let refresher = SwitchRefresher::start(switch, options, move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            Ok(match first {
                // As a pool whose connections were cut without a word.
                true => SwitchLink::new(Arc::new(Hung)),
                false => SwitchLink::new(Arc::new(InMemorySwitches::new())),
            })
        }
    });
    let refresher = refresher.unwrap();
    until(|| {
        clock.advance(Duration::from_millis(100));
        refresher.health().since_contact.is_some()
    });
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// A life of a process that read the store once, at the end of which its file says so.
fn a_life_with_contact(file: &Path, clock: &Arc<ManualClock>) {
    let (switch, _) = careful();
    let options = fast().with_clock(Arc::clone(clock) as _).with_last_known(file);
    let link = SwitchLink::new(Arc::new(InMemorySwitches::new()));
    let refresher = start(&switch, options, link);
    until(|| refresher.health().since_contact.is_some() && file.exists());
}

#[test]
fn a_restart_without_contact_opens_nothing_that_was_stopped_for_want_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    a_life_with_contact(&file, &clock);
    clock.advance(GRACE);
    let (switch, brain) = careful();
    let options = fast().with_clock(Arc::clone(&clock) as _).with_last_known(&file);
    let refresher = start(&switch, options, SwitchLink::new(Arc::new(Hung)));
    assert_eq!(switch.stopped_by(brain), [SwitchLayer::Stale], "at once");
    assert_eq!(
        refresher.health().stops_in,
        [("brain".to_owned(), Duration::ZERO)]
    );
}

#[test]
fn the_time_without_contact_goes_on_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    a_life_with_contact(&file, &clock);
    clock.advance(GRACE / 2);
    let (switch, brain) = careful();
    let options = fast().with_clock(Arc::clone(&clock) as _).with_last_known(&file);
    let _refresher = start(&switch, options, SwitchLink::new(Arc::new(Hung)));
    assert!(switch.allows(brain));
    clock.advance(GRACE / 2);
    until(|| {
        // Whatever the thread waits for.
        clock.advance(Duration::from_millis(1));
        !switch.allows(brain)
    });
    assert_eq!(switch.stopped_by(brain), [SwitchLayer::Stale]);
}

#[test]
fn the_time_of_the_last_contact_is_written_down_while_nothing_else_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (switch, _) = careful();
    let options = fast().with_clock(Arc::clone(&clock) as _).with_last_known(&file);
    let _refresher = start(
        &switch,
        options,
        SwitchLink::new(Arc::new(InMemorySwitches::new())),
    );
    until(|| file.exists());
    let first = std::fs::read_to_string(&file).unwrap();
    until(|| {
        clock.advance(GRACE / 10);
        std::fs::read_to_string(&file).unwrap() != first
    });
}

#[tokio::test]
async fn a_request_does_not_go_on_with_a_stale_switch_while_the_store_hangs() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (switch, brain) = careful();
    let entry = EntryRefresh::new(Arc::clone(&switch), Arc::new(Hung), Arc::clone(&clock) as _);
    clock.advance(GRACE);
    let reading = entry.refresh();
    tokio::select! {
        biased;
        _ = reading => unreachable!("the store hangs and no time passes"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(switch.stopped_by(brain), [SwitchLayer::Stale]);
}

#[tokio::test]
async fn a_hung_list_of_processes_makes_a_verdict_and_not_a_failed_look() {
    #[derive(Debug)]
    struct HungRegistry;
    #[async_trait]
    impl ProcessRegistry for HungRegistry {
        async fn report(&self, _: &SwitchProcess) -> Result<()> {
            Err(Error::new(ErrorKind::Unavailable, "report"))
        }
        async fn remove(&self, _: &ProcessId) -> Result<()> {
            Ok(())
        }
        async fn processes(&self) -> Result<Vec<Presence>> {
            std::future::pending().await
        }
    }
    use ops_core::actions::SwitchOff;
    use ops_core::ports::Action;
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let off = SwitchOff::new(
        Arc::new(InMemorySwitches::new()),
        Arc::clone(&clock) as _,
        Actor::person("alice").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_acknowledgements(Arc::new(HungRegistry));
    assert_eq!(off.limitations().len(), 1, "a silent process expires");
    off.stop().await.unwrap();
    let (seen, ()) = tokio::join!(off.observe(), async {
        tokio::task::yield_now().await;
        // Half of what the engine grants an observation.
        clock.advance(Duration::from_secs(1));
    });
    assert_eq!(seen.unwrap().stopped().name(), "unknown");
}
