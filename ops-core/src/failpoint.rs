//! Named places at which a test can end the process, as a power cut would. Without feature `failpoints` nothing of them is compiled.

/// Ends the process here if `FAILPOINTS` says so. With a second argument, evaluates it first: what a half-done write leaves behind.
#[cfg(feature = "failpoints")]
macro_rules! fail_point {
    ($name:expr) => {
        $crate::failpoint::pass($name, || ())
    };
    ($name:expr, $half:expr) => {
        $crate::failpoint::pass($name, || drop($half))
    };
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
macro_rules! fail_point {
    ($name:expr $(, $half:expr)?) => {};
}

pub(crate) use fail_point;

#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &'static str, half: impl FnOnce()) {
    debug_assert!(
        FAIL_POINTS.contains(&name) || AUDIT_FAIL_POINTS.contains(&name),
        "{name} is not in the list of fail points"
    );
    fail::fail_point!(name, |_| {
        half();
        std::process::abort()
    });
}

/// The fail points of the audit trail, in the order of a delivery; [`FAIL_POINTS`] says how they are used.
#[cfg(feature = "failpoints")]
const AUDIT_FAIL_POINTS: &[&str] = &[
    "audit.deliver.stored",
    "audit.deliver.kept",
    "audit.place.named",
    "audit.place.synced",
    "audit.segment.removed",
];

/// Every fail point of the engine and of the files below it, in the order of a run.
///
/// A process that has called `fail::FailScenario::setup` reads the variable `FAILPOINTS`; `NAME=return` ends it (`abort`) when it comes to
/// `NAME`, `NAME=2*off->return` when it comes there for the third time. In every other process they do nothing.
#[cfg(feature = "failpoints")]
pub const FAIL_POINTS: &[&str] = &[
    "run.started.before",
    "run.started.after",
    "step.hold.before",
    "step.hold.after",
    "step.intent.before",
    "step.intent.after",
    "step.apply.before",
    "step.apply.after",
    "step.applied.before",
    "step.applied.after",
    "step.verified.before",
    "step.verified.after",
    "step.release.before",
    "step.release.after",
    "step.close_again.before",
    "step.close_again.after",
    "run.gate.before",
    "run.gate.after",
    "run.aborted.before",
    "run.aborted.after",
    "step.closed_again.before",
    "step.closed_again.after",
    "run.ended.before",
    "run.ended.after",
    "run.published.before",
    "run.published.after",
    "run.reviewed.before",
    "run.reviewed.after",
    "run.forgotten.before",
    "run.forgotten.after",
    "spool.append.before",
    "spool.append.after",
    "spool.hold.before",
    "spool.hold.after",
    "spool.release.before",
    "spool.release.after",
    "spool.copy.before",
    "spool.copy.after",
    "spool.move.before",
    "spool.move.after",
    "file.log.made",
    "file.log.named",
    "file.append.torn",
    "file.append.written",
    "file.append.synced",
    "file.torn.kept",
    "file.torn.cut",
    "file.new.made",
    "file.new.written",
    "file.new.linked",
    "file.new.synced",
    "file.release.renamed",
    "file.release.synced",
];
