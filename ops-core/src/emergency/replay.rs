use std::collections::BTreeMap;
use std::time::Duration;

use super::reading::Reading;
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
        let spent = match kind {
            PlanKind::Stop => self.spent(run, signed_after).await,
            // Opening can wait for a journal that is slow.
            _ => self.read_spent(run, signed_after).await,
        };
        match spent {
            Ok(spent) => match signatures.iter().find_map(|signature| spent.get(signature)) {
                None => Ok(true),
                Some(by) => Err(Refusal::Replayed { by: by.clone() }),
            },
            // Closing is unilateral.
            Err(_) if matches!(kind, PlanKind::Stop) => Ok(false),
            Err(error) => Err(Refusal::Undecided(error)),
        }
    }

    /// The signatures that runs other than `run` have used, within 2 s; an error if the journal goes away meanwhile. A run whose entries are damaged
    /// is passed over: the persons who signed have to be asked again for every run anyhow, and an approval lives for minutes.
    pub(super) async fn spent(
        &self,
        run: &RunId,
        signed_after: Timestamp,
    ) -> Result<BTreeMap<Digest, RunId>> {
        let deadline = Deadline::after(&*self.clock, JOURNAL_BUDGET);
        let read = self.read_spent(run, signed_after);
        deadline
            .bound(&*self.clock, "look for used approvals", read)
            .await
    }

    async fn read_spent(&self, run: &RunId, signed_after: Timestamp) -> Result<BTreeMap<Digest, RunId>> {
        // Ids sort by time: a run from before the signature has not used it.
        let oldest = RunId::earliest(signed_after - SKEW);
        let mut spent = BTreeMap::new();
        // What only the spool has does not tell what other machines have used.
        let runs = self.ledger.runs().await?.whole()?;
        for id in runs.into_iter().filter(|id| id != run) {
            match self.ledger.entries(&id).await.and_then(Reading::whole) {
                Ok(entries) => spent.extend(used(&entries).map(|signature| (*signature, id.clone()))),
                // One damaged file must not keep every other run from being put back.
                Err(error) if error.kind() == ErrorKind::Unexpected => {
                    tracing::warn!(%error, run = %id, "whether this run used approvals cannot be read");
                }
                Err(error) if id >= oldest => {
                    return Err(Error::new(ErrorKind::Unavailable, "look for used approvals")
                        .context("run", id.to_string())
                        .source(error));
                }
                Err(_) => {}
            }
        }
        Ok(spent)
    }
}

/// The signatures that the run used. One that ended with nothing in between used none: it lost a race for them. One that looked at a gate, or was
/// turned round before its first effect, has used them. [`gave_way`](super::history::gave_way) is stricter: it asks also how it ended, and when.
fn used(entries: &[JournalEntry]) -> impl Iterator<Item = &Digest> {
    let ended = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Ended { .. });
    let frames = |entry: &JournalEntry| {
        matches!(
            entry.event,
            JournalEvent::Started { .. }
                | JournalEvent::Ended { .. }
                | JournalEvent::Published { .. }
                | JournalEvent::Reviewed { .. }
                | JournalEvent::Forgotten { .. }
        )
    };
    let counts = !entries.iter().all(frames) || !entries.iter().any(ended);
    entries.iter().flat_map(move |entry| match &entry.event {
        JournalEvent::Started { signatures, .. } if counts => signatures.as_slice(),
        JournalEvent::Forgotten { signatures, .. } => signatures.as_slice(),
        _ => &[],
    })
}
