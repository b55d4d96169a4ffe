use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::guard::LimitCallerId;
use crate::model::{EndpointClass, LimitCaller, LimitDigest, LimitKey, LimitName, LimitRule};

/// Denials that the store has not heard of yet, by caller. Bounded: where [`MOST`] callers wait, denials of further ones are only summed up.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    callers: HashMap<LimitDigest, Denied>,
    left_out: u64,
}

/// A caller, and how often it was denied.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) caller: LimitCallerId,
    pub(super) denials: u32,
}

const MOST: usize = 10_000;

impl Denials {
    /// One more denial of `key`.
    pub(super) fn note(&self, key: &LimitKey<'_>, secret: &[u8; 32]) {
        let Some(digest) = digest(key, secret) else {
            return;
        };
        let mut waiting = self.lock();
        if let Some(known) = waiting.callers.get_mut(&digest) {
            known.denials = known.denials.saturating_add(1);
            return;
        }
        if waiting.callers.len() >= MOST {
            waiting.left_out = waiting.left_out.saturating_add(1);
            return;
        }
        let caller = match key.caller() {
            LimitCaller::User(user) => LimitCallerId::User {
                tenant: key.tenant().to_owned(),
                user: user.to_owned(),
            },
            LimitCaller::Address(address) => LimitCallerId::Address(address),
        };
        waiting.callers.insert(digest, Denied { caller, denials: 1 });
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Vec<(LimitDigest, Denied)> {
        std::mem::take(&mut self.lock().callers).into_iter().collect()
    }

    /// Puts back what could not be counted.
    pub(super) fn put_back(&self, callers: impl IntoIterator<Item = (LimitDigest, Denied)>) {
        let mut waiting = self.lock();
        for (digest, caller) in callers {
            if let Some(known) = waiting.callers.get_mut(&digest) {
                known.denials = known.denials.saturating_add(caller.denials);
            } else if waiting.callers.len() < MOST {
                waiting.callers.insert(digest, caller);
            } else {
                waiting.left_out = waiting.left_out.saturating_add(u64::from(caller.denials));
            }
        }
    }

    /// How many denials were never counted by caller, because too many callers waited.
    pub(super) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller, whatever was denied.
fn digest(key: &LimitKey<'_>, secret: &[u8; 32]) -> Option<LimitDigest> {
    let rule = LimitRule::per_minute(LimitName::new("denials").ok()?, EndpointClass::Api, 0);
    Some(key.digest(&rule, secret))
}
