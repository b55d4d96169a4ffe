//! What a script takes away for good.

use serde::Serialize;

use super::tree::{Kind, parse};
use crate::model::{RelationKind, Schema};

/// Data that is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The migration whose way back it is.
    pub migration: String,
    /// Table, or table and column.
    pub what: String,
    /// How many rows the planner believes to have it: an estimate. `None`: they were never counted, or a condition decides which are lost.
    pub rows: Option<u64>,
}

/// What `sql` takes away for good. Code in `DO` and functions is not seen.
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
        let names = || {
            let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
            let nodes = kinds.into_iter().flat_map(|kind| node.all(kind));
            nodes.map(|node| schema.resolve(&node.name())).collect::<Vec<_>>()
        };
        match node.kind() {
            Kind::DROP_TABLE | Kind::TRUNCATE => {
                names()
                    .into_iter()
                    .for_each(|name| lose(name.clone(), rows(schema, &name)));
            }
            Kind::DELETE => names().into_iter().take(1).for_each(|name| lose(name, None)),
            Kind::DROP_SCHEMA => {
                for dropped in node.all(Kind::SCHEMA_REF) {
                    let within = format!("{}.", dropped.name().concat());
                    for name in schema.relations.keys().filter(|name| name.starts_with(&within)) {
                        lose(name.clone(), rows(schema, name));
                    }
                }
            }
            Kind::ALTER_TABLE => {
                let table = names().into_iter().next().unwrap_or_default();
                for dropped in node.all(Kind::DROP_COLUMN) {
                    let column = dropped
                        .child(Kind::COLUMN_NAME_REF)
                        .map(|node| node.name().concat());
                    lose(
                        format!("{table}.{}", column.unwrap_or_default()),
                        rows(schema, &table),
                    );
                }
            }
            _ => {}
        }
    }
    found
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
    use crate::model::Relation;

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
        for (sql, wanted) in [
            ("drop table orders", vec![("public.orders", Some(70))]),
            (
                "alter table orders drop column a, drop column b",
                vec![("public.orders.a", Some(70)), ("public.orders.b", Some(70))],
            ),
            (
                "drop schema shop cascade",
                vec![("shop.a", Some(3)), ("shop.b", None)],
            ),
            ("truncate shop.b", vec![("shop.b", None)]),
            ("delete from orders where id = 1", vec![("public.orders", None)]),
            ("drop index by_day; create table t (id int)", vec![]),
        ] {
            let found = losses("7", sql, &schema);
            let found: Vec<_> = found.iter().map(|loss| (loss.what.as_str(), loss.rows)).collect();
            assert_eq!(found, wanted, "{sql}");
        }
    }
}
