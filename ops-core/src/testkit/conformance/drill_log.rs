use std::collections::BTreeMap;
use std::time::Duration;

use super::{at, fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::{Digest, DrillReport, OutcomeStatus, RunId};
use crate::ports::DrillLog;

/// The contract of [`DrillLog`]. It adds reports of procedures that nobody else has.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn drill_log(port: &dyn DrillLog) {
    let (procedure, other) = (fresh("procedure"), fresh("other"));
    assert_eq!(
        ok("newest", port.newest(&procedure).await),
        None,
        "a procedure that was never drilled must have no report"
    );
    let first = report(&procedure, fresh_run(), OutcomeStatus::Verified);
    let second = report(&procedure, fresh_run(), OutcomeStatus::Partial);
    let elsewhere = report(&other, fresh_run(), OutcomeStatus::Verified);
    // Out of order: the run decides which is newer, not the time of writing.
    for report in [&second, &first, &elsewhere] {
        ok("append", port.append(report).await);
    }
    assert_eq!(
        ok("newest", port.newest(&procedure).await).as_ref(),
        Some(&second),
        "newest must give the newest run of the procedure, passed or not"
    );
    assert_eq!(
        ok("find", port.find(&first.run).await).as_ref(),
        Some(&first),
        "find must give back what was kept"
    );
    assert_eq!(
        ok("find", port.find(&fresh_run()).await),
        None,
        "a run that was no drill must have no report"
    );

    ok("append again", port.append(&first).await);
    let mut changed = first.clone();
    changed.stopped = OutcomeStatus::Failed;
    refused(
        "append of another report of the same run",
        ErrorKind::Conflict,
        port.append(&changed).await,
    );
    let mut ours = ok("list", port.list().await);
    assert!(
        ours.is_sorted_by_key(|report| report.run.clone()),
        "list must be oldest first"
    );
    ours.retain(|report| report.procedure == procedure || report.procedure == other);
    assert_eq!(
        ours,
        [first, second, elsewhere],
        "list must give every report once, unchanged"
    );
}

fn report(procedure: &str, run: RunId, stopped: OutcomeStatus) -> DrillReport {
    DrillReport {
        run,
        restore_run: None,
        procedure: procedure.to_owned(),
        world: "conformance".to_owned(),
        started_at: at(0),
        ended_at: at(9),
        stop_digest: Digest::of(b"stop"),
        restore_digest: None,
        approvals: vec!["no approval needed".to_owned()],
        throw_away_keys: Vec::new(),
        stopped,
        restored: None,
        restore_refused: Some("the suite restores nothing".to_owned()),
        stop_took: Duration::from_millis(1_250),
        stop_promised: Duration::from_secs(60),
        restore_took: None,
        stop_steps: Vec::new(),
        restore_steps: Vec::new(),
        confirmed: Vec::new(),
        journalled: true,
        audited: true,
        audit_verified: true,
        injected: Vec::new(),
        versions: BTreeMap::from([("suite".to_owned(), "1".to_owned())]),
    }
}
