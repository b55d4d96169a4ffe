//! The audit trail beside its floors and its peer, all in one run:
//!
//! - recording: callers that wait until their record is durable; the floor is one writer that appends batches of the same size and calls fdatasync, the peer
//!   is an INSERT by 16 connections;
//! - the drain: from the spool to PostgreSQL with chain, tree, salts and indexes; the floor is COPY into a table without any index;
//! - the chain and the tree alone, a second delivery of all, and verifying without a store.
//!
//! `cargo bench -p ops-benches --bench audit_append`. Rounds are interleaved, medians are printed. The database syncs as a real one does, on the disk of
//! the temporary directory. `AUDIT_BENCH_RECORDS` sets how many records are drained (100,000), `AUDIT_BENCH_ROUNDS` how many rounds (3), `AUDIT_BENCH_ONLY`
//! one part: `hash`, `record` or `drain`. On Linux the processor time of the drain is printed too: on a machine that is not quiet it says more than the clock.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_core::audit::{ChainVerifier, Linker, Spool};
use ops_core::config::Env;
use ops_core::model::{Actor, AuditRecord, Salt, TenantId, Timestamp};
use ops_core::ports::{AuditEntry, AuditStore};
use ops_core::testkit::PostgresServer;
use ops_postgres::{PostgresAuditStore, PostgresStore, ScratchDatabase};
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};

type Failure = Box<dyn std::error::Error>;
const CELL: Duration = Duration::from_millis(1200);

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let env = Env::process();
    let number = |name: &str, default: u64| {
        env.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (records, rounds) = (
        number("AUDIT_BENCH_RECORDS", 100_000),
        number("AUDIT_BENCH_ROUNDS", 3),
    );
    let only = env.text("AUDIT_BENCH_ONLY");
    let wanted = |part| only.as_deref().is_none_or(|only| only == part);
    if wanted("hash") {
        hashing(records)?;
    }
    let server = PostgresServer::start_durable().await?;
    let scratch = ScratchDatabase::create(&server.url().into(), "audit_bench").await?;
    let owner = PostgresStore::connect(scratch.owner_url()).await?;
    owner.migrate().await?;
    owner.grant_audit_writer(&scratch.audit_role()).await?;
    if wanted("record") {
        recording(&scratch, rounds).await?;
    }
    if wanted("drain") {
        draining(&scratch, records, rounds).await?;
    }
    Ok(())
}

/// Processor seconds that a process has had; nothing where nobody tells. In hundredths, as Linux counts them.
fn processor(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The same of all connections to the database but `owner`'s.
async fn servers(owner: &mut PgConnection) -> Result<f64, Failure> {
    let others: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    .fetch_all(owner)
    .await?;
    Ok(others.iter().map(|pid| processor(&pid.to_string())).sum())
}

/// As a request of a service is recorded: two fields that tell of a person, a run of the mill reason.
fn record(n: u64, salted: bool) -> Result<AuditRecord, Failure> {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + i64::try_from(n)? * 137);
    let actor = Actor::person(format!("user_{:06}", n % 5000))?;
    let record = AuditRecord::new(
        at,
        TenantId::new("org_soulsyncs")?,
        actor,
        "document.view",
        "document",
        format!("doc-{n:012}"),
    )
    .with_detail("ip", format!("203.0.113.{}", n % 256))
    .with_detail("user_agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
    .with_detail("reason", "月次の確認");
    Ok(match salted {
        true => record
            .with_salt("actor", Salt::random()?)
            .with_salt("details.ip", Salt::random()?),
        false => record,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn rate(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// What a chain costs a record, and what verifying one costs, on one core.
fn hashing(records: u64) -> Result<(), Failure> {
    for salted in [false, true] {
        let all = (0..records)
            .map(|n| record(n, salted))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut link, mut verify) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let began = Instant::now();
            let mut linker = Linker::default();
            let receipts: Vec<_> = all.iter().map(|record| linker.push(record)).collect();
            link.push(rate(records, began));
            let began = Instant::now();
            let mut verifier = ChainVerifier::new();
            for (receipt, record) in receipts.iter().zip(&all) {
                verifier.push(receipt, record);
            }
            let report = verifier.finish();
            if !report.intact() {
                return Err("the chain does not verify".into());
            }
            verify.push(rate(records, began));
        }
        let name = if salted {
            "with two commitments"
        } else {
            "without commitments "
        };
        println!(
            "{name}   chain and tree {:10.0} events/s/core   verify {:10.0} events/s/core (bar: 1,000,000)",
            median(link),
            median(verify)
        );
    }
    Ok(())
}

/// Appends batches of `size` records of the spool's size and syncs each.
fn floor(folder: &Path, size: usize, length: usize) -> io::Result<f64> {
    let mut file = File::create(folder.join("floor"))?;
    // Its room is taken beforehand, as the spool's is.
    file.write_all(&vec![0; 64 << 20])?;
    file.sync_all()?;
    let mut file = File::options().write(true).open(folder.join("floor"))?;
    let batch = vec![7_u8; size * length];
    let (began, mut count, mut written) = (Instant::now(), 0_u64, 0);
    while began.elapsed() < CELL && written + batch.len() < 64 << 20 {
        file.write_all(&batch)?;
        file.sync_data()?;
        count += size as u64;
        written += batch.len();
    }
    Ok(rate(count, began))
}

/// So many callers wait for their records: events a second, and the middle and the slowest hundredth of the waits.
async fn callers(folder: &Path, callers: u64) -> Result<(f64, f64, Duration, Duration), Failure> {
    let spool = Spool::open(folder.join(format!("spool-{callers}-{}", uuid::Uuid::new_v4())))?;
    spool.append(record(0, true)?).await?;
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let spool = spool.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                let mut n = caller << 32;
                while began.elapsed() < CELL {
                    n += 1;
                    let Ok(record) = record(n, true) else { break };
                    let asked = Instant::now();
                    if spool.append(record).await.is_err() {
                        break;
                    }
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await?);
    }
    let rate = rate(waits.len() as u64, began);
    let batch = waits.len() as f64 / spool.status().await?.writes as f64;
    waits.sort_unstable();
    let at = |part: usize| {
        waits
            .get((waits.len() * part / 100).min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok((rate, batch, at(50), at(99)))
}

/// Sixteen connections insert a row a transaction into a table with the columns and the indexes of the trail.
async fn inserts(url: &str) -> Result<f64, Failure> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..16_u64)
        .map(|caller| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let mut connection = PgConnection::connect(&url).await?;
                let mut count = 0_u64;
                while began.elapsed() < CELL {
                    count += 1;
                    sqlx::query("insert into peer values ('org', $1, gen_random_uuid(), $1, 'person', 'user_000001', 'document.view', 'document', $2, 'succeeded', null, $3, $4)")
                        .bind(i64::try_from((caller << 40) + count).unwrap_or(0))
                        .bind(format!("doc-{count:012}"))
                        .bind(r#"{"ip":"203.0.113.7","reason":"月次の確認","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}"#)
                        .bind(vec![7_u8; 32])
                        .execute(&mut connection)
                        .await?;
                }
                Ok::<_, sqlx::Error>(count)
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    Ok(rate(count, began))
}

const PEER: &str = "create table if not exists peer (tenant text, sequence bigint, id uuid, at_micros bigint, actor_kind text, actor_id text, action text, \
     resource_type text, resource_id text, outcome text, run text, details text, hash bytea, primary key (tenant, sequence), unique (tenant, id)); \
     create index if not exists peer_newest on peer (tenant, at_micros desc, id desc); \
     create index if not exists peer_actor on peer (tenant, actor_id, at_micros desc, id desc); \
     create index if not exists peer_resource on peer (tenant, resource_type, resource_id, at_micros desc, id desc)";

async fn recording(scratch: &ScratchDatabase, rounds: u64) -> Result<(), Failure> {
    let url = scratch.owner_url().expose_secret();
    let mut owner = PgConnection::connect(url).await?;
    sqlx::raw_sql(PEER).execute(&mut owner).await?;
    let folder = tempfile::tempdir()?;
    let length = serde_json::to_vec(&record(0, true)?)?.len() + 20;
    let sizes = [1_u64, 16, 64, 256];
    let (mut rates, mut floors, mut peers) = (vec![Vec::new(); 4], vec![Vec::new(); 4], Vec::new());
    let mut waits = [(Duration::ZERO, Duration::ZERO); 4];
    let mut batches = vec![Vec::new(); 4];
    for _ in 0..rounds {
        for (at, callers_now) in sizes.into_iter().enumerate() {
            let (rate, batch, middle, slow) = callers(folder.path(), callers_now).await?;
            rates[at].push(rate);
            batches[at].push(batch);
            waits[at] = (middle, slow);
            floors[at].push(floor(folder.path(), batch.round().max(1.0) as usize, length)?);
        }
        sqlx::raw_sql("truncate peer").execute(&mut owner).await?;
        peers.push(inserts(url).await?);
    }
    let peer = median(peers);
    println!("16 connections, INSERT      {peer:10.0} events/s (peer)");
    let at_once: Vec<_> = rates.into_iter().map(median).collect();
    let floors: Vec<_> = floors.into_iter().map(median).collect();
    let floor_of_64 = floors[2];
    for (at, callers) in sizes.into_iter().enumerate() {
        let (floor, batch) = (floors[at], median(std::mem::take(&mut batches[at])));
        println!(
            "record, {callers:>3} callers         {:10.0} events/s   {:.2} of append + fdatasync by {batch:.0} ({floor:.0})   {:.2} x the peer   p50 {:.1} ms   p99 {:.1} ms",
            at_once[at],
            at_once[at] / floor,
            at_once[at] / peer,
            waits[at].0.as_secs_f64() * 1e3,
            waits[at].1.as_secs_f64() * 1e3,
        );
    }
    println!(
        "64 callers {:.2} of the floor (bar: 0.8), {:.2} x the peer (bar: 1.5); 256 callers {:.2} x 64 (bar: above 1)",
        at_once[2] / floor_of_64,
        at_once[2] / peer,
        at_once[3] / at_once[2]
    );
    Ok(())
}

async fn draining(scratch: &ScratchDatabase, records: u64, rounds: u64) -> Result<(), Failure> {
    let mut owner = PgConnection::connect(scratch.owner_url().expose_secret()).await?;
    sqlx::raw_sql(
        "create table bare (tenant text, sequence bigint, id uuid, at_micros bigint, actor_kind text, actor_id text, action text, \
         resource_type text, resource_id text, outcome text, run text, details text, hash bytea)",
    )
    .execute(&mut owner)
    .await?;
    let (mut copies, mut drains, mut plain, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut copying, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut owner)
        .await?;
    for round in 0..rounds {
        let tenant = TenantId::new(format!("org_{round}"))?;
        let of = |n: u64, salted: bool| -> Result<AuditRecord, Failure> {
            let mut record = record(n, salted)?;
            record.tenant = tenant.clone();
            Ok(record)
        };
        let text: Vec<String> = (0..records)
            .map(|n| {
                let record = of(n, false)?;
                let details = serde_json::to_string(&record.details)?.replace('\\', "\\\\");
                Ok(format!(
                    "{}\t{n}\t{}\t{}\tperson\t{}\t{}\t{}\t{}\tsucceeded\t\\N\t{details}\t\\\\x{}\n",
                    record.tenant.as_str(),
                    record.id,
                    record.at.as_unix_micros(),
                    record.actor.id(),
                    record.action,
                    record.resource_type,
                    record.resource_id,
                    "07".repeat(32)
                ))
            })
            .collect::<Result<_, Failure>>()?;
        let (began, busy) = (Instant::now(), processor(&backend.to_string()));
        for batch in text.chunks(10_000) {
            let mut copy = owner.copy_in_raw("copy bare from stdin").await?;
            copy.send(batch.concat().into_bytes()).await?;
            copy.finish().await?;
        }
        copies.push(rate(records, began));
        let each = |seconds: f64| seconds * 1e6 / records as f64;
        copying.push(each(processor(&backend.to_string()) - busy));
        drop(text);

        let store = PostgresAuditStore::connect(scratch.audit_url()).await?;
        let folder = tempfile::tempdir()?;
        let spool = Spool::open(folder.path())?;
        let spool = Arc::new(spool);
        let mut batch = Vec::new();
        for n in 0..records {
            let (spool, record) = (Arc::clone(&spool), of(n, true)?);
            batch.push(tokio::spawn(async move { spool.append(record).await }));
            if batch.len() == 4096 || n + 1 == records {
                for kept in batch.drain(..) {
                    kept.await??;
                }
            }
        }
        let entries: Vec<AuditEntry> = spool.pending().await?.into_iter().map(AuditEntry::from).collect();
        let (began, busy) = (Instant::now(), (processor("self"), servers(&mut owner).await?));
        let delivered = spool.deliver(&store).await?;
        drains.push(rate(delivered.stored, began));
        ours.push(each(processor("self") - busy.0));
        theirs.push(each(servers(&mut owner).await? - busy.1));
        if delivered.stored != records || delivered.pending > 0 {
            return Err(format!("not all was drained: {delivered:?}").into());
        }
        // The same again, as after a crash between the commit and the note of it.
        let began = Instant::now();
        for batch in entries.chunks(4096) {
            store.append_all(batch).await?;
        }
        again.push(rate(records, began));
        let report = store.verify(&tenant).await?;
        if !report.intact() || report.records != records {
            return Err(format!("the chain is not what was recorded: {report:?}").into());
        }
        // What the chain costs of it: the same links once more.
        let began = Instant::now();
        let mut linker = Linker::default();
        for entry in &entries {
            linker.push(&entry.record);
        }
        plain.push(rate(records, began));
    }
    let (copy, drain, chain) = (median(copies), median(drains), median(plain));
    println!("COPY without index          {copy:10.0} events/s (floor)");
    println!(
        "drain, chained, 4 indexes   {drain:10.0} events/s   {:.2} of the floor (bar: 0.27, aim: 0.45)",
        drain / copy
    );
    println!(
        "chain, tree, commitments    {:10.1} % of the drain (bar: 5)",
        drain / chain * 100.0
    );
    println!(
        "processor time a record      {:10.1} us here, {:.1} us in the server; COPY {:.1} us in the server",
        median(ours),
        median(theirs),
        median(copying)
    );
    let again = median(again);
    println!(
        "a second delivery of all    {again:10.0} events/s   {:.2} x the first, nothing stored twice",
        again / drain
    );
    Ok(())
}
