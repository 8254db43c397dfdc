//! A slow actor: it moves, and its mailbox grows all the same.
//!
//! By Little's law (Little, Operations Research 9, 1961) what waits now, divided by the pace at which it is handled, is how
//! long the newest message will wait. The count of messages alone says nothing: a hundred are little to an actor that
//! handles thousands in a second. An actor that handles none at all is the matter of [`Standstill`](super::Standstill).

use std::time::Duration;

use super::{Doubt, Edge, Hold};
use crate::Instant;
use crate::incident::Evidence;
use crate::monitor::ring::Ring;

/// The backlog of one actor.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// Handled in all, at every look.
    window: Ring<(Instant, u64)>,
    hold: Hold,
}

impl Backlog {
    /// Nothing observed yet.
    pub fn new() -> Self {
        Self { window: Ring::new(LOOKS), hold: Hold::new(LOOKS as u32 / 2, LOOKS as u32 / 2) }
    }

    /// It has handled so many messages in all, and so many wait.
    pub fn observe(&mut self, handled: u64, waiting: u64, doubt: &Doubt, now: Instant) -> Option<Edge> {
        // What piled up while this process did not run is not the actor's fault.
        if !doubt.is_trusted(now) {
            self.window.clear();
        }
        if self.window.newest().is_some_and(|(at, _)| now.since(*at) < LOOK_EVERY) {
            return None;
        }
        self.window.push((now, handled));
        let (began, before) = *self.window.oldest().filter(|_| self.window.is_full() || waiting == 0)?;
        let (within, done) = (now.since(began), handled.saturating_sub(before));
        let wait = within * u32::try_from(waiting).unwrap_or(u32::MAX) / u32::try_from(done.max(1)).unwrap_or(u32::MAX);
        let borne = if self.hold.is_raised() { WAIT_MAX / 2 } else { WAIT_MAX };
        // Nothing handled: that is no pace.
        let is_behind = wait > borne && done > 0;
        match self.hold.observe(is_behind)? {
            true => Some(Edge::Wrong(Evidence::Backlog { waiting, handled: done, within })),
            false => Some(Edge::Well),
        }
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self::new()
    }
}

/// How often the mailbox is looked at, and how many looks the pace is taken over.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 20;
/// How long a message may have to wait.
const WAIT_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at an actor that gets `come` messages a second and handles `done`; the seconds of what was told.
    fn seconds_of_news(come: u64, done: u64, doubt: &Doubt) -> Vec<u64> {
        let mut backlog = Backlog::new();
        let news = |ms: &u64| {
            let handled = ms * done / 1000;
            let waiting = (ms * come / 1000).saturating_sub(handled);
            backlog.observe(handled, waiting, doubt, Instant::from_millis(*ms)).is_some()
        };
        (0..30_000).step_by(10).filter(news).map(|ms| ms / 1000).collect()
    }

    #[test]
    fn an_actor_that_falls_behind_is_told_although_it_moves() {
        let told = seconds_of_news(20, 5, &Doubt::default());
        assert!(matches!(told[..], [second] if second < 5), "{told:?}");
    }

    #[test]
    fn an_actor_that_keeps_up_is_not_behind_however_much_comes() {
        for pace in [1, 10, 10_000] {
            assert_eq!(seconds_of_news(pace, pace, &Doubt::default()), [0; 0], "{pace}");
        }
    }

    #[test]
    fn who_has_caught_up_is_well() {
        let (mut backlog, doubt) = (Backlog::new(), Doubt::default());
        let mut observe =
            |look: u64, handled, waiting| backlog.observe(handled, waiting, &doubt, Instant::from_millis(look * 100));
        let told: Vec<_> = (0..60).filter_map(|look| observe(look, look, 100)).collect();
        let [Edge::Wrong(Evidence::Backlog { waiting: 100, .. })] = told[..] else { panic!("{told:?}") };
        let told: Vec<_> = (60..90).filter_map(|look| observe(look, 160 + look, 0)).collect();
        assert_eq!(told, [Edge::Well]);
    }

    #[test]
    fn an_actor_that_handles_nothing_has_no_pace() {
        assert_eq!(seconds_of_news(20, 0, &Doubt::default()), [0; 0]);
    }

    #[test]
    fn a_starved_process_finds_no_actor_slow() {
        let mut doubt = Doubt::default();
        doubt.woke(Duration::from_secs(10), Instant::from_millis(20_000));
        assert_eq!(seconds_of_news(20, 5, &doubt), [0; 0]);
    }
}
