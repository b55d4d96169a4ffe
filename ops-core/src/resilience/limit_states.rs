use crate::model::{Gcra, LimitSemantics, LimitTime, MAX_LIMITS_AT_ONCE, Standing, Strict, StrictRing};
use crate::ports::{CountedLimit, LimitCheck};

/// What a key has used of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store reads and writes each")]
pub enum LimitState {
    /// When the allowance is full again, as [`Gcra`] has it.
    Burst(LimitTime),
    /// The slots, as [`Strict`] has them.
    Strict(StrictRing),
}

impl LimitState {
    /// What `state` says at `now` to a request that counts `cost` times under `limit`, and the state to store. Without a state, or with one of
    /// another meaning, nothing has been used.
    pub fn decide(state: Option<Self>, limit: &CountedLimit, now: LimitTime, cost: u32) -> (Standing, Self) {
        if limit.semantics == LimitSemantics::Strict {
            let ring = match state {
                Some(Self::Strict(ring)) => ring,
                _ => StrictRing::default(),
            };
            let (standing, ring) = Strict::new(limit.limit, limit.per).decide(ring, now, cost);
            return (standing, Self::Strict(ring));
        }
        let full_at = match state {
            Some(Self::Burst(full_at)) => full_at,
            _ => LimitTime::ZERO,
        };
        let (standing, full_at) = Gcra::new(limit.limit, limit.per).decide(full_at, now, cost);
        (standing, Self::Burst(full_at))
    }
}

/// States of many keys, and how a check with several limits is decided on them: all of them admit it, or it uses up nothing.
pub trait LimitStates {
    /// Decides on the state of `limit`, the one at `place` within its check, and gives the state to store; stores nothing.
    fn decide_one(
        &mut self,
        place: usize,
        limit: &CountedLimit,
        now: LimitTime,
        cost: u32,
    ) -> (Standing, LimitState);

    /// Stores `state`.
    fn keep(&mut self, place: usize, limit: &CountedLimit, state: LimitState);

    /// Decides `check` at `now` and adds to `standings` how each of its limits stands.
    fn decide_all(&mut self, check: &LimitCheck, now: LimitTime, standings: &mut Vec<Standing>) {
        let first = standings.len();
        let mut after = [None; MAX_LIMITS_AT_ONCE];
        let mut admitted = true;
        for (place, (next, limit)) in after.iter_mut().zip(check.limits()).enumerate() {
            let (standing, state) = self.decide_one(place, limit, now, check.cost());
            admitted &= standing.admitted;
            *next = Some(state);
            standings.push(standing);
        }
        if !admitted {
            // A limit that admits stands as without this request.
            for (place, limit) in check.limits().enumerate() {
                if standings[first + place].admitted {
                    standings[first + place] = self.decide_one(place, limit, now, 0).0;
                }
            }
        } else if check.cost() > 0 {
            for (place, (limit, next)) in check.limits().zip(after.into_iter().flatten()).enumerate() {
                self.keep(place, limit, next);
            }
        }
    }
}
