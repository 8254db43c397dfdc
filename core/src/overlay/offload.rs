//! What an interface says before each packet: which work on it is left to do (virtio 1.2, section 5.1.6).

use crate::rejected::Rejected;

/// The length of what stands before each packet, in bytes.
pub const OFFLOAD_BYTES: usize = 10;

/// The work that is left to do on a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where the transport header begins, and where in it the checksum lies that is to be completed.
    pub checksum: Option<(u16, u16)>,
    /// Into what it is to be segmented, and how long the payload of a segment is, in bytes.
    pub segment: Option<(Segmentation, u16)>,
    /// The length of all headers, in bytes, of what is to be segmented. What an interface hands over may say less.
    pub headers: u16,
    /// Whether the first segment alone says that the congestion window was reduced.
    pub has_ecn: bool,
}

/// Into what a packet is to be segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
}

impl Offload {
    /// Reads what stands before a packet. The numbers are of the machine's own byte order.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it asks for something that no interface was told it may.
    pub fn decode(bytes: &[u8; OFFLOAD_BYTES]) -> Result<Self, Rejected> {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let kind = bytes[1] & !GSO_ECN;
        let kind = match kind {
            GSO_NONE => None,
            GSO_TCP4 => Some(Segmentation::Tcp4),
            GSO_TCP6 => Some(Segmentation::Tcp6),
            GSO_UDP => Some(Segmentation::Udp),
            _ => return Err(Rejected::Malformed),
        };
        let checksum = (bytes[0] & NEEDS_CHECKSUM != 0).then(|| (word(6), word(8)));
        if kind.is_some() && (checksum.is_none() || word(4) == 0) {
            return Err(Rejected::Malformed);
        }
        let segment = kind.map(|kind| (kind, word(4)));
        Ok(Self { checksum, segment, headers: word(2), has_ecn: bytes[1] & GSO_ECN != 0 })
    }

    /// What to write before a packet.
    pub fn encode(&self) -> [u8; OFFLOAD_BYTES] {
        let mut bytes = [0; OFFLOAD_BYTES];
        let mut put = |at: usize, word: u16| bytes[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        put(2, self.headers);
        if let Some((_, length)) = self.segment {
            put(4, length);
        }
        if let Some((start, offset)) = self.checksum {
            put(6, start);
            put(8, offset);
            bytes[0] = NEEDS_CHECKSUM;
        }
        bytes[1] = match self.segment {
            None => GSO_NONE,
            Some((Segmentation::Tcp4, _)) => GSO_TCP4,
            Some((Segmentation::Tcp6, _)) => GSO_TCP6,
            Some((Segmentation::Udp, _)) => GSO_UDP,
        };
        if self.has_ecn {
            bytes[1] |= GSO_ECN;
        }
        bytes
    }
}

const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_do_survives_the_interface() {
        let plain = Offload::default();
        let checksum = Offload { checksum: Some((40, 16)), ..plain };
        let long = Offload { segment: Some((Segmentation::Tcp6, 1308)), headers: 72, has_ecn: true, ..checksum };
        let udp = Offload { segment: Some((Segmentation::Udp, 1200)), headers: 48, ..checksum };
        for offload in [plain, checksum, long, udp] {
            assert_eq!(Offload::decode(&offload.encode()), Ok(offload));
        }
        assert_eq!(plain.encode(), [0; OFFLOAD_BYTES]);
    }

    #[test]
    fn what_makes_no_sense_is_malformed() {
        let long =
            Offload { checksum: Some((40, 16)), segment: Some((Segmentation::Tcp6, 1308)), ..Offload::default() };
        for (at, value) in [(0, 0), (1, 3), (1, 9)] {
            let mut bytes = long.encode();
            bytes[at] = value;
            assert_eq!(Offload::decode(&bytes), Err(Rejected::Malformed), "{at} {value}");
        }
        let mut endless = long.encode();
        endless[4..6].fill(0);
        assert_eq!(Offload::decode(&endless), Err(Rejected::Malformed), "segments of no length");
    }
}
