//! Whom this node believes: the reputation of neighbors, and proofs that an origin said two things at once.
//!
//! What a neighbor with a bad name sends is ignored here, and only here: others judge for themselves. They are told, and
//! when most of its neighbors say the same, the other roles hear that it is not to be believed. Who is proven to
//! equivocate is believed by nobody who holds the proof: all that it has said is dropped, so that nodes with the same
//! proofs hold the same records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::own_links::OwnLinks;
use super::{Effect, Gossip};
use crate::limits::{LINKS_PER_NODE_MAX, REPUTATIONS_MAX};
use crate::membership::Votes;
use crate::record::{Body, Equivocation, Kind, Place, ProvenRecord, RecordId};
use crate::reputation::{Fault, Reputation, Score, TrustReport};
use crate::{Instant, PeerId, Rejected, Verified, ledger};

/// What is held against others.
#[derive(Debug, Default)]
pub(super) struct Trust {
    reputation: Reputation,
    /// The accused, and the records that prove it.
    convicted: BTreeMap<PeerId, BTreeSet<RecordId>>,
    /// Whom this node believes no more for what they sent to it as its neighbors: it tells the mesh.
    own: BTreeSet<PeerId>,
    /// Of each neighbor the newest links record in which it names this node: whom it isolates names it no more.
    named: BTreeMap<PeerId, Verified<ProvenRecord>>,
    /// What proves that this node was a neighbor of those whom it believes no more.
    places: BTreeMap<PeerId, Place>,
    /// Whom the mesh believes no more.
    outvoted: BTreeMap<PeerId, Votes>,
    /// Whom the other roles were told to be believed no more.
    distrusted: BTreeSet<PeerId>,
    /// How far the shell was told that each node is believed, in thousandths, where it is not in full.
    told: BTreeMap<PeerId, u16>,
    /// Messages that were ignored because of who sent them.
    ignored: u64,
    /// When the role last heard of anything: scores are told as of then.
    heard: Instant,
}

impl Trust {
    pub(super) fn is_convicted(&self, origin: &PeerId) -> bool {
        self.convicted.contains_key(origin)
    }

    /// Time has passed.
    pub(super) fn advance(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A record is held from now on: perhaps one in which a neighbor names this node, `me`.
    pub(super) fn note_named(&mut self, proven: &Verified<ProvenRecord>, me: &PeerId, own_links: &OwnLinks) {
        let origin = proven.record.id.origin;
        if proven.record.id.kind != Kind::Links || !own_links.has(&origin) || !Place::is_proven(proven, me) {
            return;
        }
        if self.named.len() >= 2 * LINKS_PER_NODE_MAX {
            self.named.retain(|peer, _| own_links.has(peer));
        }
        if self.named.len() < 2 * LINKS_PER_NODE_MAX || self.named.contains_key(&origin) {
            self.named.insert(origin, proven.clone());
        }
    }

    /// What this node has to say of its place around the node with this peer id as text.
    pub(super) fn place(&self, host: &str) -> Option<Body> {
        let host = host.parse().ok()?;
        self.places.get(&host).map(|place| Body::Place(Box::new(place.clone())))
    }

    /// Whether a message of this neighbor's is to be heard; counted if not.
    pub(super) fn hears(&mut self, from: &PeerId, now: Instant) -> bool {
        let trusted = self.reputation.is_trusted(from, now);
        self.ignored += u64::from(!trusted);
        trusted
    }
}

impl Gossip {
    /// How far `peer` is believed, and why not further, as of when the role last heard of anything.
    pub fn score(&self, peer: &PeerId) -> Score {
        self.trust.reputation.score(peer, self.trust.heard)
    }

    /// How many messages were ignored because of who sent them.
    pub const fn ignored(&self) -> u64 {
        self.trust.ignored
    }

    /// Something of a neighbor's was turned away. While this node is not well itself, that says nothing.
    pub(super) fn on_rejected(&mut self, from: PeerId, reason: Rejected, now: Instant, effects: &mut Vec<Effect>) {
        let well = self.members.is_well();
        if self.trust.reputation.note(from, reason, well, now) {
            self.tell_score(from, now, effects);
            self.tell_trust(from, now, effects);
        }
    }

    /// Another node's ledger is not what it was. A head that is said again costs nothing: who restores its records from a
    /// copy may do that in good faith.
    pub(super) fn on_ledger_fault(
        &mut self,
        peer: PeerId,
        fault: ledger::Fault,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let counts = fault != ledger::Fault::Replayed && peer != self.signer.peer();
        if counts && self.trust.reputation.blame(peer, Fault::BrokenLedger, now) {
            self.tell_trust(peer, now, effects);
        }
    }

    /// Tells the other roles if `peer` is believed no more, or again.
    fn tell_trust(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let Trust { reputation, distrusted, outvoted, own, convicted, .. } = &mut self.trust;
        let is_believed = reputation.is_trusted(&peer, now);
        // A proof goes around by itself.
        let is_other = if is_believed { own.remove(&peer) } else { !convicted.contains_key(&peer) && own.insert(peer) };
        let trusted = is_believed && !outvoted.contains_key(&peer);
        let is_news = if trusted { distrusted.remove(&peer) } else { distrusted.insert(peer) };
        if is_other {
            self.own_links.distrust(own.iter().copied());
            self.publish_links_soon(now, effects);
            self.tell_place(peer, now, effects);
        }
        if is_news {
            effects.push(Effect::TrustChanged(self.trust_report(peer, now)));
        }
    }

    /// Proves to those who have not seen it that this node was a neighbor of whom it believes no more; takes the proof back
    /// when it believes that one again.
    fn tell_place(&mut self, host: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let id = self.own_id(Kind::Place, &host.to_string());
        if !self.trust.own.contains(&host) {
            if self.trust.places.remove(&host).is_some() {
                self.say(id, Body::Withdrawn, now, effects);
            }
            return;
        }
        let links = RecordId { origin: host, kind: Kind::Links, key: String::new() };
        let records = self.held.get(&links).into_iter().chain(self.trust.named.get(&host));
        let place = records.filter_map(|links| Place::of(links, &id.origin)).max_by_key(Place::ends_ms);
        let least = self.clock.unix_ms(now) + PLACE_LASTS_MIN.as_millis() as u64;
        if let Some(place) =
            place.filter(|place| place.ends_ms() > least && self.trust.places.len() < LINKS_PER_NODE_MAX)
        {
            self.trust.places.insert(host, place.clone());
            self.say(id, Body::Place(Box::new(place)), now, effects);
        }
    }

    /// The neighbors of a node have come to a verdict about it.
    pub(super) fn outvote(&mut self, peer: PeerId, votes: Option<Votes>, now: Instant, effects: &mut Vec<Effect>) {
        if peer == self.signer.peer() {
            return;
        }
        match votes {
            Some(votes) => self.trust.outvoted.insert(peer, votes),
            None => self.trust.outvoted.remove(&peer),
        };
        self.tell_trust(peer, now, effects);
    }

    /// Tells how far `peer` is believed, if that has changed by enough to matter, or if it is believed in full again.
    fn tell_score(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let permille = (self.trust.reputation.score(&peer, now).sum * 1000.0) as u16;
        let told = &mut self.trust.told;
        let before = told.get(&peer).copied().unwrap_or(FULL);
        if permille == before || (permille < FULL && permille > 0 && permille.abs_diff(before) < TOLD_STEP) {
            return;
        }
        if permille == FULL {
            told.remove(&peer);
        } else if told.len() < 2 * REPUTATIONS_MAX || told.contains_key(&peer) {
            told.insert(peer, permille);
        }
        effects.push(Effect::ReputationChanged { peer, permille });
    }

    /// Looks who is believed again, or more than before, because his faults are forgotten.
    pub(super) fn review_trust(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        for peer in self.trust.told.keys().copied().collect::<Vec<_>>() {
            self.tell_score(peer, now, effects);
        }
        for peer in self.trust.distrusted.clone() {
            self.tell_trust(peer, now, effects);
        }
    }

    /// Tells again whom nobody is to believe.
    pub(super) fn resync_trust(&self, effects: &mut Vec<Effect>) {
        let told = self.trust.distrusted.iter().map(|peer| self.trust_report(*peer, self.trust.heard));
        effects.extend(told.map(Effect::TrustChanged));
    }

    fn trust_report(&self, peer: PeerId, now: Instant) -> TrustReport {
        let Score { parts, sum } = self.trust.reputation.score(&peer, now);
        let faults = parts.into_iter().map(|(name, _)| name.to_owned()).collect();
        let trusted = !self.trust.distrusted.contains(&peer);
        let is_own = !self.trust.reputation.is_trusted(&peer, now);
        let votes = self.trust.outvoted.get(&peer).copied().filter(|_| !is_own);
        TrustReport { peer, trusted, score_permille: (sum * 1000.0) as u16, faults, votes }
    }

    /// Publishes the proof that two records contradict each other, unless it is known already what their origin is.
    pub(super) fn expose(&mut self, proof: Box<Equivocation>, now: Instant, effects: &mut Vec<Effect>) {
        // A node's own two statements are for others to judge: its key is used twice, or stolen.
        if proof.accused() != self.signer.peer() && !self.trust.is_convicted(&proof.accused()) {
            let id = self.own_id(Kind::Equivocation, &proof.accused().to_string());
            self.say(id, Body::Equivocation(proof), now, effects);
        }
    }

    /// A proof is held from now on: what the accused has said is dropped.
    pub(super) fn convict(&mut self, id: RecordId, proof: &Equivocation, now: Instant, effects: &mut Vec<Effect>) {
        let accused = proof.accused();
        if accused == self.signer.peer() {
            return;
        }
        let left_ms = proof.ends_ms().saturating_sub(self.clock.unix_ms(now));
        self.trust.reputation.convict(accused, now + Duration::from_millis(left_ms), now);
        self.trust.convicted.entry(accused).or_default().insert(id);
        self.tell_score(accused, now, effects);
        self.tell_trust(accused, now, effects);
        for gone in self.held.drop_origin(&accused) {
            self.let_go(&gone, now, effects);
        }
    }

    /// A proof is not held any more.
    pub(super) fn acquit(&mut self, id: &RecordId) {
        self.trust.convicted.retain(|_, proofs| {
            proofs.remove(id);
            !proofs.is_empty()
        });
    }
}

/// Believed in full, in thousandths.
const FULL: u16 = 1000;
/// How long a proof must last to be worth telling.
const PLACE_LASTS_MIN: Duration = Duration::from_secs(60);
/// By how much a score changes, in thousandths, before it is told again: a fault that is forgotten changes it all the time.
const TOLD_STEP: u16 = 10;
