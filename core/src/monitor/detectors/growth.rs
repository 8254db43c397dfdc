//! Leaks: something that only ever grows.
//!
//! Two windows: a short one for what bursts, and a long one, of every so many samples, for what seeps. In each the points
//! must rise almost without exception (Kendall's tau) and by more than work explains. A process that fills its caches
//! rises too, which is why the amounts are large: a seeping leak is found after minutes, not seconds.

use super::{Edge, Trend};
use crate::Instant;
use crate::incident::{Evidence, Quantity};

/// How much growth is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaks {
    /// In the short window.
    pub burst: u64,
    /// In the long window.
    pub seep: u64,
}

/// The use of one finite thing.
#[derive(Clone, Debug)]
pub struct Growth {
    of: Quantity,
    borne: Leaks,
    short: Trend,
    long: Trend,
    samples: u32,
    /// While in alarm: the value at which it would be well again, and the highest so far with its age in samples.
    alarm: Option<Alarm>,
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    well_below: u64,
    highest: u64,
    level_for: u32,
}

impl Growth {
    /// Nothing observed yet.
    pub fn new(of: Quantity, borne: Leaks) -> Self {
        Self { of, borne, short: Trend::new(SHORT), long: Trend::new(LONG), samples: 0, alarm: None }
    }

    /// So much of it is used now; to be told about once a second.
    pub fn observe(&mut self, used: u64, now: Instant) -> Option<Edge> {
        self.short.observe(used, now);
        if self.samples.is_multiple_of(LONG_EVERY) {
            self.long.observe(used, now);
        }
        self.samples = self.samples.wrapping_add(1);
        if let Some(alarm) = &mut self.alarm {
            // A little more is still level.
            alarm.level_for = if used > alarm.highest + alarm.highest / 100 { 0 } else { alarm.level_for + 1 };
            alarm.highest = alarm.highest.max(used);
            if used >= alarm.well_below && alarm.level_for < LEVEL {
                return None;
            }
            (self.alarm, self.samples) = (None, 0);
            self.short.clear();
            self.long.clear();
            return Some(Edge::Well);
        }
        let grown = self.grown(&self.short, SHORT_MIN, self.borne.burst);
        let (from, to, within) = grown.or_else(|| self.grown(&self.long, LONG_MIN, self.borne.seep))?;
        self.alarm = Some(Alarm { well_below: from + (to - from) / 2, highest: to, level_for: 0 });
        Some(Edge::Wrong(Evidence::Growth { of: self.of, from, to, within }))
    }

    fn grown(&self, trend: &Trend, least: usize, borne: u64) -> Option<(u64, u64, std::time::Duration)> {
        let (from, to, within) = trend.span()?;
        let grows = trend.len() >= least && to.saturating_sub(from) >= borne && trend.tau_permille() >= TAU_PERMILLE;
        grows.then_some((from, to, within))
    }
}

/// Samples in the short window, and how many of them are needed.
const SHORT: usize = 6;
const SHORT_MIN: usize = 5;
/// Every so many samples one goes into the long window.
const LONG_EVERY: u32 = 30;
/// Samples in the long window, and how many of them are needed.
const LONG: usize = 24;
const LONG_MIN: usize = 12;
/// How monotonic growth must be.
const TAU_PERMILLE: i64 = 900;
/// Samples without more growth after which the new level is taken for what work needs.
const LEVEL: u32 = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observe(growth: &mut Growth, used: u64, second: u64) -> Option<Edge> {
        growth.observe(used, Instant::from_millis(second * 1000))
    }

    fn descriptors() -> Growth {
        Growth::new(Quantity::Descriptors, Leaks { burst: 200, seep: 100 })
    }

    #[test]
    fn a_burst_is_found_within_seconds() {
        let mut growth = descriptors();
        (0..30).for_each(|second| assert_eq!(observe(&mut growth, 40, second), None));
        let found = (30..40).find(|second| observe(&mut growth, 40 + (second - 29) * 100, *second).is_some());
        assert!(found.is_some_and(|second| second <= 36), "{found:?}");
        assert_eq!(observe(&mut growth, 45, 41), Some(Edge::Well), "it was given back");
    }

    #[test]
    fn seeping_is_found_too() {
        let mut growth = descriptors();
        let found = (0..1000).find_map(|second| Some((second, observe(&mut growth, 40 + second / 3, second)?)));
        let Some((second, Edge::Wrong(Evidence::Growth { from: 40, .. }))) = found else { panic!("{found:?}") };
        assert!((300..=500).contains(&second), "{second}");
    }

    #[test]
    fn a_new_level_is_no_leak_for_long() {
        let mut growth = descriptors();
        (0..10).for_each(|second| drop(observe(&mut growth, 40 + second * 100, second)));
        let well = (10..100).find(|second| observe(&mut growth, 1000, *second) == Some(Edge::Well));
        assert!(well.is_some(), "it has stopped growing");
    }

    proptest! {
        #[test]
        fn use_that_goes_up_and_down_is_no_leak(values in proptest::collection::vec(0u64..10_000, 2..4), seconds in 100u64..900) {
            // A saw: whatever its teeth, they come again and again.
            let mut growth = descriptors();
            let mut teeth = values.clone();
            teeth.extend(values.iter().rev());
            for second in 0..seconds {
                let used = teeth[second as usize % teeth.len()];
                prop_assert_eq!(observe(&mut growth, used, second), None);
            }
        }
    }
}
