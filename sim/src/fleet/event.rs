//! What can happen, and the queue that puts it in order.

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use prunella_core::{Instant, LinkId};

use super::links::Part;
use super::traffic::Kind;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Boot {
        host: usize,
    },
    Die {
        host: usize,
    },
    Wake {
        host: usize,
    },
    /// What a shell tells its roles every second.
    Tick {
        host: usize,
    },
    /// An attacker does what it does.
    Act {
        host: usize,
    },
    /// A handshake would be complete.
    Dial {
        from: usize,
        to: usize,
        until: Instant,
        attempt: u32,
    },
    DialFailed {
        from: usize,
        to: usize,
    },
    Closed {
        at: usize,
        link: LinkId,
    },
    /// A control message is sent again.
    Transmit {
        conn: u64,
        to: usize,
        kind: Kind,
        part: Part,
    },
    Arrived {
        conn: u64,
        to: usize,
        number: u64,
    },
    KeepAlive {
        conn: u64,
    },
    /// A link probe arrives.
    Probe {
        to: usize,
        link: LinkId,
        nonce: u64,
        sent: Instant,
    },
    /// Its echo does.
    Echo {
        to: usize,
        link: LinkId,
        nonce: u64,
        sent: Instant,
    },
    /// A path probe's echo arrives.
    PathEcho {
        to: usize,
        path: u32,
        nonce: u64,
        sent: Instant,
    },
    /// A relay's answer arrives that it has no usable link for a label.
    PathBroken {
        to: usize,
        path: u32,
    },
}

impl Event {
    /// The host whose process handles it: while it does not run, the event waits.
    pub(super) const fn host(&self) -> Option<usize> {
        match self {
            Event::Wake { host } | Event::Tick { host } => Some(*host),
            Event::Dial { from, .. } | Event::DialFailed { from, .. } => Some(*from),
            Event::Closed { at, .. } => Some(*at),
            Event::Arrived { to, .. }
            | Event::Probe { to, .. }
            | Event::Echo { to, .. }
            | Event::PathEcho { to, .. }
            | Event::PathBroken { to, .. } => Some(*to),
            // What is sent again is sent by the transport of a host that may be held as well: the difference is small.
            Event::Boot { .. }
            | Event::Die { .. }
            | Event::Act { .. }
            | Event::Transmit { .. }
            | Event::KeepAlive { .. } => None,
        }
    }
}

/// Events ordered by time; those of one moment in the order in which they were pushed.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BinaryHeap<Reverse<Waiting>>,
    pushed: u64,
}

/// An event and its place in the order, by which alone it is compared.
#[derive(Debug)]
struct Waiting {
    place: (Instant, u64),
    event: Event,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Waiting {}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, event: Event) {
        self.pushed += 1;
        self.waiting.push(Reverse(Waiting { place: (at, self.pushed), event }));
    }

    /// The next event, if it happens before or at `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, Event)> {
        if self.waiting.peek()?.0.place.0 > until {
            return None;
        }
        self.waiting.pop().map(|Reverse(waiting)| (waiting.place.0, waiting.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_pushing() {
        let mut queue = Queue::default();
        for (at, host) in [(2, 0), (1, 1), (2, 2), (9, 3), (1, 4)] {
            queue.push(Instant::from_millis(at), Event::Boot { host });
        }
        let mut hosts = Vec::new();
        while let Some((_, event)) = queue.pop(Instant::from_millis(5)) {
            let Event::Boot { host } = event else { unreachable!() };
            hosts.push(host);
        }
        assert_eq!(hosts, [1, 4, 0, 2]);
    }
}
