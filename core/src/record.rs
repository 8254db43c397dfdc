//! Records: what gossip spreads. A signed, versioned statement by one origin.
//!
//! Relays cannot forge a record: what is signed is the bytes as received, never a re-encoding. The newest version by
//! the origin wins.

use std::net::SocketAddr;
use std::time::Duration;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::identity::{self, Identity};
use crate::limits::{
    ADDRESSES_MAX, CLOCK_SKEW_MAX, LINKS_PER_NODE_MAX, NODE_NAME_BYTES_MAX, RECORD_BODY_BYTES_MAX, RECORD_BYTES_MAX,
    RECORD_KEY_BYTES_MAX, RECORD_LIFE_MAX, REGION_BYTES_MAX, SERVICE_NAME_BYTES_MAX,
};
use crate::planted::{self, PlantedBug};
use crate::wire::codec;
use crate::{ItemId, Label, PeerId, Rejected, Verified};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub enum Kind {
    /// The node itself: its name and where it can be dialed. Key empty.
    Node,
    /// The origin's links to its neighbors. Key empty.
    Links,
    /// One service that the origin exposes. Key: the service's name.
    Service,
}

/// What makes a record unique; the newest version under one id wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct RecordId {
    /// Who says it.
    pub origin: PeerId,
    /// What it is about.
    pub kind: Kind,
    /// Tells records of one origin and kind apart.
    pub key: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Record {
    /// What it is about, and who says so.
    pub id: RecordId,
    /// Grows with every statement under this id: milliseconds of the origin's clock, or one more than the last.
    pub version: u64,
    /// When it was issued, in milliseconds since the Unix epoch.
    pub issued_ms: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The statement; [`Body::Withdrawn`] takes back what was said.
    pub body: Body,
}

/// The statement of a record, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum Body {
    /// What was said under this id no longer holds. Kept until it expires, so that the old statement stays away.
    Withdrawn,
    /// For [`Kind::Node`].
    Node(NodeBody),
    /// For [`Kind::Links`].
    Links(LinksBody),
    /// For [`Kind::Service`]: the origin answers for the service named by the key.
    Service,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct NodeBody {
    /// A name for people.
    pub name: String,
    /// Where it can be dialed (UDP).
    pub addresses: Vec<SocketAddr>,
    /// Where it stands, as its operator calls it; empty: nowhere in particular.
    pub region: String,
}

/// What a node says of its neighbors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LinksBody {
    /// Every link that is up.
    pub links: Vec<LinkBody>,
    /// Neighbors that do not answer any more, ascending. One such statement alone says little.
    pub accused: Vec<PeerId>,
    /// Accusations that the origin contradicts because it has round trips with the accuser, ascending.
    pub refuted: Vec<Refuted>,
}

/// An accusation that is contradicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct Refuted {
    /// Whose.
    pub accuser: PeerId,
    /// The version of the accuser's record that says it; what a later version says is not contradicted.
    pub version: u64,
}

/// One direction of one link, as its owner measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LinkBody {
    /// The neighbor at the other end.
    pub neighbor: PeerId,
    /// The owner's label for the link; it stands in a path to make the owner forward over it.
    pub label: Label,
    /// Smoothed round trip, in microseconds.
    pub rtt_us: u32,
    /// Lost probes, in thousandths.
    pub loss_permille: u16,
}

/// A record as it travels: the signed bytes and their signature. A claim, until [`SignedRecord::verify`] vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct SignedRecord {
    /// The encoded [`Record`].
    pub bytes: Vec<u8>,
    /// The origin's Ed25519 signature over a domain prefix and `bytes`; 64 bytes.
    pub signature: Vec<u8>,
}

/// A record and the signed bytes that prove it, so that it can be passed on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProvenRecord {
    /// The decoded statement.
    pub record: Record,
    /// The proof, as received.
    pub signed: SignedRecord,
    /// What tells it from every other record.
    pub item: ItemId,
}

impl Record {
    /// Signs the record as its origin.
    ///
    /// # Panics
    /// If `identity` is not the record's origin, or the record is over the limits: both are bugs of this node.
    pub fn sign(self, identity: &Identity) -> Verified<ProvenRecord> {
        assert_eq!(self.id.origin, identity.peer(), "BUG: a node signs only for itself");
        self.check().expect("BUG: a node's own record is within the limits");
        let bytes = codec::encode(&self);
        let signature = identity.sign(&signed_bytes(&bytes)).to_vec();
        let item = ItemId::of(&bytes);
        Verified::vouch(ProvenRecord { record: self, signed: SignedRecord { bytes, signature }, item })
    }

    /// Whether it holds at the wall-clock time `unix_ms`.
    ///
    /// # Errors
    /// [`Rejected::Stale`] if it has expired or comes from the future.
    pub fn check_time(&self, unix_ms: u64) -> Result<(), Rejected> {
        let future = self.issued_ms > unix_ms.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64);
        if self.expires_ms <= unix_ms || future { Err(Rejected::Stale) } else { Ok(()) }
    }

    /// Bounds, and a body that fits the kind.
    fn check(&self) -> Result<(), Rejected> {
        if self.id.key.len() > RECORD_KEY_BYTES_MAX || self.expires_ms <= self.issued_ms {
            return Err(Rejected::Malformed);
        }
        if Duration::from_millis(self.expires_ms - self.issued_ms) > RECORD_LIFE_MAX {
            return Err(Rejected::OverLimit);
        }
        let key_free = self.id.key.is_empty();
        match (self.id.kind, &self.body) {
            (Kind::Node, Body::Withdrawn) | (Kind::Links, Body::Withdrawn) if key_free => Ok(()),
            (Kind::Node, Body::Node(node)) if key_free => node.check(),
            (Kind::Links, Body::Links(body)) if key_free => body.check(),
            (Kind::Service, Body::Service | Body::Withdrawn) if is_service_name(&self.id.key) => Ok(()),
            _ => Err(Rejected::Malformed),
        }
    }
}

impl NodeBody {
    fn check(&self) -> Result<(), Rejected> {
        let bounded = self.name.len() <= NODE_NAME_BYTES_MAX
            && self.addresses.len() <= ADDRESSES_MAX
            && self.region.len() <= REGION_BYTES_MAX;
        if bounded { Ok(()) } else { Err(Rejected::OverLimit) }
    }
}

impl LinksBody {
    fn check(&self) -> Result<(), Rejected> {
        if self.links.len() + self.accused.len() > LINKS_PER_NODE_MAX || self.refuted.len() > LINKS_PER_NODE_MAX {
            return Err(Rejected::OverLimit);
        }
        let ascending = self.accused.is_sorted_by(|a, b| a < b) && self.refuted.is_sorted_by(|a, b| a < b);
        if ascending { Ok(()) } else { Err(Rejected::Malformed) }
    }
}

impl SignedRecord {
    /// About how long it is in a message, in bytes; never shorter than it really is.
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len() + self.signature.len() + 16
    }

    /// Decodes and checks a claim at the wall-clock time `unix_ms`.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] or [`Rejected::Malformed`] for its form, [`Rejected::Unsigned`] if the origin did not
    /// sign it, [`Rejected::Stale`] if it has expired or comes from the future.
    pub fn verify(self, unix_ms: u64) -> Result<Verified<ProvenRecord>, Rejected> {
        let record = self.decode()?;
        record.check_time(unix_ms)?;
        self.prove(record)
    }

    /// Decodes and checks a claim, whenever it was or will be true: for a node's own store.
    ///
    /// # Errors
    /// As [`SignedRecord::verify`], but never [`Rejected::Stale`].
    pub fn verify_signature(self) -> Result<Verified<ProvenRecord>, Rejected> {
        let record = self.decode()?;
        self.prove(record)
    }

    fn decode(&self) -> Result<Record, Rejected> {
        if self.bytes.len() > RECORD_BYTES_MAX + RECORD_BODY_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        let record: Record = codec::decode(&self.bytes)?;
        record.check()?;
        Ok(record)
    }

    fn prove(self, record: Record) -> Result<Verified<ProvenRecord>, Rejected> {
        let signature: &[u8; 64] = self.signature.as_slice().try_into().map_err(|_| Rejected::Malformed)?;
        if !planted::is(PlantedBug::SignatureUnchecked) {
            identity::verify(&record.id.origin, &signed_bytes(&self.bytes), signature)?;
        }
        let item = ItemId::of(&self.bytes);
        Ok(Verified::vouch(ProvenRecord { record, signed: self, item }))
    }
}

/// Whether `name` can be a service's name: 1 to 63 characters of a to z, 0 to 9 and the hyphen.
pub fn is_service_name(name: &str) -> bool {
    (1..=SERVICE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The prefix keeps a record's signature from meaning anything in another protocol.
fn signed_bytes(bytes: &[u8]) -> Vec<u8> {
    [b"prunella record v1\0".as_slice(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn service(identity: &Identity, name: &str, life_ms: u64) -> Record {
        Record {
            id: RecordId { origin: identity.peer(), kind: Kind::Service, key: name.to_owned() },
            version: 1,
            issued_ms: NOW_MS,
            expires_ms: NOW_MS + life_ms,
            body: Body::Service,
        }
    }

    #[test]
    fn a_signed_record_verifies_as_it_was_said() {
        let me = Identity::from_secret(&[1; 32]);
        let proven = service(&me, "web", 1000).sign(&me);
        let again = proven.signed.clone().verify(NOW_MS).expect("it is genuine");
        assert_eq!(again, proven);
    }

    #[test]
    fn any_flipped_bit_is_rejected() {
        let me = Identity::from_secret(&[1; 32]);
        let signed = service(&me, "web", 1000).sign(&me).signed.clone();
        for i in 0..signed.bytes.len() * 8 {
            let mut forged = signed.clone();
            forged.bytes[i / 8] ^= 1 << (i % 8);
            assert!(forged.verify(NOW_MS).is_err(), "bit {i}");
        }
    }

    #[test]
    fn expired_and_future_records_are_stale() {
        let me = Identity::from_secret(&[1; 32]);
        let signed = service(&me, "web", 1000).sign(&me).signed.clone();
        assert_eq!(signed.clone().verify(NOW_MS + 1000), Err(Rejected::Stale));
        assert_eq!(signed.verify(NOW_MS - 301_000), Err(Rejected::Stale));
    }

    #[test]
    fn a_body_must_fit_its_kind() {
        let me = Identity::from_secret(&[1; 32]);
        let mut record = service(&me, "web", 1000);
        record.id.kind = Kind::Links;
        let bytes = codec::encode(&record);
        let signature = me.sign(&signed_bytes(&bytes)).to_vec();
        assert_eq!(SignedRecord { bytes, signature }.verify(NOW_MS), Err(Rejected::Malformed));
    }

    #[test]
    fn names_of_services_are_plain() {
        assert!(is_service_name("web-2"));
        for bad in ["", "Web", "a b", "a/b", &"x".repeat(64)] {
            assert!(!is_service_name(bad), "{bad:?}");
        }
    }
}
