use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::TenantId;
use crate::ports::ForgetPerson;

/// Traces of persons in memory, for tests.
#[derive(Debug, Default)]
pub struct InMemoryTraces {
    traces: Mutex<BTreeSet<(TenantId, String)>>,
    plug: Plug,
}

impl InMemoryTraces {
    /// No trace yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves a trace of a person.
    pub fn leave(&self, tenant: &TenantId, person: impl Into<String>) {
        lock(&self.traces).insert((tenant.clone(), person.into()));
    }

    /// Whether there is a trace of the person.
    pub fn has(&self, tenant: &TenantId, person: &str) -> bool {
        lock(&self.traces).contains(&(tenant.clone(), person.to_owned()))
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl ForgetPerson for InMemoryTraces {
    fn name(&self) -> &str {
        "traces in memory"
    }

    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<u64> {
        self.plug.check("forget person")?;
        Ok(u64::from(
            lock(&self.traces).remove(&(tenant.clone(), person.to_owned())),
        ))
    }
}
