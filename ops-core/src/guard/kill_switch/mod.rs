//! The switch that the request path asks.

mod calls;
mod ending;
mod layers;
mod share;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU16, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub use self::calls::GuardedCall;
pub(super) use self::layers::Adoption;
use self::layers::Layers;
pub use self::layers::{SwitchLayer, SwitchSource};
use self::share::{feature_key, is_admitted};
pub(crate) use super::word::Moment;
use super::word::{Count, Word};
use crate::config::{Env, SwitchConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{SwitchState, SwitchStore};

/// One feature of one [`KillSwitch`]: the number of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Feature(u8);

impl Feature {
    fn bit(self) -> u64 {
        1 << self.0
    }

    fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// The stopped features of this process, in one atomic word.
///
/// [`allows`](Self::allows) is a load and a test: no lock, no clock, no allocation. Everything that decides ([`SwitchLayer`]) is computed
/// elsewhere and written into the word; a stop from any layer wins. A stop made here holds at once, whatever the shared store says or
/// whether it can be reached; it is opened by the shared store only after the store itself has shown the stop, and then by a newer generation.
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
    word: Word,
    features: Vec<FeatureState>,
    /// What each layer said last. Never taken on the request path.
    layers: Mutex<Layers>,
    changed: Notify,
}

#[derive(Debug)]
struct FeatureState {
    config: SwitchConfig,
    key: u64,
    /// In hundredths of a percent, while the feature is partly open; else 0.
    admitted: AtomicU16,
    calls: Count,
}

/// One bit of the word tells that a stop was made meanwhile.
const MOST_FEATURES: usize = 63;

impl KillSwitch {
    /// A switch with every feature open.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for more than 63 features or a name given twice.
    pub fn new<N: Into<String>>(features: impl IntoIterator<Item = N>) -> Result<Self> {
        let features: Vec<_> = features.into_iter().map(SwitchConfig::new).collect();
        Self::configured(&features, &Env::from_pairs::<&str, &str>([]))
    }

    /// A switch of the configured features, with their defaults, and with what `env` stops. It reads `env` now and never again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn configured(features: &[SwitchConfig], env: &Env) -> Result<Self> {
        let wrong = |why: &str| {
            Err(Error::new(ErrorKind::InvalidConfig, "build kill switch").context("features", why))
        };
        if features.len() > MOST_FEATURES {
            return wrong("63 at most");
        }
        let twice =
            |(at, feature): (usize, &SwitchConfig)| features[..at].iter().any(|one| one.name == feature.name);
        if features.iter().enumerate().any(twice) {
            return wrong("a name is given twice");
        }
        Ok(Self::of(features, env))
    }

    /// A switch of one open feature.
    pub fn single(feature: impl Into<String>) -> (Self, Feature) {
        let env = Env::from_pairs::<&str, &str>([]);
        (Self::of(&[SwitchConfig::new(feature)], &env), Feature(0))
    }

    /// A switch of one configured feature.
    pub(crate) fn single_configured(feature: &SwitchConfig, env: &Env) -> (Self, Feature) {
        (Self::of(std::slice::from_ref(feature), env), Feature(0))
    }

    fn of(features: &[SwitchConfig], env: &Env) -> Self {
        let layers = Layers::new(features, env);
        let state = |config: &SwitchConfig| FeatureState {
            config: config.clone(),
            key: feature_key(&config.name),
            admitted: AtomicU16::new(0),
            calls: Count::new(),
        };
        Self {
            word: Word::new(layers.stopped(), features.len()),
            features: features.iter().map(state).collect(),
            layers: Mutex::new(layers),
            changed: Notify::new(),
        }
    }

    /// The feature of that name.
    pub fn feature(&self, name: &str) -> Option<Feature> {
        let at = self.features.iter().position(|known| known.config.name == name);
        at.and_then(|at| u8::try_from(at).ok()).map(Feature)
    }

    /// Whether the feature may be used by everybody.
    #[inline]
    pub fn allows(&self, feature: Feature) -> bool {
        self.word.allows(feature.bit())
    }

    /// Whether `subject` (a user, a conversation) may use the feature: as [`allows`](Self::allows), and while the feature is being opened
    /// in parts, for the share of subjects that is let in: the same ones each time, in every process, and all of them at every larger share.
    pub fn admits(&self, feature: Feature, subject: &str) -> bool {
        if self.allows(feature) {
            return true;
        }
        fence(Ordering::Acquire);
        // Asked before the share: a stop made here is forgotten only after the share was taken back.
        if self.word.local() & feature.bit() != 0 {
            return false;
        }
        let state = &self.features[feature.at()];
        match state.admitted.load(Ordering::Acquire) {
            // Unless it has just been opened for everybody.
            0 => self.allows(feature),
            share => is_admitted(state.key, subject, share),
        }
    }

    /// Stops the feature in this process, for everybody. Never waits, never fails.
    pub fn stop_here(&self, feature: Feature) {
        self.word.stop_here(feature.at());
        self.changed.notify_waiters();
    }

    /// Takes over what the shared store said, unless a newer state was taken over before. Nobody knows when it was read: so it ends no stop
    /// that was made here, which [`refresh`](Self::refresh) does.
    pub fn adopt(&self, state: &SwitchState) {
        self.adopt_shared(state, None);
    }

    /// Forgets a stop made here, by an operator's decision; what another layer stops stays stopped. A stop that is being made at the same
    /// moment wins.
    pub fn open_here(&self, feature: Feature) {
        self.open_here_unless_stopped(feature, &self.moment());
    }

    /// As [`open_here`](Self::open_here), unless the feature was stopped here after `since`.
    pub(crate) fn open_here_unless_stopped(&self, feature: Feature, since: &Moment) {
        self.change_and_forget(Some(since), |_, _| ((), feature.bit()));
    }

    /// Now: to be taken before a read of the store, so that no stop made here during it is forgotten.
    pub(crate) fn moment(&self) -> Moment {
        self.word.moment()
    }

    /// Reads the shared store and adopts its state; returns the generation. A stop made here before the read began, and shown by the store
    /// now, is the store's from here on: a newer generation opens it.
    ///
    /// # Errors
    /// The store's; what was in force stays in force.
    pub async fn refresh(&self, store: &dyn SwitchStore) -> Result<u64> {
        let since = self.moment();
        let state = store.read().await?;
        self.adopt_shared(&state, Some(&since));
        Ok(state.generation)
    }

    /// Which layers stop the feature now; empty: it is open.
    pub fn stopped_by(&self, feature: Feature) -> Vec<SwitchLayer> {
        let here = self.word.local() & feature.bit() != 0;
        let layers = self.layers();
        let here = here.then_some(SwitchLayer::Process).into_iter();
        here.chain(layers.stopping(feature.bit())).collect()
    }

    /// The generation of the shared store that is in force here: that of the newest state taken over; 0 before.
    pub fn generation(&self) -> u64 {
        self.layers().generation()
    }

    /// Takes over a state of the shared store whose read began at `since`.
    pub(super) fn adopt_shared(&self, state: &SwitchState, since: Option<&Moment>) -> Adoption {
        self.change_and_forget(since, |layers, bit_of| layers.adopt_shared(state, bit_of))
    }

    /// Changes layers under the lock and puts the outcome in force.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Layers, &dyn Fn(&str) -> u64) -> T) -> T {
        self.change_and_forget(None, |layers, bit_of| (change(layers, bit_of), 0))
    }

    /// As [`change`](Self::change); also forgets the stops made here that `change` names, unless they were made after `since`.
    fn change_and_forget<T>(
        &self,
        since: Option<&Moment>,
        change: impl FnOnce(&mut Layers, &dyn Fn(&str) -> u64) -> (T, u64),
    ) -> T {
        let bit_of = |name: &str| self.feature(name).map_or(0, Feature::bit);
        let mut layers = self.layers();
        let (changed, shown) = change(&mut layers, &bit_of);
        let stopped = layers.stopped();
        let share_out = |of_stopped: bool| {
            for (at, state) in self.features.iter().enumerate() {
                if (stopped & (1 << at) != 0) == of_stopped {
                    state.admitted.store(layers.admitted(1 << at), Ordering::Release);
                }
            }
        };
        // Before the word, and before a stop made here is forgotten: a feature that closes lets nobody in by the share of an earlier opening.
        share_out(true);
        if let Some(since) = since {
            self.word.forget(shown, since);
        }
        self.word.put_in_force(stopped);
        // After it: nobody who is let in is turned away while a feature opens, and no share is left for the next time that it closes.
        share_out(false);
        drop(layers);
        self.changed.notify_waiters();
        changed
    }

    /// Generation, source, and which features stop in how long if there is no contact after `age` without.
    pub(super) fn staleness(&self, age: Duration) -> (u64, SwitchSource, Vec<(String, Duration)>) {
        let layers = self.layers();
        let left = |(bit, grace): &(u64, Duration)| {
            let at = usize::try_from(bit.trailing_zeros()).unwrap_or(0);
            (self.features[at].config.name.clone(), grace.saturating_sub(age))
        };
        let stops_in = layers.graces().iter().map(left).collect();
        (layers.generation(), layers.source(), stops_in)
    }

    /// The shortest time without contact after which a feature stops, if any does.
    pub(super) fn shortest_grace(&self) -> Option<Duration> {
        self.layers().graces().iter().map(|(_, grace)| *grace).min()
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
