use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::{Lease, LeaseRequest, LeaseState, LeaseTable, Taken};
use crate::ports::{Clock, LeaseStore};

/// Leases in memory, by a clock that is given: for tests, and for tasks of one process.
#[derive(Debug)]
pub struct InMemoryLeases {
    table: Mutex<LeaseTable>,
    clock: Arc<dyn Clock>,
    plug: Plug,
}

impl InMemoryLeases {
    /// Nothing taken. The wall clock of `clock` is that of the store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Mutex::default(),
            clock,
            plug: Plug::default(),
        }
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl LeaseStore for InMemoryLeases {
    async fn take(&self, request: &LeaseRequest) -> Result<Taken> {
        self.plug.check("take lease")?;
        let mut table = lock(&self.table);
        Ok(table.take(request, self.clock.now()))
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>> {
        self.plug.check("renew lease")?;
        let mut table = lock(&self.table);
        Ok(table.renew(lease, self.clock.now()))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.plug.check("release lease")?;
        let mut table = lock(&self.table);
        table.release(lease, self.clock.now());
        Ok(())
    }

    async fn revoke(&self, name: &str, holder: &str, token: u64) -> Result<Option<LeaseState>> {
        self.plug.check("revoke lease")?;
        let mut table = lock(&self.table);
        Ok(table.revoke(name, holder, token, self.clock.now()))
    }

    async fn list(&self) -> Result<Vec<LeaseState>> {
        self.plug.check("list leases")?;
        Ok(lock(&self.table).list(self.clock.now()))
    }
}
