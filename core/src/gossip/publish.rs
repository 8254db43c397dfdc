//! What this node says: its own records, when they change and before they expire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Gossip, changed};
use crate::limits::{CLOCK_SKEW_MAX, LINKS_PER_NODE_MAX};
use crate::peer::LinkReport;
use crate::record::{Body, Kind, LinkBody, LinksBody, Record, RecordId};
use crate::{Instant, PeerId};

/// This node's links as they are, and as they were last told.
#[derive(Debug, Default)]
pub(super) struct OwnLinks {
    now: BTreeMap<PeerId, LinkBody>,
    told: BTreeMap<PeerId, LinkBody>,
    /// When the measurements may be told again; set while they differ notably from what was told.
    due: Option<Instant>,
    ever_told: bool,
}

impl OwnLinks {
    /// Takes a report into account; true if it must be told at once.
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
        let same_links = self.now.len() == self.told.len()
            && self.now.iter().zip(&self.told).all(|((a, x), (b, y))| a == b && x.label == y.label);
        if !same_links || !self.ever_told {
            return true;
        }
        let notable = self.now.iter().zip(&self.told).any(|((_, x), (_, y))| differs_notably(x, y));
        if notable && self.due.is_none() {
            self.due = Some(now + METRICS_EVERY);
        }
        false
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|at| at <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn tell(&mut self) -> LinksBody {
        self.told = self.now.clone();
        self.due = None;
        self.ever_told = true;
        self.body()
    }
}

impl OwnLinks {
    /// What was last told.
    fn body(&self) -> LinksBody {
        LinksBody { links: self.told.values().take(LINKS_PER_NODE_MAX).copied().collect(), ..LinksBody::default() }
    }
}

impl Gossip {
    pub(super) fn own_id(&self, kind: Kind, key: &str) -> RecordId {
        RecordId { origin: self.identity.peer(), kind, key: key.to_owned() }
    }

    /// Whether a record of this node's own origin says something that this process would not say.
    pub(super) fn contradicts_me(&self, record: &Record) -> bool {
        let newer = self.held.get(&record.id).is_none_or(|held| held.record.version < record.version);
        newer && self.started() && self.own_body(&record.id).is_none_or(|body| body != record.body)
    }

    pub(super) fn publish_links(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let links = self.own_links.tell();
        let id = self.own_id(Kind::Links, "");
        self.say(id, Body::Links(links), LINKS_LIFE, now, effects);
    }

    /// Says again what holds now under an id of this node's own.
    pub(super) fn republish(&mut self, id: &RecordId, now: Instant, effects: &mut Vec<Effect>) {
        if id.kind == Kind::Links {
            return self.publish_links(now, effects);
        }
        let body = self.own_body(id).unwrap_or(Body::Withdrawn);
        self.say(id.clone(), body, LIFE, now, effects);
    }

    /// Renews this node's links, which hold for a short time only.
    pub(super) fn refresh(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.publish_links(now, effects);
        self.renew(now, effects);
    }

    /// Renews every record of this node's own that no longer holds for others, or soon will not: because it ages, or
    /// because the wall clock was wrong when it was issued, so that it comes from their future or from their past.
    pub(super) fn renew(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let unix_ms = self.clock.unix_ms(now);
        let ahead = unix_ms.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64 / 2);
        let ages = |life: Duration| unix_ms.saturating_add(life.as_millis() as u64 / 2);
        let stale = |record: &Record| match (record.id.kind, &record.body) {
            _ if record.issued_ms > ahead => true,
            (_, Body::Withdrawn) => false,
            // Links are renewed by `refresh`, unless the clock was set forward past their life.
            (Kind::Links, _) => record.expires_ms <= unix_ms,
            (Kind::Node | Kind::Service, _) => record.expires_ms < ages(LIFE),
        };
        let own = self.held.of_origin(self.identity.peer());
        let stale: Vec<RecordId> = own.filter(|record| stale(record)).map(|record| record.id.clone()).collect();
        for id in stale {
            self.republish(&id, now, effects);
        }
    }

    fn say(&mut self, id: RecordId, body: Body, life: Duration, now: Instant, effects: &mut Vec<Effect>) {
        let unix_ms = self.clock.unix_ms(now);
        let record = Record {
            version: self.held.next_version(unix_ms),
            id,
            issued_ms: unix_ms,
            expires_ms: unix_ms + life.as_millis() as u64,
            body,
        };
        let proven = record.sign(&self.identity);
        let (record, signed) = (proven.record.clone(), proven.signed.clone());
        self.held.speak(record.version);
        self.held.apply(proven);
        effects.push(Effect::Persist { id: record.id.clone(), signed: signed.clone() });
        effects.push(changed(&record.id, Some(&record.body)));
        self.push_to_all(None, vec![signed], effects);
    }

    fn started(&self) -> bool {
        self.node.is_some()
    }

    fn own_body(&self, id: &RecordId) -> Option<Body> {
        match id.kind {
            Kind::Node => self.node.clone().map(Body::Node),
            Kind::Links => Some(Body::Links(self.own_links.body())),
            Kind::Service => self.services.get(&id.key).map(|e| if *e { Body::Service } else { Body::Withdrawn }),
        }
    }
}

/// Whether routes could change by it: a quarter of the round trip (and 200 microseconds), or two percent of loss.
fn differs_notably(a: &LinkBody, b: &LinkBody) -> bool {
    let rtt = a.rtt_us.abs_diff(b.rtt_us);
    (rtt > 200 && rtt > b.rtt_us / 4) || a.loss_permille.abs_diff(b.loss_permille) > 20
}

/// How long a node's or a service's record holds without being renewed.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a link-state record holds without being renewed.
const LINKS_LIFE: Duration = Duration::from_secs(300);
/// Least time between two records that differ in measurements only.
const METRICS_EVERY: Duration = Duration::from_secs(5);
