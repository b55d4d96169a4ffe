use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::emergency::{Gate, Procedure, Step, Watch};
use ops_core::memory::InMemoryHealth;
use ops_core::model::{Share, Verdict};
use ops_core::ports::JournalEntry;

use super::{Stop, World};

/// For how long health must hold at the gates of these tests.
pub(crate) const HOLD: Duration = Duration::from_secs(60);

pub(crate) fn well() -> Arc<InMemoryHealth> {
    let health = Arc::new(InMemoryHealth::new());
    health.set(Verdict::Holds);
    health
}

/// Waits for `api` after that stage.
pub(crate) fn gate(stage: u32, health: &Arc<InMemoryHealth>) -> Gate {
    Gate::after(stage)
        .with_check("api", Arc::clone(health) as _)
        .with_hold(HOLD)
}

pub(crate) fn shares(percents: &[u8]) -> Vec<Share> {
    let share = |percent: &u8| Share::percent(*percent).unwrap();
    percents.iter().map(share).collect()
}

/// Target 0 opens first, target 1 then for 1 %, 10 % and all; a gate after each.
pub(crate) fn staged(world: &World, health: &Arc<InMemoryHealth>) -> Procedure {
    staged_with(world, health, |gate| gate)
}

/// The same with other gates.
pub(crate) fn staged_with(
    world: &World,
    health: &Arc<InMemoryHealth>,
    settings: impl Fn(Gate) -> Gate,
) -> Procedure {
    let steps = vec![
        Step::new(Stop::of(&world.targets[0])).opening(0),
        Step::new(Stop::in_parts(&world.targets[1]))
            .opening(1)
            .with_ramp(shares(&[1, 10])),
    ];
    let procedure = Procedure::new("stop-all", steps).unwrap();
    let procedure = procedure.with_gate(settings(gate(0, health))).unwrap();
    procedure.with_gate(settings(gate(1, health))).unwrap()
}

/// Keeps what the journal of one engine is given, and calls back.
pub(crate) struct Seen {
    entries: Mutex<Vec<JournalEntry>>,
    on_entry: Box<dyn Fn(usize) + Send + Sync>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Seen {
    pub(crate) fn new() -> Arc<Self> {
        Self::calling(|_| {})
    }

    /// Calls with the number of entries so far.
    pub(crate) fn calling(on_entry: impl Fn(usize) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            on_entry: Box::new(on_entry),
        })
    }

    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.entries.lock().unwrap().clone()
    }
}

impl Watch for Seen {
    fn seen(&self, entry: &JournalEntry) {
        let mut entries = self.entries.lock().unwrap();
        entries.push(entry.clone());
        let count = entries.len();
        drop(entries);
        (self.on_entry)(count);
    }
}
