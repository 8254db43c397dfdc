//! The proof, kept beside the entries, that they are all there: how many batches were applied, and a sum over all entries.
//!
//! The engine recovers what it can and says nothing of what it dropped; the tally changes in the same atomic batch as
//! the entries, so entries that got lost on disk do not add up.

/// What every batch leaves behind. The default is that of an empty store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many batches were ever applied.
    pub(crate) generation: u64,
    /// The wrapping sum of the fingerprints of all entries.
    pub(crate) sum: u64,
}

impl Tally {
    /// Counts in an entry that is there from now on.
    pub(crate) fn enter(&mut self, key: &[u8], value: &[u8]) {
        self.sum = self.sum.wrapping_add(fingerprint(key, value));
    }

    /// Counts out an entry that is gone from now on.
    pub(crate) fn strike(&mut self, key: &[u8], value: &[u8]) {
        self.sum = self.sum.wrapping_sub(fingerprint(key, value));
    }

    pub(crate) fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, sum) = bytes.split_first_chunk()?;
        Some(Self { generation: u64::from_be_bytes(*generation), sum: u64::from_be_bytes(sum.try_into().ok()?) })
    }
}

/// FNV-1a over both parts and the key's length, then mixed so that sums of it do not cancel out. It guards against
/// accidents, not against someone who writes to the disk; the format fixes it, so it cannot be the standard library's.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    let length = (key.len() as u64).to_be_bytes();
    let bytes = length.iter().chain(key).chain(value);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struck_entry_leaves_no_trace_and_order_does_not_matter() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.enter(b"a", b"1");
        one.enter(b"b", b"2");
        other.enter(b"b", b"2");
        other.enter(b"c", b"3");
        other.enter(b"a", b"1");
        assert_ne!(one, other);
        other.strike(b"c", b"3");
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_key_and_what_is_value_matters() {
        assert_ne!(fingerprint(b"ab", b"c"), fingerprint(b"a", b"bc"));
    }

    #[test]
    fn a_tally_reads_back_as_written_and_in_no_other_length() {
        let tally = Tally { generation: 7, sum: u64::MAX };
        assert_eq!(Tally::decode(&tally.encode()), Some(tally));
        assert_eq!(Tally::decode(&tally.encode()[..15]), None);
        assert_eq!(Tally::decode(&[0; 17]), None);
    }
}
