//! The items of a node, with their sketch and their fingerprint.

use super::sketch::{Cell, Sketch, Symbol};
use super::tree::{BUCKETS, GROUPS, Hash, Tree, bucket_of};
use crate::ItemId;

/// A set of items that can tell another one what differs. Its owner bounds its size.
///
/// Changing it costs a search in one bucket, a few cells of the sketch, and no hash: those are made when the root is
/// asked for, of what has changed since.
#[derive(Clone, Debug)]
pub struct ItemSet {
    /// The items by their first ten bits, ascending in each bucket.
    buckets: Vec<Vec<ItemId>>,
    len: usize,
    sketch: Sketch,
    tree: Tree,
}

impl Default for ItemSet {
    fn default() -> Self {
        Self::new()
    }
}

impl ItemSet {
    /// An empty set.
    pub fn new() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], len: 0, sketch: Sketch::new(), tree: Tree::new() }
    }

    /// Adds `item`; `false` if it was there.
    pub fn insert(&mut self, item: ItemId) -> bool {
        let is_new = self.put_in(item);
        if is_new {
            self.sketch.toggle(Symbol::of(&item));
        }
        is_new
    }

    /// Takes `item` away; `false` if it was not there.
    pub fn remove(&mut self, item: &ItemId) -> bool {
        let was_there = self.take_out(item);
        if was_there {
            self.sketch.toggle(Symbol::of(item));
        }
        was_there
    }

    /// Takes `gone` away, if it was there, and adds `new`, unless it was: for less than both one after the other.
    pub fn replace(&mut self, gone: &ItemId, new: ItemId) {
        match (self.take_out(gone), self.put_in(new)) {
            (true, true) => self.sketch.replace(Symbol::of(gone), Symbol::of(&new)),
            (true, false) => self.sketch.toggle(Symbol::of(gone)),
            (false, true) => self.sketch.toggle(Symbol::of(&new)),
            (false, false) => {}
        }
    }

    /// Adds `item` to all but the sketch.
    fn put_in(&mut self, item: ItemId) -> bool {
        let bucket = bucket_of(&item);
        let Err(place) = find(&self.buckets[bucket], &item) else { return false };
        self.buckets[bucket].insert(place, item);
        self.len += 1;
        self.tree.touch(bucket);
        true
    }

    /// Takes `item` out of all but the sketch.
    fn take_out(&mut self, item: &ItemId) -> bool {
        let bucket = bucket_of(item);
        let Ok(place) = find(&self.buckets[bucket], item) else { return false };
        self.buckets[bucket].remove(place);
        self.len -= 1;
        self.tree.touch(bucket);
        true
    }

    /// Whether `item` is in the set.
    pub fn contains(&self, item: &ItemId) -> bool {
        find(&self.buckets[bucket_of(item)], item).is_ok()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The commitment to the items: equal for equal sets, and for no other sets that anybody can find.
    pub fn root(&mut self) -> [u8; 32] {
        self.tree.refresh(&self.buckets);
        self.tree.root()
    }

    /// The root, for somebody who only looks: what has changed is hashed aside, and again the next time.
    pub fn peek_root(&self) -> [u8; 32] {
        let mut tree = self.tree.clone();
        tree.refresh(&self.buckets);
        tree.root()
    }

    /// The first coded cells of the set, from `start` to before `end`.
    ///
    /// # Panics
    /// If `end` is beyond [`SKETCH_CELLS_MAX`](crate::limits::SKETCH_CELLS_MAX), or before `start`.
    pub fn cells(&self, start: usize, end: usize) -> &[Cell] {
        self.sketch.cells(start, end)
    }

    /// The symbols of the items that are in one set only, ascending: in this one, or in the one whose first coded cells
    /// are `theirs`. `None` if those do not suffice. What it says is not proven until the roots agree.
    pub fn difference(&self, theirs: &[Cell]) -> Option<Vec<Symbol>> {
        self.sketch.difference(theirs)
    }

    /// The items with this symbol: one, or none, unless somebody took the trouble.
    pub(super) fn with_symbol(&self, symbol: Symbol) -> &[ItemId] {
        let mut first = [0; 16];
        first[..8].copy_from_slice(&symbol.0);
        let first = ItemId(first);
        let bucket = &self.buckets[bucket_of(&first)];
        let from = bucket.partition_point(|item| order(item) < order(&first));
        let count = bucket[from..].iter().take_while(|item| Symbol::of(item) == symbol).count();
        &bucket[from..from + count]
    }

    /// The items of a bucket after one (exclusive) and up to another (inclusive), where those are given.
    pub(super) fn range(&self, bucket: usize, after: Option<ItemId>, until: Option<ItemId>) -> &[ItemId] {
        let items = &self.buckets[bucket];
        let end = until.map_or(items.len(), |until| items.partition_point(|item| order(item) <= order(&until)));
        let start = after.map_or(0, |after| items.partition_point(|item| order(item) <= order(&after)));
        &items[start.min(end)..end]
    }

    /// The groups' hashes.
    pub(super) fn groups(&mut self) -> [Hash; GROUPS] {
        self.tree.refresh(&self.buckets);
        *self.tree.groups()
    }

    /// A bucket's hash, and how many items it holds.
    pub(super) fn bucket(&mut self, bucket: usize) -> (Hash, usize) {
        self.tree.refresh(&self.buckets);
        (self.tree.bucket(bucket), self.buckets[bucket].len())
    }
}

fn find(bucket: &[ItemId], item: &ItemId) -> Result<usize, usize> {
    bucket.binary_search_by_key(&order(item), order)
}

/// Orders as the bytes do, and compares faster.
fn order(item: &ItemId) -> u128 {
    u128::from_be_bytes(item.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;
    use crate::limits::SKETCH_CELLS_MAX;

    fn items() -> impl Strategy<Value = Vec<u16>> {
        proptest::collection::vec(0..400u16, 0..300)
    }

    fn item(n: u16) -> ItemId {
        ItemId::of(&n.to_be_bytes())
    }

    proptest! {
        #[test]
        fn a_set_agrees_with_a_plain_one(changes in proptest::collection::vec((0..100u16, 0..100u16, 0..3u8), 0..200)) {
            let (mut set, mut plain) = (ItemSet::new(), BTreeSet::new());
            for (n, other, change) in changes {
                let (item, other) = (item(n), item(other));
                match change {
                    0 => prop_assert_eq!(set.insert(item), plain.insert(item)),
                    1 => prop_assert_eq!(set.remove(&item), plain.remove(&item)),
                    _ => {
                        set.replace(&other, item);
                        plain.remove(&other);
                        plain.insert(item);
                    }
                }
                prop_assert_eq!(set.contains(&item), change != 1);
                prop_assert_eq!(set.len(), plain.len());
            }
            let mut afresh = ItemSet::new();
            plain.iter().for_each(|item| _ = afresh.insert(*item));
            prop_assert_eq!(set.cells(0, SKETCH_CELLS_MAX), afresh.cells(0, SKETCH_CELLS_MAX));
            let all: Vec<_> = (0..BUCKETS).flat_map(|bucket| set.range(bucket, None, None).to_vec()).collect();
            prop_assert_eq!(all, plain.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn the_root_depends_on_the_items_alone(kept in items(), gone in items()) {
            let mut straight = ItemSet::new();
            for n in &kept {
                straight.insert(item(*n));
            }
            let mut detour = ItemSet::new();
            for n in gone.iter().chain(&kept) {
                detour.insert(item(*n));
                detour.root();
            }
            for n in gone.iter().filter(|n| !kept.contains(n)) {
                detour.remove(&item(*n));
            }
            prop_assert_eq!(straight.root(), detour.root());
            prop_assert_eq!(straight.difference(detour.cells(0, 16)), Some(Vec::new()));
        }

        #[test]
        fn another_item_is_another_root(held in items(), one in 400..500u16) {
            let mut set = ItemSet::new();
            for n in held {
                set.insert(item(n));
            }
            let before = set.root();
            set.insert(item(one));
            let peeked = set.peek_root();
            prop_assert_ne!(peeked, before);
            prop_assert_eq!(set.root(), peeked);
            set.remove(&item(one));
            prop_assert_eq!(set.root(), before);
        }
    }

    #[test]
    fn items_are_found_by_their_symbol() {
        let mut set = ItemSet::new();
        let one = item(1);
        let mut twin = one;
        twin.0[15] ^= 1;
        set.insert(one);
        set.insert(item(2));
        assert_eq!(set.with_symbol(Symbol::of(&one)), [one]);
        set.insert(twin);
        assert_eq!(set.with_symbol(Symbol::of(&one)), [one.min(twin), one.max(twin)]);
        assert_eq!(set.with_symbol(Symbol::of(&item(3))), []);
        assert_eq!(set.with_symbol(Symbol([0xff; 8])), []);
    }

    #[test]
    fn a_range_excludes_its_start_and_includes_its_end() {
        let mut set = ItemSet::new();
        let of = |n: u8| ItemId(std::array::from_fn(|i| if i == 15 { n } else { 0 }));
        for n in [1, 2, 3, 4] {
            set.insert(of(n));
        }
        assert_eq!(set.range(0, Some(of(1)), Some(of(3))), [of(2), of(3)]);
        assert_eq!(set.range(0, Some(of(2)), None), [of(3), of(4)]);
        assert_eq!(set.range(0, Some(of(3)), Some(of(1))), []);
        assert_eq!(set.range(7, None, None), []);
    }
}
