//! The limiter of this process: strict and burst limits in tables that expire in place.

mod cells;
mod lines;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::cells::{Fine, Packed, Ring};
use self::lines::Lines;
use crate::clock::SystemClock;
use crate::error::Result;
use crate::model::{
    AppliedLimit, Gcra, LimitCaller, LimitDecision, LimitRequest, LimitRule, LimitScope, LimitSemantics,
    LimitTable, LimitTime, LimitVerdict, LimitsInForce, MAX_LIMITS_AT_ONCE, Standing, Strict,
};
use crate::ports::{Clock, RateLimiter};

/// Limits requests within this process by a [`LimitTable`] that can be changed while it runs.
///
/// # Semantics
/// As each rule says: a strict limit is never exceeded in any window; a burst admits up to 2 *n* - 1 in the worst one. Several
/// processes count for themselves: with *p* of them a caller gets up to *p* times as much.
///
/// A change of the table holds for the next check. What was used stays counted, unless the period or the meaning of a rule changes. Nobody
/// waits longer than the period that is now in force (and a thirtieth of it, for a strict limit).
///
/// # Memory
/// Keys are not stored, only their hashes under a random key of the process: a burst takes 8 bytes, a strict limit 88, in tables that are
/// between half full and full, and only for keys that have used something within the period. There is no sweep: what has expired is
/// overwritten where it stands. A table grows by moving 8 lines with each new key, so no check does more work than that.
/// It does not shrink. At [`LocalLimitOptions::most_keys`] it stops growing: a new key that finds no room shares one allowance with the others that find
/// none, which [`spilled`](Self::spilled) counts. No key is ever let through uncounted. Two keys share an allowance by chance with a
/// probability of a few in a million, and nobody can choose such keys.
///
/// ```
/// use ops_core::guard::LocalLimiter;
/// use ops_core::model::{EndpointClass, LimitKey, LimitRequest, LimitTable};
/// use ops_core::ports::RateLimiter;
///
/// let limiter = LocalLimiter::new(LimitTable::preset())?;
/// let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_soulsyncs", "u1"));
/// for _ in 0..20 {
///     assert!(limiter.check(&request).is_admitted());
/// }
/// let denied = limiter.check(&request);
/// assert!(!denied.is_admitted());
/// assert_eq!(denied.binding().map(|limit| limit.limit), Some(20));
/// # Ok::<(), ops_core::error::Error>(())
/// ```
pub struct LocalLimiter {
    table: Mutex<Current>,
    /// Raised with every change of `table`; parts take over what they have not seen.
    generation: AtomicU64,
    clock: Arc<dyn Clock>,
    start: Duration,
    hasher: foldhash::quality::RandomState,
    /// By caller.
    users: Box<[Mutex<Part>]>,
    /// By tenant, for limits that a tenant shares. Locked after a part of `users`, never before.
    tenants: Box<[Mutex<Part>]>,
    spilled: AtomicU64,
}

/// How a [`LocalLimiter`] uses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalLimitOptions {
    /// How many keys of each kind of limit are held apart, about. Default: 16 million.
    pub most_keys: usize,
}

impl Default for LocalLimitOptions {
    fn default() -> Self {
        Self {
            most_keys: 16_000_000,
        }
    }
}

impl LocalLimitOptions {
    /// The same with another number of keys, at least 32 768.
    #[must_use]
    pub fn with_most_keys(mut self, keys: usize) -> Self {
        self.most_keys = keys;
        self
    }
}

impl LocalLimiter {
    /// A limiter on the clock of this machine.
    ///
    /// # Errors
    /// As [`LimitTable::validate`].
    pub fn new(table: LimitTable) -> Result<Self> {
        Self::with_clock(table, LocalLimitOptions::default(), Arc::new(SystemClock::new()))
    }

    /// A limiter on another clock.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(table: LimitTable, options: LocalLimitOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        let start = clock.monotonic();
        let current = Current::of(table, &*clock, start)?;
        let force = Arc::clone(&current.force);
        let most = options.most_keys / PARTS;
        let parts = || {
            (0..PARTS)
                .map(|_| Mutex::new(Part::new(Arc::clone(&force), most)))
                .collect()
        };
        Ok(Self {
            table: Mutex::new(current),
            generation: AtomicU64::new(0),
            start,
            clock,
            hasher: foldhash::quality::RandomState::default(),
            users: parts(),
            tenants: parts(),
            spilled: AtomicU64::new(0),
        })
    }

    /// Puts another table in force, for the next check.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing changes.
    pub fn put_in_force(&self, table: LimitTable) -> Result<()> {
        let next = Current::of(table, &*self.clock, self.start)?;
        let mut current = lock(&self.table);
        *current = next;
        // While the table is locked, so that whoever sees the number finds this table or a later one.
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// The table that is in force.
    pub fn table(&self) -> LimitTable {
        lock(&self.table).table.clone()
    }

    /// How many requests were counted in an allowance that keys share because the tables are full.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// How many bytes the tables hold. It locks each part in turn.
    pub fn bytes(&self) -> usize {
        self.users
            .iter()
            .chain(&self.tenants)
            .map(|part| lock(part).bytes())
            .sum()
    }

    fn now(&self) -> LimitTime {
        LimitTime::from(self.clock.monotonic().saturating_sub(self.start))
    }

    /// The rules as they are in force at `now`.
    fn refresh(&self, part: &mut Part, generation: u64, now: LimitTime) {
        let mut current = lock(&self.table);
        if current.force.until.is_some_and(|until| until <= now) {
            // A table that was in force stays valid.
            if let Ok(next) = Current::of(current.table.clone(), &*self.clock, self.start) {
                *current = next;
            }
        }
        part.force = Arc::clone(&current.force);
        part.generation = generation;
    }

    fn decide(&self, request: &LimitRequest<'_>) -> LimitDecision {
        let user = self.hasher.hash_one(request.key);
        let generation = self.generation.load(Ordering::Acquire);
        let mut part = lock(&self.users[position(user)]);
        // Read with the lock held, so that no part sees its times out of order.
        let now = self.now();
        if part.generation != generation || part.force.until.is_some_and(|until| until <= now) {
            self.refresh(&mut part, generation, now);
        }
        let Part { force, store, .. } = &mut *part;
        let mut applying = force.rules.applying(request);
        let (first, second) = (applying.next(), applying.next());
        if let (Some(applied), None) = (&first, &second)
            && (applied.rule.scope != LimitScope::Tenant
                || matches!(request.key.caller(), LimitCaller::Address(_)))
        {
            let fine = &force.fine[applied.position];
            let (standing, own) = store.count(fine.kind, applied, mix(user ^ fine.salt), now, request.cost);
            if !own {
                self.spilled.fetch_add(1, Ordering::Relaxed);
            }
            let mut decision = LimitDecision::unlimited();
            decision.push(LimitVerdict::new(applied.rule, applied.limit, standing));
            return decision;
        }
        let mut tenant = None;
        // An address belongs to no tenant.
        if force.has_shared && matches!(request.key.caller(), LimitCaller::User(_)) {
            let hash = self.hasher.hash_one(request.key.tenant());
            tenant = Some((hash, lock(&self.tenants[position(hash)])));
        }
        let mut shared = tenant.as_mut().map(|(hash, part)| (*hash, &mut part.store));
        let mut pending: [Option<Pending<'_>>; MAX_LIMITS_AT_ONCE] = Default::default();
        let mut admitted = true;
        for (slot, applied) in pending.iter_mut().zip(force.rules.applying(request)) {
            let fine = &force.fine[applied.position];
            let (hash, store) = match (&mut shared, applied.rule.scope) {
                (Some((hash, store)), LimitScope::Tenant) => (*hash, &mut **store),
                _ => (user, &mut *store),
            };
            let id = mix(hash ^ fine.salt);
            let (standing, state) = store.look(fine.kind, &applied, id, now, request.cost);
            admitted &= standing.admitted;
            *slot = Some(Pending {
                applied,
                id,
                standing,
                state,
            });
        }
        let mut decision = LimitDecision::unlimited();
        for mut one in pending.into_iter().flatten() {
            let store = match (&mut shared, one.applied.rule.scope) {
                (Some((_, store)), LimitScope::Tenant) => &mut **store,
                _ => &mut *store,
            };
            if admitted && request.cost > 0 {
                if !store.put(one.id, one.applied.position, one.state, now) {
                    self.spilled.fetch_add(1, Ordering::Relaxed);
                }
            } else if one.standing.admitted {
                // What another limit has denied uses up nothing of this one.
                let kind = force.fine[one.applied.position].kind;
                one.standing = store.look(kind, &one.applied, one.id, now, 0).0;
            }
            decision.push(LimitVerdict::new(
                one.applied.rule,
                one.applied.limit,
                one.standing,
            ));
        }
        decision
    }
}

impl RateLimiter for LocalLimiter {
    fn check(&self, request: &LimitRequest<'_>) -> LimitDecision {
        self.decide(request)
    }
}

impl fmt::Debug for LocalLimiter {
    /// Shows no key: keys name users.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLimiter")
            .field("version", &lock(&self.table).table.version)
            .finish_non_exhaustive()
    }
}

const PARTS: usize = 64;

/// The table as it was given, and as it is in force.
struct Current {
    table: LimitTable,
    force: Arc<Force>,
}

struct Force {
    rules: LimitsInForce,
    /// By position of the rule.
    fine: Vec<RuleState>,
    has_shared: bool,
    until: Option<LimitTime>,
}

struct RuleState {
    /// Keeps the states of rules apart, and those under another period or meaning.
    salt: u64,
    kind: Kind,
}

/// Where the state of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ring,
    Packed,
    Fine,
}

impl Current {
    fn of(table: LimitTable, clock: &dyn Clock, start: Duration) -> Result<Self> {
        let wall = clock.now();
        let since = clock.monotonic().saturating_sub(start);
        let rules = LimitsInForce::at(&table, wall)?;
        let fine = rules.rules().iter().map(RuleState::of).collect();
        let force = Force {
            fine,
            has_shared: rules.rules().iter().any(|rule| rule.scope == LimitScope::Tenant),
            until: rules
                .until()
                .map(|until| LimitTime::from(since + until.saturating_since(wall))),
            rules,
        };
        Ok(Self {
            table,
            force: Arc::new(force),
        })
    }
}

impl RuleState {
    fn of(rule: &LimitRule) -> Self {
        let name = rule.name.as_str().bytes();
        let salt = name.fold(u64::from(rule.per_seconds), |salt, byte| {
            mix(salt ^ u64::from(byte))
        });
        let kind = match rule.semantics {
            LimitSemantics::Strict => Kind::Ring,
            LimitSemantics::Burst if Gcra::new(rule.limit, rule.per()).interval() >= COARSE => Kind::Packed,
            LimitSemantics::Burst => Kind::Fine,
        };
        Self {
            salt: mix(salt ^ u64::from(kind == Kind::Ring)),
            kind,
        }
    }
}

/// From this interval on, a state that is rounded up to a millisecond costs nobody one percent.
const COARSE: Duration = Duration::from_millis(100);

/// What one limit says, and what is to be stored if all agree.
struct Pending<'a> {
    applied: AppliedLimit<'a>,
    id: u64,
    standing: Standing,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Ring(crate::model::StrictRing, LimitTime),
    Packed(LimitTime),
    Fine(LimitTime),
}

/// A part of the keys. A cache line to itself, so that the locks of two parts are not in one.
#[repr(align(64))]
struct Part {
    generation: u64,
    force: Arc<Force>,
    store: Store,
}

struct Store {
    rings: Lines<Ring>,
    packed: Lines<Packed>,
    fine: Lines<Fine>,
}

impl Part {
    fn new(force: Arc<Force>, most: usize) -> Self {
        Self {
            generation: 0,
            force,
            store: Store {
                rings: Lines::new(most),
                packed: Lines::new(most),
                fine: Lines::new(most),
            },
        }
    }

    fn bytes(&self) -> usize {
        self.store.rings.bytes() + self.store.packed.bytes() + self.store.fine.bytes()
    }
}

impl Store {
    #[inline]
    fn look(
        &self,
        kind: Kind,
        applied: &AppliedLimit<'_>,
        id: u64,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, State) {
        match kind {
            Kind::Ring => {
                let ring = self.rings.get(id, applied.position, now);
                let (standing, ring) = Strict::new(applied.limit, applied.rule.per()).decide(ring, now, cost);
                (standing, State::Ring(ring, given_back(now, &standing)))
            }
            Kind::Packed => {
                let at = self.packed.get(id, applied.position, now);
                let (standing, at) = Gcra::new(applied.limit, applied.rule.per()).decide(at, now, cost);
                (standing, State::Packed(at))
            }
            Kind::Fine => {
                let at = self.fine.get(id, applied.position, now);
                let (standing, at) = Gcra::new(applied.limit, applied.rule.per()).decide(at, now, cost);
                (standing, State::Fine(at))
            }
        }
    }

    /// Looks and, if that admits, stores: what a lone limit decides needs no other. Whether there was room for a key of its own.
    #[inline]
    fn count(
        &mut self,
        kind: Kind,
        applied: &AppliedLimit<'_>,
        id: u64,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, bool) {
        let lane = applied.position;
        let stored = |standing: &Standing| standing.admitted && cost > 0;
        let burst = |at| {
            let (standing, at) = Gcra::new(applied.limit, applied.rule.per()).decide(at, now, cost);
            (standing, stored(&standing).then_some((at, at)))
        };
        match kind {
            Kind::Ring => self.rings.change(id, lane, now, |ring| {
                let (standing, ring) = Strict::new(applied.limit, applied.rule.per()).decide(ring, now, cost);
                (
                    standing,
                    stored(&standing).then(|| (ring, given_back(now, &standing))),
                )
            }),
            Kind::Packed => self.packed.change(id, lane, now, burst),
            Kind::Fine => self.fine.change(id, lane, now, burst),
        }
    }

    /// Whether there was room for a key of its own.
    #[inline]
    fn put(&mut self, id: u64, lane: usize, state: State, now: LimitTime) -> bool {
        match state {
            State::Ring(ring, free) => self.rings.put(id, lane, ring, free, now),
            State::Packed(at) => self.packed.put(id, lane, at, at, now),
            State::Fine(at) => self.fine.put(id, lane, at, at, now),
        }
    }
}

/// When a ring is that of a key that was never seen.
#[inline]
fn given_back(now: LimitTime, standing: &Standing) -> LimitTime {
    LimitTime::from(Duration::from_micros(now.as_micros()) + standing.reset)
}

/// Nothing that holds a lock can panic half way.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of a hash.
#[inline]
fn position(hash: u64) -> usize {
    // Less than 64, so nothing is cut.
    (hash >> 58) as usize
}

/// Spreads every bit over all of them.
#[inline]
fn mix(value: u64) -> u64 {
    let wide = u128::from(value ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93_u64);
    (wide as u64) ^ ((wide >> 64) as u64)
}
