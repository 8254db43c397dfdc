//! What becomes of a record that arrives: it is taken in, or not, and whom that concerns.

use super::endorsements::Endorsements;
use super::held::{Applied, Held};
use super::{Effect, Gossip};
use crate::membership::Testimony;
use crate::record::{Body, Kind, Matter, ProvenRecord, Record, RecordId};
use crate::{Instant, PeerId, Verified};

impl Gossip {
    /// Takes a record in; true if it was news, to be passed on.
    pub(super) fn learn(&mut self, proven: Verified<ProvenRecord>, now: Instant, effects: &mut Vec<Effect>) -> bool {
        let record = &proven.record;
        let mine = record.id.origin == self.signer.peer();
        if mine {
            // Stale or not, an older self of this node said it: what this process says next is newer.
            self.held.speak(record.version);
        }
        if record.expires_ms <= self.clock.unix_ms(now) {
            return false;
        }
        if mine && self.contradicts_me(record) {
            // It is newer than all that this process has said under this id: overrule it.
            let record = record.clone();
            if record.id.kind == Kind::Shared {
                self.rewrite_shared(&record, now, effects);
            } else {
                self.republish(&record.id, now, effects);
            }
            return false;
        }
        if self.trust.is_convicted(&record.id.origin) || self.statements.is_expelled(&record.id.origin) {
            return false;
        }
        self.take_in(proven, now, effects)
    }

    /// Holds a record if it is newer than what is held, and tells whom it concerns.
    pub(super) fn take_in(&mut self, proven: Verified<ProvenRecord>, now: Instant, effects: &mut Vec<Effect>) -> bool {
        let (me, mut rare) = (self.signer.peer(), None);
        let Self { held, repair, trust, own_links, .. } = self;
        let id = proven.record.id.clone();
        let applied = held.apply(proven, |proven, replaced| {
            let record = &proven.record;
            repair.changed(replaced, proven.item, now);
            trust.note_named(proven, &me, own_links);
            effects.push(Effect::Persist(proven.clone()));
            let is_rare = matches!(record.body, Body::Shared(_) | Body::Equivocation(_));
            rare = is_rare.then(|| record.clone());
        });
        let (evicted, remeasured) = match applied {
            Applied::News { evicted, remeasured } => (evicted, remeasured),
            Applied::Contradicts(proof) => {
                self.expose(proof, now, effects);
                return false;
            }
            Applied::Known | Applied::NoRoom => return false,
        };
        // Who is whose neighbor, and who accuses whom, is as it was.
        if remeasured {
            let links = self.held.testimony(&id.origin).map(|(_, testimony)| testimony.links).unwrap_or_default();
            effects.push(Effect::LinksChanged { origin: id.origin, links, remeasured });
        } else {
            self.tell(&id, now, effects);
        }
        if let Some(gone) = evicted {
            self.let_go(&gone, now, effects);
        }
        if let Some(record) = rare {
            self.note_rare(&record, now, effects);
        }
        true
    }

    /// What concerns the role itself.
    fn note_rare(&mut self, record: &Record, now: Instant, effects: &mut Vec<Effect>) {
        self.note_shared(record, effects);
        if let Body::Equivocation(proof) = &record.body {
            self.convict(record.id.clone(), proof, now, effects);
        }
    }

    /// Tells whom it concerns that a record is not held any more.
    pub(super) fn let_go(&mut self, gone: &ProvenRecord, now: Instant, effects: &mut Vec<Effect>) {
        self.repair.dropped(gone.item);
        if gone.record.id.kind == Kind::Equivocation {
            self.acquit(&gone.record.id);
        }
        self.unendorse(&gone.record.id);
        self.tell(&gone.record.id, now, effects);
        self.forget_shared(&gone.record.id, effects);
        effects.push(Effect::Forget { id: gone.record.id.clone() });
    }
}

/// What is held of what a record is about, looked up once for all whom it concerns.
pub(super) enum Subject<'a> {
    /// What an origin says of its neighbors, and the version of its judgments.
    Neighbors(Option<(u64, Testimony)>),
    /// Anything else.
    Else(Option<&'a Record>),
}

impl<'a> Subject<'a> {
    /// `None`: what is held does not count, so nobody is told of it.
    pub(super) fn of(held: &'a Held, endorsements: &mut Endorsements, me: &PeerId, id: &RecordId) -> Option<Self> {
        if let Kind::Links | Kind::Judgments = id.kind {
            let mut told = held.testimony(&id.origin);
            if let Some((version, testimony)) = &mut told {
                endorsements.sift(id.origin, *version, testimony, me);
            }
            return Some(Self::Neighbors(told));
        }
        let record = held.get(id).map(|proven| &proven.record);
        record.is_none_or(|record| endorsements.cover(record, me)).then_some(Self::Else(record))
    }
}

/// What the other roles are told of the record with this id, as it is held now, if it concerns one.
pub(super) fn changed(id: &RecordId, subject: Subject<'_>) -> Option<Effect> {
    let record = match subject {
        Subject::Neighbors(None) if id.kind == Kind::Judgments => return None,
        Subject::Neighbors(told) => {
            let links = told.map(|(_, testimony)| testimony.links).unwrap_or_default();
            return Some(Effect::LinksChanged { origin: id.origin, links, remeasured: false });
        }
        Subject::Else(record) => record,
    };
    let body = record.map(|record| &record.body);
    Some(match id.kind {
        Kind::Node => Effect::NodeChanged {
            peer: id.origin,
            body: body.and_then(|b| if let Body::Node(node) = b { Some(node.clone()) } else { None }),
        },
        Kind::Service => Effect::ServiceChanged {
            provider: id.origin,
            name: id.key.clone(),
            exposed: matches!(body, Some(Body::Service)),
        },
        Kind::Statement => match body {
            Some(Body::Statement(bytes)) => Effect::StatementHeard { statement: bytes.clone() },
            _ => return None,
        },
        Kind::Endorsement => match (body, Matter::with_key(&id.key)) {
            (Some(Body::Endorsement(bytes)), Some(matter)) => {
                Effect::EndorsementHeard { origin: id.origin, matter, endorsement: bytes.clone() }
            }
            _ => return None,
        },
        // One that is not held any more is no news: whoever watches the ledger remembers it.
        Kind::LedgerHead => match record {
            Some(Record { body: Body::LedgerHead(head), version, .. }) => {
                Effect::LedgerHeadHeard { head: head.clone(), version: *version }
            }
            _ => return None,
        },
        // A shared value is told with all others under its key.
        Kind::Equivocation | Kind::Shared | Kind::Links | Kind::Judgments | Kind::Place => return None,
    })
}
