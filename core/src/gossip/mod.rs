//! The gossip role: a replicated map of signed records.
//!
//! It hears verified records, summaries and digests from neighbors, and what this node has to say; it asks for messages
//! to be sent, records to be kept, and tells the other roles what changed. Records are pushed on change and repaired by
//! anti-entropy (Demers et al., Epidemic Algorithms, 1987): compare a root, then exchange what differs. Invariant: under
//! one id, versions only grow.

mod heard;
mod held;
mod loaded;
mod publish;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use heard::{Heard, verify};
pub use loaded::{Loaded, load};

use crate::identity::Identity;
use crate::limits::{DIGEST_ENTRIES_MAX, PUSH_BYTES_MAX, PUSH_RECORDS_MAX};
use crate::peer::LinkReport;
use crate::record::{Body, Kind, LinkBody, LinksBody, NodeBody, ProvenRecord, Record, RecordId, SignedRecord};
use crate::rng::Rng;
use crate::wire::Control;
use crate::wire::control::Digest;
use crate::{Instant, Machine, PeerId, Verified};
use held::{Applied, Held};
use publish::OwnLinks;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Input {
    /// What the wall clock says; given at the start and every few seconds, so that a clock that jumps is noticed.
    Clock {
        /// Milliseconds since the Unix epoch.
        unix_ms: u64,
    },
    /// What the store held; given once, before anything else.
    Loaded(Loaded),
    /// A neighbor's message, checked.
    Heard {
        /// Who sent it.
        from: PeerId,
        /// What it says.
        message: Heard,
    },
    /// How a neighbor's link is.
    LinkReported(LinkReport),
    /// What this node says of itself.
    Announce(NodeBody),
    /// This node exposes a service, or takes it back.
    SetService {
        /// The service's name.
        name: String,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// A restarted role wants to hear everything again.
    ResyncRequested,
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Send a message to a neighbor; nothing comes back.
    Send {
        /// Whom.
        to: PeerId,
        /// What.
        control: Control,
    },
    /// Keep a record; nothing comes back.
    Persist {
        /// Under which id.
        id: RecordId,
        /// The record as received.
        signed: SignedRecord,
    },
    /// Forget a record that has expired.
    Forget {
        /// Under which id.
        id: RecordId,
    },
    /// A node said something new about itself; `None`: nothing is known any more.
    NodeChanged {
        /// Which node.
        peer: PeerId,
        /// What it says.
        body: Option<NodeBody>,
    },
    /// A node's links changed; empty: none are known.
    LinksChanged {
        /// Whose.
        origin: PeerId,
        /// All of them.
        links: Vec<LinkBody>,
    },
    /// A service appeared or went away.
    ServiceChanged {
        /// Who exposes it.
        provider: PeerId,
        /// The service's name.
        name: String,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// Tell me how all links are: sent once, when what the store held was taken in.
    ReportsWanted,
}

/// The role.
#[derive(Debug)]
pub struct Gossip {
    identity: Identity,
    rng: Rng,
    held: Held,
    clock: Clock,
    neighbors: BTreeMap<PeerId, bool>,
    own_links: OwnLinks,
    node: Option<NodeBody>,
    services: BTreeMap<String, bool>,
    next_round: Instant,
    next_refresh: Instant,
}

/// The wall clock, carried forward from when it was last told.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    unix_ms: u64,
    at: Instant,
}

impl Clock {
    fn unix_ms(&self, now: Instant) -> u64 {
        self.unix_ms + now.since(self.at).as_millis() as u64
    }
}

impl Gossip {
    /// The role of the node with this identity, knowing nothing yet.
    pub fn new(identity: Identity, seed: u64, now: Instant) -> Self {
        Self {
            identity,
            rng: Rng::from_seed(seed),
            held: Held::default(),
            clock: Clock::default(),
            neighbors: BTreeMap::new(),
            own_links: OwnLinks::default(),
            node: None,
            services: BTreeMap::new(),
            next_round: now + ROUND_EVERY,
            next_refresh: now + REFRESH_EVERY,
        }
    }

    /// The hash over everything held: two nodes with the same root hold the same.
    pub fn root(&self) -> [u8; 32] {
        self.held.root()
    }

    /// Every record held, ordered by id.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.held.iter().map(|proven| &proven.record)
    }

    fn on_heard(&mut self, from: PeerId, message: Heard, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            Heard::Push(records) => {
                let fresh = records.into_iter().filter_map(|r| self.learn(r, now, effects)).collect();
                self.push_to_all(Some(from), fresh, effects);
            }
            Heard::Summary { root } if root != self.held.root() => {
                for digest in self.held.digests(DIGEST_ENTRIES_MAX) {
                    effects.push(Effect::Send { to: from, control: Control::Digest(digest) });
                }
            }
            Heard::Summary { .. } => {}
            Heard::Digest(digest) => self.on_digest(from, &digest, effects),
            Heard::Pull(ids) => {
                let wanted = ids.iter().filter_map(|id| self.held.signed(id)).collect();
                push(from, wanted, effects);
            }
        }
    }

    fn on_digest(&mut self, from: PeerId, digest: &Digest, effects: &mut Vec<Effect>) {
        let (newer_here, newer_there) = self.held.compare(digest);
        push(from, newer_here, effects);
        for ids in newer_there.chunks(DIGEST_ENTRIES_MAX) {
            effects.push(Effect::Send { to: from, control: Control::Pull(ids.to_vec()) });
        }
    }

    /// Applies a record; returns its signed form if it was news, to be passed on.
    fn learn(
        &mut self,
        proven: Verified<ProvenRecord>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Option<SignedRecord> {
        let record = proven.record.clone();
        if record.expires_ms <= self.clock.unix_ms(now) {
            return None;
        }
        if record.id.origin == self.identity.peer() && self.contradicts_me(&record) {
            // An older self of this node said it, and it is newer than all that this process has said: overrule it.
            self.held.speak(record.version);
            self.republish(&record.id, now, effects);
            return None;
        }
        let signed = proven.signed.clone();
        let applied = self.held.apply(proven);
        if let Applied::Instead(gone) = &applied {
            effects.push(changed(gone, None));
            effects.push(Effect::Forget { id: gone.clone() });
        }
        match applied {
            Applied::News | Applied::Instead(_) => {
                effects.push(Effect::Persist { id: record.id.clone(), signed: signed.clone() });
                effects.push(changed(&record.id, Some(&record.body)));
                Some(signed)
            }
            Applied::Known | Applied::NoRoom => None,
        }
    }

    fn push_to_all(&mut self, except: Option<PeerId>, records: Vec<SignedRecord>, effects: &mut Vec<Effect>) {
        for (peer, usable) in &self.neighbors {
            if *usable && Some(*peer) != except {
                push(*peer, records.clone(), effects);
            }
        }
    }

    fn on_link_reported(&mut self, report: LinkReport, now: Instant, effects: &mut Vec<Effect>) {
        let usable = report.state.is_usable();
        let was = self.neighbors.insert(report.peer, usable).unwrap_or(false);
        if usable && !was {
            let root = self.held.root();
            effects.push(Effect::Send { to: report.peer, control: Control::Summary { root } });
        }
        if self.own_links.update(&report, now) {
            self.publish_links(now, effects);
        }
    }

    fn round(&mut self, effects: &mut Vec<Effect>) {
        let usable: Vec<PeerId> = self.neighbors.iter().filter(|(_, up)| **up).map(|(peer, _)| *peer).collect();
        if let Some(peer) = self.rng.pick(&usable) {
            effects.push(Effect::Send { to: *peer, control: Control::Summary { root: self.held.root() } });
        }
    }

    fn expire(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.renew(now, effects);
        for id in self.held.expire(self.clock.unix_ms(now)) {
            effects.push(changed(&id, None));
            effects.push(Effect::Forget { id });
        }
    }

    fn resync(&self, effects: &mut Vec<Effect>) {
        effects.extend(self.records().map(|record| changed(&record.id, Some(&record.body))));
    }
}

impl Machine for Gossip {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Clock { unix_ms } => {
                self.clock = Clock { unix_ms, at: now };
                self.renew(now, effects);
            }
            Input::Loaded(Loaded { records, spoken }) => {
                self.held.speak(spoken);
                for record in records {
                    self.learn(record, now, effects);
                }
                effects.push(Effect::ReportsWanted);
            }
            Input::Heard { from, message } => self.on_heard(from, message, now, effects),
            Input::LinkReported(report) => self.on_link_reported(report, now, effects),
            Input::Announce(body) => {
                self.node = Some(body);
                self.republish(&self.own_id(Kind::Node, ""), now, effects);
            }
            Input::SetService { name, exposed } => {
                let id = self.own_id(Kind::Service, &name);
                self.services.insert(name, exposed);
                self.republish(&id, now, effects);
            }
            Input::ResyncRequested => self.resync(effects),
        }
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.own_links.is_due(now) {
            self.publish_links(now, effects);
        }
        if self.next_round <= now {
            self.next_round = now + self.rng.jitter(ROUND_EVERY, 20);
            self.expire(now, effects);
            self.round(effects);
        }
        if self.next_refresh <= now {
            self.next_refresh = now + self.rng.jitter(REFRESH_EVERY, 20);
            self.refresh(now, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let round = self.next_round.min(self.next_refresh);
        Some(self.own_links.deadline().map_or(round, |at| at.min(round)))
    }
}

/// Sends records in messages of bounded size.
fn push(to: PeerId, records: Vec<SignedRecord>, effects: &mut Vec<Effect>) {
    let (mut part, mut bytes) = (Vec::new(), 0);
    for record in records {
        let size = record.wire_bytes();
        if part.len() == PUSH_RECORDS_MAX || (bytes + size > PUSH_BYTES_MAX && !part.is_empty()) {
            effects.push(Effect::Send { to, control: Control::Push(std::mem::take(&mut part)) });
            bytes = 0;
        }
        bytes += size;
        part.push(record);
    }
    if !part.is_empty() {
        effects.push(Effect::Send { to, control: Control::Push(part) });
    }
}

/// What the other roles are told of a record; no body: it has expired.
fn changed(id: &RecordId, body: Option<&Body>) -> Effect {
    match id.kind {
        Kind::Node => Effect::NodeChanged {
            peer: id.origin,
            body: body.and_then(|b| if let Body::Node(node) = b { Some(node.clone()) } else { None }),
        },
        Kind::Links => Effect::LinksChanged {
            origin: id.origin,
            links: body.and_then(links_of).map(|b| b.links.clone()).unwrap_or_default(),
        },
        Kind::Service => Effect::ServiceChanged {
            provider: id.origin,
            name: id.key.clone(),
            exposed: matches!(body, Some(Body::Service)),
        },
    }
}

fn links_of(body: &Body) -> Option<&LinksBody> {
    if let Body::Links(links) = body { Some(links) } else { None }
}

/// Time between two anti-entropy rounds.
const ROUND_EVERY: Duration = Duration::from_secs(2);
/// Time between two renewals of this node's own records.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
