use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Timestamp, string_id};
use crate::error::{Error, ErrorKind, Result};

string_id! {
    /// The organisation that data belongs to.
    TenantId, "tenant id", 100
}

impl TenantId {
    /// The tenant of everything as long as there is only one: `org_soulsyncs`.
    pub fn default_tenant() -> Self {
        Self("org_soulsyncs".to_owned())
    }
}

/// How much a person may do within a tenant: 1 (least) to 6 (代表, the representative).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PermissionLevel(u8);

impl PermissionLevel {
    /// The lowest level.
    pub const LOWEST: Self = Self(1);
    /// Level 6, 代表: the first person of every tenant has it.
    pub const REPRESENTATIVE: Self = Self(6);

    /// Accepts 1 to 6.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] otherwise.
    pub fn new(level: u8) -> Result<Self> {
        if (1..=6).contains(&level) {
            return Ok(Self(level));
        }
        Err(Error::new(ErrorKind::InvalidInput, "read permission level").context("level", "must be 1 to 6"))
    }

    /// 1 to 6.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for PermissionLevel {
    type Error = Error;
    fn try_from(level: u8) -> Result<Self> {
        Self::new(level)
    }
}

impl From<PermissionLevel> for u8 {
    fn from(level: PermissionLevel) -> Self {
        level.0
    }
}

impl fmt::Display for PermissionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a tenant stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantState {
    /// It is used.
    Active,
    /// Deleted logically: its data is still there and can be had back.
    Deleted,
    /// Its data is going for good: some may be gone, and none can be had back.
    Purging,
    /// Its data is gone for good; the id is never given again.
    Purged,
}

/// A tenant as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// What it has subscribed to.
    pub plan: String,
    /// Where it stands.
    pub state: TenantState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted logically; the days until its data may go count from here.
    pub deleted_at: Option<Timestamp>,
    /// When its data was proven to be gone.
    pub purged_at: Option<Timestamp>,
}

impl Tenant {
    /// An active tenant.
    pub fn new(id: TenantId, name: impl Into<String>, plan: impl Into<String>, at: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            plan: plan.into(),
            state: TenantState::Active,
            created_at: at,
            deleted_at: None,
            purged_at: None,
        }
    }
}

/// What a tenant begins with: the organisation, one administrator of level 6, one root department.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// What it subscribes to. Default: `standard`.
    pub plan: String,
    /// The administrator's id. Default: `usr_admin_` and the tenant's id without `org_`.
    pub admin_id: String,
    /// The administrator's mail address: personal data, never shown.
    pub admin_email: String,
    /// The administrator's name. Default: `管理者`.
    pub admin_name: String,
    /// The root department's id. Default: `dept_root_` and the tenant's id without `org_`.
    pub department_id: String,
    /// The root department's name. Default: `全社`.
    pub department_name: String,
}

impl NewTenant {
    /// A tenant with the usual beginnings; fields may be changed before it is created.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty name, or an address without `@`. The address is not repeated.
    pub fn new(id: TenantId, name: impl Into<String>, admin_email: impl Into<String>) -> Result<Self> {
        let (name, admin_email) = (name.into(), admin_email.into());
        let wrong = |field, rule: &str| {
            Err(Error::new(ErrorKind::InvalidInput, "read new tenant").context(field, rule))
        };
        if name.trim().is_empty() || name.contains('\0') {
            return wrong("name", "must not be empty");
        }
        if !admin_email.contains('@') || admin_email.contains('\0') {
            return wrong("admin_email", "must be a mail address");
        }
        let short = id.as_str().strip_prefix("org_").unwrap_or(id.as_str()).to_owned();
        Ok(Self {
            id,
            name,
            plan: "standard".to_owned(),
            admin_id: format!("usr_admin_{short}"),
            admin_email,
            admin_name: "管理者".to_owned(),
            department_id: format!("dept_root_{short}"),
            department_name: "全社".to_owned(),
        })
    }
}

impl fmt::Debug for NewTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTenant")
            .field("id", &self.id)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_one_to_six() {
        assert!(PermissionLevel::new(0).is_err() && PermissionLevel::new(7).is_err());
        assert_eq!(PermissionLevel::new(6).unwrap(), PermissionLevel::REPRESENTATIVE);
        assert!(serde_json::from_str::<PermissionLevel>("9").is_err());
    }

    #[test]
    fn a_new_tenant_never_shows_its_people() {
        let id = TenantId::new("org_customer_a").unwrap();
        let tenant = NewTenant::new(id.clone(), "株式会社〇〇", "admin@customer.example").unwrap();
        assert_eq!(tenant.admin_id, "usr_admin_customer_a");
        assert_eq!(tenant.department_id, "dept_root_customer_a");
        assert!(!format!("{tenant:?}").contains("customer.example"));
        let error = NewTenant::new(id, "a", "secret-address").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
