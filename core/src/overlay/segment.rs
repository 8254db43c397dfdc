//! A long packet becomes segments, as the interface that handed it over leaves it to be done.

use super::checksum::{add, complete, fold, pseudo_header};
use super::offload::{Offload, Segmentation};
use super::packet::{Packet, Protocol};
use crate::rejected::Rejected;

/// The segments of one packet, each of which is a packet by itself. Its transport checksum may still be to do.
#[derive(Debug)]
pub struct Segments<'a> {
    bytes: &'a [u8],
    packet: Packet,
    offload: Offload,
    /// The length of all headers, in bytes.
    headers: usize,
    /// The payload of each segment but the last, in bytes.
    size: usize,
}

impl<'a> Segments<'a> {
    /// The segments of `bytes`, none longer than `longest` where that can be chosen here: a stream of TCP may be cut
    /// anywhere, everything else stays as long as it is.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if the packet is not what is said of it.
    pub fn of(bytes: &'a [u8], packet: Packet, offload: Offload, longest: usize) -> Result<Self, Rejected> {
        let at = packet.transport_at;
        let Some((kind, size)) = offload.segment else {
            return Ok(Self { bytes, packet, offload, headers: 0, size: bytes.len().max(1) });
        };
        let protocol = packet.flow.protocol;
        let fits = match kind {
            Segmentation::Tcp4 | Segmentation::Tcp6 => protocol == Protocol::TCP,
            Segmentation::Udp => protocol == Protocol::UDP,
        };
        let transport = match protocol {
            Protocol::TCP => usize::from(bytes[at + 12] >> 4) * 4,
            _ => 8,
        };
        let headers = at + transport;
        let starts_there = offload.checksum.is_some_and(|(start, _)| usize::from(start) == at);
        if !fits || !starts_there || headers >= bytes.len() || transport < 8 {
            return Err(Rejected::Malformed);
        }
        let mut size = usize::from(size);
        if protocol == Protocol::TCP && headers + size > longest && headers < longest {
            size = longest - headers;
        }
        Ok(Self { bytes, packet, offload, headers, size })
    }

    /// How many there are: at least one.
    pub fn count(&self) -> usize {
        (self.bytes.len() - self.headers).div_ceil(self.size).max(1)
    }

    /// The length of each one but the last, which may be shorter, in bytes.
    pub fn length(&self) -> usize {
        (self.headers + self.size).min(self.bytes.len())
    }

    /// Whether the transport checksum of each is still to do when it has been written.
    pub fn checksum_left(&self) -> bool {
        let usual = self.packet.flow.protocol.checksum_offset();
        self.offload
            .checksum
            .is_some_and(|(start, offset)| usize::from(start) == self.packet.transport_at && Some(offset) == usual)
    }

    /// Writes the segment with this number and returns its length.
    ///
    /// # Panics
    /// If there is no such segment, or `out` is shorter than [`Segments::length`].
    pub fn write(&self, number: usize, out: &mut [u8]) -> usize {
        let Some((kind, _)) = self.offload.segment else {
            let out = &mut out[..self.bytes.len()];
            out.copy_from_slice(self.bytes);
            if let Some((start, offset)) = self.offload.checksum.filter(|_| !self.checksum_left()) {
                // What lies outside of the packet is nothing that could be completed.
                let _ = complete(out, start.into(), offset.into());
            }
            return out.len();
        };
        let (headers, payload) = self.bytes.split_at(self.headers);
        let from = number * self.size;
        let payload = &payload[from..(from + self.size).min(payload.len())];
        let out = &mut out[..headers.len() + payload.len()];
        out[..headers.len()].copy_from_slice(headers);
        out[headers.len()..].copy_from_slice(payload);
        set_length(out, number);
        let is_last = number + 1 == self.count();
        let at = self.packet.transport_at;
        let length = out.len() - at;
        if kind == Segmentation::Udp {
            out[at + 4..at + 6].copy_from_slice(&(length as u16).to_be_bytes());
        } else {
            let sequence = u32::from_be_bytes(out[at + 4..at + 8].try_into().expect("BUG: a sequence is four bytes"));
            out[at + 4..at + 8].copy_from_slice(&sequence.wrapping_add(from as u32).to_be_bytes());
            if !is_last {
                out[at + 13] &= !(FIN | PUSH);
            }
            if number > 0 {
                out[at + 13] &= !REDUCED;
            }
        }
        set_pseudo_sum(out, &self.packet);
        out.len()
    }
}

/// Writes into an IP packet how long it is; `number` tells apart those that were one.
pub(super) fn set_length(packet: &mut [u8], number: usize) {
    let length = packet.len();
    if packet[0] >> 4 == 6 {
        packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        return;
    }
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    let id = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(number as u16);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[10..12].fill(0);
    let header = usize::from(packet[0] & 0x0f) * 4;
    let sum = !fold(add(0, &packet[..header]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Writes into the field of the transport checksum what it is to be completed from.
pub(super) fn set_pseudo_sum(bytes: &mut [u8], packet: &Packet) {
    let (at, protocol) = (packet.transport_at, packet.flow.protocol);
    let Some(offset) = protocol.checksum_offset() else { return };
    let field = at + usize::from(offset);
    let sum = pseudo_header(packet.flow.source.0, packet.flow.destination.0, protocol, bytes.len() - at);
    bytes[field..field + 2].copy_from_slice(&fold(sum).to_be_bytes());
}

/// Flags of TCP.
pub(super) const FIN: u8 = 0x01;
pub(super) const PUSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const REDUCED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::super::packet::tests::{ipv6, tcp};
    use super::*;

    fn long(payload: &[u8]) -> (Vec<u8>, Offload) {
        let segment = Some((Segmentation::Tcp6, 100));
        let offload = Offload { checksum: Some((40, 16)), segment, headers: 72, has_ecn: false };
        (tcp(1000, ACK | PUSH | FIN | REDUCED, payload), offload)
    }

    fn written(segments: &Segments<'_>) -> Vec<Vec<u8>> {
        let write = |number| {
            let mut out = vec![0; segments.length()];
            let length = segments.write(number, &mut out);
            out.truncate(length);
            out
        };
        (0..segments.count()).map(write).collect()
    }

    #[test]
    fn each_segment_is_a_packet_and_together_they_are_the_whole() {
        let payload: Vec<u8> = (0..250).map(|i| i as u8).collect();
        let (bytes, offload) = long(&payload);
        let packet = Packet::parse(&bytes).unwrap();
        let segments = Segments::of(&bytes, packet, offload, 1400).unwrap();
        assert_eq!((segments.count(), segments.length(), segments.checksum_left()), (3, 172, true));
        let all = written(&segments);
        assert_eq!(all.iter().flat_map(|segment| segment[72..].to_vec()).collect::<Vec<_>>(), payload);
        for (number, segment) in all.iter().enumerate() {
            assert_eq!(Packet::parse(segment).unwrap().flow, packet.flow);
            assert_eq!(segment[44..48], (1000 + 100 * number as u32).to_be_bytes());
            let mut completed = segment.clone();
            assert!(complete(&mut completed, 40, 16));
            let sum = pseudo_header(packet.flow.source.0, packet.flow.destination.0, Protocol::TCP, segment.len() - 40);
            assert_eq!(fold(add(sum, &completed[40..])), 0xffff, "its checksum adds up when it is completed");
        }
        let flags: Vec<u8> = all.iter().map(|segment| segment[53]).collect();
        assert_eq!(flags, [ACK | REDUCED, ACK, ACK | PUSH | FIN], "the last one ends it, the first says it was slowed");
    }

    #[test]
    fn a_stream_is_cut_shorter_where_the_way_is_narrow() {
        let (bytes, offload) = long(&[5; 250]);
        let segments = Segments::of(&bytes, Packet::parse(&bytes).unwrap(), offload, 122).unwrap();
        assert_eq!((segments.count(), segments.length()), (5, 122));
        assert_eq!(written(&segments).iter().map(|segment| segment.len() - 72).sum::<usize>(), 250);
    }

    #[test]
    fn datagrams_stay_as_they_are() {
        let bytes = ipv6(17, &[&[0x10, 1, 0, 53, 0, 108, 0, 0][..], &[7; 100]].concat());
        let segment = Some((Segmentation::Udp, 40));
        let offload = Offload { checksum: Some((40, 6)), segment, ..Offload::default() };
        let segments = Segments::of(&bytes, Packet::parse(&bytes).unwrap(), offload, 60).unwrap();
        let all = written(&segments);
        assert_eq!(all.iter().map(|segment| segment.len() - 48).collect::<Vec<_>>(), [40, 40, 20]);
        assert_eq!(all[2][44..46], [0, 28]);
    }

    #[test]
    fn a_checksum_of_another_protocol_is_completed_here() {
        let bytes = ipv6(132, &[9; 20]);
        let offload = Offload { checksum: Some((40, 8)), ..Offload::default() };
        let segments = Segments::of(&bytes, Packet::parse(&bytes).unwrap(), offload, 1400).unwrap();
        assert!(!segments.checksum_left());
        assert_ne!(written(&segments)[0], bytes);
    }

    #[test]
    fn what_is_not_as_it_is_said_to_be_is_malformed() {
        let (bytes, offload) = long(&[5; 250]);
        let packet = Packet::parse(&bytes).unwrap();
        let wrong = [
            Offload { checksum: Some((44, 16)), ..offload },
            Offload { segment: Some((Segmentation::Udp, 100)), ..offload },
        ];
        for offload in wrong {
            assert!(matches!(Segments::of(&bytes, packet, offload, 1400), Err(Rejected::Malformed)), "{offload:?}");
        }
        let empty = tcp(1, ACK, b"");
        assert!(Segments::of(&empty, Packet::parse(&empty).unwrap(), offload, 1400).is_err(), "nothing to segment");
    }
}
