//! Proof that a node was somebody's neighbor: that one's own word, in a record of its links.
//!
//! Whoever isolates a neighbor has no link to it any more, so nothing that holds says that it knows it from one. Nodes that
//! saw the two as a pair remember; a node that starts later has this.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::signature::Known;
use super::{Body, ProvenRecord, Record, SignedRecord, verify};
use crate::{PeerId, Rejected};

/// A node's links record, with its signature, in which it names a neighbor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Place {
    links: SignedRecord,
    /// Who names its neighbors there. It stands here so that nobody has to decode the record to see it.
    host: PeerId,
    /// When what it says ends, in milliseconds since the Unix epoch.
    ends_ms: u64,
}

impl Place {
    /// The proof that `neighbor` was one of the neighbors that `links` names; `None` if it does not prove that.
    pub fn of(links: &ProvenRecord, neighbor: &PeerId) -> Option<Self> {
        let record = &links.record;
        names(record, neighbor).then(|| Self {
            links: links.signed.clone(),
            host: record.id.origin,
            ends_ms: record.expires_ms,
        })
    }

    /// Whether a record proves that `neighbor` was a neighbor of its origin.
    pub(crate) fn is_proven(links: &ProvenRecord, neighbor: &PeerId) -> bool {
        names(&links.record, neighbor)
    }

    /// Around whom the place was.
    pub fn host(&self) -> PeerId {
        self.host
    }

    /// When the proof ends, in milliseconds since the Unix epoch: with the record that it rests on. So places that were held
    /// long ago, one after another, do not add up.
    pub fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    /// Checks that the proof proves what `record`, in which it stands, says by its key and its origin.
    ///
    /// # Errors
    /// [`Rejected::WrongOrigin`] if the key is not the host, [`Rejected::OverLimit`] if the record outlives the proof,
    /// [`Rejected::Inconsistent`] if the proof proves nothing, and whatever is wrong with what it rests on.
    pub(super) fn check(&self, record: &Record, known: &mut impl Known) -> Result<(), Rejected> {
        if record.id.key != self.host.to_string() {
            return Err(Rejected::WrongOrigin);
        }
        if record.expires_ms > self.ends_ms {
            return Err(Rejected::OverLimit);
        }
        let links = verify::decode(&self.links.bytes)?;
        let as_told = links.id.origin == self.host && links.expires_ms == self.ends_ms;
        if !as_told || !names(&links, &record.id.origin) {
            return Err(Rejected::Inconsistent);
        }
        verify::check_signature(&self.links, &self.host, known)
    }
}

/// Whether it is a links record of somebody else that names this neighbor.
fn names(record: &Record, neighbor: &PeerId) -> bool {
    let Body::Links(body) = &record.body else { return false };
    record.id.origin != *neighbor && body.links.iter().any(|link| link.neighbor == *neighbor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::limits::{BATCH_RECORDS_MAX, LINKS_PER_NODE_MAX, PLACE_BYTES_MAX};
    use crate::record::{Kind, LinkBody, LinksBody, RecordId};
    use crate::{Label, Verified};

    const NOW_MS: u64 = 1_800_000_000_000;

    fn identity(i: u8) -> Identity {
        Identity::from_secret(&[i; 32])
    }

    fn record(origin: &Identity, kind: Kind, key: &str, body: Body) -> Record {
        let id = RecordId { origin: origin.peer(), kind, key: key.to_owned() };
        Record { id, version: 1, issued_ms: NOW_MS, expires_ms: NOW_MS + 1000, body }
    }

    /// The host, number 2, names these as its neighbors.
    fn links(neighbors: &[PeerId]) -> Record {
        let link = |neighbor: &PeerId| LinkBody {
            neighbor: *neighbor,
            label: Label(u16::MAX),
            rtt_us: u32::MAX,
            loss_permille: u16::MAX,
        };
        let body = LinksBody { links: neighbors.iter().map(link).collect() };
        record(&identity(2), Kind::Links, "", Body::Links(body))
    }

    fn proof() -> Place {
        let links = links(&[identity(1).peer(), identity(3).peer()]).sign(&identity(2));
        Place::of(&links, &identity(1).peer()).expect("it is named there")
    }

    /// What becomes of a record of somebody's in which this stands.
    fn verdict(by: u8, host: &Identity, place: Place, last_ms: u64) -> Result<Verified<ProvenRecord>, Rejected> {
        let mut said = record(&identity(by), Kind::Place, &host.peer().to_string(), Body::Place(Box::new(place)));
        said.expires_ms = last_ms;
        said.sign(&identity(by)).signed.clone().verify(NOW_MS)
    }

    #[test]
    fn a_place_is_proven_by_the_word_of_its_host_alone() {
        let (host, last) = (identity(2), NOW_MS + 1000);
        assert!(verdict(1, &host, proof(), last).is_ok());
        let refused = |by: u8, host: &Identity, place: Place, last| verdict(by, host, place, last).unwrap_err();
        assert_eq!(refused(4, &host, proof(), last), Rejected::Inconsistent, "it is not named there");
        assert_eq!(refused(1, &identity(3), proof(), last), Rejected::WrongOrigin, "it is about another node");
        assert_eq!(refused(1, &host, proof(), last + 1), Rejected::OverLimit, "it would outlive what it rests on");
        let longer = Place { ends_ms: last + 1, ..proof() };
        assert_eq!(refused(1, &host, longer, last), Rejected::Inconsistent);
        let other = Place { host: identity(3).peer(), ..proof() };
        assert_eq!(refused(1, &identity(3), other, last), Rejected::Inconsistent, "the host has signed nothing");
        let mut bent = proof();
        bent.links.signature[0] ^= 1;
        assert_eq!(refused(1, &host, bent, last), Rejected::Unsigned, "the neighbor made it up");
        let mut odd = proof();
        odd.links.bytes.push(0);
        assert_eq!(refused(1, &host, odd, last), Rejected::NonCanonical);
        let own = Place { links: links(&[host.peer()]).sign(&host).signed.clone(), ..proof() };
        assert_eq!(refused(2, &host, own, last), Rejected::Inconsistent, "nobody is a neighbor of itself");
    }

    #[test]
    fn nothing_but_a_links_record_names_neighbors() {
        let (me, host) = (identity(1), identity(2));
        let withdrawn = record(&host, Kind::Links, "", Body::Withdrawn).sign(&host);
        assert_eq!(Place::of(&withdrawn, &me.peer()), None);
        assert_eq!(Place::of(&links(&[identity(3).peer()]).sign(&host), &me.peer()), None);
        let place = Place { links: withdrawn.signed.clone(), ..proof() };
        assert_eq!(verdict(1, &host, place, NOW_MS + 1000).unwrap_err(), Rejected::Inconsistent);
        let within = record(&host, Kind::Place, &me.peer().to_string(), Body::Withdrawn).sign(&host);
        let place = Place { links: within.signed.clone(), ..proof() };
        assert_eq!(verdict(1, &host, place, NOW_MS + 1000).unwrap_err(), Rejected::Inconsistent);
        let nobody = record(&host, Kind::Place, "somebody", Body::Withdrawn);
        assert_eq!(nobody.check(), Err(Rejected::Malformed));
    }

    #[test]
    fn the_largest_is_within_its_limit() {
        let (me, host) = (identity(1), identity(2));
        let mut neighbors: Vec<PeerId> =
            (0..LINKS_PER_NODE_MAX as u8 - 1).map(|i| PeerId::from_public_key([i; 32])).collect();
        neighbors.push(me.peer());
        let service = |i: usize| record(&host, Kind::Service, &format!("s{i}"), Body::Service);
        let batch = std::iter::once(links(&neighbors)).chain((1..BATCH_RECORDS_MAX).map(service)).collect();
        let links = Record::sign_batch(batch, &host).remove(0);
        let place = Place::of(&links, &me.peer()).expect("it is named there");
        let proven = verdict(1, &host, place, NOW_MS + 1000).expect("it holds");
        let bytes = proven.signed.bytes.len();
        assert!(bytes <= PLACE_BYTES_MAX, "{bytes}");
    }
}
