//! How long a path must have worked before traffic goes back to it.
//!
//! Not at all unless the path that carried traffic failed lately, and twice as long each time that it did. The idea is that
//! of route flap damping (RFC 2439); what is damped is only the way back, never the way out.

use std::time::Duration;

use crate::Instant;

/// The failures of what carried traffic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damping {
    /// How long a path must have worked after the first failure.
    hold_min: Duration,
    /// How long after the last failure all of them are forgotten.
    forgiven_after: Duration,
    /// How often without a long rest between.
    failures: u32,
    /// When last.
    failed_at: Option<Instant>,
}

impl Damping {
    pub(super) const fn new(hold_min: Duration, forgiven_after: Duration) -> Self {
        Self { hold_min, forgiven_after, failures: 0, failed_at: None }
    }

    /// The path that carried traffic failed.
    pub(super) fn on_failure(&mut self, now: Instant) {
        self.failures = if self.is_forgiven(now) { 1 } else { self.failures.saturating_add(1) };
        self.failed_at = Some(now);
    }

    /// How long a path must have worked before traffic moves to it.
    pub(super) fn hold(&self, now: Instant) -> Duration {
        if self.is_forgiven(now) {
            return Duration::ZERO;
        }
        (self.hold_min * 2u32.saturating_pow(self.failures.min(16) - 1)).min(HOLD_MAX)
    }

    fn is_forgiven(&self, now: Instant) -> bool {
        self.failed_at.is_none_or(|failed_at| now.since(failed_at) >= self.forgiven_after)
    }
}

/// The longest that a path must have worked.
const HOLD_MAX: Duration = Duration::from_secs(60);
