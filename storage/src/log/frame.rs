//! How an entry lies in a file: a header that says what follows and whether it is what was written, and the entry.
//!
//! Headers are chained by their checks: what was left behind by a batch that failed does not fit what was written later in
//! its place, and a header that is damaged can be made again and compared with what the next one says of it.

/// Says what follows, and whether it is what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The entry's number.
    pub(super) index: u64,
    /// The number of the first entry that was written together with it.
    pub(super) batch: u64,
    /// The check of the header before this one.
    pub(super) previous: Check,
    /// How long the entry is, in bytes.
    pub(super) length: u32,
    /// The BLAKE3 hash of the entry.
    pub(super) hash: [u8; 32],
}

/// Begins every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// The number of the file's first entry.
    pub(super) first: u64,
    /// The check of the header before it.
    pub(super) previous: Check,
}

/// The first half of the BLAKE3 hash of everything else in a header.
pub(super) type Check = [u8; 16];

impl Header {
    pub(super) fn of(entry: &[u8], index: u64, batch: u64, previous: Check) -> Self {
        let length = u32::try_from(entry.len()).expect("BUG: an entry is bounded");
        Self { index, batch, previous, length, hash: *blake3::hash(entry).as_bytes() }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MARK);
        bytes[4..8].copy_from_slice(&self.length.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.index.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.batch.to_be_bytes());
        bytes[24..40].copy_from_slice(&self.previous);
        bytes[40..72].copy_from_slice(&self.hash);
        let check = check(&bytes[..72]);
        bytes[72..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn check(&self) -> Check {
        last(&self.encode())
    }

    /// The header with which these bytes begin, if it is one, and undamaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if bytes[..4] != *MARK || check(&bytes[..72]) != last(bytes) {
            return None;
        }
        Some(Self {
            length: u32::from_be_bytes(array(&bytes[4..8])),
            index: u64::from_be_bytes(array(&bytes[8..16])),
            batch: u64::from_be_bytes(array(&bytes[16..24])),
            previous: array(&bytes[24..40]),
            hash: array(&bytes[40..72]),
        })
    }

    /// The bytes of header and entry.
    pub(super) fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize
    }

    pub(super) fn fits(&self, entry: &[u8]) -> bool {
        entry.len() == self.length as usize && *blake3::hash(entry).as_bytes() == self.hash
    }
}

impl Opening {
    pub(super) fn encode(&self) -> [u8; OPENING_BYTES] {
        let mut bytes = [0; OPENING_BYTES];
        bytes[..8].copy_from_slice(FORMAT);
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.previous);
        let check = check(&bytes[..32]);
        bytes[32..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; OPENING_BYTES] = bytes.first_chunk()?;
        let sound = bytes[..8] == *FORMAT && check(&bytes[..32]) == last(bytes);
        sound.then(|| Self { first: u64::from_be_bytes(array(&bytes[8..16])), previous: array(&bytes[16..32]) })
    }
}

fn check(bytes: &[u8]) -> Check {
    array(&blake3::hash(bytes).as_bytes()[..16])
}

fn last(bytes: &[u8]) -> Check {
    array(&bytes[bytes.len() - 16..])
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("BUG: the slice was cut to this length")
}

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 88;
/// Bytes of a file's opening.
pub(super) const OPENING_BYTES: usize = 48;
/// Begins every header.
pub(super) const MARK: &[u8; 4] = b"entr";
/// Begins every file: what it is, and the version of its format.
const FORMAT: &[u8; 8] = b"prunlog1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_a_header_or_an_opening_is_noticed() {
        let header = Header::of(b"an entry", 7, 5, [3; 16]);
        assert_eq!(Header::decode(&header.encode()), Some(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
        }
        let opening = Opening { first: 9, previous: [1; 16] };
        assert_eq!(Opening::decode(&opening.encode()), Some(opening));
        for bit in 0..OPENING_BYTES * 8 {
            let mut bytes = opening.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Opening::decode(&bytes), None, "bit {bit}");
        }
    }
}
