//! Every statement but `ALTER TABLE`.

use super::alter_table::{Subject, alter_table};
use super::drops::{drop_index, drop_relations, drop_schema, drop_statistics, truncate};
use super::is_gentle_reindex;
use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node};
use crate::model::{Column, LockMode, Relation, RelationKind, Work};

use LockMode::{AccessExclusive, Exclusive, Share, ShareRowExclusive, ShareUpdateExclusive};

/// What `node` does, and the schema after it.
pub(super) fn play(scene: &mut Scene, node: &Node) {
    match node.kind() {
        Kind::ALTER_TABLE | Kind::ALTER_FOREIGN_TABLE => alter_table(scene, node),
        Kind::CREATE_INDEX => create_index(scene, node),
        Kind::DROP_INDEX => drop_index(scene, node),
        Kind::CREATE_FUNCTION => create_function(scene, node),
        Kind::REINDEX => reindex(scene, node),
        Kind::CREATE_TABLE => create_table(scene, node),
        Kind::CREATE_TABLE_AS | Kind::CREATE_MATERIALIZED_VIEW => make(scene, node, RelationKind::Table),
        Kind::SELECT_INTO => {}
        Kind::CREATE_VIEW => create_view(scene, node),
        Kind::DROP_TABLE | Kind::DROP_VIEW | Kind::DROP_MATERIALIZED_VIEW | Kind::DROP_FOREIGN_TABLE => {
            drop_relations(scene, node);
        }
        Kind::TRUNCATE => truncate(scene, node),
        Kind::CREATE_TRIGGER => on_table(scene, node, ShareRowExclusive, true),
        Kind::DROP_TRIGGER => on_table(scene, node, AccessExclusive, true),
        Kind::ALTER_TRIGGER => on_table(scene, node, AccessExclusive, true),
        Kind::CREATE_POLICY | Kind::ALTER_POLICY | Kind::DROP_POLICY | Kind::DROP_RULE | Kind::ALTER_RULE => {
            on_table(scene, node, AccessExclusive, false);
        }
        Kind::CREATE_RULE => on_table(scene, node, AccessExclusive, false),
        Kind::REFRESH => refresh(scene, node),
        Kind::VACUUM => vacuum(scene, node),
        Kind::ANALYZE => maintained(scene, node, ShareUpdateExclusive, &[]),
        Kind::CLUSTER | Kind::REPACK => maintained(scene, node, AccessExclusive, &[Work::Rewrite]),
        Kind::LOCK => lock(scene, node),
        Kind::ALTER_DOMAIN => alter_domain(scene, node),
        Kind::ALTER_VIEW | Kind::ALTER_MATERIALIZED_VIEW => alter_view(scene, node),
        Kind::COMMENT_ON => comment(scene, node),
        Kind::CREATE_STATISTICS => on_table(scene, node, ShareUpdateExclusive, false),
        Kind::DROP_STATISTICS => drop_statistics(scene, node),
        Kind::CREATE_PUBLICATION | Kind::ALTER_PUBLICATION => publish(scene, node),
        Kind::DROP_SCHEMA => drop_schema(scene, node),
        Kind::DO | Kind::CALL | Kind::EXECUTE => scene.unknown.push("what the code does"),
        Kind::SELECT if node.contains(Kind::CALL_EXPR) => scene.unknown.push("what the functions do"),
        Kind::CREATE_SCHEMA if node.children().any(|child| child.kind() == Kind::CREATE_TABLE) => {
            for child in node.children().collect::<Vec<_>>() {
                play(scene, &child);
            }
        }
        Kind::ALTER_TYPE if node.find(Kind::ADD_VALUE).is_none() => alter_type(scene, node),
        Kind::DROP_OWNED | Kind::REASSIGN => scene.unknown.push("what the role owns"),
        Kind::DROP_TYPE
        | Kind::DROP_DOMAIN
        | Kind::DROP_FUNCTION
        | Kind::DROP_EXTENSION
        | Kind::DROP_SEQUENCE
            if node.has(Kind::CASCADE) =>
        {
            scene.unknown.push("what goes with it");
        }
        Kind::CREATE_EXTENSION | Kind::ALTER_EXTENSION => {
            scene.unknown.push("what the script of the extension does")
        }
        _ => {}
    }
}

fn named(scene: &Scene, node: &Node, kind: Kind) -> Option<String> {
    node.find(kind).map(|node| scene.resolve(&node.name()))
}

pub(super) fn all_named(scene: &Scene, node: &Node, kinds: &[Kind]) -> Vec<String> {
    kinds
        .iter()
        .flat_map(|kind| node.all(*kind))
        .map(|node| scene.resolve(&node.name()))
        .collect()
}

fn create_index(scene: &mut Scene, node: &Node) {
    let Some(subject) = Subject::of(scene, node) else {
        return;
    };
    let lock = if node.has(Kind::CONCURRENTLY_KW) {
        ShareUpdateExclusive
    } else {
        Share
    };
    let name = node.child(Kind::INDEX).map(|node| node.name().concat());
    let schema = subject.name.split('.').next().unwrap_or_default();
    let there = name.is_some_and(|name| scene.schema.index_owner(&format!("{schema}.{name}")).is_some());
    if there && node.has(Kind::IF_NOT_EXISTS) {
        scene.lock(&subject.name, lock, &[]);
        return;
    }
    // What inherits has indexes of its own; partitions share those of the parent.
    if scene.kind(&subject.name) == RelationKind::Partitioned {
        subject.lock(scene, lock, &[Work::IndexBuild]);
    } else {
        scene.lock(&subject.name, lock, &[Work::IndexBuild]);
    }
}

/// The table of an index; a name without a schema is looked for in all of the search path.
pub(super) fn owner(scene: &Scene, parts: &[String]) -> Option<String> {
    let path = scene.schema.search_path.iter().map(String::as_str);
    let names: Vec<String> = match parts {
        [name] => path
            .chain(["public"])
            .map(|schema| format!("{schema}.{name}"))
            .collect(),
        parts => vec![parts.join(".")],
    };
    let found = names.iter().find_map(|name| scene.schema.index_owner(name));
    found.map(|(table, _)| table.clone())
}

fn reindex(scene: &mut Scene, node: &Node) {
    let lock = if is_gentle_reindex(node) {
        ShareUpdateExclusive
    } else {
        Share
    };
    if let Some(target) = node.child(Kind::REINDEX_TARGET_TABLE) {
        let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
        for table in all_named(scene, &target, &kinds) {
            scene.lock_tree(&table, lock, &[Work::IndexBuild]);
        }
    } else if let Some(target) = node.child(Kind::REINDEX_TARGET_INDEX) {
        let parts = target
            .find(Kind::INDEX_REF)
            .map(|node| node.name())
            .unwrap_or_default();
        match owner(scene, &parts) {
            // That of a partitioned table is those of its partitions; what inherits has indexes of its own.
            Some(table) if scene.kind(&table) == RelationKind::Partitioned => {
                scene.lock_tree(&table, lock, &[Work::IndexBuild]);
            }
            Some(table) => scene.lock(&table, lock, &[Work::IndexBuild]),
            None => scene.unknown.push("which table the index is on"),
        }
    } else {
        let schema = node.find(Kind::SCHEMA_REF).map(|node| node.name().concat());
        let within = |name: &&String| {
            schema
                .as_ref()
                .is_none_or(|schema| name.starts_with(&format!("{schema}.")))
        };
        let tables: Vec<_> = scene.schema.relations.keys().filter(within).cloned().collect();
        for table in tables {
            scene.lock(&table, lock, &[Work::IndexBuild]);
        }
    }
}

/// The table whose index is copied or built anew while nobody may use it; unlike the lock on the table itself, that one keeps readers out.
pub(super) fn locked_index(scene: &Scene, node: &Node) -> Option<String> {
    let gentle = is_gentle_reindex(node);
    match node.kind() {
        Kind::ALTER_INDEX if node.find(Kind::SET_TABLESPACE).is_some() => {}
        Kind::REINDEX if !gentle && node.has(Kind::REINDEX_TARGET_INDEX) => {}
        Kind::REINDEX if !gentle => {
            let target = node.child(Kind::REINDEX_TARGET_TABLE)?;
            let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
            return all_named(scene, &target, &kinds).into_iter().next();
        }
        _ => return None,
    }
    let parts = node.find(Kind::INDEX_REF)?.name();
    Some(owner(scene, &parts).unwrap_or_else(|| scene.resolve(&parts)))
}

/// The server does each partition in a transaction of its own.
pub(super) fn reindexes_partitions(scene: &Scene, node: &Node) -> bool {
    node.kind() == Kind::REINDEX
        && locked_index(scene, node).is_some_and(|table| scene.kind(&table) == RelationKind::Partitioned)
}

/// What a default may call later in the script. Without a word it is volatile.
fn create_function(scene: &mut Scene, node: &Node) {
    let Some(name) = node.child(Kind::FUNCTION_NAME).and_then(|node| node.name().pop()) else {
        return;
    };
    if node.contains(Kind::IMMUTABLE) || node.contains(Kind::STABLE) {
        scene.steady.insert(name);
    } else {
        scene.schema.volatile_functions.insert(name);
    }
}

fn create_table(scene: &mut Scene, node: &Node) {
    let Some(name) = node.child(Kind::TABLE_NAME).map(|node| node.name()) else {
        return;
    };
    let name = scene.resolve(&name);
    if node.has(Kind::IF_NOT_EXISTS) && scene.relation(&name).is_some() {
        return;
    }
    // With no server at hand it may be there.
    let perhaps = node.has(Kind::IF_NOT_EXISTS) && scene.is_blind();
    if perhaps {
        return;
    }
    scene.made.insert(name.clone());
    let mut parents = Vec::new();
    if let Some(parent) = node
        .child(Kind::PARTITION_OF)
        .and_then(|of| named(scene, &of, Kind::TABLE_NAME_REF))
    {
        super::partition::create(scene, &parent, node.has(Kind::PARTITION_DEFAULT));
        parents.push(parent);
    }
    if let Some(inherits) = node.child(Kind::INHERITS) {
        for parent in all_named(scene, &inherits, &[Kind::TABLE_NAME_REF]) {
            scene.lock(&parent, ShareUpdateExclusive, &[]);
            parents.push(parent);
        }
    }
    let mut columns = Vec::new();
    if let Some(arguments) = node.child(Kind::TABLE_ARG_LIST) {
        for kind in [Kind::REFERENCES_CONSTRAINT, Kind::FOREIGN_KEY_CONSTRAINT] {
            for reference in arguments.all(kind) {
                if let Some(other) = named(scene, &reference, Kind::TABLE_NAME_REF) {
                    scene.lock_tree(&other, ShareRowExclusive, &[]);
                }
            }
        }
        for column in arguments.children().filter(|child| child.kind() == Kind::COLUMN) {
            let name = column.child(Kind::COLUMN_NAME).map(|node| node.name().concat());
            columns.push(Column {
                name: name.unwrap_or_default(),
                not_null: column.has(Kind::NOT_NULL_CONSTRAINT) || column.has(Kind::PRIMARY_KEY_CONSTRAINT),
                ..Column::default()
            });
        }
    }
    let relation = Relation {
        kind: if node.has(Kind::PARTITION_BY) {
            RelationKind::Partitioned
        } else {
            RelationKind::Table
        },
        rows: Some(0),
        columns,
        parents,
        ..Relation::default()
    };
    scene.schema.relations.insert(name, relation);
}

fn make(scene: &mut Scene, node: &Node, kind: RelationKind) {
    let name = node.child(Kind::TABLE_NAME).or_else(|| node.child(Kind::VIEW));
    let Some(name) = name.map(|node| scene.resolve(&node.name())) else {
        return;
    };
    let perhaps = node.has(Kind::IF_NOT_EXISTS) && scene.is_blind();
    if scene.relation(&name).is_none() && !perhaps {
        scene.made.insert(name.clone());
        let relation = Relation {
            kind,
            ..Relation::default()
        };
        scene.schema.relations.insert(name, relation);
    }
}

fn create_view(scene: &mut Scene, node: &Node) {
    let Some(name) = node.child(Kind::VIEW).map(|node| scene.resolve(&node.name())) else {
        return;
    };
    if scene.relation(&name).is_some() {
        scene.lock(&name, AccessExclusive, &[]);
    } else {
        make(scene, node, RelationKind::View);
    }
}

/// What is said to be `ON` a table.
fn on_table(scene: &mut Scene, node: &Node, lock: LockMode, tree: bool) {
    let kinds = [Kind::ON_RELATION, Kind::ON_TABLE, Kind::RULE_ON, Kind::FROM_TABLE];
    let within = node.children().find(|child| kinds.contains(&child.kind()));
    let refs = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF, Kind::VIEW_REF];
    let place = within.as_ref().unwrap_or(node);
    let Some(name) = refs.iter().find_map(|kind| named(scene, place, *kind)) else {
        scene.unknown.push("which table it is on");
        return;
    };
    if tree {
        let partitioned = scene.kind(&name) == RelationKind::Partitioned;
        if partitioned {
            return scene.lock_tree(&name, lock, &[]);
        }
    }
    scene.lock(&name, lock, &[]);
}

fn refresh(scene: &mut Scene, node: &Node) {
    let Some(name) = named(scene, node, Kind::VIEW_REF) else {
        return;
    };
    if node.has(Kind::CONCURRENTLY_KW) {
        scene.lock(&name, Exclusive, &[Work::Scan]);
    } else {
        scene.lock(&name, AccessExclusive, &[Work::Rewrite]);
    }
}

fn vacuum(scene: &mut Scene, node: &Node) {
    let option = |option: &Node| option.words().first().map(String::as_str) == Some("full") && !off(option);
    let full = node.has(Kind::FULL_KW) || node.all(Kind::VACUUM_OPTION).iter().any(option);
    if full {
        maintained(scene, node, AccessExclusive, &[Work::Rewrite]);
    } else {
        maintained(scene, node, ShareUpdateExclusive, &[]);
    }
}

fn off(option: &Node) -> bool {
    let words = option.words();
    matches!(words.get(1).map(String::as_str), Some("false" | "off" | "0"))
}

/// The tables that `VACUUM`, `ANALYZE` and `CLUSTER` name; all of them if they name none.
fn maintained(scene: &mut Scene, node: &Node, lock: LockMode, work: &[Work]) {
    let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
    let mut names = all_named(scene, node, &kinds);
    if names.is_empty() {
        names = scene.schema.relations.keys().cloned().collect();
        scene
            .unknown
            .push("which tables are due: it goes over all of them");
    }
    for name in names {
        scene.lock_tree(&name, lock, work);
    }
}

fn lock(scene: &mut Scene, node: &Node) {
    let mode = node.child(Kind::LOCK_MODE_CLAUSE).map(|node| node.text());
    let named = |lock: &LockMode| {
        mode.as_ref()
            .is_some_and(|mode| mode.contains(&format!("in {} mode", lock.name().to_lowercase())))
    };
    let lock = LockMode::ALL.into_iter().find(named).unwrap_or(AccessExclusive);
    let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
    let only = node.contains(Kind::ONLY_KW);
    for name in all_named(scene, node, &kinds) {
        if only {
            scene.lock(&name, lock, &[]);
        } else {
            scene.lock_tree(&name, lock, &[]);
        }
    }
}

fn alter_domain(scene: &mut Scene, node: &Node) {
    let Some(domain) = named(scene, node, Kind::DOMAIN_REF) else {
        return;
    };
    let checks = node
        .child(Kind::ADD_CONSTRAINT)
        .is_some_and(|add| !add.contains(Kind::NOT_VALID));
    let scans = checks || node.has(Kind::SET_NOT_NULL) || node.has(Kind::VALIDATE_CONSTRAINT);
    if !scans {
        return;
    }
    for table in users(scene, &domain) {
        // A validation locks less, from version 17 on.
        scene.lock(
            &table,
            if node.has(Kind::VALIDATE_CONSTRAINT) && scene.schema.server >= 17 {
                ShareUpdateExclusive
            } else {
                Share
            },
            &[Work::Scan],
        );
    }
}

/// Tables with a column of that type.
fn users(scene: &Scene, of: &str) -> Vec<String> {
    let relations = scene.schema.relations.iter();
    relations
        .filter(|(_, relation)| {
            matches!(
                relation.kind,
                RelationKind::Table | RelationKind::MaterializedView
            ) && relation.columns.iter().any(|column| {
                let parts: Vec<_> = column
                    .data_type
                    .split('.')
                    .map(|part| part.trim_matches('"').to_owned())
                    .collect();
                scene.resolve(&parts) == of
            })
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn alter_type(scene: &mut Scene, node: &Node) {
    let Some(name) = named(scene, node, Kind::TYPE_NAME_REF) else {
        return;
    };
    let harmless = [
        Kind::OWNER_TO,
        Kind::TYPE_RENAME_TO,
        Kind::SET_SCHEMA,
        Kind::RENAME_VALUE,
    ];
    if !node.children().any(|child| harmless.contains(&child.kind())) && !users(scene, &name).is_empty() {
        scene.unknown.push("what happens to tables that use the type");
    }
}

fn alter_view(scene: &mut Scene, node: &Node) {
    if let Some(name) = named(scene, node, Kind::VIEW_REF) {
        scene.lock(&name, AccessExclusive, &[]);
    }
}

fn comment(scene: &mut Scene, node: &Node) {
    let Some(object) = node.children().next() else {
        return;
    };
    let name = match object.kind() {
        Kind::OBJECT_COLUMN => {
            let mut parts = object
                .children()
                .next()
                .map(|node| node.name())
                .unwrap_or_default();
            parts.pop();
            Some(scene.resolve(&parts))
        }
        Kind::OBJECT_TABLE | Kind::OBJECT_VIEW | Kind::OBJECT_MATERIALIZED_VIEW => {
            let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF, Kind::VIEW_REF];
            kinds.iter().find_map(|kind| named(scene, &object, *kind))
        }
        // The server only reads the table for these.
        _ => None,
    };
    if let Some(name) = name {
        scene.lock(&name, ShareUpdateExclusive, &[]);
    }
}

fn publish(scene: &mut Scene, node: &Node) {
    for table in all_named(scene, node, &[Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF]) {
        scene.lock_tree(&table, ShareUpdateExclusive, &[]);
    }
}
