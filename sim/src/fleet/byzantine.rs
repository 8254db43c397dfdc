//! A member that attacks: a client of its own that speaks the protocol and runs none of the roles.
//!
//! As the "bad boy" of the evaluation of gossipsub ([`crate::attack`]), it has what an attack needs and nothing else. It
//! holds links, answers probes as every datapath does, hears what is new, and decides by its [`Behavior`] what of it
//! goes on to whom, and what it says besides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use prunella_core::identity::Identity;
use prunella_core::limits::{BROADCAST_IDS_MAX, DIAL_TIMEOUT};
use prunella_core::reconcile::Message;
use prunella_core::record::{Body, Kind, LIFE_BITS, NodeBody, Record, RecordId, SignedRecord};
use prunella_core::rng::Rng;
use prunella_core::wire::{Control, codec};
use prunella_core::{Instant, ItemId, PeerId};

/// How a member attacks.
#[derive(Clone, Debug)]
pub struct Behavior {
    /// Until then it is as good as anybody, and quicker: it passes on at once to everybody what is new.
    pub turns_at: Instant,
    /// Of the records that it hears after that, so many thousandths go no further.
    pub withholds_permille: u16,
    /// It withholds only what this node has said.
    pub censors: Option<PeerId>,
    /// It announces what it withholds, and does not answer whoever asks for it.
    pub promises: bool,
    /// How often it asks all neighbors to push whatever is new, as who is in the tree is told first.
    pub grafts_every: Option<Duration>,
    /// To whoever tells what it holds, it says that it holds the same: so nobody looks for what it withholds.
    pub feigns: bool,
    /// What it says besides.
    pub noise: Noise,
    /// How much of that, in messages a second to each neighbor.
    pub noise_per_second: u32,
}

/// What an attacker says that is of no use to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Nothing.
    None,
    /// Records of others with signatures that do not fit, and bytes without a meaning.
    Invalid,
    /// Records of others that everybody has, again and again.
    Replays,
    /// Well-formed announcements of what nobody has.
    Flood,
}

impl Behavior {
    /// Silent from this moment on: what it hears ends here.
    pub const fn silent(turns_at: Instant) -> Self {
        Self {
            turns_at,
            withholds_permille: 1000,
            censors: None,
            promises: false,
            grafts_every: Some(Duration::from_secs(5)),
            feigns: true,
            noise: Noise::None,
            noise_per_second: 0,
        }
    }
}

/// One attacker.
#[derive(Debug)]
pub(super) struct Byzantine {
    identity: Identity,
    behavior: Behavior,
    /// Whom it wants links with.
    pub(super) targets: Vec<usize>,
    neighbors: BTreeSet<usize>,
    /// When it last dialed whom.
    dialed: BTreeMap<usize, Instant>,
    /// What it has heard, by item, and in which order.
    heard: BTreeMap<ItemId, (SignedRecord, bool)>,
    order: VecDeque<ItemId>,
    grafts_at: Instant,
    rng: Rng,
}

/// Something that an attacker says: a message, or bytes that only look like one.
pub(super) type Said = (usize, Vec<u8>);

impl Byzantine {
    pub(super) fn new(identity: Identity, behavior: Behavior, targets: Vec<usize>, rng: Rng) -> Self {
        let (heard, order) = (BTreeMap::new(), VecDeque::new());
        let (neighbors, dialed) = (BTreeSet::new(), BTreeMap::new());
        Self { identity, behavior, targets, neighbors, dialed, heard, order, grafts_at: Instant::BOOT, rng }
    }

    /// Whom it dials now: whom it wants a link with, has none, and has not dialed lately.
    pub(super) fn dials(&mut self, now: Instant) -> Vec<usize> {
        let is_due = |at: &Instant| now.since(*at) > DIAL_TIMEOUT;
        let (neighbors, dialed) = (&self.neighbors, &mut self.dialed);
        let wanted = self.targets.iter().copied().filter(|target| !neighbors.contains(target));
        let due: Vec<usize> = wanted.filter(|target| dialed.get(target).is_none_or(is_due)).collect();
        dialed.extend(due.iter().map(|target| (*target, now)));
        due
    }

    /// There is a link: it says who it is, so that it counts as a member.
    pub(super) fn linked(&mut self, to: usize, unix_ms: u64) -> Vec<Said> {
        self.neighbors.insert(to);
        let id = RecordId { origin: self.identity.peer(), kind: Kind::Node, key: String::new() };
        let body = Body::Node(NodeBody { name: "friend".to_owned(), ..NodeBody::default() });
        let version = unix_ms << LIFE_BITS;
        let record = Record { id, version, issued_ms: unix_ms, expires_ms: unix_ms + 86_400_000, body };
        let signed = record.sign(&self.identity).signed.clone();
        vec![(to, codec::encode_message(&Control::Push(vec![signed])))]
    }

    pub(super) fn unlinked(&mut self, from: usize) {
        self.neighbors.remove(&from);
    }

    /// A neighbor said something.
    pub(super) fn hear(&mut self, from: usize, control: Control, now: Instant) -> Vec<Said> {
        let said = match control {
            Control::Push(records) | Control::Give(records) => {
                records.into_iter().flat_map(|record| self.learn(from, record, now)).collect()
            }
            Control::Announce(items) => {
                let wanted: Vec<ItemId> = items.into_iter().filter(|item| !self.heard.contains_key(item)).collect();
                if wanted.is_empty() { Vec::new() } else { vec![(from, Control::Graft(wanted))] }
            }
            Control::Graft(items) => {
                let known = items.iter().filter_map(|item| self.heard.get(item));
                let records: Vec<SignedRecord> =
                    known.filter(|(_, withheld)| !withheld).map(|(record, _)| record.clone()).collect();
                if records.is_empty() { Vec::new() } else { vec![(from, Control::Push(records))] }
            }
            Control::Reconcile(Message::Summary { root, items, .. }) if self.behavior.feigns => {
                vec![(from, Control::Reconcile(Message::Summary { root, items, fresh: false }))]
            }
            Control::Hello { .. }
            | Control::Prune
            | Control::Reconcile(_)
            | Control::Part
            | Control::Stay
            | Control::Ledger(_) => Vec::new(),
        };
        said.into_iter().map(|(to, control)| (to, codec::encode_message(&control))).collect()
    }

    /// It has heard a record: it goes on to all others, or it ends here.
    fn learn(&mut self, from: usize, record: SignedRecord, now: Instant) -> Vec<(usize, Control)> {
        let item = ItemId::of(&record.bytes);
        if self.heard.contains_key(&item) {
            return Vec::new();
        }
        let withheld = self.withholds(&record, now);
        self.heard.insert(item, (record.clone(), withheld));
        self.order.push_back(item);
        if self.order.len() > HEARD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.heard.remove(&oldest);
        }
        let control = match (withheld, self.behavior.promises) {
            (false, _) => Control::Push(vec![record]),
            (true, true) => Control::Announce(vec![item]),
            (true, false) => return Vec::new(),
        };
        let others = self.neighbors.iter().filter(|neighbor| **neighbor != from);
        others.map(|neighbor| (*neighbor, control.clone())).collect()
    }

    fn withholds(&mut self, record: &SignedRecord, now: Instant) -> bool {
        // An encoded record begins with its origin.
        let is_meant =
            self.behavior.censors.is_none_or(|origin| record.bytes.starts_with(origin.as_bytes().as_slice()));
        now >= self.behavior.turns_at
            && is_meant
            && self.rng.below(1000) < usize::from(self.behavior.withholds_permille)
    }

    /// What it says by itself, every [`ACTS_EVERY`].
    pub(super) fn act(&mut self, now: Instant) -> Vec<Said> {
        let mut said = Vec::new();
        if let Some(every) = self.behavior.grafts_every.filter(|_| now >= self.grafts_at) {
            self.grafts_at = now + every;
            let graft = codec::encode_message(&Control::Graft(Vec::new()));
            said.extend(self.neighbors.iter().map(|neighbor| (*neighbor, graft.clone())));
        }
        if now < self.behavior.turns_at || self.behavior.noise == Noise::None {
            return said;
        }
        let each = self.behavior.noise_per_second * ACTS_EVERY.as_millis() as u32 / 1000;
        let neighbors: Vec<usize> = self.neighbors.iter().copied().collect();
        for to in neighbors {
            for _ in 0..each {
                said.extend(self.noise().map(|bytes| (to, bytes)));
            }
        }
        said
    }

    fn noise(&mut self) -> Option<Vec<u8>> {
        Some(match self.behavior.noise {
            Noise::None => return None,
            Noise::Flood => {
                let items = (0..BROADCAST_IDS_MAX).map(|_| self.nobody_s()).collect();
                codec::encode_message(&Control::Announce(items))
            }
            Noise::Replays => codec::encode_message(&Control::Push(vec![self.any_heard()?])),
            Noise::Invalid if self.rng.below(2) == 0 => {
                vec![codec::VERSION, 200, self.rng.next_u64() as u8, self.rng.next_u64() as u8]
            }
            Noise::Invalid => {
                let mut record = self.any_heard()?;
                record.signature[self.rng.below(64)] ^= 1;
                codec::encode_message(&Control::Push(vec![record]))
            }
        })
    }

    /// An item that nobody has.
    fn nobody_s(&mut self) -> ItemId {
        let (a, b) = (self.rng.next_u64().to_le_bytes(), self.rng.next_u64().to_le_bytes());
        ItemId(std::array::from_fn(|at| if at < 8 { a[at] } else { b[at - 8] }))
    }

    fn any_heard(&mut self) -> Option<SignedRecord> {
        let item = self.order.get(self.rng.below(self.order.len().max(1)))?;
        self.heard.get(item).map(|(record, _)| record.clone()).filter(|record| record.signature.len() == 64)
    }
}

/// How often an attacker acts.
pub(super) const ACTS_EVERY: Duration = Duration::from_millis(100);
/// Most records that an attacker remembers.
const HEARD_MAX: usize = 16 * 1024;
