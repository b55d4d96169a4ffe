use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use ops_core::emergency::Watch;
use ops_core::model::RunId;
use ops_core::ports::{JournalEntry, JournalEvent};

use crate::print::Printer;

/// Keeps the entries of a run and moves a progress bar on a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    seen: Mutex<Vec<JournalEntry>>,
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
            in_hand: Arc::default(),
        })
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
            JournalEvent::Started { steps, .. } => {
                self.bar.reset();
                self.bar
                    .set_length(u64::try_from(steps.len()).unwrap_or(u64::MAX));
            }
            JournalEvent::Intent { target, .. } => self.bar.set_message(target.to_string()),
            JournalEvent::Verified { .. } => self.bar.inc(1),
            JournalEvent::Ended { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry.clone());
    }
}
