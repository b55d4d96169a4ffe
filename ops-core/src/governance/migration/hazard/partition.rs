//! Attaching, detaching and making partitions.

use super::alter_table::Subject;
use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{Constraint, ConstraintKind, LockMode, Work};

use LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};

pub(super) fn attach(scene: &mut Scene, parent: &Subject, action: &Node) {
    scene.lock(&parent.name, ShareUpdateExclusive, &[]);
    let Some(child) = action.child(Kind::TABLE_NAME_REF) else {
        return;
    };
    let child = scene.resolve(&child.name());
    let known = scene.relation(&child).map(|found| found.constraints.clone());
    // Whether the checks imply the bound is the server's to decide; a check on the key that says as much is taken for it.
    let proved = known.is_some_and(|found| implies(&found, action));
    let build = lacks_an_index(scene, &parent.name, &child);
    let mut work = Vec::new();
    if !proved && !action.has(Kind::PARTITION_DEFAULT) {
        work.push(Work::Scan);
    }
    if build {
        work.push(Work::IndexBuild);
    }
    scene.lock_tree(&child, AccessExclusive, &work);
    if action.has(Kind::PARTITION_DEFAULT) {
        // The first one takes every row; beside others its rows are checked.
        let others = scene.schema.descendants(&parent.name);
        if !others.is_empty() {
            scene.lock_tree(&child, AccessExclusive, &[Work::Scan]);
        }
    } else {
        check_default(scene, &parent.name);
    }
    references_of_parent(scene, &parent.name);
    if let Some(found) = scene.schema.relations.get_mut(&child) {
        found.parents.push(parent.name.clone());
    }
}

/// Rows that the new partition claims may not be in the default one.
fn check_default(scene: &mut Scene, parent: &str) {
    let default = scene
        .relation(parent)
        .and_then(|found| found.default_partition.clone());
    if let Some(default) = default {
        scene.lock_tree(&default, AccessExclusive, &[Work::Scan]);
    }
}

/// A foreign key of the parent becomes one of the partition.
fn references_of_parent(scene: &mut Scene, parent: &str) {
    let others: Vec<String> = scene.relation(parent).map_or_else(Vec::new, |found| {
        let constraints = found.constraints.iter();
        constraints.filter_map(|found| found.references.clone()).collect()
    });
    for other in others {
        scene.lock(&other, ShareRowExclusive, &[]);
    }
}

/// Whether the parent has an index for which the child has none of the same columns.
fn lacks_an_index(scene: &Scene, parent: &str, child: &str) -> bool {
    let (Some(parent), Some(child)) = (scene.relation(parent), scene.relation(child)) else {
        return false;
    };
    let there = |columns: &[String]| {
        child
            .indexes
            .iter()
            .any(|index| index.valid && index.columns == columns)
    };
    !parent.indexes.iter().all(|index| there(&index.columns))
}

fn implies(constraints: &[Constraint], action: &Node) -> bool {
    let literals: Vec<String> = action
        .all(Kind::LITERAL)
        .iter()
        .map(|node| node.text().trim_matches('\'').to_owned())
        .collect();
    constraints.iter().any(|found| {
        found.kind == ConstraintKind::Check
            && found.validated
            && !literals.is_empty()
            && found.definition.contains("IS NOT NULL")
            && bounds(action, &found.definition, &literals)
    })
}

/// The check names each bound, the lower one included and the upper one not.
fn bounds(action: &Node, definition: &str, literals: &[String]) -> bool {
    let plain = definition.replace('\'', "");
    let says = |operator: &str, value: &String| plain.contains(&format!("{operator} {value}"));
    match literals {
        [low, high] if action.has(Kind::PARTITION_FOR_VALUES_FROM) => says(">=", low) && says("<", high),
        values if action.has(Kind::PARTITION_FOR_VALUES_IN) => values.iter().all(|value| says("=", value)),
        _ => false,
    }
}

pub(super) fn detach(scene: &mut Scene, parent: &Subject, action: &Node) {
    let child = action
        .child(Kind::TABLE_NAME_REF)
        .map(|node| scene.resolve(&node.name()));
    let Some(child) = child else { return };
    let gentle = action.has(Kind::DETACH_CONCURRENTLY) || action.has(Kind::DETACH_FINALIZE);
    let lock = if gentle {
        ShareUpdateExclusive
    } else {
        AccessExclusive
    };
    scene.lock(&parent.name, lock, &[]);
    scene.lock(&child, AccessExclusive, &[]);
    let default = scene
        .relation(&parent.name)
        .and_then(|found| found.default_partition.clone());
    if let Some(default) = default.filter(|_| !gentle) {
        scene.lock(&default, AccessExclusive, &[]);
    }
    if !gentle {
        references_of_parent(scene, &parent.name);
    }
    if let Some(found) = scene.schema.relations.get_mut(&child) {
        found.parents.retain(|name| *name != parent.name);
    }
}

/// `CREATE TABLE … PARTITION OF`.
pub(super) fn create(scene: &mut Scene, parent: &str, is_default: bool) {
    scene.lock(parent, AccessExclusive, &[]);
    if !is_default {
        check_default(scene, parent);
    }
    references_of_parent(scene, parent);
}
