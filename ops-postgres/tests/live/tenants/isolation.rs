//! Random interleavings on few connections: nobody ever sees a row of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ops_core::config::Env;
use ops_postgres::TenantPool;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::super::pooler;
use super::super::world::{World, run};
use super::{context, seen, seen_by_pool, tasks};

/// A small generator of one's own, so that a run can be told again by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn pool_of_one(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options.statement_cache_capacity(0))
        .await
        .unwrap()
}

const TENANTS: [&str; 3] = ["org_a", "org_b", "org_c"];

/// What a tenant may see of `tasks` in its own transaction.
fn may_see(name: &str, seen: &[String]) -> bool {
    seen.iter().all(|tenant| tenant == name)
}

/// One request of a random tenant: it reads, writes, and ends in one of many ways. Gives the strangers' rows that it saw.
async fn request(tenants: TenantPool, name: &'static str, way: u64, n: u64) -> usize {
    let mut transaction = tenants.begin(&context(name)).await.unwrap();
    let mut strangers = usize::from(!may_see(name, &seen(&mut transaction).await));
    match way {
        0 => transaction.commit().await.unwrap(),
        1 => transaction.rollback().await.unwrap(),
        2 => drop(transaction),
        3 => {
            let insert = format!("insert into tasks values ('{name}', {}, 'n')", 100 + n);
            run(&mut transaction, &insert).await.unwrap();
            strangers += usize::from(!may_see(name, &seen(&mut transaction).await));
            transaction.commit().await.unwrap();
        }
        4 => {
            run(&mut transaction, "select 1 / 0").await.unwrap_err();
            drop(transaction);
        }
        5 => {
            let _ = run(&mut transaction, "select pg_sleep(0.002)").await;
            strangers += usize::from(!may_see(name, &seen(&mut transaction).await));
            transaction.commit().await.unwrap();
        }
        _ => panic!("a request that panics"),
    }
    strangers
}

/// Runs requests on `pools`, cuts some off at a random moment, and looks between them. Gives how often anybody saw a stranger's row.
async fn interleave(pools: &[PgPool], seed: u64, rounds: u64) -> u64 {
    let strangers = Arc::new(AtomicU64::new(0));
    let mut dice = Dice(seed);
    let mut running = Vec::new();
    for round in 0..rounds {
        let pool = pools[dice.roll(pools.len() as u64) as usize].clone();
        let tenants = TenantPool::new(pool.clone()).await.unwrap();
        let name = TENANTS[dice.roll(3) as usize];
        let (way, cut) = (dice.roll(8), dice.roll(3));
        let patience = Duration::from_micros(dice.roll(2_500));
        let count = Arc::clone(&strangers);
        running.push(tokio::spawn(async move {
            let work = request(tenants, name, way, seed % 1_000 * 1_000 + round);
            let saw = match cut {
                0 => tokio::time::timeout(patience, work).await.unwrap_or(0),
                _ => work.await,
            };
            count.fetch_add(saw as u64, Ordering::Relaxed);
        }));
        if dice.roll(4) == 0 {
            // Somebody without a tenant, on the same connection.
            let anybody = seen_by_pool(&pool).await;
            strangers.fetch_add(anybody.len() as u64, Ordering::Relaxed);
        }
        if running.len() > 8 {
            let _ = running.remove(0).await;
        }
    }
    for task in running {
        let _ = task.await;
    }
    strangers.load(Ordering::Relaxed)
}

/// How many requests; the variable makes it more.
fn rounds() -> u64 {
    let wanted = Env::process().text("OPS_TENANT_ROUNDS");
    wanted.and_then(|text| text.parse().ok()).unwrap_or(150)
}

fn options(url: &SecretString) -> PgConnectOptions {
    url.expose_secret().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_and_panicking_requests_on_one_connection_never_show_a_stranger_a_row() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let pool = pool_of_one(options(world.scratch.app_url())).await;
    for seed in [11, 12, 13] {
        assert_eq!(
            interleave(std::slice::from_ref(&pool), seed, rounds()).await,
            0,
            "seed {seed}"
        );
    }
    pool.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_transaction_pooler_with_one_server_connection_tenants_stay_apart_and_a_session_setting_leaks()
 {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let Some(pooler) = pooler::start_with(world.scratch.app_url(), 1) else {
        return;
    };
    let url = pooler.url(world.scratch.app_url());
    let (one, two) = (pool_of_one(options(&url)).await, pool_of_one(options(&url)).await);
    for seed in [21, 22] {
        assert_eq!(
            interleave(&[one.clone(), two.clone()], seed, rounds()).await,
            0,
            "seed {seed}"
        );
    }
    // The control: what the runbook's way does. One client sets its tenant for the session, another one, who set nothing, reads.
    sqlx::raw_sql("set app.current_tenant = 'org_a'")
        .execute(&one)
        .await
        .unwrap();
    assert_eq!(
        seen_by_pool(&two).await,
        ["org_a"],
        "the naive way leaks, or this test shows nothing"
    );
    // Even then a transaction of ours sees its own tenant.
    let tenants = TenantPool::new(two.clone()).await.unwrap();
    let mut transaction = tenants.begin(&context("org_b")).await.unwrap();
    assert_eq!(seen(&mut transaction).await, ["org_b"]);
    drop(transaction);
    one.close().await;
    two.close().await;
    drop(pooler);
    world.close().await;
}

#[tokio::test]
async fn a_tenant_set_for_the_session_stays_on_the_connection_and_ours_does_not() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let pool = pool_of_one(options(world.scratch.app_url())).await;
    let tenants = TenantPool::new(pool.clone()).await.unwrap();
    drop(tenants.begin(&context("org_a")).await.unwrap());
    assert!(seen_by_pool(&pool).await.is_empty());
    sqlx::raw_sql("select set_config('app.current_tenant', 'org_a', false)")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(seen_by_pool(&pool).await, ["org_a"], "the naive way");
    pool.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_begin_that_nobody_waits_for_leaves_no_transaction_behind() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let pool = pool_of_one(options(world.scratch.app_url())).await;
    let tenants = TenantPool::new(pool.clone()).await.unwrap();
    for steps in 0..40 {
        let name = context("org_a");
        let mut begin = Box::pin(tenants.begin(&name));
        // Polled so often and then dropped, at whatever point that is.
        for _ in 0..steps {
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(begin.as_mut().poll(context)));
            if polled.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begin);
        // In the simple protocol both times are those of the message, unless the transaction is older.
        let statement = "select (now() = statement_timestamp())::text || coalesce(current_setting('app.current_tenant', true), '')";
        let row = sqlx::raw_sql(statement).fetch_one(&pool).await.unwrap();
        let state: String = sqlx::Row::get(&row, 0);
        assert_eq!(
            state, "true",
            "after {steps} steps: a transaction that goes on, or a tenant that stayed"
        );
    }
    pool.close().await;
    world.close().await;
}
