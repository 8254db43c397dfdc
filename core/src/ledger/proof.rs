//! Proofs about a ledger's tree, and how they are checked with nothing but two roots at hand.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::hash::Hash;
use crate::Rejected;
use crate::limits::LEDGER_PROOF_HASHES_MAX;

/// The proof that an entry is in a tree: RFC 9162, section 2.1.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Inclusion {
    /// Which entry, from 0.
    pub index: u64,
    /// How many entries the tree has.
    pub size: u64,
    /// The hashes beside the way from the leaf to the root.
    pub path: Vec<Hash>,
}

/// The proof that one tree is the beginning of another: RFC 9162, section 2.1.4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Consistency {
    /// How many entries the smaller tree has.
    pub first: u64,
    /// How many entries the larger tree has.
    pub second: u64,
    /// The hashes from which both roots follow; empty if the smaller tree is empty, or is the larger one.
    pub path: Vec<Hash>,
}

impl Inclusion {
    /// Checks that the leaf with this hash stands where the proof says, in the tree with this root: the algorithm of RFC
    /// 9162, section 2.1.3.2.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] for a path that no ledger's tree has, [`Rejected::Inconsistent`] if it proves nothing.
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), Rejected> {
        check_length(&self.path)?;
        if self.index >= self.size {
            return Err(Rejected::Inconsistent);
        }
        let mut way = Way { node: self.index, last: self.size - 1 };
        let mut hash = *leaf;
        for beside in &self.path {
            hash = match way.climb()? {
                Side::Left => Hash::of_node(beside, &hash),
                Side::Right => Hash::of_node(&hash, beside),
            };
        }
        if way.last == 0 && hash == *root { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

impl Consistency {
    /// Checks that the tree with the root `second` begins with the tree with the root `first`: the algorithm of RFC 9162,
    /// section 2.1.4.2.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] for a path that no ledger's tree has, [`Rejected::Inconsistent`] if it proves nothing.
    pub fn verify(&self, first: &Hash, second: &Hash) -> Result<(), Rejected> {
        check_length(&self.path)?;
        if self.first == 0 || self.first == self.second {
            let known = if self.first == 0 { Hash::of_empty_tree() } else { *second };
            let sound = self.path.is_empty() && *first == known && self.first <= self.second;
            return if sound { Ok(()) } else { Err(Rejected::Inconsistent) };
        }
        if self.first > self.second {
            return Err(Rejected::Inconsistent);
        }
        let mut path = self.path.iter();
        // A smaller tree that is full is a node of the larger one: its root is not said again.
        let start = if self.first.is_power_of_two() { Some(first) } else { path.next() };
        let start = *start.ok_or(Rejected::Inconsistent)?;
        let full = (self.first - 1).trailing_ones();
        let mut way = Way { node: (self.first - 1) >> full, last: (self.second - 1) >> full };
        let (mut old, mut new) = (start, start);
        for beside in path {
            match way.climb()? {
                Side::Left => (old, new) = (Hash::of_node(beside, &old), Hash::of_node(beside, &new)),
                Side::Right => new = Hash::of_node(&new, beside),
            }
        }
        if way.last == 0 && old == *first && new == *second { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

/// The way from a node to the root: `fn` and `sn` of the RFC.
struct Way {
    /// The number of the node within its level.
    node: u64,
    /// The number of the last node of that level.
    last: u64,
}

/// On which side of the way the next hash stands.
enum Side {
    Left,
    Right,
}

impl Way {
    /// Goes up to the next level on which the node has a sibling, and past it.
    fn climb(&mut self) -> Result<Side, Rejected> {
        if self.last == 0 {
            return Err(Rejected::Inconsistent);
        }
        let is_right = self.node % 2 == 1;
        let side = if is_right || self.node == self.last { Side::Left } else { Side::Right };
        if !is_right && self.node == self.last {
            // A node without a sibling stands for itself, level after level.
            let alone = self.node.trailing_zeros();
            (self.node, self.last) = (self.node >> alone, self.last >> alone);
        }
        (self.node, self.last) = (self.node >> 1, self.last >> 1);
        Ok(side)
    }
}

fn check_length(path: &[Hash]) -> Result<(), Rejected> {
    if path.len() <= LEDGER_PROOF_HASHES_MAX { Ok(()) } else { Err(Rejected::OverLimit) }
}
