use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter as Governor};

use crate::clock::SystemClock;
use crate::model::{
    EndpointClass, Gcra, LimitDecision, LimitName, LimitRequest, LimitRule, LimitSemantics, LimitTable,
    LimitTime, LimitVerdict, Standing,
};
use crate::ports::{Clock, RateLimiter};

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

impl RateLimits {
    /// The limit of a class.
    pub fn of(&self, class: EndpointClass) -> NonZeroU32 {
        [self.api, self.llm, self.search, self.admin][class.position()]
    }
}

impl From<RateLimits> for LimitTable {
    /// As bursts.
    fn from(limits: RateLimits) -> Self {
        let rule = |class| LimitRule::per_minute(LimitName::of(class), class, limits.of(class).get());
        Self::of(EndpointClass::ALL.map(rule).into()).with_semantics(LimitSemantics::Burst)
    }
}

/// Limits requests within this process with the crate governor (GCRA), for limits that never change.
///
/// [`LocalLimiter`](super::LocalLimiter) is the one to use: it knows strict limits, takes changes while it runs, and holds more keys in less
/// memory. This one is what its bursts are measured and tested against.
///
/// # Semantics: burst
/// A limit of *n* per minute lets *n* requests pass at once and then one every 60/*n* seconds. So the worst window of 60 s holds
/// up to 2 *n* - 1 requests, not *n*. Several processes count for themselves: with *p* of them a user gets up to *p* times as much.
///
/// A request is counted against its class and against `Api` together or not at all: a denied one uses up nothing.
///
/// # Memory
/// A key is its hash and takes about 50 bytes, for a minute after its last request: idle keys are dropped when a part of the
/// table has doubled, so that the table stays within twice the keys of the last minute (or 64 keys a part). The check that finds
/// them pays for it: it walks one of 64 parts. [`sweep`](Self::sweep) drops them at a time of the caller's choice.
///
/// ```
/// use ops_core::guard::{GovernorLimiter, RateLimits};
/// use ops_core::model::{EndpointClass, LimitKey, LimitRequest};
/// use ops_core::ports::RateLimiter;
///
/// let limiter = GovernorLimiter::new(RateLimits::default());
/// let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_soulsyncs", "u1"));
/// for _ in 0..20 {
///     assert!(limiter.check(&request).is_admitted());
/// }
/// assert!(!limiter.check(&request).is_admitted());
/// ```
pub struct GovernorLimiter {
    limits: RateLimits,
    gates: [Gate; CLASSES],
    clock: Monotonic,
    start: Duration,
    hasher: foldhash::quality::RandomState,
    parts: Box<[Mutex<Part>]>,
}

/// The limit of one class.
#[derive(Debug)]
struct Gate {
    rule: LimitRule,
    /// It keeps no state of its own: see [`Slot`].
    governor: Governor<Slot, InSlot, Monotonic, NoOpMiddleware<Duration>>,
}

#[derive(Debug, Default)]
struct Part {
    users: HashMap<u64, User, foldhash::quality::RandomState>,
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
        let gates = EndpointClass::ALL.map(|class| {
            let limit = limits.of(class);
            Gate {
                rule: LimitRule::per_minute(LimitName::of(class), class, limit.get())
                    .with_semantics(LimitSemantics::Burst),
                governor: Governor::new(Quota::per_minute(limit), InSlot, clock.clone()),
            }
        });
        Self {
            limits,
            gates,
            clock,
            start,
            hasher: foldhash::quality::RandomState::default(),
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

    /// Decides on a copy of what is left: only a request that both gates admit changes `user`.
    fn decide(&self, request: &LimitRequest<'_>, user: &mut User) -> LimitDecision {
        let api = EndpointClass::Api.position();
        let own = request.class.position();
        let gates = || [api, own].into_iter().take(if own == api { 1 } else { 2 });
        let mut after = *user;
        let mut waits = [Some(Duration::ZERO); CLASSES];
        if let Some(cost) = NonZeroU32::new(request.cost) {
            for gate in gates() {
                let slot = Slot(Cell::new(after[gate]));
                if request.cost > self.gates[gate].rule.limit {
                    // governor multiplies without a look at what fits.
                    waits[gate] = None;
                    continue;
                }
                waits[gate] = match self.gates[gate].governor.check_key_n(&slot, cost) {
                    Ok(Ok(())) => Some(Duration::ZERO),
                    Ok(Err(until)) => Some(until.wait_time_from(self.clock.0.monotonic()).max(SHORTEST_WAIT)),
                    Err(_) => None,
                };
                after[gate] = slot.0.get();
            }
        }
        if gates().all(|gate| waits[gate] == Some(Duration::ZERO)) {
            *user = after;
        }
        let now = LimitTime::from(self.clock.0.monotonic().saturating_sub(self.start));
        let mut decision = LimitDecision::unlimited();
        for gate in gates() {
            let rule = &self.gates[gate].rule;
            let full = LimitTime::from_micros(user[gate].map_or(0, |full| full.as_u64().div_ceil(1_000)));
            let (seen, _) = Gcra::new(rule.limit, rule.per()).decide(full, now, 0);
            let standing = Standing {
                admitted: waits[gate] == Some(Duration::ZERO),
                retry_after: waits[gate],
                ..seen
            };
            decision.push(LimitVerdict::new(rule, rule.limit, standing));
        }
        decision
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
    fn check(&self, request: &LimitRequest<'_>) -> LimitDecision {
        let hash = self.hasher.hash_one(request.key);
        let mut part = lock(&self.parts[usize::try_from(hash % PARTS as u64).unwrap_or_default()]);
        if let Some(user) = part.users.get_mut(&hash) {
            return self.decide(request, user);
        }
        if part.users.len() >= part.sweep_at {
            self.sweep_part(&mut part);
        }
        let mut user = User::default();
        let decision = self.decide(request, &mut user);
        part.users.insert(hash, user);
        decision
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::LimitKey;
    use crate::testkit::ManualClock;
    use EndpointClass::{Admin, Api, Llm, Search};

    fn limiter() -> (GovernorLimiter, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(crate::model::Timestamp::UNIX_EPOCH));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        (GovernorLimiter::with_clock(RateLimits::default(), shared), clock)
    }

    fn admitted(limiter: &GovernorLimiter, class: EndpointClass, key: &str) -> usize {
        (0..1_000).take_while(|_| passes(limiter, class, key)).count()
    }

    fn passes(limiter: &GovernorLimiter, class: EndpointClass, key: &str) -> bool {
        limiter.check(&request(class, key)).is_admitted()
    }

    fn request(class: EndpointClass, key: &str) -> LimitRequest<'_> {
        LimitRequest::new(class, LimitKey::user("org_a", key))
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
            assert!(!passes(&limiter, Llm, "u"));
        }
        assert_eq!(admitted(&limiter, Api, "u"), 80, "denied by the class");
        for _ in 0..1_000 {
            assert!(!passes(&limiter, Search, "u"));
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
        let retry_after = limiter.check(&request(Llm, "u")).retry_after().unwrap();
        assert_eq!(retry_after, Duration::from_secs(3));
        clock.advance(retry_after - Duration::from_nanos(1));
        assert!(!passes(&limiter, Llm, "u"));
        clock.advance(Duration::from_nanos(1));
        assert!(passes(&limiter, Llm, "u"));
    }

    /// governor's quota is a burst: the worst 60 s hold almost twice the limit. The docs of the type say so.
    #[test]
    fn the_worst_minute_holds_one_less_than_twice_the_limit() {
        let (limiter, clock) = limiter();
        let mut count = admitted(&limiter, Admin, "u");
        for _ in 0..59_999 {
            clock.advance(Duration::from_millis(1));
            count += usize::from(passes(&limiter, Admin, "u"));
        }
        assert_eq!(count, 19);
    }

    #[test]
    fn idle_keys_are_forgotten_and_busy_ones_are_not() {
        let (limiter, clock) = limiter();
        for n in 0..10_000 {
            passes(&limiter, Api, &n.to_string());
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
            passes(&limiter, Api, &n.to_string());
            if n % 1_000 == 0 {
                clock.advance(Duration::from_secs(2));
            }
        }
        assert!(limiter.keys() < 3 * PARTS * SMALLEST_SWEEP, "{}", limiter.keys());
    }

    #[test]
    fn debug_names_no_user() {
        let (limiter, _) = limiter();
        passes(&limiter, Api, "tanaka");
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
                let gates = [class.position(), Api.position()];
                let expected = gates.iter().all(|gate| admits(*gate, &free));
                if expected {
                    for gate in gates.into_iter().take(if gates[0] == gates[1] { 1 } else { 2 }) {
                        free[gate] = free[gate].max(now) + 60_000_000_000 / limits[gate];
                    }
                }
                prop_assert_eq!(passes(&limiter, class, "u"), expected);
            }
        }
    }
}
