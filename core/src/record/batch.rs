//! Batches: many records signed once, as the leaves of a hash tree.
//!
//! The tree is Merkle's (A Digital Signature Based on a Conventional Encryption Function, 1987), in the shape of RFC
//! 9162, section 2.1: a node without a sibling stands for itself one level up. Leaves and inner nodes are hashed in
//! different domains, as there: a leaf with BLAKE3's plain mode, an inner node as a parent in BLAKE3's own tree, keyed
//! (the BLAKE3 paper, sections 2.4 and 2.5), so that no inner node can be passed off as a record, and an inner node
//! costs a single compression.

use bincode::{Decode, Encode};
use blake3::hazmat::{Mode, merge_subtrees_non_root};
use serde::{Deserialize, Serialize};

use crate::Rejected;
use crate::limits::{BATCH_DEPTH_MAX, BATCH_RECORDS_MAX};

/// A hash in the tree: 32 bytes of BLAKE3.
pub(super) type Hash = [u8; 32];

/// Where a record stands in its batch, and the hashes that lead from it to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Path {
    /// How many records the batch has: 2 to [`BATCH_RECORDS_MAX`].
    pub size: u16,
    /// Which of them this is, from 0.
    pub index: u16,
    /// The sibling at every level that has one, from the leaf to below the root.
    pub siblings: Vec<[u8; 32]>,
}

impl Path {
    /// The root of the batch, if `leaf` stands where the path says.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] for a path that no batch has.
    pub(super) fn root(&self, leaf: Hash) -> Result<Hash, Rejected> {
        let mut siblings = self.siblings.iter();
        let mut hash = leaf;
        for step in self.steps()?.filter(|step| step.sibling.is_some()) {
            hash = step.parent(&hash, siblings.next().ok_or(Rejected::Malformed)?);
        }
        if siblings.next().is_none() { Ok(hash) } else { Err(Rejected::Malformed) }
    }

    fn steps(&self) -> Result<Steps, Rejected> {
        let (size, index) = (usize::from(self.size), usize::from(self.index));
        if !(2..=BATCH_RECORDS_MAX).contains(&size) || index >= size || self.siblings.len() > BATCH_DEPTH_MAX {
            return Err(Rejected::Malformed);
        }
        Ok(Steps { width: size, position: index, start: 0 })
    }
}

/// The root of a tree over these leaves, and the path of each.
///
/// # Panics
/// Unless there are 2 to [`BATCH_RECORDS_MAX`] leaves.
pub(super) fn tree(leaves: Vec<Hash>) -> (Hash, Vec<Path>) {
    assert!((2..=BATCH_RECORDS_MAX).contains(&leaves.len()), "BUG: a batch is neither a single record nor too long");
    let size = leaves.len();
    let mut slots = leaves;
    let mut level = 0..size;
    while level.len() > 1 {
        let next = slots.len();
        for left in level.clone().step_by(2) {
            let parent = if left + 1 < level.end { node(&slots[left], &slots[left + 1]) } else { slots[left] };
            slots.push(parent);
        }
        level = next..slots.len();
    }
    let path = |index| {
        let steps = Steps { width: size, position: index, start: 0 };
        let siblings = steps.filter_map(|step| step.sibling).map(|slot| slots[slot]).collect();
        Path { size: size as u16, index: index as u16, siblings }
    };
    let root = slots[slots.len() - 1];
    (root, (0..size).map(path).collect())
}

/// What is known of a tree whose root is signed: each leaf after the first costs only the hashes that are new.
///
/// Invariant: with a node, its sibling and its parent are known.
pub(super) struct ProvenTree {
    size: u16,
    slots: Vec<Option<Hash>>,
    /// What a path shows that is not proven yet; kept between calls for its memory only.
    news: Vec<(usize, Hash)>,
}

impl ProvenTree {
    /// The tree of the batch to which `path` belongs, of which only the root is known.
    pub(super) fn new(path: &Path, root: Hash) -> Result<Self, Rejected> {
        let mut slots = vec![None; path.steps()?.root_slot()];
        slots.push(Some(root));
        Ok(Self { size: path.size, slots, news: Vec::with_capacity(2 * BATCH_DEPTH_MAX + 1) })
    }

    /// Checks that `leaf` stands where `path` says, and that every hash of the path is the tree's own: a path that was
    /// taken on trust could not be passed on.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] for a path that no batch has, [`Rejected::Unsigned`] for one that does not belong here.
    pub(super) fn prove(&mut self, path: &Path, leaf: Hash) -> Result<(), Rejected> {
        if path.size != self.size {
            return Err(Rejected::Unsigned);
        }
        self.news.clear();
        let mut siblings = path.siblings.iter();
        let mut steps = path.steps()?;
        let (mut hash, mut met) = (leaf, false);
        // Up to the first node that is known, every hash is new.
        for step in steps.by_ref() {
            met = self.meets(step.slot, &hash)?;
            if met {
                self.agrees(&step, &mut siblings)?;
                break;
            }
            self.news.push((step.slot, hash));
            let Some(slot) = step.sibling else { continue };
            let sibling = siblings.next().ok_or(Rejected::Malformed)?;
            self.news.push((slot, *sibling));
            hash = step.parent(&hash, sibling);
        }
        if !met && !self.meets(self.slots.len() - 1, &hash)? {
            return Err(Rejected::Unsigned);
        }
        // From there on, none may be.
        for step in steps {
            self.agrees(&step, &mut siblings)?;
        }
        if siblings.next().is_some() {
            return Err(Rejected::Malformed);
        }
        for (slot, hash) in self.news.drain(..) {
            self.slots[slot] = Some(hash);
        }
        Ok(())
    }

    /// Whether the path's sibling of a node that is known is the tree's own.
    fn agrees<'a>(&self, step: &Step, siblings: &mut impl Iterator<Item = &'a Hash>) -> Result<(), Rejected> {
        let Some(slot) = step.sibling else { return Ok(()) };
        let sibling = siblings.next().ok_or(Rejected::Malformed)?;
        if self.slots[slot].as_ref() == Some(sibling) { Ok(()) } else { Err(Rejected::Unsigned) }
    }

    /// Whether the node is known already; then it must be this one.
    fn meets(&self, slot: usize, hash: &Hash) -> Result<bool, Rejected> {
        match &self.slots[slot] {
            None => Ok(false),
            Some(known) if known == hash => Ok(true),
            Some(_) => Err(Rejected::Unsigned),
        }
    }
}

/// The nodes from a leaf to below the root. Nodes are numbered level by level, the leaves first, the root last.
struct Steps {
    width: usize,
    position: usize,
    /// The number of the level's first node.
    start: usize,
}

/// One node on the way to the root.
struct Step {
    /// Its number.
    slot: usize,
    /// Its sibling's number; `None`: it stands for itself one level up.
    sibling: Option<usize>,
}

impl Steps {
    fn root_slot(mut self) -> usize {
        while self.next().is_some() {}
        self.start
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.width <= 1 {
            return None;
        }
        let sibling = self.position ^ 1;
        let step =
            Step { slot: self.start + self.position, sibling: (sibling < self.width).then_some(self.start + sibling) };
        *self = Self { width: self.width.div_ceil(2), position: self.position / 2, start: self.start + self.width };
        Some(step)
    }
}

impl Step {
    fn parent(&self, hash: &Hash, sibling: &Hash) -> Hash {
        if self.sibling.is_some_and(|sibling| sibling < self.slot) { node(sibling, hash) } else { node(hash, sibling) }
    }
}

/// The hash of a leaf: a record's signed bytes.
pub(super) fn leaf(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    merge_subtrees_non_root(left, right, Mode::KeyedHash(NODE_KEY))
}

/// The domain of inner nodes.
const NODE_KEY: &[u8; 32] = b"prunella 2026 record batch node\0";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(size: usize) -> Vec<Hash> {
        (0..size).map(|i| leaf(&i.to_le_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_size_leads_to_the_root() {
        for size in 2..=BATCH_RECORDS_MAX {
            let leaves = leaves(size);
            let (root, paths) = tree(leaves.clone());
            let mut proven = ProvenTree::new(&paths[0], root).unwrap();
            for (path, leaf) in paths.iter().zip(leaves) {
                assert_eq!(path.root(leaf), Ok(root), "{} of {size}", path.index);
                assert_eq!(proven.prove(path, leaf), Ok(()), "{} of {size}", path.index);
            }
            assert!(proven.slots.iter().all(Option::is_some), "{size}");
        }
    }

    #[test]
    fn the_tree_has_the_shape_of_the_rfc() {
        // RFC 9162, section 2.1.5: with seven leaves, the last one's path is the hash of the fifth and sixth, then
        // that of the first four.
        let l = leaves(7);
        let (_, paths) = tree(l.clone());
        let four = node(&node(&l[0], &l[1]), &node(&l[2], &l[3]));
        assert_eq!(paths[6].siblings, [node(&l[4], &l[5]), four]);
        assert_eq!(paths[3].siblings, [l[2], node(&l[0], &l[1]), node(&node(&l[4], &l[5]), &l[6])]);
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let l = leaves(2);
        assert_ne!(node(&l[0], &l[1]), leaf(&[l[0], l[1]].concat()));
    }

    #[test]
    fn paths_that_no_batch_has_are_malformed() {
        let l = leaves(5);
        let (root, paths) = tree(l.clone());
        let changed = |change: fn(&mut Path)| {
            let mut path = paths[1].clone();
            change(&mut path);
            let whole = ProvenTree::new(&paths[1], root).unwrap().prove(&path, l[1]);
            assert_eq!(path.root(l[1]), Err(Rejected::Malformed));
            assert!(whole.is_err());
        };
        changed(|path| path.siblings.push([0; 32]));
        changed(|path| path.siblings = vec![[0; 32]; 9]);
        changed(|path| path.siblings.truncate(1));
        changed(|path| path.index = 5);
        changed(|path| path.size = 1);
        changed(|path| path.size = 0);
        changed(|path| path.size = 257);
    }

    proptest! {
        #[test]
        fn a_known_tree_takes_and_refuses_what_the_path_alone_does(
            size in 2usize..40,
            claims in proptest::collection::vec((any::<u16>(), any::<u16>(), 0..3u8), 1..60),
        ) {
            let leaves = leaves(size);
            let (root, paths) = tree(leaves.clone());
            let mut proven = ProvenTree::new(&paths[0], root).unwrap();
            for (index, other, lie) in claims {
                let (index, other) = (usize::from(index) % size, usize::from(other) % size);
                let mut path = paths[index].clone();
                match lie {
                    0 => {}
                    1 => path.index = other as u16,
                    _ => {
                        let at = other % path.siblings.len();
                        path.siblings[at][0] ^= 1;
                    }
                }
                let alone = path.root(leaves[index]) == Ok(root);
                prop_assert_eq!(proven.prove(&path, leaves[index]).is_ok(), alone);
            }
        }
    }
}
