//! Accrual: not whether something is silent for too long, but how unlikely so long a silence is.
//!
//! The phi of Hayashibara et al., "The φ accrual failure detector" (SRDS 2004): the negative decimal logarithm of the
//! chance that what comes at the observed pace stays away for so long. As in Cassandra, gaps are taken as exponentially
//! distributed rather than normally: the logarithm is then a division, exact in whole numbers, and one sluggish gap does
//! not make the tail absurdly thin.

use std::time::Duration;

use crate::monitor::ring::Ring;

/// The pace of something that happens again and again.
#[derive(Clone, Debug)]
pub struct Accrual {
    gaps: Ring<Duration>,
}

impl Accrual {
    /// Nothing observed yet.
    pub fn new() -> Self {
        Self { gaps: Ring::new(GAPS) }
    }

    /// It happened again, so long after the last time.
    pub fn observe(&mut self, gap: Duration) {
        self.gaps.push(gap);
    }

    /// Phi in thousandths for a silence of this length; `None` before enough was observed to tell.
    pub fn phi_milli(&self, silence: Duration) -> Option<u64> {
        if self.gaps.len() < GAPS_MIN {
            return None;
        }
        let mean = self.gaps.iter().sum::<Duration>() / self.gaps.len() as u32;
        let mean = mean.max(GAP_FLOOR).as_nanos();
        Some(u64::try_from(silence.as_nanos() * LOG10_E_MILLI / mean).unwrap_or(u64::MAX))
    }
}

impl Default for Accrual {
    fn default() -> Self {
        Self::new()
    }
}

/// Gaps remembered.
const GAPS: usize = 32;
/// Gaps needed to tell.
const GAPS_MIN: usize = 8;
/// Shorter mean gaps count as this one, or what is always busy would be suspect after a moment.
const GAP_FLOOR: Duration = Duration::from_millis(10);
/// The decimal logarithm of e, in thousandths.
const LOG10_E_MILLI: u128 = 434;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn phi_eight_is_some_eighteen_mean_gaps() {
        let mut accrual = Accrual::new();
        assert_eq!(accrual.phi_milli(Duration::from_secs(60)), None, "nothing is known yet");
        (0..20).for_each(|_| accrual.observe(Duration::from_millis(100)));
        assert_eq!(accrual.phi_milli(Duration::from_millis(1800)), Some(7812));
        assert_eq!(accrual.phi_milli(Duration::from_millis(1900)), Some(8246));
    }

    proptest! {
        #[test]
        fn phi_grows_with_the_silence_and_shrinks_with_the_pace(
            gap in 1u64..5_000, silence in 0u64..100_000, more in 0u64..100_000,
        ) {
            let phi = |gap: u64, silence: u64| {
                let mut accrual = Accrual::new();
                (0..10).for_each(|_| accrual.observe(Duration::from_millis(gap)));
                accrual.phi_milli(Duration::from_millis(silence)).unwrap()
            };
            prop_assert!(phi(gap, silence) <= phi(gap, silence + more));
            prop_assert!(phi(gap + more, silence) <= phi(gap, silence));
        }
    }
}
