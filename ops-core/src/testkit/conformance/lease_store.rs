use std::time::Duration;

use super::{fresh, ok};
use crate::model::{Lease, LeaseRequest, LeaseState, Taken};
use crate::ports::LeaseStore;

/// The contract of [`LeaseStore`]. `pass` lets time pass for the store.
///
/// # Panics
/// With the clause that `port` breaks.
#[expect(clippy::future_not_send, reason = "a suite runs in the test that calls it")]
pub async fn lease_store(port: &dyn LeaseStore, pass: impl AsyncFn(Duration)) {
    holds_one_at_a_time(port, &pass).await;
    is_lost_for_good(port, &pass).await;
    is_taken_away(port, &pass).await;
    has_one_winner(port).await;
    let names = ok("list", port.list().await);
    assert!(
        names.is_sorted_by(|a, b| a.name < b.name),
        "list must give every name once, by name"
    );
}

#[expect(clippy::future_not_send, reason = "a suite runs in the test that calls it")]
async fn holds_one_at_a_time(port: &dyn LeaseStore, pass: &impl AsyncFn(Duration)) {
    let name = fresh("lease");
    assert_eq!(
        standing(port, &name).await,
        None,
        "a name that nobody took must not be listed"
    );
    let (a, b) = (request(&name, "a", TTL), request(&name, "b", TTL));
    let lease = taken(port, &a).await;
    assert_eq!(
        (lease.name.as_str(), lease.holder.as_str(), lease.token),
        (name.as_str(), "a", 1),
        "the first token must be 1"
    );
    assert_eq!(
        lease.until.saturating_since(lease.since),
        TTL,
        "a lease must last as long as was asked for"
    );
    let held = held(port, &b).await;
    assert_eq!(
        (
            held.holder.as_deref(),
            held.token,
            held.since,
            held.until,
            held.held
        ),
        (Some("a"), 1, lease.since, lease.until, true),
        "who is refused must be told who has it, since when and until when"
    );

    pass(TTL / 2).await;
    let again = taken(port, &a).await;
    assert_eq!(again.token, 1, "its holder taking it again must keep the token");
    pass(TTL * 3 / 4).await;
    held_by(port, &b, "a", "taking it again must make the time longer").await;
    let renewed = expect(
        "a lease within its time must be renewed",
        ok("renew", port.renew(&again).await),
    );
    assert_eq!(renewed.token, 1, "a renewal must keep the token");
    pass(TTL * 3 / 4).await;
    held_by(port, &b, "a", "a renewal must make the time longer").await;
    // Asked for shorter: what was promised before stays promised.
    let longer = expect(
        "a lease within its time must be renewed",
        ok("renew", port.renew(&renewed).await),
    );
    let shorter = taken(port, &request(&name, "a", TTL / 10)).await;
    assert!(
        shorter.until >= longer.until,
        "taking must never make a time shorter"
    );
    pass(TTL / 2).await;
    held_by(port, &b, "a", "a time must not become shorter").await;

    ok("release", port.release(&longer).await);
    let free = expect("a name must stay listed", standing(port, &name).await);
    assert_eq!(
        (free.held, free.token, free.holder),
        (false, 1, None),
        "release must free the name at once"
    );
    assert_eq!(
        taken(port, &b).await.token,
        2,
        "the next holder must get the next token"
    );
    ok("release again", port.release(&longer).await);
    held_by(port, &a, "b", "the release of an old lease must change nothing").await;
}

#[expect(clippy::future_not_send, reason = "a suite runs in the test that calls it")]
async fn is_lost_for_good(port: &dyn LeaseStore, pass: &impl AsyncFn(Duration)) {
    let name = fresh("lease");
    let (a, b) = (request(&name, "a", TTL), request(&name, "b", TTL));
    let first = taken(port, &a).await;
    pass(TTL).await;
    let over = expect("a name must stay listed", standing(port, &name).await);
    assert_eq!(
        (over.held, over.holder.as_deref()),
        (false, Some("a")),
        "a time that is over must show"
    );
    assert_eq!(
        ok("renew", port.renew(&first).await),
        None,
        "a lease that ran out must be lost, though nobody else took it"
    );
    let second = taken(port, &a).await;
    assert_eq!(
        second.token, 2,
        "after its time the same holder must get another token"
    );
    assert_eq!(
        ok("renew", port.renew(&first).await),
        None,
        "an old token must not renew"
    );
    ok("release", port.release(&first).await);
    held_by(port, &b, "a", "an old token must not release").await;
    pass(TTL).await;
    assert_eq!(
        taken(port, &b).await.token,
        3,
        "who takes what ran out must get another token"
    );
    assert_eq!(
        ok("renew", port.renew(&second).await),
        None,
        "what another has must not be renewed"
    );
}

#[expect(clippy::future_not_send, reason = "a suite runs in the test that calls it")]
async fn is_taken_away(port: &dyn LeaseStore, pass: &impl AsyncFn(Duration)) {
    let name = fresh("lease");
    let (a, b) = (request(&name, "a", TTL), request(&name, "b", TTL));
    assert_eq!(
        ok("revoke", port.revoke(&name, "a", 1).await),
        None,
        "what nobody took cannot be taken away"
    );
    let lease = taken(port, &a).await;
    assert_eq!(
        ok("revoke", port.revoke(&name, "a", 2).await),
        None,
        "another token must take nothing away"
    );
    assert_eq!(
        ok("revoke", port.revoke(&name, "b", 1).await),
        None,
        "of another holder nothing must be taken away, whatever the token"
    );
    let gone = expect(
        "what this holder has with this token must go",
        ok("revoke", port.revoke(&name, "a", 1).await),
    );
    assert_eq!(
        (gone.holder.as_deref(), gone.token, gone.until, gone.held),
        (None, 2, lease.until, true),
        "what is taken away must wait for what was promised, with a token of its own"
    );
    assert_eq!(
        ok("renew", port.renew(&lease).await),
        None,
        "what was taken away must be lost"
    );
    ok("release", port.release(&lease).await);
    for asker in [&a, &b] {
        let state = held(port, asker).await;
        assert_eq!(
            state.holder, None,
            "nobody may have it before the promised time is over"
        );
    }
    assert_eq!(
        ok("revoke", port.revoke(&name, "a", 2).await),
        None,
        "nobody has it any more"
    );
    pass(TTL).await;
    assert_eq!(taken(port, &b).await.token, 3, "then the next may have it");
    pass(TTL).await;
    assert_eq!(
        ok("revoke", port.revoke(&name, "b", 3).await),
        None,
        "what ran out cannot be taken away"
    );
}

async fn has_one_winner(port: &dyn LeaseStore) {
    let name = fresh("lease");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|holder| request(&name, holder, TTL));
    let (a, b, c, d) = tokio::join!(port.take(&a), port.take(&b), port.take(&c), port.take(&d));
    let winners = [a, b, c, d]
        .into_iter()
        .filter(|taken| matches!(taken, Ok(Taken::Taken(_))))
        .count();
    assert_eq!(winners, 1, "of several who ask at once, one must get it");
}

fn request(name: &str, holder: &str, ttl: Duration) -> LeaseRequest {
    ok("a request", LeaseRequest::new(name, holder, ttl))
}

#[track_caller]
fn expect<T>(what: &str, value: Option<T>) -> T {
    value.unwrap_or_else(|| panic!("{what}"))
}

async fn taken(port: &dyn LeaseStore, request: &LeaseRequest) -> Lease {
    match ok("take", port.take(request).await) {
        Taken::Taken(lease) => lease,
        Taken::Held(state) => panic!("{} must get what is free: {state:?}", request.holder()),
    }
}

async fn held(port: &dyn LeaseStore, request: &LeaseRequest) -> LeaseState {
    match ok("take", port.take(request).await) {
        Taken::Held(state) => state,
        Taken::Taken(lease) => panic!("{} must not get what another has: {lease:?}", request.holder()),
    }
}

async fn held_by(port: &dyn LeaseStore, request: &LeaseRequest, holder: &str, clause: &str) {
    match ok("take", port.take(request).await) {
        Taken::Held(state) => assert_eq!(state.holder.as_deref(), Some(holder), "{clause}"),
        Taken::Taken(_) => panic!("{clause}"),
    }
}

async fn standing(port: &dyn LeaseStore, name: &str) -> Option<LeaseState> {
    let mut names = ok("list", port.list().await);
    names.retain(|state| state.name == name);
    names.pop()
}

const TTL: Duration = Duration::from_secs(600);
