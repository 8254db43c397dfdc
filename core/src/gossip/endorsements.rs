//! What counts only with a second signature.
//!
//! In a mesh whose certificates are of ML-DSA-65 this node gives no weight to who somebody is, whom somebody votes
//! against, or what a ledger's head is, unless the key that is certified has signed it as well. Records go around as
//! ever, because every relay can check the signature of Ed25519; what waits is what comes of them. An endorsement that is
//! missing keeps a word from counting, and does nothing else.

use std::collections::BTreeMap;

use super::learn::{Subject, changed};
use super::{Effect, Gossip};
use crate::membership::Testimony;
use crate::record::{Body, Digest, Kind, Matter, Record, RecordId};
use crate::{Instant, PeerId};

/// Who has endorsed what.
#[derive(Debug, Default)]
pub(super) struct Endorsements {
    /// Whether any are asked for.
    required: bool,
    /// What the certified key of each node has signed: at most as many as records are held.
    valid: BTreeMap<(PeerId, Matter), Digest>,
    /// The votes of each node that count: its newest that were endorsed.
    votes: BTreeMap<PeerId, Vec<PeerId>>,
    /// Of what this node has asked to have an endorsement.
    wanted: BTreeMap<Matter, Digest>,
    /// What this node says: the endorsements of its own words.
    said: BTreeMap<Matter, Vec<u8>>,
}

impl Endorsements {
    /// Whether what a record says counts. Of a vote the rest of its record always does.
    pub(super) fn cover(&self, record: &Record, me: &PeerId) -> bool {
        let origin = record.id.origin;
        if !self.required || origin == *me || record.id.kind == Kind::Judgments {
            return true;
        }
        Matter::of(&record.body)
            .is_none_or(|(matter, digest)| self.valid.get(&(origin, matter)).is_some_and(|valid| *valid == digest))
    }

    /// Leaves of a node's votes those that count, and remembers them: what is not endorsed changes nothing.
    pub(super) fn sift(&mut self, origin: PeerId, version: u64, testimony: &mut Testimony, me: &PeerId) {
        if !self.required || origin == *me {
            return;
        }
        if version == 0 {
            // It makes nothing of its neighbors any more.
            self.votes.remove(&origin);
            return;
        }
        let digest = Matter::digest_of_votes(&testimony.distrusted);
        if self.valid.get(&(origin, Matter::Distrust)) != Some(&digest) {
            testimony.distrusted = self.votes.get(&origin).cloned().unwrap_or_default();
        } else if testimony.distrusted.is_empty() {
            self.votes.remove(&origin);
        } else {
            self.votes.insert(origin, testimony.distrusted.clone());
        }
    }

    pub(super) fn said(&self, key: &str) -> Option<Body> {
        self.said.get(&Matter::with_key(key)?).cloned().map(Body::Endorsement)
    }

    fn forget(&mut self, origin: PeerId, matter: Matter) {
        self.valid.remove(&(origin, matter));
        if matter == Matter::Distrust {
            self.votes.remove(&origin);
        }
    }
}

impl Gossip {
    /// From now on endorsements are asked for, and given: for all that this node says already, too.
    pub(super) fn require_endorsements(&mut self, effects: &mut Vec<Effect>) {
        self.endorsements.required = true;
        let wanted = std::mem::take(&mut self.endorsements.wanted);
        effects.extend(wanted.iter().map(|(&matter, &digest)| Effect::EndorsementWanted { matter, digest }));
        self.endorsements.wanted = wanted;
    }

    /// This node has said something: it is to be endorsed, if it was not.
    pub(super) fn have_endorsed(&mut self, body: &Body, effects: &mut Vec<Effect>) {
        let Endorsements { required: true, wanted, .. } = &mut self.endorsements else { return };
        let Some((matter, digest)) = Matter::of(body) else { return };
        // Who never voted has nothing to take back.
        let says_nothing = matches!(body, Body::Judgments(judgments) if judgments.distrusted.is_empty());
        if wanted.get(&matter) == Some(&digest) || (says_nothing && !wanted.contains_key(&matter)) {
            return;
        }
        wanted.insert(matter, digest);
        effects.push(Effect::EndorsementWanted { matter, digest });
    }

    /// The certified key of this node has signed something. If this node says something else by now, that comes next.
    pub(super) fn endorse(
        &mut self,
        (matter, digest): (Matter, Digest),
        endorsement: Vec<u8>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.endorsements.wanted.get(&matter) == Some(&digest) {
            self.endorsements.said.insert(matter, endorsement);
            self.republish(&self.own_id(Kind::Endorsement, matter.key()), now, effects);
        }
    }

    /// An endorsement that is held proves itself: what it is about counts from now on.
    pub(super) fn on_endorsed(
        &mut self,
        origin: PeerId,
        (matter, digest): (Matter, Digest),
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let id = |kind, key: &str| RecordId { origin, kind, key: key.to_owned() };
        if self.held.get(&id(Kind::Endorsement, matter.key())).is_none() {
            return;
        }
        self.endorsements.valid.insert((origin, matter), digest);
        let endorsed = match matter {
            Matter::Identity => id(Kind::Node, ""),
            Matter::Distrust => id(Kind::Judgments, ""),
            Matter::LedgerHead => id(Kind::LedgerHead, ""),
        };
        if self.held.get(&endorsed).is_some() {
            self.tell(&endorsed, now, effects);
        }
    }

    /// An endorsement is not held any more.
    pub(super) fn unendorse(&mut self, gone: &RecordId) {
        if gone.kind == Kind::Endorsement
            && let Some(matter) = Matter::with_key(&gone.key)
        {
            self.endorsements.forget(gone.origin, matter);
        }
    }

    /// Tells whom it concerns that the record with this id is held from now on, or no longer, as far as it counts.
    pub(super) fn tell(&mut self, id: &RecordId, now: Instant, effects: &mut Vec<Effect>) {
        let Some(subject) = Subject::of(&self.held, &mut self.endorsements, &self.signer.peer(), id) else { return };
        self.members.note(id, &subject, now);
        effects.extend(changed(id, subject));
    }
}
