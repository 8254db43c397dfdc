//! How often something took how long: counted by anybody, read by anybody, in a fixed amount of memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often something took how long, in buckets of powers of two.
#[derive(Debug)]
pub struct Durations {
    took: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { took: std::array::from_fn(|_| AtomicU64::new(0)), nanos: AtomicU64::new(0) }
    }
}

impl Durations {
    /// Counts one more.
    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.took[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn spread(&self) -> Spread {
        Spread {
            counts: std::array::from_fn(|i| self.took[i].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

/// What was counted: the bucket with the number n holds what took at most 2^n nanoseconds and more than half of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many in each bucket.
    pub counts: [u64; BUCKETS],
    /// How long all of them took together.
    pub sum: Duration,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: Duration::ZERO }
    }
}

impl Spread {
    /// How many took at most 2^`exponent` nanoseconds.
    pub fn at_most(&self, exponent: usize) -> u64 {
        self.counts.iter().take(exponent + 1).sum()
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Takes in what was counted elsewhere.
    pub fn add(&mut self, other: &Spread) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }
}

/// The smallest n with 2^n of at least so many nanoseconds.
pub(in crate::actors) fn bucket(nanos: u64) -> usize {
    (nanos.clamp(1, 1 << (BUCKETS - 1)).next_power_of_two().trailing_zeros() as usize).min(BUCKETS - 1)
}

/// Buckets: the last is for whatever took more than half an hour.
pub const BUCKETS: usize = 42;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_by_how_long_it_took() {
        let durations = Durations::default();
        for took in [Duration::ZERO, Duration::from_nanos(1024), Duration::from_nanos(1025), Duration::from_secs(3600)]
        {
            durations.note(took);
        }
        let mut spread = durations.spread();
        assert_eq!([0, 9, 10, 11, 40, 41].map(|n| spread.at_most(n)), [1, 1, 2, 3, 3, 4]);
        assert_eq!(spread.sum, Duration::from_nanos(3600 * 1_000_000_000 + 2049));
        let once = spread.clone();
        spread.add(&once);
        assert_eq!((spread.count(), spread.at_most(10)), (8, 4));
        durations.note(Duration::MAX);
        assert_eq!(durations.spread().count(), 5);
    }
}
