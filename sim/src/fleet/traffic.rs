//! What every node has sent and received, by kind.

use prunella_core::reconcile::Message;
use prunella_core::wire::{Control, codec};

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Records along the tree.
    Push,
    /// Records that were missing.
    Give,
    /// Announcements of records.
    Announce,
    /// Requests for records.
    Graft,
    /// Requests not to be pushed.
    Prune,
    /// Roots, told to find out whether anything differs.
    Summary,
    /// All else that finds out what differs.
    Sketch,
    /// Proofs of ledgers, and who has seen which head.
    Ledger,
    /// Acknowledgments by the transport.
    Ack,
    /// What keeps an idle connection alive, and its acknowledgment.
    KeepAlive,
    /// Link probes.
    Probe,
    /// Echoes of link probes.
    Echo,
    /// Path probes, their echoes and path errors, on every hop.
    Path,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::Push,
        Kind::Give,
        Kind::Announce,
        Kind::Graft,
        Kind::Prune,
        Kind::Summary,
        Kind::Sketch,
        Kind::Ledger,
        Kind::Ack,
        Kind::KeepAlive,
        Kind::Probe,
        Kind::Echo,
        Kind::Path,
    ];

    /// What a control message is for.
    pub(super) const fn of(control: &Control) -> Kind {
        match control {
            Control::Push(_) => Kind::Push,
            Control::Give(_) => Kind::Give,
            Control::Announce(_) => Kind::Announce,
            Control::Graft(_) => Kind::Graft,
            Control::Prune => Kind::Prune,
            Control::Reconcile(Message::Summary { .. }) => Kind::Summary,
            Control::Ledger(_) => Kind::Ledger,
            Control::Hello { .. } | Control::Part | Control::Stay | Control::Reconcile(_) => Kind::Sketch,
        }
    }

    /// What a packet of this kind costs besides its payload, in bytes.
    pub const fn overhead(self) -> u64 {
        match self {
            Kind::Probe | Kind::Echo | Kind::Path => IP_UDP_BYTES,
            _ => IP_UDP_BYTES + QUIC_BYTES,
        }
    }
}

/// Bytes and packets of every kind, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count([(u64, u64); Kind::ALL.len()]);

impl Count {
    /// Counts packets with so many bytes of payload in all.
    pub(super) fn add(&mut self, kind: Kind, bytes: u64, packets: u64) {
        let (b, p) = &mut self.0[kind as usize];
        (*b, *p) = (*b + bytes, *p + packets);
    }

    /// Bytes of payload of one kind.
    pub fn payload_of(&self, kind: Kind) -> u64 {
        self.0[kind as usize].0
    }

    /// Packets of one kind.
    pub fn packets_of(&self, kind: Kind) -> u64 {
        self.0[kind as usize].1
    }

    /// Bytes of one kind as they are on the wire, with all headers from IP upwards.
    pub fn wire_of(&self, kind: Kind) -> u64 {
        self.payload_of(kind) + self.packets_of(kind) * kind.overhead()
    }

    /// Bytes of payload.
    pub fn payload(&self) -> u64 {
        self.0.iter().map(|(bytes, _)| bytes).sum()
    }

    /// Bytes on the wire, with all headers from IP upwards.
    pub fn wire(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.wire_of(*kind)).sum()
    }
}

/// What one node has sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What it sent, lost or not.
    pub sent: Count,
    /// What arrived at it.
    pub received: Count,
    /// Records in what it sent.
    pub records: Records,
}

/// How many records of each kind, and their bytes with signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records([(u64, u64); RECORD_KINDS.len()]);

impl Records {
    pub(super) fn add(&mut self, control: &Control) {
        let (Control::Push(records) | Control::Give(records)) = control else { return };
        for record in records {
            // An encoded record begins with its origin and its kind.
            let kind = record.bytes.get(ORIGIN_BYTES).map_or(0, |kind| usize::from(*kind));
            let Some((count, bytes)) = self.0.get_mut(kind) else { continue };
            (*count, *bytes) = (*count + 1, *bytes + codec::encode(record).len() as u64);
        }
    }

    /// Name, number and bytes of each kind.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        RECORD_KINDS.into_iter().zip(self.0).map(|(name, (count, bytes))| (name, count, bytes))
    }
}

/// In the order in which they are encoded.
const RECORD_KINDS: [&str; 6] = ["node", "links", "service", "equivocation", "shared", "judgments"];
const ORIGIN_BYTES: usize = 32;

/// IPv4 and UDP headers.
const IP_UDP_BYTES: u64 = 28;
/// A short QUIC header with a connection id of eight bytes, the authentication tag, and a frame's header.
const QUIC_BYTES: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_place_and_its_headers() {
        let mut count = Count::default();
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            count.add(kind, 100, 2);
        }
        assert_eq!(count.payload(), 1300);
        assert_eq!(count.wire_of(Kind::Probe), 100 + 2 * 28);
        assert_eq!(count.wire_of(Kind::Push), 100 + 2 * 58);
        assert_eq!(count.wire(), 1300 + 2 * (3 * 28 + 10 * 58));
    }
}
