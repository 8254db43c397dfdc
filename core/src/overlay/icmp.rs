//! What is answered when a packet cannot go on (RFC 4443 and RFC 792), and what such answers look like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{add, fold, pseudo_header};
use super::packet::{Packet, Protocol, Tracking};

/// Why a packet cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No node has its destination.
    NoRoute,
    /// The node that has it does not allow the flow.
    Prohibited,
    /// The node that has it cannot be reached now.
    Unreachable,
    /// It is longer than the way can carry: at most so many bytes.
    TooBig(u16),
}

/// The longest answer, in bytes: what must fit any link (RFC 4443, section 2.4).
pub const ANSWER_BYTES_MAX: usize = 1280;

/// The answer to a packet that cannot go on, from `from` to whoever sent it; `None` where none may be given: to errors
/// themselves, later fragments, and multicast (RFC 4443, section 2.4 e).
pub fn answer(packet: &[u8], cause: Cause, from: IpAddr) -> Option<Vec<u8>> {
    let parsed = Packet::parse(packet).ok()?;
    let may_be_answered = !matches!(parsed.tracking, Tracking::Error(_) | Tracking::LaterFragment);
    let (to, aim) = (parsed.flow.source.0, parsed.flow.destination.0);
    if !may_be_answered || to.is_multicast() || to.is_unspecified() || aim.is_multicast() {
        return None;
    }
    match (from, to) {
        (IpAddr::V6(from), IpAddr::V6(to)) => Some(answer6(packet, cause, from, to)),
        (IpAddr::V4(from), IpAddr::V4(to)) => Some(answer4(packet, cause, from, to)),
        _ => None,
    }
}

fn answer6(packet: &[u8], cause: Cause, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let (kind, code, value) = match cause {
        Cause::NoRoute => (1, 0, 0),
        Cause::Prohibited => (1, 1, 0),
        Cause::Unreachable => (1, 3, 0),
        Cause::TooBig(most) => (2, 0, u32::from(most)),
    };
    let quoted = &packet[..packet.len().min(ANSWER_BYTES_MAX - 48)];
    let length = 8 + quoted.len();
    let mut answer = Vec::with_capacity(40 + length);
    answer.extend([0x60, 0, 0, 0]);
    answer.extend((length as u16).to_be_bytes());
    answer.extend([Protocol::ICMP6.0, HOPS]);
    answer.extend(from.octets());
    answer.extend(to.octets());
    answer.extend([kind, code, 0, 0]);
    answer.extend(value.to_be_bytes());
    answer.extend(quoted);
    let sum = pseudo_header(from.into(), to.into(), Protocol::ICMP6, length);
    let sum = !fold(add(sum, &answer[40..]));
    answer[42..44].copy_from_slice(&sum.to_be_bytes());
    answer
}

fn answer4(packet: &[u8], cause: Cause, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let (code, most) = match cause {
        Cause::NoRoute => (0, 0),
        Cause::Prohibited => (13, 0),
        Cause::Unreachable => (1, 0),
        Cause::TooBig(most) => (4, most),
    };
    // RFC 1812, section 4.3.2.3: as much as fits 576 bytes.
    let quoted = &packet[..packet.len().min(576 - 28)];
    let length = 28 + quoted.len();
    let mut answer = Vec::with_capacity(length);
    answer.extend([0x45, 0]);
    answer.extend((length as u16).to_be_bytes());
    answer.extend([0, 0, 0, 0, HOPS, Protocol::ICMP4.0, 0, 0]);
    answer.extend(from.octets());
    answer.extend(to.octets());
    answer.extend([3, code, 0, 0, 0, 0]);
    answer.extend(most.to_be_bytes());
    answer.extend(quoted);
    for (at, range) in [(10, 0..20), (22, 20..length)] {
        let sum = !fold(add(0, &answer[range]));
        answer[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    answer
}

/// Whether a message of this type asks for an echo.
pub(super) const fn is_echo_request(protocol: Protocol, kind: u8) -> bool {
    matches!((protocol, kind), (Protocol::ICMP6, 128) | (Protocol::ICMP4, 8))
}

/// Whether a message of this type asks for an echo, or is one.
pub(super) const fn is_echo(protocol: Protocol, kind: u8) -> bool {
    is_echo_request(protocol, kind) || matches!((protocol, kind), (Protocol::ICMP6, 129) | (Protocol::ICMP4, 0))
}

/// Whether a message of this type is about a packet that could not go on.
pub(super) const fn is_error(protocol: Protocol, kind: u8) -> bool {
    matches!((protocol, kind), (Protocol::ICMP6, 1..=4) | (Protocol::ICMP4, 3 | 11 | 12))
}

const HOPS: u8 = 64;

#[cfg(test)]
mod tests {
    use super::super::packet::tests::{HERE, THERE, ipv6, tcp};
    use super::*;

    #[test]
    fn an_answer_is_about_the_packet_and_adds_up() {
        let packet = tcp(1, 0x10, &[7; 1300]);
        let answer = answer(&packet, Cause::TooBig(1280), THERE.into()).unwrap();
        assert_eq!(answer.len(), ANSWER_BYTES_MAX);
        let parsed = Packet::parse(&answer).unwrap();
        assert_eq!(parsed.tracking, Tracking::Error(Packet::parse(&packet).unwrap().flow));
        assert_eq!((parsed.flow.source.0, parsed.flow.destination.0), (THERE.into(), HERE.into()));
        assert_eq!(answer[44..48], 1280u32.to_be_bytes());
        let sum = pseudo_header(THERE.into(), HERE.into(), Protocol::ICMP6, answer.len() - 40);
        assert_eq!(fold(add(sum, &answer[40..])), 0xffff);
    }

    #[test]
    fn an_error_is_never_answered() {
        let error = answer(&tcp(1, 0x10, b"x"), Cause::NoRoute, THERE.into()).unwrap();
        assert_eq!(answer(&error, Cause::NoRoute, THERE.into()), None);
        let mut multicast = ipv6(17, &[0; 8]);
        multicast[24..40].copy_from_slice(&Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2).octets());
        assert_eq!(answer(&multicast, Cause::NoRoute, THERE.into()), None);
    }

    #[test]
    fn ipv4_is_answered_in_ipv4() {
        let mut packet = vec![0x45, 0, 0, 28, 0, 5, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0x10, 1, 0, 53, 0, 8, 0, 0]);
        let answer = answer(&packet, Cause::Prohibited, IpAddr::from([10, 0, 0, 2])).unwrap();
        assert_eq!(fold(add(0, &answer[..20])), 0xffff);
        assert_eq!(fold(add(0, &answer[20..])), 0xffff);
        assert!(matches!(Packet::parse(&answer).unwrap().tracking, Tracking::Error(_)));
    }
}
