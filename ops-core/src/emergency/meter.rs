use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Kept, Refusal, Watch};
use crate::model::{DrillVerdict, LastDrill, OutcomeStatus, PlanKind, RunId, StepResult, Timestamp, Verdict};
use crate::ports::{JournalEntry, JournalEvent, PiiMasker};

/// Counts what the machinery does, for a metrics endpoint of the process that holds the `Ops`.
///
/// Labels are procedure names (masked; after 32 of them `other`) and closed lists, so that no run, target or person
/// becomes a time series: of a name with an `@`, which is of one occasion (`user:-/u-17@2026-01-30T09:00:00Z`), the label is what is before its first colon. Counters begin with the process and take a lock for a few additions.
#[derive(Debug)]
pub struct Meter {
    counts: Mutex<Counts>,
    masker: Arc<dyn PiiMasker>,
}

#[derive(Debug, Default)]
struct Counts {
    procedures: BTreeSet<String>,
    /// Runs that have begun here and have not ended.
    open: BTreeMap<RunId, OpenRun>,
    begun: BTreeMap<(String, &'static str), u64>,
    ended: BTreeMap<(String, &'static str, &'static str), u64>,
    steps: BTreeMap<(String, &'static str, &'static str), u64>,
    unverified: BTreeMap<(String, &'static str), u64>,
    accepted: BTreeMap<&'static str, Histogram>,
    verified: BTreeMap<&'static str, Histogram>,
    entries: BTreeMap<&'static str, u64>,
    unaudited: u64,
    refused: BTreeMap<&'static str, u64>,
    held: Option<u64>,
    drills: BTreeMap<String, (Timestamp, bool)>,
    /// By name: what it is, and its value.
    gauges: BTreeMap<&'static str, (&'static str, f64)>,
}

#[derive(Debug)]
struct OpenRun {
    procedure: String,
    kind: &'static str,
    intents: BTreeMap<u32, Timestamp>,
}

/// How many procedures have a name of their own among the labels.
const MOST_PROCEDURES: usize = 32;

/// How many runs that never ended here are remembered.
const MOST_OPEN: usize = 1024;

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

#[derive(Clone, Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.seconds += seconds;
    }
}

impl Meter {
    /// Nothing counted yet; `masker` masks the names of procedures.
    pub fn new(masker: Arc<dyn PiiMasker>) -> Self {
        Self {
            counts: Mutex::default(),
            masker,
        }
    }

    /// Counts a refusal. `Ops` counts those of its own calls; whoever approves a plan counts those of the approval.
    pub fn refused(&self, refusal: &Refusal) {
        *self.counts().refused.entry(refusal.name()).or_default() += 1;
    }

    /// Says how many prior states wait for a restore; `None`: it could not be found out.
    pub fn set_held(&self, held: Option<u64>) {
        self.counts().held = held;
    }

    /// Says when a procedure was drilled last.
    pub fn set_last_drill(&self, procedure: &str, last: &LastDrill) {
        let mut counts = self.counts();
        let procedure = self.label(&mut counts, procedure);
        let drilled = (last.at, last.verdict == DrillVerdict::Passed);
        counts.drills.insert(procedure, drilled);
    }

    /// Says a number that is not counted here.
    pub(crate) fn set_gauge(&self, name: &'static str, help: &'static str, value: f64) {
        self.counts().gauges.insert(name, (help, value));
    }

    /// The counters in the Prometheus text format, as they are `now`.
    pub fn render(&self, now: Timestamp) -> String {
        let counts = self.counts();
        let mut text = String::new();
        let pairs = |map: &BTreeMap<(String, &'static str), u64>| {
            map.iter()
                .map(|((procedure, kind), count)| {
                    (format!("procedure={},kind=\"{kind}\"", quoted(procedure)), *count)
                })
                .collect::<Vec<_>>()
        };
        let triples = |map: &BTreeMap<(String, &'static str, &'static str), u64>, third: &str| {
            map.iter()
                .map(|((procedure, kind, last), count)| {
                    let labels = format!(
                        "procedure={},kind=\"{kind}\",{third}=\"{last}\"",
                        quoted(procedure)
                    );
                    (labels, *count)
                })
                .collect::<Vec<_>>()
        };
        let singles = |map: &BTreeMap<&'static str, u64>, name: &str| {
            map.iter()
                .map(|(label, count)| (format!("{name}=\"{label}\""), *count))
                .collect::<Vec<_>>()
        };
        counter(
            &mut text,
            "ops_runs_started_total",
            "Runs that began.",
            &pairs(&counts.begun),
        );
        counter(
            &mut text,
            "ops_runs_ended_total",
            "Runs that ended, by how.",
            &triples(&counts.ended, "status"),
        );
        counter(
            &mut text,
            "ops_steps_total",
            "Steps whose read-back ended, by result.",
            &triples(&counts.steps, "result"),
        );
        counter(
            &mut text,
            "ops_steps_unverified_total",
            "Steps that were not seen to hold.",
            &pairs(&counts.unverified),
        );
        counter(
            &mut text,
            "ops_journal_entries_total",
            "Journal entries, by where they were kept.",
            &singles(&counts.entries, "kept"),
        );
        counter(
            &mut text,
            "ops_refusals_total",
            "Plans that a rule refused, by the rule.",
            &singles(&counts.refused, "refusal"),
        );
        counter(
            &mut text,
            "ops_runs_unaudited_total",
            "Runs whose audit records are not all in the store.",
            &[(String::new(), counts.unaudited)],
        );
        histogram(
            &mut text,
            "ops_step_accept_seconds",
            "From the intent of a step to the provider's answer.",
            &counts.accepted,
        );
        histogram(
            &mut text,
            "ops_step_verify_seconds",
            "From the intent of a step to the end of its read-back.",
            &counts.verified,
        );
        gauge(
            &mut text,
            "ops_runs_open",
            "Runs that were seen to begin and not to end.",
            &[(String::new(), counts.open.len() as f64)],
        );
        if let Some(held) = counts.held {
            gauge(
                &mut text,
                "ops_held_states",
                "Prior states that wait for a restore.",
                &[(String::new(), held as f64)],
            );
        }
        let drills = |value: &dyn Fn(&(Timestamp, bool)) -> f64| {
            let drills = counts.drills.iter();
            drills
                .map(|(procedure, drill)| (format!("procedure={}", quoted(procedure)), value(drill)))
                .collect::<Vec<_>>()
        };
        gauge(
            &mut text,
            "ops_last_drill_age_seconds",
            "Since the last drill began.",
            &drills(&|(at, _)| now.saturating_since(*at).as_secs_f64()),
        );
        gauge(
            &mut text,
            "ops_last_drill_passed",
            "Whether the last drill was passed.",
            &drills(&|(_, passed)| f64::from(u8::from(*passed))),
        );
        for (name, (help, value)) in &counts.gauges {
            gauge(&mut text, name, help, &[(String::new(), *value)]);
        }
        text
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn label(&self, counts: &mut Counts, procedure: &str) -> String {
        let name = match procedure.split_once(':') {
            Some((sort, which)) if which.contains('@') => sort,
            _ => procedure,
        };
        let name = self.masker.mask(name).into_owned();
        if counts.procedures.contains(&name) {
            return name;
        }
        if counts.procedures.len() >= MOST_PROCEDURES {
            return "other".to_owned();
        }
        counts.procedures.insert(name.clone());
        name
    }
}

impl Watch for Meter {
    fn seen(&self, entry: &JournalEntry) {
        let mut counts = self.counts();
        match &entry.event {
            JournalEvent::Started { procedure, plan, .. } => {
                let procedure = self.label(&mut counts, procedure);
                let kind = kind_name(plan);
                *counts.begun.entry((procedure.clone(), kind)).or_default() += 1;
                if counts.open.len() >= MOST_OPEN {
                    counts.open.pop_first();
                }
                let open = OpenRun {
                    procedure,
                    kind,
                    intents: BTreeMap::new(),
                };
                counts.open.insert(entry.run.clone(), open);
            }
            JournalEvent::Intent { step, .. } => {
                if let Some(run) = counts.open.get_mut(&entry.run) {
                    run.intents.insert(*step, entry.at);
                }
            }
            JournalEvent::Applied { step, .. } => {
                let Some((_, kind, began)) = counts.step(&entry.run, *step) else {
                    return;
                };
                let took = entry.at.saturating_since(began);
                counts.accepted.entry(kind).or_default().add(took);
            }
            JournalEvent::Verified {
                step,
                result,
                verdict,
                ..
            } => counts.verified(entry, *step, result, verdict),
            JournalEvent::Ended { status } => {
                // A run that was resumed here began elsewhere.
                let run = counts.open.remove(&entry.run);
                let (procedure, kind) = run.map_or_else(
                    || ("other".to_owned(), "unknown"),
                    |run| (run.procedure, run.kind),
                );
                *counts
                    .ended
                    .entry((procedure, kind, status_name(*status)))
                    .or_default() += 1;
            }
            JournalEvent::Published { audited: false } => counts.unaudited += 1,
            _ => {}
        }
    }

    fn kept(&self, _entry: &JournalEntry, kept: Kept) {
        *self.counts().entries.entry(kept.name()).or_default() += 1;
    }
}

impl Counts {
    fn step(&self, run: &RunId, step: u32) -> Option<(String, &'static str, Timestamp)> {
        let run = self.open.get(run)?;
        Some((run.procedure.clone(), run.kind, *run.intents.get(&step)?))
    }

    fn verified(&mut self, entry: &JournalEntry, step: u32, result: &StepResult, verdict: &Verdict) {
        let Some((procedure, kind, began)) = self.step(&entry.run, step) else {
            return;
        };
        self.verified
            .entry(kind)
            .or_default()
            .add(entry.at.saturating_since(began));
        if !verdict.holds() {
            *self.unverified.entry((procedure.clone(), kind)).or_default() += 1;
        }
        *self.steps.entry((procedure, kind, result.name())).or_default() += 1;
    }
}

fn kind_name(kind: &PlanKind) -> &'static str {
    match kind {
        PlanKind::Stop => "stop",
        PlanKind::Restore { .. } => "restore",
        PlanKind::Forget { .. } => "forget",
    }
}

fn status_name(status: OutcomeStatus) -> &'static str {
    match status {
        OutcomeStatus::Verified => "verified",
        OutcomeStatus::Unverified => "unverified",
        OutcomeStatus::Partial => "partial",
        OutcomeStatus::Failed => "failed",
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn counter(text: &mut String, name: &str, help: &str, samples: &[(String, u64)]) {
    head(text, name, help, "counter");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{} {value}", braced(labels));
    }
}

fn gauge(text: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    head(text, name, help, "gauge");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{} {value}", braced(labels));
    }
}

fn histogram(text: &mut String, name: &str, help: &str, by_kind: &BTreeMap<&'static str, Histogram>) {
    head(text, name, help, "histogram");
    for (kind, histogram) in by_kind {
        for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(text, "{name}_bucket{{kind=\"{kind}\",le=\"{bound}\"}} {bucket}");
        }
        let Histogram { count, seconds, .. } = histogram;
        let _ = writeln!(text, "{name}_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(
            text,
            "{name}_sum{{kind=\"{kind}\"}} {seconds}\n{name}_count{{kind=\"{kind}\"}} {count}"
        );
    }
}

fn braced(labels: &str) -> String {
    match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    }
}

/// A label value: backslash, quote and line feed are escaped.
fn quoted(value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{value}\"")
}
