//! Tables that inherit from others (`INHERITS`): who reads a table, reads their rows too.

use super::catalog::{Catalog, Relation};

impl Catalog {
    /// By whose rules a table goes: by its own if it is one of `named`, else by those of the nearest of them that it inherits from. There may
    /// be several, or none.
    pub(crate) fn rules_of(&self, table: &Relation, named: &[i64]) -> Vec<i64> {
        if named.contains(&table.oid) {
            return vec![table.oid];
        }
        let above: Vec<i64> = named
            .iter()
            .copied()
            .filter(|oid| table.inherits.contains(oid))
            .collect();
        let is_nearest = |oid: &i64| {
            let inherits = |other: &i64| {
                let other = self.relations.get(other);
                other.is_some_and(|other| other.inherits.contains(oid))
            };
            !above.iter().any(inherits)
        };
        above.iter().copied().filter(is_nearest).collect()
    }

    /// The table with this oid, and those that inherit from it and go by its rules, foreign tables included.
    pub(crate) fn family<'c>(&'c self, oid: i64, named: &'c [i64]) -> impl Iterator<Item = &'c Relation> {
        let relations = self.relations.values();
        relations.filter(move |table| table.oid == oid || self.rules_of(table, named).contains(&oid))
    }

    /// What holds rows of the table with this oid and cannot be named by us, so that it would be passed by.
    pub(crate) fn unnamed_part(&self, oid: i64) -> Option<&str> {
        let part = self
            .unchecked
            .iter()
            .find(|unchecked| unchecked.part_of.contains(&oid));
        part.map(|part| part.subject.as_str())
    }
}
