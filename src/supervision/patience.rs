//! Restart intensity: how many failures within a window a supervisor bears before it fails itself.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::limits::{RESTART_WINDOW, RESTARTS_MAX};

/// Counts failures within a window (the restart intensity of Erlang/OTP's supervisors).
#[derive(Clone, Debug)]
pub struct Patience {
    restarts_max: usize,
    window: Duration,
    failures: VecDeque<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { restarts_max: RESTARTS_MAX, window: RESTART_WINDOW, failures: VecDeque::new() }
    }
}

impl Patience {
    /// Takes a failure into account; false when there have been too many.
    pub fn bears(&mut self, now: Instant) -> bool {
        while self.failures.front().is_some_and(|at| now.since(*at) >= self.window) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        self.failures.len() <= self.restarts_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_failure_within_the_window_is_too_many() {
        let mut patience = Patience::default();
        let bears: Vec<bool> = (0..4).map(|s| patience.bears(Instant::from_millis(s * 1000))).collect();
        assert_eq!(bears, [true, true, true, false]);
    }

    #[test]
    fn failures_far_apart_are_borne_for_ever() {
        let mut patience = Patience::default();
        assert!((0..100).all(|i| patience.bears(Instant::from_millis(i * 21_000))));
    }
}
