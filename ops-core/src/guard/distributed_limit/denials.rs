use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::guard::{LimitCallerId, Offence};
use crate::model::{EndpointClass, LimitDigest, LimitKey, LimitName, LimitRule, LimitSecret};
use crate::ports::{DenialCount, DenialTotal};

/// Denials that the store has not heard of yet, by caller. Bounded: where [`MOST`] callers wait, denials of further ones are only summed up.
#[derive(Debug, Default)]
pub(super) struct Denials {
    hasher: foldhash::quality::RandomState,
    waiting: Mutex<Waiting>,
}

/// By the hash of the caller: a digest costs an HMAC, which is owed once a flush and not with every denial.
#[derive(Debug, Default)]
struct Waiting {
    callers: HashMap<u64, Denied>,
    /// Alarms of which nobody was told yet.
    due: Vec<Offence>,
    left_out: u64,
}

/// A caller, and how often it was denied.
#[derive(Debug)]
struct Denied {
    caller: LimitCallerId,
    denials: u32,
    /// Whether the store may have counted denials of it, and raised its alarm, without our hearing of it.
    unsure: bool,
}

/// When denials of one caller raise an alarm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    pub(super) threshold: u32,
    pub(super) window: Duration,
}

const MOST: usize = 10_000;

impl Denials {
    /// One more denial of `key`.
    pub(super) fn note(&self, key: &LimitKey<'_>) {
        let hash = self.hasher.hash_one(key);
        let mut waiting = self.lock();
        if let Some(known) = waiting.callers.get_mut(&hash) {
            known.denials = known.denials.saturating_add(1);
            return;
        }
        let denied = || Denied {
            caller: LimitCallerId::of(key),
            denials: 1,
            unsure: false,
        };
        waiting.add(hash, denied, 1);
    }

    /// Takes all that waits. What is not counted goes back when the value is dropped.
    pub(super) fn take(&self) -> Taken<'_> {
        let mut waiting = self.lock();
        Taken {
            denials: self,
            callers: std::mem::take(&mut waiting.callers).into_iter().collect(),
            sent: Vec::new(),
            raised: std::mem::take(&mut waiting.due),
        }
    }

    /// How many denials were never counted by caller, because too many callers waited.
    pub(super) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, hash: u64, denied: impl FnOnce() -> Denied, denials: u32) {
        if self.callers.len() < MOST {
            self.callers.insert(hash, denied());
        } else {
            self.left_out = self.left_out.saturating_add(u64::from(denials));
        }
    }

    fn put_back(&mut self, hash: u64, denied: Denied) {
        if let Some(known) = self.callers.get_mut(&hash) {
            known.denials = known.denials.saturating_add(denied.denials);
            known.unsure |= denied.unsure;
            return;
        }
        let denials = denied.denials;
        self.add(hash, || denied, denials);
    }
}

/// Denials on their way to the store.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    denials: &'a Denials,
    callers: Vec<(u64, Denied)>,
    /// Those that the store is being told of.
    sent: Vec<(u64, LimitDigest, Denied)>,
    raised: Vec<Offence>,
}

impl Taken<'_> {
    /// The next `most` at the most, to be sent.
    pub(super) fn send(
        &mut self,
        most: usize,
        alarm: Alarm,
        secret: &LimitSecret,
    ) -> Result<Vec<DenialCount>> {
        // All limits of a caller count together.
        let rule = LimitRule::per_minute(LimitName::new("denials")?, EndpointClass::Api, 0);
        let rest = self.callers.len().saturating_sub(most);
        let sent = self.callers.split_off(rest).into_iter();
        self.sent = sent
            .map(|(hash, denied)| (hash, secret.digest(&denied.caller.key(), &rule), denied))
            .collect();
        let count = |(_, key, denied): &(u64, LimitDigest, Denied)| {
            DenialCount::new(*key, denied.denials, alarm.threshold, alarm.window)
        };
        Ok(self.sent.iter().map(count).collect())
    }

    /// What was sent is counted, with these totals. An alarm that the store raised without our hearing of it is raised now: it may come twice,
    /// and is lost only with a whole window in which the store was away.
    pub(super) fn counted(&mut self, totals: &[DenialTotal], alarm: Alarm) {
        for ((_, digest, denied), total) in std::mem::take(&mut self.sent).into_iter().zip(totals) {
            if total.raised || denied.unsure && total.total >= alarm.threshold {
                let denials = usize::try_from(total.total).unwrap_or(usize::MAX);
                let reference = u64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 8]));
                self.raised
                    .push(Offence::of(denied.caller, denials, alarm.window, reference));
            }
        }
    }

    /// Whether all is counted.
    pub(super) fn is_done(&self) -> bool {
        self.callers.is_empty()
    }

    /// Whether no alarm is due so far.
    pub(super) fn is_quiet(&self) -> bool {
        self.raised.is_empty()
    }

    /// Those for whom an alarm is due.
    pub(super) fn raised(mut self) -> Vec<Offence> {
        std::mem::take(&mut self.raised)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut waiting = self.denials.lock();
        for (hash, denied) in self.callers.drain(..) {
            waiting.put_back(hash, denied);
        }
        for (hash, _, denied) in self.sent.drain(..) {
            waiting.put_back(
                hash,
                Denied {
                    unsure: true,
                    ..denied
                },
            );
        }
        waiting.due.append(&mut self.raised);
    }
}
