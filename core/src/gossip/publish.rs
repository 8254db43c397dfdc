//! What this node says: its own records, when they change and before they expire.

use std::time::Duration;

use super::own_links::Told;
use super::{Clock, Effect, Gossip};
use crate::Instant;
use crate::limits::{CLOCK_SKEW_MAX, RECORD_LIFE_MAX, SHARED_LIFE, SHARED_TOMBSTONE_LIFE};
use crate::record::{Body, JudgmentsBody, Kind, Record, RecordId};
use crate::shared::Write;

impl Gossip {
    pub(super) fn own_id(&self, kind: Kind, key: &str) -> RecordId {
        RecordId { origin: self.signer.peer(), kind, key: key.to_owned() }
    }

    /// Whether a record of this node's own origin says something that this process would not say. A proof never does: it
    /// speaks for itself.
    pub(super) fn contradicts_me(&self, record: &Record) -> bool {
        if record.id.kind == Kind::Equivocation {
            return false;
        }
        let newer = self.held.get(&record.id).is_none_or(|held| held.record.version < record.version);
        if record.id.kind == Kind::Shared {
            return newer && self.contradicts_my_write(record);
        }
        // Until this process has a head of its own, that of an earlier self is the newest there is.
        if record.id.kind == Kind::LedgerHead && self.ledger_head.is_none() {
            return false;
        }
        // So it is with what endorses it.
        if record.id.kind == Kind::Endorsement && self.endorsements.said(&record.id.key).is_none() {
            return false;
        }
        newer && self.node.is_some() && self.own_body(&record.id).is_none_or(|body| body != record.body)
    }

    /// Publishes links and judgments, as far as they differ from what was told and may be told again.
    pub(super) fn publish_links_soon(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.own_links.is_time(now) {
            self.publish_links(now, effects);
        }
    }

    pub(super) fn publish_links(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Told { links, judgments } = self.own_links.tell(now);
        // The links first: what the judgments cease to deny must not hold again by an old record.
        if let Some(body) = links {
            self.say(self.own_id(Kind::Links, ""), Body::Links(body), now, effects);
        }
        if let Some(body) = judgments.or_else(|| self.judgments_of_an_earlier_life()) {
            self.say(self.own_id(Kind::Judgments, ""), Body::Judgments(body), now, effects);
        }
    }

    /// What this role has to say instead, if it took over judgments from its store that it does not share.
    fn judgments_of_an_earlier_life(&mut self) -> Option<JudgmentsBody> {
        let held = self.held.get(&self.own_id(Kind::Judgments, ""))?;
        let is_own = held.record.body == Body::Judgments(self.own_links.judgments_told().clone());
        (!is_own).then(|| self.own_links.tell_judgments())
    }

    /// Says again what holds now under an id of this node's own.
    pub(super) fn republish(&mut self, id: &RecordId, now: Instant, effects: &mut Vec<Effect>) {
        let body = match id.kind {
            Kind::LedgerHead | Kind::Endorsement => match self.own_body(id) {
                Some(body) => body,
                None => return,
            },
            Kind::Links => Body::Links(self.own_links.tell_links()),
            Kind::Judgments => Body::Judgments(self.own_links.tell_judgments()),
            _ => self.own_body(id).unwrap_or(Body::Withdrawn),
        };
        self.say(id.clone(), body, now, effects);
    }

    /// Takes over what the wall clock says. If it was wrong until now, then what the neighbors said was turned away as of
    /// the future, or as expired, and they count it as given: so the talk with them begins anew, at once. That brings also
    /// what an earlier self of this node said with a clock that was right, which makes it say again what it said with the
    /// wrong one.
    pub(super) fn set_clock(&mut self, unix_ms: u64, now: Instant, effects: &mut Vec<Effect>) {
        let off = self.clock.was_off(unix_ms, now);
        self.clock = Clock { unix_ms, at: now };
        if off > CLOCK_SKEW_MAX / 2 {
            self.repair.begin_anew(now);
        }
        self.renew(now, effects);
    }

    /// Renews every record of this node's own that no longer holds for others, or soon will not: because half of its
    /// life is over, or because the wall clock was wrong when it was issued, so that it comes from their future or from
    /// their past.
    pub(super) fn renew(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let unix_ms = self.clock.unix_ms(now);
        let ages = |r: &Record| r.expires_ms < unix_ms + life(r.id.kind, &r.body).as_millis() as u64 / 2;
        let ends = |r: &Record| !says_nothing(&r.body) && ages(r);
        let stale = |r: &Record| is_renewed(r) && (is_ahead(r.issued_ms, unix_ms) || ends(r));
        let me = self.signer.peer();
        let own = self.held.of_origin(&me);
        let stale: Vec<RecordId> = own.filter(|record| stale(record)).map(|record| record.id.clone()).collect();
        for id in stale {
            self.republish(&id, now, effects);
        }
        self.renew_shared(now, effects);
    }

    pub(super) fn say(&mut self, id: RecordId, body: Body, now: Instant, effects: &mut Vec<Effect>) {
        // A write is not older than what its writer had seen, though this node's clock be late.
        let unix_ms = self.clock.unix_ms(now).max(written_ms(&id, &body));
        let expires_ms = unix_ms + life(id.kind, &body).as_millis() as u64;
        let record = Record {
            version: self.held.next_version(unix_ms, self.life),
            issued_ms: unix_ms,
            expires_ms: match &body {
                Body::Equivocation(proof) => expires_ms.min(proof.ends_ms()),
                Body::Place(place) => expires_ms.min(place.ends_ms()),
                _ => expires_ms,
            },
            id,
            body,
        };
        // Only when this is replayed can there be no signature: because it says something else than it said then.
        let Some(proven) = record.sign_with(&mut self.signer) else { return };
        let item = proven.item;
        self.have_endorsed(&proven.record.body, effects);
        self.held.speak(proven.record.version);
        if self.take_in(proven, now, effects) {
            self.spread(item, now, effects);
        }
    }

    fn own_body(&self, id: &RecordId) -> Option<Body> {
        match id.kind {
            Kind::Node => self.node.clone().map(Body::Node),
            Kind::Links => Some(Body::Links(self.own_links.links_told())),
            Kind::Judgments => Some(Body::Judgments(self.own_links.judgments_told().clone())),
            Kind::Shared => self.shared().said(&id.origin, &id.key).cloned().map(Body::Shared),
            Kind::Service => self.services.get(&id.key).map(|e| if *e { Body::Service } else { Body::Withdrawn }),
            Kind::Statement => self.statements.said(&id.key),
            Kind::LedgerHead => self.ledger_head.clone().map(Body::LedgerHead),
            Kind::Place => self.trust.place(&id.key),
            Kind::Endorsement => self.endorsements.said(&id.key),
            Kind::Equivocation => None,
        }
    }
}

/// How far its own counter says that a write was ahead of the clock; 0 for what is no write.
pub(super) fn written_ms(id: &RecordId, body: &Body) -> u64 {
    if let Body::Shared(write) = body { write.counter_of(&id.origin) } else { 0 }
}

/// Whether nothing is missed when it ends.
fn says_nothing(body: &Body) -> bool {
    matches!(body, Body::Withdrawn) || matches!(body, Body::Judgments(judgments) if judgments.is_empty())
}

/// Whether its origin says it again by itself. A proof ends with what it rests on; for shared values there are other rules.
fn is_renewed(record: &Record) -> bool {
    !matches!(record.id.kind, Kind::Equivocation | Kind::Place | Kind::Shared)
}

/// Whether a time is so far ahead that others, whose clocks differ, may take it for the future.
pub(super) fn is_ahead(time_ms: u64, unix_ms: u64) -> bool {
    time_ms > unix_ms.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64 / 2)
}

/// How long such a record holds without being renewed; a node renews its own at half of it.
fn life(kind: Kind, body: &Body) -> Duration {
    match (kind, body) {
        (Kind::Node | Kind::Service | Kind::Statement, _) => Duration::from_secs(24 * 3600),
        // What ends earlier than that is told; only a node that is gone for good leaves its last word behind.
        (Kind::Links | Kind::Judgments | Kind::Place, _) => Duration::from_secs(6 * 3600),
        // Who is away for days is still held to what its ledger was.
        (Kind::LedgerHead | Kind::Endorsement, _) => RECORD_LIFE_MAX,
        // Never renewed: it ends with the proof.
        (Kind::Equivocation, _) => RECORD_LIFE_MAX,
        (Kind::Shared, Body::Shared(Write { value: Some(_), .. })) => SHARED_LIFE,
        (Kind::Shared, _) => SHARED_TOMBSTONE_LIFE,
    }
}
