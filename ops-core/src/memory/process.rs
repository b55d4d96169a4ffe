use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::clock::SystemClock;
use crate::error::Result;
use crate::ports::{Clock, Presence, ProcessId, ProcessRegistry, SwitchProcess};

/// Processes in memory: for tests, where threads stand for processes.
#[derive(Debug)]
pub struct InMemoryProcesses {
    known: Mutex<BTreeMap<ProcessId, (SwitchProcess, Duration)>>,
    clock: Arc<dyn Clock>,
    plug: Plug,
}

impl InMemoryProcesses {
    /// Nobody there.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// Nobody there; `clock` measures silence.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            known: Mutex::default(),
            clock,
            plug: Plug::default(),
        }
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

impl Default for InMemoryProcesses {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ProcessRegistry for InMemoryProcesses {
    async fn report(&self, process: &SwitchProcess) -> Result<()> {
        self.plug.check("report process")?;
        let now = self.clock.monotonic();
        lock(&self.known).insert(process.id.clone(), (process.clone(), now));
        Ok(())
    }

    async fn remove(&self, process: &ProcessId) -> Result<()> {
        self.plug.check("remove process")?;
        lock(&self.known).remove(process);
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        self.plug.check("list processes")?;
        let now = self.clock.monotonic();
        let mut known = lock(&self.known);
        known.retain(|_, (_, heard)| now.saturating_sub(*heard) < Presence::EXPIRES_AFTER);
        let presence = |(process, heard): &(SwitchProcess, _)| {
            Presence::new(process.clone(), now.saturating_sub(*heard))
        };
        Ok(known.values().map(presence).collect())
    }
}
