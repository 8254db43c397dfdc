//! Marks of congestion, inside and outside of what carries a packet (RFC 6040, normal mode).

use super::checksum::{add, fold};

/// The codepoint of congestion experienced.
pub const CONGESTION_EXPERIENCED: u8 = 0b11;

/// The two bits of an IP packet that say whether it was marked; zero if it is none.
pub fn of(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 6 => (second >> 4) & 0b11,
        [first, second, ..] if first >> 4 == 4 => second & 0b11,
        _ => 0,
    }
}

/// A packet came in one that was marked on its way: it is marked itself. False if it says that its sender would not
/// understand, and is to be dropped.
pub fn mark(packet: &mut [u8]) -> bool {
    match (of(packet), packet.first().map(|first| first >> 4)) {
        (0, _) => return false,
        (_, Some(6)) => packet[1] |= CONGESTION_EXPERIENCED << 4,
        (_, Some(4)) if packet.len() >= 20 => {
            packet[1] |= CONGESTION_EXPERIENCED;
            let header = usize::from(packet[0] & 0x0f) * 4;
            packet[10..12].fill(0);
            let sum = !fold(add(0, &packet[..header.clamp(20, packet.len())]));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_carried_into_the_packet_if_its_sender_understands() {
        let mut six = [0x60, 0x20, 0, 0];
        assert_eq!(of(&six), 2);
        assert!(mark(&mut six));
        assert_eq!((of(&six), six[0]), (3, 0x60));
        assert!(!mark(&mut [0x60, 0, 0, 0]), "not capable: a loss is all that it would understand");
        let mut four = [0; 20];
        (four[0], four[1]) = (0x45, 1);
        assert!(mark(&mut four));
        assert_eq!((of(&four), fold(add(0, &four))), (3, 0xffff));
        assert_eq!(of(&[0x45]), 0);
    }
}
