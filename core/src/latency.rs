//! Latency statistics of one peer: what round trips to it took lately.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::LATENCIES_KEPT;

/// The last [`LATENCIES_KEPT`] round trips to a peer, and how many there ever were.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// In microseconds, oldest first.
    recent: VecDeque<u32>,
    count: u64,
}

/// What [`Latencies`] amount to; all but the count are over the last [`LATENCIES_KEPT`] samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencySummary {
    /// The newest sample, in microseconds; 0 if there is none.
    pub current_us: u32,
    /// The shortest, in microseconds.
    pub min_us: u32,
    /// The longest, in microseconds.
    pub max_us: u32,
    /// The arithmetic mean, in microseconds.
    pub mean_us: u32,
    /// What 99 of 100 took at most, in microseconds (nearest rank).
    pub p99_us: u32,
    /// Samples taken since the peer became a neighbor.
    pub count: u64,
}

impl Latencies {
    /// Takes a sample. More than an hour counts as an hour.
    pub fn sample(&mut self, rtt: Duration) {
        if self.recent.len() >= LATENCIES_KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
        self.count += 1;
    }

    /// What they amount to; a sort of at most [`LATENCIES_KEPT`] numbers.
    pub fn summary(&self) -> LatencySummary {
        let mut sorted: Vec<u32> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return LatencySummary::default() };
        let sum: u64 = sorted.iter().map(|us| u64::from(*us)).sum();
        LatencySummary {
            current_us: self.recent.back().copied().unwrap_or_default(),
            min_us: *first,
            max_us: *last,
            mean_us: (sum / sorted.len() as u64) as u32,
            p99_us: sorted[(sorted.len() * 99).div_ceil(100) - 1],
            count: self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_was_measured_at_first() {
        assert_eq!(Latencies::default().summary(), LatencySummary::default());
    }

    #[test]
    fn a_summary_is_what_the_samples_say() {
        let mut latencies = Latencies::default();
        (1..=200).rev().for_each(|ms| latencies.sample(Duration::from_millis(ms)));
        let expected = LatencySummary {
            current_us: 1_000,
            min_us: 1_000,
            max_us: 200_000,
            mean_us: 100_500,
            p99_us: 198_000,
            count: 200,
        };
        assert_eq!(latencies.summary(), expected);
    }

    #[test]
    fn old_samples_are_forgotten_but_counted() {
        let mut latencies = Latencies::default();
        latencies.sample(Duration::from_secs(1));
        (0..LATENCIES_KEPT).for_each(|_| latencies.sample(Duration::from_millis(1)));
        let summary = latencies.summary();
        assert_eq!((summary.max_us, summary.count), (1_000, LATENCIES_KEPT as u64 + 1));
    }

    #[test]
    fn an_absurd_sample_is_the_longest_there_is() {
        let mut latencies = Latencies::default();
        latencies.sample(Duration::MAX);
        assert_eq!(latencies.summary().max_us, u32::MAX);
    }
}
