//! How many control messages went over all links, by what they are, and how long they were.

use std::sync::atomic::{AtomicU64, Ordering};

use prunella_core::gossip::{Heard, Said};
use prunella_core::reconcile;
use prunella_core::wire::Control;

/// What went one way. Greetings are not counted: there is one on every link.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    messages: [AtomicU64; CONTROL_KINDS.len()],
    bytes: AtomicU64,
}

/// What went one way so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlTraffic {
    /// Messages by kind, in the order of [`CONTROL_KINDS`].
    pub messages: [u64; CONTROL_KINDS.len()],
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The kinds of control messages. A round of finding out what differs begins with a summary.
pub const CONTROL_KINDS: [&str; 9] =
    ["push", "give", "announce", "graft", "prune", "summary", "reconcile", "parting", "ledger"];

impl Traffic {
    /// A message is queued for a neighbor.
    pub(super) fn sends(&self, control: &Control, bytes: usize) {
        self.count(
            match control {
                Control::Hello { .. } => return,
                Control::Push(_) => 0,
                Control::Give(_) => 1,
                Control::Announce(_) => 2,
                Control::Graft(_) => 3,
                Control::Prune => 4,
                Control::Reconcile(message) => reconciling(message),
                Control::Part | Control::Stay => 7,
                Control::Ledger(_) => 8,
            },
            bytes,
        );
    }

    /// A message was heard, and is as it should be.
    pub(super) fn hears(&self, said: &Said, bytes: usize) {
        self.count(
            match said {
                Said::Hello { .. } => return,
                Said::Parting(_) => 7,
                Said::Ledger(_) => 8,
                Said::Message { message, .. } => match message {
                    Heard::Push(_) => 0,
                    Heard::Give(_) => 1,
                    Heard::Announced(_) => 2,
                    Heard::Grafted(_) => 3,
                    Heard::Pruned => 4,
                    Heard::Reconcile(message) => reconciling(message),
                },
            },
            bytes,
        );
    }

    /// What was counted so far.
    pub(super) fn read(&self) -> ControlTraffic {
        ControlTraffic {
            messages: std::array::from_fn(|kind| self.messages[kind].load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn count(&self, kind: usize, bytes: usize) {
        self.messages[kind].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn reconciling(message: &reconcile::Message) -> usize {
    if matches!(message, reconcile::Message::Summary { .. }) { 5 } else { 6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_and_heard_is_counted_by_its_kind() {
        let traffic = Traffic::default();
        let said = |message| Said::Message { message, bad: Vec::new() };
        let summary = reconcile::Message::Summary { root: [0; 32], items: 0, fresh: true };
        traffic.sends(&Control::Reconcile(summary.clone()), 40);
        traffic.sends(&Control::Prune, 2);
        traffic.sends(&Control::Reconcile(reconcile::Message::MoreCells { root: [0; 32], start: 1 }), 40);
        let counted =
            |name: &str| traffic.read().messages[CONTROL_KINDS.iter().position(|kind| *kind == name).unwrap()];
        assert_eq!(["summary", "prune", "reconcile", "push"].map(counted), [1, 1, 1, 0]);
        traffic.hears(&said(Heard::Reconcile(summary)), 40);
        traffic.hears(&said(Heard::Pruned), 2);
        assert_eq!((["summary", "prune"].map(counted), traffic.read().bytes), ([2, 2], 124));
    }
}
