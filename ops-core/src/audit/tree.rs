use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;

/// The hash of a leaf that holds `data`, by RFC 6962, section 2.1.
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], data])
}

/// The hash tree of RFC 6962 over the records of one tenant, as far as it must be kept to grow: one hash for each power of two.
///
/// ```
/// use ops_core::audit::{Tree, leaf_hash};
///
/// let mut tree = Tree::new();
/// tree.push(leaf_hash(b"first"));
/// let kept = tree.clone();
/// tree.push(leaf_hash(b"second"));
/// assert_eq!(tree.size(), 2);
/// assert_ne!(tree.root(), kept.root());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The roots of the full subtrees, largest first: one for each bit of `size`.
    peaks: Vec<Digest>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves from what [`peaks`](Self::peaks) gave.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the number of peaks does not belong to `size`.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Result<Self> {
        if u64::from(size.count_ones()) != u64::try_from(peaks.len()).unwrap_or(u64::MAX) {
            return Err(Error::new(ErrorKind::InvalidInput, "read audit tree")
                .context("peaks", "must be one for each bit of the size"));
        }
        Ok(Self { size, peaks })
    }

    /// Adds a leaf behind the others.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            match self.peaks.pop() {
                Some(left) => node = inner(&left, &node),
                None => break,
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The root: what a checkpoint signs.
    pub fn root(&self) -> Digest {
        self.peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| inner(&left, &right))
            .unwrap_or_else(|| Digest::of(&[]))
    }
}

impl Extend<Digest> for Tree {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaves: I) {
        for leaf in leaves {
            self.push(leaf);
        }
    }
}

impl FromIterator<Digest> for Tree {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut tree = Self::new();
        tree.extend(leaves);
        tree
    }
}

/// Makes a proof in one pass over the leaves, in constant memory.
#[derive(Clone, Debug)]
pub struct Prover {
    size: u64,
    next: u64,
    /// In the order of the proof.
    nodes: Vec<(Range<u64>, Tree)>,
}

impl Prover {
    /// A proof that the leaf at `index` (from 0) is in the tree of `size` leaves. [`verify_inclusion`] checks it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such leaf.
    pub fn inclusion(index: u64, size: u64) -> Result<Self> {
        if index >= size {
            return Err(Error::new(ErrorKind::InvalidInput, "prove audit record").context(
                "index",
                format!("must be below the size of the tree, which is {size}"),
            ));
        }
        let mut nodes = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                nodes.push(middle..high);
                high = middle;
            } else {
                nodes.push(low..middle);
                low = middle;
            }
        }
        Ok(Self::new(size, nodes))
    }

    /// A proof that the tree of `size` leaves is the tree of `old` leaves with others behind. [`verify_consistency`] checks it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless `old` is between 1 and `size`.
    pub fn consistency(old: u64, size: u64) -> Result<Self> {
        if old == 0 || old > size {
            return Err(Error::new(ErrorKind::InvalidInput, "prove audit trail").context(
                "old",
                format!("must be between 1 and the size of the tree, which is {size}"),
            ));
        }
        let mut nodes = Vec::new();
        let (mut low, mut high) = (0, size);
        while old != high {
            let middle = low + split(high - low);
            if old <= middle {
                nodes.push(middle..high);
                high = middle;
            } else {
                nodes.push(low..middle);
                low = middle;
            }
        }
        // The old tree itself is known to the verifier.
        if low != 0 {
            nodes.push(low..high);
        }
        Ok(Self::new(size, nodes))
    }

    fn new(size: u64, mut nodes: Vec<Range<u64>>) -> Self {
        // Found from the root down, proven from the leaf up.
        nodes.reverse();
        Self {
            size,
            next: 0,
            nodes: nodes.into_iter().map(|range| (range, Tree::new())).collect(),
        }
    }

    /// Takes the next leaf, the first one first.
    pub fn push(&mut self, leaf: Digest) {
        let at = self.next;
        self.next += 1;
        if let Some((_, tree)) = self.nodes.iter_mut().find(|(range, _)| range.contains(&at)) {
            tree.push(leaf);
        }
    }

    /// The proof, its lowest node first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when fewer leaves came than the tree has.
    pub fn finish(self) -> Result<Vec<Digest>> {
        if self.next < self.size {
            return Err(Error::new(ErrorKind::InvalidInput, "prove audit record")
                .context("leaves", format!("{} came of a tree of {}", self.next, self.size)));
        }
        Ok(self.nodes.into_iter().map(|(_, tree)| tree.root()).collect())
    }
}

/// Whether `proof` shows that the leaf at `index` (from 0) is in the tree of `size` leaves with that root.
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            node = inner(sibling, &node);
            if at % 2 == 0 {
                let skip = at.trailing_zeros();
                at >>= skip;
                last >>= skip;
            }
        } else {
            node = inner(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}

/// Whether `proof` shows that the tree of `size` leaves with the root `root` is the one of `old_size` leaves with the root
/// `old_root` and others behind.
///
/// The empty tree is the beginning of every tree, and has no proof.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    size: u64,
    root: &Digest,
    proof: &[Digest],
) -> bool {
    if old_size > size {
        return false;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == Tree::new().root();
    }
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    let mut path = proof.iter();
    // A full old tree is a node of the new one; the proof leaves it out.
    let first = if old_size.is_power_of_two() {
        Some(old_root)
    } else {
        path.next()
    };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, size - 1);
    let skip = at.trailing_ones();
    at >>= skip;
    last >>= skip;
    let (mut old_node, mut node) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            old_node = inner(sibling, &old_node);
            node = inner(sibling, &node);
            if at % 2 == 0 {
                let skip = at.trailing_zeros();
                at >>= skip;
                last >>= skip;
            }
        } else {
            node = inner(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_node == *old_root && node == *root
}

/// How many leaves the left side of a tree of `size` > 1 leaves has: the largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

fn inner(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(n: u64) -> Digest {
        leaf_hash(&n.to_be_bytes())
    }

    fn leaves(n: u64) -> Vec<Digest> {
        (0..n).map(leaf).collect()
    }

    fn tree(n: u64) -> Tree {
        leaves(n).into_iter().collect()
    }

    fn proven(mut prover: Prover, n: u64) -> Vec<Digest> {
        for leaf in leaves(n) {
            prover.push(leaf);
        }
        prover.finish().unwrap()
    }

    /// The three definitions of RFC 6962, section 2.1, word by word.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                inner(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    fn path_by_definition(index: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let middle = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(middle);
        let (mut path, other) = if index < middle {
            (path_by_definition(index, left), right)
        } else {
            (path_by_definition(index - middle, right), left)
        };
        path.push(root_by_definition(other));
        path
    }

    fn subproof_by_definition(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
        if old == leaves.len() {
            return if whole {
                Vec::new()
            } else {
                vec![root_by_definition(leaves)]
            };
        }
        let middle = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(middle);
        let (mut proof, other) = if old <= middle {
            (subproof_by_definition(old, left, whole), right)
        } else {
            (subproof_by_definition(old - middle, right, false), left)
        };
        proof.push(root_by_definition(other));
        proof
    }

    #[test]
    fn roots_are_those_of_the_certificate_transparency_test_vectors() {
        let data: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e,
                0x6f,
            ],
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        assert_eq!(tree.root(), Digest::of(b""));
        for (data, root) in data.iter().zip(roots) {
            tree.push(leaf_hash(data));
            assert_eq!(tree.root().to_string(), root);
        }
    }

    #[test]
    fn roots_and_proofs_are_those_of_the_definition() {
        for size in 1..40_u64 {
            let leaves = leaves(size);
            let root = tree(size).root();
            assert_eq!(root, root_by_definition(&leaves));
            for index in 0..size {
                let proof = proven(Prover::inclusion(index, size).unwrap(), size);
                assert_eq!(proof, path_by_definition(index as usize, &leaves));
                assert!(verify_inclusion(&leaf(index), index, size, &proof, &root));
            }
            for old in 1..=size {
                let proof = proven(Prover::consistency(old, size).unwrap(), size);
                assert_eq!(proof, subproof_by_definition(old as usize, &leaves, true));
                assert!(verify_consistency(old, &tree(old).root(), size, &root, &proof));
            }
        }
    }

    #[test]
    fn a_tree_grows_on_from_its_peaks() {
        for size in 0..70 {
            let kept = tree(size);
            let mut back = Tree::from_peaks(size, kept.peaks().to_vec()).unwrap();
            assert_eq!(back, kept);
            back.push(leaf(size));
            assert_eq!(back.root(), tree(size + 1).root());
        }
        assert!(Tree::from_peaks(3, vec![leaf(0)]).is_err());
    }

    #[test]
    fn what_is_not_there_cannot_be_proven() {
        assert!(Prover::inclusion(4, 4).is_err());
        assert!(Prover::inclusion(0, 0).is_err());
        assert!(Prover::consistency(0, 4).is_err());
        assert!(Prover::consistency(5, 4).is_err());
        let mut short = Prover::inclusion(0, 4).unwrap();
        short.push(leaf(0));
        assert!(short.finish().is_err());
    }

    proptest! {
        /// A verifier takes numbers and proofs from a stranger.
        #[test]
        fn no_forged_proof_is_taken(
            size in 1..300_u64, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
            other_size in any::<u64>(), other_index in any::<u64>(), flip in any::<prop::sample::Index>()
        ) {
            let (index, old) = (index.index(size as usize) as u64, old.index(size as usize) as u64 + 1);
            let (root, old_root) = (tree(size).root(), tree(old).root());
            let proof = proven(Prover::inclusion(index, size).unwrap(), size);
            prop_assert!(!verify_inclusion(&leaf(index + 1), index, size, &proof, &root));
            prop_assert!(!verify_inclusion(&leaf(index), index, size, &proof, &leaf(0)) || size == 1);
            if other_index != index {
                prop_assert!(!verify_inclusion(&leaf(index), other_index, size, &proof, &root));
            }
            // Only its length and its last node tell a proof for one size from that for another.
            let _ = verify_inclusion(&leaf(index), other_index, other_size, &proof, &root);
            if !proof.is_empty() {
                let mut forged = proof.clone();
                let at = flip.index(forged.len());
                forged[at] = leaf(u64::MAX);
                prop_assert!(!verify_inclusion(&leaf(index), index, size, &forged, &root));
                prop_assert!(!verify_inclusion(&leaf(index), index, size, &proof[1..], &root));
            }
            let mut longer = proof;
            longer.push(leaf(0));
            prop_assert!(!verify_inclusion(&leaf(index), index, size, &longer, &root));

            let proof = proven(Prover::consistency(old, size).unwrap(), size);
            prop_assert!(!verify_consistency(old, &leaf(u64::MAX), size, &root, &proof));
            prop_assert!(!verify_consistency(old, &old_root, size, &leaf(u64::MAX), &proof));
            let _ = verify_consistency(other_index, &old_root, other_size, &root, &proof);
            if !proof.is_empty() {
                let mut forged = proof.clone();
                let at = flip.index(forged.len());
                forged[at] = leaf(u64::MAX);
                prop_assert!(!verify_consistency(old, &old_root, size, &root, &forged));
                prop_assert!(!verify_consistency(old, &old_root, size, &root, &proof[1..]));
            }
            let mut longer = proof;
            longer.push(leaf(0));
            prop_assert!(!verify_consistency(old, &old_root, size, &root, &longer));
        }
    }
}
