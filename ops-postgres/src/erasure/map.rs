use std::collections::BTreeSet;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{DataRule, Disposal, TableName};
use sqlx::postgres::PgConnection;

use super::request::ERASE;
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::tenancy::{Catalog, Relation};

/// Columns of the tables of a data map, as far as they are there.
pub(super) struct Columns(Vec<(String, String, String, bool)>);

impl Columns {
    pub(super) async fn read(connection: &mut PgConnection, schemas: &[String]) -> Result<Self> {
        let rows = sqlx::query_as(
            "select n.nspname || '.' || c.relname, a.attname::text, format_type(a.atttypid, null), a.attnotnull
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
             where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p') and n.nspname = any($1)",
        )
        .bind(schemas)
        .fetch_all(connection)
        .await
        .map_err(failed(ERASE))?;
        Ok(Self(rows))
    }

    /// Type and whether it must not be null.
    pub(super) fn get(&self, table: &TableName, column: &str) -> Option<(&str, bool)> {
        let table = table.to_string();
        self.0
            .iter()
            .find(|(of, name, ..)| *of == table && name == column)
            .map(|(_, _, kind, not_null)| (kind.as_str(), *not_null))
    }

    /// Tables that have a column of one of these names.
    fn with(&self, names: &BTreeSet<&str>) -> BTreeSet<&str> {
        let named = self
            .0
            .iter()
            .filter(|(_, name, ..)| names.contains(name.as_str()));
        named.map(|(table, ..)| table.as_str()).collect()
    }
}

/// Says everything that is wrong with a data map at once.
pub(super) fn check(map: &[DataRule], catalog: &Catalog, columns: &Columns) -> Result<()> {
    let mut faults = Vec::new();
    for rule in map {
        if rule.table.schema() == "ops" || catalog.named(&rule.table).is_none() {
            faults.push(format!("there is no table {} of the application", rule.table));
            continue;
        }
        if columns.get(&rule.table, &rule.user_column).is_none() {
            faults.push(format!("{} has no column {}", rule.table, rule.user_column));
        }
        let (changed, becomes_null) = match &rule.disposal {
            Disposal::Null { columns } => (columns.as_slice(), true),
            Disposal::Pseudonym { columns } => (columns.as_slice(), false),
            _ => continue,
        };
        if changed.is_empty() {
            faults.push(format!("{} names no columns", rule.table));
        }
        for column in changed {
            match columns.get(&rule.table, column) {
                None => faults.push(format!("{} has no column {column}", rule.table)),
                Some((_, true)) if becomes_null => {
                    faults.push(format!(
                        "{}.{column} must not be null: use a pseudonym",
                        rule.table
                    ));
                }
                Some((kind, _))
                    if !becomes_null && !matches!(kind, "text" | "character varying" | "character") =>
                {
                    faults.push(format!("{}.{column} is no text: make it null", rule.table));
                }
                Some(_) => {}
            }
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(wrong(&faults.join("; "))),
    }
}

fn wrong(faults: &str) -> Error {
    error(ErrorKind::InvalidConfig, ERASE)
        .context("data map", faults)
        .context("remedy", "mend the [[personal_data]] tables")
}

/// Tables that look as if they held data of persons, and that the map does not mention.
pub(super) fn unmapped(map: &[DataRule], catalog: &Catalog, columns: &Columns) -> Vec<TableName> {
    // Every table has an `id`: it says nothing.
    let names: BTreeSet<&str> = map
        .iter()
        .map(|rule| rule.user_column.as_str())
        .filter(|name| *name != "id")
        .collect();
    let mapped: BTreeSet<&TableName> = map.iter().map(|rule| &rule.table).collect();
    let found = columns.with(&names);
    catalog
        .relations
        .values()
        .filter(|table| table.is_table() && !table.is_partition && !mapped.contains(&table.name))
        .filter(|table| found.contains(table.name.to_string().as_str()))
        .map(|table| table.name.clone())
        .collect()
}

/// The rows of `person` that something is still to be done to.
pub(super) fn condition(
    rule: &DataRule,
    table: &Relation,
    of_tenant: &str,
    person: &str,
    pseudonym: &str,
) -> String {
    let whose = format!(
        "{of_tenant} and t.{} = {}",
        quoted(&rule.user_column),
        literal(person)
    );
    let open = |open: Vec<String>| format!("{whose} and ({})", open.join(" or "));
    debug_assert!(table.is_table());
    match &rule.disposal {
        Disposal::Null { columns } => open(
            columns
                .iter()
                .map(|column| format!("t.{} is not null", quoted(column)))
                .collect(),
        ),
        Disposal::Pseudonym { columns } => {
            let value = literal(pseudonym);
            open(
                columns
                    .iter()
                    .map(|column| format!("t.{} is distinct from {value}", quoted(column)))
                    .collect(),
            )
        }
        _ => whose,
    }
}
