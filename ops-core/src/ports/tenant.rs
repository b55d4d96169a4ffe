use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{NewTenant, Tenant, TenantId, Timestamp};

/// Knows which tenants there are, and makes and unmakes them.
///
/// # Contract
/// - `create` makes the organisation, its administrator of level 6 and its root department, all or nothing. Of several that create the
///   same tenant at once, one makes it; for the others, and when it is repeated, it is there already and stays as it is.
/// - `delete` is logical: nothing is lost, and `undelete` takes it back. The time of the first `delete` counts.
/// - What is purged stays known, and its id is never given again. From the moment at which its first row goes there is no way back.
///
/// # Errors
/// `NotFound` for an unknown tenant; `Conflict` for creating one that is deleted or purged, for undoing what is purged or being purged;
/// `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping `create`, `delete` or `undelete` may leave it done; repeating it is harmless.
#[async_trait]
pub trait TenantDirectory: Debug + Send + Sync + 'static {
    /// Makes a tenant, or finds the one that is there.
    async fn create(&self, new: &NewTenant, at: Timestamp) -> Result<TenantCreated>;
    /// The tenant; `None` if there never was one.
    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>>;
    /// All tenants that there ever were, by id.
    async fn list(&self) -> Result<Vec<Tenant>>;
    /// Deletes logically, and gives what is known then.
    async fn delete(&self, id: &TenantId, at: Timestamp) -> Result<Tenant>;
    /// Takes a logical deletion back.
    async fn undelete(&self, id: &TenantId) -> Result<Tenant>;
}

/// What `create` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum TenantCreated {
    /// It was made.
    Made(Tenant),
    /// It was there.
    AlreadyThere(Tenant),
}

impl TenantCreated {
    /// The tenant, made or found.
    pub fn tenant(&self) -> &Tenant {
        match self {
            Self::Made(tenant) | Self::AlreadyThere(tenant) => tenant,
        }
    }
}
