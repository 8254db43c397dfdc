//! Names of things: nodes, links, labels.

use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A node's identity: its Ed25519 public key (RFC 8032), 32 bytes.
///
/// Written as 52 characters of lowercase base32 (RFC 4648 alphabet, no padding), which fits one DNS label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// The identity that belongs to an Ed25519 public key.
    pub const fn from_public_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The 32 bytes of the public key.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Borrows the 32 bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The XOR distance to `other` (Maymounkov and Mazières, Kademlia, 2002), most significant byte first.
    pub fn distance(&self, other: &PeerId) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ other.0[i])
    }

    /// The first ten characters: enough to tell nodes of a mesh apart when a person reads them.
    pub fn short(&self) -> String {
        self.to_string()[..10].to_owned()
    }

    /// The 64-bit tag under which this node appears in frames.
    pub fn tag(&self) -> Tag {
        let hash = blake3::derive_key("prunella 2026 frame tag", &self.0);
        Tag(u64::from_be_bytes(hash[..8].try_into().expect("BUG: eight bytes are eight bytes")))
    }
}

/// As the bytes are ordered, but two words at a time: every map of nodes and of records is searched by it.
impl Ord for PeerId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let halves = |id: &Self| (word(id.0.first_chunk()), word(id.0.last_chunk()));
        halves(self).cmp(&halves(other))
    }
}

impl PartialOrd for PeerId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32().encode(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.short())
    }
}

impl FromStr for PeerId {
    type Err = NotAPeerId;

    fn from_str(text: &str) -> Result<Self, NotAPeerId> {
        let bytes = base32().decode(text.as_bytes()).map_err(|_| NotAPeerId)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAPeerId)?))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PeerId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PeerId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[a-z2-7]{52}$",
            "description": "A node's identity: its Ed25519 public key in base32.",
        })
    }
}

/// As text where people read it, as its 32 bytes where they do not.
impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(Self)
        }
    }
}

impl TryFrom<String> for PeerId {
    type Error = NotAPeerId;

    fn try_from(text: String) -> Result<Self, NotAPeerId> {
        text.parse()
    }
}

impl From<PeerId> for String {
    fn from(id: PeerId) -> String {
        id.to_string()
    }
}

/// The text is not a peer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a peer id (52 characters of a-z and 2-7)")]
pub struct NotAPeerId;

/// A node's short name in frames: 64 bits derived from its [`PeerId`] by hashing.
///
/// It only steers replies; who somebody is, is proven by the session's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(pub u64);

impl Tag {
    /// The node's overlay address in `fd70:7275:6e65::/64` (RFC 4193 unique local addresses), self-certifying.
    pub const fn address(self) -> Ipv6Addr {
        let t = self.0;
        Ipv6Addr::new(0xfd70, 0x7275, 0x6e65, 0, (t >> 48) as u16, (t >> 32) as u16, (t >> 16) as u16, t as u16)
    }

    /// The tag inside an overlay address; `None` for any other address.
    pub fn from_address(address: &Ipv6Addr) -> Option<Self> {
        let s = address.segments();
        let tag = Tag((s[4] as u64) << 48 | (s[5] as u64) << 32 | (s[6] as u64) << 16 | s[7] as u64);
        (tag.address() == *address).then_some(tag)
    }
}

/// One link of this node, unique for the life of the process: a re-established link to the same neighbor has a new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId(pub u64);

/// What tells one signed record from every other: the first 16 bytes of the BLAKE3 hash of its signed bytes.
///
/// Two statements of one origin under one id and version have different items, so both can be asked for by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, bincode::Encode, bincode::Decode)]
pub struct ItemId(pub [u8; 16]);

impl ItemId {
    /// The item of a record with these signed bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_hash(blake3::hash(bytes).as_bytes())
    }

    /// The item of a record whose signed bytes have this BLAKE3 hash.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        Self(std::array::from_fn(|i| hash[i]))
    }
}

/// As the bytes are ordered, but as one number.
impl Ord for ItemId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for ItemId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemId({})", data_encoding::HEXLOWER.encode(&self.0[..6]))
    }
}

/// A node's own name for its link to one neighbor, as it stands in a frame's path. Zero is never given out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, bincode::Encode, bincode::Decode,
)]
pub struct Label(pub u16);

/// Sixteen bytes as the number that is ordered as they are.
#[inline]
fn word(bytes: Option<&[u8; 16]>) -> u128 {
    u128::from_be_bytes(*bytes.expect("BUG: an id is longer than a word"))
}

fn base32() -> Encoding {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.encoding().expect("BUG: the base32 alphabet is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_survives_its_text_form() {
        let id = PeerId::from_public_key(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().len(), 52);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("short".parse::<PeerId>(), Err(NotAPeerId));
    }

    #[test]
    fn distance_is_xor() {
        let (a, b) = (PeerId::from_public_key([0b1100; 32]), PeerId::from_public_key([0b1010; 32]));
        assert_eq!(a.distance(&b), [0b0110; 32]);
        assert_eq!(a.distance(&a), [0; 32]);
    }

    #[test]
    fn a_tag_survives_its_address() {
        let tag = PeerId::from_public_key([9; 32]).tag();
        assert_eq!(Tag::from_address(&tag.address()), Some(tag));
        assert_eq!(Tag::from_address(&Ipv6Addr::LOCALHOST), None);
    }

    #[test]
    fn ids_are_ordered_as_their_bytes_are() {
        let mut bytes: Vec<[u8; 32]> = (0..32).map(|i| std::array::from_fn(|j| if i == j { 200 } else { 7 })).collect();
        bytes.extend([[0; 32], [7; 32], [255; 32]]);
        for (a, b) in bytes.iter().flat_map(|a| bytes.iter().map(move |b| (a, b))) {
            assert_eq!(PeerId::from_public_key(*a).cmp(&PeerId::from_public_key(*b)), a.cmp(b));
            let half = |bytes: &[u8; 32]| -> [u8; 16] { std::array::from_fn(|i| bytes[i]) };
            assert_eq!(ItemId(half(a)).cmp(&ItemId(half(b))), half(a).cmp(&half(b)));
        }
    }
}
