use std::hash::BuildHasher as _;

use super::LimitCallerId;
use crate::model::{LimitKey, LimitTime};

/// Something about each of a bounded number of callers. When there is no room, the one of eight that matters least gives way,
/// the oldest of those.
#[derive(Debug)]
pub(super) struct Callers<E> {
    hasher: foldhash::quality::RandomState,
    sets: Vec<Vec<(u64, LimitCallerId, E)>>,
}

pub(super) trait Entry: Default {
    /// How much it matters to somebody who looks at what came after `since`.
    fn worth(&self, since: LimitTime) -> u64;
}

const WAYS: usize = 8;

impl<E: Entry> Callers<E> {
    pub(super) fn new(most: usize) -> Self {
        let sets = (most / WAYS).max(1);
        Self {
            hasher: foldhash::quality::RandomState::default(),
            sets: (0..sets).map(|_| Vec::new()).collect(),
        }
    }

    /// Changes the entry of `key`. Others matter by what came after `since`.
    pub(super) fn entry<T>(
        &mut self,
        key: &LimitKey<'_>,
        since: LimitTime,
        change: impl FnOnce(&mut E) -> T,
    ) -> T {
        let hash = self.hasher.hash_one(key);
        let sets = self.sets.len() as u64;
        let set = &mut self.sets[usize::try_from(hash % sets).unwrap_or_default()];
        if let Some((.., entry)) = set.iter_mut().find(|(known, ..)| *known == hash) {
            return change(entry);
        }
        if set.len() >= WAYS {
            let least = (0..set.len())
                .min_by_key(|at| set[*at].2.worth(since))
                .unwrap_or_default();
            set.remove(least);
        }
        let mut entry = E::default();
        let changed = change(&mut entry);
        set.push((hash, LimitCallerId::of(key), entry));
        changed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&LimitCallerId, &E)> {
        self.sets.iter().flatten().map(|(_, id, entry)| (id, entry))
    }
}
