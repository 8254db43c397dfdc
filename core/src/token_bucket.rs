//! A rate limit that forgives short bursts.

use crate::Instant;

/// A token bucket (Turner, New Directions in Communications, 1986): so many per second, and at most one second's worth
/// at once.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    per_second: u32,
    /// In billionths of a token, so that a nanosecond at one per second is worth one.
    nano_tokens: u64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket for `per_second` tokens per second.
    pub fn full(per_second: u32, now: Instant) -> Self {
        Self { per_second, nano_tokens: capacity(per_second), filled: now }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let earned = now.as_nanos().saturating_sub(self.filled.as_nanos()).saturating_mul(u64::from(self.per_second));
        self.nano_tokens = self.nano_tokens.saturating_add(earned).min(capacity(self.per_second));
        self.filled = self.filled.max(now);
        match self.nano_tokens.checked_sub(TOKEN) {
            Some(left) => {
                self.nano_tokens = left;
                true
            }
            None => false,
        }
    }
}

fn capacity(per_second: u32) -> u64 {
    u64::from(per_second) * TOKEN
}

const TOKEN: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_spent_at_once_and_earned_with_time() {
        let start = Instant::from_millis(5);
        let mut bucket = TokenBucket::full(1000, start);
        let mut taken = |at, tries| (0..tries).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(start, 2000), 1000);
        assert_eq!(taken(Instant::from_millis(15), 1000), 10);
        assert_eq!(taken(Instant::from_millis(3_600_000), 2000), 1000, "they do not pile up");
        assert_eq!(taken(Instant::from_nanos(u64::MAX), 2000), 1000, "nothing overflows");
        assert_eq!(taken(start, 1), 0, "time that goes back earns nothing");
    }
}
