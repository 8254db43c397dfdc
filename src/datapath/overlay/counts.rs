//! What is counted of the overlay interface.

use super::super::counters::Count;

/// What the overlay interface has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlayCounters {
    /// Packets sealed and sent.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Packets opened and accepted.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Packets written to the interface: several that arrived may be one.
    pub delivered: u64,
    /// Packets cut in two because the way carries no such long ones.
    pub cut: u64,
    /// Packets of this machine that were no IP packets of it, or to nobody: dropped.
    pub strays: u64,
    /// Packets of this machine that were too long and were answered so.
    pub too_big: u64,
    /// Packets of this machine that waited for a tunnel.
    pub waited: u64,
    /// Packets dropped because too many waited.
    pub waiting_full: u64,
    /// Packets dropped because there was no route for their frames.
    pub no_route: u64,
    /// Packets that came twice, once on each of two ways, or were replayed.
    pub duplicates: u64,
    /// Packets of other nodes dropped because they named other addresses than theirs and this node's.
    pub foreign: u64,
    /// Flows of other nodes that the policy denied.
    pub denied: u64,
    /// Packets dropped because their flow is denied, or is none that could begin.
    pub denied_packets: u64,
    /// Packets dropped because too many waited to be judged.
    pub unjudged_full: u64,
    /// Packets that the interface did not take.
    pub interface_full: u64,
    /// Packets dropped because they were marked on their way and their sender would not understand.
    pub marked: u64,
    /// Packets of this machine dropped because they had waited too long, or too many did.
    pub dropped_waiting: u64,
}

macro_rules! counts {
    ($($field:ident),* $(,)?) => {
        /// See [`OverlayCounters`].
        #[derive(Debug, Default)]
        pub(super) struct Counts { $(pub(super) $field: Count),* }

        impl Counts {
            pub(super) fn read(&self) -> OverlayCounters {
                OverlayCounters { $($field: self.$field.read()),* }
            }
        }

        impl OverlayCounters {
            /// Every counter with its name, in their order.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field)),*]
            }
        }
    };
}

counts!(
    sent,
    sent_bytes,
    received,
    received_bytes,
    delivered,
    cut,
    strays,
    too_big,
    waited,
    waiting_full,
    no_route,
    duplicates,
    foreign,
    denied,
    denied_packets,
    unjudged_full,
    interface_full,
    marked,
    dropped_waiting,
);
