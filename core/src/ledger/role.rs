//! The keeper role: writes this node's ledger, and watches those of others.
//!
//! It hears events that are to be written down, what is durable, and the heads of all ledgers; it asks for entries to be
//! written, for its head to be published, for neighbors to prove theirs, and tells what it found. Invariant: no head is
//! signed of what is not durable, and none before others had the time to say what they have seen of this ledger: a node
//! whose disk was set back says so itself.

mod seen;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::event::Event;
use super::head::SignedHead;
use super::message::Message;
use super::witness::{Fault, Finding, Reaction, Witness};
use super::{Broken, Ledger, Read};
use crate::limits::{LEDGER_BATCH_MAX, LEDGER_ENTRIES_MAX, LEDGER_PENDING_MAX, LEDGERS_WITNESSED_MAX, NEIGHBORS_MAX};
use crate::signer::Signer;
use crate::{Instant, Machine, PeerId};
use seen::Seen;
use telling::Telling;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// What the wall clock says; given at the start, and every few seconds.
    Clock {
        /// Milliseconds since the Unix epoch.
        unix_ms: u64,
    },
    /// What the log holds; given once, before anything else but the clock.
    Loaded {
        /// The entries in order; `None` for one that is damaged.
        entries: Vec<Option<Entry>>,
    },
    /// Something is to be written down. Before the log was read it waits.
    Append {
        /// What.
        event: Event,
        /// Names it in what comes of it: [`Effect::Write`] or [`Effect::Refused`].
        ticket: u64,
    },
    /// The ledger's entries before this number are durable.
    Stored {
        /// How many there are.
        size: u64,
    },
    /// What was to be written could not be; nothing of it was.
    StoreFailed,
    /// The newest head of a ledger, as gossip knows it; its signature was checked. Also of this node's own, as an earlier
    /// self of it has signed it.
    HeadHeard {
        /// The head.
        head: SignedHead,
        /// The version of the record that says so. Gossip may forget, and be told again what was said before: whatever is
        /// older than what was heard already is nobody's newest word.
        version: u64,
    },
    /// A neighbor's message, checked.
    Heard {
        /// Who sent it.
        from: PeerId,
        /// What it says.
        message: Message,
    },
    /// Frames can be sent to a neighbor, or no longer.
    NeighborChanged {
        /// Which.
        peer: PeerId,
        /// Whether they can.
        is_usable: bool,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Append these entries to the log, together; comes back as [`Input::Stored`] or [`Input::StoreFailed`].
    Write {
        /// At most [`LEDGER_BATCH_MAX`].
        entries: Vec<Entry>,
        /// The tickets of what they tell of, as far as somebody else than this role told it.
        tickets: Vec<u64>,
    },
    /// Tell everybody this head of this node's ledger.
    Publish(SignedHead),
    /// Send a message to a neighbor; nothing comes back.
    Send {
        /// Whom.
        to: PeerId,
        /// What.
        message: Message,
    },
    /// A ledger of another node is not what it was.
    Found(Box<Finding>),
    /// Others have seen what this node's own ledger does not have: its disk was set back, or somebody else has its key.
    RolledBack {
        /// How many entries there are.
        found: u64,
        /// The head that others have seen.
        witnessed: SignedHead,
    },
    /// Entries of this node's own ledger are not what was written.
    Damaged {
        /// Their numbers.
        entries: Vec<u64>,
        /// What did not fit, if it was more than a damaged entry.
        broken: Option<Broken>,
    },
    /// An event was not written down: the ledger is full, or too much waits to be written.
    Refused {
        /// What.
        event: Event,
        /// Its ticket, if somebody else than this role told it.
        ticket: Option<u64>,
    },
    /// Tell me all heads, and how all links are, again: sent once, when the log was read.
    ResyncWanted,
}

/// What is to be written.
#[derive(Clone, Debug)]
struct Waiting {
    entry: Entry,
    ticket: Option<u64>,
}

/// The role.
#[derive(Debug)]
pub struct Keeper {
    signer: Signer,
    /// What is durable.
    ledger: Ledger,
    /// What was to be written before it was known what it follows.
    early: Vec<(Event, Option<u64>)>,
    /// What follows, in order, and is not durable yet.
    pending: Vec<Waiting>,
    /// How many of them are being written.
    writing: usize,
    /// When writing is tried again, after it failed.
    retry_at: Option<Instant>,
    loaded: bool,
    telling: Telling,
    /// Whether the hashes of all entries are known: otherwise nothing can follow them.
    is_known: bool,
    /// The largest head of this ledger that was heard before its log was.
    own_heard: Option<SignedHead>,
    /// Whether others have seen of this ledger what it does not have; told once.
    rolled_back: bool,
    clock: (u64, Instant),
    witness: Witness,
    /// The version of the newest record that was heard of each ledger that is watched.
    versions: BTreeMap<PeerId, u64>,
    /// Who has seen which of the newest heads of this ledger.
    seen: Seen,
    neighbors: BTreeSet<PeerId>,
    /// Neighbors who were asked for a proof, when they are to be asked again, and how often they were.
    asked: BTreeMap<PeerId, (Instant, u32)>,
    told: BTreeSet<(PeerId, Fault)>,
}

impl Keeper {
    /// The role of the node whose heads are signed by this, usually its identity.
    pub fn new(signer: impl Into<Signer>, now: Instant) -> Self {
        let signer = signer.into();
        Self {
            ledger: Ledger::new(signer.peer()),
            telling: Telling::new(&signer.peer(), now),
            signer,
            early: Vec::new(),
            pending: Vec::new(),
            writing: 0,
            retry_at: None,
            loaded: false,
            is_known: true,
            own_heard: None,
            rolled_back: false,
            clock: (0, now),
            witness: Witness::new(),
            versions: BTreeMap::new(),
            seen: Seen::default(),
            neighbors: BTreeSet::new(),
            asked: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// What is durable of this node's ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is known of the ledgers of others.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// Whether it knows what the next entry follows: its log was read, and the hash of the last entry is known.
    pub fn is_ready(&self) -> bool {
        self.loaded && self.is_known
    }

    /// How many events wait to be durable.
    pub fn waiting(&self) -> usize {
        self.early.len() + self.pending.len()
    }

    /// Whether others have seen of this ledger what it does not have.
    pub fn is_rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// What was found wrong with ledgers of others, in order.
    pub fn found(&self) -> impl Iterator<Item = &(PeerId, Fault)> {
        self.told.iter()
    }

    /// What signs its heads, to be told to note or to recall.
    pub(crate) fn signer_mut(&mut self) -> &mut Signer {
        &mut self.signer
    }

    /// This node's head as it is now, signed; `None` only while this is replayed and says something else than it said then.
    pub fn sign_head(&mut self) -> Option<SignedHead> {
        self.ledger.head().sign_with(&mut self.signer)
    }

    fn load(&mut self, entries: &[Option<Entry>], now: Instant, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.loaded, true) {
            return;
        }
        let Read { damaged, broken, is_known } = self.ledger.read(entries);
        self.is_known = is_known;
        self.telling.adopt(self.ledger.size(), now);
        effects.push(Effect::ResyncWanted);
        if !damaged.is_empty() || broken.is_some() {
            let event = damage_event(&damaged, broken);
            effects.push(Effect::Damaged { entries: damaged, broken });
            // It stays damaged: one entry says so, not one for each start.
            let told = event.told(&self.ledger.owner());
            let is_known = |entry: &Entry| (entry.kind, &entry.subject) == (told.kind, &told.subject);
            if !entries.iter().flatten().any(is_known) {
                self.append(event, None, now, effects);
            }
        }
        if let Some(heard) = self.own_heard.take() {
            self.on_own_head(heard, now, effects);
        }
        self.append_early(now, effects);
    }

    /// Writes down what waited for it to be known what it follows.
    fn append_early(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.is_ready() {
            for (event, ticket) in std::mem::take(&mut self.early) {
                self.append(event, ticket, now, effects);
            }
        }
    }

    fn append(&mut self, event: Event, ticket: Option<u64>, now: Instant, effects: &mut Vec<Effect>) {
        let full = self.ledger.size() + self.pending.len() as u64 >= LEDGER_ENTRIES_MAX;
        if full || self.waiting() >= LEDGER_PENDING_MAX {
            return effects.push(Effect::Refused { event, ticket });
        }
        if !self.is_ready() {
            return self.early.push((event, ticket));
        }
        let (unix_ms, at) = self.clock;
        let unix_ms = unix_ms + now.since(at).as_millis() as u64;
        let entry = self.ledger.next_after(self.pending.last().map(|last| &last.entry), &event, unix_ms);
        self.pending.push(Waiting { entry, ticket });
        self.telling.note(&event, self.ledger.size() == 0, now);
        self.write(effects);
    }

    /// Writes what waits, unless something is being written, or is to be tried again later.
    fn write(&mut self, effects: &mut Vec<Effect>) {
        if self.writing == 0 && self.retry_at.is_none() && !self.pending.is_empty() {
            self.writing = self.pending.len().min(LEDGER_BATCH_MAX);
            let batch = &self.pending[..self.writing];
            let entries = batch.iter().map(|waiting| waiting.entry.clone()).collect();
            let tickets = batch.iter().filter_map(|waiting| waiting.ticket).collect();
            effects.push(Effect::Write { entries, tickets });
        }
    }

    fn on_stored(&mut self, size: u64, effects: &mut Vec<Effect>) {
        let stored = self.writing;
        if size < self.ledger.size() + stored as u64 {
            // It is about what an earlier life of this role had written.
            return;
        }
        for Waiting { entry, .. } in self.pending.drain(..stored) {
            self.ledger.push(&entry).expect("BUG: what was made for its place fits it");
        }
        self.writing = 0;
        self.write(effects);
    }

    /// Publishes the head, if it is time.
    fn publish(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.publish_at().is_none_or(|at| at > now) {
            return;
        }
        let Some(head) = self.sign_head() else { return };
        self.telling.tell(head.head.size, self.pending.is_empty(), now);
        self.seen.begin(head.clone());
        effects.push(Effect::Publish(head));
    }

    fn publish_at(&self) -> Option<Instant> {
        self.telling.deadline(self.ledger.size()).filter(|_| self.is_known)
    }

    fn on_head_heard(&mut self, heard: SignedHead, version: u64, now: Instant, effects: &mut Vec<Effect>) {
        let ledger = heard.head.ledger;
        if ledger == self.ledger.owner() {
            return self.on_own_head(heard, now, effects);
        }
        if self.versions.get(&ledger).is_some_and(|newest| version < *newest) {
            return;
        }
        if self.versions.len() < LEDGERS_WITNESSED_MAX || self.versions.contains_key(&ledger) {
            self.versions.insert(ledger, version);
        }
        match self.witness.hear(heard) {
            Reaction::ProofWanted { .. } => {
                self.asked.remove(&ledger);
                self.ask(ledger, now, effects);
            }
            Reaction::Found(finding) => self.tell(finding, now, effects),
            Reaction::Known | Reaction::First | Reaction::NoRoom => self.confirm(ledger, effects),
        }
    }

    /// Others have seen this head: what it covers has to be there.
    fn on_own_head(&mut self, heard: SignedHead, now: Instant, effects: &mut Vec<Effect>) {
        if !self.loaded {
            let is_larger = self.own_heard.as_ref().is_none_or(|other| other.head.size < heard.head.size);
            self.own_heard = if is_larger { Some(heard) } else { self.own_heard.take() };
            return;
        }
        if !self.is_known {
            // Others may know the one hash that is lost: that of the last entry. What else is lost, nobody can tell.
            self.is_known = self.ledger.recover_last(&heard.head);
            return self.append_early(now, effects);
        }
        if self.rolled_back || self.ledger.continues(&heard.head) {
            return;
        }
        self.rolled_back = true;
        let (found, witnessed) = (self.ledger.size(), heard.head.size);
        effects.push(Effect::RolledBack { found, witnessed: heard });
        self.append(Event::RolledBack { found, witnessed }, None, now, effects);
    }

    /// Asks a neighbor to prove what it claims, if it is one, and has claimed something.
    fn ask(&mut self, ledger: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let claimed = self.witness.claimed(&ledger).map(|claimed| claimed.head.size);
        let (Some(second), Some(proven)) = (claimed, self.witness.proven(&ledger)) else { return };
        let first = proven.head.size;
        if first == 0 {
            // Everything continues nothing.
            let empty = super::Consistency { first, second, path: Vec::new() };
            let proven = self.witness.prove(&ledger, &empty);
            debug_assert_eq!(proven, Ok(None), "an empty ledger has the root of the empty tree");
            self.confirm(ledger, effects);
        } else if self.neighbors.contains(&ledger) {
            let times = self.asked.get(&ledger).map_or(0, |(_, times)| *times);
            if times < ASKS_MAX {
                self.asked.insert(ledger, (now + ASK_EVERY, times + 1));
                effects.push(Effect::Send { to: ledger, message: Message::Prove { first, second } });
            } else {
                // Who does not answer is not accused, and is asked again when it claims more.
                self.asked.remove(&ledger);
            }
        }
    }

    fn on_heard(&mut self, from: PeerId, message: Message, now: Instant, effects: &mut Vec<Effect>) {
        match message {
            Message::Prove { first, second } => {
                // With a hash that is lost the proof would fail, and look as if the ledger had been rewritten.
                let proof = self.is_known.then(|| self.ledger.tree().consistency(first, second)).flatten();
                effects.extend(proof.map(|proof| Effect::Send { to: from, message: Message::Proof(proof) }));
            }
            // What fits no claim was overtaken by a newer one, or was never asked for.
            Message::Proof(proof) if self.asked.contains_key(&from) => {
                if let Ok(finding) = self.witness.prove(&from, &proof) {
                    self.asked.remove(&from);
                    match finding {
                        Some(finding) => self.tell(finding, now, effects),
                        None => self.confirm(from, effects),
                    }
                }
            }
            Message::Proof(_) => {}
            Message::Seen(seen) => self.seen.hear(from, seen),
        }
    }

    fn tell(&mut self, finding: Box<Finding>, now: Instant, effects: &mut Vec<Effect>) {
        let ledger = finding.known.head.ledger;
        if self.told.len() < LEDGERS_WITNESSED_MAX && self.told.insert((ledger, finding.fault)) {
            let name = finding.fault.name().to_owned();
            let evidence = format!("{}; before: {}", finding.heard.head, finding.known.head);
            self.append(Event::Witnessed { ledger, finding: name, evidence }, None, now, effects);
            effects.push(Effect::Found(finding));
        }
    }

    fn on_neighbor(&mut self, peer: PeerId, is_usable: bool, now: Instant, effects: &mut Vec<Effect>) {
        if is_usable && self.neighbors.len() < NEIGHBORS_MAX {
            if self.neighbors.insert(peer) {
                self.confirm(peer, effects);
                self.ask(peer, now, effects);
            }
        } else if !is_usable {
            self.neighbors.remove(&peer);
            self.asked.remove(&peer);
        }
    }
}

impl Machine for Keeper {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Clock { unix_ms } => self.clock = (unix_ms, now),
            Input::Loaded { entries } => self.load(&entries, now, effects),
            Input::Append { event, ticket } => self.append(event, Some(ticket), now, effects),
            Input::Stored { size } => self.on_stored(size, effects),
            Input::StoreFailed => {
                self.writing = 0;
                self.retry_at = Some(now + WRITE_AGAIN_AFTER);
            }
            Input::HeadHeard { head, version } => self.on_head_heard(head, version, now, effects),
            Input::Heard { from, message } => self.on_heard(from, message, now, effects),
            Input::NeighborChanged { peer, is_usable } => self.on_neighbor(peer, is_usable, now, effects),
        }
        self.publish(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.write(effects);
        }
        let due: Vec<PeerId> = self.asked.iter().filter(|(_, (at, _))| *at <= now).map(|(peer, _)| *peer).collect();
        due.into_iter().for_each(|peer| self.ask(peer, now, effects));
        self.publish(now, effects);
    }

    fn deadline(&self) -> Option<Instant> {
        let asks = self.asked.values().map(|(at, _)| *at);
        asks.chain(self.publish_at()).chain(self.retry_at).min()
    }
}

/// What the ledger says of damage to itself.
fn damage_event(damaged: &[u64], broken: Option<Broken>) -> Event {
    let mut numbers: Vec<String> = damaged.iter().take(DAMAGED_NAMED_MAX).map(u64::to_string).collect();
    if damaged.len() > DAMAGED_NAMED_MAX {
        numbers.push(format!("{} more", damaged.len() - DAMAGED_NAMED_MAX));
    }
    let what = if numbers.is_empty() {
        "the chain of this ledger".to_owned()
    } else {
        format!("entries of this ledger: {}", numbers.join(", "))
    };
    let damage = broken.map_or_else(|| "not what was written".to_owned(), |broken| broken.to_string());
    Event::Damaged { what, damage }
}

/// How many damaged entries are named in one entry.
const DAMAGED_NAMED_MAX: usize = 12;
/// When what could not be written is tried again.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// When a neighbor that does not answer is asked again for a proof.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often a neighbor is asked for one proof.
const ASKS_MAX: u32 = 3;

#[cfg(test)]
mod tests;
