use std::time::Duration;

use super::{at, fresh, ok, refused};
use crate::error::ErrorKind;
use crate::model::{Actor, Approval, ApprovalRequest, Digest, Opening, PlanKind, Timestamp};
use crate::ports::{ApprovalStore, MAX_APPROVAL, MAX_APPROVALS};

/// The contract of [`ApprovalStore`]. Every digest is fresh, so that it may run on a shared store; what it files stays.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn approval_store(port: &dyn ApprovalStore) {
    requests_come_back_whole(port).await;
    approvals_add_up(port).await;
    bounds_hold(port).await;
}

async fn requests_come_back_whole(port: &dyn ApprovalStore) {
    let asked = request("alice", 0);
    assert_eq!(
        ok(
            "requested of an unknown digest",
            port.requested(asked.digest).await
        ),
        None,
        "what nobody asked for must be absent"
    );
    ok("request", port.request(&asked).await);
    let found = ok("requested", port.requested(asked.digest).await);
    assert_eq!(
        found.as_ref(),
        Some(&asked),
        "a request must come back as it was filed"
    );
    assert!(
        found.is_some_and(|found| found.is_genuine()),
        "its digest must still fit"
    );

    let mut again = asked.clone();
    again.asked_by = ok("an actor", Actor::person("bob"));
    again.at = asked.at + Duration::from_secs(1);
    ok("a second request", port.request(&again).await);
    assert_eq!(
        ok("requested", port.requested(asked.digest).await),
        Some(again.clone()),
        "a second request of the same digest must replace the first"
    );

    let newer = request("carol", 2);
    ok("request", port.request(&newer).await);
    let ours = |open: Vec<ApprovalRequest>| -> Vec<ApprovalRequest> {
        open.into_iter()
            .filter(|request| request.digest == newer.digest || request.digest == again.digest)
            .collect()
    };
    assert_eq!(
        ours(ok("open", port.open(at(0)).await)),
        [newer.clone(), again.clone()],
        "open requests must be listed newest first"
    );
    assert_eq!(
        ours(ok("open", port.open(again.until).await)),
        [newer],
        "a request that has run out must not be listed"
    );
}

async fn approvals_add_up(port: &dyn ApprovalStore) {
    let digest = fresh_digest();
    let none = ok("approvals of an unknown digest", port.approvals(digest).await);
    assert!(
        none.approvals.is_empty() && none.passed_over.is_empty(),
        "nothing approved, nothing found"
    );

    let [a, b, c, d] = [0, 1, 2, 3].map(|number| approval(digest, number, "x"));
    let other = approval(fresh_digest(), 0, "x");
    ok("approve another plan", port.approve(&other).await);
    let together: [_; 4] = tokio::join!(
        port.approve(&a),
        port.approve(&b),
        port.approve(&c),
        port.approve(&d)
    )
    .into();
    together
        .into_iter()
        .for_each(|kept| ok("approve at the same time", kept));
    ok("approve again", port.approve(&a).await);
    let mut found = ok("approvals", port.approvals(digest).await);
    found.approvals.sort_by_key(Approval::fingerprint);
    let mut wanted = vec![a, b, c, d];
    wanted.sort_by_key(Approval::fingerprint);
    assert_eq!(
        found.approvals, wanted,
        "each approval of this plan must be there once, and no other"
    );
    assert!(found.passed_over.is_empty(), "nothing foreign was there");
}

async fn bounds_hold(port: &dyn ApprovalStore) {
    let digest = fresh_digest();
    let long = approval(digest, 0, &"x".repeat(MAX_APPROVAL));
    refused(
        "an approval that is too long",
        ErrorKind::InvalidInput,
        port.approve(&long).await,
    );
    for number in 0..MAX_APPROVALS {
        ok("approve", port.approve(&approval(digest, number, "x")).await);
    }
    let one_more = approval(digest, MAX_APPROVALS, "x");
    refused(
        "one approval too many",
        ErrorKind::InvalidInput,
        port.approve(&one_more).await,
    );
    ok(
        "one that is there already",
        port.approve(&approval(digest, 0, "x")).await,
    );
    let found = ok("approvals", port.approvals(digest).await);
    assert_eq!(
        found.approvals.len(),
        MAX_APPROVALS,
        "the bound must be reached and not passed"
    );
}

fn request(by: &str, seconds: i64) -> ApprovalRequest {
    ApprovalRequest::new(
        fresh("procedure"),
        PlanKind::Stop,
        Vec::new(),
        (false, Opening::default()),
        ok("an actor", Actor::person(by)),
        (at(seconds), at(seconds + 60)),
    )
}

/// A store takes what it cannot check; that is the business of those who read it.
fn approval(digest: Digest, number: usize, person: &str) -> Approval {
    Approval {
        person: format!("{person}-{number}"),
        plan: digest,
        until: Timestamp::UNIX_EPOCH,
        signature: format!("{number:0128x}"),
    }
}

fn fresh_digest() -> Digest {
    Digest::of(fresh("digest").as_bytes())
}
