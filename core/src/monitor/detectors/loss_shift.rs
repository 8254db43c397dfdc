//! Whether a link loses more than links may.
//!
//! Page's cumulative sum (Biometrika 41, 1954) of the log-likelihood ratio of two loss rates: 2 %, which is borne, and
//! 15 %, which is not. Of all tests with the same rate of false alarms this one is the quickest on
//! average (Moustakides, Annals of Statistics 14, 1986), it needs one number of memory, and it takes batches of any size,
//! so that links that are probed seldom and often are judged alike. It is over after a stretch without any loss: that is
//! stricter than the alarm, which is the hysteresis.

use std::time::Duration;

use super::Edge;
use crate::Instant;
use crate::incident::Evidence;

/// The loss of one link.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossShift {
    sum_milli: u64,
    raised: bool,
    /// Since the sum was last zero: lost, and all.
    lost: u64,
    all: u64,
    /// Returned since the last loss, and when that was.
    clean: u64,
    lost_at: Instant,
}

impl LossShift {
    /// So many probes were lost, and so many returned, since the last time.
    pub fn observe(&mut self, lost: u64, returned: u64, now: Instant) -> Option<Edge> {
        let (lost, returned) = (lost.min(BATCH_MAX), returned.min(BATCH_MAX));
        self.sum_milli = (self.sum_milli + lost * LOST_MILLI).saturating_sub(returned * RETURNED_MILLI);
        (self.lost, self.all) = (self.lost + lost, self.all + lost + returned);
        if lost > 0 {
            (self.clean, self.lost_at) = (0, now);
        } else {
            self.clean += returned;
        }
        if self.raised {
            let calm = self.clean >= CLEAN_AT_REST && now.since(self.lost_at) >= CALM;
            return (self.clean >= CLEAN || calm).then(|| {
                *self = Self::default();
                Edge::Well
            });
        }
        if self.sum_milli >= ALARM_MILLI {
            self.raised = true;
            let permille = (self.lost * 1000 / self.all.max(1)) as u16;
            return Some(Edge::Wrong(Evidence::Loss { permille, of: self.all }));
        }
        if self.sum_milli == 0 {
            (self.lost, self.all) = (0, 0);
        }
        None
    }

    /// Whether it is in alarm.
    pub const fn is_raised(&self) -> bool {
        self.raised
    }
}

/// ln(15/2) in thousandths: what a lost probe adds.
const LOST_MILLI: u64 = 2015;
/// ln(0.98/0.85) in thousandths: what a returned probe takes away.
const RETURNED_MILLI: u64 = 142;
/// Alarm: e⁸, about three thousand to one.
const ALARM_MILLI: u64 = 8000;
/// Probes in a row that must return for the all-clear.
const CLEAN: u64 = 30;
/// So many are enough if the time without a loss was long: a link at rest is probed seldom.
const CLEAN_AT_REST: u64 = 10;
const CALM: Duration = Duration::from_secs(15);
/// A batch counts as at most so many of each: a lie about counters must not overflow.
const BATCH_MAX: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Probes until the first alarm at a loss rate in thousandths, at most `most`.
    fn probes_to_alarm(permille: usize, seed: u64, most: usize) -> Option<usize> {
        let (mut shift, mut rng) = (LossShift::default(), Rng::from_seed(seed));
        (1..=most).find(|_| {
            let lost = rng.below(1000) < permille;
            matches!(shift.observe(u64::from(lost), u64::from(!lost), Instant::BOOT), Some(Edge::Wrong(_)))
        })
    }

    #[test]
    fn loss_that_is_borne_raises_no_alarm_and_loss_that_is_not_soon_does() {
        // An hour of a hurried link at half a percent.
        assert!((0..5).all(|seed| probes_to_alarm(5, seed, 36_000).is_none()));
        let mut needed: Vec<usize> = (0..100).map(|seed| probes_to_alarm(200, seed, 1000).unwrap()).collect();
        needed.sort_unstable();
        assert!(needed[50] <= 40 && needed[99] <= 150, "{needed:?}");
    }

    #[test]
    fn the_all_clear_needs_a_clean_stretch() {
        let (mut shift, now) = (LossShift::default(), Instant::BOOT);
        assert!(matches!(shift.observe(4, 0, now), Some(Edge::Wrong(Evidence::Loss { permille: 1000, of: 4 }))));
        assert_eq!(shift.observe(0, 29, now), None);
        assert_eq!(shift.observe(1, 0, now), None, "one more loss, and the count begins anew");
        assert_eq!((shift.observe(0, 29, now), shift.observe(0, 1, now)), (None, Some(Edge::Well)));
    }

    #[test]
    fn a_link_at_rest_is_clear_after_a_calm_time() {
        let mut shift = LossShift::default();
        shift.observe(4, 0, Instant::BOOT);
        assert_eq!(shift.observe(0, 10, Instant::from_millis(14_000)), None);
        assert_eq!(shift.observe(0, 1, Instant::from_millis(15_000)), Some(Edge::Well));
    }
}
