//! How a packet is sealed for the peer: the form of what a frame of the kind [`Packet`](crate::frame::Kind::Packet) carries.
//!
//! | bytes | field | meaning |
//! | --- | --- | --- |
//! | 0 | what | see [`What`]; authenticated, as all of this header is |
//! | 1..3 | key | the receiver's number for the tunnel, as it said when the tunnel was made |
//! | 3..8 | counter | from one, never repeated in one direction of a tunnel |
//! | 8.. | sealed | the IP packet, AES-256-GCM; the nonce is four zero bytes and the counter |
//! | last 16 | tag | |
//!
//! **Keys move on.** The counter's upper 16 bits are its epoch, and each epoch has a key of its own, which follows from the
//! last one by a one-way function: whoever learns a key can read nothing of the epochs before it. A sender enters the next
//! epoch after [`EPOCH_LIFE`](crate::limits::EPOCH_LIFE), or when the numbers of this one are used up; nothing needs to
//! be said about it.

use crate::rejected::Rejected;

/// The length of what stands before a sealed packet, in bytes.
pub const SEALED_HEADER_BYTES: usize = 8;
/// The length of the tag behind it, in bytes.
pub const TAG_BYTES: usize = 16;
/// What sealing adds to a packet, in bytes.
pub const SEAL_BYTES: usize = SEALED_HEADER_BYTES + TAG_BYTES;
/// How many packets may be sealed in one epoch: far below what AES-GCM bears with one key (RFC 9001, appendix B.1).
pub const PACKETS_PER_EPOCH: u64 = 1 << EPOCH_SHIFT;
/// The last epoch: after it a tunnel has to be made anew.
pub const EPOCH_MAX: u16 = u16::MAX;

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A packet.
    Whole {
        /// Whether its transport checksum is still to be completed.
        checksum_left: bool,
    },
    /// The first part of one that does not fit the way; the rest has the next counter.
    Beginning {
        /// As of a whole one.
        checksum_left: bool,
    },
    /// The rest of one.
    End,
    /// A probe of how long a packet may be: as long as that, of any content.
    Probe,
    /// A probe came through: its length, in two bytes.
    Answer,
}

/// What stands before a sealed packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    /// What is sealed.
    pub what: What,
    /// The receiver's number for the tunnel.
    pub key: u16,
    /// The packet's number, below 2^40.
    pub counter: u64,
}

impl SealedHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEALED_HEADER_BYTES] {
        let mut bytes = self.counter.to_be_bytes();
        bytes[0] = match self.what {
            What::Whole { checksum_left } => CHECKSUM_LEFT * u8::from(checksum_left),
            What::Beginning { checksum_left } => BEGINNING | (CHECKSUM_LEFT * u8::from(checksum_left)),
            What::End => END,
            What::Probe => PROBE,
            What::Answer => ANSWER,
        };
        bytes[1..3].copy_from_slice(&self.key.to_be_bytes());
        bytes
    }

    /// Reads the header of what a frame carries.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it is too short to hold anything, or is neither of the things that it may be.
    pub fn decode(payload: &[u8]) -> Result<Self, Rejected> {
        let header: &[u8; SEALED_HEADER_BYTES] = payload.first_chunk().ok_or(Rejected::Malformed)?;
        if payload.len() <= SEAL_BYTES {
            return Err(Rejected::Malformed);
        }
        let checksum_left = header[0] & CHECKSUM_LEFT != 0;
        let what = match header[0] & !CHECKSUM_LEFT {
            0 => What::Whole { checksum_left },
            BEGINNING => What::Beginning { checksum_left },
            END if !checksum_left => What::End,
            PROBE if !checksum_left => What::Probe,
            ANSWER if !checksum_left => What::Answer,
            _ => return Err(Rejected::Malformed),
        };
        let key = u16::from_be_bytes([header[1], header[2]]);
        let mut counter = [0; 8];
        counter[3..].copy_from_slice(&header[3..]);
        Ok(Self { what, key, counter: u64::from_be_bytes(counter) })
    }
}

/// The epoch of a counter.
pub const fn epoch(counter: u64) -> u16 {
    (counter >> EPOCH_SHIFT) as u16
}

/// The first counter of an epoch. Zero is never used.
pub const fn first_of(epoch: u16) -> u64 {
    let first = (epoch as u64) << EPOCH_SHIFT;
    if first == 0 { 1 } else { first }
}

/// The nonce of a counter.
pub fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

const EPOCH_SHIFT: u32 = 24;
const CHECKSUM_LEFT: u8 = 1;
const BEGINNING: u8 = 2;
const END: u8 = 4;
const PROBE: u8 = 8;
const ANSWER: u8 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_survives_the_wire(key: u16, counter in 0u64..1 << 40, kind in 0u8..7) {
            let what = [
                What::Whole { checksum_left: false },
                What::Whole { checksum_left: true },
                What::Beginning { checksum_left: false },
                What::Beginning { checksum_left: true },
                What::End,
                What::Probe,
                What::Answer,
            ][usize::from(kind)];
            let header = SealedHeader { what, key, counter };
            let payload = [&header.encode()[..], &[0; TAG_BYTES + 1]].concat();
            prop_assert_eq!(SealedHeader::decode(&payload), Ok(header));
            prop_assert_eq!(SealedHeader::decode(&payload[..SEAL_BYTES]), Err(Rejected::Malformed));
        }

        #[test]
        fn garbage_is_turned_away_in_peace(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = SealedHeader::decode(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..SEALED_HEADER_BYTES]);
            }
        }
    }

    #[test]
    fn epochs_share_no_number() {
        assert_eq!((epoch(1), epoch(PACKETS_PER_EPOCH - 1), epoch(PACKETS_PER_EPOCH)), (0, 0, 1));
        assert_eq!((first_of(0), first_of(1), first_of(EPOCH_MAX)), (1, 1 << 24, 0xffff << 24));
        assert_eq!(epoch(first_of(EPOCH_MAX) + PACKETS_PER_EPOCH - 1), EPOCH_MAX);
        assert_ne!(nonce(1), nonce(256));
    }
}
