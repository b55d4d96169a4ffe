//! A common call: callers who ask once each, at the same cost, under the same burst. A script of its own decides on them, on the states that
//! `check.lua` has, at a part of its price.

use ops_core::model::{Gcra, LimitSemantics, LimitTime};
use ops_core::ports::{CountedLimit, LimitCheck, LimitsChecked};

use super::packed::Packed;
use super::wire::{MOST, Measure};

pub(super) struct Burst {
    limit: CountedLimit,
    cost: u32,
    /// What the cost takes, and what may be used before it, in microseconds.
    pub(super) numbers: [u64; 2],
    pub(super) packed: Packed,
}

impl Burst {
    /// `None` for all that is not such a call.
    pub(super) fn of(checks: &[LimitCheck]) -> Option<Self> {
        let first = checks.first()?;
        let (cost, limit) = (first.cost(), *first.limits().next()?);
        if checks.len() > MOST || limit.semantics != LimitSemantics::Burst || cost == 0 || cost > limit.limit
        {
            return None;
        }
        let mut names = Vec::with_capacity(checks.len() * 16);
        for check in checks {
            let own = check.limits().next()?;
            let mut same = *own;
            same.key = limit.key;
            if check.len() != 1 || check.cost() != cost || same != limit {
                return None;
            }
            names.extend(own.key.as_bytes());
        }
        let Measure { micros, span, .. } = Measure::of(&limit);
        let whole = micros.checked_mul(u64::from(limit.limit))?;
        let takes = micros.checked_mul(u64::from(cost))?;
        if whole > EXACT {
            return None;
        }
        Some(Self {
            limit,
            cost,
            numbers: [takes, whole - takes],
            packed: Packed::of(names, span)?,
        })
    }

    /// Decides again on the states that the script decided on.
    pub(super) fn decided(&self, used: &[u8]) -> Option<LimitsChecked> {
        let (times, []) = used.as_chunks::<8>() else {
            return None;
        };
        let time = |bytes: &[u8; 8]| LimitTime::from_micros(u64::from_le_bytes(*bytes));
        let (at, states) = times.split_first()?;
        if states.len() != self.packed.states() {
            return None;
        }
        let (at, gcra) = (time(at), Gcra::new(self.limit.limit, self.limit.per));
        let standing = |state| gcra.decide(time(state), at, self.cost).0;
        Some(LimitsChecked::Decided {
            at,
            standings: states.iter().map(standing).collect(),
        })
    }
}

/// A time and so much more is a number that the script has exactly.
const EXACT: u64 = 1 << 50;
