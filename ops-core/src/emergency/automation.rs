use std::time::Duration;

use super::Engine;
use super::procedure::Procedure;
use super::rules::{OnUnavailable, Violation};
use crate::error::Result;
use crate::model::{ActorKind, PlanKind, PlannedStep, Prior, RunId};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How much a rule that acts by itself may stop. It never restores and never breaks the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutomationLimits {
    /// The most targets that one run takes down. Default: 5.
    pub targets: usize,
    /// One automated run of the procedure in this time. Default: 1 hour.
    pub window: Duration,
    /// What is answered when the journal cannot tell of the last run. Default: [`OnUnavailable::Refuse`].
    pub on_unavailable: OnUnavailable,
}

impl Default for AutomationLimits {
    fn default() -> Self {
        Self {
            targets: 5,
            window: Duration::from_secs(3600),
            on_unavailable: OnUnavailable::Refuse,
        }
    }
}

impl AutomationLimits {
    /// Sets the most targets.
    #[must_use]
    pub fn with_targets(mut self, targets: usize) -> Self {
        self.targets = targets;
        self
    }

    /// Sets the window.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Declares the answer when the journal cannot be read.
    #[must_use]
    pub fn on_unavailable(mut self, answer: OnUnavailable) -> Self {
        self.on_unavailable = answer;
        self
    }
}

/// How long the journal may take to tell of the last run.
const JOURNAL_BUDGET: Duration = Duration::from_secs(2);

impl Engine {
    /// The limits that an automated run would pass.
    pub(super) async fn beyond_automation(
        &self,
        run: &RunId,
        procedure: &Procedure,
        steps: &[PlannedStep],
    ) -> Vec<Violation> {
        let limits = &procedure.automation;
        let mut beyond = Vec::new();
        let already = |step: &&PlannedStep| matches!(step.prior, Prior::AlreadyStopped { .. });
        let down = steps.len() - steps.iter().filter(already).count();
        if down > limits.targets {
            let why = format!(
                "takes down {down} targets, automation may take down {}",
                limits.targets
            );
            beyond.push(Violation::new("automation.targets", why));
        }
        let deadline = Deadline::after(&*self.clock, JOURNAL_BUDGET);
        let last = deadline
            .bound(
                &*self.clock,
                "look for automated runs",
                self.automated_before(run, procedure),
            )
            .await;
        let why = match last {
            Ok(None) => None,
            Ok(Some(last)) => Some(format!(
                "{last} was automated too, less than {} min ago",
                limits.window.as_secs() / 60
            )),
            Err(_) if limits.on_unavailable == OnUnavailable::GoAhead => None,
            Err(error) => Some(self.masked(format!("the last automated run is not known: {error}"))),
        };
        beyond.extend(why.map(|why| Violation::new("automation.window", why)));
        beyond
    }

    async fn automated_before(&self, run: &RunId, procedure: &Procedure) -> Result<Option<RunId>> {
        let since = self.clock.now() - procedure.automation.window;
        let oldest = RunId::earliest(since);
        let automated = |entry: &JournalEntry| match &entry.event {
            JournalEvent::Started {
                procedure: name,
                plan: PlanKind::Stop,
                actor,
                ..
            } => *name == procedure.name && actor.kind() == ActorKind::Automation && entry.at > since,
            _ => false,
        };
        for id in self
            .runs()
            .await?
            .into_iter()
            .filter(|id| id != run && *id >= oldest)
        {
            if self.entries(&id).await?.iter().any(automated) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
