//! What a destination's acknowledgments say of the path in use: probes that return prove that it carries probes.
//!
//! A relay that forwards probes and drops payload betrays itself by the difference between the two (Huang et al., HotOS
//! 2017: "differential observability"): something sent is not acknowledged, and a probe that was under way at the same
//! time returns. A process that is late is late with both. Traffic then moves to another path that probes have proven,
//! which costs nothing if the doubt was wrong; but if acknowledgments are overdue there as well, the destination is slow
//! and no path helps, so each further move must wait twice as long.

use std::time::Duration;

use crate::Instant;

/// When the paths to one destination were left for want of acknowledgments.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PayloadDoubt {
    left: Option<Instant>,
    /// How often, without a long rest between.
    times: u32,
}

impl PayloadDoubt {
    /// Whether acknowledgments that are overdue are a reason to leave a path now; counts as if it were left.
    pub(super) fn may_leave(&mut self, now: Instant) -> bool {
        let since = self.left.map_or(Duration::MAX, |left| now.since(left));
        if since >= FORGIVEN_AFTER {
            self.times = 0;
        }
        if self.times > 0 && since < self.patience() {
            return false;
        }
        *self = Self { left: Some(now), times: self.times.saturating_add(1) };
        true
    }

    fn patience(&self) -> Duration {
        (PATIENCE * 2u32.saturating_pow(self.times.min(16) - 1)).min(FORGIVEN_AFTER)
    }
}

/// How long after the first move acknowledgments may be overdue: what was lost before must be sent again.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long after the latest move all of them are forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_that_is_slow_on_every_path_is_moved_ever_more_seldom() {
        let mut doubt = PayloadDoubt::default();
        let moves: Vec<u64> =
            (0..6000).map(|tick| tick * 10).filter(|ms| doubt.may_leave(Instant::from_millis(*ms))).collect();
        assert_eq!(moves, [0, 250, 750, 1750, 3750, 7750, 15_750, 31_750]);
    }

    #[test]
    fn after_a_long_rest_a_path_is_left_at_once() {
        let mut doubt = PayloadDoubt::default();
        assert!(doubt.may_leave(Instant::from_millis(0)));
        assert!(doubt.may_leave(Instant::from_millis(300)));
        assert!(!doubt.may_leave(Instant::from_millis(700)));
        assert!(doubt.may_leave(Instant::from_millis(60_300)));
        assert!(doubt.may_leave(Instant::from_millis(60_550)), "and its patience is short again");
    }
}
