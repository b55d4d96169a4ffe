//! What a script does to locks and tables, told before it runs: from the tree of each statement and the schema at hand.

mod alter_table;
mod column;
mod constraint;
mod drops;
mod finding;
mod partition;
mod rows;
mod scene;
mod statement;
mod types;

use serde::Serialize;

pub use self::finding::{Finding, Hazard, Urgency};
use self::scene::Scene;
use super::script::line_of;
use super::tree::{Kind, Node, parse};
use crate::model::{RelationEffect, Schema};

/// `tables`, and those that have a foreign key to one of them, and so on.
pub(super) fn and_referring(schema: &Schema, mut tables: Vec<String>) -> Vec<String> {
    drops::with_referring(&Scene::new(schema), &mut tables);
    tables
}

/// One statement of a script, and what it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StatementReview {
    /// Where it begins, from 1.
    pub line: usize,
    /// The statement without the comments around it.
    pub sql: String,
    /// Whether the server refuses it inside a transaction.
    pub autocommit: bool,
    /// Locks stronger than those of reading and writing rows, on relations that were there before the script.
    pub effects: Vec<RelationEffect>,
    /// What that means for those who use the database meanwhile.
    pub findings: Vec<Finding>,
    /// What only a server can tell: see the proof.
    pub unknown: Vec<String>,
}

/// Says for each statement of `script` which locks it takes, what it does under them, and what is better.
///
/// It is no verdict: whether code can live with the change is what [`breaks`](crate::governance::migration::breaks) asks, and
/// what is [unknown](StatementReview::unknown) needs a server. With an empty `schema` every table counts as there and full.
/// `atomic`: the script runs in one transaction.
pub fn review(script: &str, schema: &Schema, atomic: bool) -> Vec<StatementReview> {
    let mut scene = Scene::new(schema);
    let mut together = finding::Together::new(atomic);
    let mut reviews = Vec::new();
    for parsed in parse(script) {
        let line = line_of(script, parsed.range.start);
        let sql = script.get(parsed.range.clone()).unwrap_or_default().to_owned();
        if parsed.error.is_none() {
            statement::play(&mut scene, &parsed.node);
        }
        let effects = scene.take_effects();
        let unknown: Vec<String> = std::mem::take(&mut scene.unknown)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let autocommit =
            refuses_transactions(&parsed.node) || statement::reindexes_partitions(&scene, &parsed.node);
        let findings = together.findings(&parsed, &scene, &effects, &unknown, autocommit);
        reviews.push(StatementReview {
            line,
            sql,
            autocommit,
            effects,
            findings,
            unknown,
        });
    }
    reviews
}

/// A `REINDEX` beside the traffic, whichever way it is written.
pub(super) fn is_gentle_reindex(node: &Node) -> bool {
    node.kind() == Kind::REINDEX
        && (node.contains(Kind::REINDEX_OPTION_CONCURRENTLY) || node.contains(Kind::CONCURRENTLY_KW))
}

/// What must not stand in a transaction block.
pub(super) fn refuses_transactions(node: &Node) -> bool {
    match node.kind() {
        Kind::CREATE_INDEX | Kind::DROP_INDEX => node.has(Kind::CONCURRENTLY_KW),
        Kind::REINDEX => {
            is_gentle_reindex(node)
                || !(node.has(Kind::REINDEX_TARGET_TABLE) || node.has(Kind::REINDEX_TARGET_INDEX))
        }
        Kind::VACUUM | Kind::CREATE_DATABASE | Kind::DROP_DATABASE | Kind::ALTER_SYSTEM => true,
        // With a slot on the other server, which no transaction can take back.
        Kind::CREATE_SUBSCRIPTION => !node.text().contains("create_slot = false"),
        Kind::DROP_SUBSCRIPTION => true,
        Kind::CREATE_TABLESPACE | Kind::DROP_TABLESPACE => true,
        Kind::CLUSTER => !node.has(Kind::TABLE_NAME_REF),
        Kind::ALTER_TABLE => node.find(Kind::DETACH_CONCURRENTLY).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
