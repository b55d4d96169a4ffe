//! How long a stop takes to reach 50 real processes on a real PostgreSQL, with notifications and with all of them lost, and how long a client
//! goes on reading a running stream after the bit has flipped. Prints the floor (one write and two reads of the store), the value, the ratio.
//!
//! Each child tells the time at which its own bit flipped; all run on one machine and so share a clock. Ends with an error when a stop is not
//! acknowledged by all, or another process than the frozen one is named; with exit code 1 when a bar is missed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use ops_core::config::Env;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{Presence, ProcessRegistry, SwitchStore, SwitchedOff};
use ops_core::testkit::PostgresServer;
use ops_postgres::{PostgresProcesses, PostgresStore, PostgresSwitchStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

const PROCESSES: usize = 50;
const ROUNDS: u64 = 10;
const STREAMS: u64 = 200;

/// Milliseconds, of the largest sample.
const STREAM_BAR: f64 = 10.0;
/// Milliseconds, of p99.
const NOTIFY_BAR: f64 = 50.0;
/// Milliseconds, of p99; the floor comes on top.
const POLLING_BAR: f64 = 1_000.0;

/// How long everybody may take to do what somebody waits for.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<ExitCode> {
    let env = Env::process();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match (env.secret("SWITCH_CHILD_URL"), env.text("SWITCH_CHILD_SERVICE")) {
        (Some(url), Some(service)) => runtime.block_on(child(url, service)),
        _ => runtime.block_on(parent()),
    }
}

/// Says the generation and the time whenever its bit has changed.
async fn child(url: SecretString, service: String) -> anyhow::Result<ExitCode> {
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let options = RefreshOptions::new(service);
    let _refresher = SwitchRefresher::start(Arc::clone(&switch), options, move || {
        let url = url.clone();
        async move { PostgresSwitchStore::link(&url).await }
    })?;
    loop {
        switch.stopped(brain).await;
        let at = now();
        println!("{} {at}", switch.generation());
        while !switch.allows(brain) {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn parent() -> anyhow::Result<ExitCode> {
    let mut kept = stream_end().await?;
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
        floor.push(now().saturating_sub(began));
    }
    floor.sort_unstable();
    let floor = ms(floor[floor.len() / 2].max(1));
    println!("write and two reads        {floor:9.3} ms (floor, median)");
    let processes = PostgresProcesses::new(&store);

    let mut fleet = Fleet::start("listening", &url, &switches, &processes)?;
    kept &= fleet.measure("by NOTIFY", true, NOTIFY_BAR, floor).await?;
    fleet.freeze_one().await?;
    drop(fleet);

    let deaf = losing_notifications(&url)?;
    let mut fleet = Fleet::start("deaf", &deaf, &switches, &processes)?;
    kept &= fleet
        .measure("NOTIFY lost", false, POLLING_BAR + floor, floor)
        .await?;
    Ok(ExitCode::from(u8::from(!kept)))
}

/// Processes of one service, and what they say.
struct Fleet<'a> {
    service: &'static str,
    children: Vec<Child>,
    heard: UnboundedReceiver<(u64, u64)>,
    switches: &'a PostgresSwitchStore,
    processes: &'a PostgresProcesses,
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Fleet<'a> {
    fn start(
        service: &'static str,
        url: &SecretString,
        switches: &'a PostgresSwitchStore,
        processes: &'a PostgresProcesses,
    ) -> anyhow::Result<Self> {
        let (sender, heard) = tokio::sync::mpsc::unbounded_channel();
        let mut fleet = Self {
            service,
            children: Vec::new(),
            heard,
            switches,
            processes,
        };
        for _ in 0..PROCESSES {
            let mut child = Command::new(std::env::current_exe()?)
                .env("SWITCH_CHILD_URL", url.expose_secret())
                .env("SWITCH_CHILD_SERVICE", service)
                .stdout(Stdio::piped())
                .spawn()?;
            let lines = child.stdout.take().map(BufReader::new);
            fleet.children.push(child);
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                    let mut words = line.split(' ').map_while(|word| word.parse::<u64>().ok());
                    if let (Some(generation), Some(at)) = (words.next(), words.next()) {
                        let _ = sender.send((generation, at));
                    }
                }
            });
        }
        Ok(fleet)
    }

    /// Whether the bar is kept.
    async fn measure(&mut self, how: &str, hints: bool, bar: f64, floor: f64) -> anyhow::Result<bool> {
        let mut generation = self.switches.read().await?.generation;
        let ready = |one: &Presence| one.process.hints == Some(hints) && one.process.generation == generation;
        self.everybody("is there", ready).await?;
        let mut taken = Vec::new();
        for _ in 0..ROUNDS {
            let began = now();
            generation = self.switches.write(generation, &stopped()?).await?;
            for _ in 0..PROCESSES {
                let flipped = timeout(LIMIT, self.flipped(generation)).await;
                let at = flipped.context("a process did not apply the stop")??;
                taken.push(
                    at.checked_sub(began)
                        .context("a stop was applied before it was made")?,
                );
            }
            self.acknowledge(generation).await?;
            generation = self.switches.write(generation, &BTreeMap::new()).await?;
            self.acknowledge(generation).await?;
        }
        taken.sort_unstable();
        let at = |part: usize| ms(taken[(taken.len() * part / 100).min(taken.len() - 1)]);
        println!(
            "{PROCESSES} processes, {how:<11} p50 {:9.3} ms   p99 {:9.3} ms (bar: {bar:.0} ms)   max {:9.3} ms   p99 {:.1} x the floor   {} stops, all acknowledged",
            at(50),
            at(99),
            at(100),
            at(99) / floor,
            taken.len()
        );
        Ok(at(99) <= bar)
    }

    /// When the next process has applied this stop; what was said of another one is passed over.
    async fn flipped(&mut self, generation: u64) -> anyhow::Result<u64> {
        loop {
            let (of, at) = self.heard.recv().await.context("the children ended")?;
            if of == generation {
                return Ok(at);
            }
        }
    }

    async fn acknowledge(&self, generation: u64) -> anyhow::Result<()> {
        let applied = |one: &Presence| !one.owes("brain", generation);
        self.everybody("has acknowledged", applied).await
    }

    /// Those of an earlier fleet are listed still, and do not count.
    async fn listed(&self) -> anyhow::Result<Vec<Presence>> {
        let mut listed = self.processes.processes().await?;
        listed.retain(|one| one.process.service == self.service);
        Ok(listed)
    }

    async fn everybody(&self, what: &str, does: impl Fn(&Presence) -> bool) -> anyhow::Result<()> {
        let all = async {
            while self.listed().await?.iter().filter(|one| does(one)).count() < PROCESSES {
                sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        let waited = timeout(LIMIT, all).await;
        waited.with_context(|| format!("not everybody of {} {what}", self.service))?
    }

    /// One process is frozen: the others apply the stop, and it is the one that is named.
    async fn freeze_one(&self) -> anyhow::Result<()> {
        let frozen = self.children.first().context("nobody is there")?.id().to_string();
        let signal = |name: &str| Command::new("kill").args([name, &frozen]).status();
        signal("-STOP")?;
        let generation = self.switches.read().await?.generation;
        let generation = self.switches.write(generation, &stopped()?).await?;
        let owing = async {
            loop {
                let mut owing = self.listed().await?;
                owing.retain(|one| one.owes("brain", generation));
                if owing.len() <= 1 && owing.iter().all(Presence::is_missing) {
                    return anyhow::Ok(owing);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let owing = timeout(LIMIT, owing)
            .await
            .context("the frozen process is not alone in owing the stop")??;
        let suffix = format!("/{frozen}");
        let named = owing.iter().any(|one| one.process.instance.ends_with(&suffix));
        println!(
            "one process frozen         {} owes the stop; it is the frozen one: {named}",
            owing.len()
        );
        ensure!(named, "the frozen process is not named");
        signal("-CONT")?;
        // Who begins next must not begin with a stop.
        self.switches.write(generation, &BTreeMap::new()).await?;
        Ok(())
    }
}

fn stopped() -> anyhow::Result<BTreeMap<String, SwitchedOff>> {
    let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("bench")?, None);
    Ok(BTreeMap::from([("brain".to_owned(), off)]))
}

/// A way to the database on which no notification arrives, as behind a pooler that shares sessions: who begins to listen is made to listen to
/// another channel.
fn losing_notifications(url: &SecretString) -> anyhow::Result<SecretString> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    let through = SecretString::from(url.expose_secret().replace(&server, &address));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || runtime.block_on(relay(listener, server)));
    Ok(through)
}

async fn relay(listener: std::net::TcpListener, server: String) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(pass_on(client, server.clone()));
    }
}

async fn pass_on(client: TcpStream, server: String) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        let mut bytes = [0; 8192];
        loop {
            let read = from_client.read(&mut bytes).await?;
            let read = &mut bytes[..read];
            if read.is_empty() {
                return std::io::Result::Ok(());
            }
            if let Some(at) = read.windows(CHANNEL.len()).position(|found| found == CHANNEL) {
                read[at..at + NOBODY.len()].copy_from_slice(NOBODY);
            }
            to_server.write_all(read).await?;
        }
    };
    // Whichever side ends, both end.
    tokio::select! {
        ended = asked => ended,
        ended = copy(&mut from_server, &mut to_client) => ended.map(drop),
    }
}

const CHANNEL: &[u8; 19] = b"LISTEN \"ops_switch\"";
const NOBODY: &[u8; 19] = b"LISTEN \"ops_nobody\"";

/// From the flip of the bit to the end of what a client reads from a server that sends it a chunk every 5 ms. Whether the bar is kept.
async fn stream_end() -> anyhow::Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut taken = Vec::new();
    for round in 0..STREAMS {
        let (switch, brain) = KillSwitch::single("brain");
        let switch = Arc::new(switch);
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (served, _) = listener.accept().await?;
        let running = Arc::clone(&switch);
        let serving = tokio::spawn(async move { running.run(brain, talk(served)).await });
        let reading = tokio::spawn(read_to_the_end(client));
        // At another moment between two chunks each time.
        sleep(Duration::from_millis(12 + round % 5)).await;
        // As from another thread: the refresher's, or that of an admin route.
        let flipping = std::thread::spawn(move || {
            let flipped = clock();
            switch.stop_here(brain);
            flipped
        });
        let (chunks, ended) = timeout(LIMIT, reading).await.context("the stream goes on")???;
        let flipped = flipping.join().ok().context("the stop panicked")?;
        ensure!(chunks > 0, "nothing was streamed");
        ensure!(serving.await?.is_none(), "the stream ended by itself");
        taken.push(ended.saturating_duration_since(flipped).as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    let (median, max) = (taken[taken.len() / 2], taken[taken.len() - 1]);
    println!(
        "end of a running stream    {median:9.3} ms median   {max:9.3} ms max of {} (bar: {STREAM_BAR:.0} ms)",
        taken.len()
    );
    Ok(max <= STREAM_BAR)
}

/// A model that never comes to an end.
async fn talk(mut to: TcpStream) -> std::io::Result<()> {
    to.set_nodelay(true)?;
    loop {
        to.write_all(b"data: word\n\n").await?;
        sleep(Duration::from_millis(5)).await;
    }
}

/// How many chunks came, and when the stream ended.
async fn read_to_the_end(mut from: TcpStream) -> std::io::Result<(u32, Instant)> {
    let (mut bytes, mut chunks) = ([0; 4096], 0);
    while from.read(&mut bytes).await? > 0 {
        chunks += 1;
    }
    Ok((chunks, clock()))
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
