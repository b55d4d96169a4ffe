//! The common call: callers who ask once each, at the same cost, under the same burst. A script of its own decides on them, on the states that
//! the other one has, at a part of its price.

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Gcra, LimitSemantics, LimitTime};
use ops_core::ports::{CountedLimit, LimitCheck, LimitStamp, LimitsChecked};
use redis::Value;

use super::error::error;
use super::wire::{self, MOST, Measure};

pub(super) struct Burst {
    limit: CountedLimit,
    cost: u32,
    /// How long states are kept at least, in microseconds.
    pub(super) span: u64,
    /// What the cost takes, and what may be used before it, in microseconds.
    takes: u64,
    room: u64,
    /// Of the states, one after the other.
    pub(super) names: Vec<u8>,
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
        let mut keys = Vec::with_capacity(checks.len());
        for check in checks {
            let own = check.limits().next()?;
            let mut same = *own;
            same.key = limit.key;
            if check.len() != 1 || check.cost() != cost || same != limit {
                return None;
            }
            names.extend(own.key.as_bytes());
            keys.push(u128::from_le_bytes(*own.key.as_bytes()));
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let Measure { micros, span, .. } = Measure::of(&limit);
        let whole = micros.checked_mul(u64::from(limit.limit))?;
        let takes = micros.checked_mul(u64::from(cost))?;
        (whole <= EXACT).then_some(Self {
            limit,
            cost,
            span,
            takes,
            room: whole - takes,
            names,
        })
    }

    /// The numbers of a call.
    pub(super) fn numbers(&self, stamp: LimitStamp) -> [u8; 40] {
        let numbers = [
            stamp.from.as_micros(),
            stamp.until.as_micros(),
            self.span,
            self.takes,
            self.room,
        ];
        let mut bytes = [0; 40];
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    /// What the script says.
    pub(super) fn checked(&self, answer: &Value) -> Result<LimitsChecked> {
        let checked = match answer {
            Value::BulkString(text) => wire::superseded(text),
            Value::Array(parts) => match parts.as_slice() {
                [Value::BulkString(used)] => self.decided(used),
                _ => None,
            },
            _ => None,
        };
        checked.ok_or_else(|| {
            error(ErrorKind::Unexpected, "check limits").context("reason", "the answer cannot be read")
        })
    }

    fn decided(&self, used: &[u8]) -> Option<LimitsChecked> {
        let (times, []) = used.as_chunks::<8>() else {
            return None;
        };
        let time = |bytes: &[u8; 8]| LimitTime::from_micros(u64::from_le_bytes(*bytes));
        let (at, states) = times.split_first()?;
        if states.len() * 16 != self.names.len() {
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
