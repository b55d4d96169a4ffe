use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{SwitchState, SwitchStore, SwitchedOff};

/// Switches in memory, shared by whoever holds the same `Arc`.
#[derive(Debug, Default)]
pub struct InMemorySwitches {
    state: Mutex<SwitchState>,
    plug: Plug,
}

impl InMemorySwitches {
    /// Nothing stopped, generation 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl SwitchStore for InMemorySwitches {
    async fn read(&self) -> Result<SwitchState> {
        self.plug.check("read switches")?;
        Ok(lock(&self.state).clone())
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        self.plug.check("write switches")?;
        let mut state = lock(&self.state);
        if state.generation != expected {
            return Err(Error::new(ErrorKind::Conflict, "write switches")
                .provider("memory")
                .context("expected generation", expected.to_string())
                .context("found", state.generation.to_string()));
        }
        state.generation += 1;
        state.stopped.clone_from(stopped);
        Ok(state.generation)
    }
}
