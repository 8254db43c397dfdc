//! What the headers of an IP packet say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::icmp;
use crate::rejected::Rejected;

/// A transport protocol, by its number (IANA's registry of protocol numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP4: Protocol = Protocol(1);
    /// TCP.
    pub const TCP: Protocol = Protocol(6);
    /// UDP.
    pub const UDP: Protocol = Protocol(17);
    /// A fragment of something whose transport header is in another one.
    pub const FRAGMENT: Protocol = Protocol(44);
    /// ICMP for IPv6.
    pub const ICMP6: Protocol = Protocol(58);

    /// Whether it is ICMP of either version.
    pub const fn is_icmp(self) -> bool {
        matches!(self, Protocol::ICMP4 | Protocol::ICMP6)
    }

    /// Where in its header the checksum lies, if it is one whose checksum an interface may leave to do.
    pub const fn checksum_offset(self) -> Option<u16> {
        match self {
            Protocol::TCP => Some(16),
            Protocol::UDP => Some(6),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Protocol::TCP => f.write_str("tcp"),
            Protocol::UDP => f.write_str("udp"),
            Protocol::FRAGMENT => f.write_str("fragment"),
            protocol if protocol.is_icmp() => f.write_str("icmp"),
            Protocol(other) => write!(f, "protocol-{other}"),
        }
    }
}

/// Who talks to whom: the same for both directions when one is turned around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The end that sent this packet, and its port; of ICMP the number of the exchange, of a fragment half of its own.
    pub source: (IpAddr, u16),
    /// The other end, and its port.
    pub destination: (IpAddr, u16),
}

impl Flow {
    /// The flow of the answers.
    pub const fn turned(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }
}

/// What a packet has to do with flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// It belongs to its flow, and may begin it.
    Whole,
    /// As [`Tracking::Whole`]; fragments with this flow follow.
    FirstFragment(Flow),
    /// It follows a first fragment, which decides.
    LaterFragment,
    /// It is an ICMP error about a packet of this flow, which its receiver had sent.
    Error(Flow),
}

/// What the headers of an IP packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who talks to whom.
    pub flow: Flow,
    /// What it has to do with flows.
    pub tracking: Tracking,
    /// Where the transport header begins, in bytes.
    pub transport_at: usize,
    /// Whether it asks to be answered by an echo.
    pub is_echo_request: bool,
}

impl Packet {
    /// Reads the headers of a packet.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it is no IP packet, or a length in it is not so; [`Rejected::OverLimit`] if it has more
    /// extension headers than anybody needs.
    pub fn parse(packet: &[u8]) -> Result<Self, Rejected> {
        Self::read(packet, true)
    }

    /// As [`Packet::parse`], of the beginning of a packet, as an ICMP error quotes it.
    pub(super) fn read(packet: &[u8], is_whole: bool) -> Result<Self, Rejected> {
        let header = match packet.first().map(|first| first >> 4) {
            Some(4) => Header::read4(packet, is_whole)?,
            Some(6) => Header::read6(packet, is_whole)?,
            _ => return Err(Rejected::Malformed),
        };
        header.packet(packet, is_whole)
    }
}

/// An IP header, up to the transport's.
struct Header {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    at: usize,
    /// Number of the packet that this is a fragment of, and whether it is the first.
    fragment: Option<(u32, bool)>,
}

impl Header {
    fn read4(packet: &[u8], is_whole: bool) -> Result<Self, Rejected> {
        let header: &[u8; 20] = packet.first_chunk().ok_or(Rejected::Malformed)?;
        let at = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // What is longer than 64 KiB with its headers says zero; nothing here is.
        if at < 20 || at > packet.len() || (is_whole && total != packet.len()) {
            return Err(Rejected::Malformed);
        }
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let (more, offset) = (fragment & 0x2000 != 0, fragment & 0x1fff);
        let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
        Ok(Self {
            source: IpAddr::V4(Ipv4Addr::from(chunk::<4>(&header[12..]))),
            destination: IpAddr::V4(Ipv4Addr::from(chunk::<4>(&header[16..]))),
            protocol: Protocol(header[9]),
            at,
            fragment: (more || offset > 0).then_some((id, offset == 0)),
        })
    }

    fn read6(packet: &[u8], is_whole: bool) -> Result<Self, Rejected> {
        let header: &[u8; 40] = packet.first_chunk().ok_or(Rejected::Malformed)?;
        let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if is_whole && payload + 40 != packet.len() {
            return Err(Rejected::Malformed);
        }
        let (mut next, mut at, mut fragment) = (header[6], 40, None);
        for _ in 0..EXTENSIONS_MAX {
            let length = match (next, packet.get(at..at + 8)) {
                // Hop-by-hop options, routing, destination options (RFC 8200, section 4).
                (0 | 43 | 60, Some(extension)) => (usize::from(extension[1]) + 1) * 8,
                (44, Some(extension)) if fragment.is_none() => {
                    let offset = u16::from_be_bytes([extension[2], extension[3]]) >> 3;
                    fragment = Some((u32::from_be_bytes(chunk(&extension[4..])), offset == 0));
                    8
                }
                (0 | 43 | 44 | 60, _) => return Err(Rejected::Malformed),
                _ => {
                    return Ok(Self {
                        source: IpAddr::V6(Ipv6Addr::from(chunk::<16>(&header[8..]))),
                        destination: IpAddr::V6(Ipv6Addr::from(chunk::<16>(&header[24..]))),
                        protocol: Protocol(next),
                        at,
                        fragment,
                    });
                }
            };
            // The rest of a later fragment is no header.
            next = if fragment.is_some_and(|(_, first)| !first) { NO_NEXT_HEADER } else { packet[at] };
            at += length;
            if at > packet.len() {
                return Err(Rejected::Malformed);
            }
        }
        Err(Rejected::OverLimit)
    }

    fn packet(self, packet: &[u8], is_whole: bool) -> Result<Packet, Rejected> {
        let Self { source, destination, protocol, at, fragment } = self;
        let flow = |protocol, from, to| Flow { protocol, source: (source, from), destination: (destination, to) };
        // Both halves of its number, so that it is told from every other fragment of these two ends.
        let pieces = fragment.map(|(id, _)| flow(Protocol::FRAGMENT, (id >> 16) as u16, id as u16));
        if let Some((pieces, (_, false))) = pieces.zip(fragment) {
            let tracking = Tracking::LaterFragment;
            return Ok(Packet { flow: pieces, tracking, transport_at: at, is_echo_request: false });
        }
        let whole = pieces.map_or(Tracking::Whole, Tracking::FirstFragment);
        let transport = &packet[at..];
        let word = |at: usize| Some(u16::from_be_bytes([*transport.get(at)?, *transport.get(at + 1)?]));
        let ports = |from: Option<u16>, to: Option<u16>| from.zip(to).ok_or(Rejected::Malformed);
        let shortest = if is_whole { shortest(protocol) } else { 0 };
        if transport.len() < shortest {
            return Err(Rejected::Malformed);
        }
        let mut is_echo_request = false;
        let (flow, tracking) = match protocol {
            Protocol::TCP | Protocol::UDP => {
                let (from, to) = ports(word(0), word(2))?;
                (flow(protocol, from, to), whole)
            }
            protocol if protocol.is_icmp() => {
                let kind = *transport.first().ok_or(Rejected::Malformed)?;
                is_echo_request = icmp::is_echo_request(protocol, kind);
                if icmp::is_error(protocol, kind) && is_whole {
                    let quoted = Packet::read(transport.get(8..).unwrap_or_default(), false)?;
                    (flow(protocol, 0, 0), Tracking::Error(quoted.flow))
                } else {
                    let number = if icmp::is_echo(protocol, kind) { word(4).ok_or(Rejected::Malformed)? } else { 0 };
                    (flow(protocol, number, number), whole)
                }
            }
            protocol => (flow(protocol, 0, 0), whole),
        };
        Ok(Packet { flow, tracking, transport_at: at, is_echo_request })
    }
}

/// The shortest header of a transport protocol, in bytes.
const fn shortest(protocol: Protocol) -> usize {
    match protocol {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMP4 | Protocol::ICMP6 => 8,
        _ => 0,
    }
}

fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("BUG: the field lies within a header that was read")
}

/// Most extension headers of one packet.
const EXTENSIONS_MAX: usize = 8;
/// RFC 8200, section 4.7.
const NO_NEXT_HEADER: u8 = 59;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::overlay) const HERE: Ipv6Addr = Ipv6Addr::new(0xfd70, 1, 0, 0, 0, 0, 0, 1);
    pub(in crate::overlay) const THERE: Ipv6Addr = Ipv6Addr::new(0xfd70, 1, 0, 0, 0, 0, 0, 2);

    /// An IPv6 packet from [`HERE`] to [`THERE`].
    pub(in crate::overlay) fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
        packet.extend(HERE.octets());
        packet.extend(THERE.octets());
        packet.extend(payload);
        packet
    }

    /// A TCP segment over IPv6, with twelve bytes of options, its checksum left to do.
    pub(in crate::overlay) fn tcp(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![0x10, 0x01, 0, 80];
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0]);
        segment.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        segment.extend(payload);
        ipv6(6, &segment)
    }

    fn flow(protocol: u8, from: u16, to: u16) -> Flow {
        Flow { protocol: Protocol(protocol), source: (HERE.into(), from), destination: (THERE.into(), to) }
    }

    #[test]
    fn a_transport_says_who_talks_to_whom() {
        let packet = Packet::parse(&tcp(1, 0x10, b"x")).unwrap();
        assert_eq!((packet.flow, packet.tracking, packet.transport_at), (flow(6, 0x1001, 80), Tracking::Whole, 40));
        let echo = Packet::parse(&ipv6(58, &[128, 0, 0, 0, 7, 7, 0, 1])).unwrap();
        assert_eq!((echo.flow, echo.is_echo_request), (flow(58, 0x0707, 0x0707), true));
        let reply = Packet::parse(&ipv6(58, &[129, 0, 0, 0, 7, 7, 0, 1])).unwrap();
        assert_eq!((reply.flow, reply.is_echo_request), (flow(58, 0x0707, 0x0707), false));
        assert_eq!(Packet::parse(&ipv6(132, &[1])).unwrap().flow, flow(132, 0, 0), "another protocol has no ports");
    }

    #[test]
    fn an_error_is_about_what_its_receiver_had_sent() {
        let quoted = tcp(1, 0x10, &[0; 100]);
        let error = [&[1, 0, 0, 0, 0, 0, 0, 0], &quoted[..48]].concat();
        let packet = Packet::parse(&ipv6(58, &error)).unwrap();
        assert_eq!(packet.tracking, Tracking::Error(flow(6, 0x1001, 80)));
        assert_eq!(Packet::parse(&ipv6(58, &error[..40])), Err(Rejected::Malformed), "it quotes too little");
    }

    #[test]
    fn extension_headers_are_passed_over_and_bounded() {
        let udp = [0x10, 1, 0, 53, 0, 8, 0, 0];
        let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
        let packet = Packet::parse(&ipv6(0, &[&options(60)[..], &options(17), &udp].concat())).unwrap();
        assert_eq!((packet.flow, packet.transport_at), (flow(17, 0x1001, 53), 56));
        let many = [options(60); 9].concat();
        assert_eq!(Packet::parse(&ipv6(60, &many)), Err(Rejected::OverLimit));
        assert_eq!(Packet::parse(&ipv6(60, &[17, 9, 0, 0, 0, 0, 0, 0])), Err(Rejected::Malformed), "longer than all");
    }

    #[test]
    fn fragments_follow_their_first() {
        let udp = [0x10, 1, 0, 53, 0, 8, 0, 0];
        let first = Packet::parse(&ipv6(44, &[&[17, 0, 0, 1, 0, 1, 0, 2][..], &udp].concat())).unwrap();
        let Tracking::FirstFragment(pieces) = first.tracking else { panic!("{first:?}") };
        assert_eq!((first.flow, pieces), (flow(17, 0x1001, 53), flow(44, 1, 2)));
        let later = Packet::parse(&ipv6(44, &[&[17, 0, 0, 8, 0, 1, 0, 2][..], &[9; 40]].concat())).unwrap();
        assert_eq!((later.flow, later.tracking), (pieces, Tracking::LaterFragment));
    }

    #[test]
    fn ipv4_is_read_as_well() {
        let mut packet = vec![0x45, 0, 0, 28, 0, 5, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0x10, 1, 0, 53, 0, 8, 0, 0]);
        let read = Packet::parse(&packet).unwrap();
        assert_eq!(read.flow.source, (IpAddr::from([10, 0, 0, 1]), 0x1001));
        packet[6] = 0x20;
        assert!(matches!(Packet::parse(&packet).unwrap().tracking, Tracking::FirstFragment(_)));
        packet[7] = 3;
        assert_eq!(Packet::parse(&packet).unwrap().tracking, Tracking::LaterFragment);
        packet.push(0);
        assert_eq!(Packet::parse(&packet), Err(Rejected::Malformed), "longer than it says");
    }

    proptest! {
        #[test]
        fn garbage_is_turned_away_in_peace(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200), six: bool, next in prop::sample::select(vec![0u8, 6, 17, 43, 44, 58, 60]),
        ) {
            if bytes.len() > 40 {
                bytes[0] = if six { 0x60 } else { 0x45 };
                let length = if six { bytes.len() - 40 } else { bytes.len() };
                let at = if six { 4 } else { 2 };
                bytes[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
                bytes[if six { 6 } else { 9 }] = next;
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.transport_at <= bytes.len());
            }
        }
    }
}
