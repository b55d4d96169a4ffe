use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A table lock of PostgreSQL, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the server has eight")]
#[expect(missing_docs, reason = "the names are the server's")]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    /// From the weakest to the strongest.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// From the name in `pg_locks`: `AccessExclusiveLock`.
    pub fn from_server(mode: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|lock| mode.strip_suffix("Lock") == Some(lock.name().replace(' ', "").as_str()))
    }

    /// As in a statement, in mixed case: `Access Exclusive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "Access Share",
            Self::RowShare => "Row Share",
            Self::RowExclusive => "Row Exclusive",
            Self::ShareUpdateExclusive => "Share Update Exclusive",
            Self::Share => "Share",
            Self::ShareRowExclusive => "Share Row Exclusive",
            Self::Exclusive => "Exclusive",
            Self::AccessExclusive => "Access Exclusive",
        }
    }

    /// Whether `select` has to wait for it.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }

    /// Whether `insert`, `update` and `delete` have to wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name().to_uppercase())
    }
}

/// Work whose time grows with the relation, done while the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// Every row is read and checked.
    Scan,
    /// An index over all rows is built.
    IndexBuild,
    /// Every row is written anew, and every index built.
    Rewrite,
}

/// What a statement does to one relation that was there before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RelationEffect {
    /// Schema and name: `public.orders`.
    pub relation: String,
    /// The strongest lock on it.
    pub lock: LockMode,
    /// What is done under it. A rewrite implies scan and index build; they are not named beside it.
    pub work: BTreeSet<Work>,
}

impl RelationEffect {
    /// The lock, and the work without what a rewrite implies.
    pub fn new(relation: impl Into<String>, lock: LockMode, work: impl IntoIterator<Item = Work>) -> Self {
        let mut work: BTreeSet<Work> = work.into_iter().collect();
        if work.contains(&Work::Rewrite) {
            work.retain(|work| *work == Work::Rewrite);
        }
        Self {
            relation: relation.into(),
            lock,
            work,
        }
    }

    /// Whether others wait for as long as the work takes.
    pub fn is_long(&self) -> bool {
        self.lock.blocks_writes() && !self.work.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_server_are_understood() {
        assert_eq!(
            LockMode::from_server("ShareUpdateExclusiveLock"),
            Some(LockMode::ShareUpdateExclusive)
        );
        assert_eq!(LockMode::from_server("SIReadLock"), None);
        assert_eq!(LockMode::AccessExclusive.to_string(), "ACCESS EXCLUSIVE");
    }

    #[test]
    fn a_rewrite_implies_the_rest() {
        let all = [Work::Scan, Work::IndexBuild, Work::Rewrite];
        let effect = RelationEffect::new("public.a", LockMode::AccessExclusive, all);
        assert_eq!(effect.work, BTreeSet::from([Work::Rewrite]));
        assert!(effect.is_long());
        assert!(!RelationEffect::new("a", LockMode::ShareUpdateExclusive, [Work::Scan]).is_long());
    }
}
