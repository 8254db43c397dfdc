//! A rate limit in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The generic cell rate algorithm (ITU-T I.371): a token bucket that remembers one moment instead of a fill level.
#[derive(Debug)]
pub(super) struct Limiter {
    /// When the bucket will be full again, in nanoseconds of the port's clock.
    full_at: AtomicU64,
    interval: u64,
    burst: u64,
}

impl Limiter {
    /// Allows `per_second` on average, and `burst` at once.
    pub(super) const fn new(per_second: u32, burst: u32) -> Self {
        let interval = 1_000_000_000 / per_second as u64;
        Self { full_at: AtomicU64::new(0), interval, burst: interval * burst as u64 }
    }

    /// Allows one in every `interval`.
    pub(super) const fn every(interval: Duration) -> Self {
        let interval = interval.as_nanos() as u64;
        Self { full_at: AtomicU64::new(0), interval, burst: interval }
    }

    /// Whether one more is allowed at `now`, in nanoseconds. Two threads that ask at once may both be allowed.
    pub(super) fn allows(&self, now: u64) -> bool {
        let full_at = self.full_at.load(Ordering::Relaxed).max(now);
        if full_at + self.interval > now + self.burst {
            return false;
        }
        self.full_at.store(full_at + self.interval, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let limiter = Limiter::new(1000, 10);
        let allowed = |from: u64, to: u64| (from..to).step_by(10_000).filter(|&now| limiter.allows(now)).count();
        assert_eq!(allowed(0, 100_000), 10, "the burst");
        assert_eq!(allowed(100_000, 100_000_000), 99, "one per millisecond");
        assert_eq!(allowed(10_000_000_000, 10_000_100_000), 10, "rest restores the burst");
    }

    #[test]
    fn every_allows_one_at_a_time() {
        let limiter = Limiter::every(Duration::from_nanos(100));
        let allowed: Vec<u64> = (0..300).filter(|&now| limiter.allows(now)).collect();
        assert_eq!(allowed, [0, 100, 200]);
    }
}
