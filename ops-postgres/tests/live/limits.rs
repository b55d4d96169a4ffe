//! Limits that instances share in PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::guard::{DistributedLimiter, SharedLimitOptions};
use ops_core::model::{
    EndpointClass, LimitChange, LimitDigest, LimitKey, LimitRequest, LimitSemantics, LimitTable, LimitTime,
    Standing,
};
use ops_core::ports::{Clock, CountedLimit, LimitCheck, LimitStamp, LimitStore, LimitsChecked};
use ops_core::resilience::LimitCounts;
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
        sqlx::query_scalar("select sum(xmin::text::bigint)::bigint from ops.limit_state where key <> ''")
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
    let mut holder = world.superuser().await;
    super::world::run(
        &mut holder,
        "begin; lock table ops.limit_denial in access exclusive mode",
    )
    .await
    .unwrap();
    limits.check(stamp, &[]).await.unwrap();
    let number = async |query: &'static str| -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(world.store.pool())
            .await
            .unwrap()
    };
    let waits = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%limit_denial%'";
    while number(waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let noted = "select count(*) from ops.limit_state where key = ''";
    assert_eq!(number(noted).await, 0, "it may still die half-way");
    super::world::run(&mut holder, "rollback").await.unwrap();
    let left = async || -> (i64, i64) {
        sqlx::query_as(
            "select (select count(*) from ops.limit_state where key <> ''), (select count(*) from ops.limit_denial)",
        )
        .fetch_one(world.store.pool())
        .await
        .unwrap()
    };
    let swept = async || {
        for _ in 0..3_000 {
            if left().await == (50, 0) && number(noted).await == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        left().await
    };
    assert_eq!(swept().await, (50, 0), "those that count are left");
    limits.close().await;
    // Another instance leaves it to the one that has been there within the minute, however slow this test is.
    run("insert into ops.limit_denial (key, slots, counts, raised_until, expires) values ('\\x01', '{}', '{}', 0, 1)").await;
    run("update ops.limit_state set at = (extract(epoch from clock_timestamp()) * 1000000)::bigint + 50000000 where key = ''").await;
    let other = PostgresLimits::new(&world.store);
    for _ in 0..30 {
        other.check(stamp, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    other.close().await;
    assert_eq!(left().await, (50, 1), "one sweeps for all");
    run("update ops.limit_state set at = 0 where key = ''").await;
    let third = PostgresLimits::new(&world.store);
    third.check(stamp, &[]).await.unwrap();
    assert_eq!(swept().await, (50, 0), "nobody has been there for long");
    third.close().await;
    world.close().await;
}

fn digest(name: &str) -> LimitDigest {
    LimitKey::user("org", name).digest(&LimitTable::preset().rules[0], &[7; 32])
}

fn check(cost: u32, limit: CountedLimit) -> LimitCheck {
    let mut check = LimitCheck::new(cost);
    check.push(limit);
    check
}

/// With company, a look at another key, it is the function that decides; alone, the plain statement.
async fn decided(limits: &PostgresLimits, own: LimitCheck, alone: bool) -> (LimitTime, Standing) {
    let nobody = CountedLimit::new(digest("nobody"), LimitSemantics::Burst, 1, Duration::from_secs(1));
    let both = [own, check(0, nobody)];
    let checks = if alone { &both[..1] } else { &both[..] };
    match limits.check(LimitStamp::of_version(0), checks).await.unwrap() {
        LimitsChecked::Decided { at, standings } => (at, standings[0]),
        other => panic!("{other:?}"),
    }
}

const SEMANTICS: [LimitSemantics; 2] = [LimitSemantics::Strict, LimitSemantics::Burst];

async fn a_table_of_no_version(world: &World) {
    // What no instance has published yet has version 0, and so has this one: the plain statement wants a row.
    sqlx::query("insert into ops.limit_table (version, content) values (0, '')")
        .execute(world.store.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn one_check_alone_and_in_company_is_decided_as_the_model_does_on_the_same_states() {
    let Some(world) = World::new().await else { return };
    a_table_of_no_version(&world).await;
    let limits = PostgresLimits::new(&world.store);
    let mut model = LimitCounts::new(usize::MAX);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        u32::try_from(random % below).unwrap()
    };
    let mut admitted = [0; 2];
    for step in 0..1_200 {
        let semantics = SEMANTICS[next(2) as usize];
        // Slots come and go while it runs; some keys are full for good.
        let per = [3_000, 90_000, 700_000, 60_000_000][next(4) as usize];
        let key = format!("{per} {} {semantics:?}", next(2));
        let limit = CountedLimit::new(digest(&key), semantics, next(9), Duration::from_micros(per));
        let (own, alone) = (check(next(4), limit), next(2) == 0);
        let (at, standing) = decided(&limits, own, alone).await;
        let mut wanted = Vec::new();
        model.decide(&own, at, &mut wanted);
        assert_eq!(
            standing, wanted[0],
            "step {step}, alone {alone}: {own:?} at {at:?}"
        );
        admitted[usize::from(alone)] += u32::from(standing.admitted && own.cost() > 0);
    }
    assert!(admitted.iter().all(|of| *of > 100), "{admitted:?}");
    limits.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_alone_and_in_company_at_the_same_time_admit_exactly_the_limit() {
    let Some(world) = World::new().await else { return };
    a_table_of_no_version(&world).await;
    let stores = [0, 1].map(|_| Arc::new(PostgresLimits::new(&world.store)));
    for semantics in SEMANTICS {
        let limit = CountedLimit::new(
            digest(&format!("{semantics:?}")),
            semantics,
            97,
            Duration::from_secs(3_600),
        );
        let admitted = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, admitted) = (Arc::clone(&stores[task % 2]), Arc::clone(&admitted));
                tokio::spawn(async move {
                    for round in 0..25 {
                        let (_, standing) =
                            decided(&store, check(1, limit), (task / 2 + round) % 2 == 0).await;
                        admitted.fetch_add(u32::from(standing.admitted), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(admitted.load(Ordering::Relaxed), 97, "{semantics:?}");
    }
    for store in &stores {
        store.close().await;
    }
    world.close().await;
}

#[tokio::test]
async fn alone_too_other_limits_are_told_and_a_server_that_takes_no_writes_still_denies() {
    let Some(world) = World::new().await else { return };
    a_table_of_no_version(&world).await;
    let limits = PostgresLimits::new(&world.store);
    let limit = CountedLimit::new(digest("u"), LimitSemantics::Strict, 1, Duration::from_secs(3_600));
    let once = [check(1, limit)];
    let told = limits.check(LimitStamp::of_version(7), &once).await.unwrap();
    assert!(
        matches!(told, LimitsChecked::Superseded { version: 0, .. }),
        "{told:?}"
    );
    let early = LimitStamp::of_version(0).between(LimitTime::ZERO, LimitTime::from_micros(1));
    let told = limits.check(early, &once).await.unwrap();
    assert!(matches!(told, LimitsChecked::Superseded { .. }), "{told:?}");
    assert!(
        decided(&limits, once[0], true).await.1.admitted,
        "nothing was counted"
    );
    limits.close().await;

    // As a session that may only read says it. A standby has none of it: it has no unlogged tables.
    let refuse = "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'read-only' using errcode = '25006'; end $$;
        create trigger refuse before insert on ops.limit_state for each row execute function refuse()";
    super::world::run(&mut world.superuser().await, refuse)
        .await
        .unwrap();
    let closed = PostgresLimits::new(&world.store);
    let (_, denied) = decided(&closed, once[0], true).await;
    assert!(
        !denied.admitted && denied.retry_after > Some(Duration::ZERO),
        "{denied:?}"
    );
    let other = CountedLimit::new(digest("v"), LimitSemantics::Burst, 1, Duration::from_secs(1));
    let error = closed
        .check(LimitStamp::of_version(0), &[check(1, other)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    closed.close().await;
    world.close().await;
}

/// Callers alike in everything else: what the plain statement admits together, and the function for whoever it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alike_callers_together_get_exactly_their_limits_and_what_is_denied_is_told_to_the_right_ones() {
    let Some(world) = World::new().await else { return };
    a_table_of_no_version(&world).await;
    let stores = [0, 1].map(|_| Arc::new(PostgresLimits::new(&world.store)));
    for semantics in SEMANTICS {
        let of = move |user: usize| {
            let key = digest(&format!("{semantics:?} {user}"));
            check(
                1,
                CountedLimit::new(key, semantics, 7, Duration::from_secs(3_600)),
            )
        };
        let admitted = Arc::new([const { AtomicU32::new(0) }; 20]);
        let tasks: Vec<_> = (0..6)
            .map(|task| {
                let (store, admitted) = (Arc::clone(&stores[task % 2]), Arc::clone(&admitted));
                tokio::spawn(async move {
                    for round in 0..12 {
                        // Each time others, in another order.
                        let users: Vec<usize> = (0..20).map(|n| (n * 7 + task * 3 + round) % 20).collect();
                        let asked = &users[..8 + round % 9];
                        let checks: Vec<_> = asked.iter().map(|user| of(*user)).collect();
                        let told = store.check(LimitStamp::of_version(0), &checks).await.unwrap();
                        let LimitsChecked::Decided { standings, .. } = told else {
                            panic!("{told:?}")
                        };
                        assert_eq!(standings.len(), asked.len());
                        for (user, standing) in asked.iter().zip(standings) {
                            let before =
                                admitted[*user].fetch_add(u32::from(standing.admitted), Ordering::SeqCst);
                            assert!(before < 7 || !standing.admitted, "{user} has had its own");
                            assert_eq!(standing.retry_after == Some(Duration::ZERO), standing.admitted);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let admitted: Vec<_> = admitted.iter().map(|of| of.load(Ordering::SeqCst)).collect();
        assert_eq!(admitted, [7; 20], "{semantics:?}");
    }

    let [store, other] = stores;
    let fresh = |user: &str| {
        let key = digest(user);
        check(
            2,
            CountedLimit::new(key, LimitSemantics::Burst, 5, Duration::from_secs(3_600)),
        )
    };
    let (a, b) = (fresh("a"), fresh("b"));
    let told = store.check(LimitStamp::of_version(7), &[a, b]).await.unwrap();
    assert!(
        matches!(told, LimitsChecked::Superseded { version: 0, .. }),
        "{told:?}"
    );
    let remaining =
        async |checks: &[LimitCheck]| match store.check(LimitStamp::of_version(0), checks).await.unwrap() {
            LimitsChecked::Decided { standings, .. } => standings
                .iter()
                .map(|standing| standing.remaining)
                .collect::<Vec<_>>(),
            told => panic!("{told:?}"),
        };
    assert_eq!(
        remaining(&[a, b]).await,
        [3, 3],
        "nothing was counted under other limits"
    );
    assert_eq!(remaining(&[b]).await, [1]);
    assert_eq!(
        remaining(&[a, b]).await,
        [1, 1],
        "the first is admitted, the second denied"
    );
    assert_eq!(remaining(&[a, a]).await, [1, 1], "a caller may be named twice");
    store.close().await;
    other.close().await;
    world.close().await;
}
