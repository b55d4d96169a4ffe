//! What goes, and what goes with it.

use super::constraint::referring;
use super::scene::Scene;
use super::statement::{all_named, owner};
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{LockMode, RelationKind};

use LockMode::{AccessExclusive, ShareUpdateExclusive};

pub(super) fn drop_relations(scene: &mut Scene, node: &Node) {
    let cascade = node.has(Kind::CASCADE);
    let kinds = [Kind::TABLE_NAME_REF, Kind::VIEW_REF];
    for name in all_named(scene, node, &kinds) {
        let Some(relation) = scene.relation(&name).cloned() else {
            if scene.is_blind() {
                scene.lock(&name, AccessExclusive, &[]);
            }
            continue;
        };
        let mut gone = vec![name.clone()];
        gone.extend(scene.schema.descendants(&name));
        // A partition leaves a parent that others read.
        for parent in &relation.parents {
            let partitioned = scene.kind(parent) == RelationKind::Partitioned;
            if partitioned {
                scene.lock(parent, AccessExclusive, &[]);
                let default = scene
                    .relation(parent)
                    .and_then(|found| found.default_partition.clone());
                if let Some(default) = default {
                    scene.lock(&default, AccessExclusive, &[]);
                }
            }
        }
        for name in gone {
            scene.lock(&name, AccessExclusive, &[]);
            let found = scene.relation(&name).cloned().unwrap_or_default();
            for other in found
                .constraints
                .iter()
                .filter_map(|found| found.references.as_deref())
            {
                scene.lock_tree(other, AccessExclusive, &[]);
            }
            for other in referring(scene, &name, None) {
                scene.lock_tree(&other, AccessExclusive, &[]);
            }
            if cascade {
                for view in readers(scene, &name) {
                    scene.lock(&view, AccessExclusive, &[]);
                }
            }
            scene.schema.relations.remove(&name);
        }
    }
}

/// Views that read `name`, and those that read them.
fn readers(scene: &Scene, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        for (view, relation) in &scene.schema.relations {
            if relation.reads.contains(&name) && !found.contains(view) {
                found.push(view.clone());
                open.push(view.clone());
            }
        }
    }
    found
}

pub(super) fn truncate(scene: &mut Scene, node: &Node) {
    let mut tables = all_named(scene, node, &[Kind::TABLE_NAME_REF]);
    if node.has(Kind::CASCADE) {
        with_referring(scene, &mut tables);
    }
    for table in tables {
        scene.lock_tree(&table, AccessExclusive, &[]);
    }
}

/// Adds the tables that have a foreign key to one of `tables`, and so on.
pub(super) fn with_referring(scene: &Scene, tables: &mut Vec<String>) {
    let mut at = 0;
    while let Some(table) = tables.get(at).cloned() {
        for other in referring(scene, &table, None) {
            if !tables.contains(&other) {
                tables.push(other);
            }
        }
        at += 1;
    }
}

pub(super) fn drop_schema(scene: &mut Scene, node: &Node) {
    if !node.has(Kind::CASCADE) {
        return;
    }
    let names: Vec<_> = node
        .all(Kind::SCHEMA_REF)
        .iter()
        .map(|node| node.name().concat())
        .collect();
    let within = |table: &&String| names.iter().any(|name| table.starts_with(&format!("{name}.")));
    let gone: Vec<_> = scene.schema.relations.keys().filter(within).cloned().collect();
    for table in gone {
        scene.lock(&table, AccessExclusive, &[]);
    }
    scene.unknown.push("what else goes with the schema");
}

pub(super) fn drop_statistics(scene: &mut Scene, node: &Node) {
    for name in all_named(scene, node, &[Kind::STATISTICS_REF]) {
        let of = scene
            .schema
            .relations
            .iter()
            .find(|(_, found)| found.statistics.contains(&name));
        match of.map(|(table, _)| table.clone()) {
            Some(table) => scene.lock(&table, ShareUpdateExclusive, &[]),
            None if scene.is_blind() => scene.unknown.push("which table the statistics are on"),
            None => {}
        }
    }
}

pub(super) fn drop_index(scene: &mut Scene, node: &Node) {
    let lock = if node.has(Kind::CONCURRENTLY_KW) {
        ShareUpdateExclusive
    } else {
        AccessExclusive
    };
    for parts in node.all(Kind::INDEX_REF).iter().map(Node::name) {
        match owner(scene, &parts) {
            Some(table) => scene.lock_tree(&table, lock, &[]),
            None => {
                if scene.is_blind() {
                    scene.unknown.push("which table the index is on");
                }
            }
        }
    }
}
