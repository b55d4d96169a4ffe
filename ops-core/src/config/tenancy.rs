use serde::Serialize;

use super::key;
use super::report::Report;
use super::rule::{Wrong, label};
use super::section::Section;
use crate::model::{AcceptedGap, TableName, TenantLayout};

/// `[tenancy]`: how the application's database tells tenants apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenancyConfig {
    /// Whether there are many tenants (`phase = "multi"`) or one (`"single"`, the default).
    pub phase: TenancyPhase,
    /// The column with the tenant's id. Default: `organization_id`.
    pub column: String,
    /// The schemas with the application's tables. Default: `public`.
    pub schemas: Vec<String>,
    /// The roles that the application connects as. Default: none, which the check reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_roles: Vec<String>,
    /// What the permission levels 1 to 5 are called. Default: by their number. Level 6 is 代表.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// Tables that are not as the others.
    #[serde(rename = "table", skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TenantTableConfig>,
    /// Gaps that are lived with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedGap>,
}

/// One tenant or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenancyPhase {
    /// Everything belongs to one tenant.
    #[default]
    Single,
    /// A request names its tenant.
    Multi,
}

/// A `[[tenancy.table]]`: a table that belongs to no tenant, or has another column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenantTableConfig {
    /// The table: `public.plans`; unique. Required.
    pub name: String,
    /// The column with the tenant's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Why it belongs to no tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
}

impl Default for TenancyConfig {
    fn default() -> Self {
        let layout = TenantLayout::default();
        Self {
            phase: TenancyPhase::Single,
            column: layout.column,
            schemas: layout.schemas,
            app_roles: Vec::new(),
            levels: Vec::new(),
            tables: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

impl TenancyConfig {
    /// The layout that it describes. `public.organizations` has the column `id` unless it is listed.
    pub fn layout(&self) -> TenantLayout {
        let mut layout = TenantLayout::default();
        layout.column.clone_from(&self.column);
        layout.schemas.clone_from(&self.schemas);
        layout.app_roles.clone_from(&self.app_roles);
        layout.accepted.clone_from(&self.accepted);
        for table in &self.tables {
            let Ok(name) = table.name.parse::<TableName>() else {
                continue;
            };
            if let Some(column) = &table.column {
                layout = layout.with_column(name.clone(), column);
            }
            if let Some(reason) = &table.global {
                layout = layout.with_global(name, reason);
            }
        }
        layout
    }

    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let names = |key: &str, report: &mut Report<'_>| -> Vec<String> {
            let found = section.texts(key, report);
            for name in &found {
                if let Err(wrong) = label(&name.value) {
                    report.fault(name.at, section.path_of(key), wrong.problem, wrong.remedy);
                }
            }
            found.into_iter().map(|name| name.value).collect()
        };
        let mut schemas = names("schemas", report);
        if schemas.is_empty() {
            schemas = Self::default().schemas;
        }
        let levels = names("levels", report);
        if !levels.is_empty() && levels.len() != 5 {
            report.fault(
                section.place_of("levels"),
                section.path_of("levels"),
                format!("names {} levels", levels.len()),
                "name the levels 1 to 5, lowest first; level 6 is 代表",
            );
        }
        let accepted = section.sections("accepted", key::ACCEPTED_GAP, report);
        let table_sections = section.sections("table", key::TENANT_TABLE, report);
        let tables = table_sections
            .iter()
            .map(|table| TenantTableConfig::read(table, report))
            .collect();
        super::report_repeated(&table_sections, "name", report);
        Self {
            phase: section.choice("phase", PHASES, report).unwrap_or_default(),
            column: section.text_or("column", "organization_id", label, report),
            schemas,
            app_roles: names("app_roles", report),
            levels,
            tables,
            accepted: accepted
                .iter()
                .map(|gap| {
                    AcceptedGap::new(
                        gap.required("subject", label, report),
                        gap.required("gap", label, report),
                        gap.required("reason", label, report),
                    )
                })
                .collect(),
        }
    }
}

impl TenantTableConfig {
    fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let table = Self {
            name: section.required("name", table, report),
            column: section.optional("column", label, report),
            global: section.optional("global", label, report),
        };
        if section.gives("column") == section.gives("global") {
            report.fault(
                section.at(),
                section.path_of("global"),
                "one of column and global is needed, and not both",
                "name the column with the tenant's id, or write why the table belongs to no tenant",
            );
        }
        table
    }
}

/// A table, with or without its schema.
pub(super) fn table(text: &str) -> Result<(), Wrong> {
    match text.parse::<TableName>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::new(
            "is not a table",
            "write schema.table, as in \"public.tasks\"",
        )),
    }
}

const PHASES: &[(&str, TenancyPhase)] = &[("single", TenancyPhase::Single), ("multi", TenancyPhase::Multi)];
