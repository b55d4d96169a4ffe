//! What happens to rows.

use super::drops::with_referring;
use super::finding::{Finding, Hazard, Urgency, finding};
use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node, Parsed};
use crate::messages::migration as text;

/// All rows changed at once, rows lost, and objects that go with others.
pub(super) fn of_rows(parsed: &Parsed, scene: &Scene) -> Vec<Finding> {
    let node = &parsed.node;
    let mut found = Vec::new();
    for change in changes(node).iter().filter(|change| is_of_all(change)) {
        let name = target(change, scene);
        if !name.as_ref().is_some_and(|name| scene.made.contains(name)) {
            let both = text::whole_table(name.as_deref().unwrap_or_default());
            found.push(finding(Hazard::WholeTable, Urgency::Danger, name, both));
        }
    }
    if matches!(node.kind(), Kind::TRUNCATE | Kind::DROP_TABLE | Kind::DROP_SCHEMA) {
        let mut lost: Vec<String> = kinds_of_names()
            .iter()
            .flat_map(|kind| node.all(*kind))
            .map(|node| scene.resolve(&node.name()))
            .collect();
        if node.kind() == Kind::TRUNCATE && node.has(Kind::CASCADE) {
            with_referring(scene, &mut lost);
        }
        let told = if lost.is_empty() {
            vec![String::new()]
        } else {
            lost
        };
        for name in told.into_iter().filter(|name| !scene.made.contains(name)) {
            let both = text::loses_rows(&name);
            let name = (!name.is_empty()).then_some(name);
            found.push(finding(Hazard::LosesData, Urgency::Caution, name, both));
        }
    }
    for dropped in node.all(Kind::DROP_COLUMN) {
        let column = dropped
            .child(Kind::COLUMN_NAME_REF)
            .map(|node| node.name().concat());
        let name = target(node, scene);
        let place = format!(
            "{}.{}",
            name.as_deref().unwrap_or_default(),
            column.unwrap_or_default()
        );
        found.push(finding(
            Hazard::LosesData,
            Urgency::Caution,
            name,
            text::loses_rows(&place),
        ));
    }
    if node.contains(Kind::CASCADE) && !matches!(node.kind(), Kind::CREATE_TABLE | Kind::TRUNCATE) {
        found.push(finding(
            Hazard::Cascades,
            Urgency::Caution,
            None,
            text::cascades(),
        ));
    }
    found
}

fn kinds_of_names() -> [Kind; 2] {
    [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF]
}

/// The first table that a statement names.
fn target(node: &Node, scene: &Scene) -> Option<String> {
    let nodes = kinds_of_names();
    let mut nodes = nodes.iter().flat_map(|kind| node.all(*kind));
    nodes.next().map(|node| scene.resolve(&node.name()))
}

/// Every `UPDATE` and `DELETE` of a statement, those in `WITH` too; not those that a rule or function will do some day.
fn changes(node: &Node) -> Vec<Node> {
    let now = [
        Kind::UPDATE,
        Kind::DELETE,
        Kind::INSERT,
        Kind::MERGE,
        Kind::SELECT,
        Kind::COMPOUND_SELECT,
    ];
    if !now.contains(&node.kind()) {
        return Vec::new();
    }
    let kinds = [Kind::UPDATE, Kind::DELETE];
    kinds.iter().flat_map(|kind| node.all(*kind)).collect()
}

/// Without a condition, with one that is always true, or with one that before a first fill is.
fn is_of_all(change: &Node) -> bool {
    let Some(condition) = change.child(Kind::WHERE_CLAUSE) else {
        return change.child(Kind::WHERE_CURRENT_OF).is_none();
    };
    let words = condition.words();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["true"] | ["(", "true", ")"] => true,
        [one, "=", other] if one == other => true,
        [name @ .., "is", "null"] => name
            .iter()
            .all(|word| !matches!(*word, "and" | "or" | "not" | "(")),
        _ => false,
    }
}

/// Tables whose rows are changed, or read into another, one statement long.
pub(super) fn rows_changed(parsed: &Parsed, scene: &Scene) -> Vec<String> {
    let node = &parsed.node;
    let mut changed: Vec<String> = changes(node)
        .iter()
        .chain(&node.all(Kind::MERGE))
        .filter_map(|change| target(change, scene))
        .collect();
    for insert in node
        .all(Kind::INSERT)
        .iter()
        .filter(|insert| insert.contains(Kind::FROM_CLAUSE))
    {
        for kind in kinds_of_names() {
            changed.extend(insert.all(kind).iter().map(|node| scene.resolve(&node.name())));
        }
    }
    changed
}
