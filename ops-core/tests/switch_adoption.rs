//! What a process takes over from the shared store, and what it must not: stops made here while a read was under way, stores that went back.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::SwitchOff;
use ops_core::clock::SystemClock;
use ops_core::error::{ErrorKind, Result};
use ops_core::guard::{EntryRefresh, KillSwitch, RefreshOptions, SwitchLayer, SwitchRefresher};
use ops_core::memory::{InMemoryProcesses, InMemorySwitches};
use ops_core::model::{Actor, Share, Timestamp, Verdict};
use ops_core::ports::{
    Action, CallCount, ProcessId, ProcessRegistry, SwitchLink, SwitchProcess, SwitchState, SwitchStore,
    SwitchedOff,
};
use tokio::sync::Semaphore;

fn off() -> SwitchedOff {
    SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None)
}

fn state(generation: u64, stopped: &[&str]) -> SwitchState {
    let mut state = SwitchState::default();
    state.generation = generation;
    state.stopped = stopped.iter().map(|name| ((*name).to_owned(), off())).collect();
    state
}

/// A store whose answers are seen and held back, and whose state a test sets as it likes.
#[derive(Debug)]
struct Held {
    state: Mutex<SwitchState>,
    /// How many answers may leave.
    answers: Semaphore,
    /// How many calls were answered but not yet let go.
    asked: Semaphore,
}

impl Held {
    fn new(state: SwitchState) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            answers: Semaphore::new(0),
            asked: Semaphore::new(0),
        })
    }

    fn set(&self, state: SwitchState) {
        *self.state.lock().unwrap() = state;
    }

    /// Waits until a call has its answer.
    async fn asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }

    fn let_go(&self, answers: usize) {
        self.answers.add_permits(answers);
    }

    async fn held_back<T>(&self, answer: T) -> T {
        self.asked.add_permits(1);
        self.answers.acquire().await.unwrap().forget();
        answer
    }
}

#[async_trait]
impl SwitchStore for Held {
    async fn read(&self) -> Result<SwitchState> {
        let state = self.state.lock().unwrap().clone();
        Ok(self.held_back(state).await)
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        let mut state = SwitchState::default();
        state.generation = expected + 1;
        state.stopped.clone_from(stopped);
        self.set(state);
        Ok(self.held_back(expected + 1).await)
    }
}

/// Reads once while the store says stopped; a stop is made here meanwhile, and the store opens afterwards.
async fn stop_during_a_read(
    switch: &KillSwitch,
    store: &Held,
    first: impl Future<Output = ()>,
    second: impl Future<Output = ()>,
) {
    let brain = switch.feature("brain").unwrap();
    let ((), ()) = tokio::join!(first, async {
        store.asked().await;
        switch.stop_here(brain);
        store.let_go(1);
    });
    store.set(state(2, &[]));
    store.let_go(1);
    second.await;
    assert_eq!(
        switch.stopped_by(brain),
        [SwitchLayer::Process],
        "the store never showed the stop that was made here"
    );
    assert!(!switch.allows(brain));
}

#[tokio::test]
async fn a_read_that_began_before_a_stop_made_here_does_not_forget_it() {
    let (switch, brain) = KillSwitch::single("brain");
    let store = Held::new(state(1, &["brain"]));
    let refresh = || async {
        switch.refresh(&*store).await.unwrap();
    };
    stop_during_a_read(&switch, &store, refresh(), refresh()).await;
    // Shown by a read that began later, and ended by a newer generation.
    store.let_go(2);
    store.set(state(3, &["brain"]));
    refresh().await;
    store.set(state(4, &[]));
    refresh().await;
    assert!(switch.allows(brain));
}

#[tokio::test]
async fn a_read_at_request_entry_that_began_before_a_stop_made_here_does_not_forget_it() {
    let (switch, _) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let store = Held::new(state(1, &["brain"]));
    let entry = EntryRefresh::new(
        Arc::clone(&switch),
        Arc::clone(&store) as _,
        Arc::new(SystemClock::new()),
    );
    let refresh = || async { entry.refresh().await.unwrap() };
    stop_during_a_read(&switch, &store, refresh(), refresh()).await;
}

#[tokio::test]
async fn a_poll_that_began_before_a_stop_made_here_does_not_forget_it() {
    let (switch, _) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let store = Held::new(state(1, &["brain"]));
    let shared = Arc::clone(&store);
    let options = RefreshOptions::new("chat").with_poll(Duration::from_millis(10));
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let store = Arc::clone(&shared);
        async move { Ok(SwitchLink::new(store as _)) }
    });
    let adopted = |generation| {
        let switch = Arc::clone(&switch);
        async move {
            while switch.generation() < generation {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    stop_during_a_read(&switch, &store, adopted(1), adopted(2)).await;
}

#[tokio::test]
async fn a_state_that_was_handed_over_forgets_no_stop_made_here() {
    let (switch, brain) = KillSwitch::single("brain");
    switch.stop_here(brain);
    // Nobody knows when it was read.
    switch.adopt(&state(1, &["brain"]));
    switch.adopt(&state(2, &[]));
    assert!(!switch.allows(brain));
}

#[tokio::test]
async fn opening_does_not_undo_a_stop_that_was_made_here_meanwhile() {
    let features = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        features.feature("brain").unwrap(),
        features.feature("search").unwrap(),
    );
    for stopped_meanwhile in [brain, search] {
        let store = Held::new(state(1, &["brain"]));
        let switch = Arc::new(KillSwitch::new(["brain", "search"]).unwrap());
        switch.stop_here(brain);
        let action = SwitchOff::new(
            Arc::clone(&store) as _,
            Arc::new(SystemClock::new()),
            Actor::person("alice").unwrap(),
            "brain",
        );
        let action = action.unwrap().with_local(Arc::clone(&switch)).unwrap();
        let (opened, ()) = tokio::join!(action.open(), async {
            store.asked().await;
            store.let_go(1);
            // The write is made and its answer is on the way.
            store.asked().await;
            switch.stop_here(stopped_meanwhile);
            store.let_go(2);
        });
        opened.unwrap();
        assert_eq!(
            switch.allows(brain),
            stopped_meanwhile == search,
            "a stop of {stopped_meanwhile:?} meanwhile"
        );
        assert_eq!(switch.allows(search), stopped_meanwhile == brain);
    }
}

#[tokio::test]
async fn an_equal_generation_with_another_content_opens_nothing() {
    let switch = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    switch.adopt(&state(5, &["brain"]));
    switch.adopt(&state(5, &["search"]));
    assert!(!switch.allows(brain) && !switch.allows(search));
    let mut partly = state(5, &["brain"]);
    partly.stopped.get_mut("brain").unwrap().admitted = Some(Share::percent(50).unwrap());
    switch.adopt(&partly);
    assert!((0..100).all(|user| !switch.admits(brain, &user.to_string())));
    switch.adopt(&state(6, &[]));
    assert!(switch.allows(brain) && switch.allows(search));
}

#[test]
fn a_store_that_went_back_takes_back_the_share_of_what_it_stops_and_of_nothing_else() {
    let switch = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    let mut partly = state(5, &["brain", "search"]);
    for off in partly.stopped.values_mut() {
        off.admitted = Some(Share::percent(50).unwrap());
    }
    switch.adopt(&partly);
    let admitted = |feature| {
        (0..100)
            .filter(|user: &u8| switch.admits(feature, &user.to_string()))
            .count()
    };
    let others = admitted(search);
    assert!(admitted(brain) > 0 && others > 0);
    switch.adopt(&state(4, &["brain"]));
    assert_eq!((admitted(brain), admitted(search)), (0, others));
}

#[tokio::test]
async fn a_process_that_knows_a_generation_from_before_the_store_went_back_owes_the_stop() {
    let processes = Arc::new(InMemoryProcesses::new());
    let mut frozen = SwitchProcess::new(ProcessId::generate(), "chat", "1", Timestamp::UNIX_EPOCH);
    frozen.generation = 9;
    frozen.calls.insert("brain".to_owned(), CallCount::default());
    processes.report(&frozen).await.unwrap();
    let off = SwitchOff::new(
        // Restored from a backup: it begins anew.
        Arc::new(InMemorySwitches::new()),
        Arc::new(SystemClock::new()),
        Actor::person("alice").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_acknowledgements(Arc::clone(&processes) as _);
    off.stop().await.unwrap();
    assert_eq!(
        off.observe().await.unwrap().stopped(),
        Verdict::not_yet("not applied by chat (1)")
    );
    frozen.generation = 1;
    processes.report(&frozen).await.unwrap();
    assert!(off.observe().await.unwrap().stopped().holds());
}

#[tokio::test]
async fn a_process_that_applied_the_stop_of_a_store_that_went_back_says_so() {
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let (store, processes) = (Held::new(state(9, &[])), Arc::new(InMemoryProcesses::new()));
    store.let_go(1_000_000);
    let link = SwitchLink {
        processes: Some(Arc::clone(&processes) as _),
        ..SwitchLink::new(Arc::clone(&store) as _)
    };
    let options = RefreshOptions::new("chat").with_poll(Duration::from_millis(10));
    let refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let link = link.clone();
        async move { Ok(link) }
    });
    let refresher = refresher.unwrap();
    let reported = |generation| {
        let processes = Arc::clone(&processes);
        async move {
            let reported = async || {
                let listed = processes.processes().await.unwrap();
                listed.first().map(|one| one.process.generation)
            };
            while reported().await != Some(generation) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    reported(9).await;
    store.set(state(3, &["brain"]));
    reported(3).await;
    assert!(!switch.allows(brain));
    assert!(refresher.health().went_back);
    assert_eq!(refresher.health().generation, 9, "what opens must have passed it");
}

#[tokio::test]
async fn a_restart_after_the_store_went_back_begins_with_what_was_known_before() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let begin = |store: &Arc<Held>| {
        let (switch, brain) = KillSwitch::single("brain");
        let (switch, store) = (Arc::new(switch), Arc::clone(store));
        let options = RefreshOptions::new("chat")
            .with_poll(Duration::from_millis(10))
            .with_last_known(&file);
        let refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
            let store = Arc::clone(&store);
            async move { Ok(SwitchLink::new(store as _)) }
        });
        (switch, brain, refresher.unwrap())
    };
    let until = async |reached: &dyn Fn() -> bool| {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let store = Held::new(state(9, &["brain"]));
    store.let_go(1_000_000);
    let (_, _, refresher) = begin(&store);
    until(&|| file.exists()).await;
    store.set(state(3, &[]));
    until(&|| refresher.health().went_back).await;
    let reads = store.asked.available_permits();
    until(&|| store.asked.available_permits() > reads + 20).await;
    drop(refresher);

    let silent = Held::new(state(3, &[]));
    let (switch, brain, refresher) = begin(&silent);
    assert_eq!(refresher.health().generation, 9);
    assert!(!switch.allows(brain));
}

#[test]
fn nobody_is_let_in_by_the_share_of_an_earlier_opening_while_a_feature_closes() {
    // The last of many: while the others are dealt with, it is on its way.
    let others = (0..62).map(|at| format!("other-{at}"));
    let switch = KillSwitch::new(others.chain(["brain".to_owned()])).unwrap();
    let brain = switch.feature("brain").unwrap();
    let store = Held::new(SwitchState::default());
    store.let_go(10_000_000);
    // Odd: closed.
    let phase = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let before = phase.load(Ordering::SeqCst);
                let admitted = switch.admits(brain, "user");
                let closed_all_the_time = before % 2 == 1 && phase.load(Ordering::SeqCst) == before;
                assert!(!(admitted && closed_all_the_time), "let in though it is stopped");
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let refresh = |state| {
            store.set(state);
            runtime.block_on(switch.refresh(&*store)).unwrap();
        };
        for round in (1..30_000).step_by(3) {
            let mut partly = state(round, &["brain"]);
            partly.stopped.get_mut("brain").unwrap().admitted = Some(Share::percent(100).unwrap());
            refresh(partly);
            switch.stop_here(brain);
            phase.fetch_add(1, Ordering::SeqCst);
            // From stopped here to stopped by the store.
            refresh(state(round + 1, &["brain"]));
            phase.fetch_add(1, Ordering::SeqCst);
            refresh(state(round + 2, &[]));
            assert!(switch.allows(brain));
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[tokio::test]
async fn an_opening_that_was_agreed_for_one_generation_opens_no_newer_stop() {
    let store = Arc::new(InMemorySwitches::new());
    let action = SwitchOff::new(
        Arc::clone(&store) as _,
        Arc::new(SystemClock::new()),
        Actor::person("alice").unwrap(),
        "brain",
    );
    let action = action.unwrap();
    action.stop().await.unwrap();
    let agreed = store.read().await.unwrap().generation;
    // Opened and stopped again since.
    action.open().await.unwrap();
    action.stop().await.unwrap();
    let refused = action.open_at(agreed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let now = store.read().await.unwrap();
    assert!(now.stopped.contains_key("brain"));
    action.open_at(now.generation).await.unwrap();
    assert!(!store.read().await.unwrap().stopped.contains_key("brain"));
}
