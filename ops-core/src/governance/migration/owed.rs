//! What a run owes: kept before its first step, settled after its watch, given up where nothing was done.

use super::folder::same_version;
use super::plan::MigrationPlan;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{StepMark, UnfinishedRun};
use crate::ports::MigrationExecutor;

/// What this run owes from now on.
pub(super) struct Taken {
    pub(super) owed: UnfinishedRun,
    /// It goes on with what another began in the same direction.
    joined: bool,
}

/// Others keep what they owe meanwhile: so often it is looked at anew.
const TRIES: u32 = 20;

/// Whether anything was done of the way back that `owed` is about, by the `marks` over its scope. `pending` is what the tool's table lacks: of a
/// migration that its tool applied again since, the marks say nothing. Pure.
pub fn has_gone_back(owed: &UnfinishedRun, marks: &[StepMark], pending: &[String]) -> bool {
    let back = || marks.iter().filter(|mark| mark.back);
    let is_among =
        |versions: &[String], mark: &StepMark| versions.iter().any(|one| same_version(one, &mark.migration));
    let has_ended = |mark: &StepMark| back().any(|other| other.recorded && other.migration == mark.migration);
    let mut of = back().filter(|mark| is_among(&owed.versions, mark));
    of.any(|mark| !has_ended(mark) || is_among(pending, mark))
}

/// Keeps what the run of `plan` will owe; `None`: there is nothing to do.
pub(super) async fn take_up(
    executor: &dyn MigrationExecutor,
    plan: &MigrationPlan,
    restarts: bool,
) -> Result<Option<Taken>> {
    let mut tries = 0;
    loop {
        let found = executor.unfinished(&plan.scope).await?;
        let before = match &found {
            Some(back) if back.back && !plan.back => {
                let marks = executor.marks(&plan.scope).await?;
                if has_gone_back(back, &marks, &plan.versions()) {
                    return Err(Error::new(ErrorKind::Conflict, "run migrations")
                        .context("back", back.versions.join(", "))
                        .context("reason", "going back has begun and not ended")
                        .context("remedy", "end that first: opsctl migrations back"));
                }
                back.before.as_deref().cloned()
            }
            found => found.clone(),
        };
        let joined = before.as_ref().is_some_and(|before| before.back == plan.back);
        let nothing = plan.migrations.is_empty() && !joined;
        let owed = match (nothing, plan.migrations.is_empty()) {
            (true, _) if plan.back => return Ok(None),
            (true, _) => None,
            (false, true) => before,
            (false, false) => Some(extended(before, plan, restarts)),
        };
        let kept = match found == owed {
            true => Ok(()),
            false => executor.keep(&plan.scope, found.as_ref(), owed.as_ref()).await,
        };
        tries += 1;
        match kept {
            Ok(()) => return Ok(owed.map(|owed| Taken { owed, joined })),
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn extended(before: Option<UnfinishedRun>, plan: &MigrationPlan, restarts: bool) -> UnfinishedRun {
    let mut owed = before.clone().unwrap_or_default();
    owed.digest.clone_from(&plan.digest);
    owed.restarted = false;
    owed.back = plan.back;
    if before.as_ref().is_none_or(|before| before.back != plan.back) {
        owed.versions.clear();
        owed.before = before.map(Box::new);
    }
    let new = plan.versions().into_iter();
    let new: Vec<_> = new.filter(|version| !owed.versions.contains(version)).collect();
    owed.versions.extend(new);
    owed.wants_restart |= restarts;
    let touched = plan.migrations.iter().flat_map(|migration| &migration.touched);
    owed.touched.extend(touched.cloned());
    owed.touched.sort();
    owed.touched.dedup();
    owed
}

/// After the first step of a way back failed: if nothing was done of it, what was owed before is owed again, and `run` is free.
pub(super) async fn give_up(
    executor: &dyn MigrationExecutor,
    plan: &MigrationPlan,
    taken: &Taken,
    why: &Error,
) {
    // With no answer the step may be done, or be done in a moment.
    if why.kind() == ErrorKind::Unavailable {
        return;
    }
    let Ok(marks) = executor.marks(&plan.scope).await else {
        return;
    };
    // Those from before this way back say nothing; another began it, and they may be its own.
    let pending = match taken.joined {
        true => &taken.owed.versions[..],
        false => &[],
    };
    if !has_gone_back(&taken.owed, &marks, pending) {
        let before = taken.owed.before.as_deref();
        // If another has kept what it owes since, that stays.
        let _ = executor.keep(&plan.scope, Some(&taken.owed), before).await;
    }
}

/// Once it is over; what another run owes, which has begun since, is left as it is.
pub(super) async fn settle(
    executor: &dyn MigrationExecutor,
    scope: &str,
    owed: &UnfinishedRun,
    left: Option<&UnfinishedRun>,
) {
    if let Ok(now) = executor.unfinished(scope).await
        && now.as_ref().is_none_or(|now| now.digest == owed.digest)
    {
        let _ = executor.keep(scope, now.as_ref(), left).await;
    }
}
