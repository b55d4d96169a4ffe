//! Checks as arrays with a place for each limit of each check, and the answers in the same places.

use std::collections::BTreeSet;
use std::time::Duration;

use ops_core::model::{Gcra, LimitDigest, LimitSemantics, LimitTime, Standing, Strict};
use ops_core::ports::LimitCheck;

use super::alike::part;

#[derive(Default)]
pub(super) struct Places {
    /// Each key once, in order.
    pub(super) keys: Vec<Vec<u8>>,
    /// The parts that have a lock of their own, in order.
    pub(super) parts: Vec<i32>,
    /// The number of the key, from 1.
    pub(super) spot: Vec<i32>,
    pub(super) strict: Vec<bool>,
    pub(super) limits: Vec<i64>,
    /// The interval, or the slot, in microseconds.
    pub(super) steps: Vec<i64>,
    pub(super) costs: Vec<i64>,
    /// Whether a place belongs to the check of the one before.
    pub(super) same: Vec<bool>,
}

impl Places {
    pub(super) fn of(checks: &[LimitCheck]) -> Self {
        let mut places = Self::default();
        let limits = checks.iter().flat_map(LimitCheck::limits);
        let keys: BTreeSet<LimitDigest> = limits.map(|limit| limit.key).collect();
        let keys: Vec<LimitDigest> = keys.into_iter().collect();
        let parts: BTreeSet<i32> = keys.iter().map(part).collect();
        places.parts = parts.into_iter().collect();
        places.keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        for check in checks {
            for (number, limit) in check.limits().enumerate() {
                let is_strict = limit.semantics == LimitSemantics::Strict;
                let (most, step) = if is_strict {
                    (Strict::MAX_LIMIT, Strict::new(limit.limit, limit.per).slot())
                } else {
                    (u32::MAX, Gcra::new(limit.limit, limit.per).interval())
                };
                let before = keys.partition_point(|key| *key < limit.key);
                places.spot.push(i32::try_from(before + 1).unwrap_or(i32::MAX));
                places.strict.push(is_strict);
                places.limits.push(i64::from(limit.limit.min(most)));
                places
                    .steps
                    .push(i64::try_from(LimitTime::from(step).as_micros()).unwrap_or(i64::MAX));
                places.costs.push(i64::from(check.cost()));
                places.same.push(number > 0);
            }
        }
        places
    }
}

pub(super) struct Verdicts {
    pub(super) verdicts: Vec<i32>,
    pub(super) lefts: Vec<i64>,
    pub(super) resets: Vec<i64>,
    pub(super) retries: Vec<i64>,
}

impl Verdicts {
    pub(super) fn standings(self) -> Vec<Standing> {
        let numbers = self.lefts.into_iter().zip(self.resets).zip(self.retries);
        let standing = |(verdict, ((left, reset), retry)): (i32, ((i64, i64), i64))| Standing {
            admitted: verdict == 1,
            remaining: u32::try_from(left).unwrap_or_default(),
            reset: micros(reset),
            retry_after: (verdict != 2).then(|| micros(retry)),
        };
        self.verdicts.into_iter().zip(numbers).map(standing).collect()
    }
}

fn micros(number: i64) -> Duration {
    Duration::from_micros(u64::try_from(number).unwrap_or_default())
}
