//! Adding, validating and dropping constraints.

use super::alter_table::Subject;
use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{Constraint, ConstraintKind, LockMode, RelationKind, Work};

use LockMode::{AccessExclusive, RowShare, ShareRowExclusive, ShareUpdateExclusive};

pub(super) fn add(scene: &mut Scene, subject: &Subject, action: &Node) {
    for node in action.children() {
        let valid = !node.has(Kind::NOT_VALID) && !node.has(Kind::NOT_ENFORCED);
        let scan: &[Work] = if valid { &[Work::Scan] } else { &[] };
        let kind = match node.kind() {
            Kind::CHECK_CONSTRAINT => {
                subject.lock(scene, AccessExclusive, scan);
                ConstraintKind::Check
            }
            Kind::NOT_NULL_CONSTRAINT => {
                let column = node.child(Kind::COLUMN_NAME_REF).map(|node| node.name().concat());
                let column = column.unwrap_or_default();
                let proved = scene.relation(&subject.name).is_some_and(|found| {
                    found.column(&column).is_some_and(|column| column.not_null)
                        || found.proves_not_null(&column)
                });
                subject.lock(scene, AccessExclusive, if proved { &[] } else { scan });
                ConstraintKind::NotNull
            }
            Kind::UNIQUE_CONSTRAINT | Kind::PRIMARY_KEY_CONSTRAINT | Kind::EXCLUDE_CONSTRAINT => {
                index(scene, subject, &node)
            }
            Kind::FOREIGN_KEY_CONSTRAINT => {
                subject.lock(scene, ShareRowExclusive, scan);
                if let Some(other) = node.child(Kind::TABLE_NAME_REF) {
                    let other = scene.resolve(&other.name());
                    scene.lock_tree(&other, ShareRowExclusive, &[]);
                }
                ConstraintKind::ForeignKey
            }
            _ => continue,
        };
        remember(scene, subject, &node, kind, valid);
    }
}

/// What is enforced by an index.
fn index(scene: &mut Scene, subject: &Subject, node: &Node) -> ConstraintKind {
    let kind = match node.kind() {
        Kind::UNIQUE_CONSTRAINT => ConstraintKind::Unique,
        Kind::PRIMARY_KEY_CONSTRAINT => ConstraintKind::PrimaryKey,
        _ => ConstraintKind::Exclude,
    };
    let using = node.child(Kind::USING_INDEX_NAME);
    let columns = match &using {
        None => columns(node),
        Some(using) => {
            let index = using
                .find(Kind::INDEX_REF)
                .map(|node| node.name())
                .unwrap_or_default();
            let schema = subject.name.split('.').next().unwrap_or_default();
            let index = format!("{schema}.{}", index.last().cloned().unwrap_or_default());
            let found = scene
                .schema
                .index_owner(&index)
                .map(|(_, found)| found.columns.clone());
            found.unwrap_or_default()
        }
    };
    let mut work = Vec::new();
    if using.is_none() {
        work.push(Work::IndexBuild);
    }
    if kind == ConstraintKind::PrimaryKey {
        let nullable = scene.relation(&subject.name).is_none_or(|found| {
            let proved = |column: &String| {
                found.column(column).is_some_and(|column| column.not_null) || found.proves_not_null(column)
            };
            columns.is_empty() || !columns.iter().all(proved)
        });
        if nullable {
            work.push(Work::Scan);
        }
    }
    let partitioned = scene.kind(&subject.name) == RelationKind::Partitioned;
    if partitioned && !work.contains(&Work::Scan) {
        // The partitions get an index each; from version 18 on under the lock of the parent.
        let lock = match scene.schema.server {
            1..=17 => LockMode::Share,
            _ => AccessExclusive,
        };
        scene.lock(&subject.name, AccessExclusive, &[]);
        for partition in scene.schema.descendants(&subject.name) {
            scene.lock(&partition, lock, &work);
        }
    } else if scene.kind(&subject.name) == RelationKind::Table {
        scene.lock(&subject.name, AccessExclusive, &work);
    } else {
        subject.lock(scene, AccessExclusive, &work);
    }
    kind
}

fn columns(node: &Node) -> Vec<String> {
    let kinds = [Kind::COLUMN_NAME_REF, Kind::NAME_REF];
    for list in node.children() {
        if matches!(list.kind(), Kind::CONSTRAINT_NAME_CLAUSE | Kind::TABLE_NAME_REF) {
            continue;
        }
        let found: Vec<_> = kinds
            .iter()
            .flat_map(|kind| list.all(*kind))
            .map(|node| node.name().concat())
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// The schema has it from here on.
fn remember(scene: &mut Scene, subject: &Subject, node: &Node, kind: ConstraintKind, validated: bool) {
    let name = node
        .find(Kind::CONSTRAINT_NAME)
        .map(|node| node.name().concat())
        .unwrap_or_default();
    let references = node
        .child(Kind::TABLE_NAME_REF)
        .map(|node| scene.resolve(&node.name()));
    let mut columns = columns(node);
    let mut definition = String::new();
    if kind == ConstraintKind::Check {
        let words = node.words();
        let at = words.iter().position(|word| word == "check").unwrap_or(0);
        columns = node
            .all(Kind::NAME_REF)
            .iter()
            .map(|node| node.name().concat())
            .collect();
        // Only the one form that other rules look for.
        if let [_, open, column, is, not, null, close, ..] = &words[at..]
            && [open, is, not, null, close] == ["(", "is", "not", "null", ")"]
        {
            definition = format!("CHECK (({column} IS NOT NULL))");
        }
    }
    if let Some(relation) = scene.schema.relations.get_mut(&subject.name) {
        relation.constraints.push(Constraint {
            name,
            kind,
            columns,
            validated,
            definition,
            references,
        });
    }
}

pub(super) fn drop(scene: &mut Scene, subject: &Subject, action: &Node) {
    subject.lock(scene, AccessExclusive, &[]);
    let name = action
        .child(Kind::CONSTRAINT_NAME_REF)
        .map(|node| node.name().concat());
    let Some(relation) = scene.relation(&subject.name) else {
        return;
    };
    let found = relation
        .constraints
        .iter()
        .find(|found| Some(&found.name) == name.as_ref());
    let Some(found) = found.cloned() else { return };
    lock_dropped(scene, &subject.name, &found);
    if let Some(relation) = scene.schema.relations.get_mut(&subject.name) {
        relation.constraints.retain(|kept| kept.name != found.name);
    }
}

/// A foreign key has triggers on both tables.
pub(super) fn lock_dropped(scene: &mut Scene, table: &str, gone: &Constraint) {
    match gone.kind {
        ConstraintKind::ForeignKey => {
            if let Some(other) = &gone.references {
                scene.lock_tree(other, AccessExclusive, &[]);
            }
        }
        // What refers to a key goes with it, if the statement says `CASCADE`.
        ConstraintKind::PrimaryKey | ConstraintKind::Unique => {
            let key = gone.columns.first().map(String::as_str);
            for other in referring(scene, table, key) {
                scene.lock_tree(&other, AccessExclusive, &[]);
            }
        }
        _ => {}
    }
}

/// Tables with a foreign key to `table`, or to its column `key`.
pub(super) fn referring(scene: &Scene, table: &str, key: Option<&str>) -> Vec<String> {
    let to_key = |found: &Constraint| {
        let named = found.definition.rsplit_once(" REFERENCES ").and_then(|(_, to)| {
            let (_, rest) = to.split_once('(')?;
            Some(rest.split_once(')')?.0.split(", ").collect::<Vec<_>>())
        });
        key.is_none_or(|key| named.is_none_or(|named| named.iter().any(|name| name.trim_matches('"') == key)))
    };
    let tables = scene.schema.relations.iter();
    tables
        .filter(|(name, found)| {
            name.as_str() != table
                && found
                    .constraints
                    .iter()
                    .any(|found| found.references.as_deref() == Some(table) && to_key(found))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

pub(super) fn validate(scene: &mut Scene, subject: &Subject, action: &Node) {
    let name = action
        .child(Kind::CONSTRAINT_NAME_REF)
        .map(|node| node.name().concat());
    let found = scene.relation(&subject.name).and_then(|relation| {
        let found = relation
            .constraints
            .iter()
            .find(|found| Some(&found.name) == name.as_ref())?;
        Some(found.clone())
    });
    let done = found.as_ref().is_some_and(|found| found.validated);
    let work: &[Work] = if done { &[] } else { &[Work::Scan] };
    match &found {
        Some(found) if found.kind == ConstraintKind::ForeignKey => {
            // The partitions of a partitioned table have constraints of their own.
            subject.lock(scene, ShareUpdateExclusive, work);
            if let Some(other) = found.references.clone() {
                scene.lock(&other, RowShare, &[]);
            }
        }
        _ => subject.lock(scene, ShareUpdateExclusive, work),
    }
    if let Some(relation) = scene.schema.relations.get_mut(&subject.name) {
        let same = relation
            .constraints
            .iter_mut()
            .filter(|found| Some(&found.name) == name.as_ref());
        same.for_each(|found| found.validated = true);
    }
}

/// Deferrable or not.
pub(super) fn alter(scene: &mut Scene, subject: &Subject) {
    subject.lock(scene, AccessExclusive, &[]);
    if scene.kind(&subject.name) == RelationKind::Partitioned {
        scene.unknown.push("which partitions share the constraint");
    }
}
