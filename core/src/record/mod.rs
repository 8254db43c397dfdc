//! Records: what gossip spreads. A signed, versioned statement by one origin.
//!
//! Relays cannot forge a record: what is signed is the bytes as received, never a re-encoding. The newest version by
//! the origin wins. [`SignedRecord`] is a record as it travels, [`verify_all`] turns many of them into records that a
//! role may hear, [`Equivocation`] is the proof that an origin said two things at once, and [`Place`] that two were neighbors.

mod batch;
mod encoding;
mod endorsement;
mod equivocation;
mod place;
mod signature;
mod signed;
mod verify;

use std::net::SocketAddr;
use std::time::Duration;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use batch::Path;
pub use endorsement::{Digest, Matter};
pub use equivocation::Equivocation;
pub use place::Place;
pub use signature::{Known, SignatureKey, VerifiedCache};
pub use signed::{Proven, ProvenRecord, SignedRecord};
pub use verify::verify_all;

use crate::ledger::SignedHead;
use crate::limits::{
    ADDRESSES_MAX, ENDORSEMENT_BYTES_MAX, LINKS_PER_NODE_MAX, NODE_NAME_BYTES_MAX, RECORD_KEY_BYTES_MAX,
    RECORD_LIFE_MAX, REGION_BYTES_MAX, ROUTES_ANNOUNCED_MAX, SERVICE_NAME_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use crate::overlay::Prefix;
use crate::shared::{self, Write};
use crate::{Label, PeerId, Rejected};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub enum Kind {
    /// The node itself: its name and where it can be dialed. Key empty.
    Node,
    /// The origin's links to its neighbors. Key empty.
    Links,
    /// One service that the origin exposes. Key: the service's name.
    Service,
    /// Proof that a node said two things at once. Key: the peer id of the accused; the origin is who found it.
    Equivocation,
    /// What the origin wrote under a key that everybody may write. Key: the shared key.
    Shared,
    /// What the origin makes of its neighbors. Key empty.
    Judgments,
    /// What the authority of the mesh, or an issuer, has said; the origin only hands it on. Key: its subject.
    Statement,
    /// The newest head of the origin's ledger. Key empty.
    LedgerHead,
    /// Proof that the origin, which believes a neighbor no more, was its neighbor. Key: the peer id of that one.
    Place,
    /// The origin's second signature of what else it says. Key: the [`Matter`]'s.
    Endorsement,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Kind; 10] = [
        Kind::Node,
        Kind::Links,
        Kind::Service,
        Kind::Equivocation,
        Kind::Shared,
        Kind::Judgments,
        Kind::Statement,
        Kind::LedgerHead,
        Kind::Place,
        Kind::Endorsement,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Node => "node",
            Kind::Links => "links",
            Kind::Service => "service",
            Kind::Equivocation => "equivocation",
            Kind::Shared => "shared",
            Kind::Judgments => "judgments",
            Kind::Statement => "statement",
            Kind::LedgerHead => "ledger-head",
            Kind::Place => "place",
            Kind::Endorsement => "endorsement",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether such a record is worth keeping through the end of a process: links, and what is made of neighbors, are told
    /// anew by then.
    pub const fn outlives_processes(self) -> bool {
        !matches!(self, Kind::Links | Kind::Judgments | Kind::Place)
    }
}

/// What makes a record unique; the newest version under one id wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode)]
pub struct RecordId {
    /// Who says it.
    pub origin: PeerId,
    /// What it is about.
    pub kind: Kind,
    /// Tells records of one origin and kind apart.
    pub key: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is about, and who says so.
    pub id: RecordId,
    /// Grows with every statement under this id: milliseconds of the origin's clock, or one more than the last, above
    /// [`LIFE_BITS`] that tell the lives of the origin apart.
    pub version: u64,
    /// When it was issued, in milliseconds since the Unix epoch.
    pub issued_ms: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The statement; [`Body::Withdrawn`] takes back what was said.
    pub body: Body,
}

/// The low bits of a version, drawn at random when a node starts: so two of its lives never say different things under
/// one version, even when its clock was set back.
pub const LIFE_BITS: u32 = 16;

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
    /// For [`Kind::Equivocation`]. It cannot be withdrawn: what was proven stays so.
    Equivocation(Box<Equivocation>),
    /// For [`Kind::Shared`].
    Shared(Write),
    /// For [`Kind::Judgments`].
    Judgments(JudgmentsBody),
    /// For [`Kind::Statement`]: the statement with its proof, which are for others to read.
    Statement(Vec<u8>),
    /// For [`Kind::LedgerHead`]: signed once more, in the form that foreign tools check. It cannot be withdrawn: a ledger
    /// only grows.
    LedgerHead(SignedHead),
    /// For [`Kind::Place`].
    Place(Box<Place>),
    /// For [`Kind::Endorsement`]: the signature with its certificates, which are for others to read. It cannot be withdrawn: it
    /// counts for nothing when what it endorses is not said any more.
    Endorsement(Vec<u8>),
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
    /// Networks that stand behind it, ascending: it passes on what is for them, to whoever its policy lets.
    pub announced: Vec<Prefix>,
}

/// What a node says of its neighbors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LinksBody {
    /// Every link that is up, and those that are down for moments only and were at rest.
    pub links: Vec<LinkBody>,
}

/// What a node makes of its neighbors. It stands beside the links, because it is short and told when a node dies: by
/// every neighbor, to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct JudgmentsBody {
    /// Neighbors that do not answer any more, ascending: accused, and whatever the origin's links record says of a link
    /// to them does not hold. One accusation alone says little.
    pub silent: Vec<PeerId>,
    /// Neighbors that answer too seldom, ascending: accused as well, though frames may be sent to them.
    pub failing: Vec<PeerId>,
    /// Accusations that the origin contradicts because it has round trips with the accuser, ascending.
    pub refuted: Vec<Refuted>,
    /// Whom the origin believes no more for what they sent to it as its neighbors, ascending. That they answer is another
    /// matter, and one word alone says little here, too.
    pub distrusted: Vec<PeerId>,
}

/// An accusation that is contradicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct Refuted {
    /// Whose.
    pub accuser: PeerId,
    /// The version of the accuser's judgments that says it; what a later version says is not contradicted.
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

impl Record {
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
            (Kind::Node | Kind::Links | Kind::Judgments, Body::Withdrawn) if key_free => Ok(()),
            (Kind::Node, Body::Node(node)) if key_free => node.check(),
            (Kind::Links, Body::Links(body)) if key_free => body.check(),
            (Kind::Judgments, Body::Judgments(body)) if key_free => body.check(),
            (Kind::Service, Body::Service | Body::Withdrawn) if is_service_name(&self.id.key) => Ok(()),
            (Kind::Statement, Body::Statement(bytes)) if is_subject(&self.id.key) => {
                if bytes.len() <= STATEMENT_BYTES_MAX { Ok(()) } else { Err(Rejected::OverLimit) }
            }
            (Kind::Statement, Body::Withdrawn) if is_subject(&self.id.key) => Ok(()),
            // Its own signature is checked with that of the record.
            (Kind::LedgerHead, Body::LedgerHead(head)) if key_free => {
                if head.head.ledger == self.id.origin {
                    head.check()
                } else {
                    Err(Rejected::WrongOrigin)
                }
            }
            (Kind::Endorsement, Body::Endorsement(bytes)) if Matter::with_key(&self.id.key).is_some() => {
                if bytes.len() <= ENDORSEMENT_BYTES_MAX { Ok(()) } else { Err(Rejected::OverLimit) }
            }
            // What it proves is checked with its signatures, by [`Equivocation::check`].
            (Kind::Equivocation, Body::Equivocation(_)) => Ok(()),
            // So is this, by [`Place::check`].
            (Kind::Place, Body::Place(_)) => Ok(()),
            (Kind::Place, Body::Withdrawn) if self.id.key.parse::<PeerId>().is_ok() => Ok(()),
            (Kind::Shared, Body::Shared(write)) if shared::is_key(&self.id.key) => {
                write.check(&self.id.origin, self.issued_ms)
            }
            _ => Err(Rejected::Malformed),
        }
    }
}

impl NodeBody {
    fn check(&self) -> Result<(), Rejected> {
        let bounded = self.name.len() <= NODE_NAME_BYTES_MAX
            && self.addresses.len() <= ADDRESSES_MAX
            && self.region.len() <= REGION_BYTES_MAX
            && self.announced.len() <= ROUTES_ANNOUNCED_MAX;
        if !bounded {
            return Err(Rejected::OverLimit);
        }
        let ascending = self.announced.is_sorted_by(|a, b| a < b);
        let sound = self.announced.iter().all(|prefix| prefix.check_announced().is_ok());
        if ascending && sound { Ok(()) } else { Err(Rejected::Malformed) }
    }
}

impl LinksBody {
    /// Whether both tell of links to the same neighbors.
    pub(crate) fn has_neighbors_of(&self, other: &Self) -> bool {
        self.links.iter().map(|link| link.neighbor).eq(other.links.iter().map(|link| link.neighbor))
    }

    /// The links, less those to these neighbors, ascending.
    pub(crate) fn less<'a>(&'a self, silent: &'a [PeerId]) -> impl Iterator<Item = LinkBody> + 'a {
        self.links.iter().filter(|link| silent.binary_search(&link.neighbor).is_err()).copied()
    }

    fn check(&self) -> Result<(), Rejected> {
        if self.links.len() <= LINKS_PER_NODE_MAX { Ok(()) } else { Err(Rejected::OverLimit) }
    }
}

impl JudgmentsBody {
    /// Whether the origin has nothing against anybody.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), Rejected> {
        let lengths = [self.silent.len() + self.failing.len(), self.refuted.len(), self.distrusted.len()];
        if lengths.into_iter().any(|length| length > LINKS_PER_NODE_MAX) {
            return Err(Rejected::OverLimit);
        }
        let lists = [&self.silent, &self.failing, &self.distrusted];
        let ascending = lists.into_iter().all(|list| list.is_sorted_by(|a, b| a < b));
        if ascending && self.refuted.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(Rejected::Malformed) }
    }
}

/// Whether `name` can be a service's name: 1 to 63 characters of a to z, 0 to 9 and the hyphen.
pub fn is_service_name(name: &str) -> bool {
    (1..=SERVICE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `key` can be a statement's subject: 16 hexadecimal digits.
fn is_subject(key: &str) -> bool {
    key.len() == 16 && key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_found_by_its_name() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, Kind::named(kind.name())), (i, Some(kind)));
        }
        assert_eq!(Kind::Endorsement as usize + 1, Kind::ALL.len(), "the last one is listed");
        assert_eq!(Kind::named("rumor"), None);
    }

    #[test]
    fn names_of_services_are_plain() {
        assert!(is_service_name("web-2"));
        for bad in ["", "Web", "a b", "a/b", &"x".repeat(64)] {
            assert!(!is_service_name(bad), "{bad:?}");
        }
    }
}
