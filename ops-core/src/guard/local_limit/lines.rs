use std::collections::HashMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use crate::model::LimitTime;

/// States of keys in lines of eight. A key stands in one of two lines; what has expired is room. Nothing is swept and nothing grows at once.
#[derive(Debug)]
pub(super) struct Lines<C: Cell> {
    table: Table<C>,
    /// While it grows: the table before, of which the lines up to `moved` are empty.
    old: Option<Table<C>>,
    moved: usize,
    most_bits: u32,
    /// Keys that found no room, and by lane what those share that found none here.
    spill: HashMap<u64, (C::State, LimitTime)>,
}

/// How the state of a key is stored: a head of 8 bytes, with which a key is found, and a body. Unless a cell says otherwise, its head is the id of
/// the key, and its body begins with the time from which on it is room.
pub(super) trait Cell: Debug + 'static {
    /// Words beside the head.
    const BODY: usize;
    /// A new table has two to the power of this many lines.
    const FIRST_BITS: u32;
    /// What is stored. The default is a key that was never seen.
    type State: Copy + Default + Debug;

    /// What [`known`](Self::known) is for `id` in its first or second line.
    #[inline]
    fn wanted(id: u64, _second: bool) -> u64 {
        id | USED
    }
    /// The part of a head that tells keys apart.
    #[inline]
    fn known(head: u64) -> u64 {
        head
    }
    /// Whether the cell is room.
    #[inline]
    fn is_free(head: u64, body: &[u64], now: LimitTime) -> bool {
        Self::free(head, body) <= now
    }
    /// The id of the key in a cell, or as much of it as finds it again. `first_line` gives its first line, from whether it stands in its
    /// second and from its tag.
    #[inline]
    fn id(head: u64, _first_line: impl Fn(bool, u64) -> u64) -> u64 {
        head
    }
    /// From when on the cell is room.
    #[inline]
    fn free(_head: u64, body: &[u64]) -> LimitTime {
        LimitTime::from_micros(body[0])
    }
    /// The state.
    fn read(head: u64, body: &[u64]) -> Self::State;
    /// Writes the body and gives the head.
    fn write(wanted: u64, body: &mut [u64], state: Self::State, free: LimitTime) -> u64;
}

/// So that no id is 0, which is a cell that was never used.
const USED: u64 = 1 << 63;

pub(super) const TAG_BITS: u32 = 27;

/// The bits of an id that every head holds.
#[inline]
pub(super) fn tag(id: u64) -> u64 {
    id >> 6 & ((1 << TAG_BITS) - 1)
}

const CELLS: usize = 8;
/// How many lines move with each key that is new to a growing table.
const STEP: usize = 8;
/// How many keys that found no room are held apart.
const SPILL: usize = 64;

impl<C: Cell> Lines<C> {
    /// Room for about `most` keys at most.
    pub(super) fn new(most: usize) -> Self {
        let lines = most.div_ceil(CELLS).max(1 << C::FIRST_BITS).next_power_of_two();
        Self {
            table: Table::empty(),
            old: None,
            moved: 0,
            most_bits: lines.trailing_zeros(),
            spill: HashMap::new(),
        }
    }

    /// The state of a key; `lane` tells which of them share where there is no room.
    #[inline]
    pub(super) fn get(&self, id: u64, lane: usize, now: LimitTime) -> C::State {
        if let Some(at) = self.table.find(id) {
            return self.table.read(at);
        }
        if let Some(old) = &self.old
            && let Some(at) = old.find(id)
        {
            return old.read(at);
        }
        if self.spill.is_empty() {
            return C::State::default();
        }
        self.spilled(id, lane, now)
    }

    /// Stores the state of a key, which is that of a key that was never seen from `free` on. Whether it has a place of its own.
    #[inline]
    pub(super) fn put(
        &mut self,
        id: u64,
        lane: usize,
        state: C::State,
        free: LimitTime,
        now: LimitTime,
    ) -> bool {
        if let Some(at) = self.table.find(id) {
            self.table.write(at, id, state, free);
            return true;
        }
        self.put_new(id, lane, state, free, now)
    }

    /// Gives the state of a key to `decide`, and stores what that gives, as [`put`](Self::put) does.
    #[inline]
    pub(super) fn change<T>(
        &mut self,
        id: u64,
        lane: usize,
        now: LimitTime,
        decide: impl FnOnce(C::State) -> (T, Option<(C::State, LimitTime)>),
    ) -> (T, bool) {
        if let Some(at) = self.table.find(id) {
            let (told, next) = decide(self.table.read(at));
            if let Some((state, free)) = next {
                self.table.write(at, id, state, free);
            }
            return (told, true);
        }
        let (told, next) = decide(self.get(id, lane, now));
        let own = next.is_none_or(|(state, free)| self.put_new(id, lane, state, free, now));
        (told, own)
    }

    /// Bytes of the tables.
    pub(super) fn bytes(&self) -> usize {
        let spill = self.spill.capacity() * size_of::<(u64, C::State, LimitTime)>();
        self.table.bytes() + self.old.as_ref().map_or(0, Table::bytes) + spill
    }

    fn put_new(&mut self, id: u64, lane: usize, state: C::State, free: LimitTime, now: LimitTime) -> bool {
        self.step(now);
        if let Some(old) = &mut self.old
            && let Some(at) = old.find(id)
        {
            old.clear(at);
        }
        // It may just have been moved.
        if let Some(at) = self.table.find(id) {
            self.table.write(at, id, state, free);
            return true;
        }
        let mut placed = self.table.insert(id, state, free, now);
        if !placed && self.old.is_none() && self.table.bits < self.most_bits {
            self.grow();
            placed = self.table.insert(id, state, free, now);
        }
        if placed {
            if !self.spill.is_empty() {
                self.spill.remove(&id);
            }
            return true;
        }
        if self.spill.len() >= SPILL && !self.spill.contains_key(&id) {
            self.spill.retain(|_, (_, free)| *free > now);
        }
        let own = self.spill.len() < SPILL || self.spill.contains_key(&id);
        let place = if own { id } else { shared(lane) };
        self.spill.insert(place, (state, free));
        own
    }

    #[cold]
    fn spilled(&self, id: u64, lane: usize, now: LimitTime) -> C::State {
        let place = match self.spill.contains_key(&id) {
            true => id,
            false if self.spill.len() < SPILL || self.table.has_room(id, now) => return C::State::default(),
            false => shared(lane),
        };
        self.spill
            .get(&place)
            .map(|(state, _)| *state)
            .unwrap_or_default()
    }

    /// Begins a table of twice the size. Memory that is zero costs nothing until it is used.
    #[cold]
    fn grow(&mut self) {
        let bits = if self.table.heads.words.is_empty() {
            C::FIRST_BITS
        } else {
            self.table.bits + 1
        };
        let old = std::mem::replace(&mut self.table, Table::of(bits));
        if !old.heads.words.is_empty() {
            self.old = Some(old);
            self.moved = 0;
        }
    }

    /// Moves the next lines into the new table.
    fn step(&mut self, now: LimitTime) {
        let Some(mut old) = self.old.take() else { return };
        let lines = 1_usize << old.bits;
        for line in self.moved..(self.moved + STEP).min(lines) {
            for at in line * CELLS..(line + 1) * CELLS {
                let (head, body) = old.cell(at);
                if !C::is_free(head, body, now) {
                    let (id, state, free) = (old.id(at), C::read(head, body), C::free(head, body));
                    if !self.table.insert(id, state, free, now) {
                        // Next to never, as the new table is half empty: the next key tries again.
                        self.old = Some(old);
                        return;
                    }
                }
                old.clear(at);
            }
            self.moved = line + 1;
        }
        if self.moved < lines {
            self.old = Some(old);
        }
    }
}

/// The place of what a lane shares. An id of a key has another form: a few in 2^64 may not.
fn shared(lane: usize) -> u64 {
    u64::MAX - lane as u64
}

/// Two to the power of `bits` lines, or none.
#[derive(Debug)]
struct Table<C> {
    bits: u32,
    heads: Words,
    bodies: Vec<u64>,
    cell: PhantomData<C>,
}

/// Words that begin at a cache line.
#[derive(Debug)]
struct Words {
    words: Vec<u64>,
    skipped: usize,
}

impl Words {
    fn zero(count: usize) -> Self {
        let words = vec![0; count + CELLS - 1];
        let skipped = words.as_ptr().align_offset(64).min(CELLS - 1);
        Self { words, skipped }
    }

    #[inline]
    fn line(&self, line: usize) -> &[u64; CELLS] {
        let from = self.skipped + line * CELLS;
        // A slice of eight is an array of eight.
        self.words[from..from + CELLS]
            .first_chunk()
            .unwrap_or(&[0; CELLS])
    }
}

impl<C: Cell> Table<C> {
    fn empty() -> Self {
        let heads = Words {
            words: Vec::new(),
            skipped: 0,
        };
        Self {
            bits: 0,
            heads,
            bodies: Vec::new(),
            cell: PhantomData,
        }
    }

    fn of(bits: u32) -> Self {
        let cells = CELLS << bits;
        Self {
            bits,
            heads: Words::zero(cells),
            bodies: vec![0; cells * C::BODY],
            cell: PhantomData,
        }
    }

    fn bytes(&self) -> usize {
        (self.heads.words.capacity() + self.bodies.capacity()) * size_of::<u64>()
    }

    #[inline]
    fn mask(&self) -> u64 {
        (1 << self.bits) - 1
    }

    #[inline]
    fn first(&self, id: u64) -> usize {
        (id & self.mask()) as usize
    }

    /// The other line of a key that stands in `line`.
    #[inline]
    fn other(&self, line: usize, tag: u64) -> usize {
        let far = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 31 | 1;
        line ^ (far & self.mask()) as usize
    }

    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        if self.heads.words.is_empty() {
            return None;
        }
        let first = self.first(id);
        let wanted = C::wanted(id, false);
        if let Some(at) = matching(self.heads.line(first), |head| C::known(head) == wanted) {
            return Some(first * CELLS + at);
        }
        let second = self.other(first, tag(id));
        let wanted = C::wanted(id, true);
        matching(self.heads.line(second), |head| C::known(head) == wanted).map(|at| second * CELLS + at)
    }

    fn has_room(&self, id: u64, now: LimitTime) -> bool {
        self.room(id, now).is_some() || self.movable(id, now).is_some()
    }

    /// A free cell in one of the two lines of a key, and whether it is in the second.
    fn room(&self, id: u64, now: LimitTime) -> Option<(usize, bool)> {
        if self.heads.words.is_empty() {
            return None;
        }
        let first = self.first(id);
        let free = |line: usize| {
            (line * CELLS..(line + 1) * CELLS).find(|at| {
                let (head, body) = self.cell(*at);
                C::is_free(head, body, now)
            })
        };
        let in_first = free(first).map(|at| (at, false));
        in_first.or_else(|| free(self.other(first, tag(id))).map(|at| (at, true)))
    }

    fn insert(&mut self, id: u64, state: C::State, free: LimitTime, now: LimitTime) -> bool {
        let Some((at, second)) = self.room(id, now).or_else(|| self.make_room(id, now)) else {
            return false;
        };
        self.store(at, C::wanted(id, second), state, free);
        true
    }

    /// Moves one of the keys that fill both lines of `id` to the other line of its own. Without it, a table would have to grow when it is not
    /// half full; one step is enough for three quarters.
    #[cold]
    fn make_room(&mut self, id: u64, now: LimitTime) -> Option<(usize, bool)> {
        let (from, to) = self.movable(id, now)?;
        let (moving, (head, body)) = (self.id(from), self.cell(from));
        let (state, free) = (C::read(head, body), C::free(head, body));
        self.write(to, moving, state, free);
        self.clear(from);
        Some((from, from / CELLS != self.first(id)))
    }

    /// A cell of the two lines of `id` whose key could stand in another cell, and that cell.
    fn movable(&self, id: u64, now: LimitTime) -> Option<(usize, usize)> {
        if self.heads.words.is_empty() {
            return None;
        }
        let first = self.first(id);
        let second = self.other(first, tag(id));
        let is_free = |at: &usize| {
            let (head, body) = self.cell(*at);
            C::is_free(head, body, now)
        };
        let mut cells = (first * CELLS..(first + 1) * CELLS).chain(second * CELLS..(second + 1) * CELLS);
        cells.find_map(|from| {
            let other = self.other(from / CELLS, tag(self.id(from)));
            let to = (other * CELLS..(other + 1) * CELLS).find(is_free)?;
            Some((from, to))
        })
    }

    #[inline]
    fn write(&mut self, at: usize, id: u64, state: C::State, free: LimitTime) {
        let second = at / CELLS != self.first(id);
        self.store(at, C::wanted(id, second), state, free);
    }

    #[inline]
    fn store(&mut self, at: usize, wanted: u64, state: C::State, free: LimitTime) {
        let body = &mut self.bodies[at * C::BODY..(at + 1) * C::BODY];
        self.heads.words[self.heads.skipped + at] = C::write(wanted, body, state, free);
    }

    #[inline]
    fn read(&self, at: usize) -> C::State {
        let (head, body) = self.cell(at);
        C::read(head, body)
    }

    fn clear(&mut self, at: usize) {
        self.heads.words[self.heads.skipped + at] = 0;
        self.bodies[at * C::BODY..(at + 1) * C::BODY].fill(0);
    }

    #[inline]
    fn cell(&self, at: usize) -> (u64, &[u64]) {
        let head = self.heads.words[self.heads.skipped + at];
        (head, &self.bodies[at * C::BODY..(at + 1) * C::BODY])
    }

    /// The id of the key in a cell that is not free.
    fn id(&self, at: usize) -> u64 {
        let (head, _) = self.cell(at);
        let line = at / CELLS;
        C::id(head, |second, tag| match second {
            true => self.other(line, tag) as u64,
            false => line as u64,
        })
    }
}

/// The first of a line that fits. Without a branch for each.
#[inline]
fn matching(line: &[u64; CELLS], fits: impl Fn(u64) -> bool) -> Option<usize> {
    let mut found = 0_u32;
    for (at, head) in line.iter().enumerate() {
        found |= u32::from(fits(*head)) << at;
    }
    (found != 0).then(|| found.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Fine, Packed, Ring};
    use super::super::mix;
    use super::*;
    use crate::model::StrictRing;

    const T: LimitTime = LimitTime::from_micros(1_000_000);

    fn fill<C: Cell>(
        lines: &mut Lines<C>,
        keys: u64,
        state: impl Fn(u64) -> C::State,
        free: LimitTime,
    ) -> usize {
        let mut own = 0;
        for key in 0..keys {
            own += usize::from(lines.put(mix(key), 0, state(key), free, T));
        }
        own
    }

    #[test]
    fn what_was_stored_is_found_again_while_the_table_grows() {
        let state = |key: u64| LimitTime::from_micros(2_000_000 + key * 1_000);
        let (mut packed, mut fine) = (Lines::<Packed>::new(1 << 20), Lines::<Fine>::new(1 << 20));
        for key in 0..60_000 {
            assert!(packed.put(mix(key), 0, state(key), state(key), T));
            assert!(fine.put(mix(key), 0, state(key), state(key), T));
            for back in [0, 1, key / 2, key] {
                let known = key.saturating_sub(back);
                assert_eq!(packed.get(mix(known), 0, T), state(known), "{known} after {key}");
                assert_eq!(fine.get(mix(known), 0, T), state(known), "{known} after {key}");
            }
        }
        let wrong = (0..60_000)
            .filter(|key| packed.get(mix(*key), 0, T) != state(*key))
            .count();
        assert_eq!(wrong, 0, "27 bits and a line tell 60 thousand keys apart");
        assert!((60_000..100_000).all(|key| fine.get(mix(key), 0, T) == LimitTime::ZERO));
    }

    #[test]
    fn a_table_that_is_three_quarters_full_has_not_grown_and_has_lost_nobody() {
        let state = |key: u64| LimitTime::from_micros(2_000_000 + key * 1_000);
        let cells = CELLS << 11;
        let (mut packed, mut fine) = (Lines::<Packed>::new(1 << 20), Lines::<Fine>::new(1 << 20));
        let keys = cells as u64 * 3 / 4;
        for key in 0..keys {
            packed.put(mix(key), 0, state(key), state(key), T);
            fine.put(mix(key), 0, state(key), state(key), T);
        }
        assert_eq!((packed.table.bits, fine.table.bits), (11, 11));
        for key in 0..keys {
            assert_eq!(packed.get(mix(key), 0, T), state(key), "{key}");
            assert_eq!(fine.get(mix(key), 0, T), state(key), "{key}");
        }
        for key in 0..keys {
            packed.put(mix(key), 0, state(key + 1), state(key + 1), T);
        }
        assert!(
            (0..keys).all(|key| packed.get(mix(key), 0, T) == state(key + 1)),
            "each stands once"
        );
    }

    #[test]
    fn a_key_that_is_stored_again_while_the_table_grows_stands_once_and_newest() {
        let state = |key: u64| LimitTime::from_micros(2_000_000 + key * 1_000);
        let mut lines = Lines::<Fine>::new(1 << 20);
        let mut known = 0;
        let mut grown = 0;
        while grown < 3 {
            lines.put(mix(known), 0, state(known), state(known), T);
            known += 1;
            if lines.old.is_none() || known < 5_000 {
                continue;
            }
            grown += 1;
            // Those that are moved with the next new key are among them.
            for key in 0..known {
                let newer = state(known + key);
                lines.put(mix(key), 0, newer, newer, T);
                assert_eq!(lines.get(mix(key), 0, T), newer, "{key} of {known}");
            }
        }
        let used = |table: &Table<Fine>| table.heads.words.iter().filter(|head| **head != 0).count();
        let all = used(&lines.table) + lines.old.as_ref().map_or(0, used);
        assert_eq!(all as u64, known, "each stands once");
    }

    #[test]
    fn a_ring_comes_back_as_it_was_stored() {
        let mut lines = Lines::<Ring>::new(1 << 12);
        let ring = |key: u64| {
            StrictRing::from_places(key + 40, std::array::from_fn(|at| at as u16 * 7 + key as u16))
        };
        assert_eq!(
            fill(&mut lines, 3_000, ring, LimitTime::from_micros(9_000_000)),
            3_000
        );
        assert!((0..3_000).all(|key| lines.get(mix(key), 0, T) == ring(key)));
    }

    #[test]
    fn what_has_expired_is_room_and_the_table_does_not_grow() {
        let mut lines = Lines::<Packed>::new(1 << 20);
        let mut now = T;
        let mut most = 0;
        for round in 0..50_u64 {
            now = LimitTime::from_micros(now.as_micros() + 60_000_000);
            let full = LimitTime::from_micros(now.as_micros() + 600_000);
            for key in 0..1_000 {
                lines.put(mix(round * 1_000 + key), 0, full, full, now);
            }
            most = most.max(lines.bytes());
        }
        assert!(
            most < 40_000,
            "{most} bytes for a thousand live keys of fifty thousand"
        );
    }

    #[test]
    fn a_full_table_lets_new_keys_share_and_loses_none() {
        let mut lines = Lines::<Fine>::new(4_096);
        let state = LimitTime::from_micros(50_000_000);
        let own = fill(&mut lines, 100_000, |_| state, state);
        assert!((4_000..4_300).contains(&own), "{own}");
        let bytes = lines.bytes();
        assert!(bytes < 100_000, "{bytes}");
        assert!(
            (0..100_000).all(|key| lines.get(mix(key), 0, T) == state),
            "every key is counted somewhere"
        );
        assert_eq!(
            lines.get(mix(1 << 40), 1, T),
            LimitTime::ZERO,
            "another lane shares something else"
        );
        let later = LimitTime::from_micros(50_000_000);
        assert!(
            lines.put(mix(1 << 41), 0, state, state, later),
            "there is room again"
        );
    }
}
