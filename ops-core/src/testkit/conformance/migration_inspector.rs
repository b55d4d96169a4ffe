use crate::model::{MigrationLedger, SchemaState};
use crate::ports::MigrationInspector;

/// The contract of [`MigrationInspector`]: exactly `expected` is there, the times of application left out.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn migration_inspector(port: &dyn MigrationInspector, expected: &SchemaState) {
    let Ok(found) = port.state().await else {
        panic!("the state can be read here");
    };
    assert_eq!(
        sorted(&found),
        sorted(expected),
        "every tool, in every schema, and what is half done"
    );
    let Ok(again) = port.state().await else {
        panic!("the state can be read again");
    };
    assert_eq!(again, found, "asking changes nothing");
    let (Ok(one), Ok(other)) = (port.schema().await, port.schema().await) else {
        panic!("the schema can be read here");
    };
    assert_eq!(one, other, "asking changes nothing");
}

fn sorted(state: &SchemaState) -> SchemaState {
    let mut state = state.clone();
    state.ledgers.sort_by(|one, other| one.table.cmp(&other.table));
    state.leftovers.sort();
    let applied = |ledger: &mut MigrationLedger| ledger.applied.iter_mut().for_each(|found| found.at = None);
    state.ledgers.iter_mut().for_each(applied);
    state
}
