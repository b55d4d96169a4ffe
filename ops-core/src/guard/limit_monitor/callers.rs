use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::LimitCallerId;
use crate::model::{LimitKey, LimitTime};

/// Something about each of a bounded number of callers. When there is no room, the one of eight that matters least gives way,
/// the oldest of those. A lock is held for eight callers at a time.
pub(super) struct Callers<E> {
    hasher: foldhash::quality::RandomState,
    sets: Box<[Mutex<Set<E>>]>,
}

type Set<E> = Vec<(u64, LimitCallerId, E)>;

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
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// Changes the entry of `key`; gives its number too, by which [`find`](Self::find) finds the caller. Others matter by what came after
    /// `since`.
    pub(super) fn entry<T>(
        &self,
        key: &LimitKey<'_>,
        since: LimitTime,
        change: impl FnOnce(&mut E) -> T,
    ) -> (u64, T) {
        let hash = self.hasher.hash_one(key);
        let mut set = self.set(hash);
        if let Some((.., entry)) = set.iter_mut().find(|(known, ..)| *known == hash) {
            return (hash, change(entry));
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
        (hash, changed)
    }

    /// The caller of that number, if it is still remembered.
    pub(super) fn find(&self, number: u64) -> Option<LimitCallerId> {
        let set = self.set(number);
        let found = set.iter().find(|(known, ..)| *known == number);
        found.map(|(_, caller, _)| caller.clone())
    }

    /// Something about each.
    pub(super) fn map<T>(&self, one: impl Fn(&LimitCallerId, &E) -> T) -> Vec<T> {
        let mut all = Vec::new();
        for set in &self.sets {
            all.extend(lock(set).iter().map(|(_, caller, entry)| one(caller, entry)));
        }
        all
    }

    pub(super) fn clear(&self) {
        self.sets.iter().for_each(|set| lock(set).clear());
    }

    fn set(&self, hash: u64) -> MutexGuard<'_, Set<E>> {
        let sets = self.sets.len() as u64;
        lock(&self.sets[usize::try_from(hash % sets).unwrap_or_default()])
    }
}

impl<E> fmt::Debug for Callers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").finish_non_exhaustive()
    }
}

fn lock<T>(set: &Mutex<T>) -> MutexGuard<'_, T> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}
