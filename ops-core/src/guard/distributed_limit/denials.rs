use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{EndpointClass, LimitCaller, LimitDigest, LimitKey, LimitName, LimitRule};

/// A caller who was denied so often within the window, over all instances, that an alarm is due. `Debug` names nobody.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedCaller {
    /// The tenant; empty for an address.
    pub tenant: String,
    /// The user, for one who is signed in.
    pub user: Option<String>,
    /// The address, for one who is not.
    pub address: Option<IpAddr>,
    /// How many denials the window holds.
    pub denials: u32,
}

impl fmt::Debug for DeniedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeniedCaller")
            .field("denials", &self.denials)
            .finish_non_exhaustive()
    }
}

/// Denials that the store has not heard of yet, by caller. Bounded: where [`MOST`] callers wait, denials of further ones are only summed up.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    callers: HashMap<LimitDigest, DeniedCaller>,
    left_out: u64,
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
        let (user, address) = match key.caller() {
            LimitCaller::User(user) => (Some(user.to_owned()), None),
            LimitCaller::Address(address) => (None, Some(address)),
        };
        waiting.callers.insert(
            digest,
            DeniedCaller {
                tenant: key.tenant().to_owned(),
                user,
                address,
                denials: 1,
            },
        );
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Vec<(LimitDigest, DeniedCaller)> {
        std::mem::take(&mut self.lock().callers).into_iter().collect()
    }

    /// Puts back what could not be counted.
    pub(super) fn put_back(&self, callers: impl IntoIterator<Item = (LimitDigest, DeniedCaller)>) {
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
