use std::fmt;

use crate::model::TenantId;

/// Who is signed in, as the authentication of the application has found out. It goes into the extensions of the request. `Debug` names nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    tenant: TenantId,
    user: String,
}

impl Caller {
    /// A user of a tenant, by the id in its directory.
    pub fn new(tenant: TenantId, user: impl Into<String>) -> Self {
        Self {
            tenant,
            user: user.into(),
        }
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}
