use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{LimitDigest, LimitSemantics, LimitTable, LimitTime, MAX_LIMITS_AT_ONCE, Standing};

/// One limit of a request, as a store counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CountedLimit {
    /// Whose allowance; it names nobody.
    pub key: LimitDigest,
    /// What the numbers mean.
    pub semantics: LimitSemantics,
    /// How many.
    pub limit: u32,
    /// In which period.
    pub per: Duration,
}

impl CountedLimit {
    /// `limit` per `per` for `key`.
    pub fn new(key: LimitDigest, semantics: LimitSemantics, limit: u32, per: Duration) -> Self {
        Self {
            key,
            semantics,
            limit,
            per,
        }
    }
}

/// One request with all limits that apply to it: all of them admit it, or it uses up nothing. It is copied, never allocated.
#[derive(Clone, Copy, Debug)]
pub struct LimitCheck {
    limits: [Option<CountedLimit>; MAX_LIMITS_AT_ONCE],
    count: usize,
    cost: u32,
}

impl LimitCheck {
    /// A request that counts `cost` times; 0 only looks.
    pub fn new(cost: u32) -> Self {
        Self {
            limits: [None; MAX_LIMITS_AT_ONCE],
            count: 0,
            cost,
        }
    }

    /// Adds a limit, whose key must not be there yet; what is beyond [`MAX_LIMITS_AT_ONCE`] is left out, and no table has more.
    pub fn push(&mut self, limit: CountedLimit) {
        if let Some(free) = self.limits.get_mut(self.count) {
            *free = Some(limit);
            self.count += 1;
        }
    }

    /// The limits, in the order in which they were added.
    pub fn limits(&self) -> impl Iterator<Item = &CountedLimit> {
        self.limits.iter().flatten()
    }

    /// How many limits there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no limit applies.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many times the request counts.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// Which table the numbers of a check were made of, and when what was made of it holds, by the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStamp {
    /// The version of the table; 0 for a store without one.
    pub version: u64,
    /// From when.
    pub from: LimitTime,
    /// Until just before when: a change of the table ends by itself then.
    pub until: LimitTime,
}

impl LimitStamp {
    /// Always, as far as the table goes.
    pub fn of_version(version: u64) -> Self {
        Self {
            version,
            from: LimitTime::ZERO,
            until: LimitTime::from_micros(Self::MAX_MICROS),
        }
    }

    /// The same between two times.
    #[must_use]
    pub fn between(mut self, from: LimitTime, until: LimitTime) -> Self {
        self.from = from;
        self.until = until;
        self
    }

    /// Whether this is what holds at `now` under the table of `version`.
    pub fn holds(&self, version: u64, now: LimitTime) -> bool {
        self.version == version && self.from <= now && now < self.until
    }

    /// The latest time that every store can compare exactly: in the year 2255.
    pub const MAX_MICROS: u64 = 9_000_000_000_000_000;
}

/// What a store says to a call with many checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller decides on each")]
pub enum LimitsChecked {
    /// Every check was decided, in the order given, as if one after the other.
    Decided {
        /// The store's time.
        at: LimitTime,
        /// How each limit of each check stands, in the order given.
        standings: Vec<Standing>,
    },
    /// Another table holds: read it and ask again. Nothing was counted.
    Superseded {
        /// The version that holds; 0 if there is no table.
        version: u64,
        /// The store's time.
        at: LimitTime,
    },
}

/// Denials of one caller that were given without asking the store, or by it, since the last count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DenialCount {
    /// Who was denied; it names nobody.
    pub key: LimitDigest,
    /// How many times.
    pub denied: u32,
    /// How many within `per` raise the alarm.
    pub threshold: u32,
    /// The window.
    pub per: Duration,
}

impl DenialCount {
    /// `denied` denials of `key`; `threshold` within `per` raise the alarm.
    pub fn new(key: LimitDigest, denied: u32, threshold: u32, per: Duration) -> Self {
        Self {
            key,
            denied,
            threshold,
            per,
        }
    }
}

/// How often a caller was denied within the window, over all instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a store of another crate makes it")]
pub struct DenialTotal {
    /// How often.
    pub total: u32,
    /// Whether this count is the one that raises the alarm: once per window and caller, over all instances.
    pub raised: bool,
}

/// What counting denials tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a store of another crate makes it")]
pub struct DenialsCounted {
    /// The version of the table that holds; 0 if there is none. A denial that was remembered under another one must be forgotten.
    pub version: u64,
    /// In the order given.
    pub totals: Vec<DenialTotal>,
}

/// Whether a table was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller decides on each")]
pub enum Published {
    /// It holds now, for the next check of every instance.
    Taken,
    /// A table of this or a later version was there, another one than this: it stays.
    Kept {
        /// The version that holds.
        version: u64,
    },
}

/// Counts limits for all instances of a service.
///
/// # Contract
/// - The time is the store's: clocks of instances do not matter. States count from 1970.
/// - The checks of a call are decided as if one after the other, and calls as if one after the other.
/// - A check is admitted by all of its limits, or it uses up nothing; a cost of 0 uses up nothing.
/// - [`Gcra`](crate::model::Gcra) and [`Strict`](crate::model::Strict) decide, or something that decides alike. A denied check changes
///   no state; a store may lock its row.
/// - A limit that admits within a check that another one denies stands as without the check.
/// - A call whose stamp does not hold counts nothing and says so: a new table holds for the next call of every instance.
/// - A published table replaces those of lower versions only.
/// - A denial window is 60 slots of `per / 60`; a total counts the newest slot and the 59 before it.
/// - A key that has its whole allowance back takes up no space for much longer than its period.
/// - Nothing is tried again within a call.
///
/// # Errors
/// `Unavailable`, `Timeout`; `Unauthenticated`, `PermissionDenied`; `Unexpected` for a state or a table that cannot be read. After an error
/// a check may have been counted or not; the caller must not repeat it.
///
/// # Cancellation
/// Dropping a call leaves its checks counted or not. Other calls are not touched.
#[async_trait]
pub trait LimitStore: Debug + Send + Sync + 'static {
    /// Decides `checks`.
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked>;
    /// Adds denials to those of the other instances. An empty list only asks for the version.
    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted>;
    /// The table that holds; `None` if there is none (yet, or after all was lost).
    async fn table(&self) -> Result<Option<LimitTable>>;
    /// Makes `table` hold if its version is greater than that of the one that does, or if it is the same table.
    async fn publish(&self, table: &LimitTable) -> Result<Published>;
}
