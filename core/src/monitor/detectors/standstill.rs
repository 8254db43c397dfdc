//! A stuck actor: it runs, but handles nothing, while messages wait for it.
//!
//! A gray failure (Huang et al., HotOS 2017): the supervisor sees an actor that lives. What tells is the count of handled
//! messages that stands still while the mailbox does not empty. How long that may last depends on the actor: the wait
//! must be both longer than two seconds and unlikely at the pace at which this actor moved before ([`Accrual`]).

use std::time::Duration;

use super::{Accrual, Doubt, Edge, Timeout};
use crate::Instant;
use crate::incident::Evidence;

/// The progress of one actor.
#[derive(Clone, Debug)]
pub struct Standstill {
    handled: Option<u64>,
    /// Since it last moved, or had nothing to do.
    unmoved: Timeout,
    moved_at: Instant,
    /// Whether it had something to do at the last look.
    busy: bool,
    /// Gaps between moves while it had something to do.
    pace: Accrual,
    raised: bool,
}

impl Standstill {
    /// Nothing observed yet.
    pub fn new(now: Instant) -> Self {
        let unmoved = Timeout::new(STUCK_AFTER, now);
        Self { handled: None, unmoved, moved_at: now, busy: false, pace: Accrual::new(), raised: false }
    }

    /// It has handled so many messages in all, and so many wait.
    pub fn observe(&mut self, handled: u64, waiting: u64, doubt: &Doubt, now: Instant) -> Option<Edge> {
        let moved = self.handled != Some(handled);
        if moved || waiting == 0 {
            // A gap in which this process did not run was not the actor's.
            if moved && self.busy && doubt.is_trusted(now) {
                self.pace.observe(now.since(self.moved_at));
            }
            self.handled = Some(handled);
            (self.moved_at, self.busy) = (now, waiting > 0);
            self.unmoved.reset(now);
            return std::mem::take(&mut self.raised).then_some(Edge::Well);
        }
        if !self.busy {
            // The message came after the last look: the wait begins with it.
            (self.moved_at, self.busy) = (now, true);
            self.unmoved.reset(now);
        }
        let unmoved = self.unmoved.overdue(doubt, now)?;
        let is_usual = self.pace.phi_milli(unmoved).is_some_and(|phi| phi < PHI_MILLI);
        if self.raised || is_usual {
            return None;
        }
        self.raised = true;
        Some(Edge::Wrong(Evidence::Standstill { waiting, unmoved }))
    }
}

/// How long an actor may handle nothing while messages wait, whatever its pace.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// How unlikely the wait must be: one to a hundred million.
const PHI_MILLI: u64 = 8000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn an_actor_that_handles_nothing_while_messages_wait_is_stuck_until_it_moves() {
        let (mut standstill, doubt) = (Standstill::new(at(0)), Doubt::default());
        assert_eq!(standstill.observe(10, 0, &doubt, at(10)), None);
        let stuck_at = (2..400).find(|i| standstill.observe(10, 1 + i / 10, &doubt, at(i * 10)).is_some());
        assert_eq!(stuck_at, Some(202), "two seconds after the first message that waited");
        assert_eq!(standstill.observe(10, 60, &doubt, at(5000)), None, "it is told once");
        assert_eq!(standstill.observe(11, 59, &doubt, at(5010)), Some(Edge::Well));
    }

    #[test]
    fn an_actor_with_nothing_to_do_is_not_stuck() {
        let (mut standstill, doubt) = (Standstill::new(at(0)), Doubt::default());
        assert!((0..10_000).all(|i| standstill.observe(10, 0, &doubt, at(i * 10)).is_none()));
    }

    #[test]
    fn a_slow_actor_gets_the_time_that_it_usually_takes() {
        let (mut standstill, doubt) = (Standstill::new(at(0)), Doubt::default());
        let mut told = Vec::new();
        // A second for every message, with messages always waiting.
        for i in 0..2000 {
            told.extend(standstill.observe(i / 100, 5, &doubt, at(i * 10)));
        }
        let last = 19_990;
        let found = (0..3000).find(|i| standstill.observe(19, 5, &doubt, at(last + i * 10)).is_some());
        assert_eq!(told, []);
        assert!(found.is_some_and(|i| (1700..1950).contains(&i)), "{found:?}");
    }

    #[test]
    fn a_starved_process_accuses_no_actor() {
        let (mut standstill, mut doubt) = (Standstill::new(at(0)), Doubt::default());
        for i in 0..100 {
            let now = at(i * 400);
            doubt.woke(Duration::from_millis(390), now);
            assert_eq!(standstill.observe(10, 5, &doubt, now), None);
        }
    }
}
