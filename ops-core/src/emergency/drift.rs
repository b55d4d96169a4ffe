use super::Engine;
use super::execute::Run;
use super::procedure::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Difference, Observation, PlannedStep, Prior, Snapshot, TargetState};
use crate::resilience::{Deadline, caught};

/// What somebody else changed since the stop.
///
/// A target that is as before the stop has not drifted: there is nothing to put back. Otherwise every witness that differs from the
/// prior state counts, however early it changed, and every field that is not as the stop was seen to leave it. If the stop was never
/// seen to hold (it crashed or failed), a field counts only when the target serves in a way that it did not before.
pub(super) fn drift(prior: &Snapshot, observed: &Observation, left: Option<&Snapshot>) -> Vec<Difference> {
    let found = observed.snapshot();
    let from_prior = prior.differences(found);
    if from_prior.is_empty() {
        return Vec::new();
    }
    let (witnesses, fields): (Vec<_>, Vec<_>) = from_prior
        .into_iter()
        .partition(|difference| is_witness(prior, found, &difference.path));
    let fields = match left {
        Some(left) => left
            .differences(found)
            .into_iter()
            .filter(|difference| !is_witness(left, found, &difference.path))
            .collect(),
        None if observed.state() == TargetState::Serving => fields,
        None => Vec::new(),
    };
    witnesses.into_iter().chain(fields).collect()
}

/// Whether `path` is that of a witness or within one; names may hold dots.
pub(super) fn is_witness(expected: &Snapshot, found: &Snapshot, path: &str) -> bool {
    let mut names = [expected, found]
        .into_iter()
        .flat_map(|snapshot| snapshot.witness().keys());
    names.any(|name| {
        let rest = path.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Engine {
    /// Approving takes time: what was approved must still be what is there, or what this run has left at an earlier share. If a crashed
    /// attempt has begun to write the fields, the witnesses still tell whether somebody else was there.
    pub(super) async fn refuse_late_drift(
        &self,
        run: &Run,
        step: &Step,
        planned: &PlannedStep,
        waited: bool,
    ) -> Result<()> {
        let Some(found) = run.way.left(&planned.target).or_else(|| planned.found.clone()) else {
            return Ok(());
        };
        let begun = run.begun.contains(&planned.step);
        let now = Deadline::after(&*self.clock, step.timeout)
            .bound(&*self.clock, "observe", caught("observe", step.action.observe()))
            .await?;
        if let Prior::Observed { snapshot } = &planned.prior
            && waited
        {
            // What was waited for may have landed: on a target that served or was half stopped, or by making it as before. What it does to
            // one that was stopped already is nothing; a field that differs there was changed by others.
            let stopped = !planned.partly && !found.differences(snapshot).is_empty();
            if drift(snapshot, &now, stopped.then_some(&found)).is_empty() {
                return Ok(());
            }
        }
        let differences = found.differences(now.snapshot());
        let by_others = |path: &str| !begun || is_witness(&found, now.snapshot(), path);
        let Some(first) = differences.iter().find(|difference| by_others(&difference.path)) else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Conflict, "restore")
            .context("changed since the plan was made", first.path.clone()))
    }
}
