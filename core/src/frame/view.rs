//! A frame where it lies: checked, read and rewritten in the buffer that it was received in.

use super::{FrameKey, HEADER_BYTES, Kind, Labels, PATH_ERROR_BYTES, PROBE_BYTES, TRACE_BYTES, at};
use crate::ids::{Label, Tag};
use crate::limits::{LANES_MAX, PATH_LABELS_MAX};
use crate::rejected::Rejected;

/// Whether a datagram that begins with `first_byte` is a QUIC packet (its fixed bit is set) and not a frame.
pub const fn is_quic(first_byte: u8) -> bool {
    first_byte & 0x40 != 0
}

/// Makes the frame in `bytes` ready for a link: writes the sequence number and, with the link's key, the MAC.
///
/// # Panics
/// If `bytes` is shorter than a header.
pub fn stamp(bytes: &mut [u8], sequence: u64, key: &FrameKey) {
    bytes[at::SEQUENCE..at::MAC].copy_from_slice(&sequence.to_be_bytes());
    key.seal(bytes);
}

/// A well-formed frame in somebody's buffer. Well-formed is not authentic: call [`Frame::verify`] before anything else.
#[derive(Debug)]
pub struct Frame<'a> {
    bytes: &'a mut [u8],
    kind: Kind,
}

impl<'a> Frame<'a> {
    /// Checks the form of a received frame.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it is truncated, of no known kind, has reserved bits set, more than eight labels, a
    /// cursor beyond its labels, or a lane or a payload's length that does not go with its kind.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, Rejected> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(Rejected::Malformed)?;
        let kind = Kind::try_from(header[at::KIND])?;
        let (cursor, count) = (header[at::CURSOR] >> 4, header[at::CURSOR] & 0x0f);
        let payload = bytes.len() - HEADER_BYTES;
        let fits = match kind {
            Kind::Data | Kind::Copy | Kind::Packet | Kind::PacketCopy => payload > 0,
            Kind::Probe | Kind::Echo => payload == PROBE_BYTES,
            Kind::PathError => payload == PATH_ERROR_BYTES,
            Kind::Trace => payload == TRACE_BYTES,
        };
        let lanes = if kind.is_session() { LANES_MAX } else { 1 };
        let fits = fits && usize::from(header[at::LANE]) < lanes && header[at::RESERVED] == 0;
        if cursor > count || usize::from(count) > PATH_LABELS_MAX || !fits {
            return Err(Rejected::Malformed);
        }
        Ok(Self { bytes, kind })
    }

    /// Checks the MAC with the key of the link on which the frame came.
    ///
    /// # Errors
    /// [`Rejected::Unsigned`] if it does not fit.
    pub fn verify(&self, key: &FrameKey) -> Result<(), Rejected> {
        key.verify(self.bytes)
    }

    /// What the frame is for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Which of the sessions between the two ends it belongs to.
    pub const fn lane(&self) -> u8 {
        self.bytes[at::LANE]
    }

    /// Whether the frame probes a link, or is the echo of such a probe: then it carries nothing.
    pub fn is_link_probe(&self) -> bool {
        self.kind.is_link_probe(self.path())
    }

    /// How many labels are used up: the position on the path of the node that holds the frame.
    pub const fn cursor(&self) -> u8 {
        self.bytes[at::CURSOR] >> 4
    }

    /// The label that the holder is to follow; `None` if the frame is for the holder itself.
    pub fn next_label(&self) -> Option<Label> {
        let (cursor, count) = (self.cursor(), self.bytes[at::CURSOR] & 0x0f);
        (cursor < count).then(|| self.label(cursor))
    }

    /// Who sent it. Only the session's handshake proves it.
    pub fn source(&self) -> Tag {
        Tag(u64::from_be_bytes(eight(&self.bytes[at::SOURCE..at::PATH])))
    }

    /// The sender's number for the path.
    pub fn path(&self) -> u32 {
        u32::from_be_bytes(self.bytes[at::PATH..at::SEQUENCE].try_into().expect("BUG: the path is four bytes"))
    }

    /// The sequence number on the link on which the frame came.
    pub fn sequence(&self) -> u64 {
        u64::from_be_bytes(eight(&self.bytes[at::SEQUENCE..at::MAC]))
    }

    /// What follows the header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// What follows the header, to be changed where it lies.
    pub fn into_payload(self) -> &'a mut [u8] {
        &mut self.bytes[HEADER_BYTES..]
    }

    /// The way from the holder back to the sender: out on the link on which the frame came, then these labels.
    pub fn way_back(&self) -> Labels {
        let mut labels = Labels::NONE;
        for position in (0..self.cursor()).rev() {
            labels.push(self.label(position)).expect("BUG: the cursor is at most eight");
        }
        labels
    }

    /// Uses up the next label: overwrites it with `ingress`, the holder's label of the link on which the frame came.
    ///
    /// # Panics
    /// If the frame is for the holder itself.
    pub fn advance(&mut self, ingress: Label) {
        let cursor = self.cursor();
        assert!(self.next_label().is_some(), "BUG: a frame that has arrived goes no further");
        let slot = at::LABELS + 2 * usize::from(cursor);
        self.bytes[slot..slot + 2].copy_from_slice(&ingress.0.to_be_bytes());
        self.bytes[at::CURSOR] += 0x10;
    }

    /// Makes the frame ready for its next link: new sequence number, new MAC.
    pub fn reseal(&mut self, sequence: u64, key: &FrameKey) {
        stamp(self.bytes, sequence, key);
    }

    fn label(&self, position: u8) -> Label {
        let slot = at::LABELS + 2 * usize::from(position);
        Label(u16::from_be_bytes([self.bytes[slot], self.bytes[slot + 1]]))
    }
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("BUG: the field is eight bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Header;

    fn key(seed: u8) -> FrameKey {
        FrameKey::from_bytes([seed; 16])
    }

    fn sealed(labels: &[Label], payload: &[u8], key: &FrameKey) -> Vec<u8> {
        let labels = Labels::new(labels).unwrap();
        let header = Header { kind: Kind::Data, lane: 3, labels, source: Tag(0xabcd), path: 77, sequence: 9 };
        let mut bytes = [&header.encode()[..], payload].concat();
        key.seal(&mut bytes);
        bytes
    }

    #[test]
    fn a_frame_that_arrives_holds_the_way_back() {
        let mut bytes = sealed(&[Label(11), Label(12), Label(13)], b"payload", &key(0));
        for (position, ingress) in [Label(21), Label(22), Label(23)].into_iter().enumerate() {
            let mut frame = Frame::parse(&mut bytes).unwrap();
            assert_eq!(frame.verify(&key(position as u8)), Ok(()));
            assert_eq!(frame.next_label(), Some(Label(11 + position as u16)));
            frame.advance(ingress);
            frame.reseal(100 + position as u64, &key(position as u8 + 1));
        }
        let frame = Frame::parse(&mut bytes).unwrap();
        assert_eq!(frame.verify(&key(3)), Ok(()));
        assert_eq!((frame.next_label(), frame.sequence(), frame.path()), (None, 102, 77));
        assert_eq!((frame.source(), frame.lane(), frame.payload()), (Tag(0xabcd), 3, &b"payload"[..]));
        assert_eq!(frame.way_back().as_slice(), [Label(23), Label(22), Label(21)]);
    }

    #[test]
    fn every_bad_form_is_malformed() {
        let good = sealed(&[Label(1)], b"x", &key(0));
        assert!(Frame::parse(&mut good.clone()).is_ok());
        let broken = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Frame::parse(&mut bytes).err()
        };
        assert_eq!(broken(at::KIND, 0), Some(Rejected::Malformed), "no such kind");
        assert_eq!(broken(at::KIND, 9), Some(Rejected::Malformed), "no such kind");
        assert_eq!(broken(at::KIND, Kind::Probe as u8), Some(Rejected::Malformed), "a probe of one byte");
        assert_eq!(broken(at::KIND, Kind::PathError as u8), Some(Rejected::Malformed), "a path error of one byte");
        assert_eq!(broken(at::KIND, Kind::Trace as u8), Some(Rejected::Malformed), "a trace of one byte");
        assert_eq!(broken(at::CURSOR, 0x21), Some(Rejected::Malformed), "cursor beyond the labels");
        assert_eq!(broken(at::CURSOR, 0x09), Some(Rejected::Malformed), "nine labels");
        assert_eq!(broken(at::LANE, LANES_MAX as u8 - 1), None, "the last lane");
        assert_eq!(broken(at::LANE, LANES_MAX as u8), Some(Rejected::Malformed), "no such lane");
        assert_eq!(broken(at::RESERVED, 1), Some(Rejected::Malformed));
        for length in 0..=HEADER_BYTES {
            assert!(matches!(Frame::parse(&mut good[..length].to_vec()), Err(Rejected::Malformed)), "{length} bytes");
        }
    }

    #[test]
    fn quic_and_frames_are_told_apart_by_the_first_byte() {
        for kind in [
            Kind::Data,
            Kind::Probe,
            Kind::Echo,
            Kind::PathError,
            Kind::Copy,
            Kind::Trace,
            Kind::Packet,
            Kind::PacketCopy,
        ] {
            assert!(!is_quic(kind as u8), "{kind:?}");
        }
        assert!(is_quic(0x40), "short header");
        assert!(is_quic(0xc0), "long header");
    }

    proptest! {
        #[test]
        fn a_header_survives_the_wire(
            labels in proptest::collection::vec(any::<u16>().prop_map(Label), 0..=PATH_LABELS_MAX),
            source: u64, path: u32, sequence: u64, payload in proptest::collection::vec(any::<u8>(), 1..1500),
        ) {
            let labels = Labels::new(&labels).unwrap();
            let header = Header { kind: Kind::Data, lane: 0, labels, source: Tag(source), path, sequence };
            let mut bytes = [&header.encode()[..], &payload].concat();
            key(1).seal(&mut bytes);
            let frame = Frame::parse(&mut bytes).unwrap();
            prop_assert_eq!(frame.verify(&key(1)), Ok(()));
            prop_assert_eq!(frame.verify(&key(2)), Err(Rejected::Unsigned));
            prop_assert_eq!((frame.kind(), frame.cursor()), (Kind::Data, 0));
            prop_assert_eq!((frame.source(), frame.path(), frame.sequence()), (Tag(source), path, sequence));
            prop_assert_eq!(frame.next_label(), labels.as_slice().first().copied());
            prop_assert_eq!(frame.payload(), &payload[..]);
            prop_assert_eq!(frame.way_back(), Labels::NONE);
        }

        #[test]
        fn one_flipped_bit_of_the_header_is_noticed(bit in 0usize..HEADER_BYTES * 8) {
            let mut bytes = sealed(&[Label(1), Label(2)], b"payload", &key(0));
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Frame::parse(&mut bytes).and_then(|frame| frame.verify(&key(0)));
            prop_assert!(outcome.is_err());
        }

        #[test]
        fn garbage_is_turned_away_in_peace(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..10) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            if let Ok(frame) = Frame::parse(&mut bytes) {
                prop_assert_eq!(frame.verify(&key(0)), Err(Rejected::Unsigned));
                prop_assert!(frame.way_back().count() <= 8);
            }
        }
    }
}
