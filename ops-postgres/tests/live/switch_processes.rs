//! The switch across real processes on a real PostgreSQL: the test binary runs itself as the children.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::SwitchOff;
use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::model::Actor;
use ops_core::ports::{Action, ProcessRegistry, SwitchHint, SwitchHints, SwitchStore};
use ops_postgres::{PostgresProcesses, PostgresSwitchHints, PostgresSwitchStore};
use secrecy::{ExposeSecret, SecretString};

use super::world::World;

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
