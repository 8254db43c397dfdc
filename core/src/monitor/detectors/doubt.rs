//! How far this process may trust what it did not hear: a process that was starved accuses nobody.
//!
//! After Lifeguard's local health (Dadgar et al., DSN-W 2018, section IV): a score that stretches time-outs, and beyond
//! that, after an absence, a time in which nobody else is accused at all. Other than there the score is that of the worst
//! recent wake and not the sum of all: a busy host is late a little again and again, and a sum would have it doubt itself
//! all day and find nothing. Membership has its own, slower score ([`crate::membership`]): there a wrong accusation costs
//! the whole mesh, here one incident.

use std::time::Duration;

use crate::Instant;

/// This process's doubt about its own senses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doubt {
    score: u32,
    /// When the score last changed.
    since: Instant,
    /// Until when nobody is accused.
    until: Instant,
}

impl Doubt {
    /// This process was woken so much later than it wanted to be.
    pub fn woke(&mut self, late: Duration, now: Instant) {
        let points = (late.as_nanos() / LATE_STEP.as_nanos()).min(u128::from(SCORE_MAX)) as u32;
        if late >= ABSENT {
            // What was missed meanwhile is worked off in about the time in which it piled up.
            self.until = self.until.max(now + HOLD + late.min(LATE_MAX));
        }
        if points > 0 && points >= self.score {
            (self.score, self.since) = (points, now);
        } else if self.score > 0 && now.since(self.since) >= ROUND {
            self.score -= 1;
            self.since = now;
        }
    }

    /// Whether others may be accused now.
    pub fn is_trusted(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// By how much time-outs are longer than in good health: 1 to 9.
    pub const fn stretch(&self) -> u32 {
        self.score + 1
    }
}

/// A delay that is an absence. A shorter one swallows no more than a part of the shortest time-out, which is a second.
const ABSENT: Duration = Duration::from_millis(200);
/// A delay that costs one point. Nearly twice that is no absence yet: time-outs are doubled at most by what does not
/// silence, so that what is wrong on a busy host is told late, but soon enough to help.
const LATE_STEP: Duration = Duration::from_millis(100);
/// The worst score (Lifeguard's figure).
const SCORE_MAX: u32 = 8;
/// How long nobody is accused after an absence, besides the delay itself.
const HOLD: Duration = Duration::from_secs(1);
/// Longer delays count as this one: after a suspended night nobody needs to wait a day.
const LATE_MAX: Duration = Duration::from_secs(10);
/// How long all must be well for one point less.
const ROUND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_absence_silences_for_a_while_and_stretches_for_longer() {
        let mut doubt = Doubt::default();
        doubt.woke(Duration::from_millis(99), Instant::from_millis(1000));
        assert!(doubt.is_trusted(Instant::from_millis(1000)) && doubt.stretch() == 1);
        doubt.woke(Duration::from_millis(220), Instant::from_millis(1000));
        assert!(!doubt.is_trusted(Instant::from_millis(2219)) && doubt.is_trusted(Instant::from_millis(2220)));
        assert_eq!(doubt.stretch(), 3);
        doubt.woke(Duration::ZERO, Instant::from_millis(2000));
        doubt.woke(Duration::ZERO, Instant::from_millis(2010));
        assert_eq!(doubt.stretch(), 2, "one point a second");
    }

    #[test]
    fn small_delays_stretch_a_little_however_many_they_are() {
        let mut doubt = Doubt::default();
        for i in 0..1000 {
            doubt.woke(Duration::from_millis(199), Instant::from_millis(i * 209));
            assert!(doubt.is_trusted(Instant::from_millis(i * 209)));
        }
        assert_eq!(doubt.stretch(), 2);
    }

    proptest! {
        #[test]
        fn the_stretch_is_bounded_and_trust_returns(late in proptest::collection::vec(0u64..100_000, 1..50)) {
            let (mut doubt, mut now) = (Doubt::default(), Instant::BOOT);
            for ms in late {
                now = now + Duration::from_millis(ms);
                doubt.woke(Duration::from_millis(ms), now);
                prop_assert!((1..=9).contains(&doubt.stretch()));
            }
            prop_assert!(doubt.is_trusted(now + HOLD + LATE_MAX));
        }
    }
}
