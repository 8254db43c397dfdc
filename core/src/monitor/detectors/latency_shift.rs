//! Whether something takes longer than it used to.
//!
//! A slow pair of exponentially weighted means learns what is usual and how much that varies (the estimator of RFC 6298,
//! section 2); a cumulative sum (Page, Biometrika 41, 1954) over the deviations in units of the usual one tells the
//! change. The means alone would either be slow or cry at every outlier; the sum alone would need the usual value from
//! somebody. While values are suspect the usual one is not learned from them, or a change would excuse itself. What stays
//! changed for long is the new usual: a longer way is no illness.

use std::time::Duration;

use super::Edge;
use crate::incident::Evidence;

/// What is borne however unusual it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// A shift smaller than this is none.
    pub shift: Duration,
    /// What takes less than so many times the usual is no shift.
    pub factor: u32,
}

/// The time that one thing takes.
#[derive(Clone, Copy, Debug)]
pub struct LatencyShift {
    tolerance: Tolerance,
    usual: u64,
    deviation: u64,
    seen: u32,
    sum_milli: u64,
    raised: bool,
    /// Samples in alarm in all, and of these the last ones that were well.
    in_alarm: u32,
    well: u32,
    recent: u64,
}

impl LatencyShift {
    /// Nothing observed yet.
    pub const fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            usual: 0,
            deviation: 0,
            seen: 0,
            sum_milli: 0,
            raised: false,
            in_alarm: 0,
            well: 0,
            recent: 0,
        }
    }

    /// It took so long.
    pub fn observe(&mut self, took: Duration) -> Option<Edge> {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(NANOS_MAX);
        self.recent = if self.seen == 0 { took } else { (self.recent * 3 + took) / 4 };
        self.seen = self.seen.saturating_add(1);
        if self.seen <= LEARN {
            self.learn(took);
            return None;
        }
        let suspect = took > self.limit(self.tolerance.factor, self.tolerance.shift);
        if self.raised {
            return self.observe_in_alarm(took);
        }
        if !suspect {
            self.sum_milli = self.sum_milli.saturating_sub(ALLOWANCE_MILLI);
            self.learn(took);
            return None;
        }
        let deviations = (took - self.usual).saturating_mul(1000) / self.deviation.max(1);
        self.sum_milli += deviations.clamp(ALLOWANCE_MILLI, STEP_MAX_MILLI) - ALLOWANCE_MILLI + 1;
        if self.sum_milli < ALARM_MILLI {
            return None;
        }
        (self.raised, self.in_alarm, self.well) = (true, 0, 0);
        let (now, usual) = (Duration::from_nanos(took), Duration::from_nanos(self.usual));
        Some(Edge::Wrong(Evidence::Slower { now, usual }))
    }

    /// What is usual; zero before the first sample.
    pub const fn usual(&self) -> Duration {
        Duration::from_nanos(self.usual)
    }

    /// Whether it is in alarm.
    pub const fn is_raised(&self) -> bool {
        self.raised
    }

    fn observe_in_alarm(&mut self, took: u64) -> Option<Edge> {
        self.in_alarm += 1;
        // Half way back is not back.
        let back = took <= self.limit(1 + self.tolerance.factor.saturating_sub(1) / 2, self.tolerance.shift / 2);
        self.well = if back { self.well + 1 } else { 0 };
        if self.well < WELL && self.in_alarm < ACCEPT {
            return None;
        }
        if self.in_alarm >= ACCEPT {
            *self = Self {
                seen: 1,
                usual: self.recent,
                deviation: self.recent / 8,
                recent: self.recent,
                ..Self::new(self.tolerance)
            };
        }
        (self.raised, self.sum_milli) = (false, 0);
        Some(Edge::Well)
    }

    /// What is longer than this is suspect, or not yet well.
    fn limit(&self, factor: u32, shift: Duration) -> u64 {
        let by_factor = self.usual.saturating_mul(u64::from(factor));
        let by_shift = self.usual.saturating_add(u64::try_from(shift.as_nanos()).unwrap_or(u64::MAX));
        by_factor.max(by_shift).max(self.usual.saturating_add(self.deviation * 2))
    }

    fn learn(&mut self, took: u64) {
        if self.seen <= 1 {
            (self.usual, self.deviation) = (took, took / 2);
            return;
        }
        self.deviation = (self.deviation * 15 + self.usual.abs_diff(took)) / 16;
        self.usual = (self.usual * 15 + took) / 16;
    }
}

/// Samples that are only learned from.
const LEARN: u32 = 8;
/// Usual deviations that a sample may be off, in thousandths.
const ALLOWANCE_MILLI: u64 = 2000;
/// One sample counts for at most so much: no single one raises an alarm.
const STEP_MAX_MILLI: u64 = 8000;
/// Alarm: at least three samples, all far off.
const ALARM_MILLI: u64 = 15_000;
/// Samples in a row that must be well for the all-clear.
const WELL: u32 = 3;
/// Samples in alarm after which what was unusual is usual.
const ACCEPT: u32 = 120;
/// Longer times count as this one: an hour.
const NANOS_MAX: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shift() -> LatencyShift {
        LatencyShift::new(Tolerance { shift: Duration::from_millis(20), factor: 2 })
    }

    fn feed(shift: &mut LatencyShift, ms: u64, times: usize) -> Vec<Edge> {
        (0..times).filter_map(|_| shift.observe(Duration::from_millis(ms))).collect()
    }

    #[test]
    fn a_shift_is_found_within_three_samples_and_its_end_within_three() {
        let mut shift = shift();
        assert_eq!(feed(&mut shift, 10, 50), []);
        assert_eq!(feed(&mut shift, 100, 2), []);
        let usual = shift.usual();
        let evidence = Evidence::Slower { now: Duration::from_millis(100), usual };
        assert_eq!(feed(&mut shift, 100, 1), [Edge::Wrong(evidence)]);
        assert_eq!(usual, Duration::from_millis(10), "it does not excuse itself");
        assert_eq!(feed(&mut shift, 10, 3), [Edge::Well]);
    }

    #[test]
    fn what_stays_changed_becomes_usual() {
        let mut shift = shift();
        feed(&mut shift, 10, 20);
        assert_eq!(feed(&mut shift, 200, 200).len(), 2, "an alarm and its end");
        assert!(shift.usual() > Duration::from_millis(190));
    }

    #[test]
    fn lone_outliers_raise_no_alarm() {
        let mut shift = shift();
        feed(&mut shift, 10, 20);
        for _ in 0..100 {
            assert_eq!(feed(&mut shift, 500, 1), []);
            assert_eq!(feed(&mut shift, 10, 5), []);
        }
    }

    proptest! {
        #[test]
        fn what_stays_within_the_tolerance_never_raises_an_alarm(
            usual in 1u64..200, noise in proptest::collection::vec(0u64..20, 0..400),
        ) {
            let mut shift = shift();
            // The learning takes the lowest: everything after it is slower, by less than what is borne.
            prop_assert_eq!(feed(&mut shift, usual, 9), []);
            for more in noise {
                prop_assert_eq!(feed(&mut shift, usual + more, 1), []);
            }
        }
    }
}
