//! Which step of a way up a statement of the way back undoes, told by the names of what one makes and the other takes away.

use std::collections::BTreeSet;

use super::tree::{Kind, Node, parse};
use crate::model::Schema;

/// What a statement makes, by sort and name: `column public.orders.note`. What is not known is left out.
pub(super) fn made(sql: &str, schema: &Schema) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for parsed in parse(sql) {
        let node = &parsed.node;
        match node.kind() {
            Kind::ALTER_TABLE => {
                let of = table(node, schema);
                found.extend(actions(node).filter_map(|action| made_by(&action, &of)));
            }
            _ => found.extend(named(&node.words(), "create", schema).unwrap_or_default()),
        }
    }
    found
}

/// What a statement takes away. `None` where that, or a part of it, cannot be told.
pub(super) fn unmade(sql: &str, schema: &Schema) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for parsed in parse(sql) {
        let node = &parsed.node;
        match node.kind() {
            Kind::ALTER_TABLE => {
                let of = table(node, schema);
                for action in actions(node) {
                    found.insert(unmade_by(&action, &of)?);
                }
            }
            _ => found.extend(named(&node.words(), "drop", schema)?),
        }
    }
    (!found.is_empty()).then_some(found)
}

/// What has to go so that nothing is left of a statement.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// What it makes, by sort and name.
    pub(super) objects: BTreeSet<String>,
    /// Whether it does nothing beside that.
    is_all: bool,
    /// The only table or view that it changes: whatever it does goes with that.
    within: Option<String>,
    /// The index that becomes part of a constraint, and goes with it.
    pub(super) takes: Option<String>,
}

impl Needs {
    /// Of one statement.
    pub(super) fn of(sql: &str, schema: &Schema) -> Self {
        let mut needs = Self::default();
        let Some(parsed) = parse(sql).into_iter().next() else {
            return needs;
        };
        let node = &parsed.node;
        let changes = [Kind::INSERT, Kind::UPDATE, Kind::DELETE, Kind::MERGE];
        match node.kind() {
            Kind::ANALYZE | Kind::VACUUM => needs.is_all = true,
            Kind::ALTER_TABLE => {
                let of = table(node, schema);
                needs.is_all = true;
                let mut stays = true;
                for action in actions(node) {
                    let words = action.words();
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    stays &= !matches!(
                        words.as_slice(),
                        ["rename", "to", ..] | ["set", "schema", ..] | ["attach" | "detach", ..]
                    );
                    let index = action.find(Kind::USING_INDEX_NAME);
                    let index = index.and_then(|using| using.find(Kind::INDEX_REF)?.name().pop());
                    needs.takes = index.map(|name| format!("index {name}")).or(needs.takes);
                    let object = made_by(&action, &of).or_else(|| validated(&action, &of));
                    needs.is_all &= object.is_some();
                    needs.objects.extend(object);
                }
                needs.within = stays.then_some(of);
            }
            Kind::CREATE_INDEX => {
                needs.within = Some(table(node, schema));
                needs.is_all = node.child(Kind::INDEX).is_some();
                if needs.is_all {
                    needs.objects = made(sql, schema);
                }
            }
            kind if changes.contains(&kind) => {
                let all: usize = changes.iter().map(|kind| node.all(*kind).len()).sum();
                needs.within = (all == 1).then(|| table(node, schema));
            }
            Kind::CREATE_POLICY | Kind::CREATE_TRIGGER => needs.within = Some(table(node, schema)),
            _ => {
                needs.objects = made(sql, schema);
                needs.is_all = !needs.objects.is_empty();
            }
        }
        needs
    }

    /// Whether nothing is left of it once `undone` is gone.
    pub(super) fn goes_with(&self, undone: &BTreeSet<String>) -> bool {
        let within = |of: &String| {
            let mut sorts = ["table", "view"].iter();
            sorts.any(|sort| undone.contains(&format!("{sort} {of}")))
        };
        let goes = |object: &String| {
            let column = object.strip_prefix("not null ");
            undone.contains(object) || column.is_some_and(|name| undone.contains(&format!("column {name}")))
        };
        self.within.as_ref().is_some_and(within) || (self.is_all && self.objects.iter().all(goes))
    }
}

/// The constraint of which no more is left than of what made it.
fn validated(action: &Node, table: &str) -> Option<String> {
    let name = match action.kind() {
        Kind::VALIDATE_CONSTRAINT => action.find(Kind::CONSTRAINT_NAME_REF)?.name().concat(),
        _ => return None,
    };
    Some(format!("constraint {table}.{name}"))
}

fn table(node: &Node, schema: &Schema) -> String {
    let name = node
        .find(Kind::TABLE_NAME_REF)
        .or_else(|| node.find(Kind::RELATION_NAME_REF));
    name.map(|node| schema.resolve(&node.name())).unwrap_or_default()
}

fn actions(node: &Node) -> impl Iterator<Item = Node> + use<> {
    let beside = [
        Kind::TABLE_RELATION_NAME,
        Kind::RELATION_NAME,
        Kind::TABLE_NAME_REF,
        Kind::RELATION_NAME_REF,
        Kind::IF_EXISTS,
    ];
    node.children()
        .filter(move |child| !beside.contains(&child.kind()))
}

fn made_by(action: &Node, table: &str) -> Option<String> {
    let child = |kind| action.find(kind).map(|node| node.name().concat());
    match action.kind() {
        Kind::ADD_COLUMN => Some(format!("column {table}.{}", child(Kind::COLUMN_NAME)?)),
        Kind::ADD_CONSTRAINT => Some(format!("constraint {table}.{}", child(Kind::CONSTRAINT_NAME)?)),
        Kind::ALTER_COLUMN if action.has(Kind::SET_NOT_NULL) => {
            Some(format!("not null {table}.{}", child(Kind::COLUMN_NAME_REF)?))
        }
        Kind::RENAME_COLUMN => Some(format!(
            "name {table}.{} {}",
            child(Kind::COLUMN_NAME_REF)?,
            child(Kind::COLUMN_NAME)?
        )),
        _ => None,
    }
}

fn unmade_by(action: &Node, table: &str) -> Option<String> {
    // More goes than is named.
    if action.contains(Kind::CASCADE) || action.contains(Kind::CASCADE_KW) {
        return None;
    }
    let child = |kind| action.find(kind).map(|node| node.name().concat());
    match action.kind() {
        Kind::DROP_COLUMN => Some(format!("column {table}.{}", child(Kind::COLUMN_NAME_REF)?)),
        Kind::DROP_CONSTRAINT => Some(format!(
            "constraint {table}.{}",
            child(Kind::CONSTRAINT_NAME_REF)?
        )),
        Kind::ALTER_COLUMN if action.has(Kind::DROP_NOT_NULL) => {
            Some(format!("not null {table}.{}", child(Kind::COLUMN_NAME_REF)?))
        }
        Kind::RENAME_COLUMN => Some(format!(
            "name {table}.{} {}",
            child(Kind::COLUMN_NAME)?,
            child(Kind::COLUMN_NAME_REF)?
        )),
        _ => None,
    }
}

/// What a `CREATE` or a `DROP` names, where one word says its sort. `None` for anything else.
fn named(words: &[String], verb: &str, schema: &Schema) -> Option<BTreeSet<String>> {
    const BEFORE: [&str; 3] = ["unique", "unlogged", "foreign"];
    const AFTER: [&str; 4] = ["concurrently", "if", "not", "exists"];
    const SORTS: [&str; 8] = [
        "table",
        "view",
        "index",
        "sequence",
        "type",
        "domain",
        "schema",
        "extension",
    ];
    let mut words = words.iter().map(String::as_str).peekable();
    if words.next() != Some(verb) {
        return None;
    }
    while words.next_if(|word| BEFORE.contains(word)).is_some() {}
    let mut sort = words.next()?;
    if sort == "materialized" {
        sort = words.next().filter(|word| *word == "view")?;
    }
    if !SORTS.contains(&sort) {
        return None;
    }
    while words.next_if(|word| AFTER.contains(word)).is_some() {}
    let mut found = BTreeSet::new();
    loop {
        let mut parts = vec![plain(words.next()?)];
        while words.next_if_eq(&".").is_some() {
            parts.push(plain(words.next()?));
        }
        // An index is in the schema of its table, which a DROP need not name.
        let name = match sort {
            "index" => parts.pop()?,
            "schema" | "extension" => parts.concat(),
            _ => schema.resolve(&parts),
        };
        found.insert(format!("{sort} {name}"));
        match words.next() {
            Some(",") if verb == "drop" => {}
            // More goes than is named.
            Some("cascade") if verb == "drop" => return None,
            Some("restrict") | None => return Some(found),
            Some(_) if verb == "create" => return Some(found),
            Some(_) => return None,
        }
    }
}

fn plain(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_makes_the_other_takes_away() {
        let schema = Schema::default();
        for (up, down) in [
            ("create table tags (id int)", "drop table tags"),
            (
                "create table if not exists shop.tags (id int)",
                "drop table if exists shop.tags",
            ),
            (
                "create unique index concurrently by_note on a (b)",
                "drop index concurrently by_note",
            ),
            ("create index by_note on shop.a (b)", "drop index shop.by_note"),
            (
                "alter table a add column b int, add column c int",
                "alter table a drop column c, drop column b",
            ),
            (
                "alter table a add constraint d check (b > 0) not valid",
                "alter table public.a drop constraint d",
            ),
            (
                "alter table a alter column b set not null",
                "alter table a alter column b drop not null",
            ),
            (
                "alter table a rename column b to c",
                "alter table a rename column c to b",
            ),
            ("create view v as select 1", "drop view v"),
            (
                "create materialized view v as select 1",
                "drop materialized view v",
            ),
            ("create type mood as enum ('a')", "drop type mood"),
            ("create schema shop", "drop schema shop"),
            (
                "create extension if not exists pgcrypto",
                "drop extension pgcrypto",
            ),
        ] {
            let made = made(up, &schema);
            assert!(!made.is_empty(), "{up}");
            assert_eq!(Some(made), unmade(down, &schema), "{up} / {down}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let schema = Schema::default();
        for down in [
            "update a set b = 1",
            "delete from a",
            "alter table a alter column b type int",
            "alter table a drop column b, set (fillfactor = 70)",
            "drop table a cascade",
            "alter table a drop column b cascade",
            "alter table a drop constraint b cascade",
            "create table a (id int)",
            "do $$ begin end $$",
            "drop function f()",
        ] {
            assert_eq!(unmade(down, &schema), None, "{down}");
        }
        assert_ne!(
            Some(made("create table a (id int)", &schema)),
            unmade("drop table b", &schema)
        );
        assert_ne!(
            Some(made("create table a (id int)", &schema)),
            unmade("drop table shop.a", &schema)
        );
    }
}
