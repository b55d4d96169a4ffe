use std::time::Duration;

use super::{Engine, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, PlanKind, RunId, Timestamp};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How long the journal may take to say who used a signature.
const JOURNAL_BUDGET: Duration = Duration::from_secs(2);

/// Clocks of two machines are no further apart than this.
const SKEW: Duration = Duration::from_secs(3600);

impl Engine {
    /// Refuses signatures that another run has used. For a stop `Ok(false)` means that the journal could not tell.
    pub(super) async fn first_use(
        &self,
        run: &RunId,
        kind: &PlanKind,
        signatures: &[Digest],
        signed_after: Timestamp,
    ) -> Result<bool, Refusal> {
        if signatures.is_empty() {
            return Ok(true);
        }
        let deadline = Deadline::after(&*self.clock, JOURNAL_BUDGET);
        let asked = deadline
            .bound(
                &*self.clock,
                "look for used approvals",
                self.user_of(run, signatures, signed_after),
            )
            .await;
        match asked {
            Ok(None) => Ok(true),
            Ok(Some(by)) => Err(Refusal::Replayed { by }),
            // Closing is unilateral.
            Err(_) if matches!(kind, PlanKind::Stop) => Ok(false),
            Err(error) => Err(Refusal::Undecided(error)),
        }
    }

    /// The run that used one of `signatures`; an error if a run that could have used them cannot be read.
    async fn user_of(
        &self,
        run: &RunId,
        signatures: &[Digest],
        signed_after: Timestamp,
    ) -> Result<Option<RunId>> {
        // Ids sort by time: a run from before the signature has not used it.
        let oldest = RunId::earliest(signed_after - SKEW);
        let mut unreadable = None;
        for id in self.runs().await?.into_iter().filter(|id| id != run) {
            match self.entries(&id).await {
                Ok(entries) if uses(&entries, signatures) => return Ok(Some(id)),
                Ok(_) => {}
                Err(error) if id >= oldest => unreadable = Some((id, error)),
                Err(_) => {}
            }
        }
        match unreadable {
            None => Ok(None),
            Some((id, error)) => Err(Error::new(ErrorKind::Unavailable, "look for used approvals")
                .context("run", id.to_string())
                .source(error)),
        }
    }
}

/// Whether the run used one of the signatures. One that ended before it began to act has not: it lost a race for them.
fn uses(entries: &[JournalEntry], signatures: &[Digest]) -> bool {
    let began = |entry: &JournalEntry| match &entry.event {
        JournalEvent::Started { signatures: used, .. } => used.iter().any(|one| signatures.contains(one)),
        _ => false,
    };
    let acted = entries
        .iter()
        .any(|entry| matches!(entry.event, JournalEvent::Intent { .. }));
    let ended = entries
        .iter()
        .any(|entry| matches!(entry.event, JournalEvent::Ended { .. }));
    entries.iter().any(began) && (acted || !ended)
}
