//! What a destination's acknowledgments say of the path in use: probes that return prove that it carries probes.
//!
//! A relay that forwards probes and drops payload betrays itself by the difference between the two (Huang et al., HotOS
//! 2017: "differential observability"): something sent is not acknowledged, and a probe that was under way at the same
//! time returns. A process that is late is late with both. Traffic then moves to another path that probes have proven,
//! which costs nothing if the doubt was wrong; but if acknowledgments are overdue there as well, the destination is slow
//! and no path helps, so each further move must wait twice as long, until they come again.
//!
//! What is lost may as well be the acknowledgments, on the destination's own path back, and who only receives has nothing
//! to wait for. So the destination is told over which relays the path led that was left, and leaves its own if that leads
//! over one of them. If it does not, the destination stays: of the two ends, one moves towards the other. Who has come back
//! to what it left, because the destination wanted it, names that no more: both are there, and it works.

use std::time::Duration;

use crate::limits::PATH_LABELS_MAX;
use crate::{Instant, PeerId};

/// When the paths to one destination were left for want of acknowledgments.
#[derive(Clone, Debug, Default)]
pub(super) struct PayloadDoubt {
    left: Option<Instant>,
    /// How often, without a long rest between.
    times: u32,
    /// How long after the first move acknowledgments may be overdue.
    patience: Duration,
    /// The relays of what was left since acknowledgments came last, and when the destination was told.
    told: Option<(Vec<PeerId>, Option<Instant>)>,
}

impl PayloadDoubt {
    /// Whether acknowledgments that have not come for so long are a reason to leave a path now; counts as if it were left.
    pub(super) fn may_leave(&mut self, silent: Duration, now: Instant) -> bool {
        let since = self.left.map_or(Duration::MAX, |left| now.since(left));
        // What came after the latest move says that it helped, or that the destination is well again.
        let helped = silent < since && since >= HELPED_AFTER;
        if helped || since >= FORGIVEN_AFTER {
            self.times = 0;
        }
        if self.times == 0 {
            self.patience = PATIENCE_MIN.max(2 * silent);
            self.told = None;
        } else if since < self.patience() {
            return false;
        }
        (self.left, self.times) = (Some(now), self.times.saturating_add(1));
        true
    }

    fn patience(&self) -> Duration {
        self.patience.saturating_mul(2u32.saturating_pow(self.times.min(16) - 1)).min(FORGIVEN_AFTER)
    }

    /// A path over these relays was left, and the destination is to be told of them, and of those that were left before:
    /// it may have moved to one of those at the same time.
    pub(super) fn tell(&mut self, relays: Vec<PeerId>) {
        let (mut all, _) = self.told.take().unwrap_or_default();
        all.retain(|relay| !relays.contains(relay));
        all.extend(relays);
        all.drain(..all.len().saturating_sub(PATH_LABELS_MAX));
        self.told = Some((all, None));
    }

    /// What the destination is to be told now, if it was not told just now; counts as if it were told. The relays that are
    /// `used` again are not named: the destination may have come there, and would leave what works.
    pub(super) fn may_tell(&mut self, used: &[PeerId], now: Instant) -> Option<Vec<PeerId>> {
        let (relays, told) = self.told.as_mut()?;
        if told.is_some_and(|told| now.since(told) < TOLD_EVERY) {
            return None;
        }
        let left: Vec<PeerId> = relays.iter().filter(|relay| !used.contains(relay)).copied().collect();
        if left.is_empty() && !relays.is_empty() {
            return None;
        }
        *told = Some(now);
        Some(left)
    }
}

/// How long after the first move acknowledgments may be overdue, at least: what was lost before must be sent again, and the
/// destination may have to move as well.
const PATIENCE_MIN: Duration = Duration::from_millis(100);
/// How often the destination is told, while acknowledgments are overdue: what tells it may be lost as well.
const TOLD_EVERY: Duration = Duration::from_millis(50);
/// How long after the latest move all of them are forgotten, if acknowledgments came since.
const HELPED_AFTER: Duration = Duration::from_secs(1);
/// How long after the latest move all of them are forgotten, in any case.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_destination_that_is_slow_on_every_path_is_moved_ever_more_seldom() {
        let mut doubt = PayloadDoubt::default();
        let overdue = |doubt: &mut PayloadDoubt, silent, ms| {
            doubt.may_leave(Duration::from_millis(silent), Instant::from_millis(ms))
        };
        let moves: Vec<u64> = (5..6000).map(|tick| tick * 10).filter(|ms| overdue(&mut doubt, *ms, *ms)).collect();
        assert_eq!(moves, [50, 150, 350, 750, 1550, 3150, 6350, 12_750, 25_550, 51_150]);
    }

    #[test]
    fn a_move_that_helped_makes_the_next_one_wait_no_longer() {
        let mut doubt = PayloadDoubt::default();
        assert!(doubt.may_leave(50 * MS, Instant::from_millis(0)));
        assert!(!doubt.may_leave(50 * MS, Instant::from_millis(60)), "what was lost is perhaps not sent again yet");
        for second in 1..20 {
            assert!(doubt.may_leave(50 * MS, Instant::from_millis(second * 1000)), "acknowledgments came meanwhile");
        }
    }

    #[test]
    fn after_a_long_rest_a_path_is_left_at_once() {
        let mut doubt = PayloadDoubt::default();
        assert!(doubt.may_leave(50 * MS, Instant::from_millis(0)));
        assert!(doubt.may_leave(50 * MS, Instant::from_millis(150)));
        assert!(!doubt.may_leave(50 * MS, Instant::from_millis(300)));
        assert!(doubt.may_leave(150 * MS, Instant::from_millis(60_150)));
        assert!(!doubt.may_leave(150 * MS, Instant::from_millis(60_400)), "it is as patient as the path is long");
        assert!(doubt.may_leave(150 * MS, Instant::from_millis(60_450)));
    }

    #[test]
    fn all_that_was_left_since_acknowledgments_came_is_told() {
        let id = |n: u8| PeerId::from_public_key([n; 32]);
        let mut doubt = PayloadDoubt::default();
        for (n, ms) in [(1, 0), (2, 150), (1, 400)] {
            assert!(doubt.may_leave((50 + ms) as u32 * MS, Instant::from_millis(ms)));
            doubt.tell(vec![id(n)]);
        }
        assert_eq!(doubt.may_tell(&[], Instant::from_millis(400)), Some(vec![id(2), id(1)]));
        assert!(doubt.may_leave(50 * MS, Instant::from_millis(2_000)));
        doubt.tell(vec![id(3)]);
        assert_eq!(
            doubt.may_tell(&[], Instant::from_millis(2_000)),
            Some(vec![id(3)]),
            "the others carried acknowledgments"
        );
        for n in 4..100 {
            doubt.tell(vec![id(n)]);
        }
        assert_eq!(doubt.may_tell(&[], Instant::from_millis(2_000)).map(|all| all.len()), Some(PATH_LABELS_MAX));
    }

    #[test]
    fn a_destination_is_told_again_but_not_with_every_look() {
        let mut doubt = PayloadDoubt::default();
        assert_eq!(doubt.may_tell(&[], Instant::BOOT), None, "nothing was left");
        doubt.tell(Vec::new());
        let told = (0..200).filter(|ms| doubt.may_tell(&[], Instant::from_millis(*ms)).is_some());
        assert_eq!(told.collect::<Vec<_>>(), [0, 50, 100, 150]);
    }
}
