use super::{at, fresh, ok};
use crate::ports::{CallCount, ProcessId, ProcessRegistry, SwitchProcess};

/// The contract of [`ProcessRegistry`]. Other processes may report meanwhile.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn process_registry(port: &dyn ProcessRegistry) {
    let mut first = SwitchProcess::new(ProcessId::generate(), fresh("service"), "i'1", at(0));
    first
        .calls
        .insert("llm's \"brain\"".to_owned(), CallCount::new(7, 2));
    let second = SwitchProcess::new(ProcessId::generate(), fresh("service"), "instance-2", at(1));
    ok("report", port.report(&first).await);
    ok("report", port.report(&second).await);

    first.generation = 3;
    first.hints = Some(false);
    ok("report again", port.report(&first).await);
    let listed = ok("list", port.processes().await);
    let of = |wanted: &SwitchProcess| {
        listed
            .iter()
            .filter(|presence| presence.process.id == wanted.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&first).len(), 1, "a process must be listed once");
    assert_eq!(of(&first)[0].process, first, "the last report must count");
    assert_eq!(
        of(&second)[0].process,
        second,
        "a report must leave others as they are"
    );
    assert!(
        of(&second)[0].silent_for.as_secs() < 60,
        "silence must be measured by the registry's own clock, not the process's"
    );
    let ids: Vec<_> = listed.iter().map(|presence| &presence.process.id).collect();
    assert!(ids.is_sorted(), "processes must be in the order of their ids");

    ok("remove", port.remove(&first.id).await);
    ok("remove again", port.remove(&first.id).await);
    ok("remove", port.remove(&second.id).await);
    let listed = ok("list", port.processes().await);
    assert!(
        listed
            .iter()
            .all(|presence| presence.process.id != first.id && presence.process.id != second.id),
        "a removed process must not be listed"
    );
}
