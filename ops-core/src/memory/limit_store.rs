use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::clock::SystemClock;
use crate::error::Result;
use crate::model::{LimitDigest, LimitTable, LimitTime};
use crate::ports::{
    Clock, DenialCount, DenialTotal, DenialsCounted, LimitCheck, LimitStamp, LimitStore, LimitsChecked,
    Published,
};
use crate::resilience::LimitCounts;

/// A store of limits in memory: for tests, where limiters that share one stand for instances.
#[derive(Debug)]
pub struct InMemoryLimits {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    plug: Plug,
}

#[derive(Debug)]
struct State {
    table: Option<LimitTable>,
    counts: LimitCounts,
    denials: HashMap<LimitDigest, Denials>,
    calls: u64,
    latest: LimitTime,
}

/// Denials by slot, and until when the alarm stays raised.
#[derive(Debug, Default)]
struct Denials {
    slots: HashMap<u64, u32>,
    raised_until: LimitTime,
}

/// The slots of a denial window.
const SLOTS: u64 = 60;

impl InMemoryLimits {
    /// Nothing used, no table.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// On another clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State::empty()),
            clock,
            plug: Plug::default(),
        }
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    /// Forgets everything, the table included, as a server that comes back empty.
    pub fn lose_everything(&self) {
        *lock(&self.state) = State::empty();
    }

    /// How many calls decided checks.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// A time that never goes back.
    fn now(&self, state: &mut State) -> LimitTime {
        let now = u64::try_from(self.clock.now().as_unix_micros()).unwrap_or_default();
        state.latest = state.latest.max(LimitTime::from_micros(now));
        state.latest
    }
}

impl State {
    fn empty() -> Self {
        Self {
            table: None,
            counts: LimitCounts::new(usize::MAX),
            denials: HashMap::new(),
            calls: 0,
            latest: LimitTime::ZERO,
        }
    }

    fn version(&self) -> u64 {
        self.table.as_ref().map_or(0, |table| table.version)
    }

    fn count_denial(&mut self, count: &DenialCount, now: LimitTime) -> DenialTotal {
        let slot = LimitTime::from(count.per).as_micros().div_ceil(SLOTS).max(1);
        let newest = now.as_micros() / slot;
        let denials = self.denials.entry(count.key).or_default();
        denials.slots.retain(|number, _| number + SLOTS > newest);
        let added = denials.slots.entry(newest).or_default();
        *added = added.saturating_add(count.denied);
        let total = denials
            .slots
            .values()
            .fold(0_u32, |sum, denied| sum.saturating_add(*denied));
        let raised = total >= count.threshold && denials.raised_until <= now;
        if raised {
            let until = now
                .as_micros()
                .saturating_add(LimitTime::from(count.per).as_micros());
            denials.raised_until = LimitTime::from_micros(until);
        }
        DenialTotal { total, raised }
    }
}

impl Default for InMemoryLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LimitStore for InMemoryLimits {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        self.plug.check("check limits")?;
        let mut state = lock(&self.state);
        let at = self.now(&mut state);
        state.calls += 1;
        let version = state.version();
        if !stamp.holds(version, at) {
            return Ok(LimitsChecked::Superseded { version, at });
        }
        let mut standings = Vec::with_capacity(checks.iter().map(LimitCheck::len).sum());
        for check in checks {
            state.counts.decide(check, at, &mut standings);
        }
        Ok(LimitsChecked::Decided { at, standings })
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        self.plug.check("count denials")?;
        let mut state = lock(&self.state);
        let now = self.now(&mut state);
        let totals = counts
            .iter()
            .map(|count| state.count_denial(count, now))
            .collect();
        let newest_use = |denials: &Denials| denials.raised_until > now || !denials.slots.is_empty();
        if state.denials.len() > 10_000 {
            state.denials.retain(|_, denials| newest_use(denials));
        }
        Ok(DenialsCounted {
            version: state.version(),
            totals,
        })
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        self.plug.check("read limits")?;
        Ok(lock(&self.state).table.clone())
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        self.plug.check("publish limits")?;
        let mut state = lock(&self.state);
        let version = state.version();
        if table.version > version || state.table.as_ref() == Some(table) {
            state.table = Some(table.clone());
            return Ok(Published::Taken);
        }
        Ok(Published::Kept { version })
    }
}
