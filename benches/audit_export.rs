//! Evidence of the audit trail against `pg_dump --data-only` to a file (synced), in one run, and the offline check by itself.
//!
//! `cargo bench -p ops-benches --bench audit_export -- [ROWS]`; 200,000 rows by default, 1,000,000 for the numbers of the documents. On Linux the processor
//! time of both is printed too: on a machine that is not quiet it says more than the clock.
#![cfg_attr(not(unix), allow(unused))]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use ops_core::audit::{EvidenceExport, EvidenceRequest, EvidenceVerifier, NoteSigner, link};
use ops_core::clock::SystemClock;
use ops_core::model::{Actor, AuditRecord, Digest, TenantId, Timestamp};
use ops_postgres::{PostgresAuditStore, PostgresStore, ScratchDatabase};
use secrecy::{ExposeSecret, SecretString};

const ROUNDS: usize = 5;

fn main() {
    let rows = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(200_000_u64);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(compare(rows));
}

#[cfg(not(unix))]
async fn compare(_: u64) {}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn compare(rows: u64) {
    let Some(admin) = ops_core::testkit::postgres_url().await.map(SecretString::from) else {
        println!("no PostgreSQL here");
        return;
    };
    let name = format!("ops_bench_{}", std::process::id());
    let scratch = ScratchDatabase::create(&admin, &name).await.expect("a database");
    let store = PostgresStore::connect(scratch.owner_url())
        .await
        .expect("a store");
    store.migrate().await.expect("a schema");
    let root = superuser(&admin, scratch.name());
    fill(&root, rows);

    let home = tempfile::tempdir().expect("a folder");
    let signer = NoteSigner::generate("audit.example.com").expect("a key");
    let export = EvidenceExport::new(
        Arc::new(PostgresAuditStore::unchecked(&store)),
        signer.clone(),
        Arc::new(SystemClock::new()),
    );
    let request = EvidenceRequest::new(tenant(), "bench", Actor::person("kazu").expect("an id"));
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let postmaster = parent(&root);
    let mut busy = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let (mut ours, mut theirs) = (0, 0);
    for round in 0..ROUNDS {
        let out = home.path().join(format!("evidence-{round}"));
        let before = processor(&postmaster);
        let began = Instant::now();
        let manifest = export.write(&request, &out).await.expect("an export");
        times[0].push(began.elapsed().as_secs_f64());
        busy[0].push(before.own(rows));
        busy[1].push(before.server(rows, &postmaster));
        assert_eq!((manifest.records, manifest.fault_count), (rows, 0));

        let dump = home.path().join("dump.sql");
        let before = processor(&postmaster);
        let began = Instant::now();
        pg_dump(&root, &dump);
        times[1].push(began.elapsed().as_secs_f64());
        busy[2].push(before.own(rows));
        busy[3].push(before.server(rows, &postmaster));

        let began = Instant::now();
        let verdict = verifier.verify(&out).expect("a verdict");
        times[2].push(began.elapsed().as_secs_f64());
        assert!(verdict.intact(), "{verdict:?}");

        ours = size(&out);
        theirs = fs::metadata(&dump).expect("a dump").len();
        fs::remove_dir_all(&out).expect("a folder");
    }
    let [export, dump, verify] = times.map(median);
    let rate = |seconds: f64| rows as f64 / seconds;
    println!("{rows} rows, medians of {ROUNDS} interleaved rounds");
    println!(
        "evidence, whole (snapshot, count, chain, tree, zstd, sha256, sync, signature)  {:>9.0} rows/s  {ours} bytes",
        rate(export)
    );
    println!(
        "pg_dump --data-only to a file, synced                                         {:>9.0} rows/s  {theirs} bytes",
        rate(dump)
    );
    println!(
        "evidence / pg_dump: speed {:.2} (bar 1.3), bytes {:.2} (bar 0.3)",
        dump / export,
        ours as f64 / theirs as f64
    );
    let [export, server, dump, dumped] = busy.map(median);
    println!(
        "processor time a row: evidence {export:.2} us and {server:.2} us in the server; pg_dump {dump:.2} us and {dumped:.2} us"
    );
    println!(
        "offline check, one thread: {:.0} records/s (bar 1,000,000)",
        rate(verify)
    );
    store.close().await;
    scratch.drop_all().await.expect("the database is dropped");
}

/// Processor time so far, in hundredths of a second, as Linux counts them; nothing elsewhere.
struct Processor {
    own: f64,
    server: f64,
}

/// Of this process and the children that it waited for, and of the server's connections that have ended.
fn processor(postmaster: &str) -> Processor {
    let ticks = |pid: &str, from: usize, fields: usize| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .split(' ')
            .skip(from)
            .take(fields);
        fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
    };
    Processor {
        own: ticks("self", 11, 4),
        server: ticks(postmaster, 13, 2),
    }
}

impl Processor {
    /// Microseconds a row since then.
    fn own(&self, rows: u64) -> f64 {
        (processor("self").own - self.own) * 1e4 / rows as f64
    }

    /// The same in the server, once the connection has ended.
    fn server(&self, rows: u64, postmaster: &str) -> f64 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        (processor(postmaster).server - self.server) * 1e4 / rows as f64
    }
}

/// The process that all connections of the server are children of.
fn parent(root: &str) -> String {
    let asked = Command::new("psql")
        .args([
            "-qAt",
            "-d",
            root,
            "-c",
            "select pg_read_file('postmaster.pid', 0, 20)",
        ])
        .output()
        .expect("psql");
    let answer = String::from_utf8_lossy(&asked.stdout).into_owned();
    answer.lines().next().unwrap_or_default().trim().to_owned()
}

fn tenant() -> TenantId {
    TenantId::new("org_soulsyncs").expect("an id")
}

fn superuser(admin: &SecretString, database: &str) -> String {
    let url = admin.expose_secret();
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}")
}

/// Rows as an application's: about 280 bytes of record each, chained.
fn fill(root: &str, rows: u64) {
    use std::io::Write as _;
    let copy = "copy ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, resource_type, resource_id, outcome, run, details, hash) from stdin";
    let mut psql = Command::new("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-d", root, "-c", copy])
        .stdin(Stdio::piped())
        .spawn()
        .expect("psql");
    let mut input = std::io::BufWriter::with_capacity(1 << 20, psql.stdin.take().expect("piped"));
    let mut previous: Option<Digest> = None;
    for n in 1..=rows {
        let record = record(n);
        let hash = link(previous.as_ref(), n, &record);
        let details = serde_json_text(&record);
        writeln!(
            input,
            "{}\t{n}\t{}\t{}\tperson\t{}\t{}\t{}\t{}\tsucceeded\t\\N\t{details}\t\\\\x{hash}",
            record.tenant,
            record.id,
            record.at.as_unix_micros(),
            record.actor.id(),
            record.action,
            record.resource_type,
            record.resource_id,
        )
        .expect("a row");
        previous = Some(hash);
    }
    drop(input);
    assert!(psql.wait().expect("psql ends").success());
    let head = format!(
        "insert into ops.audit_head (tenant, sequence, hash) values ('{}', {rows}, decode('{}', 'hex')); analyze ops.audit_log",
        tenant(),
        previous.expect("a row")
    );
    let ran = Command::new("psql")
        .args(["-q", "-d", root, "-c", &head])
        .status()
        .expect("psql");
    assert!(ran.success());
}

/// The details as a JSON object; nothing in them needs an escape.
fn serde_json_text(record: &AuditRecord) -> String {
    let fields: Vec<_> = record
        .details
        .iter()
        .map(|(name, value)| format!("\"{name}\":\"{value}\""))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn record(n: u64) -> AuditRecord {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let action = ["read", "update", "export", "delete", "create"][(spread >> 7) as usize % 5];
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n as i64 * 2_000_003);
    let actor = Actor::person(format!("user_{:08x}", spread as u32 % 5_000)).expect("an id");
    AuditRecord::new(
        at,
        tenant(),
        actor,
        action,
        "conversation",
        format!("{spread:016x}"),
    )
    .with_detail("ip", format!("203.0.113.{}", spread % 256))
    .with_detail("request", format!("{:016x}{n:08x}", spread.rotate_left(17)))
    .with_detail("user_agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
}

fn pg_dump(root: &str, to: &Path) {
    let file = File::create(to).expect("a file");
    let ran = Command::new("pg_dump")
        .args(["--data-only", "-t", "ops.audit_log*", "-d", root])
        .stdout(file.try_clone().expect("a file"))
        .status()
        .expect("pg_dump");
    assert!(ran.success());
    file.sync_all().expect("synced");
}

fn size(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("a folder");
    files
        .flatten()
        .map(|file| file.metadata().map_or(0, |data| data.len()))
        .sum()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
