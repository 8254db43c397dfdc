//! The event queue: tens of millions of small events, in order.
//!
//! A calendar queue (Brown, 1988) whose days are all of one length: pushing into a later day is an append, and only the
//! events of the present day are in a heap, which is small enough for the processor's caches.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A message arrives after so many hops.
    Push { hops: u8 },
    /// A neighbor says that it holds a message.
    Announce,
    /// A neighbor asks for a message, or for none: [`NO_MESSAGE`].
    Graft,
    /// A neighbor does not want to be pushed messages.
    Prune,
    /// A neighbor is noticed to be gone.
    Down,
    /// The node asked to be woken.
    Wake,
}

/// Something that happens at a moment; 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// Nanoseconds since the beginning. Stands first, so that events are ordered by it.
    pub(super) at: u64,
    /// Events of one moment happen in the order in which they were pushed.
    sequence: u32,
    pub(super) to: u32,
    pub(super) from: u32,
    pub(super) message: u8,
    pub(super) kind: Kind,
}

const _: () = assert!(size_of::<Event>() == 24, "the queue of a million nodes stays small");

/// A graft that asks for no message.
pub(super) const NO_MESSAGE: u8 = u8::MAX;

/// Events ordered by time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    today: BinaryHeap<Reverse<Event>>,
    later: VecDeque<Vec<Event>>,
    beyond: BinaryHeap<Reverse<Event>>,
    day: u64,
    pushed: u32,
}

impl Queue {
    /// Something will happen; what should have happened in the past happens next.
    pub(super) fn push(&mut self, at: u64, to: u32, from: u32, message: u8, kind: Kind) {
        self.pushed = self.pushed.checked_add(1).expect("BUG: one message makes fewer than 2^32 events");
        let event = Event { at, sequence: self.pushed, to, from, message, kind };
        match (at >> DAY_BITS).checked_sub(self.day + 1) {
            None => self.today.push(Reverse(event)),
            Some(ahead) if ahead >= DAYS_MAX => self.beyond.push(Reverse(event)),
            Some(ahead) => {
                let ahead = ahead as usize;
                if self.later.len() <= ahead {
                    self.later.resize_with(ahead + 1, Vec::new);
                }
                self.later[ahead].push(event);
            }
        }
    }

    /// What happens next.
    pub(super) fn pop(&mut self) -> Option<Event> {
        while self.today.is_empty() {
            self.next_day()?;
        }
        self.today.pop().map(|Reverse(event)| event)
    }

    /// Goes to the next day, or over many empty ones; `None` if nothing is to come.
    fn next_day(&mut self) -> Option<()> {
        match self.later.pop_front() {
            Some(events) => {
                self.day += 1;
                self.today = events.into_iter().map(Reverse).collect();
            }
            None => self.day = self.beyond.peek()?.0.at >> DAY_BITS,
        }
        while self.beyond.peek().is_some_and(|Reverse(event)| event.at >> DAY_BITS <= self.day) {
            self.today.extend(self.beyond.pop());
        }
        Some(())
    }

    /// Counts events from zero again if nothing is to come, so that the count lasts for any number of messages.
    pub(super) fn rewind(&mut self) {
        if self.today.is_empty() && self.later.is_empty() && self.beyond.is_empty() {
            self.pushed = 0;
        }
    }
}

/// A day lasts 2^14 ns, about 16 us: far less than any link's latency.
const DAY_BITS: u32 = 14;
/// About two seconds of days are laid out; what happens later waits in a heap of its own.
const DAYS_MAX: u64 = 1 << 17;

#[cfg(test)]
mod tests {
    use prunella_core::rng::Rng;

    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_pushing() {
        let mut queue = Queue::default();
        let mut rng = Rng::from_seed(1);
        let mut expected = Vec::new();
        let mut now = 0;
        for n in 0..2000u32 {
            let far = if n % 7 == 0 { 5_000_000_000 } else { 0 };
            let at = now + rng.below(100) as u64 * 5_000 + far;
            queue.push(at, n, 0, 0, Kind::Wake);
            expected.push((at, n));
            if n % 3 == 0 {
                expected.sort_unstable();
                let event = queue.pop().unwrap();
                assert_eq!((event.at, event.to), expected.remove(0));
                now = event.at;
            }
        }
        expected.sort_unstable();
        for (at, n) in expected {
            assert_eq!(queue.pop().map(|event| (event.at, event.to)), Some((at, n)));
        }
        assert_eq!(queue.pop(), None);
    }
}
