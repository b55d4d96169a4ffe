use std::collections::BTreeSet;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{DataRule, Disposal, TableName, TenantLayout};
use sqlx::postgres::PgConnection;

use super::request::ERASE;
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::tenancy::{Catalog, Relation};

/// Columns of the tables of the catalogue.
pub(super) struct Columns(Vec<(String, String, String, bool, Option<i32>)>);

impl Columns {
    pub(super) async fn read(connection: &mut PgConnection, catalog: &Catalog) -> Result<Self> {
        let tables: Vec<i64> = catalog.relations.keys().copied().collect();
        let rows = sqlx::query_as(
            "select n.nspname || '.' || c.relname, a.attname::text, format_type(a.atttypid, null), a.attnotnull,
                    case when a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod > 4 then a.atttypmod - 4 end
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
             where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p') and c.oid::bigint = any($1)",
        )
        .bind(tables)
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
            .map(|(_, _, kind, not_null, _)| (kind.as_str(), *not_null))
    }

    /// Whether so many characters have no place in it.
    fn is_shorter(&self, table: &TableName, column: &str, than: usize) -> bool {
        let table = table.to_string();
        let fits = |most: i32| usize::try_from(most).is_ok_and(|most| most >= than);
        self.0.iter().any(|(of, name, .., most)| {
            *of == table && name == column && most.is_some_and(|most| !fits(most))
        })
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
pub(super) fn check(
    map: &[DataRule],
    layout: &TenantLayout,
    catalog: &Catalog,
    columns: &Columns,
) -> Result<()> {
    let mut faults = contradictions(map);
    let named = named(map, catalog);
    faults.extend(heirs_of_two(&named, catalog));
    for rule in map {
        let table = catalog.named(&rule.table);
        let Some(table) = table.filter(|_| rule.table.schema() != "ops") else {
            faults.push(format!("there is no table {} of the application", rule.table));
            continue;
        };
        if !tells_tenants_apart(table, layout, catalog) {
            faults.push(format!(
                "{} has no column with the tenant, so that another tenant's person of the same id may be meant: add it, or list \
                 the table as global",
                rule.table
            ));
        }
        faults.extend(out_of_reach(catalog, table.oid, &named));
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
                Some(_) if becomes_null => {
                    // What inherits may be stricter.
                    let family = catalog.family(table.oid, &named);
                    let strict =
                        family.filter(|one| columns.get(&one.name, column).is_some_and(|(_, strict)| strict));
                    faults.extend(
                        strict.map(|one| format!("{}.{column} must not be null: use a pseudonym", one.name)),
                    );
                }
                Some((kind, _)) if !matches!(kind, "text" | "character varying" | "character") => {
                    faults.push(format!("{}.{column} is no text: make it null", rule.table));
                }
                Some(_) if columns.is_shorter(&rule.table, column, super::request::PSEUDONYM) => {
                    faults.push(format!(
                        "{}.{column} is too short for a pseudonym of {} characters",
                        rule.table,
                        super::request::PSEUDONYM
                    ));
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

/// The tables that the map has rules for.
pub(super) fn named(map: &[DataRule], catalog: &Catalog) -> Vec<i64> {
    let tables = map.iter().filter_map(|rule| catalog.named(&rule.table));
    tables.map(|table| table.oid).collect()
}

/// What holds rows of the table with this oid and cannot be reached from here.
pub(super) fn out_of_reach(catalog: &Catalog, oid: i64, named: &[i64]) -> Vec<String> {
    let mut faults = Vec::new();
    for table in catalog.family(oid, named) {
        if let Some(foreign) = catalog.foreign_part(table.oid) {
            faults.push(format!(
                "{} is a foreign table, whose rows are not ours",
                foreign.name
            ));
        }
    }
    if let Some(unnamed) = catalog.unnamed_part(oid) {
        faults.push(format!(
            "{unnamed} holds rows of it and has a point in its name: rename it"
        ));
    }
    faults
}

/// Tables that inherit from two others with rules, so that nobody knows by which they go.
fn heirs_of_two(named: &[i64], catalog: &Catalog) -> Vec<String> {
    let heirs = catalog
        .relations
        .values()
        .filter(|table| catalog.rules_of(table, named).len() > 1);
    heirs
        .map(|table| {
            format!(
                "{} inherits from two tables with rules: give it rules of its own",
                table.name
            )
        })
        .collect()
}

/// Whether a row says whose tenant it is, or belongs to none by the layout.
pub(super) fn tells_tenants_apart(table: &Relation, layout: &TenantLayout, catalog: &Catalog) -> bool {
    table.column.is_some() || catalog.is_global(layout, table)
}

/// Whether `rule` changes the column by which `other` finds its rows.
pub(super) fn hides(rule: &DataRule, other: &DataRule) -> bool {
    let changed = match &rule.disposal {
        Disposal::Null { columns } | Disposal::Pseudonym { columns } => columns.as_slice(),
        _ => &[],
    };
    rule.table == other.table && changed.contains(&other.user_column)
}

/// Rules of one table of which no order does both: deletions come after changes, and what is hidden is found by nobody.
fn contradictions(map: &[DataRule]) -> Vec<String> {
    let deletions = map.iter().filter(|rule| rule.disposal == Disposal::Delete);
    let changes: Vec<&DataRule> = map
        .iter()
        .filter(|rule| rule.disposal != Disposal::Delete)
        .collect();
    let hidden = deletions.filter(|rule| changes.iter().any(|change| hides(change, rule)));
    let mut faults: Vec<String> = hidden
        .chain(in_order(&changes).err())
        .map(contradiction)
        .collect();
    faults.dedup();
    faults
}

fn contradiction(rule: &DataRule) -> String {
    format!(
        "two rules of {} contradict each other: one changes {}, by which the other finds its rows",
        rule.table, rule.user_column
    )
}

/// Rules that change rows, in an order in which none hides rows from one that is still to come; else one of those that hide rows from
/// each other.
pub(super) fn in_order<'r>(rules: &[&'r DataRule]) -> std::result::Result<Vec<&'r DataRule>, &'r DataRule> {
    let mut waiting = rules.to_vec();
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(first) = waiting.first().copied() {
        let free = |place: usize| {
            let mut others = waiting.iter().enumerate().filter(|(other, _)| *other != place);
            others.all(|(_, other)| !hides(waiting[place], other))
        };
        let next = (0..waiting.len()).find(|place| free(*place)).ok_or(first)?;
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
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
    let mapped = named(map, catalog);
    let found = columns.with(&names);
    catalog
        .relations
        .values()
        .filter(|table| {
            table.is_table() && !table.is_partition && catalog.rules_of(table, &mapped).is_empty()
        })
        .filter(|table| found.contains(table.name.to_string().as_str()))
        .map(|table| table.name.clone())
        .collect()
}

/// The rows of `person` that something is still to be done to.
pub(super) fn condition(rule: &DataRule, of_tenant: &str, person: &str, pseudonym: &str) -> String {
    let whose = format!(
        "{of_tenant} and t.{} = {}",
        quoted(&rule.user_column),
        literal(person)
    );
    let open = |open: Vec<String>| format!("{whose} and ({})", open.join(" or "));
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
