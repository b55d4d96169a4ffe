use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Env, OnStale, SwitchConfig};
use crate::model::Share;
use crate::ports::SwitchState;

/// What can stop a feature in a process. A stop from any of them wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SwitchLayer {
    /// [`KillSwitch::stop_here`](super::KillSwitch::stop_here). Opens when the shared store has shown the stop and then its end.
    Process,
    /// The store that all processes share. Opens by a newer generation of it.
    Shared,
    /// The switch file of this machine. Opens by a newer generation of it.
    File,
    /// A variable that the process was started with. Opens by a restart without it.
    Environment,
    /// The compiled default, until the shared store or the file of what it said last was read.
    Default,
    /// No contact with the shared store for the grace of the switch. Opens by a fresh read.
    Stale,
}

/// Where the shared state that is in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SwitchSource {
    /// Nothing was read: the compiled defaults are in force.
    Default,
    /// The file of what the shared store said last.
    LastKnown,
    /// The shared store.
    Shared,
}

/// What each layer but the process said last.
#[derive(Debug)]
pub(in crate::guard) struct Layers {
    shared: Adopted,
    file: Adopted,
    environment: u64,
    default: u64,
    stale: u64,
    source: SwitchSource,
    graces: Vec<(u64, Duration)>,
}

/// What a store said last.
#[derive(Debug, Default)]
struct Adopted {
    generation: Option<u64>,
    stopped: u64,
    /// Those among `stopped` that are partly open.
    admitted: BTreeMap<u64, Share>,
}

/// What became of a state that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guard) enum Adoption {
    /// It was taken over.
    Taken,
    /// It is not newer than what was seen before, and says something else: it opens nothing.
    Older,
}

impl Layers {
    pub(super) fn new(features: &[SwitchConfig], env: &Env) -> Self {
        let bits = |chosen: &dyn Fn(&SwitchConfig) -> bool| {
            let chosen = features.iter().enumerate().filter(|(_, feature)| chosen(feature));
            chosen.fold(0, |bits, (at, _)| bits | 1 << at)
        };
        let graces = features.iter().enumerate().filter_map(|(at, feature)| {
            let OnStale::Stop { grace } = feature.on_stale else {
                return None;
            };
            Some((1 << at, grace))
        });
        Self {
            shared: Adopted::default(),
            file: Adopted::default(),
            environment: bits(&|feature| feature.stopped_by(env)),
            default: bits(&|feature| feature.stopped_by_default),
            stale: 0,
            source: SwitchSource::Default,
            graces: graces.collect(),
        }
    }

    /// The stops of all layers but the process.
    pub(super) fn stopped(&self) -> u64 {
        self.shared.stopped | self.others()
    }

    /// The share that is let in, in hundredths of a percent: only where nothing but the shared store stops, and that in part.
    pub(super) fn admitted(&self, bit: u64) -> u16 {
        match self.shared.admitted.get(&bit) {
            Some(share) if self.others() & bit == 0 => share.as_basis_points(),
            _ => 0,
        }
    }

    pub(super) fn stopping(&self, bit: u64) -> Vec<SwitchLayer> {
        let layers = [
            (self.shared.stopped, SwitchLayer::Shared),
            (self.file.stopped, SwitchLayer::File),
            (self.environment, SwitchLayer::Environment),
            (self.default_in_force(), SwitchLayer::Default),
            (self.stale, SwitchLayer::Stale),
        ];
        let stopping = layers.into_iter().filter(|(bits, _)| bits & bit != 0);
        stopping.map(|(_, layer)| layer).collect()
    }

    pub(in crate::guard) fn generation(&self) -> u64 {
        self.shared.generation.unwrap_or(0)
    }

    pub(in crate::guard) fn source(&self) -> SwitchSource {
        self.source
    }

    /// Takes over a state of the shared store; a fresh read ends staleness. Also gives the bits whose stop the store now shows itself.
    pub(super) fn adopt_shared(
        &mut self,
        state: &SwitchState,
        bit_of: &dyn Fn(&str) -> u64,
    ) -> (Adoption, u64) {
        self.stale = 0;
        let adoption = self.shared.adopt(state, bit_of);
        match adoption {
            Adoption::Older => (adoption, 0),
            Adoption::Taken => {
                self.source = SwitchSource::Shared;
                let partly = self.shared.admitted.keys().fold(0, |bits, bit| bits | bit);
                (adoption, self.shared.stopped & !partly)
            }
        }
    }

    /// Begins with what the shared store said before the process was started.
    pub(in crate::guard) fn adopt_last_known(&mut self, state: &SwitchState, bit_of: &dyn Fn(&str) -> u64) {
        if self.shared.generation.is_none() {
            self.shared.adopt(state, bit_of);
            self.source = SwitchSource::LastKnown;
        }
    }

    pub(in crate::guard) fn adopt_file(&mut self, state: &SwitchState, bit_of: &dyn Fn(&str) -> u64) {
        self.file.adopt(state, bit_of);
    }

    /// Stops what has been without contact for longer than its grace.
    pub(in crate::guard) fn judge_staleness(&mut self, age: Duration) {
        let stale = self.graces.iter().filter(|(_, grace)| age >= *grace);
        self.stale |= stale.fold(0, |bits, (bit, _)| bits | bit);
    }

    /// The features that stop without contact, by bit, with their graces.
    pub(in crate::guard) fn graces(&self) -> &[(u64, Duration)] {
        &self.graces
    }

    fn others(&self) -> u64 {
        self.file.stopped | self.environment | self.default_in_force() | self.stale
    }

    fn default_in_force(&self) -> u64 {
        match self.shared.generation {
            None => self.default,
            Some(_) => 0,
        }
    }
}

impl Adopted {
    /// An older state may stop, as after a restore of the store from a backup, and opens nothing; so does another of the same generation, as
    /// when the store was restored and written since.
    fn adopt(&mut self, state: &SwitchState, bit_of: &dyn Fn(&str) -> u64) -> Adoption {
        let mut stopped = 0;
        let mut admitted = BTreeMap::new();
        for (name, off) in &state.stopped {
            let bit = bit_of(name);
            stopped |= bit;
            if let Some(share) = off.admitted.filter(|_| bit != 0) {
                admitted.insert(bit, share);
            }
        }
        let differs = self.stopped != stopped || self.admitted != admitted;
        let older = |seen| state.generation < seen || (state.generation == seen && differs);
        if self.generation.is_some_and(older) {
            let whole = stopped & !admitted.keys().fold(0, |bits, bit| bits | bit);
            self.stopped |= stopped;
            self.admitted.retain(|bit, _| whole & bit == 0);
            return Adoption::Older;
        }
        *self = Self {
            generation: Some(state.generation),
            stopped,
            admitted,
        };
        Adoption::Taken
    }
}
