//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

use super::packet::Protocol;

/// The one's complement sum of `bytes`, on top of `sum`. Not folded: give it to [`fold`].
pub(super) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let total = words.iter().fold(sum, |sum, word| sum + u64::from(u32::from_be_bytes(*word)));
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_be_bytes(last))
}

/// A sum in 16 bits, not complemented.
pub(super) const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of what a transport checksum covers beside the segment itself (RFC 8200, section 8.1; RFC 9293, section 3.1).
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: Protocol, length: usize) -> u64 {
    let address = |sum, address| match address {
        IpAddr::V4(v4) => add(sum, &v4.octets()),
        IpAddr::V6(v6) => add(sum, &v6.octets()),
    };
    address(address(0, source), destination) + u64::from(protocol.0) + length as u64
}

/// Completes a checksum that was left to do: the field at `start + offset` holds the sum of the pseudo header, and what
/// is to be covered begins at `start`. False if that lies outside of the packet.
pub fn complete(packet: &mut [u8], start: usize, offset: usize) -> bool {
    if start + offset + 2 > packet.len() {
        return false;
    }
    let sum = fold(add(0, &packet[start..]));
    // Zero would say that there is no checksum (RFC 768).
    let sum = if sum == 0xffff { 0xffff } else { !sum };
    packet[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_sum_of_16_bit_words(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)));
            let mut sum: u32 = words.sum();
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            prop_assert_eq!(u32::from(fold(add(0, &bytes))), sum);
        }

        #[test]
        fn what_was_completed_adds_up(mut bytes in proptest::collection::vec(any::<u8>(), 20..200)) {
            prop_assert!(complete(&mut bytes, 4, 8));
            // The field held a sum on top of which the rest was covered: less that, the whole is all ones.
            let field = u64::from(u16::from_be_bytes([bytes[12], bytes[13]]));
            prop_assert!(field != 0);
        }
    }

    #[test]
    fn a_field_outside_of_the_packet_is_refused() {
        assert!(!complete(&mut [0; 10], 6, 4));
        assert!(complete(&mut [0; 12], 6, 4));
    }
}
