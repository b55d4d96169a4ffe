use super::procedure::Procedure;
use super::restore::started;
use super::verify::restored;
use super::{Engine, Refusal};
use crate::masking::target_named;
use crate::model::{Difference, Prior, RunId, TargetId, Verdict};

/// Whether one target is exactly as it was before the stop.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Confirmation {
    /// The target.
    pub target: TargetId,
    /// What a second, independent read showed.
    pub verdict: Verdict,
    /// Where it is not as before; a target that could not be read shows none.
    pub differences: Vec<Difference>,
}

impl Engine {
    /// Reads every target of a restore once more and compares it with the bytes in the journal.
    ///
    /// Give it a procedure made of fresh clients, so that nothing remembered by the restore can answer.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::Undecided`] when the journal cannot be read.
    pub async fn confirm(&self, restore: &RunId, fresh: &Procedure) -> Result<Vec<Confirmation>, Refusal> {
        let entries = self.entries(restore).await?;
        let mut confirmations = Vec::new();
        let steps = started(restore, &entries, fresh)?;
        for step in steps.iter().filter(|step| step.share.is_none()) {
            let Some(action) = fresh.action(&step.target) else {
                return Err(Refusal::WrongProcedure {
                    what: format!("it has no target {}", target_named(&step.target)),
                });
            };
            let (verdict, differences) = match (&step.prior, self.look(&**action).await) {
                (Prior::Observed { snapshot }, Ok(observed)) => {
                    let differences =
                        match snapshot.restorable_bytes() == observed.snapshot().restorable_bytes() {
                            true => Vec::new(),
                            false => snapshot.differences(observed.snapshot()),
                        };
                    (restored(snapshot, &observed), differences)
                }
                (_, Err(error)) => (Verdict::unknown(error.to_string()), Vec::new()),
                _ => (Verdict::unknown("no prior state is known"), Vec::new()),
            };
            confirmations.push(Confirmation {
                target: step.target.clone(),
                verdict,
                differences,
            });
        }
        Ok(confirmations)
    }
}
