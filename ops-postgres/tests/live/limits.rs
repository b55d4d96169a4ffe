//! Limits that instances share in PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::guard::{DistributedLimiter, SharedLimitOptions};
use ops_core::model::{EndpointClass, LimitChange, LimitKey, LimitRequest, LimitSemantics, LimitTable};
use ops_core::ports::{Clock, LimitStamp, LimitStore};
use ops_postgres::{PostgresLimits, PostgresStore};
use secrecy::SecretString;

use super::world::World;

fn instance(store: &Arc<PostgresLimits>, table: LimitTable) -> DistributedLimiter {
    let options = SharedLimitOptions::default().with_timeout(Duration::from_secs(5));
    let secret = SecretString::from("sixteen characters");
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    DistributedLimiter::new(
        Arc::clone(store) as Arc<dyn LimitStore>,
        table,
        &secret,
        options,
        clock,
    )
    .unwrap()
}

fn llm(user: &str) -> LimitRequest<'_> {
    LimitRequest::new(EndpointClass::Llm, LimitKey::user("org", user))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_together_admit_exactly_the_limit_and_never_lock_each_other_out() {
    let Some(world) = World::new().await else { return };
    let stores = [0, 1].map(|_| Arc::new(PostgresLimits::new(&world.store)));
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let table = LimitTable::preset().with_semantics(semantics);
        let instances: Vec<_> = (0..4)
            .map(|number| instance(&stores[number % 2], table.clone()))
            .collect();
        // All of them use all keys, each in an order of its own.
        let tasks: Vec<_> = (0..64_usize)
            .map(|number| {
                let limiter = instances[number % 4].clone();
                tokio::spawn(async move {
                    let mut admitted = [0; 8];
                    for step in 0..40 {
                        let user = (number * 7 + step * (1 + number % 5)) % 8;
                        let name = format!("{semantics:?} {user}");
                        let decision = limiter.check(&llm(&name)).await;
                        assert!(!decision.is_degraded(), "{:?}", limiter.figures());
                        admitted[user] += u32::from(decision.is_admitted());
                    }
                    admitted
                })
            })
            .collect();
        let mut admitted = [0; 8];
        for task in tasks {
            for (all, own) in admitted.iter_mut().zip(task.await.unwrap()) {
                *all += own;
            }
        }
        // A meaning has states of its own.
        assert_eq!(admitted, [20; 8], "{semantics:?}");
    }
    for store in &stores {
        store.close().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_role_of_the_application_needs_its_grant_and_a_denied_check_writes_nothing() {
    let Some(world) = World::new().await else { return };
    let app = PostgresStore::connect(world.scratch.app_url()).await.unwrap();
    let limits = Arc::new(PostgresLimits::new(&app));
    assert_eq!(
        limits.connect().await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let role = app.role().await.unwrap();
    world.store.grant_limits(&role).await.unwrap();
    limits.connect().await.unwrap();
    let limiter = instance(&limits, LimitTable::preset());
    for _ in 0..20 {
        assert!(limiter.check(&llm("u")).await.is_admitted());
    }
    limiter.change(LimitChange::new(50)).await.unwrap();
    let written = async || -> i64 {
        sqlx::query_scalar("select sum(xmin::text::bigint)::bigint from ops.limit_state")
            .fetch_one(world.store.pool())
            .await
            .unwrap()
    };
    let before = written().await;
    for _ in 0..5 {
        // Under another version each time, so that none is remembered.
        assert!(!limiter.check(&llm("u")).await.is_admitted());
        limiter.change(LimitChange::new(50)).await.unwrap();
    }
    assert!(limiter.figures().calls >= 25, "{:?}", limiter.figures());
    assert_eq!(written().await, before, "a denied check writes nothing");
    limits.close().await;
    app.close().await;
    world.close().await;
}

#[tokio::test]
async fn what_counts_no_more_is_deleted_whatever_the_number_of_rows_and_without_a_count_of_denials() {
    let Some(world) = World::new().await else { return };
    let run = async |statement: &'static str| {
        sqlx::query(statement).execute(world.store.pool()).await.unwrap();
    };
    run("insert into ops.limit_state (key, at, expires)
         select decode(md5(n::text), 'hex'), 0, case when n % 1000 = 0 then 9000000000000000 else 1 end
         from generate_series(1, 50000) n")
    .await;
    run(
        "insert into ops.limit_denial (key, slots, counts, raised_until, expires)
         select decode(md5(n::text), 'hex'), '{}', '{}', 0, 1 from generate_series(1, 20000) n",
    )
    .await;
    let limits = PostgresLimits::new(&world.store);
    let stamp = LimitStamp::of_version(0);
    limits.check(stamp, &[]).await.unwrap();
    let left = async || -> (i64, i64) {
        sqlx::query_as(
            "select (select count(*) from ops.limit_state), (select count(*) from ops.limit_denial)",
        )
        .fetch_one(world.store.pool())
        .await
        .unwrap()
    };
    for _ in 0..3_000 {
        if left().await == (50, 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left().await, (50, 0), "those that count are left");
    limits.close().await;
    world.close().await;
}
