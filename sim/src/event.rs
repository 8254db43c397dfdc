//! What can happen, and the queue that puts it in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use prunella_core::Instant;

use crate::trace::Trace;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A node's process starts.
    Boot { host: usize },
    /// A node's roles are due. A wake that was overtaken by an earlier one is stale.
    Wake { host: usize, life: u64 },
    /// What a shell tells its roles every second: the wall clock and the wanted destinations.
    Tick { host: usize, life: u64 },
    /// A process samples itself and its links, at the earliest when it is due.
    Sample { host: usize, life: u64, due: Instant },
    /// A frame arrives over a connection; `copy`: the network made it of one that arrives by itself.
    Frame { conn: u64, to: usize, bytes: Vec<u8>, copy: bool },
    /// The oldest control message waiting on a connection is due at an end.
    Control { conn: u64, to: usize },
    /// A handshake would be complete.
    Dial { from: usize, life: u64, to: usize, until: Instant },
    /// A dial is known to have failed.
    DialFailed { from: usize, life: u64, to: usize },
    /// An end of a connection learns that it is over.
    Closed { conn: u64, at: usize },
    /// Writes to a store are due to be flushed.
    Flush { host: usize, life: u64, since: Instant },
    /// What was to be written to a ledger is due to be durable.
    LedgerFlush { host: usize, life: u64 },
    /// A supervisor starts the roles again that have crashed.
    Restart { host: usize, life: u64 },
    /// Every pair sends its next request.
    Requests,
    /// A service comes or goes, or somebody's rules change.
    Churn,
    /// A liar says its next lie.
    Lie { host: usize },
    /// The next fault is drawn.
    FaultDue,
    /// The fault with this number is over.
    Heal { fault: usize },
}

impl Event {
    /// The node whose process handles it: while it is paused, the event waits.
    pub(crate) fn host(&self) -> Option<usize> {
        match self {
            Event::Wake { host, .. } | Event::Tick { host, .. } | Event::Sample { host, .. } => Some(*host),
            Event::Frame { to, .. } | Event::Control { to, .. } => Some(*to),
            Event::Dial { from, .. } | Event::DialFailed { from, .. } => Some(*from),
            Event::Closed { at, .. } => Some(*at),
            Event::Flush { host, .. } | Event::LedgerFlush { host, .. } | Event::Restart { host, .. } => Some(*host),
            Event::Boot { .. } | Event::Requests | Event::Churn | Event::Lie { .. } => None,
            Event::FaultDue | Event::Heal { .. } => None,
        }
    }

    /// Adds itself to the trace. Frames are too many to be written out.
    pub(crate) fn trace(&self, now: Instant, trace: &mut Trace) {
        match self {
            Event::Frame { conn, to, bytes, copy } => {
                trace.note_bytes(format_args!("{now} frame {conn} {to} {copy}"), bytes);
            }
            event => trace.note(format_args!("{now} {event:?}")),
        }
    }
}

/// Events ordered by time; those of one moment in the order in which they were pushed.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.pushed += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.pushed, event }));
    }

    /// The next event, if it happens before or at `until`.
    pub(crate) fn pop(&mut self, until: Instant) -> Option<(Instant, Event)> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_pushing() {
        let mut queue = Queue::default();
        for (at, host) in [(2, 0), (1, 1), (2, 2), (1, 3)] {
            queue.push(Instant::from_millis(at), Event::Boot { host });
        }
        let mut hosts = Vec::new();
        while let Some((_, event)) = queue.pop(Instant::from_millis(5)) {
            let Event::Boot { host } = event else { unreachable!() };
            hosts.push(host);
        }
        assert_eq!(hosts, [1, 3, 0, 2]);
    }
}
