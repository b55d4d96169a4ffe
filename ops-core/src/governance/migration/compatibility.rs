//! Whether code can live with a schema: another question than locks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::script::line_of;
use super::tree::{Kind, Node, parse};
use crate::messages::migration as text;
use crate::model::{Schema, Text};

/// What one version of the code reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CodeUses {
    /// The version, for people: `running`, `2026.01.30`.
    pub version: String,
    /// Columns by table, as the code names them.
    pub columns: BTreeMap<String, BTreeSet<String>>,
    /// For each table that it inserts into: the columns that it gives a value.
    pub inserts: BTreeMap<String, Vec<BTreeSet<String>>>,
    /// Statements that could not be read.
    pub unreadable: usize,
}

/// Why code cannot live with a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Break {
    /// What sort.
    pub kind: BreakKind,
    /// Table, or table and column.
    pub place: String,
    /// The line of the script; zero where no script is looked at.
    pub line: usize,
    /// In words.
    pub what: Text,
    /// The way forward.
    pub remedy: Text,
}

/// What sort of break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakKind {
    /// The code names a table or column that is gone.
    Gone,
    /// The code inserts rows without a value that is now demanded.
    Demanded,
}

impl CodeUses {
    /// Reads SQL statements, and lines `table.column`, in any mix. In a statement with several tables a column counts for each of them
    /// that has it in `schema`.
    pub fn read(version: impl Into<String>, text: &str, schema: &Schema) -> Self {
        let mut uses = Self {
            version: version.into(),
            ..Self::default()
        };
        let mut sql = String::new();
        for line in text.lines() {
            match plain_use(line) {
                Some((table, column)) => uses.add(schema, &[table.to_owned()], column),
                None => {
                    sql.push_str(line);
                    sql.push('\n');
                }
            }
        }
        for parsed in parse(&sql) {
            if parsed.error.is_some() {
                uses.unreadable += 1;
            } else {
                uses.statement(schema, &parsed.node);
            }
        }
        uses
    }

    fn add(&mut self, schema: &Schema, table: &[String], column: &str) {
        let table = schema.resolve(table);
        self.columns.entry(table).or_default().insert(column.to_owned());
    }

    fn statement(&mut self, schema: &Schema, node: &Node) {
        let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
        let tables: Vec<String> = kinds
            .iter()
            .flat_map(|kind| node.all(*kind))
            .map(|node| schema.resolve(&node.name()))
            .collect();
        let mut names: BTreeSet<String> = BTreeSet::new();
        for kind in [Kind::NAME_REF, Kind::COLUMN_NAME_REF, Kind::COLUMN_TARGET] {
            names.extend(node.all(kind).iter().filter_map(|node| node.name().pop()));
        }
        // `o.price`: the name after the point is a token of its own.
        for field in node.all(Kind::FIELD_EXPR) {
            names.extend(field.words().last().cloned());
        }
        for name in names_of_no_column(node) {
            names.remove(&name);
        }
        for table in &tables {
            names.remove(table.split('.').next_back().unwrap_or_default());
        }
        for table in &tables {
            let known = schema.relations.get(table);
            let entry = self.columns.entry(table.clone()).or_default();
            for name in &names {
                // With one table every name is its column, whether the schema still has it or not.
                if tables.len() == 1 || known.is_none_or(|known| known.column(name).is_some()) {
                    entry.insert(name.clone());
                }
            }
        }
        for insert in node.all(Kind::INSERT) {
            let Some(table) = insert
                .child(Kind::RELATION_NAME_REF)
                .or_else(|| insert.child(Kind::TABLE_NAME_REF))
            else {
                continue;
            };
            let table = schema.resolve(&table.name());
            let given: BTreeSet<String> = match insert.child(Kind::COLUMN_TARGET_LIST) {
                Some(list) => list
                    .all(Kind::COLUMN_TARGET)
                    .iter()
                    .map(|node| node.name().concat())
                    .collect(),
                None => schema
                    .relations
                    .get(&table)
                    .map(|found| found.columns.iter().map(|column| column.name.clone()).collect())
                    .unwrap_or_default(),
            };
            self.columns
                .entry(table.clone())
                .or_default()
                .extend(given.iter().cloned());
            self.inserts.entry(table).or_default().push(given);
        }
    }

    fn names(&self, table: &str, column: &str) -> bool {
        self.columns
            .get(table)
            .is_some_and(|columns| columns.contains(column))
    }
}

/// Aliases, and functions that are called.
fn names_of_no_column(node: &Node) -> Vec<String> {
    let kinds = [
        Kind::AS_NAME,
        Kind::OPTIONAL_AS_ALIAS,
        Kind::REQUIRED_AS_ALIAS,
        Kind::FROM_ALIAS,
        Kind::TABLE_ALIAS,
        Kind::CTE_NAME,
    ];
    let aliases = kinds.iter().flat_map(|kind| node.all(*kind));
    let aliases = aliases.filter_map(|alias| alias.name().pop());
    let called = node.all(Kind::CALL_EXPR);
    let called = called
        .iter()
        .filter_map(|call| call.children().next()?.name().pop());
    aliases.chain(called).collect()
}

/// `orders.price` alone on its line, or `public.orders.price`.
fn plain_use(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let letters = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
    if line.is_empty() || !line.chars().all(letters) {
        return None;
    }
    let (table, column) = line.rsplit_once('.')?;
    Some((table.rsplit_once('.').map_or(table, |(_, name)| name), column))
}

/// What `code` cannot live with once `script` has run. Empty: nothing that its statements name is affected.
pub fn breaks(script: &str, schema: &Schema, code: &CodeUses) -> Vec<Break> {
    let mut found = Vec::new();
    for parsed in parse(script) {
        let line = line_of(script, parsed.range.start);
        let node = &parsed.node;
        let mut gone = |table: &str, column: Option<&str>, renamed: Option<String>| {
            let used = match column {
                Some(column) => code.names(table, column),
                None => code.columns.contains_key(table),
            };
            if used {
                let place = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
                let (what, remedy) = text::code_loses(&code.version, &place, renamed.as_deref());
                found.push(Break {
                    kind: BreakKind::Gone,
                    place,
                    line,
                    what,
                    remedy,
                });
            }
        };
        match node.kind() {
            Kind::DROP_TABLE | Kind::DROP_VIEW | Kind::DROP_MATERIALIZED_VIEW => {
                for kind in [Kind::TABLE_NAME_REF, Kind::VIEW_REF] {
                    for table in node.all(kind) {
                        gone(&schema.resolve(&table.name()), None, None);
                    }
                }
            }
            Kind::ALTER_TABLE => {
                let Some(table) = node
                    .find(Kind::TABLE_NAME_REF)
                    .map(|node| schema.resolve(&node.name()))
                else {
                    continue;
                };
                for action in node.children() {
                    let column = action
                        .child(Kind::COLUMN_NAME_REF)
                        .map(|node| node.name().concat());
                    match (action.kind(), column) {
                        (Kind::DROP_COLUMN, Some(column)) => gone(&table, Some(&column), None),
                        (Kind::RENAME_COLUMN, Some(column)) => {
                            let to = action.child(Kind::COLUMN_NAME).map(|node| node.name().concat());
                            gone(&table, Some(&column), to);
                        }
                        (Kind::TABLE_RENAME_TO, _) => {
                            gone(
                                &table,
                                None,
                                action.child(Kind::TABLE_NAME).map(|node| node.name().concat()),
                            );
                        }
                        (Kind::SET_SCHEMA, _) => gone(&table, None, Some(action.text())),
                        _ => {}
                    }
                }
                found.extend(demands(node, &table, schema, code, line));
            }
            _ => {}
        }
    }
    found
}

/// Columns that every new row needs from here on.
fn demands(node: &Node, table: &str, schema: &Schema, code: &CodeUses, line: usize) -> Vec<Break> {
    let mut columns = Vec::new();
    for action in node.children() {
        match action.kind() {
            Kind::ADD_COLUMN => {
                let null = action
                    .find(Kind::DEFAULT_CONSTRAINT)
                    .is_none_or(|node| node.text() == "default null");
                let filled =
                    !null || action.has(Kind::GENERATED_CONSTRAINT) || action.text().contains("serial");
                if !filled
                    && (action.has(Kind::NOT_NULL_CONSTRAINT) || action.has(Kind::PRIMARY_KEY_CONSTRAINT))
                {
                    columns.extend(action.child(Kind::COLUMN_NAME).map(|node| node.name().concat()));
                }
            }
            Kind::ALTER_COLUMN => {
                let column = action
                    .child(Kind::COLUMN_NAME_REF)
                    .map(|node| node.name().concat());
                let found = column
                    .as_deref()
                    .and_then(|name| schema.relations.get(table)?.column(name));
                let demands = (action.has(Kind::SET_NOT_NULL)
                    && found.is_none_or(|found| !found.has_default))
                    || (action.has(Kind::DROP_DEFAULT) && found.is_some_and(|found| found.not_null));
                if demands {
                    columns.extend(column);
                }
            }
            _ => {}
        }
    }
    demanded(columns, table, code, line)
}

fn demanded(columns: Vec<String>, table: &str, code: &CodeUses, line: usize) -> Vec<Break> {
    let inserts = code.inserts.get(table);
    let misses =
        |column: &String| inserts.is_some_and(|inserts| inserts.iter().any(|given| !given.contains(column)));
    let broken = columns.into_iter().filter(misses);
    broken
        .map(|column| {
            let place = format!("{table}.{column}");
            let (what, remedy) = text::code_omits(&code.version, &place);
            Break {
                kind: BreakKind::Demanded,
                place,
                line,
                what,
                remedy,
            }
        })
        .collect()
}

/// Why `code` must not be rolled back to: what the schema as it is now has left behind. Empty: nothing speaks against it.
pub fn left_behind(schema: &Schema, code: &CodeUses) -> Vec<Break> {
    let mut found = Vec::new();
    for (table, columns) in &code.columns {
        let Some(relation) = schema.relations.get(table) else {
            let (what, remedy) = text::code_loses(&code.version, table, None);
            found.push(Break {
                kind: BreakKind::Gone,
                place: table.clone(),
                line: 0,
                what,
                remedy,
            });
            continue;
        };
        for column in columns.iter().filter(|column| relation.column(column).is_none()) {
            let place = format!("{table}.{column}");
            let (what, remedy) = text::code_loses(&code.version, &place, None);
            found.push(Break {
                kind: BreakKind::Gone,
                place,
                line: 0,
                what,
                remedy,
            });
        }
        let needed = relation
            .columns
            .iter()
            .filter(|column| column.not_null && !column.has_default);
        let needed = needed.map(|column| column.name.clone()).collect();
        found.extend(demanded(needed, table, code, 0));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Relation};

    fn schema(columns: &[(&str, bool)]) -> Schema {
        let columns = columns.iter().map(|(name, not_null)| Column {
            name: (*name).to_owned(),
            not_null: *not_null,
            ..Column::default()
        });
        let orders = Relation {
            columns: columns.collect(),
            ..Relation::default()
        };
        Schema {
            relations: BTreeMap::from([("public.orders".to_owned(), orders)]),
            ..Schema::default()
        }
    }

    const CODE: &str = "select o.price from orders o where id = $1;\ninsert into orders (id, price) values ($1, $2);\norders.note\n";

    fn places(found: &[Break]) -> Vec<(&str, BreakKind)> {
        found
            .iter()
            .map(|found| (found.place.as_str(), found.kind))
            .collect()
    }

    #[test]
    fn code_breaks_on_what_it_names_and_on_nothing_else() {
        let schema = schema(&[("id", true), ("price", false), ("note", false), ("old", false)]);
        let code = CodeUses::read("running", CODE, &schema);
        assert_eq!(code.unreadable, 0);
        for (script, wanted) in [
            (
                "alter table orders drop column price",
                Some(("public.orders.price", BreakKind::Gone)),
            ),
            (
                "alter table orders rename column note to remark",
                Some(("public.orders.note", BreakKind::Gone)),
            ),
            ("alter table orders drop column old", None),
            ("drop table orders", Some(("public.orders", BreakKind::Gone))),
            (
                "alter table orders rename to purchases",
                Some(("public.orders", BreakKind::Gone)),
            ),
            (
                "alter table orders add column at timestamptz not null",
                Some(("public.orders.at", BreakKind::Demanded)),
            ),
            (
                "alter table orders add column at timestamptz not null default now()",
                None,
            ),
            ("alter table orders add column at timestamptz", None),
            (
                "alter table orders alter column old set not null",
                Some(("public.orders.old", BreakKind::Demanded)),
            ),
            ("alter table orders alter column price set not null", None),
            ("create index i on orders (price)", None),
        ] {
            let found = breaks(script, &schema, &code);
            assert_eq!(places(&found), wanted.into_iter().collect::<Vec<_>>(), "{script}");
        }
    }

    #[test]
    fn code_that_the_schema_has_left_behind_is_refused_with_the_reason() {
        let before = schema(&[("id", true), ("price", false), ("note", false)]);
        let code = CodeUses::read("2026.01", CODE, &before);
        assert_eq!(left_behind(&before, &code), []);
        let after = schema(&[("id", true), ("note", false), ("tenant", true)]);
        let found = left_behind(&after, &code);
        let wanted = [
            ("public.orders.price", BreakKind::Gone),
            ("public.orders.tenant", BreakKind::Demanded),
        ];
        assert_eq!(places(&found), wanted);
    }
}
