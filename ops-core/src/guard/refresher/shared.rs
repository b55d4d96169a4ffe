use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::last_known::LastKnown;
use super::{RefreshOptions, SwitchHealth};
use crate::error::Result;
use crate::guard::KillSwitch;
use crate::guard::kill_switch::{Adoption, Moment};
use crate::model::Timestamp;
use crate::ports::{ProcessId, SwitchHint, SwitchProcess, SwitchState};

/// A store that hangs is given up after this much.
pub(super) const READ_BUDGET: Duration = Duration::from_secs(2);

/// What the thread and its owner both see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) switch: Arc<KillSwitch>,
    pub(super) options: RefreshOptions,
    pub(super) process: SwitchProcess,
    began: Duration,
    seen: Mutex<Seen>,
    pub(super) poll_now: Notify,
    pub(super) applied: watch::Sender<u64>,
    pub(super) to_keep: watch::Sender<Option<LastKnown>>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    contact: Option<Duration>,
    /// How long there had been no contact when this process began, by the file of what was said last.
    before: Duration,
    pub(super) hints: Option<bool>,
    pub(super) hint_fault: Option<String>,
    went_back: bool,
    pub(super) fault: Option<String>,
    pub(super) report_fault: Option<String>,
    pub(super) last_known_fault: Option<String>,
}

impl Shared {
    pub(super) fn new(switch: Arc<KillSwitch>, options: RefreshOptions) -> Self {
        let clock = &options.clock;
        Self {
            began: clock.monotonic(),
            process: SwitchProcess::new(
                ProcessId::generate(),
                &options.service,
                &options.instance,
                clock.now(),
            ),
            seen: Mutex::default(),
            poll_now: Notify::new(),
            applied: watch::Sender::new(0),
            to_keep: watch::Sender::new(None),
            switch,
            options,
        }
    }

    /// Takes over what was known before a restart, and for how long it had been known: a restart ends no staleness.
    pub(super) fn begin_with_last_known(&self) {
        let Some(path) = &self.options.last_known else {
            return;
        };
        match LastKnown::read(path) {
            Ok(Some(known)) => {
                let now = self.options.clock.now();
                self.seen().before = known
                    .contact
                    .map_or(Duration::ZERO, |at| now.saturating_since(at));
                self.switch
                    .change(|layers, bit_of| layers.adopt_last_known(&known.state, bit_of));
                self.judge_staleness();
            }
            Ok(None) => {}
            Err(error) => self.seen().last_known_fault = Some(error.to_string()),
        }
    }

    pub(super) fn health(&self) -> SwitchHealth {
        let age = self.age();
        let (generation, source, stops_in) = self.switch.staleness(age);
        let seen = self.seen();
        SwitchHealth {
            since_contact: seen.contact.map(|_| age),
            generation,
            source,
            hints: seen.hints,
            hint_fault: seen.hint_fault.clone(),
            stops_in,
            went_back: seen.went_back,
            fault: seen.fault.clone(),
            report_fault: seen.report_fault.clone(),
            last_known_fault: seen.last_known_fault.clone(),
        }
    }

    /// How long there has been no contact; if there was none yet, from the start, and before it as far as is known.
    fn age(&self) -> Duration {
        let seen = self.seen();
        let now = self.options.clock.monotonic();
        match seen.contact {
            Some(contact) => now.saturating_sub(contact),
            None => now.saturating_sub(self.began).saturating_add(seen.before),
        }
    }

    /// Takes over a state of the shared store whose read began at `since`.
    pub(super) fn adopt(&self, state: SwitchState, since: &Moment) {
        let adoption = self.switch.adopt_shared(&state, Some(since));
        let mut seen = self.seen();
        seen.contact = Some(self.options.clock.monotonic());
        seen.went_back = adoption == Adoption::Older;
        seen.fault = None;
        drop(seen);
        let generation = state.generation;
        // Also of a store that went back: what it stops is stopped.
        self.applied
            .send_if_modified(|applied| std::mem::replace(applied, generation) != generation);
        if adoption == Adoption::Taken && self.options.last_known.is_some() {
            self.keep(state);
        }
    }

    fn keep(&self, state: SwitchState) {
        let now = self.options.clock.now();
        let kept_every = kept_every(self.switch.shortest_grace());
        let due = |kept: Option<Timestamp>| {
            kept.is_none_or(|at| now < at || now.saturating_since(at) >= kept_every)
        };
        self.to_keep.send_if_modified(|kept| {
            let known = kept.as_ref();
            let needed = known.is_none_or(|known| known.state != state || due(known.contact));
            if needed {
                *kept = Some(LastKnown::new(state, now));
            }
            needed
        });
    }

    pub(super) fn note(&self, hint: &Result<SwitchHint>) {
        let mut seen = self.seen();
        let before = seen.hints;
        (seen.hints, seen.hint_fault) = match hint {
            Ok(hint) => (Some(*hint != SwitchHint::Lost), None),
            // What was seen to be lost stays so until hints are seen to arrive.
            Err(error) => (before.filter(|arrive| !arrive), Some(error.to_string())),
        };
        if seen.hints == Some(false) && before != Some(false) {
            tracing::warn!(
                "hints of the switch store do not arrive (a transaction pooler?): a stop takes up to a poll interval"
            );
        }
    }

    pub(super) fn judge_staleness(&self) {
        let age = self.age();
        self.switch.change(|layers, _| layers.judge_staleness(age));
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How old the contact in the file may be, by the shortest grace of a switch: a restart without contact stops so much too early at most.
fn kept_every(shortest_grace: Option<Duration>) -> Duration {
    shortest_grace.map_or(KEPT_EVERY, |grace| {
        (grace / 10).clamp(Duration::from_secs(1), KEPT_EVERY)
    })
}

/// The time of the last contact is written down this often, where nothing else changes.
const KEPT_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contact_in_the_file_is_a_tenth_of_the_grace_old_at_most() {
        let seconds = |grace: u64| kept_every(Some(Duration::from_secs(grace))).as_secs();
        assert_eq!([1, 100, 300, 86_400].map(seconds), [1, 10, 30, 60]);
        assert_eq!(kept_every(None), KEPT_EVERY);
    }
}
