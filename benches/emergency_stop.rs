//! A stop of 64 services beside its floor, the slowest of them alone; and what an entry of the journal costs.
//!
//! The services are simulated Cloud Run services behind real HTTP on loopback, each answering after 5 to 250 ms. Prints the median over
//! the rounds of: the slowest single target, all 64, the difference (bar: 50 ms), and a serial stop for comparison. The journal is the
//! file journal; its append is measured beside a write with fdatasync, and against PostgreSQL where a server is found. Ends with an error when a
//! target is not seen to be stopped; with exit code 1 when the bar is missed.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_core::actions::StopTraffic;
use ops_core::clock::SystemClock;
use ops_core::emergency::{Approvers, Engine, Step};
use ops_core::error::Result;
use ops_core::file::FileJournal;
use ops_core::model::{Actor, OutcomeStatus, RunId, TargetId};
use ops_core::ports::{Clock, Journal, JournalEntry, JournalEvent};
use ops_core::procedures::api_stop;
use ops_core::testkit::{Fault, FaultRule, Faults, LoopbackServer, loopback_transport, postgres_url};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::CloudRunTraffic;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};
use ops_postgres::{PostgresJournal, PostgresStore, ScratchDatabase};

const TARGETS: usize = 64;
const ROUNDS: usize = 9;
const APPENDS: usize = 300;
/// Milliseconds over the slowest target.
const BAR: f64 = 50.0;

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let kept = stops().await?;
        appends().await?;
        Ok(ExitCode::from(u8::from(!kept)))
    })
}

/// Scattered by a multiplication; the last is the slowest.
fn latency(at: usize) -> Duration {
    let scattered = (at as u64 * 2_654_435_761) >> 7;
    match at + 1 {
        TARGETS => Duration::from_millis(250),
        _ => Duration::from_millis(5 + scattered % 235),
    }
}

/// Whether the bar is kept.
async fn stops() -> Result<bool> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rounds[0].push(stop(&[TARGETS - 1]).await?);
        rounds[1].push(stop(&(0..TARGETS).collect::<Vec<_>>()).await?);
    }
    let [floor, all] = rounds.map(median);
    let serial: f64 = (0..TARGETS).map(|at| latency(at).as_secs_f64() * 1e3).sum();
    println!("slowest of 64 targets alone    {floor:8.1} ms");
    println!(
        "64 targets                     {all:8.1} ms   {:+.1} ms over the slowest (bar: {BAR} ms)",
        all - floor
    );
    println!(
        "one answer of each, in turn    {serial:8.1} ms   {:.1} x the stop",
        serial / all
    );
    Ok(all - floor <= BAR)
}

/// Milliseconds from the approved plan to the outcome, in which every target is seen to be stopped.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn stop(which: &[usize]) -> Result<f64> {
    let faults = Faults::new();
    let sim = CloudRunSim::new(faults.clone());
    // A change is in force at the first look after it: what is measured is the engine, not how a vendor dawdles.
    sim.set_pace(0);
    let server = LoopbackServer::start(Arc::clone(&sim) as _).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let traffic = CloudRunTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(Arc::new(StaticToken::new("bench".to_owned())))
        .with_base_url(server.base_url())
        .with_clock(Arc::clone(&clock))
        .build()?;
    let traffic = Arc::new(traffic);
    let mut actions: Vec<Arc<dyn ops_core::ports::Action>> = Vec::new();
    for at in which {
        // Of equal length, so that no name is part of another.
        let name = format!("service-{at:02}");
        sim.add_service(
            "bench",
            "asia-northeast1",
            &name,
            ServiceSeed::new().automatic(1, 4),
        )?;
        faults.add(FaultRule::on_all(Fault::Latency(latency(*at)), &name));
        let target = CloudRunTraffic::target("bench", "asia-northeast1", &name)?;
        actions.push(Arc::new(StopTraffic::new(
            Arc::clone(&traffic) as _,
            target,
            name,
        )));
    }
    let procedure = api_stop("stop-all", actions, |step: Step| step)?;
    let folder = tempfile::tempdir().map_err(|_| unavailable("make a temporary folder"))?;
    let engine = Engine::new(Arc::new(FileJournal::open(folder.path())?), Arc::clone(&clock));
    let plan = engine.plan_stop(&procedure).await;
    let actor = Actor::person("bench")?;
    let plan = plan
        .approve(&[], &Approvers::none(), actor, clock.now())
        .map_err(|_| unavailable("approve"))?;
    let began = Instant::now();
    let outcome = engine.execute(plan).await.map_err(|_| unavailable("execute"))?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    if outcome.status != OutcomeStatus::Verified {
        return Err(unavailable("stop every target"));
    }
    Ok(took)
}

async fn appends() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|_| unavailable("make a temporary folder"))?;
    let floor = synced_writes(folder.path()).map_err(|_| unavailable("write a file"))?;
    let file = FileJournal::open(folder.path().join("journal"))?;
    let cost = append(&file).await?;
    println!("file write + fdatasync         {:8.1} µs", floor);
    println!(
        "journal append, file           {cost:8.1} µs   {:.2} x the write",
        cost / floor
    );
    let Some(url) = postgres_url().await else {
        println!("journal append, PostgreSQL     no server was found");
        return Ok(());
    };
    let unique = RunId::generate(SystemClock::new().now());
    let name = format!("ops_bench_{}", &unique.as_str()[unique.as_str().len() - 12..]);
    let scratch = ScratchDatabase::create(&url.into(), &name).await?;
    let cost = in_postgres(&scratch).await;
    scratch.drop_all().await?;
    println!("journal append, PostgreSQL     {:8.1} µs", cost?);
    Ok(())
}

async fn in_postgres(scratch: &ScratchDatabase) -> Result<f64> {
    let store = PostgresStore::connect(scratch.owner_url()).await?;
    store.migrate().await?;
    append(&PostgresJournal::new(&store)).await
}

/// Microseconds, median.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn append(journal: &dyn Journal) -> Result<f64> {
    let clock = SystemClock::new();
    let run = RunId::generate(clock.now());
    let target = TargetId::new("cloud-run:bench/asia-northeast1/service-00")?;
    let mut samples = Vec::new();
    for step in 0..APPENDS {
        let (step, target) = (u32::try_from(step).unwrap_or(0), target.clone());
        let entry = JournalEntry::new(
            run.clone(),
            clock.now(),
            JournalEvent::Intent {
                step,
                target,
                timeout: None,
                automated: false,
            },
        );
        let began = Instant::now();
        journal.append(&entry).await?;
        samples.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(samples))
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn synced_writes(folder: &std::path::Path) -> std::io::Result<f64> {
    let mut file = File::create(folder.join("floor"))?;
    let mut samples = Vec::new();
    for _ in 0..APPENDS {
        let began = Instant::now();
        file.write_all(&[b'x'; 180])?;
        file.sync_data()?;
        samples.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(samples))
}

fn unavailable(what: &'static str) -> ops_core::error::Error {
    ops_core::error::Error::new(ops_core::error::ErrorKind::Unavailable, what)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
