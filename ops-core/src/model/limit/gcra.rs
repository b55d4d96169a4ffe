use std::time::Duration;

use super::{LimitTime, Standing};

/// The generic cell rate algorithm: `limit` at once, and then one every `per / limit`, rounded up to a microsecond.
///
/// The state of a key is one time: when its allowance is full again. [`LimitTime::ZERO`] is a key that was never seen. The state does not
/// depend on the limit, so a new limit holds for the next decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    limit: u32,
    interval: u64,
}

impl Gcra {
    /// `limit` requests per `per`.
    pub fn new(limit: u32, per: Duration) -> Self {
        let per = LimitTime::from(per).as_micros().max(1);
        Self {
            limit,
            interval: per.div_ceil(u64::from(limit.max(1))),
        }
    }

    /// The time after which one more request is free.
    pub fn interval(self) -> Duration {
        Duration::from_micros(self.interval)
    }

    /// What `full_at` says at `now` to a request that counts `cost` times, and the state to store. The state of a denied request is what it
    /// was, or the latest that this limit can lead to: nobody waits longer than a whole new period. A cost of 0 only looks.
    #[inline]
    pub fn decide(self, full_at: LimitTime, now: LimitTime, cost: u32) -> (Standing, LimitTime) {
        let now = now.as_micros();
        let whole = self.interval.saturating_mul(u64::from(self.limit));
        let used = full_at.as_micros().saturating_sub(now).min(whole);
        let wanted = self.interval.saturating_mul(u64::from(cost));
        let admitted = cost <= self.limit && wanted <= whole - used;
        let after = if admitted { used + wanted } else { used };
        let standing = Standing {
            admitted,
            remaining: u32::try_from((whole - after) / self.interval).unwrap_or(u32::MAX),
            reset: Duration::from_micros(after),
            retry_after: match admitted {
                true => Some(Duration::ZERO),
                false if cost > self.limit => None,
                false => Some(Duration::from_micros(wanted - (whole - used))),
            },
        };
        let state = if after == 0 {
            full_at.as_micros().min(now)
        } else {
            now.saturating_add(after)
        };
        (standing, LimitTime::from_micros(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> LimitTime {
        LimitTime::from_micros(millis * 1_000)
    }

    #[test]
    fn the_limit_at_once_and_then_one_an_interval() {
        let gcra = Gcra::new(100, Duration::from_secs(60));
        let mut state = LimitTime::ZERO;
        for left in (0..100).rev() {
            let (standing, next) = gcra.decide(state, at(5), 1);
            assert!(standing.admitted);
            assert_eq!(standing.remaining, left);
            state = next;
        }
        let (denied, same) = gcra.decide(state, at(5), 1);
        assert_eq!(same, state, "a denied request uses up nothing");
        assert_eq!(denied.retry_after, Some(Duration::from_millis(600)));
        assert_eq!(denied.reset, Duration::from_secs(60));
        assert!(!gcra.decide(state, at(604), 1).0.admitted);
        assert!(gcra.decide(state, at(605), 1).0.admitted);
    }

    #[test]
    fn a_cost_above_the_limit_is_never_admitted_and_says_so() {
        let gcra = Gcra::new(10, Duration::from_secs(60));
        assert!(gcra.decide(LimitTime::ZERO, at(0), 10).0.admitted);
        assert_eq!(gcra.decide(LimitTime::ZERO, at(0), 11).0.retry_after, None);
        assert_eq!(
            Gcra::new(0, Duration::from_secs(60))
                .decide(LimitTime::ZERO, at(9), 1)
                .0
                .retry_after,
            None
        );
        assert_eq!(gcra.decide(LimitTime::ZERO, at(0), u32::MAX).0.retry_after, None);
    }

    #[test]
    fn a_user_far_ahead_waits_no_longer_than_the_new_period() {
        let hour = Gcra::new(100, Duration::from_secs(3_600));
        let (_, state) = hour.decide(LimitTime::ZERO, at(0), 100);
        let minute = Gcra::new(10, Duration::from_secs(60));
        let (standing, _) = minute.decide(state, at(0), 10);
        assert_eq!(standing.retry_after, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_smaller_limit_holds_for_the_next_request_and_forgets_nothing() {
        let (_, state) = Gcra::new(100, Duration::from_secs(60)).decide(LimitTime::ZERO, at(0), 40);
        let (standing, _) = Gcra::new(20, Duration::from_secs(60)).decide(state, at(0), 0);
        assert_eq!(standing.remaining, 12, "24 of 60 seconds are used");
    }
}
