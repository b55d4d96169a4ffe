use crate::model::Digest;

/// The hash tree of RFC 6962 over positions from some place on, in constant memory, from leaves and whole subtrees.
///
/// From position 0 on, [`root`](Self::root) is that of [`Tree`](crate::audit::Tree). From another place on, the parts are the fewest subtrees of
/// the tree that cover the positions, from left to right.
#[derive(Clone, Debug)]
pub(super) struct Forest {
    begin: u64,
    end: u64,
    trees: Vec<Subtree>,
}

/// A full subtree over `1 << level` positions.
#[derive(Clone, Copy, Debug)]
struct Subtree {
    start: u64,
    level: u32,
    root: Digest,
}

impl Forest {
    pub(super) fn at(begin: u64) -> Self {
        Self {
            begin,
            end: begin,
            trees: Vec::new(),
        }
    }

    /// The position behind the last one.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn len(&self) -> u64 {
        self.end - self.begin
    }

    /// The roots of its subtrees, from left to right.
    pub(super) fn roots(&self) -> impl DoubleEndedIterator<Item = &Digest> {
        self.trees.iter().map(|tree| &tree.root)
    }

    pub(super) fn push(&mut self, leaf: Digest) {
        self.add(0, leaf);
    }

    /// Adds the subtrees that cover `count` positions from here on; `false` when they are not as many as it takes, and nothing is
    /// added then.
    pub(super) fn extend(&mut self, count: u64, roots: &[Digest]) -> bool {
        let Some(end) = self.end.checked_add(count).filter(|end| *end <= LONGEST) else {
            return false;
        };
        let levels: Vec<_> = cover(self.end, end).collect();
        if levels.len() != roots.len() {
            return false;
        }
        for (level, root) in levels.into_iter().zip(roots) {
            self.add(level, *root);
        }
        true
    }

    /// The root over all positions from 0 on.
    pub(super) fn root(&self) -> Digest {
        self.roots()
            .copied()
            .rev()
            .reduce(|right, left| inner(&left, &right))
            .unwrap_or_else(|| Digest::of(&[]))
    }

    fn add(&mut self, level: u32, root: Digest) {
        let mut new = Subtree {
            start: self.end,
            level,
            root,
        };
        self.end += 1 << level;
        while let Some(left) = self.trees.last() {
            // Two neighbours are one subtree of the tree only where the tree is divided so.
            if left.level != new.level || left.start % (2 << left.level) != 0 {
                break;
            }
            new = Subtree {
                start: left.start,
                level: left.level + 1,
                root: inner(&left.root, &new.root),
            };
            self.trees.pop();
        }
        self.trees.push(new);
    }
}

/// More positions than any trail has; what says otherwise is no trail.
const LONGEST: u64 = 1 << 60;

/// The levels of the fewest subtrees that cover the positions from `begin` to before `end`.
fn cover(mut begin: u64, end: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let rest = end.checked_sub(begin).filter(|rest| *rest > 0)?;
        let level = begin.trailing_zeros().min(rest.ilog2());
        begin += 1 << level;
        Some(level)
    })
}

fn inner(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Tree, leaf_hash};

    fn leaf(n: u64) -> Digest {
        leaf_hash(&n.to_be_bytes())
    }

    #[test]
    fn what_is_left_out_stands_in_the_tree_by_its_subtrees() {
        for size in 0..40_u64 {
            let whole: Tree = (0..size).map(leaf).collect();
            for begin in 0..=size {
                for end in begin..=size {
                    let mut run = Forest::at(begin);
                    (begin..end).for_each(|n| run.push(leaf(n)));
                    let roots: Vec<_> = run.roots().copied().collect();

                    let mut tree = Forest::at(0);
                    (0..begin).for_each(|n| tree.push(leaf(n)));
                    assert!(tree.extend(run.len(), &roots));
                    (end..size).for_each(|n| tree.push(leaf(n)));
                    assert_eq!(tree.root(), whole.root(), "{begin}..{end} of {size}");
                    assert_eq!(tree.end(), size);
                }
            }
        }
    }

    #[test]
    fn subtrees_that_do_not_cover_the_run_are_refused() {
        let mut tree = Forest::at(0);
        tree.push(leaf(0));
        // One position to the next boundary, then two, then one.
        assert!(!tree.extend(4, &[leaf(1), leaf(2)]));
        assert!(!tree.extend(u64::MAX, &[]));
        assert_eq!(tree.end(), 1);
        assert!(tree.extend(4, &[leaf(1), leaf(2), leaf(3)]));
    }
}
