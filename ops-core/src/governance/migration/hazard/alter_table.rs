//! `ALTER TABLE`, action by action.

use super::column;
use super::constraint;
use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{LockMode, RelationKind, Work};

use LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};

/// The table that a statement is about, and whether its descendants are left out.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) only: bool,
}

impl Subject {
    pub(super) fn of(scene: &Scene, statement: &Node) -> Option<Self> {
        let node = statement
            .child(Kind::TABLE_RELATION_NAME)
            .or_else(|| statement.child(Kind::RELATION_NAME))
            .or_else(|| statement.child(Kind::TABLE_NAME_REF))
            .or_else(|| statement.child(Kind::RELATION_NAME_REF))?;
        Some(Self {
            only: node.has(Kind::ONLY_KW),
            name: scene.resolve(&node.name()),
        })
    }

    pub(super) fn lock(&self, scene: &mut Scene, lock: LockMode, work: &[Work]) {
        if self.only {
            scene.lock(&self.name, lock, work);
        } else {
            scene.lock_tree(&self.name, lock, work);
        }
    }
}

pub(super) fn alter_table(scene: &mut Scene, statement: &Node) {
    let Some(subject) = Subject::of(scene, statement) else {
        scene.unknown.push("alter table of a whole tablespace");
        return;
    };
    if scene.relation(&subject.name).is_none() && !scene.is_blind() && statement.has(Kind::IF_EXISTS) {
        return;
    }
    for action in statement.children() {
        alter(scene, &subject, &action);
    }
}

fn alter(scene: &mut Scene, subject: &Subject, action: &Node) {
    let one = |scene: &mut Scene, lock| scene.lock(&subject.name, lock, &[]);
    match action.kind() {
        Kind::TABLE_RELATION_NAME | Kind::TABLE_NAME_REF | Kind::IF_EXISTS => {}
        Kind::ADD_COLUMN => column::add(scene, subject, action),
        Kind::DROP_COLUMN => column::drop(scene, subject, action),
        Kind::ALTER_COLUMN => column::alter(scene, subject, action),
        Kind::ADD_CONSTRAINT => constraint::add(scene, subject, action),
        Kind::DROP_CONSTRAINT => constraint::drop(scene, subject, action),
        Kind::VALIDATE_CONSTRAINT => constraint::validate(scene, subject, action),
        Kind::ALTER_CONSTRAINT => constraint::alter(scene, subject),
        Kind::RENAME_CONSTRAINT => subject.lock(scene, AccessExclusive, &[]),
        Kind::RENAME_COLUMN => {
            subject.lock(scene, AccessExclusive, &[]);
            rename_column(scene, subject, action);
        }
        Kind::TABLE_RENAME_TO => rename(scene, subject, action),
        Kind::ATTACH_PARTITION => super::partition::attach(scene, subject, action),
        Kind::DETACH_PARTITION => super::partition::detach(scene, subject, action),
        Kind::SET_LOGGED | Kind::SET_UNLOGGED | Kind::SET_ACCESS_METHOD => {
            scene.lock(&subject.name, AccessExclusive, &[Work::Rewrite]);
        }
        Kind::ENABLE_TRIGGER
        | Kind::DISABLE_TRIGGER
        | Kind::ENABLE_ALWAYS_TRIGGER
        | Kind::ENABLE_REPLICA_TRIGGER => subject.lock(scene, ShareRowExclusive, &[]),
        Kind::CLUSTER_ON | Kind::SET_WITHOUT_CLUSTER => one(scene, ShareUpdateExclusive),
        Kind::SET_OPTIONS | Kind::RESET_OPTIONS => {
            let lock = if scene.kind(&subject.name) == RelationKind::View {
                AccessExclusive
            } else {
                ShareUpdateExclusive
            };
            one(scene, lock);
        }
        Kind::INHERIT_TABLE => {
            one(scene, AccessExclusive);
            let parent = action
                .child(Kind::TABLE_NAME_REF)
                .map(|node| scene.resolve(&node.name()));
            if let Some(parent) = parent {
                scene.lock(&parent, ShareUpdateExclusive, &[]);
            }
        }
        // Access share on the parent only.
        Kind::NO_INHERIT_TABLE => one(scene, AccessExclusive),
        // Owner, schema, row security, rules, replica identity, tablespace, type: the table alone, and all of it.
        Kind::OWNER_TO
        | Kind::SET_SCHEMA
        | Kind::ENABLE_RLS
        | Kind::DISABLE_RLS
        | Kind::FORCE_RLS
        | Kind::NO_FORCE_RLS
        | Kind::REPLICA_IDENTITY
        | Kind::ENABLE_RULE
        | Kind::DISABLE_RULE
        | Kind::ENABLE_ALWAYS_RULE
        | Kind::ENABLE_REPLICA_RULE
        | Kind::OF_TYPE
        | Kind::NOT_OF
        | Kind::SET_WITHOUT_OIDS => one(scene, AccessExclusive),
        Kind::SET_TABLESPACE => {
            // The file is copied as it is; the server does not call it a rewrite, and it takes as long.
            scene.lock(&subject.name, AccessExclusive, &[Work::Rewrite]);
        }
        _ => {
            one(scene, AccessExclusive);
            scene.unknown.push("an action of alter table that is not known");
        }
    }
}

fn rename_column(scene: &mut Scene, subject: &Subject, action: &Node) {
    let (Some(from), Some(to)) = (
        action.child(Kind::COLUMN_NAME_REF),
        action.child(Kind::COLUMN_NAME),
    ) else {
        return;
    };
    let (from, to) = (from.name().concat(), to.name().concat());
    for name in std::iter::once(subject.name.clone()).chain(scene.schema.descendants(&subject.name)) {
        let Some(relation) = scene.schema.relations.get_mut(&name) else {
            continue;
        };
        for column in relation.columns.iter_mut().filter(|column| column.name == from) {
            column.name.clone_from(&to);
        }
    }
}

fn rename(scene: &mut Scene, subject: &Subject, action: &Node) {
    scene.lock(&subject.name, AccessExclusive, &[]);
    let Some(to) = action.child(Kind::TABLE_NAME) else {
        return;
    };
    let schema = subject.name.split('.').next().unwrap_or_default();
    let to = format!("{schema}.{}", to.name().concat());
    if let Some(relation) = scene.schema.relations.remove(&subject.name) {
        scene.schema.relations.insert(to.clone(), relation);
    }
    if scene.made.contains(&subject.name) {
        scene.made.insert(to);
    }
}
