//! What a script takes away for good.

use serde::Serialize;

use super::hazard::and_referring;
use super::tree::{Kind, Node, parse};
use crate::model::{RelationKind, Schema};

/// Data that is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The migration whose way back it is.
    pub migration: String,
    /// Table, or table and column; in brackets how, where it is not lost as a whole: `(update)`, `(merge)`, `(type)`; `(cascade)`: whatever hangs on it.
    pub what: String,
    /// How many rows the planner believes to have it: an estimate. `None`: they were never counted, or a condition decides which are lost.
    pub rows: Option<u64>,
}

/// What `sql` takes away for good. Code in `DO`, functions and triggers is not seen, nor what a foreign key takes along.
pub(super) fn losses(migration: &str, sql: &str, schema: &Schema) -> Vec<Loss> {
    let mut found = Vec::new();
    let mut lose = |what: String, rows: Option<u64>| {
        found.push(Loss {
            migration: migration.to_owned(),
            what,
            rows,
        });
    };
    for parsed in parse(sql) {
        let node = &parsed.node;
        match node.kind() {
            Kind::DROP_TABLE => {
                for name in names(node, schema) {
                    lose(name.clone(), rows(schema, &name));
                }
            }
            Kind::TRUNCATE => {
                let mut gone = names(node, schema);
                if cascades(node) {
                    gone = and_referring(schema, gone);
                }
                for name in gone {
                    lose(name.clone(), rows(schema, &name));
                }
            }
            Kind::DROP_SCHEMA => {
                for dropped in node.all(Kind::SCHEMA_REF) {
                    let within = format!("{}.", dropped.name().concat());
                    for name in schema.relations.keys().filter(|name| name.starts_with(&within)) {
                        lose(name.clone(), rows(schema, name));
                    }
                }
            }
            Kind::ALTER_TABLE => {
                let table = target(node, schema);
                let place = |action: &Node| {
                    let column = action
                        .find(Kind::COLUMN_NAME_REF)
                        .map(|node| node.name().concat());
                    format!("{table}.{}", column.unwrap_or_default())
                };
                for dropped in node.all(Kind::DROP_COLUMN) {
                    lose(place(&dropped), rows(schema, &table));
                    if cascades(&dropped) {
                        lose(format!("{} (cascade)", place(&dropped)), None);
                    }
                }
                for altered in node.all(Kind::ALTER_COLUMN) {
                    if altered.find(Kind::SET_TYPE).is_some() {
                        lose(format!("{} (type)", place(&altered)), None);
                    }
                }
            }
            // Not what a rule or a function will do some day.
            Kind::SELECT
            | Kind::COMPOUND_SELECT
            | Kind::INSERT
            | Kind::UPDATE
            | Kind::DELETE
            | Kind::MERGE => {
                for deleted in node.all(Kind::DELETE) {
                    lose(target(&deleted, schema), None);
                }
                let updates = node.all(Kind::UPDATE);
                let over = node.all(Kind::INSERT).into_iter();
                let over = over.filter(|insert| insert.contains(Kind::CONFLICT_DO_UPDATE_SET));
                for updated in updates.into_iter().chain(over) {
                    lose(format!("{} (update)", target(&updated, schema)), None);
                }
                for merged in node.all(Kind::MERGE) {
                    if merged.contains(Kind::MERGE_UPDATE) || merged.contains(Kind::MERGE_DELETE) {
                        lose(format!("{} (merge)", target(&merged, schema)), None);
                    }
                }
            }
            _ => {}
        }
        let words = node.words();
        let is_drop = words.first().is_some_and(|word| word == "drop");
        if is_drop && (cascades(node) || node.kind() == Kind::DROP_OWNED) {
            const BESIDE: [&str; 4] = ["if", "exists", "concurrently", "cascade"];
            let words = words.iter().skip(1).map(String::as_str);
            let words: Vec<&str> = words.filter(|word| !BESIDE.contains(word)).collect();
            let what = words.join(" ").replace(" . ", ".").replace(" ,", ",");
            lose(format!("{what} (cascade)"), None);
        }
    }
    found
}

fn cascades(node: &Node) -> bool {
    node.contains(Kind::CASCADE) || node.contains(Kind::CASCADE_KW)
}

/// The tables that it names.
fn names(node: &Node, schema: &Schema) -> Vec<String> {
    let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
    let nodes = kinds.into_iter().flat_map(|kind| node.all(kind));
    nodes.map(|node| schema.resolve(&node.name())).collect()
}

/// The table that it changes; those of its `WITH` stand before it.
fn target(node: &Node, schema: &Schema) -> String {
    let children = node.children().filter(|child| child.kind() != Kind::WITH_CLAUSE);
    let mut names = children.flat_map(|child| names(&child, schema));
    names.next().unwrap_or_default()
}

/// Its own, or those of its partitions.
fn rows(schema: &Schema, table: &str) -> Option<u64> {
    let relation = schema.relations.get(table)?;
    if relation.kind != RelationKind::Partitioned {
        return relation.rows;
    }
    let parts = schema.descendants(table);
    let parts = parts.iter().filter_map(|name| schema.relations.get(name));
    parts
        .filter(|part| part.kind != RelationKind::Partitioned)
        .map(|part| part.rows)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Constraint, Relation};

    #[test]
    fn what_is_lost_is_named_with_the_rows_that_have_it() {
        let mut schema = Schema::default();
        for (name, rows) in [("public.orders", Some(70)), ("shop.a", Some(3)), ("shop.b", None)] {
            let relation = Relation {
                rows,
                ..Relation::default()
            };
            schema.relations.insert(name.to_owned(), relation);
        }
        let key = Constraint {
            references: Some("public.orders".to_owned()),
            ..Constraint::default()
        };
        let shop = schema.relations.get_mut("shop.a").unwrap();
        shop.constraints.push(key);
        for (sql, wanted) in [
            ("drop table orders", vec![("public.orders", Some(70))]),
            (
                "alter table orders drop column a, drop column b",
                vec![("public.orders.a", Some(70)), ("public.orders.b", Some(70))],
            ),
            (
                "drop schema shop cascade",
                vec![
                    ("shop.a", Some(3)),
                    ("shop.b", None),
                    ("schema shop (cascade)", None),
                ],
            ),
            ("truncate shop.b", vec![("shop.b", None)]),
            ("delete from orders where id = 1", vec![("public.orders", None)]),
            (
                "with gone as (delete from shop.a returning *) insert into shop.b select * from gone",
                vec![("shop.a", None)],
            ),
            (
                "with gone as (delete from shop.a returning *) delete from orders using gone",
                vec![("public.orders", None), ("shop.a", None)],
            ),
            (
                "truncate orders cascade",
                vec![("public.orders", Some(70)), ("shop.a", Some(3))],
            ),
            (
                "merge into orders o using shop.a a on o.id = a.id when matched then delete",
                vec![("public.orders (merge)", None)],
            ),
            (
                "merge into orders o using shop.a a on o.id = a.id when not matched then insert values (1)",
                vec![],
            ),
            (
                "alter table orders alter column a type int using a::int, drop column b cascade",
                vec![
                    ("public.orders.b", Some(70)),
                    ("public.orders.b (cascade)", None),
                    ("public.orders.a (type)", None),
                ],
            ),
            (
                "update only orders set a = 1",
                vec![("public.orders (update)", None)],
            ),
            (
                "insert into orders values (1) on conflict (id) do update set a = 2",
                vec![("public.orders (update)", None)],
            ),
            (
                "drop type if exists shop.mood cascade",
                vec![("type shop.mood (cascade)", None)],
            ),
            ("drop domain a, b cascade", vec![("domain a, b (cascade)", None)]),
            (
                "drop extension hstore cascade",
                vec![("extension hstore (cascade)", None)],
            ),
            (
                "drop type mood; create table t (id int references orders on delete cascade)",
                vec![],
            ),
            ("drop index by_day; create table t (id int)", vec![]),
        ] {
            let found = losses("7", sql, &schema);
            let found: Vec<_> = found.iter().map(|loss| (loss.what.as_str(), loss.rows)).collect();
            assert_eq!(found, wanted, "{sql}");
        }
    }
}
