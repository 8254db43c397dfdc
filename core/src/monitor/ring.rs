//! The last few of something, in fixed memory.

use std::collections::VecDeque;

/// A bounded queue; the oldest makes room.
#[derive(Clone, Debug)]
pub struct Ring<T> {
    kept: VecDeque<T>,
    most: usize,
}

impl<T> Ring<T> {
    /// Empty, for at most `most` values; at least one.
    pub fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most: most.max(1) }
    }

    /// Adds the newest; the oldest makes room, and is returned.
    pub fn push(&mut self, value: T) -> Option<T> {
        let oldest = if self.kept.len() >= self.most { self.kept.pop_front() } else { None };
        self.kept.push_back(value);
        oldest
    }

    /// From the oldest to the newest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.kept.iter()
    }

    /// The oldest.
    pub fn oldest(&self) -> Option<&T> {
        self.kept.front()
    }

    /// The newest.
    pub fn newest(&self) -> Option<&T> {
        self.kept.back()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the next one pushes another out.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= self.most
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.kept.clear();
    }
}

impl<T: Copy + Ord> Ring<T> {
    /// The middle one by size, the lower of two; `None` if there are none.
    pub fn median(&self) -> Option<T> {
        let mut sorted: Vec<T> = self.kept.iter().copied().collect();
        let middle = sorted.len().checked_sub(1)? / 2;
        Some(*sorted.select_nth_unstable(middle).1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_ring_holds_the_last_values_and_no_more(values in proptest::collection::vec(0u32..100, 0..60), most in 1usize..20) {
            let mut ring = Ring::new(most);
            for value in &values {
                ring.push(*value);
                prop_assert!(ring.len() <= most);
            }
            let last = &values[values.len().saturating_sub(most)..];
            prop_assert!(ring.iter().eq(last));
            let mut sorted = last.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(ring.median(), sorted.get(last.len().saturating_sub(1) / 2).copied());
        }
    }
}
