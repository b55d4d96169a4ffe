//! How often a process looks what the others have decided.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::memory::InMemorySwitches;
use ops_core::model::Timestamp;
use ops_core::ports::{Clock, SwitchLink};
use ops_core::testkit::ManualClock;

/// Notes how long somebody wants to sleep; then that time is over.
#[derive(Debug)]
struct Noting {
    clock: ManualClock,
    pauses: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for Noting {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.pauses.lock().unwrap().push(duration);
        self.clock.sleep(duration).await;
    }
}

const POLL: Duration = Duration::from_secs(10);

/// The first pauses between polls of this store.
fn pauses(store: InMemorySwitches, count: usize) -> Vec<Duration> {
    let clock = Arc::new(Noting {
        clock: ManualClock::self_moving(),
        pauses: Mutex::default(),
    });
    let (switch, _) = KillSwitch::single("brain");
    let options = RefreshOptions::new("chat")
        .with_poll(POLL)
        .with_clock(Arc::clone(&clock) as _);
    let store = Arc::new(store);
    let refresher = SwitchRefresher::start(Arc::new(switch), options, move || {
        let store = Arc::clone(&store);
        async move { Ok(SwitchLink::new(store)) }
    });
    while clock.pauses.lock().unwrap().len() < count {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(refresher.unwrap());
    let mut pauses = clock.pauses.lock().unwrap().clone();
    pauses.truncate(count);
    pauses
}

#[test]
fn a_pause_is_never_longer_than_the_interval_and_not_always_the_same() {
    let pauses = pauses(InMemorySwitches::new(), 40);
    let shortest = POLL * 9 / 10;
    assert!(
        pauses.iter().all(|pause| (shortest..=POLL).contains(pause)),
        "{pauses:?}"
    );
    assert!(
        pauses.windows(2).any(|two| two[0] != two[1]),
        "who began together would stay together: {pauses:?}"
    );
}

#[test]
fn a_store_that_fails_is_asked_again_soon_and_then_less_and_less_often() {
    let store = InMemorySwitches::new();
    store.set_reachable(false);
    let mut longest = Duration::from_millis(100);
    for pause in pauses(store, 12) {
        assert!(
            (longest / 2..=longest).contains(&pause),
            "{pause:?} of {longest:?}"
        );
        longest = (longest * 2).min(POLL);
    }
}
