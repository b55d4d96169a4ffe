use std::fmt;

use serde::Serialize;

use super::TenantContext;
use crate::messages;
use crate::model::{PermissionLevel, TenantId, Text};

/// Whether something may be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum TenantAccess {
    /// It may.
    Allowed,
    /// It may not.
    Denied(TenantDenial),
}

impl TenantAccess {
    /// Whether it may be touched.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Why not. For the log; the person is shown [`text`](Self::text), which is the same for a tenant of others and one that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantDenial {
    /// No tenant was asked for, and it does not follow who is meant.
    NoneAsked,
    /// The header is there several times or is no tenant id.
    Unreadable,
    /// The person does not belong to it, whether it exists or not.
    NotAMember,
    /// It belongs to another tenant than the context's.
    OtherTenant,
    /// The level is too low.
    LevelTooLow {
        /// The level that is needed.
        needed: PermissionLevel,
    },
}

impl TenantDenial {
    /// What the person is told.
    pub fn text(self) -> Text {
        match self {
            Self::NoneAsked | Self::Unreadable => messages::tenant_not_named(),
            Self::NotAMember | Self::OtherTenant | Self::LevelTooLow { .. } => messages::tenant_denied(),
        }
    }

    /// Whether another request by the same person could succeed: the header is at fault, not the person.
    pub fn is_malformed(self) -> bool {
        matches!(self, Self::NoneAsked | Self::Unreadable)
    }
}

impl fmt::Display for TenantDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoneAsked => "no tenant was asked for",
            Self::Unreadable => "the tenant header cannot be read",
            Self::NotAMember => "not a member of the tenant that was asked for",
            Self::OtherTenant => "belongs to another tenant",
            Self::LevelTooLow { needed } => return write!(f, "permission level {needed} is needed"),
        };
        f.write_str(text)
    }
}

/// Whether `context` may touch what belongs to `owner` and needs the level `needed`. The tenant is looked at first, so that a denial
/// for the level tells nothing about another tenant's things.
pub fn validate_tenant_access(
    context: &TenantContext,
    owner: &TenantId,
    needed: PermissionLevel,
) -> TenantAccess {
    if context.tenant() != owner {
        return TenantAccess::Denied(TenantDenial::OtherTenant);
    }
    if context.level() < needed {
        return TenantAccess::Denied(TenantDenial::LevelTooLow { needed });
    }
    TenantAccess::Allowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actor;

    fn level(level: u8) -> PermissionLevel {
        PermissionLevel::new(level).unwrap()
    }

    #[test]
    fn every_pair_of_tenants_and_levels_is_decided_as_written() {
        let (a, b) = (TenantId::new("org_a").unwrap(), TenantId::new("org_b").unwrap());
        for mine in 1..=6 {
            let context = TenantContext::new(Actor::person("u").unwrap(), a.clone(), level(mine));
            for needed in 1..=6 {
                let own = validate_tenant_access(&context, &a, level(needed));
                assert_eq!(own.is_allowed(), mine >= needed, "{mine} {needed}");
                // The representative of one tenant is nobody in another.
                let other = validate_tenant_access(&context, &b, level(needed));
                assert_eq!(other, TenantAccess::Denied(TenantDenial::OtherTenant));
            }
        }
    }

    #[test]
    fn a_denial_does_not_tell_a_foreign_tenant_from_one_that_is_not_there() {
        assert_eq!(TenantDenial::OtherTenant.text(), TenantDenial::NotAMember.text());
        assert_eq!(
            TenantDenial::LevelTooLow { needed: level(6) }.text(),
            TenantDenial::NotAMember.text()
        );
    }
}
