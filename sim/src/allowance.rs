//! What a neighbor may say on a control stream, as the real transport allows it: a token bucket of
//! [`CONTROL_RATE_PER_SECOND`] messages per second, with as much burst.

use prunella_core::Instant;
use prunella_core::limits::CONTROL_RATE_PER_SECOND;

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// In billionths of a message, so that no fraction is lost.
    tokens: u64,
    filled: Instant,
}

impl Allowance {
    pub(crate) fn full(now: Instant) -> Self {
        Self { tokens: FULL, filled: now }
    }

    /// Whether one more message is allowed at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let gained = now.since(self.filled).as_nanos() as u64;
        self.tokens = self.tokens.saturating_add(gained.saturating_mul(CONTROL_RATE_PER_SECOND.into())).min(FULL);
        self.filled = self.filled.max(now);
        let allowed = self.tokens >= MESSAGE;
        if allowed {
            self.tokens -= MESSAGE;
        }
        allowed
    }
}

const MESSAGE: u64 = 1_000_000_000;
const FULL: u64 = CONTROL_RATE_PER_SECOND as u64 * MESSAGE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate_is_allowed() {
        let rate = CONTROL_RATE_PER_SECOND as usize;
        let mut allowance = Allowance::full(Instant::BOOT);
        let taken =
            |allowance: &mut Allowance, ms| (0..3 * rate).filter(|_| allowance.take(Instant::from_millis(ms))).count();
        assert_eq!(taken(&mut allowance, 0), rate);
        assert_eq!(taken(&mut allowance, 500), rate / 2);
        assert_eq!(taken(&mut allowance, 10_500), rate);
    }
}
