//! One of many runs a job, and knows when it is no longer the one.
#![allow(clippy::clone_on_ref_ptr, reason = "a test shares its doubles as ports")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::file::FileLeases;
use ops_core::memory::InMemoryLeases;
use ops_core::model::{Lease, LeaseRequest, LeaseState, Taken};
use ops_core::pipeline::{Kept, LeaseKeeper};
use ops_core::ports::{Clock as _, LeaseStore};
use ops_core::testkit::ManualClock;

const TTL: Duration = Duration::from_secs(60);

struct World {
    clock: Arc<ManualClock>,
    leases: Arc<InMemoryLeases>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-27T00:00:00Z".parse().unwrap()));
        let leases = Arc::new(InMemoryLeases::new(clock.clone()));
        Self { clock, leases }
    }

    fn keeper(&self, holder: &str) -> LeaseKeeper {
        LeaseKeeper::new(self.leases.clone(), self.clock.clone(), holder, TTL).unwrap()
    }

    async fn state(&self) -> LeaseState {
        self.leases.list().await.unwrap().remove(0)
    }

    /// Advances, and polls: `None` while it goes on.
    fn after<T>(&self, by: Duration, run: &mut Pin<&mut impl Future<Output = T>>) -> Option<T> {
        self.clock.advance(by);
        poll(run)
    }
}

/// Polls a few times, as a runtime would.
fn poll<T>(run: &mut Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..8 {
        if let Poll::Ready(value) = run.as_mut().poll(&mut context) {
            return Some(value);
        }
    }
    None
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_job_has_a_token_and_the_next_one_a_greater_one() {
    let world = World::new();
    let run = || async {
        let keeper = world.keeper("cron@a");
        keeper
            .run("retention", async |fence| {
                let kept = world.state().await.holder;
                assert_eq!(kept.as_deref(), Some(fence.holder()), "as the store knows it");
                (fence.token(), fence.holds(), fence.holder().to_owned())
            })
            .await
    };
    let Kept::Done((1, true, first)) = run().await.unwrap() else {
        panic!("the first token")
    };
    assert!(!world.state().await.held, "given back at the end");
    let Kept::Done((2, true, second)) = run().await.unwrap() else {
        panic!("the next token")
    };
    assert_ne!(first, second, "a run is a holder");
}

#[tokio::test]
async fn a_second_one_is_told_who_has_it_and_begins_nothing() {
    let world = World::new();
    let keeper = world.keeper("cron@a");
    let mut first = pin!(keeper.run("retention", |_| pending::<()>()));
    assert!(poll(&mut first).is_none());
    // The same keeper is no exception: a run is a holder.
    for who in ["cron@a", "cron@b"] {
        let keeper = world.keeper(who);
        let second: Kept<()> = keeper
            .run("retention", |_| async { unreachable!() })
            .await
            .unwrap();
        let Kept::Held(state) = second else {
            panic!("{second:?}")
        };
        assert!(
            state
                .holder
                .as_deref()
                .is_some_and(|holder| holder.starts_with("cron@a "))
        );
        assert_eq!(state.until.saturating_since(state.since), TTL);
    }
    // Another name is another matter.
    let other = world.keeper("cron@b").run("purge", async |_| 7).await.unwrap();
    assert_eq!(other, Kept::Done(7));
}

#[tokio::test]
async fn a_long_job_keeps_its_name_by_renewing() {
    let world = World::new();
    let keeper = world.keeper("a");
    let clock = world.clock.clone();
    let mut run = pin!(keeper.run("job", |fence| async move {
        clock.sleep(TTL * 10).await;
        fence.holds()
    }));
    assert!(poll(&mut run).is_none());
    for _ in 0..29 {
        assert!(world.after(TTL / 3, &mut run).is_none());
        let other = world.keeper("b").run("job", async |_| ()).await.unwrap();
        assert!(matches!(other, Kept::Held(_)), "{other:?}");
    }
    assert_eq!(world.after(TTL / 3, &mut run).unwrap().unwrap(), Kept::Done(true));
}

#[tokio::test]
async fn a_holder_that_was_frozen_does_nothing_more_when_it_comes_back() {
    let world = World::new();
    let keeper = world.keeper("a");
    let (went_on, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (flag, dropped, clock) = (went_on.clone(), Dropped(gone.clone()), world.clock.clone());
    let mut run = pin!(keeper.run("job", |_| async move {
        let _dropped = dropped;
        clock.sleep(TTL / 2).await;
        flag.store(true, Ordering::SeqCst);
    }));
    assert!(poll(&mut run).is_none());
    // Nobody polls it while its time runs out and another takes the name.
    world.clock.advance(TTL);
    let other = world
        .keeper("b")
        .run("job", async |fence| fence.token())
        .await
        .unwrap();
    assert_eq!(other, Kept::Done(2));
    assert_eq!(poll(&mut run).unwrap().unwrap(), Kept::Lost { token: 1 });
    assert!(!went_on.load(Ordering::SeqCst), "not one step more");
    assert!(gone.load(Ordering::SeqCst), "dropped");
}

#[tokio::test]
async fn what_was_taken_away_is_lost_at_the_next_renewal_and_nobody_gets_it_before() {
    let world = World::new();
    let keeper = world.keeper("a");
    let mut run = pin!(keeper.run("job", |_| pending::<()>()));
    assert!(poll(&mut run).is_none());
    let holder = world.state().await.holder.unwrap();
    world.leases.revoke("job", &holder, 1).await.unwrap().unwrap();
    let other = world.keeper("b").run("job", async |_| ()).await.unwrap();
    assert!(
        matches!(other, Kept::Held(_)),
        "the first may still be at work: {other:?}"
    );
    let lost = world.after(TTL / 3, &mut run).unwrap().unwrap();
    assert_eq!(lost, Kept::Lost { token: 1 });
    world.clock.advance(TTL);
    let other = world
        .keeper("b")
        .run("job", async |fence| fence.token())
        .await
        .unwrap();
    assert_eq!(other, Kept::Done(3));
}

#[tokio::test]
async fn a_store_that_is_away_is_asked_again_until_the_time_is_over() {
    let world = World::new();
    let keeper = world.keeper("a");
    let mut run = pin!(keeper.run("job", |_| pending::<()>()));
    assert!(poll(&mut run).is_none());
    world.leases.set_reachable(false);
    assert!(world.after(TTL / 3, &mut run).is_none());
    assert!(world.after(TTL / 12, &mut run).is_none());
    world.leases.set_reachable(true);
    assert!(world.after(TTL / 12, &mut run).is_none());
    // Renewed half-way: it would be over by now.
    assert!(world.after(TTL / 3, &mut run).is_none());
    assert!(world.after(TTL / 3, &mut run).is_none());
    world.leases.set_reachable(false);
    for _ in 0..11 {
        assert!(world.after(TTL / 12, &mut run).is_none());
    }
    // A hundredth before the store's time.
    let lost = world.after(TTL / 12 - TTL / 100, &mut run).unwrap().unwrap();
    assert_eq!(lost, Kept::Lost { token: 1 });
    world.leases.set_reachable(true);
    assert!(
        world.state().await.held,
        "it ends before the store gives the name to another"
    );
}

#[tokio::test]
async fn without_the_store_nothing_is_begun() {
    let world = World::new();
    world.leases.set_reachable(false);
    let error = world
        .keeper("a")
        .run("job", |_| pending::<()>())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = world.keeper("a").run("", |_| pending::<()>()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for (holder, ttl) in [("", TTL), ("a", Duration::ZERO)] {
        let wrong = LeaseKeeper::new(world.leases.clone(), world.clock.clone(), holder, ttl);
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn an_error_and_a_panic_give_the_name_back() {
    let world = World::new();
    let failed: Kept<Result<()>> = world
        .keeper("a")
        .run("job", async |_| Err(Error::new(ErrorKind::Unexpected, "work")))
        .await
        .unwrap();
    assert!(matches!(failed, Kept::Done(Err(_))));
    assert!(!world.state().await.held);
    let keeper = world.keeper("a");
    let panicked = tokio::spawn(async move {
        let kept: Result<Kept<()>> = keeper.run("job", |_| async { panic!("on purpose") }).await;
        kept
    });
    assert!(panicked.await.unwrap_err().is_panic());
    let state = world.state().await;
    assert_eq!((state.held, state.token), (false, 2));
}

#[tokio::test]
async fn a_run_that_is_dropped_keeps_the_name_for_its_time_because_what_it_sent_may_still_land() {
    let world = World::new();
    {
        let keeper = world.keeper("a");
        let mut run = pin!(keeper.run("job", |_| pending::<()>()));
        assert!(poll(&mut run).is_none());
    }
    assert!(world.state().await.held);
    world.clock.advance(TTL);
    assert_eq!(
        world.keeper("b").run("job", async |_| 1).await.unwrap(),
        Kept::Done(1)
    );
}

/// Answers late: the time passes after the store has decided.
#[derive(Debug)]
struct Slow {
    inner: Arc<InMemoryLeases>,
    clock: Arc<ManualClock>,
    by: Duration,
}

#[async_trait]
impl LeaseStore for Slow {
    async fn take(&self, request: &LeaseRequest) -> Result<Taken> {
        let taken = self.inner.take(request).await;
        self.clock.advance(self.by);
        taken
    }

    async fn renew(&self, _lease: &Lease) -> Result<Option<Lease>> {
        Err(Error::new(ErrorKind::Unavailable, "renew"))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.inner.release(lease).await
    }

    async fn revoke(&self, name: &str, holder: &str, token: u64) -> Result<Option<LeaseState>> {
        self.inner.revoke(name, holder, token).await
    }

    async fn list(&self) -> Result<Vec<LeaseState>> {
        self.inner.list().await
    }
}

#[tokio::test]
async fn a_slow_answer_never_makes_the_holder_believe_that_it_holds_longer_than_the_store_does() {
    let world = World::new();
    let slow = |by| {
        let (inner, clock) = (world.leases.clone(), world.clock.clone());
        LeaseKeeper::new(
            Arc::new(Slow {
                inner,
                clock: clock.clone(),
                by,
            }),
            clock,
            "a",
            TTL,
        )
        .unwrap()
    };
    let keeper = slow(Duration::from_secs(40));
    let mut run = pin!(keeper.run("job", |_| pending::<()>()));
    assert!(poll(&mut run).is_none());
    let lost = world.after(Duration::from_secs(20), &mut run).unwrap().unwrap();
    assert_eq!(lost, Kept::Lost { token: 1 });
    assert!(!world.state().await.held, "to the second");
    // As late as its time: of no use.
    let error = slow(TTL).run("job", |_| pending::<()>()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn many_who_share_a_directory_never_have_a_name_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new("2026-11-27T00:00:00Z".parse().unwrap()));
    let inside = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for who in 0..8 {
        // Each opens the directory for itself, as processes do.
        let leases = Arc::new(FileLeases::open(directory.path(), clock.clone()).unwrap());
        let keeper = LeaseKeeper::new(leases, clock.clone(), format!("p{who}"), TTL).unwrap();
        let inside = inside.clone();
        tasks.spawn(async move {
            let mut tokens = Vec::new();
            while tokens.len() < 5 {
                let kept = keeper.run("job", async |fence| {
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    tokio::task::yield_now().await;
                    inside.store(false, Ordering::SeqCst);
                    fence.token()
                });
                match kept.await.unwrap() {
                    Kept::Done(token) => tokens.push(token),
                    _ => tokio::task::yield_now().await,
                }
            }
            tokens
        });
    }
    let mut tokens: Vec<u64> = tasks.join_all().await.concat();
    tokens.sort_unstable();
    assert_eq!(
        tokens,
        (1..=40).collect::<Vec<_>>(),
        "each holder has a token of its own"
    );
}
