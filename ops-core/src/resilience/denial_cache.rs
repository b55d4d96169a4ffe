use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{LimitDigest, LimitTime, Standing};

/// Remembers denials until they end, so that a caller far over a limit costs no call of a store.
///
/// It is exact: what a limit denies to a cost it denies, and to any greater cost, until the time it said, whoever else asks meanwhile. Only
/// another limit can change that, so a denial holds under one version of the limits. Who asks on while a denial holds, and is denied again, can
/// be held for longer than that: [`remember`](Self::remember). Whoever was told an earlier end by another instance is held as long here.
///
/// Memory is bounded: denials stand in two generations, and the older one is dropped whole when the younger one is full. What was forgotten
/// costs a call, nothing else.
#[derive(Debug)]
pub struct DenialCache {
    parts: Box<[Mutex<Part>]>,
    most: usize,
    /// When the last of all denials ends, in microseconds.
    last_ends: AtomicU64,
}

#[derive(Debug, Default)]
struct Part {
    version: u64,
    young: HashMap<LimitDigest, Denial>,
    old: HashMap<LimitDigest, Denial>,
}

#[derive(Clone, Copy, Debug)]
struct Denial {
    cost: u32,
    remaining: u32,
    until: Duration,
    reset_at: Duration,
    /// It ends with a change of the limits only.
    never: bool,
    /// Somebody asked while it held.
    pressed: bool,
}

/// How long a denial that ends with a change of the limits only is believed.
const NEVER_FOR: Duration = Duration::from_secs(1);

const PARTS: usize = 16;

impl DenialCache {
    /// An empty cache of at most `capacity` denials (a multiple of 32, at least 32); each takes about 100 bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            most: (capacity / (2 * PARTS)).max(1),
            last_ends: AtomicU64::new(0),
        }
    }

    /// Whether some denial may hold at `now`; if none does, nobody's key needs to be looked for.
    pub fn may_deny(&self, now: Duration) -> bool {
        LimitTime::from(now).as_micros() <= self.last_ends.load(Ordering::Relaxed)
    }

    /// What the limit `key` said to a request of `cost` or less under `version`, if it still holds at `now`.
    pub fn denial(&self, version: u64, key: &LimitDigest, cost: u32, now: Duration) -> Option<Standing> {
        let mut part = self.part(key);
        if part.version != version {
            return None;
        }
        let denial = part.find(key)?;
        if cost < denial.cost || denial.until <= now {
            return None;
        }
        denial.pressed = true;
        Some(Standing {
            admitted: false,
            remaining: denial.remaining,
            reset: denial.reset_at.saturating_sub(now),
            retry_after: (!denial.never).then(|| denial.until - now),
        })
    }

    /// Remembers what `key` said to a request of `cost` that was *sent* at `now`: counted from then, the denial ends no later than the store
    /// says. One that ends with a change of the limits only is believed for a second. What is admitted is not remembered.
    ///
    /// Where somebody asked while the last denial held, and that ended not longer than `longer` ago, this one is held `longer` than the store says. Gives what to tell
    /// the caller.
    #[must_use]
    pub fn remember(
        &self,
        version: u64,
        key: LimitDigest,
        cost: u32,
        standing: Standing,
        longer: Duration,
        now: Duration,
    ) -> Standing {
        let wait = standing.retry_after.unwrap_or(NEVER_FOR);
        if standing.admitted || wait.is_zero() {
            return standing;
        }
        let mut part = self.part(&key);
        if part.version > version {
            return standing;
        }
        if part.version < version {
            *part = Part {
                version,
                ..Part::default()
            };
        }
        let last = part.find(&key).filter(|last| last.pressed);
        // One that has not ended was told to nobody who waits: this request went out beside it.
        let held = last
            .as_ref()
            .is_some_and(|last| last.until <= now && now <= last.until.saturating_add(longer));
        let pressed = last.is_some_and(|last| now < last.until);
        let wait = match held {
            true => wait.saturating_add(longer),
            false => wait,
        };
        if part.young.len() >= self.most && !part.young.contains_key(&key) {
            part.old = std::mem::take(&mut part.young);
        }
        let denial = Denial {
            cost,
            remaining: standing.remaining,
            until: now.saturating_add(wait),
            reset_at: now.saturating_add(standing.reset),
            never: standing.retry_after.is_none(),
            pressed,
        };
        let ends = LimitTime::from(denial.until).as_micros();
        self.last_ends.fetch_max(ends, Ordering::Relaxed);
        part.young.insert(key, denial);
        Standing {
            retry_after: standing.retry_after.map(|_| wait),
            ..standing
        }
    }

    /// How many denials are remembered, those that have ended included.
    pub fn len(&self) -> usize {
        let counted = self.parts.iter().map(|part| {
            let part = lock(part);
            part.young.len() + part.old.len()
        });
        counted.sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn part(&self, key: &LimitDigest) -> MutexGuard<'_, Part> {
        // A digest is evenly spread, and under a secret.
        lock(&self.parts[usize::from(key.as_bytes()[0]) % PARTS])
    }
}

impl Part {
    fn find(&mut self, key: &LimitDigest) -> Option<&mut Denial> {
        match self.young.get_mut(key) {
            Some(denial) => Some(denial),
            None => self.old.get_mut(key),
        }
    }
}

/// Nothing that holds the lock can panic half way.
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointClass, LimitKey, LimitName, LimitRule};

    fn digest(user: u32) -> LimitDigest {
        let rule = LimitRule::per_minute(LimitName::new("api").unwrap(), EndpointClass::Api, 1);
        LimitKey::user("t", &user.to_string()).digest(&rule, &[0; 32])
    }

    fn denied(seconds: u64) -> Standing {
        Standing {
            admitted: false,
            remaining: 0,
            reset: Duration::from_secs(60),
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    fn remember(
        cache: &DenialCache,
        version: u64,
        key: LimitDigest,
        cost: u32,
        told: Standing,
        now: Duration,
    ) {
        assert_eq!(
            cache.remember(version, key, cost, told, Duration::ZERO, now),
            told
        );
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_denial_holds_until_it_ends_and_not_a_moment_longer() {
        let cache = DenialCache::new(100);
        remember(&cache, 1, digest(1), 2, denied(10), at(5));
        let found = cache.denial(1, &digest(1), 2, at(9)).unwrap();
        assert_eq!(found.retry_after, Some(at(6)));
        assert!(cache.may_deny(at(14)) && !cache.may_deny(at(16)) && !DenialCache::new(1).may_deny(at(1)));
        assert_eq!(found.reset, at(56));
        assert!(
            cache.denial(1, &digest(1), 3, at(14)).is_some(),
            "a greater cost too"
        );
        assert!(
            cache.denial(1, &digest(1), 1, at(9)).is_none(),
            "a smaller one may pass"
        );
        assert!(cache.denial(1, &digest(1), 2, at(15)).is_none());
        assert!(cache.denial(1, &digest(2), 2, at(9)).is_none());
    }

    #[test]
    fn who_asks_on_and_is_denied_again_is_held_for_longer_and_told_so() {
        let cache = DenialCache::new(100);
        let told = |user: u32, now: Duration| {
            let standing = cache.remember(1, digest(user), 1, denied(10), at(4), now);
            let held = cache.denial(1, &digest(user), 1, now).unwrap();
            assert_eq!(held.retry_after, standing.retry_after, "as it is held");
            standing.retry_after
        };
        // What `told` asks itself makes the caller one who asks on.
        assert_eq!(told(1, at(0)), Some(at(10)));
        assert_eq!(told(1, at(14)), Some(at(14)));
        assert!(cache.denial(1, &digest(1), 1, at(27)).is_some());
        assert!(cache.denial(1, &digest(1), 1, at(28)).is_none());
        assert_eq!(told(1, at(33)), Some(at(10)), "the last one is too long ago");
        let waits = cache.remember(1, digest(2), 1, denied(10), at(4), at(0));
        let again = cache.remember(1, digest(2), 1, denied(10), at(4), at(10));
        assert_eq!(again, waits, "who waits is held no longer");
    }

    #[test]
    fn what_is_denied_beside_a_request_is_held_no_longer_but_who_asked_on_is_known() {
        let cache = DenialCache::new(100);
        let told = |now| cache.remember(1, digest(1), 1, denied(10), at(4), now);
        let first = told(at(0));
        // A third one finds the answer to the first, while a second is under way.
        assert!(cache.denial(1, &digest(1), 1, at(0)).is_some());
        assert_eq!(told(at(0)), first);
        assert_eq!(told(at(10)).retry_after, Some(at(14)));
    }

    #[test]
    fn another_version_of_the_limits_knows_no_old_denial() {
        let cache = DenialCache::new(100);
        remember(&cache, 1, digest(1), 1, denied(10), at(0));
        assert!(cache.denial(2, &digest(1), 1, at(1)).is_none());
        remember(&cache, 2, digest(1), 1, denied(3), at(0));
        remember(&cache, 1, digest(1), 1, denied(50), at(0));
        assert_eq!(
            cache.denial(2, &digest(1), 1, at(1)).unwrap().retry_after,
            Some(at(2)),
            "what comes late from the old version is not taken"
        );
    }

    #[test]
    fn many_denied_keys_take_bounded_memory() {
        let cache = DenialCache::new(3_200);
        for user in 0..50_000 {
            remember(&cache, 1, digest(user), 1, denied(10), at(0));
        }
        assert!(cache.len() <= 3_200, "{}", cache.len());
        assert!(
            cache.denial(1, &digest(49_999), 1, at(1)).is_some(),
            "the newest are there"
        );
    }

    #[test]
    fn what_is_admitted_is_not_remembered_and_what_never_is_for_a_second() {
        let cache = DenialCache::new(100);
        let never = Standing {
            retry_after: None,
            ..denied(1)
        };
        let admitted = Standing {
            admitted: true,
            ..denied(1)
        };
        remember(&cache, 1, digest(1), 1, admitted, at(0));
        assert!(cache.is_empty());
        remember(&cache, 1, digest(1), 1, never, at(0));
        assert_eq!(cache.denial(1, &digest(1), 1, at(0)).unwrap().retry_after, None);
        assert!(cache.denial(1, &digest(1), 1, at(1)).is_none());
    }
}
