//! Frames: how an end-to-end packet finds its way through the mesh.
//!
//! A frame is a fixed header and an opaque payload. The header carries the whole path as a list of link labels chosen by
//! the sender, so a relay needs one look-up and no agreement with anybody. All numbers are big-endian.
//!
//! | bytes | field | meaning |
//! | --- | --- | --- |
//! | 0 | kind | see [`Kind`]; bit `0x40` is clear, which tells a frame from a QUIC packet (RFC 9000, section 17) |
//! | 1 | cursor, count | four bits each: labels used up, labels in all (at most eight) |
//! | 2 | lane | which of the sessions between the two ends, below [`LANES_MAX`](crate::limits::LANES_MAX); zero but for packets of sessions |
//! | 3 | reserved | zero |
//! | 4..20 | labels | the way ahead; the used-up ones were overwritten with the way back |
//! | 20..28 | source | the sender's [`Tag`](crate::Tag) |
//! | 28..32 | path | the sender's own number for the path; zero for a probe of a link |
//! | 32..40 | sequence | per link and direction, never repeated under one key; bit 63 names the space, see [`SequenceSpaces`] |
//! | 40..48 | MAC | SipHash-2-4 with the key of this link and direction, see [`FrameKey`] |
//!
//! **A relay** checks MAC and sequence, takes `label[cursor]`, overwrites it with its own label of the link on which the
//! frame came, advances the cursor, and writes a new sequence and MAC. So the frame that arrives holds the way back, and
//! [`Frame::way_back`] can be read at every node on the path.
//!
//! **Sequence numbers** of a link and direction are of two spaces, which bit 63 tells apart: it is clear in those that the
//! sender's user space gives, and set in those of its kernel program, which passes frames on by itself. Each counts from
//! one, and a receiver keeps a window for each, so the two halves of a node never share a counter.

mod header;
mod key;
mod labels;
mod replay;
mod view;

pub use header::{Header, Kind};
pub use key::FrameKey;
pub use labels::Labels;
pub use replay::{KERNEL_SEQUENCES, REPLAY_WINDOW, ReplayWindow, SequenceSpaces};
pub use view::{Frame, is_quic, stamp};

/// The length of a frame's header, in bytes.
pub const HEADER_BYTES: usize = 48;
/// The length of a probe's or an echo's payload, in bytes: nonce and the sender's clock.
pub const PROBE_BYTES: usize = 16;
/// The length of a path error's payload, in bytes: cursor and failed label.
pub const PATH_ERROR_BYTES: usize = 3;
/// The length of a trace's payload, in bytes: the context of a span, and the label that the relay will follow.
pub const TRACE_BYTES: usize = crate::trace_context::TRACE_CONTEXT_BYTES + 2;

/// Where each field of the header begins.
mod at {
    pub(super) const KIND: usize = 0;
    pub(super) const CURSOR: usize = 1;
    pub(super) const LANE: usize = 2;
    pub(super) const RESERVED: usize = 3;
    pub(super) const LABELS: usize = 4;
    pub(super) const SOURCE: usize = 20;
    pub(super) const PATH: usize = 28;
    pub(super) const SEQUENCE: usize = 32;
    pub(super) const MAC: usize = 40;
}

const _: () = assert!(at::LABELS + 2 * crate::limits::PATH_LABELS_MAX == at::SOURCE, "the labels fill their field");
const _: () = assert!(at::MAC + 8 == HEADER_BYTES, "the MAC ends the header");
