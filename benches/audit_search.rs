//! Searching the audit trail: the four questions of the first runbook, and a page far down, at two sizes of the table, by turns.
//!
//! `cargo bench -p ops-benches --bench audit_search -- [SMALL LARGE]`; 200,000 and 1,000,000 rows by default, 1,000,000 and 10,000,000 for the numbers of the
//! documents (five minutes or more, and some gigabytes of the temporary directory). A year by months, twenty-one tenants of which one has two fifths, 400 records of each of its users; the table is in memory.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::process::Command;
use std::time::{Duration, Instant};

use ops_core::model::{TenantId, Timestamp};
use ops_core::ports::{AuditQuery, AuditStore as _};
use ops_postgres::{PostgresAuditStore, PostgresStore, ScratchDatabase};
use secrecy::{ExposeSecret as _, SecretString};

/// How often each question is asked.
const TIMES: usize = 400;
/// The question whose first page the deep one is held against.
const TENANT: &str = "a tenant, newest 100";
/// How far down the deep page is.
const DEPTH: usize = 150_000;
/// 2026-02-01, in UTC: the end of the year that is filled.
const END: i64 = 1_769_904_000_000_000;
const DAY: i64 = 86_400_000_000;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let sizes = match sizes[..] {
        [small, large] => [small, large],
        _ => [200_000, 1_000_000],
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(compare(sizes));
}

async fn compare(sizes: [u64; 2]) {
    let Some(admin) = ops_core::testkit::postgres_url().await.map(SecretString::from) else {
        println!("no PostgreSQL here");
        return;
    };
    let (small, large) = (
        Table::of(sizes[0], &admin).await,
        Table::of(sizes[1], &admin).await,
    );
    let tables = [&small, &large];
    let mut first = [Duration::ZERO; 2];
    for (what, question) in questions() {
        // By turns, so that whatever else is at work weighs on both.
        let mut times = [Vec::new(), Vec::new()];
        for n in 0..TIMES + 20 {
            for (table, times) in tables.iter().zip(&mut times) {
                let (took, _) = table.ask(&question(n, table.rows)).await;
                if n >= 20 {
                    times.push(took);
                }
            }
        }
        let middles = print(what, sizes, times);
        if what == TENANT {
            first = middles;
        }
    }
    let mut times = [Vec::new(), Vec::new()];
    let queries = [small.far_down().await, large.far_down().await];
    for _ in 0..TIMES {
        for ((table, query), times) in tables.iter().zip(&queries).zip(&mut times) {
            let (took, records) = table.ask(query).await;
            assert_eq!(records, 100);
            times.push(took);
        }
    }
    let deep = print("a page far down", sizes, times);
    for ((rows, deep), first) in sizes.iter().zip(deep).zip(first) {
        println!(
            "{rows} rows: page {DEPTH} records down / first page: {:.2} (bar 1.5)",
            ratio(deep, first)
        );
    }
    small.close().await;
    large.close().await;
}

/// The middles, and what they are to each other.
fn print(what: &str, sizes: [u64; 2], times: [Vec<Duration>; 2]) -> [Duration; 2] {
    let summaries = times.map(summary);
    println!("{what}:");
    for (rows, [middle, worst]) in sizes.iter().zip(summaries) {
        println!("  {rows:>9} rows  p50 {middle:>9.2?}  p99 {worst:>9.2?}");
    }
    let middles = summaries.map(|[middle, _]| middle);
    println!("  large / small {:.2} (bar 1.3)", ratio(middles[1], middles[0]));
    middles
}

/// A trail of its own in a database of its own.
struct Table {
    rows: u64,
    scratch: ScratchDatabase,
    store: PostgresStore,
    audit: PostgresAuditStore,
}

impl Table {
    async fn of(rows: u64, admin: &SecretString) -> Self {
        let name = format!("ops_bench_{}_{rows}", std::process::id());
        let scratch = ScratchDatabase::create(admin, &name).await.expect("a database");
        let store = PostgresStore::connect(scratch.owner_url())
            .await
            .expect("a store");
        store.migrate().await.expect("a schema");
        let (server, _) = admin
            .expose_secret()
            .rsplit_once('/')
            .expect("a URL with a database");
        fill(&format!("{server}/{}", scratch.name()), rows);
        let audit = PostgresAuditStore::unchecked(&store);
        Self {
            rows,
            scratch,
            store,
            audit,
        }
    }

    /// How long it took, and how many records came.
    async fn ask(&self, query: &AuditQuery) -> (Duration, usize) {
        let began = Instant::now();
        let page = self.audit.search(&tenant(), query).await.expect("a page");
        let took = began.elapsed();
        assert!(!page.records.is_empty() || query.actor.is_some(), "{query:?}");
        (took, page.records.len())
    }

    /// The question for the page so far down.
    async fn far_down(&self) -> AuditQuery {
        let mut query = AuditQuery::default();
        query.limit = Some(1_000);
        let mut passed = 0;
        while passed < DEPTH {
            let page = self.audit.search(&tenant(), &query).await.expect("a page");
            passed += page.records.len();
            match page.next {
                Some(next) if passed + 1_000 < self.rows as usize * 2 / 5 => query.after = Some(next),
                _ => {
                    println!("({} rows end {passed} records down)", self.rows);
                    break;
                }
            }
        }
        query.limit = Some(100);
        query
    }

    async fn close(self) {
        self.store.close().await;
        self.scratch.drop_all().await.expect("the database is dropped");
    }
}

type Question = fn(usize, u64) -> AuditQuery;

/// Those of the runbook; the second is that of the first page.
fn questions() -> [(&'static str, Question); 4] {
    [
        ("a user, newest 100", |n, rows| {
            let mut query = AuditQuery::default();
            query.actor = Some(user(n, rows));
            query
        }),
        (TENANT, |_, _| AuditQuery::default()),
        ("7 days, high-privilege actions", |n, _| {
            let mut query = AuditQuery::default();
            query.from = Some(days_before_end(7 + n as i64 % 300));
            query.until = Some(days_before_end(n as i64 % 300));
            query.actions = privileged();
            query
        }),
        ("a user, 90 days, high-privilege actions", |n, rows| {
            let mut query = AuditQuery::default();
            query.actor = Some(user(n, rows));
            query.from = Some(days_before_end(90));
            query.actions = privileged();
            query
        }),
    ]
}

/// A larger table has more users, and each has as many records.
fn users(rows: u64) -> u64 {
    (rows / 1_000).max(1)
}

/// One of them.
fn user(n: usize, rows: u64) -> String {
    format!("user_{:05}", n as u64 * 37 % users(rows))
}

fn privileged() -> Vec<String> {
    AuditQuery::HIGH_PRIVILEGE.map(str::to_owned).to_vec()
}

fn days_before_end(days: i64) -> Timestamp {
    Timestamp::from_unix_micros(END - days * DAY)
}

fn tenant() -> TenantId {
    TenantId::new("org_soulsyncs").expect("an id")
}

/// The middle and the 99th percentile.
fn summary(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// Rows as an application's, spread evenly over a year. A search reads no hash, so that they are no chain.
fn fill(root: &str, rows: u64) {
    let sql = format!(
        "select ops.audit_make_month((date '2025-02-01' + make_interval(months => n))::date) from generate_series(0, 11) n;
         insert into ops.audit_log (tenant, sequence, id, at_micros, actor_kind, actor_id, action, resource_type, resource_id, outcome, details, hash)
         select case when n % 5 < 2 then 'org_soulsyncs' else 'org_' || n % 20 end, n, gen_random_uuid(),
                {END} - ({rows} - n) * {step} - 1, 'person', 'user_' || lpad((h % {users})::text, 5, '0'),
                (array['read', 'read', 'read', 'update', 'create', 'read', 'update', 'export', 'read', 'delete'])[1 + (h / {users}) % 10],
                'conversation', to_hex(h), 'succeeded',
                '{{\"ip\":\"203.0.113.' || h % 256 || '\",\"request\":\"' || to_hex(h) || to_hex(n) || '\",\"user_agent\":\"Mozilla/5.0 (X11, Linux x86_64)\"}}',
                decode(md5(n::text) || md5(h::text), 'hex')
         from (select n, abs(hashint8extended(n, 7)) h from generate_series(1::bigint, {rows}) n) spread;
         vacuum analyze ops.audit_log;",
        users = users(rows),
        step = 365 * DAY / i64::try_from(rows).unwrap_or(i64::MAX),
    );
    let mut psql = Command::new("psql");
    psql.args(["-qAt", "-v", "ON_ERROR_STOP=1", "-d", root, "-o", "/dev/null"]);
    for statement in sql.split_inclusive(';') {
        psql.args(["-c", statement.trim()]);
    }
    assert!(psql.status().expect("psql").success());
}
