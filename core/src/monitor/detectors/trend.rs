//! The slope through a few points, by a method that outliers cannot bend.
//!
//! The slope is the median of the slopes between all pairs (Theil 1950; Sen, JASA 63, 1968): almost a third of the
//! points may be arbitrarily wrong. How monotonic the points are is Kendall's tau (Biometrika 30, 1938), the statistic of
//! the Mann-Kendall test for trends: a median slope alone would see a trend in noise around a plateau.

use std::time::Duration;

use crate::Instant;
use crate::monitor::ring::Ring;

/// A few points in time.
#[derive(Clone, Debug)]
pub struct Trend {
    points: Ring<(Instant, u64)>,
}

impl Trend {
    /// No points yet; at most `most` are kept.
    pub fn new(most: usize) -> Self {
        Self { points: Ring::new(most) }
    }

    /// One more; ignored if it is no later than the last.
    pub fn observe(&mut self, value: u64, now: Instant) {
        if self.points.newest().is_none_or(|(at, _)| *at < now) {
            self.points.push((now, value));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.points.clear();
    }

    /// The first value, the last one, and the time between them.
    pub fn span(&self) -> Option<(u64, u64, Duration)> {
        let ((began, first), (ended, last)) = (self.points.oldest()?, self.points.newest()?);
        Some((*first, *last, ended.since(*began)))
    }

    /// The slope per second, in thousandths; `None` for fewer than two points.
    pub fn slope_milli(&self) -> Option<i64> {
        let mut slopes: Vec<i64> = self
            .pairs()
            .map(|((t0, v0), (t1, v1))| {
                let rise = i128::from(v1) - i128::from(v0);
                let run = t1.since(t0).as_nanos().max(1) as i128;
                i64::try_from(rise * 1_000_000_000_000 / run).unwrap_or(if rise < 0 { i64::MIN } else { i64::MAX })
            })
            .collect();
        let middle = slopes.len().checked_sub(1)? / 2;
        Some(*slopes.select_nth_unstable(middle).1)
    }

    /// Kendall's tau in thousandths: 1000 if every point is above all before it, -1000 if below; ties count as neither.
    pub fn tau_permille(&self) -> i64 {
        let (mut sum, mut count) = (0, 0);
        for ((_, earlier), (_, later)) in self.pairs() {
            sum += (later > earlier) as i64 - (later < earlier) as i64;
            count += 1;
        }
        if count == 0 { 0 } else { sum * 1000 / count }
    }

    fn pairs(&self) -> impl Iterator<Item = ((Instant, u64), (Instant, u64))> {
        let points = &self.points;
        points
            .iter()
            .enumerate()
            .flat_map(move |(i, earlier)| points.iter().skip(i + 1).map(|later| (*earlier, *later)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trend(values: &[u64]) -> Trend {
        let mut trend = Trend::new(64);
        for (second, value) in values.iter().enumerate() {
            trend.observe(*value, Instant::from_millis(second as u64 * 1000));
        }
        trend
    }

    #[test]
    fn a_fifth_of_outliers_does_not_bend_the_slope() {
        let mut values: Vec<u64> = (0..20).map(|i| 100 + 3 * i).collect();
        for i in [2, 7, 11, 16] {
            values[i] = 1_000_000;
        }
        let slope = trend(&values).slope_milli().unwrap();
        assert!((2900..=3300).contains(&slope), "{slope}");
    }

    proptest! {
        #[test]
        fn a_line_has_its_slope_and_perfect_tau(start in 0u64..1_000_000, rise in 1u64..10_000, points in 2usize..30) {
            let values: Vec<u64> = (0..points as u64).map(|i| start + rise * i).collect();
            let trend = trend(&values);
            prop_assert_eq!(trend.slope_milli(), Some(rise as i64 * 1000));
            prop_assert_eq!(trend.tau_permille(), 1000);
        }

        #[test]
        fn no_values_overflow(values in proptest::collection::vec(any::<u64>(), 0..20)) {
            let trend = trend(&values);
            prop_assert!(trend.tau_permille().abs() <= 1000);
            prop_assert_eq!(trend.slope_milli().is_some(), values.len() >= 2);
        }
    }
}
