use super::lines::{Cell, TAG_BITS, tag};
use crate::model::{LimitTime, RING_SLOTS, StrictRing};

/// A burst in 8 bytes: which of two lines it stands in (1 bit), a part of the id (27), and when it is full again in milliseconds (36, which
/// are two years). Rounded up, so that nothing is admitted early.
#[derive(Debug)]
pub(super) struct Packed;

impl Cell for Packed {
    const BODY: usize = 0;
    /// Six bits of the id are known from the line.
    const FIRST_BITS: u32 = 6;
    type State = LimitTime;

    #[inline]
    fn wanted(id: u64, second: bool) -> u64 {
        u64::from(second) << TAG_BITS | tag(id)
    }

    #[inline]
    fn known(head: u64) -> u64 {
        head >> MILLIS_BITS
    }

    #[inline]
    fn is_free(head: u64, _: &[u64], now: LimitTime) -> bool {
        head & MILLIS <= now.as_micros() / 1_000
    }

    #[inline]
    fn id(head: u64, first_line: impl Fn(bool, u64) -> u64) -> u64 {
        let known = Self::known(head);
        let tag = known & ((1 << TAG_BITS) - 1);
        let line = first_line(known >> TAG_BITS == 1, tag);
        tag << Self::FIRST_BITS | line & ((1 << Self::FIRST_BITS) - 1)
    }

    #[inline]
    fn free(head: u64, body: &[u64]) -> LimitTime {
        Self::read(head, body)
    }

    #[inline]
    fn read(head: u64, _: &[u64]) -> LimitTime {
        LimitTime::from_micros((head & MILLIS) * 1_000)
    }

    #[inline]
    fn write(wanted: u64, _: &mut [u64], state: LimitTime, _: LimitTime) -> u64 {
        wanted << MILLIS_BITS | state.as_micros().div_ceil(1_000).min(MILLIS)
    }
}

const MILLIS_BITS: u32 = 36;
const MILLIS: u64 = (1 << MILLIS_BITS) - 1;

/// A burst in 16 bytes, to the microsecond.
#[derive(Debug)]
pub(super) struct Fine;

impl Cell for Fine {
    const BODY: usize = 1;
    const FIRST_BITS: u32 = 3;
    type State = LimitTime;

    #[inline]
    fn read(_: u64, body: &[u64]) -> LimitTime {
        LimitTime::from_micros(body[0])
    }

    #[inline]
    fn write(wanted: u64, body: &mut [u64], state: LimitTime, _: LimitTime) -> u64 {
        body[0] = state.as_micros();
        wanted
    }
}

/// The slots of a strict limit in 88 bytes.
#[derive(Debug)]
pub(super) struct Ring;

/// Counts that fit into a word.
const IN_WORD: usize = 4;
const COUNT_WORDS: usize = RING_SLOTS.div_ceil(IN_WORD);

impl Cell for Ring {
    /// When all is given back, the newest slot, and the counts.
    const BODY: usize = 2 + COUNT_WORDS;
    const FIRST_BITS: u32 = 2;
    type State = StrictRing;

    #[inline]
    fn read(_: u64, body: &[u64]) -> StrictRing {
        let mut counts = [0; RING_SLOTS];
        for (counts, word) in counts.chunks_mut(IN_WORD).zip(&body[2..]) {
            for (at, count) in counts.iter_mut().enumerate() {
                *count = (word >> (16 * at)) as u16;
            }
        }
        StrictRing::from_places(body[1], counts)
    }

    #[inline]
    fn write(wanted: u64, body: &mut [u64], state: StrictRing, free: LimitTime) -> u64 {
        body[0] = free.as_micros();
        body[1] = state.newest();
        for (word, counts) in body[2..].iter_mut().zip(state.places().chunks(IN_WORD)) {
            let wide = counts.iter().enumerate();
            *word = wide.fold(0, |word, (at, count)| word | u64::from(*count) << (16 * at));
        }
        wanted
    }
}
