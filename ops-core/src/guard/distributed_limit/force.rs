use std::time::Duration;

use crate::error::Result;
use crate::model::{
    Gcra, LimitRequest, LimitSecret, LimitSemantics, LimitTable, LimitTime, LimitsInForce, Standing,
    Timestamp,
};
use crate::ports::{CountedLimit, LimitCheck, LimitStamp};

/// A table as it holds now, with the time in which it does, by the store's clock.
#[derive(Debug)]
pub(super) struct Force {
    table: LimitTable,
    limits: LimitsInForce,
    stamp: LimitStamp,
    /// Another number for every other set of limits: denials are remembered under it.
    generation: u64,
    /// Whether the store holds this table. Until then its version says nothing: another table may have the same.
    agreed: bool,
}

impl Force {
    /// What `table` says at `now`.
    ///
    /// # Errors
    /// As [`LimitTable::validate`].
    pub(super) fn at(table: LimitTable, now: LimitTime, generation: u64) -> Result<Self> {
        let at = timestamp(now);
        let limits = LimitsInForce::at(&table, at)?;
        let ended = table
            .changes
            .iter()
            .filter_map(|change| change.until)
            .filter(|until| *until <= at)
            .max();
        let latest = LimitTime::from_micros(LimitStamp::MAX_MICROS);
        let stamp = LimitStamp::of_version(table.version).between(
            ended.map_or(LimitTime::ZERO, limit_time),
            limits
                .until()
                .map_or(latest, |until| limit_time(until).min(latest)),
        );
        Ok(Self {
            table,
            limits,
            stamp,
            generation,
            agreed: false,
        })
    }

    /// The same, where the store holds the table.
    pub(super) fn agreed(mut self) -> Self {
        self.agreed = true;
        self
    }

    pub(super) fn is_agreed(&self) -> bool {
        self.agreed
    }

    /// The stamp to ask the store with: one that never holds, until it is known that the store holds the same table.
    pub(super) fn asking(&self) -> LimitStamp {
        if self.agreed {
            return self.stamp;
        }
        self.stamp.between(LimitTime::ZERO, LimitTime::ZERO)
    }

    pub(super) fn table(&self) -> &LimitTable {
        &self.table
    }

    pub(super) fn limits(&self) -> &LimitsInForce {
        &self.limits
    }

    pub(super) fn stamp(&self) -> LimitStamp {
        self.stamp
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// `request` as a store counts it.
    pub(super) fn check(&self, request: &LimitRequest<'_>, secret: &LimitSecret) -> LimitCheck {
        let mut check = LimitCheck::new(request.cost);
        for applied in self.limits.applying(request) {
            check.push(CountedLimit::new(
                secret.digest(&request.key, applied.rule),
                applied.rule.semantics,
                applied.limit,
                applied.rule.per(),
            ));
        }
        check
    }
}

/// The share of one of `instances`: all of them together stay within each limit.
pub(super) fn share(check: &LimitCheck, instances: u32) -> LimitCheck {
    let mut share = LimitCheck::new(check.cost());
    for limit in check.limits() {
        share.push(CountedLimit::new(
            limit.key,
            limit.semantics,
            limit.limit / instances.max(1),
            limit.per,
        ));
    }
    share
}

/// How much longer who does not wait may be denied: so long that instances ask half as often, and not until the allowance is full, so nothing of a burst
/// is lost. What is not used of a strict limit is, so there it is nothing.
pub(super) fn longer(limit: &CountedLimit, denied: &Standing) -> Duration {
    let (LimitSemantics::Burst, Some(wait)) = (limit.semantics, denied.retry_after) else {
        return Duration::ZERO;
    };
    let interval = Gcra::new(limit.limit, limit.per).interval();
    interval.min(LONGER).min(denied.reset.saturating_sub(wait) / 2)
}

/// Limits that admit more rarely cost few calls anyway, and who was told an earlier end elsewhere waits no longer than this for nothing.
const LONGER: Duration = Duration::from_secs(10);

pub(super) fn timestamp(time: LimitTime) -> Timestamp {
    Timestamp::from_unix_micros(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn limit_time(time: Timestamp) -> LimitTime {
    LimitTime::from_micros(u64::try_from(time.as_unix_micros()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointClass, LimitKey, LimitName, LimitRule};

    #[test]
    fn who_asks_on_is_held_one_interval_longer_and_not_until_the_allowance_is_full() {
        let rule = |limit| LimitRule::per_minute(LimitName::new("api").unwrap(), EndpointClass::Api, limit);
        let key = LimitKey::user("t", "u").digest(&rule(1), &[0; 32]);
        let denied = |wait: u64, reset: u64| Standing {
            admitted: false,
            remaining: 0,
            reset: Duration::from_secs(reset),
            retry_after: Some(Duration::from_secs(wait)),
        };
        let of = |semantics, limit| CountedLimit::new(key, semantics, limit, rule(1).per());
        for (limit, wait, reset, held) in [
            (60, 1, 60, 1),
            (60, 20, 50, 1),
            (2, 30, 60, 10),
            (2, 30, 38, 4),
            (1, 60, 60, 0),
        ] {
            let limit = of(LimitSemantics::Burst, limit);
            assert_eq!(longer(&limit, &denied(wait, reset)), Duration::from_secs(held));
        }
        let strict = of(LimitSemantics::Strict, 60);
        assert_eq!(longer(&strict, &denied(1, 60)), Duration::ZERO);
    }
}
