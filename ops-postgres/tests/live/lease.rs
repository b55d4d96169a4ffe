//! Leases on a real server, by its clock.
#![allow(clippy::clone_on_ref_ptr, reason = "a test shares its doubles as ports")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::model::{Lease, LeaseRequest, RetentionEnd, RetentionRule, Taken, TenantLayout, Timestamp};
use ops_core::pipeline::{Kept, LeaseKeeper};
use ops_core::ports::{Clock, LeaseStore};
use ops_postgres::{PostgresLeases, PostgresStore, Retention, WriteFence};

use super::world::{World, count, run};

const TTL: Duration = Duration::from_millis(150);

/// Token, when it was told that it has the name, and when it believed no longer.
type Held = (u64, Duration, Duration);

/// A process: connections of its own. It dies with the name, gives it back, or keeps it for a while, by turns.
async fn contend(store: PostgresStore, clock: Arc<SystemClock>, who: usize, seen: Arc<Mutex<Vec<Held>>>) {
    let leases = PostgresLeases::new(&store);
    let believed = TTL - TTL / 100;
    for turn in who.. {
        if seen.lock().unwrap().len() >= 40 {
            break;
        }
        let request = LeaseRequest::new("job", format!("p{who} {turn}"), TTL).unwrap();
        let mut end = clock.monotonic() + believed;
        let Taken::Taken(lease) = leases.take(&request).await.unwrap() else {
            clock.sleep(Duration::from_millis(5)).await;
            continue;
        };
        let begin = clock.monotonic();
        if turn % 3 == 1 {
            clock.sleep(TTL / 2).await;
            let sent = clock.monotonic();
            // Late, it is told that it lost; in time, it believes longer.
            if leases.renew(&lease).await.unwrap().is_some() {
                end = end.max(sent + believed);
            }
        }
        if turn % 3 == 2 {
            end = end.min(clock.monotonic());
            leases.release(&lease).await.unwrap();
        }
        seen.lock().unwrap().push((lease.token, begin, end));
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_who_race_through_many_expiries_never_believe_at_the_same_time_that_they_hold() {
    let Some(world) = World::new().await else { return };
    let (clock, seen) = (Arc::new(SystemClock::new()), Arc::new(Mutex::new(Vec::new())));
    let mut tasks = tokio::task::JoinSet::new();
    for who in 0..16 {
        let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
        tasks.spawn(contend(store, Arc::clone(&clock), who, Arc::clone(&seen)));
    }
    tasks.join_all().await;
    let mut held = seen.lock().unwrap().clone();
    held.sort_unstable();
    assert!(held.len() >= 40);
    for pair in held.windows(2) {
        let [(token, _, end), (next, begin, _)] = pair else {
            unreachable!()
        };
        assert!(token < next, "two holders with one token: {pair:?}");
        // Who was told after its own time never believed at all.
        assert!(end <= begin, "two believe that they hold: {pair:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_holder_whose_thread_was_stopped_learns_that_it_lost_before_its_next_step() {
    let Some(world) = World::new().await else { return };
    let clock = Arc::new(SystemClock::new());
    let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    let leases = Arc::new(PostgresLeases::new(&store));
    let keeper = LeaseKeeper::new(leases, clock.clone(), "frozen", TTL).unwrap();
    let other = PostgresLeases::new(&world.store);
    let mut went_on = false;
    let kept = keeper
        .run("job", async |fence| {
            // Until another has it: nothing of this task is polled meanwhile.
            let wanted = LeaseRequest::new("job", "other", TTL).unwrap();
            let taken = tokio::task::spawn_blocking({
                let (other, runtime) = (other.clone(), tokio::runtime::Handle::current());
                move || {
                    runtime.block_on(async {
                        loop {
                            if let Taken::Taken(lease) = other.take(&wanted).await.unwrap() {
                                return lease;
                            }
                        }
                    })
                }
            });
            // A thread that is stopped stands still: no renewal.
            std::thread::sleep(TTL * 2);
            assert!(!fence.holds(), "its own clock tells");
            let lease = taken.await.unwrap();
            went_on = true;
            lease.token
        })
        .await
        .unwrap();
    assert_eq!(kept, Kept::Lost { token: 1 });
    assert!(!went_on);
    store.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_name_can_be_taken_while_the_database_is_read_only_and_a_row_changed_by_hand_is_named() {
    let Some(world) = World::new().await else { return };
    let leases = PostgresLeases::new(&world.store);
    let prior = world.stop().await;
    let request = LeaseRequest::new("job", "a", Duration::from_secs(60)).unwrap();
    let Taken::Taken(lease) = leases.take(&request).await.unwrap() else {
        panic!("it is free")
    };
    assert!(leases.renew(&lease).await.unwrap().is_some());
    world.restore(&prior).await;
    let mut owner = world.owner().await;
    assert_eq!(
        run(&mut owner, "update ops.lease set token = 0").await,
        Err("23514".to_owned()),
        "a token is never zero"
    );
    for never in ["until = 'infinity'", "until = '-infinity'", "since = 'infinity'"] {
        let refused = run(&mut owner, &format!("update ops.lease set {never}")).await;
        assert_eq!(refused, Err("23514".to_owned()), "{never}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_lease_for_ever_from_before_ends_within_a_day_and_one_past_counting_hides_no_other() {
    let Some(world) = World::new().await else { return };
    let leases = PostgresLeases::new(&world.store);
    let mut owner = world.owner().await;
    // The version before let these in.
    let migration = include_str!("../../migrations/0023_lease_times.sql");
    run(
        &mut owner,
        "alter table ops.lease drop constraint lease_times_are_finite;
         insert into ops.lease values ('a', 'x', 1, '-infinity', 'infinity'), ('b', 'x', 1, now(), '-infinity'),
             ('c', 'x', 1, now(), '294000-01-01 00:00:00+00'), ('d', 'x', 1, '4000-01-01 00:00:00+00 BC', now() + interval '1 min')",
    )
    .await
    .unwrap();
    let shown = leases.list().await.unwrap();
    let held: Vec<_> = shown.iter().map(|lease| lease.held).collect();
    assert_eq!(held, [true, false, true, true], "{shown:?}");
    run(&mut owner, migration).await.unwrap();
    let ends = "select until > clock_timestamp() + interval '23 h' and until <= clock_timestamp() + interval '1 day' and isfinite(since)
        from ops.lease where name = 'a'";
    assert!(
        sqlx::query_scalar::<_, bool>(ends)
            .fetch_one(&mut owner)
            .await
            .unwrap()
    );
    let shown = leases.list().await.unwrap();
    assert_eq!((shown.len(), shown[1].held), (4, false));
    // What is past counting can be taken away like any other.
    assert!(leases.revoke("c", "x", 1).await.unwrap().is_some());
    world.close().await;
}

#[tokio::test]
async fn behind_a_transaction_pooler_every_call_finds_its_lease_on_whatever_connection() {
    let Some(world) = World::new().await else { return };
    let direct = world.scratch.owner_url();
    let Some(pooler) = super::pooler::start(direct) else {
        return;
    };
    let store = PostgresStore::connect(&pooler.url(direct)).await.unwrap();
    let leases = Arc::new(PostgresLeases::new(&store));
    let clock = Arc::new(SystemClock::new());
    let inside = Arc::new(Mutex::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for who in 0..6 {
        let keeper = LeaseKeeper::new(
            leases.clone(),
            clock.clone(),
            format!("p{who}"),
            Duration::from_secs(60),
        );
        let (keeper, inside) = (keeper.unwrap(), Arc::clone(&inside));
        tasks.spawn(async move {
            loop {
                let kept = keeper.run("job", async |_| {
                    assert_eq!(
                        std::mem::replace(&mut *inside.lock().unwrap(), 1),
                        0,
                        "two at once"
                    );
                    tokio::task::yield_now().await;
                    *inside.lock().unwrap() = 0;
                });
                if kept.await.unwrap() == Kept::Done(()) {
                    return;
                }
            }
        });
    }
    tasks.join_all().await;
    let state = PostgresLeases::new(&world.store).list().await.unwrap().remove(0);
    assert_eq!(
        (state.token, state.held),
        (6, false),
        "six runs, one after the other"
    );
    store.close().await;
    drop(pooler);
    world.close().await;
}

async fn taken(leases: &PostgresLeases, holder: &str) -> Lease {
    let request = LeaseRequest::new("retention", holder, Duration::from_secs(60)).unwrap();
    match leases.take(&request).await.unwrap() {
        Taken::Taken(lease) => lease,
        held => panic!("{held:?}"),
    }
}

/// Of two rows one is past its time.
async fn retention(world: &World) -> Retention {
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create table notes (id int primary key, at timestamptz not null);
         insert into notes values (1, '2020-01-01'), (2, '2026-11-01')",
    )
    .await
    .unwrap();
    let end = RetentionEnd::Age {
        column: "at".to_owned(),
        keep: Duration::from_secs(365 * 24 * 60 * 60),
    };
    let rules = vec![RetentionRule::new("notes", "notes".parse().unwrap(), end)];
    Retention::new(&world.store, TenantLayout::default(), rules)
}

fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_run_that_stood_still_while_another_took_its_lease_writes_nothing_more() {
    let Some(world) = World::new().await else { return };
    let (retention, leases) = (retention(&world).await, PostgresLeases::new(&world.store));
    let mut owner = world.owner().await;
    let stale = taken(&leases, "frozen").await;
    let late = |lease: &Lease| {
        let fence = WriteFence::new("retention", lease.holder.as_str(), lease.token);
        retention.clone().under(fence)
    };
    // Its time is over, taken by another or not; it was given back; it was taken away; a server that lost its last writes has given its token to another.
    for lost in [
        "update ops.lease set until = clock_timestamp()",
        "update ops.lease set until = clock_timestamp() + interval '1 min', holder = 'other', token = token + 1",
        "update ops.lease set until = clock_timestamp(), holder = null, token = token - 1",
        "update ops.lease set until = clock_timestamp() + interval '1 min'",
        "update ops.lease set holder = 'other'",
        "delete from ops.lease",
    ] {
        run(&mut owner, lost).await.unwrap();
        let error = late(&stale).run(now(), &|_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{lost}: {error}");
        assert!(error.to_string().contains("retention was lost"), "{error}");
        assert_eq!(count(&mut owner, "notes").await, 2, "{lost}");
    }
    let lease = taken(&leases, "next").await;
    let done = late(&lease).run(now(), &|_| {}).await.unwrap();
    assert_eq!((done[0].rows, count(&mut owner, "notes").await), (1, 1));
    world.close().await;
}

#[tokio::test]
async fn until_a_batch_has_committed_nobody_gets_the_lease_it_was_written_under() {
    let Some(world) = World::new().await else { return };
    let (retention, leases) = (retention(&world).await, PostgresLeases::new(&world.store));
    let mut owner = world.owner().await;
    // A commit that takes long.
    run(
        &mut owner,
        "create table gate (opened boolean);
         create function wait() returns trigger language plpgsql as $$
         begin
             while not exists (select from public.gate) loop perform pg_sleep(0.01); end loop;
             return null;
         end $$;
         create constraint trigger wait after delete on notes deferrable initially deferred for each row execute function wait()",
    )
    .await
    .unwrap();
    let lease = taken(&leases, "first").await;
    let retention = retention.under(WriteFence::new("retention", lease.holder.as_str(), lease.token));
    let job = tokio::spawn(async move { retention.run(now(), &|_| {}).await });
    let seen = async |owner: &mut sqlx::PgConnection, what: &str| {
        let asked = format!(
            "select exists (select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and {what})"
        );
        sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(asked))
            .fetch_one(owner)
            .await
            .unwrap()
    };
    while !seen(&mut owner, "state = 'active' and query ilike 'commit%'").await {
        assert!(!job.is_finished(), "it commits at the gate");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let other = PostgresLeases::new(&PostgresStore::connect(world.scratch.owner_url()).await.unwrap());
    let next = LeaseRequest::new("retention", "next", Duration::from_secs(60)).unwrap();
    let asks = tokio::spawn(async move { other.take(&next).await });
    while !seen(
        &mut owner,
        "wait_event_type = 'Lock' and query like '%ops.lease%'",
    )
    .await
    {
        assert!(
            !asks.is_finished(),
            "answered although the batch has not committed"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run(&mut owner, "insert into gate values (true)").await.unwrap();
    assert_eq!(job.await.unwrap().unwrap()[0].rows, 1);
    assert!(matches!(asks.await.unwrap().unwrap(), Taken::Held(state) if state.token == lease.token));
    world.close().await;
}

#[tokio::test]
async fn a_database_whose_transactions_are_isolated_by_default_does_not_fail_who_had_to_wait() {
    let Some(world) = World::new().await else { return };
    let mut owner = world.owner().await;
    run(
        &mut owner,
        &format!(
            "alter database \"{}\" set default_transaction_isolation = 'serializable'",
            world.store.database()
        ),
    )
    .await
    .unwrap();
    let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    let leases = PostgresLeases::new(&store);
    let lease = taken(&leases, "first").await;
    run(&mut owner, "begin; update ops.lease set since = since")
        .await
        .unwrap();
    let asks = tokio::spawn({
        let leases = leases.clone();
        async move { leases.renew(&lease).await }
    });
    // Another session: in a transaction the activity is read once.
    let mut watcher = world.owner().await;
    let waits = "select exists (select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%ops.lease%')";
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(&mut watcher)
        .await
        .unwrap()
    {
        assert!(!asks.is_finished(), "the row is locked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run(&mut owner, "commit").await.unwrap();
    assert!(asks.await.unwrap().unwrap().is_some());
    store.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_run_that_was_given_the_token_of_the_one_that_was_looked_at_keeps_its_lease() {
    let Some(world) = World::new().await else { return };
    let leases = PostgresLeases::new(&world.store);
    let looked_at = taken(&leases, "first").await;
    // A fail-over that loses the last writes: the name is free again, and the next one gets the same token.
    run(&mut world.owner().await, "delete from ops.lease")
        .await
        .unwrap();
    let other = taken(&leases, "second").await;
    assert_eq!(looked_at.token, other.token);
    let revoked = leases
        .revoke("retention", &looked_at.holder, looked_at.token)
        .await;
    assert_eq!(revoked.unwrap(), None);
    assert!(leases.renew(&other).await.unwrap().is_some());
    world.close().await;
}

#[tokio::test]
async fn what_a_wrong_clock_has_promised_for_years_is_free_a_day_after_it_was_taken_away() {
    let Some(world) = World::new().await else { return };
    let leases = PostgresLeases::new(&world.store);
    let lease = taken(&leases, "first").await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "update ops.lease set until = clock_timestamp() + interval '10 years'",
    )
    .await
    .unwrap();
    assert!(
        leases
            .revoke("retention", &lease.holder, lease.token)
            .await
            .unwrap()
            .unwrap()
            .held
    );
    let within: bool = sqlx::query_scalar(
        "select until > clock_timestamp() + interval '23 h' and until <= clock_timestamp() + interval '1 day' from ops.lease",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert!(within);
    world.close().await;
}

#[tokio::test]
async fn a_role_of_the_application_takes_leases_once_it_may_and_touches_nothing_else() {
    let Some(world) = World::new().await else { return };
    let app = PostgresStore::connect(world.scratch.app_url()).await.unwrap();
    let leases = PostgresLeases::new(&app);
    let request = LeaseRequest::new("job", "app", Duration::from_secs(60)).unwrap();
    let refused = leases.take(&request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    world
        .store
        .grant_leases(&app.role().await.unwrap())
        .await
        .unwrap();
    let Taken::Taken(lease) = leases.take(&request).await.unwrap() else {
        panic!("it is free")
    };
    let mut session = world.app().await;
    // It may write under its lease, and take no row of it away.
    assert!(leases.renew(&lease).await.unwrap().is_some());
    assert_eq!(
        run(&mut session, "select * from ops.lease for share").await,
        Ok(())
    );
    assert_eq!(
        run(&mut session, "delete from ops.lease").await,
        Err("42501".to_owned())
    );
    assert_eq!(
        run(&mut session, "select * from ops.tenant").await,
        Err("42501".to_owned())
    );
    leases.release(&lease).await.unwrap();
    assert!(!leases.list().await.unwrap()[0].held);
    // As is said of it: the right is one to every name, and to nothing that never ends.
    taken(&PostgresLeases::new(&world.store), "of the owner").await;
    assert_eq!(
        run(
            &mut session,
            "update ops.lease set holder = 'app' where name = 'retention'"
        )
        .await,
        Ok(())
    );
    assert_eq!(
        run(&mut session, "update ops.lease set until = 'infinity'").await,
        Err("23514".to_owned())
    );
    app.close().await;
    world.close().await;
}
