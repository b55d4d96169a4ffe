use std::time::Duration;

use super::{ok, refused};
use crate::error::ErrorKind;
use crate::model::{MigrationStep, StepDone, UnfinishedRun};
use crate::ports::{MigrationExecutor, Touch};

/// The contract of [`MigrationExecutor`]: `statement` can be run once, and `table` is there.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn migration_executor(port: &dyn MigrationExecutor, statement: &str, table: &str) {
    let patience = Duration::from_secs(10);
    let step = |digest: &str| MigrationStep::new("conformance", 1, vec![statement.to_owned()], digest);
    let execute = |digest: &str| {
        let step = step(digest);
        async move { port.execute(&step, patience, 5).await }
    };
    let first = ok("the first run of a step", execute("a").await);
    assert_eq!(first, StepDone::Now, "a step is run");
    let second = ok("the second run of a step", execute("a").await);
    assert_eq!(second, StepDone::Before, "a step that is done is not run again");
    refused(
        "another step in its place",
        ErrorKind::Conflict,
        execute("b").await,
    );
    let owed = UnfinishedRun {
        touched: vec![table.to_owned()],
        ..UnfinishedRun::default()
    };
    let later = UnfinishedRun {
        restarted: true,
        ..owed.clone()
    };
    for (seen, run) in [
        (None, None),
        (None, Some(&owed)),
        (None, Some(&owed)),
        (Some(&owed), Some(&later)),
        (Some(&later), None),
        (Some(&later), None),
    ] {
        ok("keeping what a run owes", port.keep("a.table", seen, run).await);
        let found = ok("reading what a run owes", port.unfinished("a.table").await);
        assert_eq!(found.as_ref(), run, "what was kept last is what is owed");
        let other = ok("reading what a run owes", port.unfinished("another.table").await);
        assert_eq!(other, None, "each table of a tool has its own");
    }
    ok(
        "keeping what a run owes",
        port.keep("a.table", None, Some(&later)).await,
    );
    for (seen, run) in [(None, Some(&owed)), (Some(&owed), None)] {
        refused(
            "keeping over what another keeps since",
            ErrorKind::Conflict,
            port.keep("a.table", seen, run).await,
        );
    }
    let found = ok("reading what a run owes", port.unfinished("a.table").await);
    assert_eq!(found.as_ref(), Some(&later), "what another keeps stays");
    ok(
        "keeping what a run owes",
        port.keep("a.table", Some(&later), None).await,
    );
    refused(
        "keeping over what another has settled since",
        ErrorKind::Conflict,
        port.keep("a.table", Some(&owed), Some(&later)).await,
    );
    let marks = ok("reading the marks", port.marks("").await);
    let seen: Vec<_> = marks
        .iter()
        .map(|mark| {
            (
                mark.migration.as_str(),
                mark.position,
                mark.digest.as_str(),
                mark.done,
                mark.back,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("conformance", 1, "a", true, false)],
        "what was run is marked"
    );
    let other = ok("reading the marks", port.marks("another.table").await);
    assert_eq!(other, [], "each table of a tool has its own marks");
    for touch in [Touch::Read, Touch::Write] {
        ok(
            "a touch of a table that nobody locks",
            port.touch(table, touch, patience).await,
        );
    }
}
