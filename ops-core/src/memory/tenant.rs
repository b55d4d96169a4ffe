use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{NewTenant, Tenant, TenantId, TenantState, Timestamp};
use crate::ports::{TenantCreated, TenantDirectory};

/// Tenants in memory. They do not survive the process: for tests.
#[derive(Debug, Default)]
pub struct InMemoryTenants {
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
    plug: Plug,
}

impl InMemoryTenants {
    /// No tenant yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    fn change(
        &self,
        operation: &'static str,
        id: &TenantId,
        change: impl FnOnce(&mut Tenant) -> Result<()>,
    ) -> Result<Tenant> {
        self.plug.check(operation)?;
        let mut tenants = lock(&self.tenants);
        let tenant = tenants.get_mut(id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation)
                .provider("memory")
                .context("tenant", id.as_str())
        })?;
        change(tenant)?;
        Ok(tenant.clone())
    }
}

#[async_trait]
impl TenantDirectory for InMemoryTenants {
    async fn create(&self, new: &NewTenant, at: Timestamp) -> Result<TenantCreated> {
        self.plug.check(CREATE)?;
        let mut tenants = lock(&self.tenants);
        match tenants.get(&new.id) {
            Some(tenant) if tenant.state == TenantState::Active => {
                Ok(TenantCreated::AlreadyThere(tenant.clone()))
            }
            Some(_) => Err(gone(CREATE)),
            None => {
                let tenant = Tenant::new(new.id.clone(), &new.name, &new.plan, at);
                tenants.insert(new.id.clone(), tenant.clone());
                Ok(TenantCreated::Made(tenant))
            }
        }
    }

    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>> {
        self.plug.check("find tenant")?;
        Ok(lock(&self.tenants).get(id).cloned())
    }

    async fn list(&self) -> Result<Vec<Tenant>> {
        self.plug.check("list tenants")?;
        Ok(lock(&self.tenants).values().cloned().collect())
    }

    async fn delete(&self, id: &TenantId, at: Timestamp) -> Result<Tenant> {
        self.change("delete tenant", id, |tenant| {
            if tenant.state == TenantState::Active {
                tenant.state = TenantState::Deleted;
                tenant.deleted_at = Some(at);
            }
            Ok(())
        })
    }

    async fn undelete(&self, id: &TenantId) -> Result<Tenant> {
        self.change(UNDELETE, id, |tenant| match tenant.state {
            TenantState::Purging | TenantState::Purged => Err(gone(UNDELETE)),
            _ => {
                tenant.state = TenantState::Active;
                tenant.deleted_at = None;
                Ok(())
            }
        })
    }
}

fn gone(operation: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, operation)
        .provider("memory")
        .context("tenant", "is deleted or purged")
}

const CREATE: &str = "create tenant";
const UNDELETE: &str = "undelete tenant";
