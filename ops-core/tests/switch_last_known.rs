//! What a process keeps for its next start, and when.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::config::{Env, OnStale, SwitchConfig};
use ops_core::error::Result;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::memory::InMemorySwitches;
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{SwitchHint, SwitchHints, SwitchLink, SwitchState, SwitchStore, SwitchedOff};
use ops_core::testkit::ManualClock;
use tokio::sync::Notify;

/// A store that tells of changes when a test wants it, and counts how often it is read.
#[derive(Debug, Default)]
struct Store {
    reads: AtomicU32,
    switches: InMemorySwitches,
    changed: Notify,
}

#[async_trait]
impl SwitchStore for Store {
    async fn read(&self) -> Result<SwitchState> {
        let state = self.switches.read().await;
        self.reads.fetch_add(1, Ordering::SeqCst);
        state
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        self.switches.write(expected, stopped).await
    }
}

#[async_trait]
impl SwitchHints for Store {
    async fn next(&self) -> Result<SwitchHint> {
        self.changed.notified().await;
        Ok(SwitchHint::Changed)
    }
}

/// A process on a clock that stands still, so that only a hint makes it poll.
struct Process {
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    file: PathBuf,
    _refresher: SwitchRefresher,
}

const GRACE: Duration = Duration::from_secs(60);

impl Process {
    fn start(directory: &Path) -> Self {
        let (store, file) = (Arc::new(Store::default()), directory.join("last.json"));
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let careful = SwitchConfig::new("brain").with_on_stale(OnStale::Stop { grace: GRACE });
        let switch = KillSwitch::configured(&[careful], &Env::from_pairs::<&str, &str>([])).unwrap();
        let options = RefreshOptions::new("chat")
            .with_clock(Arc::clone(&clock) as _)
            .with_last_known(&file);
        let link = SwitchLink {
            hints: Some(Arc::clone(&store) as _),
            ..SwitchLink::new(Arc::clone(&store) as _)
        };
        let refresher = SwitchRefresher::start(Arc::new(switch), options, move || {
            let link = link.clone();
            async move { Ok(link) }
        });
        Self {
            store,
            clock,
            file,
            _refresher: refresher.unwrap(),
        }
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// Polls so often at least.
    fn poll(&self, times: u32) {
        let wanted = self.store.reads.load(Ordering::SeqCst) + times;
        while self.store.reads.load(Ordering::SeqCst) < wanted {
            self.store.changed.notify_one();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Polls, as long as it takes, until the file is so.
    fn poll_until(&self, reached: impl Fn(&str) -> bool) {
        while !reached(&self.kept()) {
            self.poll(1);
        }
    }
}

#[test]
fn a_stop_is_kept_as_soon_as_it_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    process.poll_until(|kept| !kept.is_empty());
    let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
    let stopped = BTreeMap::from([("brain".to_owned(), off)]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(process.store.write(0, &stopped)).unwrap();
    process.poll_until(|kept| kept.contains("brain"));
}

#[test]
fn the_time_of_contact_is_kept_after_a_tenth_of_the_grace_and_not_with_every_poll() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    process.poll_until(|kept| !kept.is_empty());
    let first = process.kept();
    let tick = Duration::from_millis(1);
    process.clock.advance(GRACE / 10 - tick);
    process.poll(20);
    assert_eq!(process.kept(), first);
    process.clock.advance(tick);
    process.poll_until(|kept| kept != first);
}
