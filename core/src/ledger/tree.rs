//! The hash tree over the entries of a ledger, kept up to date entry by entry.
//!
//! Its shape is that of RFC 9162, section 2.1. All subtrees that are full are kept, so an entry costs two hashes on the
//! average, and a root or a proof a few hashes for each level.

use super::hash::Hash;
use super::proof::{Consistency, Inclusion};

/// A tree that grows to the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// By height: the roots of the full subtrees of that height, from the left. The lowest are the leaves.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut full = leaf;
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(full);
            match level.len() % 2 {
                0 => full = Hash::of_node(&level[level.len() - 2], &full),
                _ => return,
            }
        }
    }

    /// The hash of a leaf; `None` beyond the last.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.levels.first()?.get(usize::try_from(index).ok()?).copied()
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.over(0, self.size())
    }

    /// The root that the tree had when it had `size` leaves; `None` if it never had so many.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        (size <= self.size()).then(|| self.over(0, size))
    }

    /// The proof that a leaf is in the tree of the first `size` leaves (RFC 9162, section 2.1.3.1); `None` if it is not,
    /// or there are not so many.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Inclusion> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut end) = (0, size);
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.over(middle, end));
                end = middle;
            } else {
                path.push(self.over(start, middle));
                start = middle;
            }
        }
        path.reverse();
        Some(Inclusion { index, size, path })
    }

    /// The proof that the tree of the first `second` leaves begins with that of the first `first` (RFC 9162, section
    /// 2.1.4.1); `None` unless `first` is at most `second`, and that at most the size. Nothing need be proven of the
    /// empty tree, nor of the same one.
    pub fn consistency(&self, first: u64, second: u64) -> Option<Consistency> {
        if first > second || second > self.size() {
            return None;
        }
        let mut path = Vec::new();
        if first > 0 && first < second {
            let (mut start, mut end) = (0, second);
            while first < end {
                let middle = start + split(end - start);
                if first <= middle {
                    path.push(self.over(middle, end));
                    end = middle;
                } else {
                    path.push(self.over(start, middle));
                    start = middle;
                }
            }
            // The last step is the old tree itself, whose root the verifier has, or its right part.
            if start > 0 {
                path.push(self.over(start, end));
            }
            path.reverse();
        }
        Some(Consistency { first, second, path })
    }

    /// The root over the leaves from `start` to before `end`, of which a split has made both ends.
    fn over(&self, start: u64, end: u64) -> Hash {
        match end - start {
            0 => Hash::of_empty_tree(),
            length if length.is_power_of_two() => {
                let height = length.ilog2();
                self.levels[height as usize][(start >> height) as usize]
            }
            length => {
                let middle = start + split(length);
                Hash::of_node(&self.over(start, middle), &self.over(middle, end))
            }
        }
    }
}

/// The largest power of two that is smaller than `length`, which must be at least 2.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}
