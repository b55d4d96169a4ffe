//! What the scripts are given and what they answer, in bytes.

use std::collections::HashMap;
use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{
    Gcra, LimitDigest, LimitSemantics, LimitTime, RING_SLOTS, Standing, Strict, StrictRing,
};
use ops_core::ports::{
    CountedLimit, DenialCount, DenialTotal, DenialsCounted, LimitCheck, LimitStamp, LimitsChecked,
};
use ops_core::resilience::{LimitState, LimitStates};
use redis::Value;

use super::error::error;

/// Checks as the script reads them, and what is needed to decide them again.
pub(super) struct Requests<'a> {
    checks: &'a [LimitCheck],
    /// How long states are kept at least, and those that are: each once.
    pub(super) spans: Vec<Span>,
    pub(super) rules: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    /// For each limit of each check the position of its state.
    positions: Vec<usize>,
}

pub(super) struct Span {
    pub(super) micros: u64,
    pub(super) states: Vec<(LimitDigest, LimitSemantics)>,
}

/// The script has all words of a call on its stack at once, which takes 8000.
pub(super) const MOST: usize = 1_000;

impl<'a> Requests<'a> {
    /// # Errors
    /// `InvalidInput` for more than 1000 checks or limits, and for a key that stands twice in a check.
    pub(super) fn of(checks: &'a [LimitCheck]) -> Result<Self> {
        let mut rules = Rules::default();
        let mut spans: Vec<Span> = Vec::with_capacity(1);
        let mut known = HashMap::with_capacity(checks.len() * 2);
        let mut places = Vec::with_capacity(checks.len() * 2);
        for limit in checks.iter().flat_map(LimitCheck::limits) {
            let rule = rules.of(limit);
            let place = *known.entry(limit.key).or_insert_with(|| {
                let span = spans.iter().position(|span| span.micros == rule.span);
                let span = span.unwrap_or_else(|| {
                    spans.push(Span {
                        micros: rule.span,
                        states: Vec::with_capacity(checks.len()),
                    });
                    spans.len() - 1
                });
                spans[span].states.push((limit.key, limit.semantics));
                (span, spans[span].states.len() - 1)
            });
            places.push((place, rule.number));
        }
        let refused = |name, remedy: &'static str| {
            Err(error(ErrorKind::InvalidInput, "check limits").context(name, remedy))
        };
        if checks.len() > MOST || places.len() > MOST {
            return refused("limits", "1000 at most in a call");
        }
        if checks.iter().any(names_a_key_twice) {
            return refused("key", "must not stand twice in a check");
        }
        let before = |span: usize| spans[..span].iter().map(|span| span.states.len()).sum::<usize>();
        let before: Vec<_> = (0..spans.len()).map(before).collect();
        let positions: Vec<_> = places
            .iter()
            .map(|((span, place), _)| before[*span] + place)
            .collect();
        let rule_numbers = places.iter().map(|(_, number)| *number);
        let bytes = alike(checks, known.len(), rules.known.len())
            .unwrap_or_else(|| different(checks, positions.iter().copied().zip(rule_numbers)));
        Ok(Self {
            checks,
            spans,
            rules: rules.bytes,
            bytes,
            positions,
        })
    }

    pub(super) fn states(&self) -> impl Iterator<Item = &(LimitDigest, LimitSemantics)> {
        self.spans.iter().flat_map(|span| &span.states)
    }

    /// The lengths of the spans, and how many states are kept so long.
    pub(super) fn lengths(&self) -> Vec<u8> {
        let length = |span: &Span| {
            let many = u32::try_from(span.states.len()).unwrap_or(u32::MAX);
            [&span.micros.to_le_bytes()[..], &many.to_le_bytes()].concat()
        };
        self.spans.iter().flat_map(length).collect()
    }
}

fn names_a_key_twice(check: &LimitCheck) -> bool {
    let keys = |(place, limit): (usize, &CountedLimit)| {
        check.limits().take(place).any(|other| other.key == limit.key)
    };
    check.limits().enumerate().any(keys)
}

/// The cost, if each state is asked once, by the same rule, and at that cost.
fn alike(checks: &[LimitCheck], states: usize, rules: usize) -> Option<Vec<u8>> {
    let cost = checks.first()?.cost();
    let alike = checks
        .iter()
        .all(|check| check.len() == 1 && check.cost() == cost);
    (alike && cost > 0 && rules == 1 && states == checks.len()).then(|| cost.to_le_bytes().to_vec())
}

/// The script counts from one.
fn different(checks: &[LimitCheck], mut limits: impl Iterator<Item = (usize, usize)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(checks.len() * 24);
    let mut word = |number: usize| bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    for check in checks {
        word(check.len());
        word(check.cost() as usize);
        for (position, rule) in limits.by_ref().take(check.len()) {
            word(position + 1);
            word(rule);
        }
    }
    bytes
}

/// The rules of a call, each once.
#[derive(Default)]
struct Rules {
    known: Vec<((LimitSemantics, u32, Duration), Rule)>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Rule {
    /// From 1.
    number: usize,
    span: u64,
}

impl Rules {
    fn of(&mut self, limit: &CountedLimit) -> Rule {
        let wanted = (limit.semantics, limit.limit, limit.per);
        // Callers with limits of their own are few.
        if let Some((_, rule)) = self.known.iter().find(|(rule, _)| *rule == wanted) {
            return *rule;
        }
        let Measure {
            kind,
            most,
            micros,
            span,
        } = Measure::of(limit);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(most.to_le_bytes());
        self.bytes.extend(micros.to_le_bytes());
        let rule = Rule {
            number: self.known.len() + 1,
            span,
        };
        self.known.push((wanted, rule));
        rule
    }
}

/// A limit in the numbers of the scripts.
pub(super) struct Measure {
    kind: u32,
    pub(super) most: u32,
    /// An interval, or a slot.
    pub(super) micros: u64,
    pub(super) span: u64,
}

impl Measure {
    pub(super) fn of(limit: &CountedLimit) -> Self {
        let (kind, most, micros, kept) = match limit.semantics {
            LimitSemantics::Strict => {
                let slot = LimitTime::from(Strict::new(limit.limit, limit.per).slot()).as_micros();
                let most = limit.limit.min(Strict::MAX_LIMIT);
                (1_u32, most, slot, slot.saturating_mul(RING_SLOTS as u64))
            }
            _ => {
                let interval = LimitTime::from(Gcra::new(limit.limit, limit.per).interval()).as_micros();
                let whole = interval.saturating_mul(u64::from(limit.limit));
                let per = LimitTime::from(limit.per).as_micros();
                // An interval is rounded up, so a whole may be a little more than the period: with room for that, the number of a limit that
                // is changed is no matter.
                let room = per.saturating_add(per / (RING_SLOTS as u64 - 1));
                (0, limit.limit, interval, whole.max(room))
            }
        };
        Self {
            kind,
            most,
            micros,
            span: span_of(kept),
        }
    }
}

/// A state counts for `kept` microseconds at most. Times that are nearly alike are one span, so that there are few.
fn span_of(kept: u64) -> u64 {
    const SECOND: u64 = 1_000_000;
    let seconds = kept.div_ceil(SECOND).max(64).next_power_of_two();
    // Longer than what the script can compare exactly is not needed.
    seconds.saturating_mul(SECOND).min(LimitStamp::MAX_MICROS)
}

/// What the script says of `requests`.
pub(super) fn checked(answer: &Value, requests: &Requests<'_>) -> Result<LimitsChecked> {
    let checked = match answer {
        Value::BulkString(text) => superseded(text),
        Value::Array(parts) => decided(parts, requests),
        _ => None,
    };
    checked.ok_or_else(|| {
        error(ErrorKind::Unexpected, "check limits").context("reason", "the answer cannot be read")
    })
}

pub(super) fn superseded(text: &[u8]) -> Option<LimitsChecked> {
    let (version, at) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some(LimitsChecked::Superseded {
        version: version.parse().ok()?,
        at: LimitTime::from_micros(at.parse().ok()?),
    })
}

/// Decides again on the states that the script decided on.
fn decided(parts: &[Value], requests: &Requests<'_>) -> Option<LimitsChecked> {
    let (Value::BulkString(at), before) = parts.split_first()? else {
        return None;
    };
    let at = LimitTime::from_micros(u64::from_le_bytes(at.as_slice().try_into().ok()?));
    if before.len() != requests.states().count() {
        return None;
    }
    let state = |(value, (_, semantics)): (&Value, &(_, LimitSemantics))| match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => state(bytes, *semantics).map(Some),
        _ => None,
    };
    let mut known = Known {
        states: before
            .iter()
            .zip(requests.states())
            .map(state)
            .collect::<Option<_>>()?,
        positions: &requests.positions,
    };
    let mut standings = Vec::with_capacity(requests.positions.len());
    for check in requests.checks {
        known.decide_all(check, at, &mut standings);
        known.positions = known.positions.get(check.len()..)?;
    }
    Some(LimitsChecked::Decided { at, standings })
}

/// A state in bytes, as the script has it.
pub(super) fn state(bytes: &[u8], semantics: LimitSemantics) -> Option<LimitState> {
    if semantics != LimitSemantics::Strict {
        let full_at = u64::from_le_bytes(bytes.try_into().ok()?);
        return Some(LimitState::Burst(LimitTime::from_micros(full_at)));
    }
    let (newest, slots) = bytes.split_first_chunk::<6>()?;
    let [a, b, c, d, e, f] = *newest;
    let newest = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let (slots, []) = slots.as_chunks::<3>() else {
        return None;
    };
    let slot = |[age, low, high]: &[u8; 3]| {
        let slot = newest.saturating_sub(u64::from(*age));
        (slot, u16::from_le_bytes([*low, *high]))
    };
    Some(LimitState::Strict(StrictRing::of_slots(
        newest,
        slots.iter().map(slot),
    )))
}

struct Known<'a> {
    states: Vec<Option<LimitState>>,
    /// Those of the next check first.
    positions: &'a [usize],
}

impl LimitStates for Known<'_> {
    fn decide_one(
        &mut self,
        place: usize,
        limit: &CountedLimit,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, LimitState) {
        LimitState::decide(self.states[self.positions[place]], limit, now, cost)
    }

    fn keep(&mut self, place: usize, _: &CountedLimit, state: LimitState) {
        self.states[self.positions[place]] = Some(state);
    }
}

pub(super) fn denials(counts: &[DenialCount]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counts.len() * 16);
    for count in counts {
        bytes.extend(count.denied.to_le_bytes());
        bytes.extend(count.threshold.to_le_bytes());
        bytes.extend(LimitTime::from(count.per).as_micros().max(1).to_le_bytes());
    }
    bytes
}

pub(super) fn denials_counted(answer: &Value, asked: usize) -> Result<DenialsCounted> {
    let counted = match answer {
        Value::Array(parts) => match parts.as_slice() {
            [version, Value::BulkString(bytes)] => match bytes.as_chunks::<5>() {
                (records, []) if records.len() == asked => number(version).map(|version| DenialsCounted {
                    version,
                    totals: records.iter().map(total).collect(),
                }),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    counted.ok_or_else(|| {
        error(ErrorKind::Unexpected, "count denials").context("reason", "the answer cannot be read")
    })
}

fn total(record: &[u8; 5]) -> DenialTotal {
    let [a, b, c, d, raised] = *record;
    DenialTotal {
        total: u32::from_le_bytes([a, b, c, d]),
        raised: raised == 1,
    }
}

/// A whole number, as number or as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
