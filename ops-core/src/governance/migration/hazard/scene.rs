use std::collections::{BTreeMap, BTreeSet};

use crate::model::{LockMode, Relation, RelationEffect, RelationKind, Schema, Work};

/// The schema as it is before a statement, and what the statement does to it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) schema: Schema,
    /// What this script has made: nobody else knows it yet.
    pub(super) made: BTreeSet<String>,
    /// Functions that this script has made and that are not volatile.
    pub(super) steady: BTreeSet<String>,
    effects: BTreeMap<String, (LockMode, BTreeSet<Work>)>,
    /// What only the server can tell about the statement.
    pub(super) unknown: Vec<&'static str>,
}

impl Scene {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.clone(),
            made: BTreeSet::new(),
            steady: BTreeSet::new(),
            effects: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// Whether there is no server at hand: what it does not know may be there.
    pub(super) fn is_blind(&self) -> bool {
        self.schema.server == 0
    }

    /// The full name of a relation.
    pub(super) fn resolve(&self, parts: &[String]) -> String {
        self.schema.resolve(parts)
    }

    pub(super) fn relation(&self, name: &str) -> Option<&Relation> {
        self.schema.relations.get(name)
    }

    pub(super) fn kind(&self, name: &str) -> RelationKind {
        self.relation(name).map(|found| found.kind).unwrap_or_default()
    }

    /// Takes a lock, and does `work` under it.
    pub(super) fn lock(&mut self, relation: &str, lock: LockMode, work: &[Work]) {
        if self.made.contains(relation) {
            return;
        }
        let entry = self
            .effects
            .entry(relation.to_owned())
            .or_insert((lock, BTreeSet::new()));
        entry.0 = entry.0.max(lock);
        // A view has no rows; those of a partitioned table are in its partitions.
        let rows = !matches!(
            self.schema.relations.get(relation).map(|found| found.kind),
            Some(RelationKind::Partitioned | RelationKind::View | RelationKind::Foreign)
        );
        if rows {
            entry.1.extend(work);
        }
    }

    /// The same for the relation and everything that inherits from it.
    pub(super) fn lock_tree(&mut self, relation: &str, lock: LockMode, work: &[Work]) {
        self.lock(relation, lock, work);
        for child in self.schema.descendants(relation) {
            self.lock(&child, lock, work);
        }
    }

    /// What the statement did, locks that only read or write rows left out.
    pub(super) fn take_effects(&mut self) -> Vec<RelationEffect> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        effects
            .filter(|(_, (lock, _))| *lock > LockMode::RowExclusive)
            .map(|(relation, (lock, work))| RelationEffect::new(relation, lock, work))
            .collect()
    }
}
