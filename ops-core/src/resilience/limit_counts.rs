use std::collections::HashMap;
use std::time::Duration;

use super::{LimitState, LimitStates};
use crate::model::{LimitDigest, LimitSemantics, LimitTime, RING_SLOTS, Standing};
use crate::ports::{CountedLimit, LimitCheck};

/// What many keys have used, within one process: the state behind the in-memory store and behind the local share of an instance whose store
/// is away.
///
/// Memory is bounded: states stand in two generations for each period that a limit has, and the older one is dropped whole when nothing in it can
/// count any more. Where `most` keys of a generation are there, new keys are denied by the limits of that period: no door opens because many keys
/// came, and a long period keeps no place of a short one.
#[derive(Debug)]
pub struct LimitCounts {
    /// There are as few periods as rules.
    periods: Vec<(Duration, Generations)>,
    most: usize,
}

#[derive(Debug)]
struct Generations {
    young: HashMap<LimitDigest, LimitState>,
    old: HashMap<LimitDigest, LimitState>,
    young_since: LimitTime,
    /// No state counts for longer than this after it was written, in microseconds.
    lifetime: u64,
}

impl LimitCounts {
    /// Nothing used. `most` is the number of keys of a generation; there are two for each period.
    pub fn new(most: usize) -> Self {
        Self {
            periods: Vec::new(),
            most,
        }
    }

    /// Decides `check` at `now` and adds to `standings` how each of its limits stands. All of them admit it, or it uses up nothing.
    pub fn decide(&mut self, check: &LimitCheck, now: LimitTime, standings: &mut Vec<Standing>) {
        self.decide_all(check, now, standings);
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        let keys = |(_, of): &(Duration, Generations)| of.young.len() + of.old.len();
        self.periods.iter().map(keys).sum()
    }

    fn of(&mut self, per: Duration) -> &mut Generations {
        let known = self.periods.iter().position(|(known, _)| *known == per);
        let at = known.unwrap_or_else(|| {
            self.periods.push((per, Generations::of(per)));
            self.periods.len() - 1
        });
        &mut self.periods[at].1
    }
}

impl LimitStates for LimitCounts {
    fn decide_one(
        &mut self,
        _: usize,
        limit: &CountedLimit,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, LimitState) {
        let most = self.most;
        let generations = self.of(limit.per);
        generations.turn(now);
        let state = generations.state(limit);
        if state.is_some() || cost == 0 || generations.young.len() < most {
            LimitState::decide(state, limit, now, cost)
        } else {
            (generations.full(limit, now), LimitState::Burst(now))
        }
    }

    fn keep(&mut self, _: usize, limit: &CountedLimit, state: LimitState) {
        self.of(limit.per).young.insert(limit.key, state);
    }
}

impl Generations {
    fn of(per: Duration) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_since: LimitTime::ZERO,
            lifetime: lifetime(per),
        }
    }

    fn state(&self, limit: &CountedLimit) -> Option<LimitState> {
        let found = self.young.get(&limit.key).or_else(|| self.old.get(&limit.key));
        // The meaning is part of a key, so another meaning is not found; if it were, it would be of no use.
        found.copied().filter(|state| {
            matches!(state, LimitState::Strict(_)) == (limit.semantics == LimitSemantics::Strict)
        })
    }

    /// Drops the older generation if nothing in it counts any more.
    fn turn(&mut self, now: LimitTime) {
        let turn_at = self.turn_at();
        if now.as_micros() > turn_at {
            self.old = std::mem::take(&mut self.young);
            if now.as_micros() > turn_at.saturating_add(self.lifetime) {
                self.old = HashMap::new();
            }
            self.young_since = now;
        }
    }

    fn turn_at(&self) -> u64 {
        self.young_since.as_micros().saturating_add(self.lifetime)
    }

    fn full(&self, limit: &CountedLimit, now: LimitTime) -> Standing {
        let wait = self.turn_at().saturating_add(1).saturating_sub(now.as_micros());
        Standing {
            admitted: false,
            remaining: 0,
            reset: limit.per,
            retry_after: Some(Duration::from_micros(wait.max(1))),
        }
    }
}

/// A state counts for one period and a slot at most; the rounding up of slots and intervals is within a second slot.
fn lifetime(per: Duration) -> u64 {
    let micros = LimitTime::from(per).as_micros();
    micros
        .saturating_add(2 * micros.div_ceil(RING_SLOTS as u64 - 1))
        .saturating_add(u64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointClass, LimitKey, LimitName, LimitRule};

    const MINUTE: Duration = Duration::from_secs(60);

    fn digest(user: &str) -> LimitDigest {
        let rule = LimitRule::per_minute(LimitName::new("api").unwrap(), EndpointClass::Api, 1);
        LimitKey::user("t", user).digest(&rule, &[0; 32])
    }

    fn strict(user: &str, limit: u32) -> CountedLimit {
        CountedLimit::new(digest(user), LimitSemantics::Strict, limit, MINUTE)
    }

    fn decide(counts: &mut LimitCounts, limits: &[CountedLimit], cost: u32, second: u64) -> Vec<Standing> {
        let mut check = LimitCheck::new(cost);
        limits.iter().for_each(|limit| check.push(*limit));
        let mut standings = Vec::new();
        counts.decide(&check, LimitTime::from_micros(second * 1_000_000), &mut standings);
        standings
    }

    #[test]
    fn what_one_limit_denies_uses_up_nothing_of_the_other() {
        let mut counts = LimitCounts::new(10);
        let (few, many) = (strict("few", 2), strict("many", 10));
        for _ in 0..2 {
            assert!(
                decide(&mut counts, &[many, few], 1, 0)
                    .iter()
                    .all(|standing| standing.admitted)
            );
        }
        for _ in 0..20 {
            let standings = decide(&mut counts, &[many, few], 1, 1);
            assert!(standings[0].admitted && !standings[1].admitted);
            assert_eq!(standings[0].remaining, 8, "as without the request");
        }
        assert_eq!(decide(&mut counts, &[many], 0, 1)[0].remaining, 8);
    }

    #[test]
    fn many_keys_take_bounded_memory_and_open_no_door() {
        let mut counts = LimitCounts::new(100);
        let admitted = (0..10_000)
            .filter(|user| decide(&mut counts, &[strict(&user.to_string(), 5)], 1, 1)[0].admitted)
            .count();
        assert_eq!(admitted, 100);
        assert_eq!(counts.keys(), 100);
        let denied = decide(&mut counts, &[strict("new", 5)], 1, 1)[0];
        let later = 1 + denied.retry_after.unwrap().as_secs() + 1;
        assert!(
            decide(&mut counts, &[strict("new", 5)], 1, later)[0].admitted,
            "as it said"
        );
        assert!(counts.keys() <= 200);
    }

    #[test]
    fn a_turn_of_the_generations_forgets_nothing_that_counts() {
        let mut counts = LimitCounts::new(usize::MAX);
        let mut second = 0;
        for _ in 0..50 {
            let limit = strict("u", 3);
            assert!(decide(&mut counts, &[limit], 3, second)[0].admitted);
            for later in [1, 20, 40, 59] {
                assert!(
                    !decide(&mut counts, &[limit], 1, second + later)[0].admitted,
                    "{second} + {later}"
                );
            }
            second += 62;
        }
        assert!(counts.keys() <= 2);
        decide(&mut counts, &[strict("other", 3)], 1, second + 1_000);
        assert_eq!(counts.keys(), 1, "what is long over is dropped at once");
    }

    #[test]
    fn a_long_period_keeps_no_place_of_a_short_one() {
        let mut counts = LimitCounts::new(100);
        for user in 0..100 {
            let month = CountedLimit::new(
                digest(&format!("m{user}")),
                LimitSemantics::Strict,
                5,
                MINUTE * 60 * 24 * 30,
            );
            assert!(decide(&mut counts, &[month], 1, 1)[0].admitted);
        }
        for second in [1, 200, 400] {
            let user = format!("u{second}");
            assert!(
                decide(&mut counts, &[strict(&user, 5)], 1, second)[0].admitted,
                "{second}"
            );
        }
        assert_eq!(
            counts.keys(),
            101,
            "what is over is dropped as if there were no long period"
        );
    }
}
