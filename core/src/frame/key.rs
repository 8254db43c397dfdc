//! The key of one link and direction, and the MAC that it makes.

use std::fmt;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use super::{HEADER_BYTES, Kind, at};
use crate::rejected::Rejected;

/// The key of one link in one direction: 128 bits that both neighbors derive from their TLS connection.
///
/// The MAC is SipHash-2-4 (Aumasson and Bernstein, 2012) over the header without the MAC, followed by the payload's
/// length (for data and packets, whose payload is already sealed end to end) or by the whole payload (for every other kind).
#[derive(Clone, PartialEq, Eq)]
pub struct FrameKey([u8; 16]);

impl FrameKey {
    /// The key with these 128 bits.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 128 bits, for the half of the datapath that is in the kernel.
    pub const fn to_bytes(&self) -> [u8; 16] {
        self.0
    }

    /// What only the holders of the key can know of an address: whoever tells it was sent it there. No MAC of a frame is like
    /// it, because what those cover is longer.
    pub fn cookie(&self, address: SocketAddr) -> u64 {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut input = [0; 18];
        input[..16].copy_from_slice(&ip.octets());
        input[16..].copy_from_slice(&address.port().to_be_bytes());
        SipHasher24::new_with_key(&self.0).hash(&input)
    }

    /// Writes the MAC of `frame` into its header.
    ///
    /// # Panics
    /// If `frame` is shorter than a header.
    pub fn seal(&self, frame: &mut [u8]) {
        let mac = self.mac(frame);
        frame[at::MAC..HEADER_BYTES].copy_from_slice(&mac.to_be_bytes());
    }

    /// Checks the MAC of `frame`.
    ///
    /// # Errors
    /// [`Rejected::Unsigned`] if it does not fit, [`Rejected::Malformed`] if there is no room for one.
    pub fn verify(&self, frame: &[u8]) -> Result<(), Rejected> {
        let stated = frame.get(at::MAC..HEADER_BYTES).ok_or(Rejected::Malformed)?;
        let stated = u64::from_be_bytes(stated.try_into().expect("BUG: the MAC is eight bytes"));
        if stated == self.mac(frame) { Ok(()) } else { Err(Rejected::Unsigned) }
    }

    fn mac(&self, frame: &[u8]) -> u64 {
        let payload = &frame[HEADER_BYTES..];
        if matches!(frame[at::KIND], DATA | COPY | PACKET | PACKET_COPY) {
            // One call over one array: a streaming hasher costs twice as much for so few bytes.
            let mut input = [0; at::MAC + 2];
            input[..at::MAC].copy_from_slice(&frame[..at::MAC]);
            // A UDP datagram is shorter than 65536 bytes, so nothing is cut off.
            input[at::MAC..].copy_from_slice(&(payload.len() as u16).to_be_bytes());
            return SipHasher24::new_with_key(&self.0).hash(&input);
        }
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&frame[..at::MAC]);
        hasher.write(payload);
        hasher.finish()
    }
}

const DATA: u8 = Kind::Data as u8;
const COPY: u8 = Kind::Copy as u8;
const PACKET: u8 = Kind::Packet as u8;
const PACKET_COPY: u8 = Kind::PacketCopy as u8;

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_covers_what_the_protocol_says() {
        let key = FrameKey::from_bytes(std::array::from_fn(|i| i as u8));
        let mut data = [7u8; HEADER_BYTES + 20];
        data[at::KIND] = Kind::Data as u8;
        key.seal(&mut data);
        let expected = {
            let mut input = data[..at::MAC].to_vec();
            input.extend([0, 20]);
            SipHasher24::new_with_key(&key.0).hash(&input)
        };
        assert_eq!(data[at::MAC..HEADER_BYTES], expected.to_be_bytes());
        data[HEADER_BYTES] ^= 1;
        assert_eq!(key.verify(&data), Ok(()), "a data payload is sealed end to end, not here");
        assert_eq!(key.verify(&data[..HEADER_BYTES + 19]), Err(Rejected::Unsigned), "its length is");
        data[at::KIND] = Kind::Probe as u8;
        key.seal(&mut data);
        data[HEADER_BYTES] ^= 1;
        assert_eq!(key.verify(&data), Err(Rejected::Unsigned), "a probe's payload is");
    }

    #[test]
    fn a_key_never_shows_itself() {
        assert_eq!(format!("{:?}", FrameKey::from_bytes([42; 16])), "FrameKey(..)");
    }
}
