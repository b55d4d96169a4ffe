use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TableName;

/// A gap in the separation of tenants that was looked at and is lived with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AcceptedGap {
    /// What it is about, as the check names it: `public.users`, `role app`, `function public.f(text)`.
    pub subject: String,
    /// The gap's name, as the check names it: `key_without_tenant`.
    pub gap: String,
    /// Why.
    pub reason: String,
}

impl AcceptedGap {
    /// A gap that is lived with.
    pub fn new(subject: impl Into<String>, gap: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            gap: gap.into(),
            reason: reason.into(),
        }
    }
}

/// How an application's database tells tenants apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TenantLayout {
    /// The column with the tenant's id. Default: `organization_id`.
    pub column: String,
    /// The schemas with the application's tables. Default: `public`.
    pub schemas: Vec<String>,
    /// Tables in which the tenant's id has another column. Default: `public.organizations` has `id`.
    pub columns: BTreeMap<TableName, String>,
    /// Tables that belong to no tenant, and why.
    pub global: BTreeMap<TableName, String>,
    /// The roles that the application connects as.
    pub app_roles: Vec<String>,
    /// Gaps that are lived with.
    pub accepted: Vec<AcceptedGap>,
}

impl Default for TenantLayout {
    fn default() -> Self {
        let organizations: TableName =
            TableName::new("public", "organizations").unwrap_or_else(|_| unreachable!());
        Self {
            column: "organization_id".to_owned(),
            schemas: vec!["public".to_owned()],
            columns: BTreeMap::from([(organizations, "id".to_owned())]),
            global: BTreeMap::new(),
            app_roles: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

impl TenantLayout {
    /// Also names a role that the application connects as.
    #[must_use]
    pub fn with_app_role(mut self, role: impl Into<String>) -> Self {
        self.app_roles.push(role.into());
        self
    }

    /// Also names a table that belongs to no tenant.
    #[must_use]
    pub fn with_global(mut self, table: TableName, reason: impl Into<String>) -> Self {
        self.global.insert(table, reason.into());
        self
    }

    /// Also names a table in which the tenant's id has another column.
    #[must_use]
    pub fn with_column(mut self, table: TableName, column: impl Into<String>) -> Self {
        self.columns.insert(table, column.into());
        self
    }

    /// Lives with a gap.
    #[must_use]
    pub fn accepting(mut self, gap: AcceptedGap) -> Self {
        self.accepted.push(gap);
        self
    }

    /// The column with the tenant's id in `table`.
    pub fn column_of(&self, table: &TableName) -> &str {
        self.columns.get(table).unwrap_or(&self.column)
    }
}
