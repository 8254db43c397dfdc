//! A commitment to a set: a hash tree over its items, two levels deep.
//!
//! The first ten bits of an item name its bucket, the first five its group. A bucket's hash is BLAKE3 over its sorted
//! items, a group's over the hashes of its buckets, the root over those of the groups (Merkle, A Digital Signature Based
//! on a Conventional Encryption Function, 1987; the walk down two of them is the range-based set reconciliation of Meyer,
//! 2023, with fixed ranges). So whoever finds two sets with one root has found a collision of BLAKE3. XOR or a sum of
//! the items' hashes would be cheaper to keep up to date, but an insider can choose items that cancel out in either
//! (Wagner, A Generalized Birthday Problem, 2002).
//!
//! Hashes below the root are cut to 16 bytes, as items are: collisions take as much work in either.

use crate::ItemId;

/// Groups under the root.
pub(super) const GROUPS: usize = 32;
/// Buckets in a group.
pub(super) const BUCKETS_PER_GROUP: usize = 32;
/// Buckets of a set.
pub(super) const BUCKETS: usize = GROUPS * BUCKETS_PER_GROUP;

/// The hash of a bucket or of a group.
pub type Hash = [u8; 16];

/// The bucket in which `item` lies.
pub(super) fn bucket_of(item: &ItemId) -> usize {
    usize::from(u16::from_be_bytes([item.0[0], item.0[1]]) >> 6)
}

/// The tree, brought up to date only when somebody looks.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    buckets: Vec<Hash>,
    groups: [Hash; GROUPS],
    root: [u8; 32],
    /// One bit for each bucket whose hash is out of date.
    dirty: [u32; GROUPS],
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { buckets: vec![[0; 16]; BUCKETS], groups: [[0; 16]; GROUPS], root: [0; 32], dirty: [u32::MAX; GROUPS] }
    }

    /// Remembers that the items of `bucket` have changed.
    pub(super) fn touch(&mut self, bucket: usize) {
        self.dirty[bucket / BUCKETS_PER_GROUP] |= 1 << (bucket % BUCKETS_PER_GROUP);
    }

    /// Hashes what has changed. `items` are all buckets, each ascending.
    pub(super) fn refresh(&mut self, items: &[Vec<ItemId>]) {
        if self.dirty == [0; GROUPS] {
            return;
        }
        let mut bytes = Vec::new();
        for group in 0..GROUPS {
            let mut dirty = std::mem::take(&mut self.dirty[group]);
            if dirty == 0 {
                continue;
            }
            while dirty != 0 {
                let bucket = group * BUCKETS_PER_GROUP + dirty.trailing_zeros() as usize;
                dirty &= dirty - 1;
                bytes.clear();
                bytes.extend(items[bucket].iter().flat_map(|item| item.0));
                self.buckets[bucket] = cut(hash(Level::Bucket, &bytes));
            }
            let first = group * BUCKETS_PER_GROUP;
            self.groups[group] = cut(hash(Level::Group, self.buckets[first..first + BUCKETS_PER_GROUP].as_flattened()));
        }
        self.root = *hash(Level::Root, self.groups.as_flattened()).as_bytes();
    }

    /// The root, as of the last refresh.
    pub(super) fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The groups' hashes, as of the last refresh.
    pub(super) fn groups(&self) -> &[Hash; GROUPS] {
        &self.groups
    }

    /// The hash of one bucket, as of the last refresh.
    pub(super) fn bucket(&self, bucket: usize) -> Hash {
        self.buckets[bucket]
    }
}

/// What a hash is over, so that no bucket can pass for a group.
#[derive(Clone, Copy)]
enum Level {
    Bucket = 1,
    Group = 2,
    Root = 3,
}

fn hash(level: Level, bytes: &[u8]) -> blake3::Hash {
    let mut key = *b"prunella 2026 reconcile tree   \0";
    key[31] = level as u8;
    blake3::keyed_hash(&key, bytes)
}

fn cut(hash: blake3::Hash) -> Hash {
    std::array::from_fn(|i| hash.as_bytes()[i])
}
