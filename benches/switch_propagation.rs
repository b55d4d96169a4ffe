//! How long a stop takes to reach 50 real processes on a real PostgreSQL, with notifications and by polling alone, and how long a running
//! stream goes on after the bit has flipped. Prints the floor (one write and one read of the store), the value, the ratio.
//!
//! Each child tells the time at which its own bit flipped; all run on one machine and so share a clock.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ops_core::config::Env;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{ProcessRegistry, SwitchLink, SwitchStore, SwitchedOff};
use ops_core::testkit::PostgresServer;
use ops_postgres::{PostgresProcesses, PostgresStore, PostgresSwitchStore};
use secrecy::SecretString;

const PROCESSES: usize = 50;
const ROUNDS: u64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = Env::process();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match env.secret("SWITCH_CHILD_URL") {
        Some(url) => runtime.block_on(child(url, env.text("SWITCH_CHILD_HINTS").is_some())),
        None => runtime.block_on(parent()),
    }
}

/// Says the generation and the time whenever its bit has changed.
async fn child(url: SecretString, hints: bool) -> Result<(), Box<dyn std::error::Error>> {
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), RefreshOptions::new("bench"), move || {
        let url = url.clone();
        async move {
            let link = PostgresSwitchStore::link(&url).await?;
            let kept = link.hints.clone().filter(|_| hints);
            Ok(SwitchLink { hints: kept, ..link })
        }
    })?;
    loop {
        switch.stopped(brain).await;
        println!("{} {}", switch.generation(), now());
        while !switch.allows(brain) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn parent() -> Result<(), Box<dyn std::error::Error>> {
    stream_end().await;
    let server = PostgresServer::start().await?;
    let url = SecretString::from(server.url());
    let store = PostgresStore::connect(&url).await?;
    store.migrate().await?;
    let switches = PostgresSwitchStore::new(&store);
    let mut floor = Vec::new();
    for _ in 0..50 {
        let began = now();
        let generation = switches.read().await?.generation;
        switches.write(generation, &BTreeMap::new()).await?;
        switches.read().await?;
        floor.push(now() - began);
    }
    floor.sort_unstable();
    let floor = floor[floor.len() / 2].max(1);
    println!("write and two reads        {:9.3} ms (floor, median)", ms(floor));
    let processes = PostgresProcesses::new(&store);
    for hints in [true, false] {
        measure(&url, &switches, &processes, hints, floor).await?;
    }
    Ok(())
}

async fn measure(
    url: &SecretString,
    switches: &PostgresSwitchStore,
    processes: &PostgresProcesses,
    hints: bool,
    floor: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let mut child = spawn(url, hints)?;
        let lines = child.stdout.take().map(BufReader::new);
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                let mut words = line.split(' ').map_while(|word| word.parse::<u64>().ok());
                if let (Some(generation), Some(at)) = (words.next(), words.next()) {
                    let _ = sender.send((generation, at));
                }
            }
        });
        children.push(Running(child));
    }
    let ready = |listed: &[ops_core::ports::Presence], generation: u64| {
        let there = listed.iter().filter(|one| {
            one.process.generation >= generation
                && (!hints || one.process.hints == Some(true) || generation > 0)
        });
        there.count() >= PROCESSES
    };
    let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("bench")?, None);
    let stopped = BTreeMap::from([("brain".to_owned(), off)]);
    let mut taken = Vec::new();
    let mut generation = switches.read().await?.generation;
    while !ready(&processes.processes().await?, if hints { 0 } else { generation }) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..ROUNDS {
        let began = now();
        generation = switches.write(generation, &stopped).await?;
        for _ in 0..PROCESSES {
            let (_, at) = heard.recv().await.ok_or("the children ended")?;
            taken.push(at.saturating_sub(began));
        }
        while !ready(&processes.processes().await?, generation) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        generation = switches.write(generation, &BTreeMap::new()).await?;
        while !ready(&processes.processes().await?, generation) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    taken.sort_unstable();
    let at = |part: usize| taken[(taken.len() * part / 100).min(taken.len() - 1)];
    let (name, bar) = match hints {
        true => ("by NOTIFY", "50 ms"),
        false => ("by polling", "1 s + round trip"),
    };
    println!(
        "{PROCESSES} processes, {name:<11} p50 {:9.3} ms   p99 {:9.3} ms (bar: {bar})   max {:9.3} ms   p99 {:.1} x the floor   {} stops, all acknowledged",
        ms(at(50)),
        ms(at(99)),
        ms(at(100)),
        at(99) as f64 / floor as f64,
        taken.len()
    );
    if hints {
        frozen(switches, processes, &children, generation, &stopped).await?;
    }
    Ok(())
}

/// One process is frozen: the others apply the stop, and it is the one that is named.
async fn frozen(
    switches: &PostgresSwitchStore,
    processes: &PostgresProcesses,
    children: &[Running],
    generation: u64,
    stopped: &BTreeMap<String, SwitchedOff>,
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(one) = children.first() else {
        return Ok(());
    };
    let signal = |name: &str| {
        Command::new("kill")
            .args([name, &one.0.id().to_string()])
            .status()
    };
    signal("-STOP")?;
    let generation = switches.write(generation, stopped).await?;
    let owing = loop {
        let listed = processes.processes().await?;
        let owing: Vec<_> = listed
            .iter()
            .filter(|one| one.owes("brain", generation))
            .cloned()
            .collect();
        if owing.len() <= 1 && owing.iter().all(ops_core::ports::Presence::is_missing) {
            break owing;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let named = owing
        .iter()
        .any(|owing| owing.process.instance.ends_with(&format!("/{}", one.0.id())));
    println!(
        "one process frozen         {} owes the stop; it is the frozen one: {named}",
        owing.len()
    );
    signal("-CONT")?;
    Ok(())
}

/// From the flip of the bit to the end of a stream that waits for its next token.
async fn stream_end() {
    let mut taken = Vec::new();
    for _ in 0..200 {
        let (switch, brain) = KillSwitch::single("brain");
        let switch = Arc::new(switch);
        let running = Arc::clone(&switch);
        let stream = tokio::spawn(async move {
            running.run(brain, std::future::pending::<()>()).await;
            clock()
        });
        tokio::task::yield_now().await;
        let flipped = clock();
        // As from another thread: the refresher's, or that of an admin route.
        let _ = std::thread::spawn(move || switch.stop_here(brain)).join();
        if let Ok(ended) = stream.await {
            taken.push((ended - flipped).as_secs_f64() * 1e3);
        }
    }
    taken.sort_by(f64::total_cmp);
    println!(
        "end of a running stream    {:9.3} ms median   {:9.3} ms max of {} (bar: 10 ms)",
        taken[taken.len() / 2],
        taken[taken.len() - 1],
        taken.len()
    );
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(url: &SecretString, hints: bool) -> std::io::Result<Child> {
    use secrecy::ExposeSecret;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env("SWITCH_CHILD_URL", url.expose_secret())
        .stdout(Stdio::piped());
    if hints {
        command.env("SWITCH_CHILD_HINTS", "1");
    }
    command.spawn()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures real time, across processes of one machine"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn clock() -> Instant {
    Instant::now()
}

fn ms(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1e3
}
