//! Whose data a request may touch.
//!
//! A request *asks* for a tenant (`X-Tenant-ID`); the memberships of the person who was authenticated decide. What comes out is a
//! [`TenantContext`], the only thing that opens a tenant's transaction in the database. A denial is a value and tells nothing about
//! whether the other tenant exists.
//!
//! ```
//! use ops_core::model::{Actor, PermissionLevel, TenantId};
//! use ops_core::tenancy::{Entry, Membership, RequestedTenant, Tenancy, validate_tenant_access};
//!
//! # fn main() -> ops_core::error::Result<()> {
//! let a = TenantId::new("org_customer_a")?;
//! let memberships = [Membership::new(a.clone(), PermissionLevel::new(3)?)];
//! let tenancy = Tenancy::multi();
//!
//! let asked = RequestedTenant::from_values([b"org_customer_a".as_slice()]);
//! let Entry::Entered(context) = tenancy.enter(Actor::person("usr_1")?, &memberships, asked) else { panic!() };
//! assert!(validate_tenant_access(&context, &a, PermissionLevel::new(2)?).is_allowed());
//!
//! let asked = RequestedTenant::from_values([b"org_customer_b".as_slice()]);
//! assert!(matches!(tenancy.enter(Actor::person("usr_1")?, &memberships, asked), Entry::Denied(_)));
//! # Ok(())
//! # }
//! ```

mod access;
mod context;
mod gap;
mod level;
mod phase;
mod requested;
#[cfg(feature = "web")]
mod web;

pub use self::access::{TenantAccess, TenantDenial, validate_tenant_access};
pub use self::context::{Membership, TenantContext};
pub use self::gap::{TenantFinding, TenantGap, TenantReport};
pub use self::level::LevelNames;
pub use self::phase::{Entry, Tenancy};
pub use self::requested::{RequestedTenant, TENANT_HEADER};
#[cfg(feature = "web")]
pub use self::web::{Principal, TenantRejection};
