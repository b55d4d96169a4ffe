//! The refresher, its layers, and what holds when everything else is down.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::SwitchOff;
use ops_core::clock::SystemClock;
use ops_core::config::{Env, OnStale, SwitchConfig};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::guard::{EntryRefresh, KillSwitch, RefreshOptions, SwitchLayer, SwitchRefresher, SwitchSource};
use ops_core::memory::{InMemoryProcesses, InMemorySwitches};
use ops_core::model::{Actor, IdempotencyKey, RunId, Share, TargetState, Timestamp, Verdict};
use ops_core::ports::{
    Action, CallCount, ProcessId, ProcessRegistry, SwitchLink, SwitchProcess, SwitchState, SwitchStore,
    SwitchedOff,
};
use ops_core::testkit::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

fn off() -> SwitchedOff {
    SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None)
}

async fn set(store: &InMemorySwitches, stopped: &[&str]) {
    let generation = store.read().await.unwrap().generation;
    let stopped = stopped.iter().map(|name| ((*name).to_owned(), off()));
    store.write(generation, &stopped.collect()).await.unwrap();
}

/// Waits, as long as it takes, until the refresher on its own thread has done something.
fn until(reached: impl Fn() -> bool) {
    while !reached() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn fast(service: &str) -> RefreshOptions {
    RefreshOptions::new(service).with_poll(Duration::from_millis(10))
}

fn link(store: &Arc<InMemorySwitches>, processes: &Arc<InMemoryProcesses>) -> SwitchLink {
    SwitchLink {
        processes: Some(Arc::clone(processes) as _),
        ..SwitchLink::new(Arc::clone(store) as _)
    }
}

#[test]
fn a_stop_arrives_while_the_runtime_of_the_application_is_blocked() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(InMemorySwitches::new());
        let (switch, brain) = KillSwitch::single("brain");
        let switch = Arc::new(switch);
        let shared = Arc::clone(&store);
        let refresher = SwitchRefresher::start(Arc::clone(&switch), fast("chat"), move || {
            let store = Arc::clone(&shared);
            async move { Ok(SwitchLink::new(store)) }
        });
        let refresher = refresher.unwrap();
        set(&store, &["brain"]).await;
        // No await: this runtime does nothing else.
        until(|| !switch.allows(brain));
        set(&store, &[]).await;
        until(|| switch.allows(brain));
        assert_eq!(refresher.health().source, SwitchSource::Shared);
        assert_eq!(refresher.health().generation, 2);
    });
}

#[test]
fn a_restart_with_the_store_down_begins_with_what_the_store_said_last() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.json");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Arc::new(InMemorySwitches::new());
    runtime.block_on(set(&store, &["brain"]));
    let begin = |store: Arc<dyn SwitchStore>| {
        let (switch, brain) = KillSwitch::single("brain");
        let switch = Arc::new(switch);
        let options = fast("chat").with_last_known(&file);
        let refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
            let store = Arc::clone(&store);
            async move { Ok(SwitchLink::new(store)) }
        });
        (switch, brain, refresher.unwrap())
    };
    let (first, brain, refresher) = begin(Arc::clone(&store) as _);
    until(|| !first.allows(brain) && file.exists());
    drop(refresher);

    let (second, brain, refresher) = begin(Arc::new(Hung));
    assert!(!second.allows(brain), "before anything was read");
    assert_eq!(second.stopped_by(brain), [SwitchLayer::Shared]);
    assert_eq!(refresher.health().source, SwitchSource::LastKnown);
    assert_eq!(refresher.health().since_contact, None);
}

#[tokio::test]
async fn every_layer_stops_and_opens_by_a_newer_generation_of_its_own_only() {
    let brain = SwitchConfig::new("brain").with_env("USE_BRAIN_ARCHITECTURE", "false");
    let search = SwitchConfig::new("search").stopped_by_default();
    let env = Env::from_pairs([("USE_BRAIN_ARCHITECTURE", "FALSE")]);
    let switch = KillSwitch::configured(&[brain, search], &env).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    assert_eq!(switch.stopped_by(brain), [SwitchLayer::Environment]);
    assert_eq!(switch.stopped_by(search), [SwitchLayer::Default]);

    let store = InMemorySwitches::new();
    switch.refresh(&store).await.unwrap();
    assert!(switch.allows(search), "the default counts until a store was read");
    assert!(
        !switch.allows(brain),
        "the store cannot open what the environment stops"
    );

    set(&store, &["search"]).await;
    switch.refresh(&store).await.unwrap();
    switch.stop_here(search);
    assert_eq!(
        switch.stopped_by(search),
        [SwitchLayer::Process, SwitchLayer::Shared]
    );
}

#[test]
fn the_file_of_this_machine_stops_while_the_shared_store_says_open() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (shared, file) = (
        Arc::new(InMemorySwitches::new()),
        Arc::new(InMemorySwitches::new()),
    );
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let options = fast("chat").with_file_layer(Arc::clone(&file) as _);
    let store = Arc::clone(&shared);
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let store = Arc::clone(&store);
        async move { Ok(SwitchLink::new(store)) }
    });
    runtime.block_on(set(&file, &["brain"]));
    until(|| switch.stopped_by(brain) == [SwitchLayer::File]);
    file.set_reachable(false);
    runtime.block_on(set(&shared, &[]));
    until(|| switch.generation() == 1);
    assert!(
        !switch.allows(brain),
        "a layer that cannot be read keeps what it said"
    );
    file.set_reachable(true);
    runtime.block_on(set(&file, &[]));
    until(|| switch.allows(brain));
}

#[tokio::test]
async fn without_contact_a_switch_stops_after_its_grace_and_opens_by_a_fresh_read_only() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let grace = Duration::from_secs(60);
    let careful = SwitchConfig::new("careful").with_on_stale(OnStale::Stop { grace });
    let switch = KillSwitch::configured(
        &[careful, SwitchConfig::new("calm")],
        &Env::from_pairs::<&str, &str>([]),
    );
    let switch = Arc::new(switch.unwrap());
    let (careful, calm) = (
        switch.feature("careful").unwrap(),
        switch.feature("calm").unwrap(),
    );
    let store = Arc::new(InMemorySwitches::new());
    let entry = EntryRefresh::new(
        Arc::clone(&switch),
        Arc::clone(&store) as _,
        Arc::clone(&clock) as _,
    );
    entry.refresh().await.unwrap();
    store.set_reachable(false);
    clock.advance(grace - Duration::from_millis(1));
    entry.refresh().await.unwrap_err();
    assert!(switch.allows(careful));
    clock.advance(Duration::from_millis(1));
    entry.refresh().await.unwrap_err();
    assert!(!switch.allows(careful) && switch.allows(calm));
    assert_eq!(switch.stopped_by(careful), [SwitchLayer::Stale]);
    store.set_reachable(true);
    entry.refresh().await.unwrap();
    assert!(
        switch.allows(careful),
        "opened by the same generation, freshly read"
    );
}

#[tokio::test]
async fn requests_that_come_together_read_once_and_not_again_within_the_age() {
    #[derive(Debug)]
    struct Counting(AtomicU32);
    #[async_trait]
    impl SwitchStore for Counting {
        async fn read(&self) -> Result<SwitchState> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Unavailable, "read"))
        }
        async fn write(&self, _: u64, _: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
            Ok(0)
        }
    }
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    clock.advance(Duration::from_secs(1));
    let store = Arc::new(Counting(AtomicU32::new(0)));
    let (switch, _) = KillSwitch::single("brain");
    let entry = EntryRefresh::new(Arc::new(switch), Arc::clone(&store) as _, Arc::clone(&clock) as _);
    let age = Duration::from_secs(1);
    let _ = tokio::join!(
        entry.refresh_if_older(age),
        entry.refresh_if_older(age),
        entry.refresh_if_older(age)
    );
    assert_eq!(store.0.load(Ordering::SeqCst), 1);
    clock.advance(age);
    entry.refresh_if_older(age).await.unwrap_err();
    assert_eq!(store.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_stop_here_holds_at_once_with_the_store_hung_and_ends_a_running_stream() {
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let running = Arc::clone(&switch);
    let stream = tokio::spawn(async move { running.run(brain, std::future::pending::<()>()).await });
    until_async(|| switch.calls()["brain"] == CallCount::new(1, 1)).await;
    let action = SwitchOff::new(
        Arc::new(Hung),
        Arc::new(SystemClock::new()),
        Actor::person("alice").unwrap(),
        "brain",
    );
    let action = action.unwrap().with_local(Arc::clone(&switch)).unwrap();
    let stopping = tokio::spawn(async move { action.stop().await });
    assert_eq!(stream.await.unwrap(), None, "the stream was cut");
    assert!(!switch.allows(brain));
    assert!(switch.enter(brain).is_none());
    assert_eq!(switch.calls()["brain"], CallCount::new(1, 0));
    stopping.abort();
}

/// A model that never comes to an end.
async fn talk(mut to: TcpStream) -> std::io::Result<()> {
    loop {
        to.write_all(b"word ").await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_in_the_shared_store_ends_the_stream_that_a_client_reads() {
    let store = Arc::new(InMemorySwitches::new());
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let shared = Arc::clone(&store);
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), fast("chat"), move || {
        let store = Arc::clone(&shared);
        async move { Ok(SwitchLink::new(store)) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (served, _) = listener.accept().await.unwrap();
    let running = Arc::clone(&switch);
    let serving = tokio::spawn(async move { running.run(brain, talk(served)).await });
    client.read_exact(&mut [0; 15]).await.unwrap();
    set(&store, &["brain"]).await;
    // It ends because the stream does: the model goes on.
    client.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(serving.await.unwrap().is_none(), "the stream was cut");
    assert_eq!(switch.calls()["brain"], CallCount::new(1, 0));
}

async fn until_async(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_process_acknowledges_what_it_applied_and_is_forgotten_when_it_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (store, processes) = (
        Arc::new(InMemorySwitches::new()),
        Arc::new(InMemoryProcesses::new()),
    );
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let made = link(&store, &processes);
    let refresher = SwitchRefresher::start(Arc::clone(&switch), fast("chat"), move || {
        let made = made.clone();
        async move { Ok(made) }
    });
    let refresher = refresher.unwrap();
    let call = switch.enter(brain).unwrap();
    runtime.block_on(set(&store, &["brain"]));
    let listed = || runtime.block_on(processes.processes()).unwrap();
    until(|| listed().iter().any(|presence| presence.process.generation == 1));
    let process = &listed()[0].process;
    assert_eq!(
        process.calls["brain"],
        CallCount::new(1, 1),
        "one call still runs"
    );
    assert!(process.instance.ends_with(&format!("/{}", std::process::id())));
    drop(call);
    drop(refresher);
    assert!(listed().is_empty());
}

#[tokio::test]
async fn a_stop_holds_only_when_every_process_that_has_the_feature_applied_it_and_names_the_others() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let processes = Arc::new(InMemoryProcesses::with_clock(Arc::clone(&clock) as _));
    let process = |service: &str, feature: &str| {
        let mut process = SwitchProcess::new(ProcessId::generate(), service, "1", Timestamp::UNIX_EPOCH);
        process.calls.insert(feature.to_owned(), CallCount::default());
        process
    };
    let (mut chat, other) = (process("chat", "brain"), process("batch", "search"));
    processes.report(&chat).await.unwrap();
    processes.report(&other).await.unwrap();
    let store = Arc::new(InMemorySwitches::new());
    let off = SwitchOff::new(
        Arc::clone(&store) as _,
        Arc::clone(&clock) as _,
        Actor::person("alice").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_acknowledgements(Arc::clone(&processes) as _);
    off.stop().await.unwrap();
    assert_eq!(
        off.observe().await.unwrap().stopped(),
        Verdict::not_yet("not applied by chat (1)")
    );
    clock.advance(Duration::from_secs(20));
    assert_eq!(
        off.observe().await.unwrap().stopped(),
        Verdict::not_yet("not applied by chat (1): missing, silent for 20 s"),
        "no sign of life is missing, not gone"
    );
    chat.generation = 1;
    processes.report(&chat).await.unwrap();
    assert!(off.observe().await.unwrap().stopped().holds());
    processes.set_reachable(false);
    assert_eq!(off.observe().await.unwrap().stopped().name(), "unknown");
}

#[tokio::test]
async fn a_switch_opens_in_parts_for_the_same_users_and_closes_as_a_whole() {
    let store = Arc::new(InMemorySwitches::new());
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let off = SwitchOff::new(
        Arc::clone(&store) as _,
        Arc::new(SystemClock::new()),
        Actor::person("alice").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_local(Arc::clone(&switch)).unwrap();
    let key = IdempotencyKey::for_step(&RunId::generate(Timestamp::UNIX_EPOCH), 0);
    let prior = off.observe().await.unwrap().snapshot().clone();
    off.apply(&key).await.unwrap();
    let ramp = off.ramp().unwrap();
    let admitted = || {
        let users = (0..1000).map(|at| format!("user-{at}"));
        users
            .filter(|user| switch.admits(brain, user))
            .collect::<Vec<_>>()
    };
    assert!(admitted().is_empty());
    let mut before = Vec::new();
    for percent in [1, 10, 50] {
        let share = Share::percent(percent).unwrap();
        ramp.open_partly(&prior, share, &key).await.unwrap();
        let seen = off.observe().await.unwrap();
        assert_eq!(seen.state(), TargetState::PartlyStopped);
        assert!(ramp.verify_share(&seen, share).holds());
        assert!(!ramp.verify_share(&seen, Share::percent(99).unwrap()).holds());
        assert!(!switch.allows(brain), "not for everybody");
        assert!(before.iter().all(|user| admitted().contains(user)));
        before = admitted();
        assert!(!before.is_empty());
    }
    switch.stop_here(brain);
    assert!(admitted().is_empty(), "a stop here is for everybody");
    off.apply(&key).await.unwrap();
    assert!(off.observe().await.unwrap().stopped().holds());
    assert!(admitted().is_empty());
    off.restore(&prior, &key).await.unwrap();
    assert_eq!(off.observe().await.unwrap().snapshot(), &prior);
    assert_eq!(admitted().len(), 1000);
}

#[tokio::test]
async fn a_store_that_went_back_still_stops_and_opens_nothing() {
    let switch = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    let mut state = SwitchState::default();
    state.generation = 9;
    state.stopped.insert("search".to_owned(), off());
    switch.adopt(&state);
    state.generation = 1;
    state.stopped = BTreeMap::from([("brain".to_owned(), off())]);
    switch.adopt(&state);
    assert!(!switch.allows(brain) && !switch.allows(search));
}
