use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{SwitchState, SwitchStore};

/// One feature of one [`KillSwitch`]: the number of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Feature(u8);

/// The stopped features of this process, in one atomic word.
///
/// [`allows`](Self::allows) is a load and a test: no lock, no clock, no allocation. A stop made here holds at once, whatever the
/// shared store says or whether it can be reached; it is opened by the shared store only after the store itself has shown the stop,
/// and then by a newer generation.
///
/// ```
/// use ops_core::guard::KillSwitch;
///
/// let switch = KillSwitch::new(["llm-brain", "search"])?;
/// let brain = switch.feature("llm-brain").expect("named above");
/// assert!(switch.allows(brain));
/// switch.stop_here(brain);
/// assert!(!switch.allows(brain));
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct KillSwitch {
    /// What is in force: the store's stops and the local ones.
    word: AtomicU64,
    /// Stops made here that the store has not shown yet.
    local: AtomicU64,
    names: Vec<String>,
    /// What was adopted last; held only while adopting.
    adopted: Mutex<Adopted>,
}

/// What the shared store said last.
#[derive(Debug, Default)]
struct Adopted {
    generation: u64,
    stopped: u64,
}

/// One bit of the word stays free.
const MOST_FEATURES: usize = 63;

impl KillSwitch {
    /// A switch with every feature open.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for more than 63 features or a name given twice.
    pub fn new<N: Into<String>>(features: impl IntoIterator<Item = N>) -> Result<Self> {
        let names: Vec<String> = features.into_iter().map(Into::into).collect();
        let wrong = |why: &str| {
            Err(Error::new(ErrorKind::InvalidConfig, "build kill switch").context("features", why))
        };
        if names.len() > MOST_FEATURES {
            return wrong("63 at most");
        }
        if names
            .iter()
            .enumerate()
            .any(|(at, name)| names[..at].contains(name))
        {
            return wrong("a name is given twice");
        }
        Ok(Self {
            word: AtomicU64::new(0),
            local: AtomicU64::new(0),
            names,
            adopted: Mutex::default(),
        })
    }

    /// A switch of one open feature.
    pub fn single(feature: impl Into<String>) -> (Self, Feature) {
        let switch = Self {
            word: AtomicU64::new(0),
            local: AtomicU64::new(0),
            names: vec![feature.into()],
            adopted: Mutex::default(),
        };
        (switch, Feature(0))
    }

    /// The feature of that name.
    pub fn feature(&self, name: &str) -> Option<Feature> {
        self.names
            .iter()
            .position(|known| known == name)
            .and_then(|at| u8::try_from(at).ok())
            .map(Feature)
    }

    /// Whether the feature may be used.
    #[inline]
    pub fn allows(&self, feature: Feature) -> bool {
        self.word.load(Ordering::Relaxed) & (1 << feature.0) == 0
    }

    /// Stops the feature in this process. Never blocks, never fails.
    pub fn stop_here(&self, feature: Feature) {
        // First the memory that an adopting thread looks at again, then what is in force.
        self.local.fetch_or(1 << feature.0, Ordering::SeqCst);
        self.word.fetch_or(1 << feature.0, Ordering::SeqCst);
    }

    /// Takes over what the shared store says, unless a newer state was taken over before.
    pub fn adopt(&self, state: &SwitchState) {
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation < adopted.generation {
            return;
        }
        let bit = |(at, name): (usize, &String)| {
            if state.stopped.contains_key(name) {
                1 << at
            } else {
                0
            }
        };
        let stopped: u64 = self.names.iter().enumerate().map(bit).sum();
        *adopted = Adopted {
            generation: state.generation,
            stopped,
        };
        self.local.fetch_and(!stopped, Ordering::SeqCst);
        self.put_in_force(stopped);
    }

    /// Forgets a stop made here, by an operator's decision; what the shared store stops stays stopped.
    pub fn open_here(&self, feature: Feature) {
        let adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        self.local.fetch_and(!(1 << feature.0), Ordering::SeqCst);
        self.put_in_force(adopted.stopped);
    }

    /// Looks again after writing: a stop made meanwhile must not be lost. The caller holds the lock.
    fn put_in_force(&self, stopped: u64) {
        loop {
            let local = self.local.load(Ordering::SeqCst);
            self.word.store(stopped | local, Ordering::SeqCst);
            if self.local.load(Ordering::SeqCst) == local {
                return;
            }
        }
    }

    /// Reads the shared store and adopts its state; returns the generation.
    ///
    /// # Errors
    /// The store's; what was in force stays in force.
    pub async fn refresh(&self, store: &dyn SwitchStore) -> Result<u64> {
        let state = store.read().await?;
        self.adopt(&state);
        Ok(state.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, Timestamp};
    use crate::ports::SwitchedOff;

    fn state(generation: u64, stopped: &[&str]) -> SwitchState {
        let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
        let stopped = stopped
            .iter()
            .map(|name| ((*name).to_owned(), off.clone()))
            .collect();
        SwitchState { generation, stopped }
    }

    #[test]
    fn a_local_stop_outlives_a_store_that_has_not_heard_of_it() {
        let switch = KillSwitch::new(["brain", "search"]).unwrap();
        let (brain, search) = (
            switch.feature("brain").unwrap(),
            switch.feature("search").unwrap(),
        );
        switch.stop_here(brain);
        switch.adopt(&state(5, &["search"]));
        assert!(!switch.allows(brain) && !switch.allows(search));
        switch.adopt(&state(6, &["brain"]));
        assert!(!switch.allows(brain) && switch.allows(search));
        switch.adopt(&state(7, &[]));
        assert!(
            switch.allows(brain),
            "opened by a newer generation after the store had shown the stop"
        );
    }

    #[test]
    fn an_older_generation_opens_nothing() {
        let switch = KillSwitch::new(["brain"]).unwrap();
        let brain = switch.feature("brain").unwrap();
        switch.adopt(&state(2, &["brain"]));
        switch.adopt(&state(1, &[]));
        assert!(!switch.allows(brain));
    }

    #[test]
    fn opening_here_leaves_what_the_store_stops() {
        let switch = KillSwitch::new(["brain", "search"]).unwrap();
        let (brain, search) = (
            switch.feature("brain").unwrap(),
            switch.feature("search").unwrap(),
        );
        switch.adopt(&state(1, &["search"]));
        switch.stop_here(brain);
        switch.stop_here(search);
        switch.open_here(brain);
        switch.open_here(search);
        assert!(switch.allows(brain) && !switch.allows(search));
    }

    #[test]
    fn stops_from_many_threads_are_never_lost_to_an_adoption() {
        let names: Vec<_> = (0..32).map(|at| format!("f{at}")).collect();
        let switch = KillSwitch::new(names.clone()).unwrap();
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| switch.stop_here(switch.feature(name).unwrap()));
            }
            scope.spawn(|| (0..1000).for_each(|generation| switch.adopt(&state(generation, &[]))));
        });
        assert!(
            names
                .iter()
                .all(|name| !switch.allows(switch.feature(name).unwrap()))
        );
    }

    #[test]
    fn refuses_more_features_than_bits() {
        assert!(KillSwitch::new((0..64).map(|at| at.to_string())).is_err());
        assert!(KillSwitch::new(["a", "a"]).is_err());
    }
}
