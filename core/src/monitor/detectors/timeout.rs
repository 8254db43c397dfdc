//! A time-out that doubts itself first.

use std::time::Duration;

use super::Doubt;
use crate::Instant;

/// Something that should happen again within a certain time.
///
/// Time in which this process was itself starved does not count, and the patience grows with its ill health: a
/// time-out with local-health awareness (Lifeguard; Dadgar et al., DSN-W 2018).
#[derive(Clone, Copy, Debug)]
pub struct Timeout {
    patience: Duration,
    since: Instant,
}

impl Timeout {
    /// Counts from `now`.
    pub const fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, since: now }
    }

    /// It has happened, or is not due any more.
    pub fn reset(&mut self, now: Instant) {
        self.since = now;
    }

    /// How long it has been overdue to wait for; `None` while patience lasts. To be asked regularly: a look while this
    /// process does not trust itself begins the wait anew.
    pub fn overdue(&mut self, doubt: &Doubt, now: Instant) -> Option<Duration> {
        if !doubt.is_trusted(now) {
            self.since = now;
        }
        let waited = now.since(self.since);
        (waited >= self.patience * doubt.stretch()).then_some(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starved_process_begins_to_wait_anew_and_waits_longer() {
        let mut timeout = Timeout::new(Duration::from_secs(1), Instant::BOOT);
        let mut doubt = Doubt::default();
        assert_eq!(timeout.overdue(&doubt, Instant::from_millis(999)), None);
        assert_eq!(timeout.overdue(&doubt, Instant::from_millis(1000)), Some(Duration::from_secs(1)));
        doubt.woke(Duration::from_millis(210), Instant::from_millis(1000));
        assert_eq!(timeout.overdue(&doubt, Instant::from_millis(1001)), None, "it may have slept through it");
        let trusted = Instant::from_millis(2210);
        assert!(doubt.is_trusted(trusted));
        assert_eq!(timeout.overdue(&doubt, trusted), None, "three seconds now");
        assert!(timeout.overdue(&doubt, Instant::from_millis(4001)).is_some());
    }
}
