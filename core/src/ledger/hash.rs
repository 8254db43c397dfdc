//! SHA-256 as the trees of RFC 9162 use it.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use data_encoding::HEXLOWER;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Rejected;

/// A SHA-256 hash, 32 bytes; written as 64 hexadecimal digits where people read it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands for the entry before the first one.
    pub const NONE: Hash = Hash([0; 32]);

    /// The root of the tree without leaves: the hash of nothing (RFC 9162, section 2.1.1).
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf: `SHA-256(0x00 || bytes)` (RFC 9162, section 2.1.1).
    pub fn of_leaf(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update([LEAF]).chain_update(bytes).finalize().into())
    }

    /// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 9162, section 2.1.1).
    pub fn of_node(left: &Hash, right: &Hash) -> Self {
        Self(Sha256::new().chain_update([NODE]).chain_update(left.0).chain_update(right.0).finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", HEXLOWER.encode(&self.0[..6]))
    }
}

impl FromStr for Hash {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| Rejected::Malformed)?;
        Ok(Self(bytes.try_into().map_err(|_| Rejected::Malformed)?))
    }
}

/// As text where people read it, as its 32 bytes where they do not.
impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(Self)
        }
    }
}

/// What comes before a leaf's bytes.
const LEAF: u8 = 0x00;
/// What comes before the two hashes under an inner node, so that no node can be passed off as a leaf.
const NODE: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_text_form() {
        let hash = Hash::of_leaf(b"an entry");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("e3b0".parse::<Hash>(), Err(Rejected::Malformed));
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let (left, right) = (Hash([1; 32]), Hash([2; 32]));
        assert_ne!(Hash::of_node(&left, &right), Hash::of_leaf(&[left.0, right.0].concat()));
        assert_ne!(Hash::of_node(&left, &right), Hash::of_node(&right, &left));
    }
}
