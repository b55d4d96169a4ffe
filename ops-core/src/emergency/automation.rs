use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::procedure::Procedure;
use super::reading::Reading;
use super::rules::{OnUnavailable, Violation};
use crate::error::{Error, Result};
use crate::model::{ActorKind, PlanKind, PlannedStep, Prior, RunId, Timestamp};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How much a rule that acts by itself may stop. It never restores and never breaks the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutomationLimits {
    /// The most targets that one run takes down. Default: 5.
    pub targets: usize,
    /// No other automated stop, of whatever procedure, in this time. Default: 1 hour.
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

/// How long the journal may take to tell of other runs.
const JOURNAL_BUDGET: Duration = Duration::from_secs(2);

/// What others have begun is taken up by automation so long after its beginning; later it is for a person.
const TAKE_UP: Duration = Duration::from_secs(3600);

/// Who began at the same moment is looked at so often until it is seen which of the two goes on.
const LOOKS: u32 = 20;

/// How far these looks are apart.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An automated stop within the window.
struct Automated {
    run: RunId,
    /// It has begun to act.
    acts: bool,
}

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
        beyond.extend(match self.others(run, limits).await {
            Ok(others) => others.first().map(|other| taken(limits, &other.run)),
            Err(error) => self.untold(limits, &error),
        });
        beyond
    }

    /// The limits that automation would pass by taking up a stop: it is judged like one that begins now. What it has begun to do itself has counted
    /// already.
    pub(super) async fn beyond_taking_up(
        &self,
        run: &Run,
        entries: &[JournalEntry],
        steps: &[PlannedStep],
    ) -> Vec<Violation> {
        if entries.iter().any(began_automated) && acts(entries) {
            return Vec::new();
        }
        let mut beyond = self.beyond_automation(&run.id, &run.procedure, steps).await;
        if run.started_at + TAKE_UP < self.clock.now() {
            let why = format!("{} began more than {} min ago", run.id, TAKE_UP.as_secs() / 60);
            beyond.push(Violation::new(WINDOW, why));
        }
        beyond
    }

    /// Of automated stops that begin at the same moment one goes on. Asked once `run` is announced, so that of any two the second to be announced
    /// sees the first: it gives way to one with an older id, and to one that acts.
    pub(super) async fn gives_way(&self, run: &RunId, limits: &AutomationLimits) -> Option<Violation> {
        let mut undecided = None;
        for _ in 0..LOOKS {
            let others = match self.others(run, limits).await {
                Ok(others) => others,
                Err(error) => return self.untold(limits, &error),
            };
            if let Some(first) = others.iter().find(|other| other.acts || other.run < *run) {
                return Some(taken(limits, &first.run));
            }
            undecided = Some(others.into_iter().next()?.run);
            self.clock.sleep(LOOK_AGAIN).await;
        }
        // It died between the two, and may be taken up.
        undecided.map(|other| taken(limits, &other))
    }

    /// The automated stops of the window but for `run`. The spool alone does not tell: others may have acted.
    async fn others(&self, run: &RunId, limits: &AutomationLimits) -> Result<Vec<Automated>> {
        let since = self.clock.now() - limits.window;
        let oldest = RunId::earliest(since - TAKE_UP);
        let read = async {
            let mut others = Vec::new();
            let runs = self.ledger.runs().await?.whole()?;
            for id in runs.into_iter().filter(|id| id != run && *id >= oldest) {
                let entries = self.ledger.entries(&id).await.and_then(Reading::whole)?;
                if counts(&entries, since) {
                    let acts = acts(&entries);
                    others.push(Automated { run: id, acts });
                }
            }
            Ok(others)
        };
        Deadline::after(&*self.clock, JOURNAL_BUDGET)
            .bound(&*self.clock, "look for automated runs", read)
            .await
    }

    fn untold(&self, limits: &AutomationLimits, error: &Error) -> Option<Violation> {
        let why = self.masked(format!("the last automated run is not known: {error}"));
        (limits.on_unavailable != OnUnavailable::GoAhead).then(|| Violation::new(WINDOW, why))
    }
}

const WINDOW: &str = "automation.window";

fn taken(limits: &AutomationLimits, by: &RunId) -> Violation {
    let minutes = limits.window.as_secs() / 60;
    Violation::new(
        WINDOW,
        format!("{by} was automated too, less than {minutes} min ago"),
    )
}

fn began_automated(entry: &JournalEntry) -> bool {
    matches!(
        &entry.event,
        JournalEvent::Started { plan: PlanKind::Stop, actor, .. } if actor.kind() == ActorKind::Automation
    )
}

fn acts(entries: &[JournalEntry]) -> bool {
    let intent = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Intent { .. });
    entries.iter().any(intent)
}

/// Whether automation began the run since then and has not given way, or has acted in it.
fn counts(entries: &[JournalEntry], since: Timestamp) -> bool {
    let ended = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Ended { .. });
    let stands = acts(entries) || !entries.iter().any(ended);
    let taken_up = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Intent { automated: true, .. });
    let mut recent = entries.iter().filter(|entry| entry.at > since);
    recent.any(|entry| taken_up(entry) || (stands && began_automated(entry)))
}
