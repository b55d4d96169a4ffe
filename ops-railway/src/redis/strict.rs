//! The other common call: requests that have strict limits only, of one span, and no state that is asked twice. A script of its own decides on
//! them, on the states that `check.lua` has, at a part of its price.

use ops_core::model::{LimitSemantics, LimitTime, Standing};
use ops_core::ports::{CountedLimit, LimitCheck, LimitsChecked};
use ops_core::resilience::{LimitState, LimitStates};

use super::packed::Packed;
use super::wire::{self, MOST, Measure};

pub(super) struct StrictCall<'a> {
    checks: &'a [LimitCheck],
    /// Of the limits that requests have: each set once.
    pub(super) rules: Vec<u8>,
    /// For each check where its set begins.
    pub(super) sets: Vec<u8>,
    pub(super) packed: Packed,
}

impl<'a> StrictCall<'a> {
    /// `None` for all that is not such a call.
    pub(super) fn of(checks: &'a [LimitCheck]) -> Option<Self> {
        let first = checks.first()?.limits().next()?;
        if first.semantics != LimitSemantics::Strict {
            return None;
        }
        let span = Measure::of(first).span;
        let mut known: Vec<(&LimitCheck, u8)> = Vec::with_capacity(1);
        let mut rules = Vec::new();
        let mut sets = Vec::with_capacity(checks.len());
        let mut names = Vec::with_capacity(checks.len() * 16);
        for check in checks {
            let set = match known.iter().find(|(other, _)| alike(other, check)) {
                Some((_, set)) => *set,
                None => {
                    let set = u8::try_from(rules.len() / 8 + 1).ok()?;
                    describe(check, span, &mut rules)?;
                    known.push((check, set));
                    set
                }
            };
            sets.push(set);
            for limit in check.limits() {
                names.extend(limit.key.as_bytes());
            }
        }
        let packed = Packed::of(names, span)?;
        (packed.states() <= MOST).then_some(Self {
            checks,
            rules,
            sets,
            packed,
        })
    }

    /// Decides again on the states that the script decided on.
    pub(super) fn decided(&self, used: &[u8]) -> Option<LimitsChecked> {
        let (at, used) = used.split_first_chunk::<8>()?;
        let at = LimitTime::from_micros(u64::from_le_bytes(*at));
        let (sizes, mut bytes) = used.split_at_checked(self.packed.states())?;
        let mut states = Vec::with_capacity(sizes.len());
        for size in sizes {
            let length = match size {
                0 => 0,
                size => 3 * usize::from(*size) + 3,
            };
            let (state, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            states.push(match size {
                0 => None,
                _ => Some(wire::state(state, LimitSemantics::Strict)?),
            });
        }
        if !bytes.is_empty() {
            return None;
        }
        let mut standings = Vec::with_capacity(states.len());
        let mut states = AskedOnce(&states);
        for check in self.checks {
            states.decide_all(check, at, &mut standings);
            states.0 = states.0.get(check.len()..)?;
        }
        Some(LimitsChecked::Decided { at, standings })
    }
}

/// Whether two checks differ only in who asks.
fn alike(one: &LimitCheck, other: &LimitCheck) -> bool {
    let same = |(one, other): (&CountedLimit, &CountedLimit)| {
        one.semantics == other.semantics && one.limit == other.limit && one.per == other.per
    };
    one.cost() == other.cost() && one.len() == other.len() && one.limits().zip(other.limits()).all(same)
}

/// Adds the rules of `check`, as the script reads them; `None` for what is not for it.
fn describe(check: &LimitCheck, span: u64, rules: &mut Vec<u8>) -> Option<()> {
    let mut word = |number: u64| rules.extend(number.to_le_bytes());
    if check.cost() == 0 || check.is_empty() {
        return None;
    }
    word(u64::from(check.cost()));
    word(check.len() as u64);
    for limit in check.limits() {
        let measure = Measure::of(limit);
        if limit.semantics != LimitSemantics::Strict || measure.span != span {
            return None;
        }
        // The script has room there for what it makes of them.
        [measure.micros, u64::from(measure.most), 0, 0]
            .into_iter()
            .for_each(&mut word);
    }
    Some(())
}

/// The states of those checks that are not decided yet.
struct AskedOnce<'a>(&'a [Option<LimitState>]);

impl LimitStates for AskedOnce<'_> {
    fn decide_one(
        &mut self,
        place: usize,
        limit: &CountedLimit,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, LimitState) {
        LimitState::decide(self.0[place], limit, now, cost)
    }

    /// Nobody asks again.
    fn keep(&mut self, _: usize, _: &CountedLimit, _: LimitState) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ops_core::model::{EndpointClass, LimitDigest, LimitKey, LimitName, LimitRule};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(number: u32) -> LimitDigest {
        let rule = LimitRule::per_minute(LimitName::new("api").unwrap(), EndpointClass::Api, 1);
        LimitKey::user("org", &number.to_string()).digest(&rule, &[7; 32])
    }

    fn check(cost: u32, limits: &[(u32, LimitSemantics, u32, Duration)]) -> LimitCheck {
        let mut check = LimitCheck::new(cost);
        for (number, semantics, limit, per) in limits {
            check.push(CountedLimit::new(key(*number), *semantics, *limit, *per));
        }
        check
    }

    #[test]
    fn requests_of_several_classes_go_together() {
        let strict = LimitSemantics::Strict;
        let checks = [
            check(1, &[(1, strict, 100, MINUTE)]),
            check(1, &[(2, strict, 20, MINUTE), (3, strict, 100, MINUTE)]),
            check(1, &[(4, strict, 100, MINUTE)]),
            check(2, &[(5, strict, 100, MINUTE)]),
        ];
        let call = StrictCall::of(&checks).unwrap();
        assert_eq!(call.sets, [1, 7, 1, 17]);
        assert_eq!(call.packed.states(), 5);
        assert_eq!(call.rules.len(), 22 * 8);
    }

    #[test]
    fn what_the_script_does_not_know_is_left_to_the_other_one() {
        let (strict, burst) = (LimitSemantics::Strict, LimitSemantics::Burst);
        let own = |number| check(1, &[(number, strict, 100, MINUTE)]);
        for checks in [
            vec![],
            vec![check(1, &[])],
            vec![own(1), check(1, &[])],
            vec![own(1), own(2), own(1)],
            vec![check(1, &[(1, strict, 100, MINUTE), (1, strict, 20, MINUTE)])],
            vec![check(0, &[(1, strict, 100, MINUTE)])],
            vec![own(1), check(1, &[(2, burst, 100, MINUTE)])],
            vec![own(1), check(1, &[(2, strict, 100, 10 * MINUTE)])],
            (1..=60)
                .map(|number| check(number, &[(number, strict, 100, MINUTE)]))
                .collect(),
            (0..=1_000).map(own).collect(),
        ] {
            assert!(StrictCall::of(&checks).is_none(), "{checks:?}");
        }
    }

    #[test]
    fn an_answer_of_another_length_is_not_read() {
        let checks = [check(1, &[(1, LimitSemantics::Strict, 100, MINUTE)])];
        let call = StrictCall::of(&checks).unwrap();
        let answer = |size: u8, state: &[u8]| [&[0; 8][..], &[size], state].concat();
        assert!(call.decided(&answer(0, &[])).is_some());
        assert!(call.decided(&answer(2, &[0; 9])).is_some());
        for answer in [
            vec![],
            vec![0; 8],
            answer(0, &[0]),
            answer(2, &[0; 8]),
            answer(2, &[0; 12]),
            answer(255, &[0; 9]),
        ] {
            assert!(call.decided(&answer).is_none(), "{answer:?}");
        }
    }
}
