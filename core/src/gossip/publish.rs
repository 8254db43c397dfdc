//! What this node says: its own records, when they change and before they expire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Gossip};
use crate::limits::{
    CLOCK_SKEW_MAX, LINKS_PER_NODE_MAX, RECORD_LIFE_MAX, SHARED_LIFE, SHARED_TOMBSTONE_LIFE, SUSPICION_HOLD,
};
use crate::peer::LinkReport;
use crate::record::{Body, Kind, LinkBody, LinksBody, Record, RecordId, Refuted};
use crate::shared::Write;
use crate::{Instant, PeerId};

/// This node's links as they are, and as they were last told.
#[derive(Debug, Default)]
pub(super) struct OwnLinks {
    now: BTreeMap<PeerId, LinkBody>,
    accused: Vec<PeerId>,
    refuted: Vec<Refuted>,
    told: Option<LinksBody>,
    /// When they are told again; set while they differ notably from what was told.
    due: Option<Instant>,
    /// When they were last told, and the least time from then until the next telling.
    spoke: Instant,
    pause: Duration,
}

impl OwnLinks {
    /// Takes a report into account; true if it must be told.
    pub(super) fn update(&mut self, report: &LinkReport, now: Instant) -> bool {
        match report.link.filter(|_| report.state.is_usable()) {
            Some((_, label)) => {
                let rtt_us = u32::try_from(report.rtt.as_micros()).unwrap_or(u32::MAX);
                let link = LinkBody { neighbor: report.peer, label, rtt_us, loss_permille: report.loss_permille };
                self.now.insert(report.peer, link);
            }
            None => {
                self.now.remove(&report.peer);
            }
        }
        let Some(told) = &self.told else { return true };
        let same_links = self.now.len() == told.links.len()
            && self.now.values().zip(&told.links).all(|(x, y)| x.neighbor == y.neighbor && x.label == y.label);
        if !same_links {
            return true;
        }
        let notable = self.now.values().zip(&told.links).any(|(x, y)| differs_notably(x, y));
        if notable && self.due.is_none() {
            self.due = Some(now + METRICS_EVERY);
        }
        false
    }

    /// Takes over whom this node accuses and contradicts; true if it must be told.
    pub(super) fn judge(&mut self, accused: Vec<PeerId>, refuted: Vec<Refuted>) -> bool {
        let differs = self.told.as_ref().is_some_and(|told| told.accused != accused || told.refuted != refuted);
        (self.accused, self.refuted) = (accused, refuted);
        differs
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|at| at <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What must be told is told now, or soon: a first change at once, further ones after pauses that double. A link that
    /// comes and goes, and what is said about it, would otherwise cost everybody several records per second (the idea of
    /// RFC 8405, for what is sent instead of for what is computed).
    fn is_free_to_tell(&mut self, now: Instant) -> bool {
        let free = self.spoke + self.pause;
        if free <= now {
            return true;
        }
        self.due = Some(self.due.map_or(free, |due| due.min(free)));
        false
    }

    fn tell(&mut self, now: Instant) -> LinksBody {
        let calm = now.since(self.spoke) >= CALM_AFTER;
        self.pause = if calm { PAUSE_MIN } else { (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX) };
        self.spoke = now;
        let links: Vec<LinkBody> = self.now.values().take(LINKS_PER_NODE_MAX).copied().collect();
        let room = LINKS_PER_NODE_MAX - links.len();
        let accused = self.accused.iter().take(room).copied().collect();
        let refuted = self.refuted.iter().take(LINKS_PER_NODE_MAX).copied().collect();
        let body = LinksBody { links, accused, refuted };
        self.told = Some(body.clone());
        self.due = None;
        body
    }
}

impl Gossip {
    pub(super) fn own_id(&self, kind: Kind, key: &str) -> RecordId {
        RecordId { origin: self.identity.peer(), kind, key: key.to_owned() }
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
        newer && self.node.is_some() && self.own_body(&record.id).is_none_or(|body| body != record.body)
    }

    /// Publishes the links as soon as they may be told again.
    pub(super) fn publish_links_soon(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.own_links.is_free_to_tell(now) {
            self.publish_links(now, effects);
        }
    }

    pub(super) fn publish_links(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let body = Body::Links(self.own_links.tell(now));
        self.say(self.own_id(Kind::Links, ""), body, now, effects);
    }

    /// Says again what holds now under an id of this node's own.
    pub(super) fn republish(&mut self, id: &RecordId, now: Instant, effects: &mut Vec<Effect>) {
        if id.kind == Kind::Links {
            return self.publish_links(now, effects);
        }
        let body = self.own_body(id).unwrap_or(Body::Withdrawn);
        self.say(id.clone(), body, now, effects);
    }

    /// Renews every record of this node's own that no longer holds for others, or soon will not: because half of its
    /// life is over, or because the wall clock was wrong when it was issued, so that it comes from their future or from
    /// their past.
    pub(super) fn renew(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let unix_ms = self.clock.unix_ms(now);
        let ages = |r: &Record| r.expires_ms < unix_ms + life(r.id.kind, &r.body).as_millis() as u64 / 2;
        let ends = |r: &Record| r.body != Body::Withdrawn && ages(r);
        let stale = |r: &Record| is_renewed(r) && (is_ahead(r.issued_ms, unix_ms) || ends(r));
        let own = self.held.of_origin(self.identity.peer());
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
            expires_ms: if let Body::Equivocation(proof) = &body {
                expires_ms.min(proof.ends_ms())
            } else {
                expires_ms
            },
            id,
            body,
        };
        let proven = record.sign(&self.identity);
        let item = proven.item;
        self.held.speak(proven.record.version);
        if self.take_in(proven, now, effects) {
            self.spread(item, now, effects);
        }
    }

    fn own_body(&self, id: &RecordId) -> Option<Body> {
        match id.kind {
            Kind::Node => self.node.clone().map(Body::Node),
            Kind::Links => Some(Body::Links(self.own_links.told.clone().unwrap_or_default())),
            Kind::Shared => self.shared().said(&id.origin, &id.key).cloned().map(Body::Shared),
            Kind::Service => self.services.get(&id.key).map(|e| if *e { Body::Service } else { Body::Withdrawn }),
            Kind::Equivocation => None,
        }
    }
}

/// How far its own counter says that a write was ahead of the clock; 0 for what is no write.
pub(super) fn written_ms(id: &RecordId, body: &Body) -> u64 {
    if let Body::Shared(write) = body { write.counter_of(&id.origin) } else { 0 }
}

/// Whether routes could change by it: a quarter of the round trip (and 200 microseconds), or two percent of loss.
fn differs_notably(a: &LinkBody, b: &LinkBody) -> bool {
    let rtt = a.rtt_us.abs_diff(b.rtt_us);
    (rtt > 200 && rtt > b.rtt_us / 4) || a.loss_permille.abs_diff(b.loss_permille) > 20
}

/// Whether its origin says it again by itself. A proof ends when it ends; for shared values there are other rules.
fn is_renewed(record: &Record) -> bool {
    !matches!(record.id.kind, Kind::Equivocation | Kind::Shared)
}

/// Whether a time is so far ahead that others, whose clocks differ, may take it for the future.
pub(super) fn is_ahead(time_ms: u64, unix_ms: u64) -> bool {
    time_ms > unix_ms.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64 / 2)
}

/// How long such a record holds without being renewed; a node renews its own at half of it.
fn life(kind: Kind, body: &Body) -> Duration {
    match (kind, body) {
        (Kind::Node | Kind::Service, _) => Duration::from_secs(24 * 3600),
        // What ends earlier than that is told; only a node that is gone for good leaves its last word behind.
        (Kind::Links, _) => Duration::from_secs(6 * 3600),
        // Never renewed: it ends with the proof.
        (Kind::Equivocation, _) => RECORD_LIFE_MAX,
        (Kind::Shared, Body::Shared(Write { value: Some(_), .. })) => SHARED_LIFE,
        (Kind::Shared, _) => SHARED_TOMBSTONE_LIFE,
    }
}

/// Least time between two records that differ in measurements only.
const METRICS_EVERY: Duration = Duration::from_secs(10);
/// Least time between a first record of this node's links and the next. The links of a node that starts come up within
/// a few round trips: most of them are in its second record.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest such time: shorter than [`SUSPICION_HOLD`], so that a withdrawal or a refutation is there before the
/// removal. And a link that is back is the only way for somebody whose other way breaks before that is told: it must
/// not keep traffic waiting much longer than a break takes to be noticed.
const PAUSE_MAX: Duration = Duration::from_millis(1500);
/// How long nothing must have changed for the next change to be told at once again.
const CALM_AFTER: Duration = Duration::from_secs(10);

const _: () = assert!(PAUSE_MAX.as_nanos() < SUSPICION_HOLD.as_nanos(), "who may be removed is heard first");
