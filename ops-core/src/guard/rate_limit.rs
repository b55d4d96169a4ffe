use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter as Governor};
use serde::Serialize;

use crate::clock::SystemClock;
use crate::model::EndpointClass;
use crate::ports::{Clock, Limit, RateLimiter};

/// How many requests a user may make within a minute, by class. The default is the first runbook's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// All requests together: 100.
    pub api: NonZeroU32,
    /// Calls of the language model: 20.
    pub llm: NonZeroU32,
    /// Searches: 30.
    pub search: NonZeroU32,
    /// Administration: 10.
    pub admin: NonZeroU32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            api: const { NonZeroU32::new(100).unwrap() },
            llm: const { NonZeroU32::new(20).unwrap() },
            search: const { NonZeroU32::new(30).unwrap() },
            admin: const { NonZeroU32::new(10).unwrap() },
        }
    }
}

/// Limits requests within this process, with governor's algorithm (GCRA).
///
/// # Semantics: burst
/// A limit of *n* per minute lets *n* requests pass at once and then one every 60/*n* seconds. So the worst window of 60 s holds
/// up to 2 *n* - 1 requests, not *n*. Several processes count for themselves: with *p* of them a user gets up to *p* times as much.
///
/// A request is counted against its class and against `Api` together or not at all: a denied one uses up nothing.
///
/// # Memory
/// A key costs its length and about 100 bytes, for a minute after its last request: idle keys are dropped when a part of the
/// table has doubled, so that the table stays within twice the keys of the last minute (or 64 keys a part). The check that finds
/// them pays for it: it walks one of 64 parts. [`sweep`](Self::sweep) drops them at a time of the caller's choice.
///
/// ```
/// use ops_core::guard::{GovernorLimiter, RateLimits};
/// use ops_core::model::EndpointClass;
/// use ops_core::ports::{Limit, RateLimiter};
///
/// let limiter = GovernorLimiter::new(RateLimits::default());
/// for _ in 0..20 {
///     assert_eq!(limiter.check(EndpointClass::Llm, "org_soulsyncs/u1"), Limit::Allowed);
/// }
/// assert!(matches!(limiter.check(EndpointClass::Llm, "org_soulsyncs/u1"), Limit::Exceeded { .. }));
/// ```
pub struct GovernorLimiter {
    limits: RateLimits,
    gates: [Gate; CLASSES],
    clock: Monotonic,
    start: Duration,
    hasher: RandomState,
    parts: Box<[Mutex<Part>]>,
}

/// governor's limiter of one class. It keeps no state of its own: see [`Slot`].
type Gate = Governor<Slot, InSlot, Monotonic, NoOpMiddleware<Duration>>;

#[derive(Debug, Default)]
struct Part {
    users: HashMap<Box<str>, User>,
    /// Idle users are dropped when there are so many.
    sweep_at: usize,
}

/// When each class of one user is free again; `None`: never used.
type User = [Option<Nanos>; CLASSES];

const CLASSES: usize = 4;
const PARTS: usize = 64;
const SMALLEST_SWEEP: usize = 64;

impl GovernorLimiter {
    /// A limiter on the clock of this machine.
    pub fn new(limits: RateLimits) -> Self {
        Self::with_clock(limits, Arc::new(SystemClock::new()))
    }

    /// A limiter on another clock.
    pub fn with_clock(limits: RateLimits, clock: Arc<dyn Clock>) -> Self {
        let clock = Monotonic(clock);
        let start = clock.0.monotonic();
        // In the order of `index`.
        let gates = [limits.api, limits.llm, limits.search, limits.admin]
            .map(|limit| Governor::new(Quota::per_minute(limit), InSlot, clock.clone()));
        Self {
            limits,
            gates,
            clock,
            start,
            hasher: RandomState::new(),
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Drops every key that has its full allowance again. It locks one of 64 parts of the table at a time.
    pub fn sweep(&self) {
        for part in &self.parts {
            self.sweep_part(&mut lock(part));
        }
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.parts.iter().map(|part| lock(part).users.len()).sum()
    }

    fn part(&self, key: &str) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(key);
        let position = usize::try_from(hash % PARTS as u64).unwrap_or_default();
        lock(&self.parts[position])
    }

    /// Decides on a copy of what is left: only a request that both gates admit changes `user`.
    fn decide(&self, class: EndpointClass, user: &mut User) -> Limit {
        let api = index(EndpointClass::Api);
        let own = index(class);
        let mut after = *user;
        let mut wait = Duration::ZERO;
        for gate in [own, api].into_iter().take(if own == api { 1 } else { 2 }) {
            let slot = Slot(Cell::new(after[gate]));
            match self.gates[gate].check_key(&slot) {
                Ok(()) => after[gate] = slot.0.get(),
                Err(until) => {
                    wait = wait
                        .max(until.wait_time_from(self.clock.0.monotonic()))
                        .max(SHORTEST_WAIT)
                }
            }
        }
        if wait > Duration::ZERO {
            return Limit::Exceeded { retry_after: wait };
        }
        *user = after;
        Limit::Allowed
    }

    fn sweep_part(&self, part: &mut Part) {
        let elapsed = self.clock.0.monotonic().saturating_sub(self.start);
        // The gates were made a little later than `start`; keeping a key for longer changes no decision.
        let idle = u64::try_from(elapsed.saturating_sub(SWEEP_MARGIN).as_nanos()).unwrap_or(u64::MAX);
        part.users
            .retain(|_, user| user.iter().flatten().any(|free| free.as_u64() > idle));
        part.users.shrink_to(2 * part.users.len());
        part.sweep_at = SMALLEST_SWEEP.max(2 * part.users.len());
    }
}

impl RateLimiter for GovernorLimiter {
    fn check(&self, class: EndpointClass, key: &str) -> Limit {
        let mut part = self.part(key);
        if let Some(user) = part.users.get_mut(key) {
            return self.decide(class, user);
        }
        if part.users.len() >= part.sweep_at {
            self.sweep_part(&mut part);
        }
        let mut user = User::default();
        let limit = self.decide(class, &mut user);
        part.users.insert(key.into(), user);
        limit
    }
}

impl fmt::Debug for GovernorLimiter {
    /// Shows no key: keys name users.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernorLimiter")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A denied request is never told to come back at once.
const SHORTEST_WAIT: Duration = Duration::from_nanos(1);
const SWEEP_MARGIN: Duration = Duration::from_secs(1);

fn index(class: EndpointClass) -> usize {
    match class {
        EndpointClass::Api => 0,
        EndpointClass::Llm => 1,
        EndpointClass::Search => 2,
        EndpointClass::Admin => 3,
    }
}

/// Nothing that holds the lock can panic half way.
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of one user and class, handed to governor as the key.
///
/// governor has no way to ask without counting. With the state in the key, a check works on a copy that is thrown away when the
/// request is denied by the other gate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot(Cell<Option<Nanos>>);

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().map(Nanos::as_u64).hash(state);
    }
}

#[derive(Debug)]
struct InSlot;

impl StateStore for InSlot {
    type Key = Slot;

    fn measure_and_replace<T, F, E>(&self, key: &Slot, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (admitted, next) = measure(key.0.get())?;
        key.0.set(Some(next));
        Ok(admitted)
    }
}

/// Our clock as governor's.
#[derive(Clone, Debug)]
struct Monotonic(Arc<dyn Clock>);

impl governor::clock::Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

/// The answer to a request over the limit: status 429 with this body as JSON, and `Retry-After` with the same number.
///
/// ```
/// use std::time::Duration;
/// use ops_core::guard::RateLimited;
///
/// let answer = RateLimited::new(Duration::from_millis(2_400));
/// assert_eq!(answer.retry_after(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimited {
    error: &'static str,
    message: &'static str,
    retry_after: u64,
}

impl RateLimited {
    /// The HTTP status.
    pub const STATUS: u16 = 429;

    /// The answer for a request that may come back after `retry_after`, in whole seconds, rounded up, at least one.
    pub fn new(retry_after: Duration) -> Self {
        let more = u64::from(retry_after.subsec_nanos() > 0);
        Self {
            error: "rate_limit_exceeded",
            message: "リクエスト数が上限を超えました。しばらくお待ちください。",
            retry_after: retry_after.as_secs().saturating_add(more).max(1),
        }
    }

    /// Seconds until the request may come back; the value of `Retry-After`.
    pub fn retry_after(&self) -> u64 {
        self.retry_after
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testkit::ManualClock;
    use EndpointClass::{Admin, Api, Llm, Search};

    fn limiter() -> (GovernorLimiter, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(crate::model::Timestamp::UNIX_EPOCH));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        (GovernorLimiter::with_clock(RateLimits::default(), shared), clock)
    }

    fn admitted(limiter: &GovernorLimiter, class: EndpointClass, key: &str) -> usize {
        (0..1_000)
            .take_while(|_| limiter.check(class, key) == Limit::Allowed)
            .count()
    }

    #[test]
    fn the_first_runbooks_table() {
        let (limiter, _) = limiter();
        for (class, limit) in [(Api, 100), (Llm, 20), (Search, 30), (Admin, 10)] {
            assert_eq!(admitted(&limiter, class, &format!("{class:?}")), limit);
        }
    }

    #[test]
    fn every_class_counts_against_api() {
        let (limiter, _) = limiter();
        assert_eq!(admitted(&limiter, Llm, "u"), 20);
        assert_eq!(admitted(&limiter, Search, "u"), 30);
        assert_eq!(admitted(&limiter, Api, "u"), 50);
        assert_eq!(admitted(&limiter, Admin, "u"), 0);
    }

    #[test]
    fn a_denied_request_uses_up_nothing() {
        let (limiter, clock) = limiter();
        admitted(&limiter, Llm, "u");
        for _ in 0..1_000 {
            assert_ne!(limiter.check(Llm, "u"), Limit::Allowed);
        }
        assert_eq!(admitted(&limiter, Api, "u"), 80, "denied by the class");
        for _ in 0..1_000 {
            assert_ne!(limiter.check(Search, "u"), Limit::Allowed);
        }
        // Sixty requests of Api are free again, and the searches that Api denied have not touched the thirty searches.
        clock.advance(Duration::from_secs(36));
        assert_eq!(admitted(&limiter, Search, "u"), 30, "denied by Api");
    }

    #[test]
    fn after_the_wait_the_same_request_is_allowed_and_not_before() {
        let (limiter, clock) = limiter();
        admitted(&limiter, Llm, "u");
        admitted(&limiter, Api, "u");
        // Both gates deny: Llm for three seconds, Api for 600 ms.
        let Limit::Exceeded { retry_after } = limiter.check(Llm, "u") else {
            panic!("must be denied")
        };
        assert_eq!(retry_after, Duration::from_secs(3));
        clock.advance(retry_after - Duration::from_nanos(1));
        assert_ne!(limiter.check(Llm, "u"), Limit::Allowed);
        clock.advance(Duration::from_nanos(1));
        assert_eq!(limiter.check(Llm, "u"), Limit::Allowed);
    }

    /// governor's quota is a burst: the worst 60 s hold almost twice the limit. The docs of the type say so.
    #[test]
    fn the_worst_minute_holds_one_less_than_twice_the_limit() {
        let (limiter, clock) = limiter();
        let mut count = admitted(&limiter, Admin, "u");
        for _ in 0..59_999 {
            clock.advance(Duration::from_millis(1));
            count += usize::from(limiter.check(Admin, "u") == Limit::Allowed);
        }
        assert_eq!(count, 19);
    }

    #[test]
    fn idle_keys_are_forgotten_and_busy_ones_are_not() {
        let (limiter, clock) = limiter();
        for n in 0..10_000 {
            let _ = limiter.check(Api, &n.to_string());
        }
        assert_eq!(limiter.keys(), 10_000);
        admitted(&limiter, Llm, "busy");
        clock.advance(Duration::from_secs(30));
        limiter.sweep();
        assert_eq!(limiter.keys(), 1);
        assert_eq!(
            admitted(&limiter, Llm, "busy"),
            10,
            "half a minute gives half of the limit back"
        );
        clock.advance(Duration::from_secs(62));
        limiter.sweep();
        assert_eq!(limiter.keys(), 0);
    }

    #[test]
    fn a_flood_of_keys_does_not_grow_the_table_for_ever() {
        let (limiter, clock) = limiter();
        for n in 0..200_000 {
            let _ = limiter.check(Api, &n.to_string());
            if n % 1_000 == 0 {
                clock.advance(Duration::from_secs(2));
            }
        }
        assert!(limiter.keys() < 3 * PARTS * SMALLEST_SWEEP, "{}", limiter.keys());
    }

    #[test]
    fn the_answer_has_the_runbooks_form_and_rounds_up() {
        let answer = serde_json::to_value(RateLimited::new(Duration::from_millis(59_001))).unwrap();
        assert_eq!(
            answer,
            json!({
                "error": "rate_limit_exceeded",
                "message": "リクエスト数が上限を超えました。しばらくお待ちください。",
                "retry_after": 60
            })
        );
        assert_eq!(RateLimited::new(Duration::ZERO).retry_after(), 1);
        assert_eq!(RateLimited::new(Duration::from_secs(7)).retry_after(), 7);
        assert_eq!(RateLimited::new(Duration::MAX).retry_after(), u64::MAX);
    }

    #[test]
    fn debug_names_no_user() {
        let (limiter, _) = limiter();
        let _ = limiter.check(Api, "org_a/tanaka");
        assert!(!format!("{limiter:?}").contains("tanaka"));
    }

    proptest! {
        /// Against a plain model: two virtual schedules, changed only when both admit.
        #[test]
        fn decides_as_two_schedules_changed_together(
            steps in prop::collection::vec((prop::sample::select(vec![Api, Llm, Search, Admin]), 0_u64..2_000), 1..400)
        ) {
            let (limiter, clock) = limiter();
            let mut now = 0_i128;
            let mut free = [0_i128; CLASSES];
            for (class, pause) in steps {
                clock.advance(Duration::from_millis(pause));
                now += i128::from(pause) * 1_000_000;
                let limits = [100, 20, 30, 10];
                let admits = |gate: usize, free: &[i128]| free[gate].max(now) - now <= 60_000_000_000 / limits[gate] * (limits[gate] - 1);
                let gates = [index(class), index(Api)];
                let expected = gates.iter().all(|gate| admits(*gate, &free));
                if expected {
                    for gate in gates.into_iter().take(if gates[0] == gates[1] { 1 } else { 2 }) {
                        free[gate] = free[gate].max(now) + 60_000_000_000 / limits[gate];
                    }
                }
                prop_assert_eq!(limiter.check(class, "u") == Limit::Allowed, expected);
            }
        }
    }
}
