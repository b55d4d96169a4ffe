//! A web service with limits per user, an emergency stop and masked logs, under a load generator of its own, on the loopback interface.
//!
//! `cargo run --release --example axum_app` shows that the limits hold for each user, that a stop is obeyed, that an offender is reported, and
//! what the layer costs: the same service with and without it, in turns, at the 50th and the 99th percentile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use ops_core::clock::SystemClock;
use ops_core::guard::{LimitMonitor, LocalLimiter, OffenceRules};
use ops_core::masking::BuiltinMasker;
use ops_core::masking::log::MaskedLogs;
use ops_core::model::{Actor, EndpointClass, LimitTable, TenantId};
use ops_core::web::{Caller, LimitGate, Llm, Within};
use ops_core::{FeatureStop, Ops, Providers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<()> {
    let logs = MaskedLogs::new(Arc::new(BuiltinMasker::new()));
    tracing_subscriber::fmt()
        .with_target(false)
        .without_time()
        .map_fmt_fields(|fields| logs.fields(fields))
        .map_event_format(|format| logs.format(format))
        .with_writer(logs.writer(std::io::stdout))
        .init();

    let tenant = TenantId::new("org_soulsyncs")?;
    let ops = Ops::new(Providers::in_memory(), tenant);
    let brain = FeatureStop::new(&ops, "llm-brain", Actor::service("axum-app")?).await?;
    let limiter = Arc::new(LocalLimiter::new(LimitTable::preset())?);
    let (monitor, mut offences) = LimitMonitor::new(OffenceRules::default(), Arc::new(SystemClock::new()));
    let open = brain.clone();
    let gate = LimitGate::new(Arc::clone(&limiter) as _)
        .identified_by(signed_in)
        .open_while(EndpointClass::Llm, move || open.allows())
        .watched_by(Arc::clone(&monitor));
    let service = serve(limited(&gate)).await?;
    let bare = serve(unlimited()).await?;

    limits_hold(service).await?;
    tracing::info!(
        from = "tanaka@example.com",
        "a line of the log about tanaka@example.com"
    );

    let report = brain.stop(Actor::person("alice")?).await?;
    println!("stop of llm-brain: {:?}", report.outcome.status);
    let stopped = ask(service, "/chat", "after-stop", 3).await?;
    println!("after the stop of llm-brain: {}", shown(&stopped));
    ensure!(
        stopped == BTreeMap::from([(503, 3)]),
        "a stopped feature must not answer"
    );

    let offending = ask(service, "/search", "u1", 120).await?;
    println!("one user goes on beyond the limit: {}", shown(&offending));
    while let Some(signal) = offences.try_next() {
        println!(
            "alert {}: {}",
            signal.alert,
            signal.summary.get(ops_core::model::Lang::Ja)
        );
    }
    let near = monitor.near_limit();
    println!(
        "{} callers came near a limit; most of all {}",
        near.len(),
        near[0].caller
    );

    // Nobody is to be denied while the layer is measured.
    let mut wide = LimitTable::preset();
    wide.rules.iter_mut().for_each(|rule| rule.limit = 60_000);
    limiter.put_in_force(wide)?;
    cost(service, bare).await
}

/// Stands in for an authentication: the user is named in a header.
fn signed_in(parts: &axum::http::request::Parts) -> Option<Caller> {
    let user = parts.headers.get("x-user")?.to_str().ok()?;
    Some(Caller::new(TenantId::new("org_soulsyncs").ok()?, user))
}

fn limited(gate: &LimitGate) -> Router {
    let chat = async |_within: Within<Llm>| "hello";
    Router::new()
        .route("/api", get(async || "ok").layer(gate.layer(EndpointClass::Api)))
        .route(
            "/search",
            get(async || "found").layer(gate.layer(EndpointClass::Search)),
        )
        .route("/chat", get(chat))
        .with_state(gate.clone())
}

fn unlimited() -> Router {
    Router::new()
        .route("/api", get(async || "ok"))
        .route("/search", get(async || "found"))
        .route("/chat", get(async || "hello"))
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Eight users at once, each over two connections: every one gets the limit, and no more.
async fn limits_hold(service: SocketAddr) -> Result<()> {
    for (path, limit) in [("/chat", 20), ("/search", 30)] {
        let mut asking = Vec::new();
        for user in 0..8 {
            for _ in 0..2 {
                let user = format!("u{user}");
                asking.push(tokio::spawn(async move {
                    let answers = ask(service, path, &user, 25).await?;
                    anyhow::Ok((user, answers))
                }));
            }
        }
        let mut passed: BTreeMap<String, u32> = BTreeMap::new();
        for answers in asking {
            let (user, answers) = answers.await??;
            *passed.entry(user).or_default() += answers.get(&200).copied().unwrap_or_default();
        }
        println!("{path}: 50 requests of each of 8 users; passed: {passed:?}");
        ensure!(
            passed.values().all(|passed| *passed == limit),
            "each user must get {limit} of {path}"
        );
    }
    Ok(())
}

/// The same requests to the service with the layer and to the one without, in turns.
async fn cost(service: SocketAddr, bare: SocketAddr) -> Result<()> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (address, times) in [bare, service].into_iter().zip(&mut times) {
            let asking: Vec<_> = (0..CONNECTIONS)
                .map(|user| tokio::spawn(async move { latencies(address, user).await }))
                .collect();
            for answers in asking {
                times.extend(answers.await??);
            }
        }
    }
    let [bare, limited] = times.map(|mut times| {
        times.sort_unstable();
        times
    });
    println!(
        "{} requests with the layer and as many without it, over {CONNECTIONS} connections:",
        limited.len()
    );
    for (name, part) in [("p50", 2), ("p99", 100)] {
        let at = |times: &[Duration]| times[times.len() - 1 - times.len() / part].as_secs_f64() * 1e6;
        let (without, with) = (at(&bare), at(&limited));
        println!(
            "  {name}: {without:7.1} us without, {with:7.1} us with: {:+.1} us",
            with - without
        );
    }
    Ok(())
}

const ROUNDS: usize = 10;
const CONNECTIONS: usize = 4;
const REQUESTS: usize = 150;

#[expect(clippy::disallowed_methods, reason = "what a client sees is real time")]
async fn latencies(address: SocketAddr, user: usize) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address).await?;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let status = connection.get("/api", &format!("load-{user}")).await?;
        times.push(began.elapsed());
        ensure!(status == 200, "answered {status}");
    }
    Ok(times)
}

/// How often each status was answered.
async fn ask(service: SocketAddr, path: &str, user: &str, count: u32) -> Result<BTreeMap<u16, u32>> {
    let mut connection = Connection::open(service).await?;
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        *answers.entry(connection.get(path, user).await?).or_default() += 1;
    }
    Ok(answers)
}

fn shown(answers: &BTreeMap<u16, u32>) -> String {
    let shown: Vec<_> = answers
        .iter()
        .map(|(status, count)| format!("{count} x {status}"))
        .collect();
    shown.join(", ")
}

/// As much of HTTP/1.1 as these answers need.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    async fn get(&mut self, path: &str, user: &str) -> Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-user: {user}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the connection ended"
            );
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?.to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.context("no length")?.trim().parse()?;
                if self.buffer.len() >= end + 4 + length {
                    return Ok(head.split(' ').nth(1).context("no status")?.parse()?);
                }
            }
        }
    }
}
