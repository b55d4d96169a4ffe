use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::history::gave_way;
use super::ledger::{Ledger, Recorded};
use super::outstanding::SKEW;
use super::procedure::Procedure;
use super::reading::Reading;
use super::rules::{OnUnavailable, Violation};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ActorKind, PlanKind, PlannedStep, Prior, RunId, Timestamp};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How much a rule that acts by itself may stop. It never restores and never breaks the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutomationLimits {
    /// The most targets that one run takes down. Default: 5.
    pub targets: usize,
    /// No other automated stop, of whatever procedure, in this time; what is shorter than 5 minutes counts as 5. Default: 1 hour.
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

/// What others have begun is taken up by automation so long after it was planned; later it is for a person.
const TAKE_UP: Duration = Duration::from_secs(3600);

/// Who began at the same moment is looked at for so long until it is seen which of the two goes on: more than the other one needs, with a journal
/// that is slow, to be answered its announcement, to look, and to say that it gives way.
const PATIENCE: Duration = Duration::from_secs(7);

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
    /// already; what a person did in it has not.
    pub(super) async fn beyond_taking_up(
        &self,
        run: &Run,
        entries: &[JournalEntry],
        steps: &[PlannedStep],
    ) -> Vec<Violation> {
        if entries.iter().any(began_automated) && entries.iter().any(acted_automated) {
            return Vec::new();
        }
        let mut beyond = self.beyond_automation(&run.id, &run.procedure, steps).await;
        // By its id too: that is what the window goes by, and approval may lie between the two.
        let oldest = self.clock.now() - TAKE_UP;
        if run.started_at < oldest || run.id < RunId::earliest(oldest) {
            let minutes = TAKE_UP.as_secs() / 60;
            let why = format!("{} was planned or began more than {minutes} min ago", run.id);
            beyond.push(Violation::new(WINDOW, why));
        }
        beyond
    }

    /// Of automated stops that begin at the same moment one goes on. Asked once `run` is announced, so that of any two the second to be announced
    /// sees the first: it gives way to one with an older id, and to one that acts. What only this machine has recorded is no announcement.
    pub(super) async fn gives_way(
        &self,
        run: &RunId,
        limits: &AutomationLimits,
        recorded: Recorded,
    ) -> Option<Violation> {
        if recorded != Recorded::Primary {
            let unseen = Error::new(ErrorKind::Unavailable, "announce the run");
            let untold = self.untold(limits, &unseen.context("journal", "it takes no entries"));
            if untold.is_some() {
                return untold;
            }
        }
        let patience = Deadline::after(&*self.clock, PATIENCE);
        loop {
            let others = match self.others(run, limits).await {
                Ok(others) => others,
                Err(error) => return self.untold(limits, &error),
            };
            if let Some(first) = others.iter().find(|other| other.acts || other.run < *run) {
                return Some(taken(limits, &first.run));
            }
            let undecided = others.into_iter().next()?;
            if patience.passed(&*self.clock) {
                // It died between the two, and may be taken up.
                return Some(taken(limits, &undecided.run));
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// The automated stops of the window but for `run`. The spool alone does not vouch that there was none, but what it has is proof.
    ///
    /// # Errors
    /// The journal's, if it does not tell and nothing was found.
    async fn others(&self, run: &RunId, limits: &AutomationLimits) -> Result<Vec<Automated>> {
        let mut found = Vec::new();
        let told = self.find_others(&self.ledger, run, limits, &mut found).await;
        if told.is_err()
            && let Some(spool) = self.ledger.spool_alone()
            && let Err(error) = self.find_others(&spool, run, limits, &mut found).await
        {
            tracing::warn!(%error, "neither the journal nor the spool tells of automated runs");
        }
        match told {
            Err(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Adds to `found` what `ledger` tells within 2 s, and fails if that is not all.
    async fn find_others(
        &self,
        ledger: &Ledger,
        run: &RunId,
        limits: &AutomationLimits,
        found: &mut Vec<Automated>,
    ) -> Result<()> {
        // Who acts at this moment is seen even if its clock is behind.
        let since = self.clock.now() - limits.window.max(SKEW);
        let oldest = RunId::earliest(since - TAKE_UP - SKEW);
        let read = async {
            let mut told = Ok(());
            let runs = ledger.runs().await?.whole()?;
            for id in runs.into_iter().filter(|id| id != run && *id >= oldest) {
                match ledger.entries(&id).await.and_then(Reading::whole) {
                    Ok(entries) if counts(&entries, since) => {
                        let acts = acts(&entries);
                        found.push(Automated { run: id, acts });
                    }
                    Ok(_) => {}
                    Err(error) => told = Err(error),
                }
            }
            told
        };
        Deadline::after(&*self.clock, JOURNAL_BUDGET)
            .bound(&*self.clock, "look for automated runs", read)
            .await
    }

    /// The same engine for who asks the journal although it failed a moment ago.
    pub(super) fn asking_anew(&self) -> Self {
        Self {
            ledger: self.ledger.asking_anew(),
            ..self.clone()
        }
    }

    fn untold(&self, limits: &AutomationLimits, error: &Error) -> Option<Violation> {
        let why = self.masked(format!("the last automated run is not known: {error}"));
        (limits.on_unavailable != OnUnavailable::GoAhead).then(|| Violation::new(WINDOW, why))
    }
}

const WINDOW: &str = "automation.window";

fn taken(limits: &AutomationLimits, by: &RunId) -> Violation {
    let minutes = limits.window.max(SKEW).as_secs() / 60;
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

fn acted_automated(entry: &JournalEntry) -> bool {
    matches!(entry.event, JournalEvent::Intent { automated: true, .. })
}

/// The announcement of a call may be in another machine's spool while what came of it is here. Asked of what counts: what has ended then has acted.
fn acts(entries: &[JournalEntry]) -> bool {
    let acted = |entry: &JournalEntry| {
        matches!(
            entry.event,
            JournalEvent::Intent { .. }
                | JournalEvent::Applied { .. }
                | JournalEvent::Verified { .. }
                | JournalEvent::Ended { .. }
        )
    };
    entries.iter().any(acted)
}

/// Whether automation began the run since then and has not given way, or has acted in it.
fn counts(entries: &[JournalEntry], since: Timestamp) -> bool {
    let stands = !gave_way(entries);
    let mut recent = entries.iter().filter(|entry| entry.at > since);
    recent.any(|entry| acted_automated(entry) || (stands && began_automated(entry)))
}
