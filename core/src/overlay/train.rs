//! Segments that follow each other become one long packet again, which the interface takes at once.

use super::offload::{OFFLOAD_BYTES, Offload, Segmentation};
use super::packet::{Flow, Packet, Protocol, Tracking};
use super::segment::{ACK, PUSH, set_length, set_pseudo_sum};

/// One packet on its way to the interface, which may still grow by the segments that follow it.
#[derive(Debug)]
pub struct Train {
    /// What stands before the packet, and the packet.
    bytes: Box<[u8]>,
    length: usize,
    packet: Option<Packet>,
    checksum_left: bool,
    /// How it can grow; `None` if it cannot.
    growth: Option<Growth>,
    segments: usize,
}

/// What the next segment must be.
#[derive(Debug)]
struct Growth {
    flow: Flow,
    headers: usize,
    /// The payload of each segment, in bytes.
    size: usize,
    sequence: u32,
}

impl Train {
    /// An empty one.
    pub fn new() -> Self {
        let bytes = vec![0; OFFLOAD_BYTES + PACKET_BYTES_MAX].into();
        Self { bytes, length: 0, packet: None, checksum_left: false, growth: None, segments: 0 }
    }

    /// Takes a packet; false if it does not go with what is there: take that out first, and then this one is taken, unless
    /// it is longer than a packet can be.
    pub fn take(&mut self, bytes: &[u8], packet: Packet, checksum_left: bool) -> bool {
        match self.packet {
            Some(_) => checksum_left && self.grow(bytes, &packet),
            None => self.begin(bytes, packet, checksum_left),
        }
    }

    /// What is there, ready to be written to the interface, and whether it was more than one segment.
    pub fn finish(&mut self) -> Option<(&[u8], bool)> {
        let packet = self.packet.take()?;
        let is_long = self.segments > 1;
        let bytes = &mut self.bytes[..OFFLOAD_BYTES + self.length];
        let at = packet.transport_at as u16;
        let checksum = packet.flow.protocol.checksum_offset().filter(|_| self.checksum_left).map(|offset| (at, offset));
        let mut offload = Offload { checksum, ..Offload::default() };
        if is_long && let Some(growth) = &self.growth {
            let kind = if bytes[OFFLOAD_BYTES] >> 4 == 6 { Segmentation::Tcp6 } else { Segmentation::Tcp4 };
            offload.segment = Some((kind, growth.size as u16));
            offload.headers = growth.headers as u16;
            set_length(&mut bytes[OFFLOAD_BYTES..], 0);
            set_pseudo_sum(&mut bytes[OFFLOAD_BYTES..], &packet);
        }
        bytes[..OFFLOAD_BYTES].copy_from_slice(&offload.encode());
        Some((bytes, is_long))
    }

    fn begin(&mut self, bytes: &[u8], packet: Packet, checksum_left: bool) -> bool {
        if bytes.len() > PACKET_BYTES_MAX {
            return false;
        }
        self.bytes[OFFLOAD_BYTES..OFFLOAD_BYTES + bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len();
        self.packet = Some(packet);
        self.checksum_left = checksum_left;
        self.segments = 1;
        self.growth = stream_segment(bytes, &packet)
            .filter(|_| checksum_left && bytes[packet.transport_at + 13] == ACK)
            .map(|(headers, sequence)| {
                let size = bytes.len() - headers;
                Growth { flow: packet.flow, headers, size, sequence: sequence.wrapping_add(size as u32) }
            });
        true
    }

    fn grow(&mut self, bytes: &[u8], packet: &Packet) -> bool {
        let Some(growth) = &mut self.growth else { return false };
        if growth.flow != packet.flow || growth.size == 0 {
            return false;
        }
        let Some((headers, sequence)) = stream_segment(bytes, packet) else { return false };
        let payload = &bytes[headers..];
        let before = &mut self.bytes[OFFLOAD_BYTES..];
        let follows = headers == growth.headers
            && sequence == growth.sequence
            && payload.len() <= growth.size
            && self.length + payload.len() <= PACKET_BYTES_MAX
            && are_alike(&before[..headers], &bytes[..headers], packet.transport_at);
        if !follows {
            return false;
        }
        before[self.length..self.length + payload.len()].copy_from_slice(payload);
        let flags = packet.transport_at + 13;
        before[flags] |= bytes[flags];
        self.length += payload.len();
        self.segments += 1;
        growth.sequence = growth.sequence.wrapping_add(payload.len() as u32);
        if payload.len() < growth.size || bytes[flags] != ACK {
            // Nothing may follow the last one. Only its size is wanted any more.
            growth.flow.protocol = Protocol::FRAGMENT;
        }
        true
    }
}

impl Default for Train {
    fn default() -> Self {
        Self::new()
    }
}

/// The headers' length and the sequence number of a segment of a stream that others may follow or that may follow others:
/// with a payload, plain headers, and no other flags than that it is the last for now.
fn stream_segment(bytes: &[u8], packet: &Packet) -> Option<(usize, u32)> {
    let at = packet.transport_at;
    let plain = if bytes[0] >> 4 == 6 { 40 } else { 20 };
    if packet.flow.protocol != Protocol::TCP || packet.tracking != Tracking::Whole || at != plain {
        return None;
    }
    let headers = at + usize::from(bytes[at + 12] >> 4) * 4;
    let sequence = u32::from_be_bytes(*bytes[at + 4..].first_chunk()?);
    (bytes[at + 13] & !PUSH == ACK && headers >= at + 20 && headers < bytes.len()).then_some((headers, sequence))
}

/// Whether two headers say the same but for lengths, checksums, the place in the stream, and the flag of the last.
fn are_alike(one: &[u8], other: &[u8], at: usize) -> bool {
    let same = |range: std::ops::Range<usize>| one[range.clone()] == other[range];
    let network = if at == 40 { same(0..4) && same(6..40) } else { same(0..2) && same(6..10) && same(12..20) };
    network && same(at..at + 4) && same(at + 8..at + 13) && same(at + 14..at + 16) && same(at + 18..one.len())
}

/// The longest packet that an interface takes, in bytes: lengths have 16 bits.
const PACKET_BYTES_MAX: usize = 65_535;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::tests::{ipv6, tcp};
    use super::super::{OFFLOAD_BYTES, Segments};
    use super::*;

    fn take(train: &mut Train, bytes: &[u8]) -> bool {
        train.take(bytes, Packet::parse(bytes).unwrap(), true)
    }

    #[test]
    fn what_does_not_follow_is_not_taken() {
        let first = tcp(1000, ACK, &[1; 100]);
        let other_port = {
            let mut other = tcp(1100, ACK, &[1; 100]);
            other[40] ^= 1;
            other
        };
        let refused = [
            tcp(1101, ACK, &[1; 100]),
            tcp(1100, ACK, &[1; 101]),
            tcp(1100, ACK, b""),
            tcp(1100, ACK | 4, &[1; 100]),
            other_port,
            ipv6(17, &[0x10, 1, 0, 53, 0, 8, 0, 0]),
        ];
        for bytes in &refused {
            let mut train = Train::new();
            assert!(take(&mut train, &first));
            assert!(!take(&mut train, bytes));
            assert!(train.finish().is_some());
            assert!(train.finish().is_none());
            assert!(take(&mut train, bytes), "alone it is taken");
        }
        let mut train = Train::new();
        assert!(take(&mut train, &first));
        let next = tcp(1100, ACK, &[1; 100]);
        assert!(!train.take(&next, Packet::parse(&next).unwrap(), false), "its checksum would have to be done anew");
    }

    #[test]
    fn a_packet_alone_stays_as_it_is() {
        let mut train = Train::new();
        let mut bytes = tcp(1, ACK | PUSH, b"x");
        bytes[56] = 7;
        assert!(take(&mut train, &bytes));
        let (written, is_long) = train.finish().unwrap();
        let offload = Offload::decode(written.first_chunk().unwrap()).unwrap();
        assert_eq!((&written[OFFLOAD_BYTES..], is_long), (&bytes[..], false));
        assert_eq!(offload, Offload { checksum: Some((40, 16)), ..Offload::default() });
    }

    proptest! {
        #[test]
        fn segments_become_what_they_were(length in 1usize..3000, size in 40u16..400, push: bool) {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let flags = if push { ACK | PUSH } else { ACK };
            let whole = tcp(u32::MAX - 500, flags, &payload);
            let packet = Packet::parse(&whole).unwrap();
            let offload = Offload {
                checksum: Some((40, 16)), segment: Some((Segmentation::Tcp6, size)), headers: 72, has_ecn: false,
            };
            let segments = Segments::of(&whole, packet, offload, 1400).unwrap();
            let mut train = Train::new();
            for number in 0..segments.count() {
                let mut out = vec![0; segments.length()];
                let length = segments.write(number, &mut out);
                prop_assert!(take(&mut train, &out[..length]));
            }
            let count = segments.count();
            let (written, is_long) = train.finish().unwrap();
            prop_assert_eq!(is_long, count > 1);
            let told = Offload::decode(written.first_chunk().unwrap()).unwrap();
            prop_assert_eq!(told.segment.is_some(), is_long);
            let mut expected = whole.clone();
            set_pseudo_sum(&mut expected, &packet);
            prop_assert_eq!(&written[OFFLOAD_BYTES..], &expected[..]);
        }
    }
}
