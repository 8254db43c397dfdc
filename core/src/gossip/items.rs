//! What is found by item, faster than in a tree: every record that comes in changes it twice.

use crate::ItemId;

/// A map of items. An item is a piece of a hash, so its first byte spreads them evenly over buckets; its owner bounds how
/// many there are, and with that what it costs if somebody takes the trouble to put all of them into one.
#[derive(Debug)]
pub(super) struct Items<V> {
    /// By the first byte, ascending in each bucket.
    buckets: Vec<Vec<(ItemId, V)>>,
    len: usize,
}

impl<V> Default for Items<V> {
    fn default() -> Self {
        Self { buckets: (0..=u8::MAX).map(|_| Vec::new()).collect(), len: 0 }
    }
}

impl<V> Items<V> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, item: &ItemId) -> Option<&V> {
        let bucket = &self.buckets[usize::from(item.0[0])];
        place(bucket, item).ok().map(|at| &bucket[at].1)
    }

    pub(super) fn contains(&self, item: &ItemId) -> bool {
        self.get(item).is_some()
    }

    /// What it stood for before, if it was there.
    pub(super) fn insert(&mut self, item: ItemId, value: V) -> Option<V> {
        let bucket = &mut self.buckets[usize::from(item.0[0])];
        match place(bucket, &item) {
            Ok(at) => Some(std::mem::replace(&mut bucket[at].1, value)),
            Err(at) => {
                bucket.insert(at, (item, value));
                self.len += 1;
                None
            }
        }
    }

    /// What it stood for, if it was there.
    pub(super) fn remove(&mut self, item: &ItemId) -> Option<V> {
        let bucket = &mut self.buckets[usize::from(item.0[0])];
        let at = place(bucket, item).ok()?;
        self.len -= 1;
        Some(bucket.remove(at).1)
    }
}

fn place<V>(bucket: &[(ItemId, V)], item: &ItemId) -> Result<usize, usize> {
    bucket.binary_search_by(|(other, _)| other.cmp(item))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(changes in proptest::collection::vec((any::<u8>(), 0..4u8, any::<bool>()), 0..300)) {
            let (mut items, mut plain) = (Items::default(), BTreeMap::new());
            for (value, (last, first, is_added)) in changes.into_iter().enumerate() {
                let item = ItemId(std::array::from_fn(|i| if i == 0 { first } else { last % 8 }));
                if is_added {
                    prop_assert_eq!(items.insert(item, value), plain.insert(item, value));
                } else {
                    prop_assert_eq!(items.remove(&item), plain.remove(&item));
                }
                prop_assert_eq!(items.len(), plain.len());
                prop_assert!(plain.iter().all(|(item, value)| items.get(item) == Some(value)));
                prop_assert_eq!(items.contains(&item), is_added);
            }
        }
    }
}
