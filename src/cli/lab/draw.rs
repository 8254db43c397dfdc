//! The lab's randomness: everything it draws comes from one seed, so that a run can be repeated.

/// A stream of random bytes that a seed and a purpose determine (BLAKE3 in extendable-output mode).
#[derive(Clone, Debug)]
pub(super) struct Draw(blake3::OutputReader);

impl Draw {
    /// The stream for `purpose`; other purposes of the same seed draw independently of it.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("prunella lab 2026 draw");
        hasher.update(&seed.to_be_bytes()).update(purpose.as_bytes());
        Self(hasher.finalize_xof())
    }

    /// Fills `buffer` with the next bytes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    /// A number below `end` (Lemire's multiplication).
    ///
    /// # Panics
    /// If `end` is zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "BUG: nothing lies below zero");
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        ((u128::from(u64::from_be_bytes(bytes)) * end as u128) >> 64) as usize
    }

    /// One element of `items`; `None` if there are none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.below(items.len())]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_determine_what_is_drawn() {
        let first = |seed, purpose| Draw::new(seed, purpose).below(usize::MAX);
        assert_eq!(first(7, "relay"), first(7, "relay"));
        assert_ne!(first(7, "relay"), first(8, "relay"));
        assert_ne!(first(7, "relay"), first(7, "bulk"));
    }

    #[test]
    fn every_element_is_picked_sooner_or_later() {
        let mut draw = Draw::new(1, "test");
        let picked: std::collections::BTreeSet<_> = (0..200).filter_map(|_| draw.pick(&[1, 2, 3]).copied()).collect();
        assert_eq!(picked.len(), 3);
        assert_eq!(draw.pick::<u8>(&[]), None);
    }
}
