//! Adding, changing and dropping columns.

use super::alter_table::Subject;
use super::constraint;
use super::scene::Scene;
use super::types::{DataType, is_checked_domain, is_rewritten, same_order};
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{Column, ConstraintKind, LockMode, RelationKind, Work};

use LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};

pub(super) fn add(scene: &mut Scene, subject: &Subject, action: &Node) {
    let name = action.child(Kind::COLUMN_NAME).map(|node| node.name().concat());
    let name = name.unwrap_or_default();
    let there = scene
        .relation(&subject.name)
        .is_some_and(|found| found.column(&name).is_some());
    if there && action.has(Kind::IF_NOT_EXISTS) {
        subject.lock(scene, AccessExclusive, &[]);
        return;
    }
    let data_type = DataType::of(action);
    let default = action.child(Kind::DEFAULT_CONSTRAINT);
    let generated = action.child(Kind::GENERATED_CONSTRAINT);
    let not_null = action.has(Kind::NOT_NULL_CONSTRAINT) || action.has(Kind::PRIMARY_KEY_CONSTRAINT);
    let has_default = default.as_ref().is_some_and(|node| !is_null(node));
    let stored = generated
        .as_ref()
        .is_some_and(|node| !node.contains(Kind::VIRTUAL) && writes(node, scene));
    let serial = data_type.as_ref().is_some_and(DataType::is_serial);
    let is_virtual = generated.is_some() && !stored;

    let mut work = Vec::new();
    let rewritten = serial
        || stored
        || default.as_ref().is_some_and(|node| is_volatile(scene, node))
        || data_type
            .as_ref()
            .is_some_and(|found| is_checked_domain(scene, found));
    if rewritten {
        work.push(Work::Rewrite);
    }
    if action.has(Kind::CHECK_CONSTRAINT) || (not_null && (!has_default || is_virtual) && !rewritten) {
        work.push(Work::Scan);
    }
    if action.has(Kind::UNIQUE_CONSTRAINT) || action.has(Kind::PRIMARY_KEY_CONSTRAINT) {
        work.push(Work::IndexBuild);
    }
    if let Some(references) = action.child(Kind::REFERENCES_CONSTRAINT)
        && let Some(other) = references.child(Kind::TABLE_NAME_REF)
    {
        let other = scene.resolve(&other.name());
        scene.lock_tree(&other, ShareRowExclusive, &[]);
        if has_default || serial || generated.is_some() {
            work.push(Work::Scan);
        }
    }
    subject.lock(scene, AccessExclusive, &work);
    if let Some(relation) = scene.schema.relations.get_mut(&subject.name) {
        relation.columns.push(Column {
            name,
            data_type: data_type.map(|found| found.base).unwrap_or_default(),
            collation: None,
            not_null: not_null || serial,
            has_default: has_default || serial || generated.is_some(),
        });
    }
}

/// A generated column that is stored, or an identity. Without a word the server stores it, up to version 17.
fn writes(generated: &Node, scene: &Scene) -> bool {
    generated.contains(Kind::STORED)
        || generated.contains(Kind::GENERATED_IDENTITY)
        || scene.schema.server < 18
}

fn is_null(default: &Node) -> bool {
    let words = default.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let at = words
        .iter()
        .position(|word| *word == "default")
        .map_or(0, |at| at + 1);
    matches!(words.get(at..), Some(["null"] | ["null", ":", ":", ..]))
}

/// Whether each row would get a value of its own.
fn is_volatile(scene: &mut Scene, expression: &Node) -> bool {
    let mut volatile = false;
    let mut names = Vec::new();
    for call in expression.all(Kind::CALL_EXPR) {
        if let Some(name) = call.children().next().and_then(|callee| callee.name().pop()) {
            names.push(name);
        }
    }
    for name in names {
        if scene.schema.volatile_functions.contains(&name) || VOLATILE.contains(&name.as_str()) {
            volatile = true;
        } else if scene.is_blind() && !scene.steady.contains(&name) && !STEADY.contains(&name.as_str()) {
            scene
                .unknown
                .push("whether a function of the default gives every row a value of its own");
        }
    }
    volatile
}

/// Functions of the server that are volatile.
const VOLATILE: [&str; 14] = [
    "clock_timestamp",
    "gen_random_uuid",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
    "random",
    "random_normal",
    "nextval",
    "currval",
    "lastval",
    "setval",
    "timeofday",
];

/// Functions that defaults often call and that are not, for when there is no server to ask.
const STEADY: [&str; 17] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "date_trunc",
    "current_setting",
    "to_char",
    "lower",
    "upper",
    "concat",
    "coalesce",
    "md5",
    "jsonb_build_object",
    "json_build_object",
    "make_interval",
    "timezone",
    "nullif",
    "array_fill",
];

pub(super) fn drop(scene: &mut Scene, subject: &Subject, action: &Node) {
    subject.lock(scene, AccessExclusive, &[]);
    let Some(name) = action
        .child(Kind::COLUMN_NAME_REF)
        .map(|node| node.name().concat())
    else {
        return;
    };
    // A foreign key of the column goes with it, and that needs the other table.
    let constraints = scene
        .relation(&subject.name)
        .map(|found| found.constraints.clone());
    for gone in constraints.unwrap_or_default() {
        if gone.columns.contains(&name) {
            constraint::lock_dropped(scene, &subject.name, &gone);
        }
    }
    if action.has(Kind::CASCADE) {
        for other in constraint::referring(scene, &subject.name, Some(&name)) {
            scene.lock_tree(&other, AccessExclusive, &[]);
        }
    }
    if let Some(relation) = scene.schema.relations.get_mut(&subject.name) {
        relation.columns.retain(|column| column.name != name);
        relation
            .constraints
            .retain(|found| !found.columns.contains(&name));
    }
}

pub(super) fn alter(scene: &mut Scene, subject: &Subject, action: &Node) {
    let Some(name) = action
        .child(Kind::COLUMN_NAME_REF)
        .map(|node| node.name().concat())
    else {
        scene.lock(&subject.name, AccessExclusive, &[]);
        return;
    };
    for option in action.children() {
        match option.kind() {
            Kind::SET_TYPE => set_type(scene, subject, &name, &option),
            Kind::SET_NOT_NULL => set_not_null(scene, subject, &name),
            Kind::SET_EXPRESSION => {
                let stored = scene.schema.server < 18 || !option.contains(Kind::VIRTUAL);
                let work: &[Work] = if stored { &[Work::Rewrite] } else { &[] };
                subject.lock(scene, AccessExclusive, work);
            }
            Kind::SET_STATISTICS => subject.lock(scene, ShareUpdateExclusive, &[]),
            Kind::SET_OPTIONS | Kind::SET_OPTIONS_LIST | Kind::RESET_OPTIONS => {
                subject.lock(scene, ShareUpdateExclusive, &[]);
            }
            Kind::ADD_GENERATED | Kind::DROP_IDENTITY | Kind::SET_GENERATED | Kind::SET_GENERATED_OPTIONS => {
                scene.lock(&subject.name, AccessExclusive, &[]);
            }
            Kind::COLUMN_NAME_REF => {}
            _ => subject.lock(scene, AccessExclusive, &[]),
        }
    }
}

fn set_not_null(scene: &mut Scene, subject: &Subject, column: &str) {
    let mut names = vec![subject.name.clone()];
    if !subject.only {
        names.extend(scene.schema.descendants(&subject.name));
    }
    for name in names {
        let proved = scene.relation(&name).is_some_and(|found| {
            let already = found.column(column).is_some_and(|column| column.not_null);
            already || found.proves_not_null(column)
        });
        let work: &[Work] = if proved { &[] } else { &[Work::Scan] };
        scene.lock(&name, AccessExclusive, work);
        let Some(relation) = scene.schema.relations.get_mut(&name) else {
            continue;
        };
        for found in relation.columns.iter_mut().filter(|found| found.name == column) {
            found.not_null = true;
        }
    }
}

fn set_type(scene: &mut Scene, subject: &Subject, column: &str, option: &Node) {
    let mut names = vec![subject.name.clone()];
    names.extend(scene.schema.descendants(&subject.name));
    let to = DataType::of(option);
    let new_collation = option
        .child(Kind::COLLATE)
        .map(|node| node.name().pop().unwrap_or_default());
    for name in names {
        let relation = scene.relation(&name).cloned();
        let found = relation.as_ref().and_then(|found| found.column(column)).cloned();
        let (Some(relation), Some(found), Some(to)) = (relation, found, to.as_ref()) else {
            scene.lock(&name, AccessExclusive, &[Work::Rewrite]);
            if !scene.made.contains(&name) {
                scene.unknown.push("the type that the column has now");
            }
            continue;
        };
        let from = DataType::read(&found.data_type);
        let rewritten = match option.child(Kind::USING_EXPR) {
            Some(using) if !is_plain(&using, column) => true,
            _ => is_rewritten(scene, &from, to),
        };
        let mut work = Vec::new();
        if rewritten {
            work.push(Work::Rewrite);
        }
        // Without a word the collation becomes that of the type.
        let collated =
            new_collation.as_deref().filter(|name| *name != "default") != found.collation.as_deref();
        let rebuilt = relation.indexes.iter().any(|index| {
            index.uses.iter().any(|used| used == column)
                && (index.computed || collated || !same_order(scene, &from, to))
        });
        if rebuilt {
            work.push(Work::IndexBuild);
        }
        let mut others = Vec::new();
        for constraint in &relation.constraints {
            if !constraint.columns.iter().any(|found| found == column) {
                continue;
            }
            match constraint.kind {
                ConstraintKind::Check => work.push(Work::Scan),
                ConstraintKind::ForeignKey => {
                    others.extend(constraint.references.clone());
                    if rewritten || from.base != to.base {
                        work.push(Work::Scan);
                    }
                }
                _ => {}
            }
        }
        scene.lock(&name, AccessExclusive, &work);
        for other in others {
            scene.lock(&other, AccessExclusive, &[]);
        }
        if let Some(relation) = scene.schema.relations.get_mut(&name) {
            for found in relation.columns.iter_mut().filter(|found| found.name == column) {
                found.data_type = option_text(option);
                found.collation.clone_from(&new_collation);
            }
        }
        if scene.kind(&name) == RelationKind::Foreign {
            scene.unknown.push("what the other server does");
        }
    }
}

/// `USING a`, or a cast of it to the same type as the column gets.
fn is_plain(using: &Node, column: &str) -> bool {
    let words = using.words();
    matches!(words.as_slice(), [_, only] if only.trim_matches('"') == column)
}

fn option_text(option: &Node) -> String {
    let kinds = [Kind::COLLATE, Kind::USING_EXPR];
    let mut text = Vec::new();
    for child in option.children().filter(|child| !kinds.contains(&child.kind())) {
        text.extend(child.words());
    }
    text.join(" ")
}
