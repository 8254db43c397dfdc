//! The keeper role: writes this node's ledger, watches those of others, and keeps copies of what its neighbors wrote.
//!
//! It hears events that are to be written down, what is durable, and the heads of all ledgers; it asks for entries to be
//! written, for its head to be published, for neighbors to prove theirs and to give entries, and tells what it found.
//! Invariants: no head is signed of what is not durable, and none before others had the time to say what they have seen of
//! this ledger: a node whose disk was set back says so itself. And nothing that a neighbor gives back is put into this
//! ledger unless its hash is the one that stood there.

mod copying;
mod mending;
mod seen;
mod telling;
mod watching;
mod writing;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::event::Event;
use super::head::SignedHead;
use super::message::Message;
use super::witness::{Fault, Finding, Witness};
use super::{Broken, Hash, Ledger, Report};
use crate::signer::Signer;
use crate::{Instant, Machine, PeerId};
use copying::Copying;
use mending::Mending;
pub(super) use mending::damage_in_words;
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
    /// Copies are durable: told of each ledger at the start, and whenever there are more.
    Copied(Copied),
    /// Copies of a ledger could not be written; there are those that there were.
    CopyFailed {
        /// Whose ledger.
        ledger: PeerId,
    },
    /// Entries of this node's own ledger that were damaged were to be put back in their place: what is neither could not be
    /// written now.
    Mended {
        /// Those that stand there again, durably.
        entries: Vec<u64>,
        /// Those that cannot be put back: their place on the disk is gone.
        refused: Vec<u64>,
    },
    /// Somebody forgot what this role has reported: it is to be told again.
    ReportWanted,
}

/// What there is of copies of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Whose ledger.
    pub ledger: PeerId,
    /// The number behind that of the newest entry.
    pub until: u64,
    /// The leaf hash of that.
    pub last: Hash,
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Append these entries to the log, together; comes back as [`Input::Stored`] or [`Input::StoreFailed`].
    Write {
        /// At most [`crate::limits::LEDGER_BATCH_MAX`].
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
    /// Send a neighbor entries: this node's own, or copies of the neighbor's; those of them that can be read. Nothing comes
    /// back.
    Give {
        /// Whom.
        to: PeerId,
        /// Of whose ledger.
        ledger: PeerId,
        /// The number of the first.
        first: u64,
        /// How many at most.
        count: u64,
    },
    /// Keep copies of entries of another node's ledger; comes back as [`Input::Copied`] or [`Input::CopyFailed`].
    Copy {
        /// They are of one ledger, and follow each other.
        entries: Vec<Entry>,
    },
    /// Forget all copies of a ledger; nothing comes back.
    DropCopies {
        /// Whose.
        ledger: PeerId,
    },
    /// Put back what stood in the place of damaged entries of this node's own ledger; comes back as [`Input::Mended`].
    Mend {
        /// What stood there.
        entries: Vec<Entry>,
    },
    /// Damaged entries are as they were again.
    Repaired {
        /// Their numbers.
        entries: Vec<u64>,
        /// With whose help.
        by: PeerId,
        /// How many are damaged still.
        left: usize,
        /// Whether the ledger is sound: nothing else is wrong with it either.
        is_sound: bool,
    },
    /// A neighbor gave something else than stood in this ledger: nothing of it counts.
    OtherGiven {
        /// Who.
        by: PeerId,
        /// What it was said to be.
        index: u64,
    },
    /// What is wrong still, for whoever forgot it.
    Report(Report),
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
    /// How many entries there were, and how many others have seen, if they have seen what this ledger does not have; told
    /// once.
    rolled_back: Option<(u64, u64)>,
    clock: (u64, Instant),
    witness: Witness,
    /// The version of the newest record that was heard of each ledger that is watched.
    versions: BTreeMap<PeerId, u64>,
    /// Who has seen which of the newest heads of this ledger.
    seen: Seen,
    neighbors: BTreeSet<PeerId>,
    /// Neighbors who were asked for a proof, when they are to be asked again, and how often they were.
    asked: BTreeMap<PeerId, (Instant, u32)>,
    /// The findings that were told, with the heads that show them.
    told: BTreeMap<(PeerId, Fault), String>,
    copying: Copying,
    mending: Mending,
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
            rolled_back: None,
            clock: (0, now),
            witness: Witness::new(),
            versions: BTreeMap::new(),
            seen: Seen::default(),
            neighbors: BTreeSet::new(),
            asked: BTreeMap::new(),
            told: BTreeMap::new(),
            copying: Copying::new(now),
            mending: Mending::default(),
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
        self.rolled_back.is_some()
    }

    /// What was found wrong with ledgers of others, in order.
    pub fn found(&self) -> impl Iterator<Item = &(PeerId, Fault)> {
        self.told.keys()
    }

    /// The numbers of this ledger's entries that are not what was written.
    pub fn damaged(&self) -> impl ExactSizeIterator<Item = u64> {
        self.mending.damaged()
    }

    /// How many entries are as they were again, with the help of neighbors.
    pub fn repaired(&self) -> u64 {
        self.mending.repaired
    }

    /// How often a neighbor gave something else than what stood in this ledger, or than the neighbor itself has signed.
    pub fn others_given(&self) -> u64 {
        self.mending.others_given + self.copying.others_given
    }

    /// Of which ledgers there are copies of entries, and how far they go, by ledger.
    pub fn copies(&self) -> impl ExactSizeIterator<Item = (PeerId, u64)> {
        self.copying.held()
    }

    /// What signs its heads, to be told to note or to recall.
    pub(crate) fn signer_mut(&mut self) -> &mut Signer {
        &mut self.signer
    }

    /// This node's head as it is now, signed; `None` only while this is replayed and says something else than it said then.
    pub fn sign_head(&mut self) -> Option<SignedHead> {
        self.ledger.head().sign_with(&mut self.signer)
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
                self.retry_at = Some(now + writing::WRITE_AGAIN_AFTER);
            }
            Input::HeadHeard { head, version } => self.on_head_heard(head, version, now, effects),
            Input::Heard { from, message } => self.on_heard(from, message, now, effects),
            Input::NeighborChanged { peer, is_usable } => self.on_neighbor(peer, is_usable, now, effects),
            Input::Copied(copied) => self.on_copied(copied),
            Input::CopyFailed { ledger } => self.on_copy_failed(&ledger, now),
            Input::Mended { entries, refused } => self.on_mended(&entries, &refused, now, effects),
            Input::ReportWanted => self.report(effects),
        }
        self.mend(now, effects);
        self.copy(now, effects);
        self.publish(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.write(effects);
        }
        let due: Vec<PeerId> = self.asked.iter().filter(|(_, (at, _))| *at <= now).map(|(peer, _)| *peer).collect();
        due.into_iter().for_each(|peer| self.ask(peer, now, effects));
        self.mend(now, effects);
        self.copy(now, effects);
        self.publish(now, effects);
    }

    fn deadline(&self) -> Option<Instant> {
        let asks = self.asked.values().map(|(at, _)| *at);
        let entries = self.mend_at().into_iter().chain(self.copy_at());
        asks.chain(entries).chain(self.publish_at()).chain(self.retry_at).min()
    }
}

#[cfg(test)]
mod tests;
