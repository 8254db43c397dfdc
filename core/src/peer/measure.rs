//! What probes measure: the round trip, the share that is lost, and whether too many fail.

use std::time::Duration;

use serde::Serialize;

/// A smoothed round trip and how much it varies: the estimator of RFC 6298, section 2, with its gains of 1/8 and 1/4.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rtt(Option<Measured>);

#[derive(Clone, Copy, Debug, Serialize)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
}

impl Rtt {
    /// Takes a measured round trip into account.
    pub fn sample(&mut self, rtt: Duration) {
        self.0 = Some(match self.0 {
            None => Measured { smoothed: rtt, variation: rtt / 2 },
            Some(Measured { smoothed, variation }) => {
                Measured { variation: (variation * 3 + smoothed.abs_diff(rtt)) / 4, smoothed: (smoothed * 7 + rtt) / 8 }
            }
        });
    }

    /// The smoothed round trip; zero before the first sample.
    pub fn smoothed(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |measured| measured.smoothed)
    }

    /// The time after which a return is overdue: the smoothed round trip and four times its variation, but at least
    /// `slack` more than the round trip. `None` before the first sample.
    pub fn overdue_after(&self, slack: Duration) -> Option<Duration> {
        self.0.map(|Measured { smoothed, variation }| smoothed + (variation * 4).max(slack))
    }
}

/// The share of lost probes: an exponentially weighted mean with a gain of 1/16; and how many there were of each.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Loss {
    millionths: u32,
    pub(super) returned: u64,
    pub(super) lost: u64,
}

impl Loss {
    pub(super) fn sample(&mut self, lost: bool) {
        let target = if lost { 1_000_000 } else { 0 };
        self.millionths = (self.millionths * 15 + target) / 16;
        *if lost { &mut self.lost } else { &mut self.returned } += 1;
    }

    pub(super) fn permille(&self) -> u16 {
        (self.millionths / 1000) as u16
    }
}

/// What became of the last ten attempts to reach a neighbor, and the verdict on them.
///
/// The rule of Rapid (Suresh et al., USENIX ATC 2018, section 4.1): an edge is faulty when more than 40 % of its last
/// ten probes failed. It forgives single losses, and it still fails a link on which single probes return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbeWindow {
    /// One bit per attempt, the newest lowest; set if it failed.
    failed: u16,
    counted: u8,
}

impl ProbeWindow {
    /// Attempts that are remembered, in number.
    pub const ATTEMPTS: u8 = 10;

    /// Takes one more attempt into account; the oldest makes room.
    pub fn note(&mut self, failed: bool) {
        self.failed = (self.failed << 1 | u16::from(failed)) & ((1 << Self::ATTEMPTS) - 1);
        self.counted = (self.counted + 1).min(Self::ATTEMPTS);
    }

    /// Whether so many of them failed that the neighbor counts as unreachable.
    pub const fn is_failing(&self) -> bool {
        self.failed.count_ones() > FAILED_MAX
    }

    /// Whether all of them succeeded, and there were as many as are remembered.
    pub const fn is_clean(&self) -> bool {
        self.failed == 0 && self.counted == Self::ATTEMPTS
    }
}

/// Failed attempts that are borne, of [`ProbeWindow::ATTEMPTS`]: 40 %.
const FAILED_MAX: u32 = ProbeWindow::ATTEMPTS as u32 * 2 / 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(outcomes: &[bool]) -> ProbeWindow {
        let mut window = ProbeWindow::default();
        outcomes.iter().for_each(|failed| window.note(*failed));
        window
    }

    #[test]
    fn four_failures_of_ten_are_borne_and_five_are_not() {
        let with = |failures| window(&std::array::from_fn::<bool, 10, _>(|i| i < failures));
        assert!(!with(4).is_failing());
        assert!(with(5).is_failing());
    }

    #[test]
    fn a_window_that_is_not_full_is_not_clean() {
        assert!(!window(&[false; 9]).is_clean());
        assert!(window(&[false; 10]).is_clean());
    }

    proptest! {
        #[test]
        fn only_the_last_ten_attempts_count(outcomes in proptest::collection::vec(any::<bool>(), 0..40)) {
            let last = &outcomes[outcomes.len().saturating_sub(10)..];
            let failed = last.iter().filter(|failed| **failed).count();
            let window = window(&outcomes);
            prop_assert_eq!(window.is_failing(), failed > 4);
            prop_assert_eq!(window.is_clean(), failed == 0 && last.len() == 10);
        }
    }
}
