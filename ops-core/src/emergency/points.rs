use super::ledger::{Book, Ledger};
use crate::ports::JournalEvent;

/// The fail points before and after an entry is written. A new kind of entry needs its own here, in the list, and in the kill matrix.
fn around(event: &JournalEvent) -> [&'static str; 2] {
    match event {
        JournalEvent::Started { .. } => ["run.started.before", "run.started.after"],
        JournalEvent::Intent { .. } => ["step.intent.before", "step.intent.after"],
        JournalEvent::Applied { .. } => ["step.applied.before", "step.applied.after"],
        JournalEvent::Verified { .. } => ["step.verified.before", "step.verified.after"],
        JournalEvent::Gate { .. } => ["run.gate.before", "run.gate.after"],
        JournalEvent::Aborted { .. } => ["run.aborted.before", "run.aborted.after"],
        JournalEvent::ClosedAgain { .. } => ["step.closed_again.before", "step.closed_again.after"],
        JournalEvent::Ended { .. } => ["run.ended.before", "run.ended.after"],
        JournalEvent::Published { .. } => ["run.published.before", "run.published.after"],
        JournalEvent::Forgotten { .. } => ["run.forgotten.before", "run.forgotten.after"],
        JournalEvent::Reviewed { .. } => ["run.reviewed.before", "run.reviewed.after"],
    }
}

pub(super) fn before(event: &JournalEvent) -> &'static str {
    around(event)[0]
}

pub(super) fn after(event: &JournalEvent) -> &'static str {
    around(event)[1]
}

/// The fail points before and after a journal ends a hold.
pub(super) fn release_points(ledger: &Ledger, book: &Book) -> [&'static str; 2] {
    match ledger.is_primary(book) {
        true => ["step.release.before", "step.release.after"],
        false => ["spool.release.before", "spool.release.after"],
    }
}
