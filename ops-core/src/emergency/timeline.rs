use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::messages;
use crate::model::{Lang, PlanKind, RunId, TargetId, Text, Timestamp};
use crate::ports::{JournalEntry, JournalEvent};

/// What happened in a run, for an incident report. Computed from the journal, so that it is the same after a crash and on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeline {
    /// The run.
    pub run: RunId,
    /// The procedure; empty if its beginning is not in the journal.
    pub procedure: String,
    /// Stop or restore; `None` if its beginning is not in the journal.
    pub plan: Option<PlanKind>,
    /// The time of the first entry.
    pub started_at: Timestamp,
    /// From the first to the last entry.
    pub lasted: Duration,
    /// What happened, oldest first.
    pub lines: Vec<TimelineLine>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimelineLine {
    /// When.
    pub at: Timestamp,
    /// Since the first entry; zero if the wall clock went back.
    pub offset: Duration,
    /// The step, from 0; `None`: the run as a whole.
    pub step: Option<u32>,
    /// What was acted on.
    pub target: Option<TargetId>,
    /// What happened, in words.
    pub what: Text,
}

/// The timeline of the run that `entries` are of; `None` without entries. Pure.
pub fn timeline(entries: &[JournalEntry]) -> Option<Timeline> {
    let (first, last) = (entries.first()?, entries.last()?);
    let mut timeline = Timeline {
        run: first.run.clone(),
        procedure: String::new(),
        plan: None,
        started_at: first.at,
        lasted: last.at.saturating_since(first.at),
        lines: Vec::new(),
    };
    let mut actions = BTreeMap::<u32, Text>::new();
    for entry in entries.iter().filter(|entry| entry.run == first.run) {
        if let JournalEvent::Started {
            procedure,
            plan,
            steps,
            ..
        } = &entry.event
        {
            timeline.procedure.clone_from(procedure);
            timeline.plan = Some(plan.clone());
            actions.extend(steps.iter().map(|step| (step.step, step.action.clone())));
        }
        timeline.lines.push(line(entry, first.at, &actions));
    }
    Some(timeline)
}

fn line(entry: &JournalEntry, began: Timestamp, actions: &BTreeMap<u32, Text>) -> TimelineLine {
    let named = |step: &u32, target: &TargetId| {
        let text = || Text::new(target.as_str(), target.as_str());
        actions.get(step).cloned().unwrap_or_else(text)
    };
    let (step, target, what) = match &entry.event {
        JournalEvent::Started {
            procedure,
            plan,
            actor,
            approval,
            ..
        } => (
            None,
            None,
            messages::run_began(plan, procedure, actor.id(), approval),
        ),
        JournalEvent::Intent { step, target, .. } => (
            Some(step),
            Some(target),
            messages::step_began(&named(step, target)),
        ),
        JournalEvent::Applied {
            step, target, error, ..
        } => (
            Some(step),
            Some(target),
            messages::step_answered(&named(step, target), error.as_deref()),
        ),
        JournalEvent::Verified {
            step,
            target,
            result,
            verdict,
            ..
        } => (
            Some(step),
            Some(target),
            messages::step_ended(&named(step, target), result, verdict),
        ),
        JournalEvent::Ended { status } => (None, None, messages::run_ended(*status)),
        JournalEvent::Published { audited } => (None, None, messages::run_published(*audited)),
        JournalEvent::Gate { gate, moment } => (None, None, messages::gate_moment(*gate, moment)),
        JournalEvent::Aborted { cause } => (None, None, messages::run_aborted(cause)),
        JournalEvent::ClosedAgain { target, verdict, .. } => {
            (None, Some(target), messages::target_closed_again(target, verdict))
        }
        JournalEvent::Forgotten {
            targets,
            by,
            reason,
            persons,
            ..
        } => (
            None,
            None,
            messages::run_forgotten(by.id(), targets, persons, reason),
        ),
        JournalEvent::Reviewed { by, note } => (None, None, messages::run_reviewed(by.id(), note)),
    };
    TimelineLine {
        at: entry.at,
        offset: entry.at.saturating_since(began),
        step: step.copied(),
        target: target.cloned(),
        what,
    }
}

impl Timeline {
    /// A table for an incident report; times in Japan with their offset.
    pub fn to_markdown(&self, lang: Lang) -> String {
        let heading = messages::timeline_heading(self.run.as_str(), &self.procedure);
        let mut text = format!("{}\n", heading.get(lang));
        for line in &self.lines {
            let step = line.step.map(|step| (step + 1).to_string()).unwrap_or_default();
            let target = line.target.as_ref().map_or("", TargetId::as_str);
            text += &format!(
                "| {} | +{:.3} s | {step} | {} | {} |\n",
                line.at.to_jst(),
                line.offset.as_secs_f64(),
                cell(target),
                cell(line.what.get(lang)),
            );
        }
        text
    }
}

/// A vendor's text must not break the table, nor become markup of the report.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '`' | '<' | '>' | '[' | ']' | '*' | '_' | '#' | '!' => {
                cell.push('\\');
                cell.push(letter);
            }
            letter if letter.is_control() => cell.push(' '),
            letter => cell.push(letter),
        }
    }
    cell
}
