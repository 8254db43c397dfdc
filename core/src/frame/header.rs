//! A header as plain data, for whoever starts a frame.

use super::{HEADER_BYTES, Labels, at};
use crate::ids::Tag;
use crate::rejected::Rejected;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A packet of an end-to-end session.
    Data = 1,
    /// Asks the node at the end of the path for an [`Kind::Echo`]; with no labels it probes a link.
    Probe = 2,
    /// A probe's payload, sent back on the way back.
    Echo = 3,
    /// A relay could not go on: its position on the path and the label that led nowhere.
    PathError = 4,
    /// As [`Kind::Data`]: a packet that was sent on another path as well, while the sender doubts that one.
    Copy = 5,
    /// Tells the relay at the end of its labels that a stream is opened over it within a span, which is told of.
    Trace = 6,
    /// An IP packet of an overlay interface, sealed for the peer: see [`overlay::sealed`](crate::overlay::sealed).
    Packet = 7,
    /// As [`Kind::Packet`]: a packet that was sent on another path as well.
    PacketCopy = 8,
}

impl Kind {
    /// Whether frames of this kind carry what users send, sealed end to end.
    pub const fn is_payload(self) -> bool {
        matches!(self, Kind::Data | Kind::Copy | Kind::Packet | Kind::PacketCopy)
    }

    /// Whether frames of this kind carry packets of sessions.
    pub const fn is_session(self) -> bool {
        matches!(self, Kind::Data | Kind::Copy)
    }

    /// Whether a frame of this kind with this path number watches over a link, and carries nothing: link probes and
    /// their echoes have the path number 0.
    pub(super) const fn is_link_probe(self, path: u32) -> bool {
        matches!(self, Kind::Probe | Kind::Echo) && path == 0
    }
}

impl TryFrom<u8> for Kind {
    type Error = Rejected;

    fn try_from(byte: u8) -> Result<Self, Rejected> {
        match byte {
            1 => Ok(Kind::Data),
            2 => Ok(Kind::Probe),
            3 => Ok(Kind::Echo),
            4 => Ok(Kind::PathError),
            5 => Ok(Kind::Copy),
            6 => Ok(Kind::Trace),
            7 => Ok(Kind::Packet),
            8 => Ok(Kind::PacketCopy),
            _ => Err(Rejected::Malformed),
        }
    }
}

/// The header of a frame that has not left its sender yet: the cursor stands at the first label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// Which of the sessions between the two ends it belongs to, below [`LANES_MAX`](crate::limits::LANES_MAX); zero if it
    /// carries no packet of a session.
    pub lane: u8,
    /// The labels that the relays will use, first relay first.
    pub labels: Labels,
    /// Who sends it.
    pub source: Tag,
    /// The sender's own number for the path.
    pub path: u32,
    /// The sequence number on the first link.
    pub sequence: u64,
}

impl Header {
    /// Whether the frame probes a link, or is the echo of such a probe: then it carries nothing.
    pub const fn is_link_probe(&self) -> bool {
        self.kind.is_link_probe(self.path)
    }

    /// The header's bytes, with a MAC of zero: [`FrameKey::seal`](super::FrameKey::seal) comes next.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[at::KIND] = self.kind as u8;
        bytes[at::CURSOR] = self.labels.count();
        bytes[at::LANE] = self.lane;
        for (slot, label) in bytes[at::LABELS..at::SOURCE].chunks_exact_mut(2).zip(self.labels.as_slice()) {
            slot.copy_from_slice(&label.0.to_be_bytes());
        }
        bytes[at::SOURCE..at::PATH].copy_from_slice(&self.source.0.to_be_bytes());
        bytes[at::PATH..at::SEQUENCE].copy_from_slice(&self.path.to_be_bytes());
        bytes[at::SEQUENCE..at::MAC].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }
}
