//! Randomness as a seeded field: the same seed draws the same numbers.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

/// A seeded generator (ChaCha12). The shell seeds it from the operating system, the simulator from its seed.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// A generator that repeats itself for the same `seed`.
    pub fn from_seed(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, evenly spread to within 2^-32 for any `end` below 2^32 (Lemire's multiplication).
    ///
    /// # Panics
    /// If `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "BUG: nothing lies below zero");
        ((u128::from(self.next_u64()) * end as u128) >> 64) as usize
    }

    /// `duration` plus or minus up to `percent` percent, so that nodes do not act in step.
    pub fn jitter(&mut self, duration: Duration, percent: u32) -> Duration {
        let spread = duration.as_nanos() as u64 / 100 * u64::from(percent);
        let offset = if spread == 0 { 0 } else { self.next_u64() % (2 * spread) };
        Duration::from_nanos((duration.as_nanos() as u64 + offset).saturating_sub(spread))
    }

    /// One element of `items`; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.below(items.len())]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let draw = |seed| {
            let mut rng = Rng::from_seed(seed);
            [rng.next_u64(), rng.next_u64(), rng.below(10) as u64]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let mut rng = Rng::from_seed(1);
        for _ in 0..1000 {
            let d = rng.jitter(Duration::from_millis(100), 20);
            assert!((80..=120).contains(&d.as_millis()), "{d:?}");
        }
    }
}
