//! How often something is told: at once, and then after pauses that double.
//!
//! A link that comes and goes, and what is said about it, would otherwise cost everybody several records per second. It is
//! the idea of RFC 8405, for what is sent instead of for what is computed.

use std::time::Duration;

use crate::Instant;
use crate::limits::SUSPICION_HOLD;

/// When something was last told, and how long a pause that calls for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    spoke: Instant,
    pause: Duration,
}

impl Pace {
    /// The pause after what is told for the first time in a long while.
    pub(super) const MIN: Duration = Duration::from_millis(100);
    /// The longest pause: shorter than [`SUSPICION_HOLD`], so that a withdrawal or a refutation is there before the
    /// removal. And a link that is back is the only way for somebody whose other way breaks before that is told: it must
    /// not keep traffic waiting much longer than a break takes to be noticed.
    const MAX: Duration = Duration::from_millis(1500);

    /// It is told now.
    pub(super) fn note(&mut self, now: Instant) {
        self.pause = if self.is_calm(now) { Self::MIN } else { (self.pause * 2).clamp(Self::MIN, Self::MAX) };
        self.spoke = now;
    }

    /// When it was last told.
    pub(super) const fn spoke(&self) -> Instant {
        self.spoke
    }

    /// From when it may be told again.
    pub(super) fn free(&self) -> Instant {
        self.spoke + self.pause
    }

    /// Whether the pauses have become as long as they get.
    pub(super) fn is_slowed(&self) -> bool {
        self.pause >= Self::MAX
    }

    /// Whether nothing was told for so long that the next telling counts as a first one.
    pub(super) fn is_calm(&self, now: Instant) -> bool {
        now.since(self.spoke) >= CALM_AFTER
    }
}

/// How long nothing must have been told for the next telling to count as a first one.
const CALM_AFTER: Duration = Duration::from_secs(10);

const _: () = assert!(Pace::MAX.as_nanos() < SUSPICION_HOLD.as_nanos(), "who may be removed is heard first");
