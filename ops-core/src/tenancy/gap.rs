use serde::Serialize;

use crate::messages;
use crate::model::{AcceptedGap, Text};

/// Something through which one tenant may reach another's rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "gap")]
#[non_exhaustive]
pub enum TenantGap {
    /// The table has no column with the tenant, and is not listed as global.
    NoTenantColumn,
    /// A row may have no tenant.
    TenantMayBeNull,
    /// Row security is off.
    RowSecurityOff,
    /// Row security does not hold for the table's owner.
    RowSecurityNotForced,
    /// Row security is on without any policy: nobody sees anything.
    NoPolicy,
    /// Permissive policies are joined by "or", and this one asks for no tenant when reading.
    OpenPolicy {
        /// The policy.
        policy: String,
    },
    /// This policy lets rows of another tenant be written.
    UncheckedWrite {
        /// The policy.
        policy: String,
    },
    /// This policy is an error, not an empty result, for a session without a tenant.
    NoisyPolicy {
        /// The policy.
        policy: String,
    },
    /// This policy reads the setting again for each row: about five times the cost of a scan.
    SlowPolicy {
        /// The policy.
        policy: String,
    },
    /// The view reads with its owner's rights.
    ViewRunsAsOwner,
    /// A materialized view or a foreign table: row security does not exist for it.
    BeyondRowSecurity,
    /// The table inherits from one that knows no tenants: whoever reads that one, reads the rows of this one past its policies.
    OpenThroughParent {
        /// The table that it inherits from.
        parent: String,
    },
    /// A unique key does not begin with the tenant: a taken value tells of another tenant's row, and `on conflict do nothing` drops one's own.
    KeyWithoutTenant {
        /// The index.
        key: String,
    },
    /// A foreign key does not take the tenant along: it may point at another tenant's row, and tells whether that is there.
    ReferenceWithoutTenant {
        /// The constraint.
        constraint: String,
    },
    /// The application may touch tables of a schema that the layout does not name, so nobody looks at them.
    SchemaUnchecked,
    /// No role of the application is named, so its rights cannot be looked at.
    NoAppRole,
    /// There is no such role.
    UnknownRole,
    /// The role is a superuser or has `BYPASSRLS`, or may become one.
    RoleBypasses {
        /// The role that it is or may become.
        through: String,
    },
    /// The role owns the table, or may become its owner: it can turn row security off.
    RoleOwns {
        /// The role.
        role: String,
    },
    /// The role may `TRUNCATE`, which row security does not see.
    RoleMayTruncate {
        /// The role.
        role: String,
    },
    /// The function runs with the rights of an owner whom row security does not hold.
    DefinerFunction {
        /// The owner.
        owner: String,
    },
}

impl TenantGap {
    /// Its name, as in the field `gap` of its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoTenantColumn => "no_tenant_column",
            Self::TenantMayBeNull => "tenant_may_be_null",
            Self::RowSecurityOff => "row_security_off",
            Self::RowSecurityNotForced => "row_security_not_forced",
            Self::NoPolicy => "no_policy",
            Self::OpenPolicy { .. } => "open_policy",
            Self::UncheckedWrite { .. } => "unchecked_write",
            Self::NoisyPolicy { .. } => "noisy_policy",
            Self::SlowPolicy { .. } => "slow_policy",
            Self::ViewRunsAsOwner => "view_runs_as_owner",
            Self::BeyondRowSecurity => "beyond_row_security",
            Self::OpenThroughParent { .. } => "open_through_parent",
            Self::KeyWithoutTenant { .. } => "key_without_tenant",
            Self::ReferenceWithoutTenant { .. } => "reference_without_tenant",
            Self::SchemaUnchecked => "schema_unchecked",
            Self::NoAppRole => "no_app_role",
            Self::UnknownRole => "unknown_role",
            Self::RoleBypasses { .. } => "role_bypasses",
            Self::RoleOwns { .. } => "role_owns",
            Self::RoleMayTruncate { .. } => "role_may_truncate",
            Self::DefinerFunction { .. } => "definer_function",
        }
    }

    /// What it is and what to do, for people.
    pub fn text(&self) -> Text {
        let detail = match self {
            Self::OpenPolicy { policy }
            | Self::UncheckedWrite { policy }
            | Self::NoisyPolicy { policy }
            | Self::SlowPolicy { policy } => policy,
            Self::OpenThroughParent { parent } => parent,
            Self::KeyWithoutTenant { key } => key,
            Self::ReferenceWithoutTenant { constraint } => constraint,
            Self::RoleBypasses { through: role }
            | Self::RoleOwns { role }
            | Self::RoleMayTruncate { role } => role,
            Self::DefinerFunction { owner } => owner,
            _ => "",
        };
        messages::tenant_gap(self.name(), detail)
    }
}

/// A gap, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct TenantFinding {
    /// A table or view with its schema, `role …`, or `function …`.
    pub subject: String,
    /// What is open.
    #[serde(flatten)]
    pub gap: TenantGap,
}

impl TenantFinding {
    /// A gap of `subject`.
    pub fn new(subject: impl Into<String>, gap: TenantGap) -> Self {
        Self {
            subject: subject.into(),
            gap,
        }
    }
}

/// What a check of the separation of tenants found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenantReport {
    /// How many tables hold rows of tenants, partitions included.
    pub tables: usize,
    /// How many tables were left out because they are listed as global.
    pub global: usize,
    /// What is open.
    pub findings: Vec<TenantFinding>,
    /// What is open and lived with.
    pub accepted: Vec<TenantFinding>,
    /// What is lived with but is not there (any more): take it off the list.
    pub stale: Vec<AcceptedGap>,
    /// The statements that put the tables behind row security which are not, to be run in one transaction.
    pub statements: Vec<String>,
}

impl TenantReport {
    /// Whether nothing is open that nobody lives with.
    pub fn intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// Takes the gaps out that are lived with.
    #[must_use]
    pub fn accepting(mut self, list: &[AcceptedGap]) -> Self {
        let fits = |gap: &AcceptedGap, found: &TenantFinding| {
            gap.subject == found.subject && gap.gap == found.gap.name()
        };
        self.findings.sort();
        self.findings.dedup();
        self.stale = list
            .iter()
            .filter(|gap| !self.findings.iter().any(|found| fits(gap, found)))
            .cloned()
            .collect();
        let (accepted, findings) = std::mem::take(&mut self.findings)
            .into_iter()
            .partition(|found| list.iter().any(|gap| fits(gap, found)));
        self.accepted = accepted;
        self.findings = findings;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_accepted_by_subject_and_name_and_a_stale_line_shows() {
        let key = TenantGap::KeyWithoutTenant {
            key: "users_pkey".to_owned(),
        };
        let report = TenantReport {
            findings: vec![
                TenantFinding::new("public.users", key.clone()),
                TenantFinding::new("public.tasks", key),
            ],
            ..TenantReport::default()
        };
        let list = [
            AcceptedGap::new("public.users", "key_without_tenant", "ids are random"),
            AcceptedGap::new("public.users", "open_policy", "gone"),
        ];
        let report = report.accepting(&list);
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].subject, "public.tasks");
        assert_eq!((report.accepted.len(), report.stale.len()), (1, 1));
    }

    #[test]
    fn the_name_of_a_gap_is_the_one_in_its_json() {
        for gap in [
            TenantGap::NoTenantColumn,
            TenantGap::OpenPolicy {
                policy: "p".to_owned(),
            },
            TenantGap::DefinerFunction {
                owner: "o".to_owned(),
            },
            TenantGap::RoleMayTruncate { role: "r".to_owned() },
            TenantGap::BeyondRowSecurity,
            TenantGap::OpenThroughParent {
                parent: "p".to_owned(),
            },
        ] {
            assert_eq!(serde_json::to_value(&gap).unwrap()["gap"], gap.name());
            assert!(!gap.text().get(crate::model::Lang::En).is_empty());
        }
    }
}
