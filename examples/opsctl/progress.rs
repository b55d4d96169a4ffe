use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ops_core::emergency::Watch;
use ops_core::model::{PlannedGate, RunId, Verdict};
use ops_core::ports::{GateMoment, JournalEntry, JournalEvent};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::print::Printer;

/// Keeps the entries of a run and moves a progress bar on a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    seen: Mutex<Vec<JournalEntry>>,
    gates: Mutex<Vec<PlannedGate>>,
    /// What the countdown of the gate counts from.
    since: Arc<Mutex<Option<(Instant, Duration, String)>>>,
    ticking: Mutex<Option<AbortHandle>>,
    in_hand: Arc<Mutex<Option<RunId>>>,
}

impl Progress {
    pub(crate) fn new(json: bool) -> Arc<Self> {
        let bar = if json || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        };
        if let Ok(style) = ProgressStyle::with_template("  [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Arc::new(Self {
            bar,
            seen: Mutex::default(),
            gates: Mutex::default(),
            since: Arc::default(),
            ticking: Mutex::default(),
            in_hand: Arc::default(),
        })
    }

    /// Counts down on a terminal while health holds; a break starts the count anew.
    fn gate(&self, number: u32, moment: &GateMoment) {
        if self.bar.is_hidden() {
            return;
        }
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(gate) = gates.iter().find(|gate| gate.gate == number) else {
            return;
        };
        let names = gate.checks.join(", ");
        let (since, text) = match moment {
            GateMoment::Saw { seen: Verdict::Holds } => (
                Some((Instant::now(), gate.hold, names.clone())),
                format!("⏸ {names}"),
            ),
            GateMoment::Saw { seen } => (None, format!("⏸ {}", seen.reason().unwrap_or(&names))),
            _ => (None, format!("⏸ {names}")),
        };
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        self.bar.set_message(text);
        let ends = matches!(moment, GateMoment::Passed | GateMoment::Failed { .. });
        let mut ticking = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        if ends {
            if let Some(task) = ticking.take() {
                task.abort();
            }
        } else if ticking.is_none() {
            let (bar, since) = (self.bar.clone(), Arc::clone(&self.since));
            let task = tokio::spawn(async move {
                loop {
                    if let Some((since, hold, names)) = &*since.lock().unwrap_or_else(PoisonError::into_inner)
                    {
                        let left = hold.saturating_sub(since.elapsed()).as_secs();
                        bar.set_message(format!("⏸ {names} {left} s"));
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            *ticking = Some(task.abort_handle());
        }
    }

    /// The same for a run of the real world, which `printer` names when the tool is interrupted.
    pub(crate) fn for_run(printer: &Printer) -> Arc<Self> {
        let mut progress = Self::new(printer.json());
        if let Some(progress) = Arc::get_mut(&mut progress) {
            progress.in_hand = printer.in_hand();
        }
        progress
    }

    /// Takes the entries seen since the last call.
    pub(crate) fn take(&self) -> Vec<JournalEntry> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watch for Progress {
    fn seen(&self, entry: &JournalEntry) {
        let open = !matches!(entry.event, JournalEvent::Published { .. });
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = open.then(|| entry.run.clone());
        match &entry.event {
            JournalEvent::Started { steps, opening, .. } => {
                *self.gates.lock().unwrap_or_else(PoisonError::into_inner) = opening.gates.clone();
                self.bar.reset();
                self.bar
                    .set_length(u64::try_from(steps.len()).unwrap_or(u64::MAX));
            }
            JournalEvent::Intent { target, .. } => self.bar.set_message(target.to_string()),
            JournalEvent::Verified { .. } => self.bar.inc(1),
            JournalEvent::Gate { gate, moment } => self.gate(*gate, moment),
            JournalEvent::ClosedAgain { target, .. } => {
                self.bar.set_message(format!("closed again {target}"))
            }
            JournalEvent::Ended { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry.clone());
    }
}
