use std::time::Duration;

use super::{LimitTime, Standing};

/// How many slots a [`StrictRing`] has: a period is 30 slots, and one more is counted whole because the window begins somewhere in it.
pub const RING_SLOTS: usize = 31;

/// The strict limit: no window of the period holds more than the limit.
///
/// What a key has used stands in slots of a thirtieth of the period. A slot counts until the period has passed since its end, so use is
/// given back up to one slot late and never early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strict {
    limit: u32,
    slot: u64,
}

/// What one key has used of a strict limit, by slot. The default is a key that was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrictRing {
    /// The number of the newest slot since the point that times count from.
    newest: u64,
    /// Slot `n` stands at `n % RING_SLOTS`; those older than `newest - 30` are zero.
    counts: [u16; RING_SLOTS],
}

impl StrictRing {
    /// From the newest slot, and slots with what each holds; one that has left the window counts no more, and so does one that is newer.
    pub fn of_slots(newest: u64, slots: impl IntoIterator<Item = (u64, u16)>) -> Self {
        let mut ring = Self {
            newest,
            ..Self::default()
        };
        for (slot, count) in slots {
            if newest
                .checked_sub(slot)
                .is_some_and(|age| age < RING_SLOTS as u64)
            {
                ring.counts[place(slot)] = count;
            }
        }
        ring
    }

    /// From the newest slot and the slots as they stand in memory.
    #[inline]
    pub(crate) fn from_places(newest: u64, counts: [u16; RING_SLOTS]) -> Self {
        Self { newest, counts }
    }

    /// As the slots stand in memory.
    #[inline]
    pub(crate) fn places(&self) -> &[u16; RING_SLOTS] {
        &self.counts
    }

    /// The number of the newest slot.
    #[inline]
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// How much all slots hold.
    #[inline]
    pub fn used(&self) -> u32 {
        self.counts.iter().map(|count| u32::from(*count)).sum()
    }

    /// Makes `slot` the newest; those that have left the window are emptied.
    #[inline]
    fn advance(&mut self, slot: u64) {
        if slot <= self.newest {
            return;
        }
        if slot - self.newest >= RING_SLOTS as u64 {
            self.counts = [0; RING_SLOTS];
        } else {
            for passed in self.newest + 1..=slot {
                self.counts[place(passed)] = 0;
            }
        }
        self.newest = slot;
    }
}

#[inline]
fn place(slot: u64) -> usize {
    // Less than 31, so nothing is cut.
    (slot % RING_SLOTS as u64) as usize
}

impl Strict {
    /// The greatest strict limit.
    pub const MAX_LIMIT: u32 = u16::MAX as u32;

    /// `limit` requests per `per`; a greater one than [`MAX_LIMIT`](Self::MAX_LIMIT) is cut.
    pub fn new(limit: u32, per: Duration) -> Self {
        Self {
            limit: limit.min(Self::MAX_LIMIT),
            slot: LimitTime::from(per)
                .as_micros()
                .div_ceil(RING_SLOTS as u64 - 1)
                .max(1),
        }
    }

    /// How long a slot is: a thirtieth of the period, rounded up to a microsecond.
    pub fn slot(self) -> Duration {
        Duration::from_micros(self.slot)
    }

    /// What `ring` says at `now` to a request that counts `cost` times, and the ring to store. A denied request uses up nothing; a cost of 0
    /// only looks. A time before the newest slot counts as the newest slot.
    #[inline]
    pub fn decide(self, mut ring: StrictRing, now: LimitTime, cost: u32) -> (Standing, StrictRing) {
        let now = now.as_micros();
        ring.advance(now / self.slot);
        let mut used = ring.used();
        let admitted = cost <= self.limit && used <= self.limit - cost;
        if admitted && cost > 0 {
            used += cost;
            // At most the limit, which fits.
            ring.counts[place(ring.newest)] += cost as u16;
        }
        let retry_after = match admitted {
            true => Some(Duration::ZERO),
            false if cost > self.limit => None,
            false => Some(self.wait(&ring, now, (used + cost).saturating_sub(self.limit))),
        };
        let standing = Standing {
            admitted,
            remaining: self.limit.saturating_sub(used),
            reset: self.wait(&ring, now, used),
            retry_after,
        };
        (standing, ring)
    }

    /// How long until `wanted` of what is used is given back.
    fn wait(self, ring: &StrictRing, now: u64, wanted: u32) -> Duration {
        if wanted == 0 {
            return Duration::ZERO;
        }
        let first = (ring.newest + 1).saturating_sub(RING_SLOTS as u64);
        let (mut given, mut at) = (0, place(first));
        let mut last = ring.newest;
        for slot in first..=ring.newest {
            given += u32::from(ring.counts[at]);
            if given >= wanted {
                last = slot;
                break;
            }
            at = if at == RING_SLOTS - 1 { 0 } else { at + 1 };
        }
        let free = (last + RING_SLOTS as u64).saturating_mul(self.slot);
        Duration::from_micros(free.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> LimitTime {
        LimitTime::from_micros(millis * 1_000)
    }

    #[test]
    fn the_limit_at_once_and_nothing_more_for_a_whole_period() {
        let strict = Strict::new(10, MINUTE);
        let mut ring = StrictRing::default();
        for left in (0..10).rev() {
            let (standing, next) = strict.decide(ring, at(1_500), 1);
            assert!(standing.admitted);
            assert_eq!(standing.remaining, left);
            ring = next;
        }
        let (denied, _) = strict.decide(ring, at(1_500), 1);
        assert_eq!(
            denied.retry_after,
            Some(Duration::from_millis(60_500)),
            "the slot ends at 2 s"
        );
        assert_eq!(denied.reset, Duration::from_millis(60_500));
        assert!(!strict.decide(ring, at(61_999), 1).0.admitted);
        assert_eq!(strict.decide(ring, at(62_000), 1).0.remaining, 9);
    }

    #[test]
    fn what_was_used_comes_back_slot_by_slot() {
        let strict = Strict::new(10, MINUTE);
        let (_, ring) = strict.decide(StrictRing::default(), at(0), 4);
        let (_, ring) = strict.decide(ring, at(30_000), 6);
        let (standing, _) = strict.decide(ring, at(30_000), 5);
        assert_eq!(
            standing.retry_after,
            Some(Duration::from_secs(62)),
            "not after the first four"
        );
        let (standing, _) = strict.decide(ring, at(30_000), 4);
        assert_eq!(standing.retry_after, Some(Duration::from_secs(32)));
        assert_eq!(strict.decide(ring, at(62_000), 0).0.remaining, 4);
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let strict = Strict::new(3, MINUTE);
        let (_, ring) = strict.decide(StrictRing::default(), at(100_000), 3);
        assert!(!strict.decide(ring, at(10_000), 1).0.admitted);
    }

    #[test]
    fn no_window_of_a_million_random_schedules_holds_more_than_the_limit() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut admitted = Vec::new();
        for _ in 0..1_000_000 {
            let limit = 1 + next(3) as u32;
            let per = 1 + next(20);
            let strict = Strict::new(limit, Duration::from_micros(per * 1_000));
            let mut ring = StrictRing::default();
            let mut now = next(100_000);
            admitted.clear();
            for _ in 0..6 {
                now += next(per * 500);
                let cost = 1 + next(2) as u32;
                let (standing, after) = strict.decide(ring, LimitTime::from_micros(now), cost);
                ring = after;
                if standing.admitted {
                    admitted.push((now, cost));
                }
                // The window that ends now is the fullest that this request can be in, and both its ends belong to it.
                let window: u32 = admitted
                    .iter()
                    .filter(|(then, _)| now - then <= per * 1_000)
                    .map(|(_, cost)| cost)
                    .sum();
                assert!(window <= limit, "{window} of {limit} at {now}: {admitted:?}");
            }
        }
    }
}
