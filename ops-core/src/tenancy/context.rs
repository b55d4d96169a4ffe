use crate::model::{Actor, PermissionLevel, TenantId};

/// That a person belongs to a tenant, as the authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Membership {
    /// The tenant.
    pub tenant: TenantId,
    /// How much the person may do there.
    pub level: PermissionLevel,
}

impl Membership {
    /// A membership.
    pub fn new(tenant: TenantId, level: PermissionLevel) -> Self {
        Self { tenant, level }
    }
}

/// Who acts, for which tenant, with which level. Made from what an authentication found, never from a header alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantContext {
    actor: Actor,
    tenant: TenantId,
    level: PermissionLevel,
}

impl TenantContext {
    /// For a request: [`Tenancy::enter`](super::Tenancy::enter) decides first.
    pub(super) fn new(actor: Actor, tenant: TenantId, level: PermissionLevel) -> Self {
        Self { actor, tenant, level }
    }

    /// For a job or a procedure of one's own that works for a tenant without a request, with the highest level.
    pub fn for_service(actor: Actor, tenant: TenantId) -> Self {
        Self::new(actor, tenant, PermissionLevel::REPRESENTATIVE)
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The tenant whose data is seen.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// How much may be done there.
    pub fn level(&self) -> PermissionLevel {
        self.level
    }
}
