//! The gossip role: a replicated map of signed records.
//!
//! It hears verified messages from neighbors, how links are, and what this node has to say; it asks for messages to be
//! sent, records to be kept, and tells the other roles what changed. What is urgent is pushed along a tree
//! ([`crate::broadcast`]); what was missed is found and mended by anti-entropy ([`crate::reconcile`]), which costs what
//! differs. Invariant: under one id versions only grow, and nothing is held that its origin did not sign.

mod endorsements;
mod gate;
mod held;
mod interface;
mod items;
mod learn;
mod loaded;
mod members;
mod own_links;
mod pace;
mod progress;
mod publish;
mod repair;
mod shared;
mod spread;
mod statements;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

pub use gate::{Gate, Heard, Moment, Parting, Said, verify};
pub use interface::{Effect, Input};
pub use loaded::{Loaded, load};
pub use members::{MemberView, Standing};
pub use progress::{NeighborView, Progress, Talk, Wanted};

use crate::broadcast::Broadcast;
use crate::ledger::SignedHead;
use crate::peer::LinkReport;
use crate::record::{Body, Kind, NodeBody, ProvenRecord, Record, RecordId};
use crate::rng::Rng;
use crate::signer::Signer;
use crate::{Instant, ItemId, Machine, PeerId, Verified};
use endorsements::Endorsements;
use held::Held;
use learn::{Subject, changed};
use members::Members;
use own_links::OwnLinks;
use progress::Talks;
use repair::Repair;
use shared::SharedState;
use spread::Outbox;
use statements::Statements;
use trust::Trust;

/// The role.
#[derive(Debug)]
pub struct Gossip {
    signer: Signer,
    rng: Rng,
    /// Tells the versions of this life of the node from those of every other.
    life: u16,
    clock: Clock,
    held: Held,
    tree: Broadcast<PeerId, ItemId>,
    outbox: Outbox,
    repair: Repair,
    talks: Talks,
    members: Members,
    trust: Trust,
    own_links: OwnLinks,
    node: Option<NodeBody>,
    services: BTreeMap<String, bool>,
    statements: Statements,
    endorsements: Endorsements,
    ledger_head: Option<SignedHead>,
    shared: SharedState,
    next_upkeep: Instant,
}

/// The wall clock, carried forward from when it was last told.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    unix_ms: u64,
    at: Instant,
}

impl Clock {
    /// How far off the clock was that was to be carried forward until now; nothing if it was never told.
    fn was_off(&self, unix_ms: u64, now: Instant) -> Duration {
        let off = if self.unix_ms == 0 { 0 } else { self.unix_ms(now).abs_diff(unix_ms) };
        Duration::from_millis(off)
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        self.unix_ms + now.since(self.at).as_millis() as u64
    }
}

impl Gossip {
    /// The role of the node whose statements are signed by this, usually its identity, knowing nothing yet.
    pub fn new(signer: impl Into<Signer>, seed: u64, now: Instant) -> Self {
        let signer = signer.into();
        let mut rng = Rng::from_seed(seed);
        let begins = now + Duration::from_millis(rng.below(STARTS_WITHIN_MS) as u64);
        Self {
            members: Members::new(signer.peer(), rng.next_u64(), now),
            signer,
            life: rng.next_u64() as u16,
            rng,
            clock: Clock::default(),
            held: Held::default(),
            tree: Broadcast::new(),
            outbox: Outbox::default(),
            repair: Repair::new(begins, now),
            talks: Talks::default(),
            trust: Trust::default(),
            own_links: OwnLinks::new(begins),
            node: None,
            services: BTreeMap::new(),
            statements: Statements::default(),
            endorsements: Endorsements::default(),
            ledger_head: None,
            shared: SharedState::default(),
            next_upkeep: now + UPKEEP_EVERY,
        }
    }

    /// The hash over everything held: two nodes with the same root hold the same.
    pub fn root(&self) -> [u8; 32] {
        self.repair.root()
    }

    /// Every record held, ordered by id.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.held.iter().map(|proven| &proven.record)
    }

    /// The newest head of a node's ledger that is held.
    pub fn ledger_head(&self, ledger: &PeerId) -> Option<&SignedHead> {
        let id = RecordId { origin: *ledger, kind: Kind::LedgerHead, key: String::new() };
        let Body::LedgerHead(head) = &self.held.get(&id)?.record.body else { return None };
        Some(head)
    }

    /// Every record held as its origin signed it, ordered by id.
    pub fn proven(&self) -> impl Iterator<Item = &Verified<ProvenRecord>> {
        self.held.iter()
    }

    /// What signs its statements, to be told to note or to recall.
    pub(crate) fn signer_mut(&mut self) -> &mut Signer {
        &mut self.signer
    }

    fn on_link_reported(&mut self, report: &LinkReport, now: Instant, effects: &mut Vec<Effect>) {
        match report.link.filter(|_| report.state.is_usable()) {
            Some((link, _)) => self.on_link_usable((report.peer, link), report.rtt, now, effects),
            None => self.on_link_unusable(report.peer, now),
        }
        self.members.on_link(report, now);
        self.own_links.update(report, now);
        self.judge_neighbors();
        self.publish_links_soon(now, effects);
    }

    fn on_peer_forgotten(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        self.on_link_unusable(peer, now);
        self.members.on_parted(&peer);
        self.own_links.part(&peer);
        self.judge_neighbors();
        self.publish_links_soon(now, effects);
    }

    fn upkeep(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // First what is this node's own: after a long pause it would be gone, and nobody else could renew it.
        self.renew(now, effects);
        for gone in self.held.expire(self.clock.unix_ms(now)) {
            self.let_go(&gone, now, effects);
        }
        self.review_trust(now, effects);
    }

    fn resync(&mut self, effects: &mut Vec<Effect>) {
        let me = self.signer.peer();
        // Judgments are told with the links that they are about.
        let records = self.held.iter().map(|proven| &proven.record.id).filter(|id| id.kind != Kind::Judgments);
        let subject = |id| Some((id, Subject::of(&self.held, &mut self.endorsements, &me, id)?));
        effects.extend(records.filter_map(subject).filter_map(|(id, subject)| changed(id, subject)));
        self.resync_shared(effects);
        self.resync_trust(effects);
    }

    fn take(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Clock { unix_ms } => self.set_clock(unix_ms, now, effects),
            Input::Loaded(Loaded { records, spoken }) => {
                self.held.speak(spoken);
                for record in records {
                    let (item, before) = (record.item, effects.len());
                    self.learn(record, now, effects);
                    // A store is not written anew because it was read.
                    let is_kept = |effect: &Effect| matches!(effect, Effect::Persist(kept) if kept.item == item);
                    if let Some(at) = effects[before..].iter().position(is_kept) {
                        effects.remove(before + at);
                    }
                }
                effects.push(Effect::ReportsWanted);
            }
            Input::Heard { from, message } => {
                if self.trust.hears(&from, now) {
                    self.on_heard(from, message, now, effects);
                }
            }
            Input::Rejected { from, reason } => self.on_rejected(from, reason, now, effects),
            Input::LinkReported(report) => self.on_link_reported(&report, now, effects),
            Input::PeerForgotten { peer } => self.on_peer_forgotten(peer, now, effects),
            Input::Announce(body) => {
                self.node = Some(body);
                self.republish(&self.own_id(Kind::Node, ""), now, effects);
            }
            Input::SetService { name, exposed } => {
                let id = self.own_id(Kind::Service, &name);
                self.services.insert(name, exposed);
                self.republish(&id, now, effects);
            }
            Input::SetStatement { subject, statement } => self.state(subject, statement, now, effects),
            Input::Expelled { peer, expelled } => self.expel(peer, expelled, now, effects),
            Input::SetShared { key, value, ticket } => self.set_shared(key, value, ticket, now, effects),
            Input::QuorumChanged(quorum) => self.set_quorum(quorum),
            Input::ResyncRequested => self.resync(effects),
            Input::SetLedgerHead(head) => {
                self.ledger_head = Some(head);
                self.republish(&self.own_id(Kind::LedgerHead, ""), now, effects);
            }
            Input::EndorsementsRequired => self.require_endorsements(effects),
            Input::SetEndorsement { matter, digest, endorsement } => {
                self.endorse((matter, digest), endorsement, now, effects);
            }
            Input::Endorsed { origin, matter, digest } => self.on_endorsed(origin, (matter, digest), now, effects),
            Input::LedgerFault { ledger, fault } => self.on_ledger_fault(ledger, fault, now, effects),
            Input::LoadChanged { sheds } => {
                self.own_links.shed(sheds, now);
                if self.own_links.wake(now) {
                    self.publish_links(now, effects);
                }
            }
        }
    }

    fn on_heard(&mut self, from: PeerId, message: Heard, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            Heard::Push(records) => self.on_pushed(from, records, now, effects),
            Heard::Give(records) => self.on_given(from, records, now, effects),
            Heard::Announced(items) => self.on_announced(from, &items, now),
            Heard::Grafted(items) => self.on_grafted(from, &items),
            Heard::Pruned => self.on_pruned(from, now),
            Heard::Reconcile(message) => self.on_reconcile(from, message, now, effects),
        }
    }
}

impl Machine for Gossip {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        self.trust.advance(now);
        self.take(input, now, effects);
        self.send_out(effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due = self.deadline();
        self.trust.advance(now);
        if self.own_links.wake(now) {
            self.publish_links(now, effects);
        }
        if self.next_upkeep <= now {
            self.next_upkeep = now + self.rng.jitter(UPKEEP_EVERY, 20);
            self.upkeep(now, effects);
        }
        self.judge_members(due, now, effects);
        self.repair_if_due(now, effects);
        self.wake_tree(now);
        self.send_out(effects);
    }

    fn deadline(&self) -> Option<Instant> {
        let due = [self.own_links.deadline(), self.tree.deadline(), self.repair.deadline(), self.members.deadline()];
        due.into_iter().flatten().chain([self.next_upkeep]).min()
    }
}

/// Within which time after its start a role begins to speak by itself, at a moment drawn at random. Of nodes that start
/// together, as after a blackout, the first ones find the tree's links, and the others need them.
const STARTS_WITHIN_MS: usize = 300;
/// Time between two looks for what has expired or must be renewed.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// How often the role has to be told what the wall clock says. Until it is, a node whose clock was wrong stays apart.
pub const CLOCK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
