//! Shared limits over Redis and PostgreSQL against a bare round trip, in one run.
//!
//! `cargo bench -p ops-benches --bench limit_redis`; `ROUNDS` rounds (default 9) of `MILLIS` ms (default 400) for each contender, interleaved;
//! `ONLY=strict` leaves out contenders without that word, but for the floor: for a profile.
//! Servers are throw-away ones on this machine, so client and server share its cores: read the ratios, not the numbers.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::guard::{DistributedLimiter, SharedLimitOptions};
use ops_core::model::{
    EndpointClass, LimitKey, LimitName, LimitRequest, LimitRule, LimitSemantics, LimitTable,
};
use ops_core::ports::{Clock, CountedLimit, LimitCheck, LimitStamp, LimitStore, Published};
use ops_core::testkit::{RedisServer, postgres_url};
use ops_postgres::{PostgresLimits, PostgresStore, ScratchDatabase};
use ops_railway::redis::RedisLimits;
use secrecy::SecretString;

type Failure = Box<dyn std::error::Error>;

/// Callers, evenly spread.
const USERS: u64 = 100_000;
const TASKS: usize = 64;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let env = Env::process();
    let number = |name: &str, default: u64| {
        env.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let plan = Plan {
        only: env.text("ONLY").unwrap_or_default(),
        rounds: number("ROUNDS", 9),
        length: Duration::from_millis(number("MILLIS", 400)),
    };
    runtime.block_on(async {
        match RedisServer::start().await {
            Ok(server) => redis(&plan, &server).await?,
            Err(error) => println!("LEFT OUT: Redis ({error})"),
        }
        match postgres_url().await {
            Some(url) => postgres(&plan, &url).await?,
            None => println!("LEFT OUT: PostgreSQL"),
        }
        Ok(())
    })
}

struct Plan {
    only: String,
    rounds: u64,
    length: Duration,
}

impl Plan {
    /// The first contender is the floor.
    fn chosen<const N: usize>(&self, contenders: [Contender; N]) -> Vec<Contender> {
        let chosen =
            |(place, contender): &(usize, Contender)| *place == 0 || contender.name.contains(&self.only);
        contenders
            .into_iter()
            .enumerate()
            .filter(chosen)
            .map(|(_, contender)| contender)
            .collect()
    }
}

/// One limit, so that a check is what the peers count; it never denies.
fn table(semantics: LimitSemantics) -> LimitTable {
    let limit = if semantics == LimitSemantics::Strict {
        60_000
    } else {
        1_000_000
    };
    let Ok(name) = LimitName::new("api") else {
        return LimitTable::preset();
    };
    LimitTable::of(vec![
        LimitRule::per_minute(name, EndpointClass::Api, limit).with_semantics(semantics),
    ])
}

fn limiter(store: Arc<dyn LimitStore>, table: LimitTable) -> Result<DistributedLimiter, Failure> {
    let options = SharedLimitOptions::default().with_timeout(Duration::from_secs(5));
    let secret = SecretString::from("a secret for the bench");
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    Ok(DistributedLimiter::new(store, table, &secret, options, clock)?)
}

async fn redis(plan: &Plan, server: &RedisServer) -> Result<(), Failure> {
    let store = |space: &str| -> Result<Arc<RedisLimits>, Failure> {
        let builder = RedisLimits::builder()
            .with_url(SecretString::from(server.url()))
            .with_space(space)
            .with_clock(Arc::new(SystemClock::new()));
        Ok(Arc::new(builder.build()?))
    };
    let ping = redis::Client::open(server.url())?
        .get_multiplexed_async_connection()
        .await?;
    let single = store("single")?;
    publish(&*single).await?;
    let limited = |space: &str, table: LimitTable| limiter(store(space)? as Arc<dyn LimitStore>, table);
    let (burst, strict) = (LimitSemantics::Burst, LimitSemantics::Strict);

    let ping = Contender::new("PING (floor)", move |_| {
        let mut ping = ping.clone();
        async move { redis::cmd("PING").query_async::<String>(&mut ping).await.is_ok() }
    });
    let alone = |name, semantics| {
        let single = Arc::clone(&single);
        Contender::new(name, move |user| {
            let single = Arc::clone(&single);
            async move {
                single
                    .check(LimitStamp::of_version(1), &[check(user, semantics)])
                    .await
                    .is_ok()
            }
        })
    };
    let checks = |name, limiter: DistributedLimiter, class| {
        Contender::new(name, move |user| {
            let limiter = limiter.clone();
            async move {
                let name = user.to_string();
                let decision = limiter
                    .check(&LimitRequest::new(class, LimitKey::user("org", &name)))
                    .await;
                !decision.is_degraded()
            }
        })
    };
    let (api, llm) = (EndpointClass::Api, EndpointClass::Llm);
    let contenders = plan.chosen([
        ping,
        alone("one EVALSHA a check, burst", burst),
        alone("one EVALSHA a check, strict", strict),
        checks("coalesced, burst", limited("burst", table(burst))?, api),
        checks("coalesced, strict", limited("strict", table(strict))?, api),
        checks(
            "coalesced, burst, two limits",
            limited("two", LimitTable::preset().with_semantics(burst))?,
            llm,
        ),
        checks(
            "coalesced, strict, two limits",
            limited("preset", LimitTable::preset())?,
            llm,
        ),
    ]);
    println!("\nRedis, {TASKS} tasks, checks per second");
    let rates = rates(plan, &contenders, TASKS).await;
    report(&contenders, &rates, "x PING", |rate, floor| rate / floor);
    println!("\nRedis, 1 task, median microseconds");
    let medians = medians(plan, &contenders).await;
    report(&contenders, &medians, "x PING", |time, floor| time / floor);
    for meaning in ["burst", "strict"] {
        let found = |values: &[f64], name: String| {
            let place = contenders.iter().position(|contender| contender.name == name);
            place.map_or(f64::NAN, |place| values[place])
        };
        let coalesced = found(&rates, format!("coalesced, {meaning}"));
        println!(
            "bar, {meaning}: 64 tasks / PING >= 1.0 : {:.2}",
            coalesced / rates[0]
        );
        let single = found(&rates, format!("one EVALSHA a check, {meaning}"));
        println!(
            "bar, {meaning}: 64 tasks / single >= 3 : {:.2}",
            coalesced / single
        );
        let lone = found(&medians, format!("coalesced, {meaning}"));
        println!("bar, {meaning}: p50 / PING <= 1.6 : {:.2}", lone / medians[0]);
    }
    Ok(())
}

async fn postgres(plan: &Plan, url: &str) -> Result<(), Failure> {
    let scratch = ScratchDatabase::create(&SecretString::from(url), "ops_bench_limits").await?;
    let store = PostgresStore::connect(scratch.owner_url()).await?;
    store.migrate().await?;
    let limits = Arc::new(PostgresLimits::new(&store));
    publish(&*limits).await?;
    let options = store.pool().connect_options().as_ref().clone();
    let floor = sqlx::postgres::PgPoolOptions::new()
        .max_connections(2)
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    let shared = limiter(
        Arc::clone(&limits) as Arc<dyn LimitStore>,
        table(LimitSemantics::Burst),
    )?;
    let select = Contender::new("SELECT 1 (floor)", move |_| {
        let floor = floor.clone();
        async move { sqlx::query("select 1").execute(&floor).await.is_ok() }
    });
    let single = Contender::new("one statement a check, burst", move |user| {
        let limits = Arc::clone(&limits);
        async move {
            limits
                .check(LimitStamp::of_version(1), &[check(user, LimitSemantics::Burst)])
                .await
                .is_ok()
        }
    });
    let coalesced = Contender::new("coalesced, burst", move |user| {
        let shared = shared.clone();
        async move {
            let name = user.to_string();
            let request = LimitRequest::new(EndpointClass::Api, LimitKey::user("org", &name));
            !shared.check(&request).await.is_degraded()
        }
    });
    let contenders = plan.chosen([select, single, coalesced]);
    println!("\nPostgreSQL, 2 connections, {TASKS} tasks, checks per second");
    let rates = rates(plan, &contenders, TASKS).await;
    report(&contenders, &rates, "x SELECT 1", |rate, floor| rate / floor);
    if let [_, single, coalesced] = rates[..] {
        println!("bar: coalesced / single >= 8 : {:.2}", coalesced / single);
    }
    println!("\nPostgreSQL, 1 task, median microseconds");
    let medians = medians(plan, &contenders).await;
    report(&contenders, &medians, "x SELECT 1", |time, floor| time / floor);
    if let [floor, single, coalesced] = medians[..] {
        println!(
            "bar: p50 / SELECT 1 <= 2 : {:.2} ({:.2} with the limiter)",
            single / floor,
            coalesced / floor
        );
    }
    drop(contenders);
    store.close().await;
    scratch.drop_all().await?;
    Ok(())
}

async fn publish(store: &dyn LimitStore) -> Result<(), Failure> {
    match store.publish(&table(LimitSemantics::Burst)).await? {
        Published::Taken => Ok(()),
        kept => Err(format!("a table is there already: {kept:?}").into()),
    }
}

fn check(user: u64, semantics: LimitSemantics) -> LimitCheck {
    let rule = &table(semantics).rules[0];
    let key = LimitKey::user("org", &user.to_string()).digest(rule, &[7; 32]);
    let mut check = LimitCheck::new(1);
    check.push(CountedLimit::new(key, semantics, rule.limit, rule.per()));
    check
}

type Answer = std::pin::Pin<Box<dyn Future<Output = bool> + Send>>;

struct Contender {
    name: &'static str,
    ask: Arc<dyn Fn(u64) -> Answer + Send + Sync>,
}

impl Contender {
    fn new<F>(name: &'static str, ask: impl Fn(u64) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self {
            name,
            ask: Arc::new(move |user| Box::pin(ask(user))),
        }
    }
}

/// The median rate of each contender, a round of all after the other.
async fn rates(plan: &Plan, contenders: &[Contender], tasks: usize) -> Vec<f64> {
    let mut found = vec![Vec::new(); contenders.len()];
    for round in 0..=plan.rounds {
        for (contender, found) in contenders.iter().zip(&mut found) {
            let rate = rate(plan, contender, tasks).await;
            // The first round warms up.
            if round > 0 {
                found.push(rate);
            }
        }
    }
    found.into_iter().map(median).collect()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn rate(plan: &Plan, contender: &Contender, tasks: usize) -> f64 {
    let answered = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let running: Vec<_> = (0..tasks as u64)
        .map(|seed| {
            let (ask, answered, length) = (Arc::clone(&contender.ask), Arc::clone(&answered), plan.length);
            tokio::spawn(async move {
                let mut user = users(seed);
                while began.elapsed() < length {
                    if ask(user()).await {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in running {
        let _ = task.await;
    }
    answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// The median time of each contender, one question at a time, in turn.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn medians(plan: &Plan, contenders: &[Contender]) -> Vec<f64> {
    let mut user = users(1);
    let mut found = vec![Vec::new(); contenders.len()];
    let until = Instant::now() + plan.length * u32::try_from(2 * plan.rounds).unwrap_or(1);
    while Instant::now() < until {
        for (contender, found) in contenders.iter().zip(&mut found) {
            for _ in 0..20 {
                let user = user();
                let began = Instant::now();
                (contender.ask)(user).await;
                found.push(began.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    found.into_iter().map(median).collect()
}

fn users(seed: u64) -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % USERS
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(contenders: &[Contender], values: &[f64], unit: &str, ratio: impl Fn(f64, f64) -> f64) {
    for (contender, value) in contenders.iter().zip(values) {
        println!(
            "{:30} {value:>10.0}   {:.2} {unit}",
            contender.name,
            ratio(*value, values[0])
        );
    }
}
