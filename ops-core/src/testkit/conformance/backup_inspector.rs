use std::collections::BTreeSet;

use crate::ports::BackupInspector;

/// The contract of [`BackupInspector`], on a place that can be reached.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn backup_inspector(port: &dyn BackupInspector) {
    assert!(!port.name().is_empty(), "it must have a name for people");
    assert!(
        !port.capability().limitations.is_empty(),
        "no inspector sees everything: it must say what it does not see"
    );
    let state = match port.inspect().await {
        Ok(state) => state,
        Err(error) => panic!("it can be reached here: {error}"),
    };
    assert!(
        state.server.is_some() || state.copies.is_some() || !state.unseen.is_empty(),
        "it must have looked at something, or say why not"
    );
    let copies = state.copies.clone().unwrap_or_default();
    for pair in copies.windows(2) {
        assert!(pair[0].at >= pair[1].at, "copies must be in order, newest first");
    }
    let names: BTreeSet<_> = copies.iter().map(|copy| &copy.name).collect();
    assert_eq!(names.len(), copies.len(), "a copy must be there once");
    for copy in &copies {
        assert_eq!(
            copy.complete == Some(true),
            copy.fault.is_none(),
            "{}: what is not complete must say why, and nothing else",
            copy.name
        );
    }
    if let Some(server) = &state.server {
        assert!(!server.database.is_empty(), "the database must be named");
        for standby in &server.standbys {
            let seen = standby.state.is_some();
            let named = state.unseen.iter().any(|unseen| unseen.part == "standbys");
            assert!(seen || named, "a standby that is not to be seen must be unseen");
        }
    }
    let again = match port.inspect().await {
        Ok(again) => again,
        Err(error) => panic!("it can be reached still: {error}"),
    };
    assert_eq!(again.copies, state.copies, "looking must change nothing");
    assert_eq!(again.unseen, state.unseen, "looking must change nothing");
}
