use std::time::Duration;

use super::{at, fresh, ok};
use crate::error::ErrorKind;
use crate::model::{Actor, Completion, DueDate, DueEvidence, DueKey, DueOutcome, Timestamp};
use crate::ports::DueDates;

/// The contract of [`DueDates`]. It adds entries of keys that nobody else has.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn due_dates(port: &dyn DueDates) {
    begin(port).await;
    set(port).await;
    complete(port).await;
    one_of_many(port).await;
}

async fn begin(port: &dyn DueDates) {
    let item = fresh("item");
    assert_eq!(
        ok("begin", port.begin(&item, at(5)).await),
        at(5),
        "the first begin decides"
    );
    for later in [at(9), at(1)] {
        assert_eq!(
            ok("begin again", port.begin(&item, later).await),
            at(5),
            "begin must give what the first call gave"
        );
    }
}

async fn set(port: &dyn DueDates) {
    let about = fresh("incident");
    let date = |title: &str, due| DueDate::once(title, due, actor("alice"), at(0)).with_about(&about);
    let (late, soon) = (date("続報", at(50)), date("速報", at(40)));
    for date in [&late, &soon] {
        ok("set", port.set(date).await);
    }
    let mut again = late.clone();
    (again.set_by, again.set_at) = (actor("bob"), at(1));
    ok("set of the same by somebody else", port.set(&again).await);
    let moved = date("続報", at(51));
    conflict("set of another date of the key", port.set(&moved).await);
    let mut dates = ok("dates", port.dates().await);
    assert!(
        dates.is_sorted_by_key(|date| (date.due, date.key.clone())),
        "dates must be soonest first"
    );
    dates.retain(|date| date.about.as_ref() == Some(&about));
    assert_eq!(
        dates,
        [soon.clone(), late],
        "dates must give each once, as it was set first"
    );

    ok("complete", port.complete(&done(&soon.key, "alice", at(41))).await);
    let dates = ok("dates", port.dates().await);
    assert!(dates.contains(&soon), "a date that is settled stays");
}

async fn complete(port: &dyn DueDates) {
    let key = key();
    let first = done(&key, "alice", at(10))
        .with_note("p95 1.2 s")
        .with_evidence(DueEvidence::Text {
            text: "ticket 7".to_owned(),
        });
    assert_eq!(
        ok("complete", port.complete(&first).await),
        first,
        "complete must give what is kept"
    );
    let mut repeated = first.clone();
    repeated.at = at(12);
    assert_eq!(
        ok("complete again", port.complete(&repeated).await),
        first,
        "the same again, later, must change nothing"
    );
    let mut skipped = done(&key, "bob", at(11));
    skipped.outcome = DueOutcome::Skipped {
        reason: "no time".to_owned(),
    };
    for other in [skipped, done(&key, "bob", at(10)), done(&key, "alice", at(10))] {
        let error = conflict("another completion", port.complete(&other).await);
        let said = error.to_string();
        assert!(
            said.contains("alice") && said.contains(&at(10).to_string()),
            "a conflict must say who settled it and when: {said}"
        );
    }
    let since = |since| async move {
        let found = ok("completions", port.completions(since).await);
        assert!(
            found.is_sorted_by_key(|one| (one.at, one.key.clone())),
            "completions must be oldest first"
        );
        found
    };
    let ours = |found: Vec<Completion>| found.into_iter().filter(|one| one.key == key).collect::<Vec<_>>();
    assert_eq!(
        ours(since(at(10)).await),
        [first],
        "completions must begin with `since`"
    );
    let after = at(10) + Duration::from_micros(1);
    assert_eq!(
        ours(since(after).await),
        [],
        "completions before `since` must be left out"
    );
}

async fn one_of_many(port: &dyn DueDates) {
    let key = key();
    let completion = |n: u8| done(&key, &format!("person-{n}"), at(20));
    let try_one = |n: u8| async move {
        let completion = completion(n);
        let result = port.complete(&completion).await;
        (completion.by, result)
    };
    let tries = tokio::join!(
        try_one(0),
        try_one(1),
        try_one(2),
        try_one(3),
        try_one(4),
        try_one(5),
        try_one(6),
        try_one(7),
    );
    let mut winners = Vec::new();
    for (by, result) in <[_; 8]>::from(tries) {
        match result {
            Ok(kept) => {
                assert_eq!(kept.by, by, "whoever is told `Ok` must be who is kept");
                winners.push(by);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(winners.len(), 1, "of many at the same time one must win");
    let found = ok("completions", port.completions(at(20)).await);
    let kept: Vec<_> = found
        .iter()
        .filter(|one| one.key == key)
        .map(|one| &one.by)
        .collect();
    assert_eq!(kept, [&winners[0]], "what is kept must be what won");
}

fn key() -> DueKey {
    ok("key", DueKey::new(format!("{}/2026-Q4", fresh("item"))))
}

fn actor(id: &str) -> Actor {
    ok("actor", Actor::person(id))
}

fn done(key: &DueKey, by: &str, at: Timestamp) -> Completion {
    Completion::new(key.clone(), DueOutcome::Done, at, actor(by))
}

#[track_caller]
fn conflict<T>(call: &str, result: crate::error::Result<T>) -> crate::error::Error {
    match result {
        Ok(_) => panic!("{call} must be refused"),
        Err(error) => {
            assert_eq!(
                error.kind(),
                ErrorKind::Conflict,
                "{call} must be a conflict: {error}"
            );
            error
        }
    }
}
