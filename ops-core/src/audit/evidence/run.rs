use super::forest::Forest;
use crate::model::Digest;

/// Neighbouring records that a part leaves out: what stands for them in the hash tree, and the link behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The position of the first one, from 1.
    pub(super) first: u64,
    pub(super) count: u64,
    /// The chain's hash of the last one: the next record is linked to it.
    pub(super) last_hash: Digest,
    /// The fewest subtrees that cover them, from left to right.
    pub(super) roots: Vec<Digest>,
}

/// Gathers neighbouring records into a [`LeftOut`].
#[derive(Debug, Default)]
pub(super) struct Gathering(Option<(Forest, Digest)>);

impl Gathering {
    /// Takes the record at `sequence`, which follows the one before.
    pub(super) fn push(&mut self, sequence: u64, hash: Digest, leaf: Digest) {
        let (forest, last) = self
            .0
            .get_or_insert_with(|| (Forest::at(sequence.saturating_sub(1)), hash));
        forest.push(leaf);
        *last = hash;
    }

    /// Whether the record at `sequence` follows the ones that were gathered.
    pub(super) fn takes(&self, sequence: u64) -> bool {
        self.0
            .as_ref()
            .is_none_or(|(forest, _)| forest.end() + 1 == sequence)
    }

    /// The position of the first record that was gathered.
    pub(super) fn begins(&self) -> Option<u64> {
        self.0.as_ref().map(|(forest, _)| forest.end() - forest.len() + 1)
    }

    /// What was gathered, if anything was.
    pub(super) fn take(&mut self) -> Option<LeftOut> {
        let first = self.begins()?;
        let (forest, last_hash) = self.0.take()?;
        Some(LeftOut {
            first,
            count: forest.len(),
            last_hash,
            roots: forest.roots().copied().collect(),
        })
    }
}
