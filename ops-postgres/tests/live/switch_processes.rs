//! The switch across real processes on a real PostgreSQL: the test binary runs itself as the children.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::SwitchOff;
use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::error::ErrorKind;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::model::Actor;
use ops_core::ports::{Action, ProcessRegistry, SwitchHint, SwitchHints, SwitchStore};
use ops_postgres::{PostgresProcesses, PostgresStore, PostgresSwitchHints, PostgresSwitchStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::world::{World, run};

/// The body of a child; without the variable it is nothing.
#[test]
fn child_of_the_switch_tests() {
    let Some(url) = Env::process().secret("SWITCH_CHILD_URL") else {
        return;
    };
    let name = Env::process().text("SWITCH_CHILD_NAME").unwrap();
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let options = RefreshOptions::new("child").with_instance(name);
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let url = url.clone();
        async move { PostgresSwitchStore::link(&url).await }
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(switch.stopped(brain));
    std::io::Write::write_all(&mut std::io::stdout(), b"STOPPED\n").unwrap();
    // Until the parent closes standard input.
    let _ = std::io::stdin().read_line(&mut String::new());
}

struct Process(Child);

impl Process {
    fn start(url: &SecretString, name: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "switch_processes::child_of_the_switch_tests",
                "--nocapture",
            ])
            .env("SWITCH_CHILD_URL", url.expose_secret())
            .env("SWITCH_CHILD_NAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    fn wait_until_stopped(&mut self) {
        // Borrowed, not taken: the child goes on writing when it ends.
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let stopped = lines.any(|line| line.is_ok_and(|line| line.contains("STOPPED")));
        assert!(stopped, "a child ended without being stopped");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_stop_reaches_real_processes_and_names_the_one_that_is_frozen() {
    let Some(world) = World::new().await else { return };
    let url = world.scratch.owner_url().clone();
    let mut children: Vec<_> = (0..3).map(|at| Process::start(&url, &format!("c{at}"))).collect();
    let frozen = Process::start(&url, "frozen");
    let processes = Arc::new(PostgresProcesses::new(&world.store));
    while processes.processes().await.unwrap().len() < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    frozen.signal("-STOP");
    let store = Arc::new(PostgresSwitchStore::new(&world.store));
    let off = SwitchOff::new(
        Arc::clone(&store) as _,
        Arc::new(SystemClock::new()),
        Actor::person("alice").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_acknowledgements(Arc::clone(&processes) as _);
    off.stop().await.unwrap();
    for child in &mut children {
        child.wait_until_stopped();
    }
    let verdict = loop {
        let verdict = off.observe().await.unwrap().stopped();
        if !verdict.reason().unwrap_or_default().contains("(c") {
            break verdict;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(verdict.reason(), Some("not applied by child (frozen)"));
    frozen.signal("-CONT");
    while !off.observe().await.unwrap().stopped().holds() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(children);
    drop(frozen);
    assert!(
        processes.processes().await.unwrap().is_empty(),
        "a clean exit leaves no row"
    );
    world.close().await;
}

#[tokio::test]
async fn notifications_are_seen_to_arrive_and_a_write_is_one() {
    let Some(world) = World::new().await else { return };
    let hints = PostgresSwitchHints::new(&world.store);
    assert_eq!(hints.next().await.unwrap(), SwitchHint::Arrive);
    let store = PostgresSwitchStore::new(&world.store);
    store.write(0, &BTreeMap::new()).await.unwrap();
    assert_eq!(hints.next().await.unwrap(), SwitchHint::Changed);
    world.close().await;
}

/// The kill switch of a process whose role owns nothing.
fn of_the_application(world: &World) -> (Arc<KillSwitch>, SwitchRefresher) {
    let (switch, _) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let url = world.scratch.app_url().clone();
    let options = RefreshOptions::new("chat").with_poll(Duration::from_millis(50));
    let refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let url = url.clone();
        async move { PostgresSwitchStore::link(&url).await }
    });
    (switch, refresher.unwrap())
}

async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_application_that_was_granted_nothing_says_what_is_missing_and_with_the_grant_it_is_stopped_and_seen()
 {
    let Some(world) = World::new().await else { return };
    let (switch, refresher) = of_the_application(&world);
    until(|| refresher.health().fault.is_some()).await;
    let fault = refresher.health().fault.unwrap();
    assert!(fault.contains("grant_switches"), "{fault}");

    // Only half of the grant: it can be stopped, and nobody sees it.
    let app = format!("{}_app", world.scratch.name());
    let mut owner = world.owner().await;
    let half = format!("grant usage on schema ops to {app}; grant select on ops.switch_state to {app}");
    run(&mut owner, &half).await.unwrap();
    until(|| refresher.health().report_fault.is_some()).await;
    until(|| refresher.health().fault.is_none()).await;
    let processes = Arc::new(PostgresProcesses::new(&world.store));
    assert!(processes.processes().await.unwrap().is_empty());

    world.store.grant_switches(&app).await.unwrap();
    world.store.grant_switches(&app).await.unwrap();
    until(|| refresher.health().report_fault.is_none()).await;
    let off = SwitchOff::new(
        PostgresSwitchStore::link(world.scratch.app_url())
            .await
            .unwrap()
            .store,
        Arc::new(SystemClock::new()),
        Actor::service("chat").unwrap(),
        "brain",
    );
    let off = off.unwrap().with_acknowledgements(processes);
    off.stop().await.unwrap();
    let brain = switch.feature("brain").unwrap();
    until(|| !switch.allows(brain)).await;
    while !off.observe().await.unwrap().stopped().holds() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // And nothing else.
    let mut app = world.app().await;
    for statement in [
        "delete from ops.switch_state",
        "select from ops.journal_entry",
        "truncate ops.switch_process",
    ] {
        assert!(run(&mut app, statement).await.is_err(), "{statement}");
    }
    drop(refresher);
    world.close().await;
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_remedy() {
    let Some(world) = World::new().await else { return };
    let mut owner = world.owner().await;
    run(&mut owner, "drop schema ops cascade").await.unwrap();
    let error = PostgresSwitchStore::link(world.scratch.owner_url())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("migrate"), "{error}");
    world.close().await;
}

/// Passes bytes on to the database until the application begins to listen; from there on it keeps the connection open and is silent.
async fn silent_from_listen(url: &SecretString) -> (SecretString, Arc<Notify>) {
    let options: PgConnectOptions = url.expose_secret().parse().unwrap();
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = url.expose_secret().replace(
        &format!("{}:{}", options.get_host(), options.get_port()),
        &listener.local_addr().unwrap().to_string(),
    );
    assert_ne!(&through, url.expose_secret());
    let silent = Arc::new(Notify::new());
    let says = Arc::clone(&silent);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (says, server) = (Arc::clone(&says), TcpStream::connect(&server).await.unwrap());
            tokio::spawn(pass_on(client, server, says));
        }
    });
    (SecretString::from(through), silent)
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, silent: Arc<Notify>) {
    let (mut from_client, mut from_server) = ([0_u8; 4096], [0_u8; 4096]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(read @ 1..) = read else { return };
                if from_client[..read].windows(6).any(|bytes| bytes.eq_ignore_ascii_case(b"listen")) {
                    silent.notify_one();
                    std::future::pending::<()>().await;
                }
                if server.write_all(&from_client[..read]).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&from_server[..read]).await.is_err() { return }
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_goes_silent_in_the_middle_is_given_up() {
    let Some(world) = World::new().await else { return };
    let (url, silent) = silent_from_listen(world.scratch.owner_url()).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let hints = Arc::new(PostgresSwitchHints::new(&store));
    let listening = tokio::spawn(async move { hints.next().await });
    silent.notified().await;
    // Nothing comes any more: from here on time passes by itself.
    tokio::time::pause();
    let given_up = listening.await.unwrap().unwrap_err();
    assert_eq!(given_up.kind(), ErrorKind::Timeout);
    tokio::time::resume();
    world.close().await;
}
