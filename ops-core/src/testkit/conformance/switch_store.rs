use std::collections::BTreeMap;

use super::{at, fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::Actor;
use crate::ports::{SwitchStore, SwitchedOff};

/// The contract of [`SwitchStore`]. It leaves the stopped features as they were; nobody else may write meanwhile.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn switch_store(port: &dyn SwitchStore) {
    let before = ok("read", port.read().await);
    assert!(
        before.generation > 0 || before.stopped.is_empty(),
        "a store that was never written must have nothing stopped"
    );

    let off = SwitchedOff::new(
        at(0),
        ok("an actor", Actor::person("conformance")),
        Some(fresh_run()),
    );
    let mut stopped = before.stopped.clone();
    stopped.insert(fresh("feature"), off);
    let written = ok("write", port.write(before.generation, &stopped).await);
    assert_eq!(
        written,
        before.generation + 1,
        "a write must grow the generation by one"
    );
    let after = ok("read", port.read().await);
    assert_eq!(after.generation, written, "a read must see the write before it");
    assert_eq!(after.stopped, stopped, "a read must give what was written");

    for stale in [before.generation, written + 1] {
        refused(
            "a write that expects another generation",
            ErrorKind::Conflict,
            port.write(stale, &BTreeMap::new()).await,
        );
    }
    assert_eq!(
        ok("read", port.read().await),
        after,
        "a lost race must change nothing"
    );

    let race: [_; 4] = tokio::join!(
        port.write(written, &before.stopped),
        port.write(written, &before.stopped),
        port.write(written, &before.stopped),
        port.write(written, &before.stopped),
    )
    .into();
    let (won, lost): (Vec<_>, Vec<_>) = race.into_iter().partition(Result::is_ok);
    assert_eq!(
        won.len(),
        1,
        "one of four writers at the same generation must win"
    );
    for result in lost {
        refused("a lost race", ErrorKind::Conflict, result);
    }
    let last = ok("read", port.read().await);
    assert_eq!(
        (last.generation, last.stopped),
        (written + 1, before.stopped),
        "a race must be one write"
    );
}
