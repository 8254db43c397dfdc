//! When a node tells its head: soon after what somebody might want undone, and in its own time otherwise.
//!
//! A head goes to every node of the mesh, and nothing is as frequent there as what nobody has a reason to deny: that a
//! node has started, and which plans it has executed. Those of an hour are told together.

use std::time::Duration;

use crate::ledger::event::Event;
use crate::{Instant, PeerId};

/// What of the ledger is to be told, and when.
#[derive(Debug)]
pub(super) struct Telling {
    /// How long it may take until what is not urgent is told: it differs from node to node, so that those that start
    /// together do not tell together.
    patience: Duration,
    /// The size of the last head that was told.
    told: u64,
    /// When the next head may be told.
    free: Instant,
    /// When something that was not told must be.
    due: Option<Instant>,
}

impl Telling {
    /// Of the ledger of `me`; nothing is told at first, so that others can say what they have seen of it.
    pub(super) fn new(me: &PeerId, now: Instant) -> Self {
        let share = u32::from(me.as_bytes()[0]) + 1;
        let patience = ROUTINE_WITHIN / 2 + ROUTINE_WITHIN / 2 * share / 256;
        Self { patience, told: 0, free: now + LISTENS_FIRST, due: None }
    }

    /// An earlier life has written this many entries, and may have told nobody.
    pub(super) fn adopt(&mut self, size: u64, now: Instant) {
        if size > 0 {
            self.due = Some(now);
        }
    }

    /// Something is to be written; `is_new`: into a ledger of which there is nothing yet.
    pub(super) fn note(&mut self, event: &Event, is_new: bool, now: Instant) {
        let is_routine = is_new || matches!(event, Event::Started { .. } | Event::PlanExecuted { .. });
        let at = if is_routine { now + self.patience } else { now };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When a head of this size is to be told; `None`: it was, or there is nothing in it that must be.
    pub(super) fn deadline(&self, size: u64) -> Option<Instant> {
        self.due.filter(|_| size > self.told).map(|due| due.max(self.free))
    }

    /// A head of this size is told; `is_all`: nothing waits to be written.
    pub(super) fn tell(&mut self, size: u64, is_all: bool, now: Instant) {
        self.told = size;
        self.free = now + PUBLISH_EVERY;
        self.due = self.due.filter(|_| !is_all);
    }
}

/// For how long a node listens what others have seen of its ledger before it tells a head.
const LISTENS_FIRST: Duration = Duration::from_secs(5);
/// Time between two heads of one node: what happens in between is told together.
const PUBLISH_EVERY: Duration = Duration::from_secs(2);
/// Within which time everything is told. With 1,000 nodes that have something to tell all the time that is 120 bytes per
/// second and node.
const ROUTINE_WITHIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn telling() -> Telling {
        Telling::new(&PeerId::from_public_key([255; 32]), at(0))
    }

    fn started() -> Event {
        Event::Started { version: String::new() }
    }

    fn commanded() -> Event {
        Event::Commanded { command: String::new(), who: String::new(), from: String::new() }
    }

    #[test]
    fn what_nobody_has_a_reason_to_deny_is_told_within_an_hour() {
        let mut telling = telling();
        telling.note(&started(), false, at(1));
        assert_eq!(telling.deadline(0), None, "it is not durable yet");
        assert_eq!(telling.deadline(1), Some(at(3601)));
        let mut other = Telling::new(&PeerId::from_public_key([0; 32]), at(0));
        other.note(&started(), false, at(1));
        assert!(other.deadline(1).is_some_and(|due| due > at(1800) && due < at(1900)), "{other:?}");
    }

    #[test]
    fn everything_is_told_with_what_is_urgent() {
        let mut telling = telling();
        telling.note(&started(), true, at(1));
        telling.note(&commanded(), false, at(9));
        assert_eq!(telling.deadline(2), Some(at(9)));
        telling.tell(2, true, at(9));
        assert_eq!(telling.deadline(2), None);
        telling.note(&commanded(), false, at(10));
        assert_eq!(telling.deadline(3), Some(at(11)), "not at once again");
    }

    #[test]
    fn what_was_not_durable_when_the_head_was_told_is_told_next() {
        let mut telling = telling();
        telling.note(&commanded(), false, at(9));
        telling.note(&commanded(), false, at(9));
        telling.tell(1, false, at(9));
        assert_eq!(telling.deadline(2), Some(at(11)));
    }

    #[test]
    fn the_first_entries_of_a_ledger_can_wait_and_those_of_an_earlier_life_cannot() {
        let mut telling = telling();
        telling.note(&commanded(), true, at(1));
        assert!(telling.deadline(1).is_some_and(|due| due > at(60)));
        telling.adopt(7, at(1));
        assert_eq!(telling.deadline(7), Some(at(5)), "others are listened to first");
    }
}
