//! Leases on a real server, by its clock.
#![allow(clippy::clone_on_ref_ptr, reason = "a test shares its doubles as ports")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::model::{LeaseRequest, Taken};
use ops_core::pipeline::{Kept, LeaseKeeper};
use ops_core::ports::{Clock, LeaseStore};
use ops_postgres::{PostgresLeases, PostgresStore};

use super::world::{World, run};

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
