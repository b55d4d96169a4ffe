use super::Engine;
use super::history::{later, put_back_at};
use crate::error::Result;

impl Engine {
    /// Copies into the journal what only the spool has, so that other machines see it; gives how many entries and held states were
    /// copied. Repeating it copies nothing twice; the spool keeps its entries. [`plan_restore`](Self::plan_restore) and
    /// the [`resume`](Self::resume) of a restore begin with it; the resume of a run that only closes ends with it; a stop never does it.
    ///
    /// A held state moves: once the journal has it, the spool holds it no longer. Where the journal holds another one of the same target, both
    /// stay, and the earlier one counts; one that a restore has put back since is not held again.
    ///
    /// # Errors
    /// The journal's or the spool's. What was copied until then stays.
    ///
    /// # Cancellation
    /// Harmless.
    pub async fn catch_up(&self) -> Result<usize> {
        let mut copied = self.ledger.copy_entries().await?;
        for held in self.ledger.spooled().await? {
            let restored = put_back_at(&later(&self.past().await?, &held.run));
            // A stop that was planned early may have taken its hold after a restore that began later.
            let over = restored
                .get(held.snapshot.target())
                .is_some_and(|at| *at > held.at);
            copied += usize::from(self.ledger.move_hold(&held, over).await?);
        }
        Ok(copied)
    }

    /// What cannot be copied is merged on reading, as ever.
    pub(super) async fn try_to_catch_up(&self) {
        if let Err(error) = self.catch_up().await {
            tracing::warn!(%error, "the spool was not copied to the journal; both are read together");
        }
    }
}
