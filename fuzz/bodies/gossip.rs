//! A node that hears three neighbors through its gates. They say, sign and repeat what the bytes tell them to; what the
//! node says of itself must stand, its memory must stay within its limits, and whatever it sends must pass the gate of
//! whoever is honest.

use std::time::Duration;

use prunella_core::gossip::{Effect, Gate, Gossip, Heard, Input, Moment, Said, verify};
use prunella_core::identity::Identity;
use prunella_core::limits::{CONTROL_MESSAGE_BYTES_MAX, RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use prunella_core::peer::{LinkReport, LinkState};
use prunella_core::reconcile::{BucketSummary, Message, Part, Symbol};
use prunella_core::record::{
    Body, Equivocation, JudgmentsBody, Kind, LinkBody, LinksBody, NodeBody, Place, ProvenRecord, Record, RecordId,
    Refuted, SignedRecord, VerifiedCache,
};
use prunella_core::shared::{Seen, Write};
use prunella_core::wire::{Control, codec};
use prunella_core::{Instant, ItemId, Label, LinkId, Machine, PeerId};

const UNIX_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 3_600_000;
/// The node itself.
const OWN: u8 = 1;
/// Its neighbors, and after them origins that it only hears of.
const OTHERS: [u8; 5] = [2, 3, 4, 5, 6];
const NEIGHBORS: usize = 3;
/// Steps of one conversation, at most.
const STEPS_MAX: usize = 200;
/// Wakes that one stretch of time may take, at most: a node that wants more spins.
const WAKES_MAX: usize = 20_000;

/// Has the conversation that the bytes describe; tells how many messages the gates let through.
pub(crate) fn converse(bytes: &[u8]) -> usize {
    let mut talk = Talk::new();
    let mut words = Words(bytes);
    for _ in 0..STEPS_MAX {
        if words.0.is_empty() {
            break;
        }
        talk.step(&mut words);
        talk.look();
    }
    talk.rest(Duration::from_secs(30));
    talk.look();
    talk.passed
}

/// What the bytes say next; nothing but zeros at their end.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn coin(&mut self) -> bool {
        self.byte().is_multiple_of(2)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn bytes(&mut self) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(usize::from(self.byte()).min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn many<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}

struct Talk {
    own: PeerId,
    node: Gossip,
    gates: Vec<Gate>,
    others: Vec<Identity>,
    known: VerifiedCache,
    now: Instant,
    /// What the node has told last.
    root: [u8; 32],
    /// Items that somebody has named.
    items: Vec<ItemId>,
    /// What the node has sent.
    sent: Vec<Vec<u8>>,
    /// Records that the others have made.
    made: Vec<ProvenRecord>,
    passed: usize,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::BOOT;
        let others: Vec<Identity> = OTHERS.iter().map(|i| Identity::from_secret(&[*i; 32])).collect();
        let identity = Identity::from_secret(&[OWN; 32]);
        let mut talk = Self {
            own: identity.peer(),
            node: Gossip::new(identity, 1, now),
            gates: (0..NEIGHBORS).map(|_| Gate::greeted(1000, now)).collect(),
            others,
            known: VerifiedCache::with_room_for(64),
            now,
            root: [0; 32],
            items: vec![ItemId([0; 16])],
            sent: Vec::new(),
            made: Vec::new(),
            passed: 0,
        };
        talk.give(Input::Clock { unix_ms: UNIX_MS });
        talk.give(Input::Announce(NodeBody { name: "own".to_owned(), ..NodeBody::default() }));
        (0..NEIGHBORS).for_each(|i| talk.link(i, LinkState::Up));
        talk
    }

    fn step(&mut self, words: &mut Words<'_>) {
        let from = words.below(NEIGHBORS);
        match words.below(12) {
            0 => self.say(from, words.bytes()),
            1 => {
                let items = words.many(8, |words| self.item(words));
                self.tell(from, &Control::Announce(items));
            }
            2 => {
                let items = words.many(8, |words| self.item(words));
                self.tell(from, &Control::Graft(items));
            }
            3 => self.tell(from, &Control::Prune),
            4 | 5 => {
                let message = self.reconciliation(words);
                self.tell(from, &Control::Reconcile(message));
            }
            6 => {
                let records = words.many(4, |words| self.record(words));
                self.tell(from, &Control::Push(records));
            }
            7 => {
                let records = words.many(4, |words| self.record(words));
                self.tell(from, &Control::Give(records));
            }
            8 => {
                let states = [LinkState::Up, LinkState::Late, LinkState::Down, LinkState::Dialing];
                self.link(from, states[words.below(states.len())]);
            }
            9 => self.rest(Duration::from_millis(50) * u32::from(words.byte())),
            10 => {
                let value = words.coin().then(|| "blue".to_owned());
                self.give(Input::SetShared { key: "color".to_owned(), value, ticket: 1 });
            }
            _ => {
                // Its own words back, perhaps with one byte changed.
                let Some(mut bytes) = self.sent.get(words.below(64)).cloned() else { return };
                let place = usize::from(words.byte()) % bytes.len();
                bytes[place] ^= words.byte();
                self.say(from, &bytes);
            }
        }
    }

    fn tell(&mut self, from: usize, control: &Control) {
        self.say(from, &codec::encode_message(control));
    }

    fn say(&mut self, from: usize, bytes: &[u8]) {
        let peer = self.others[from].peer();
        let unix_ms = UNIX_MS + self.now.since(Instant::BOOT).as_millis() as u64;
        match self.gates[from].read(bytes, Moment { now: self.now, unix_ms }, &mut self.known) {
            Ok(Said::Message { message, bad }) => {
                self.passed += 1;
                self.give(Input::Heard { from: peer, message });
                bad.into_iter().for_each(|reason| self.give(Input::Rejected { from: peer, reason }));
            }
            Ok(Said::Parting(_) | Said::Ledger(_)) => self.passed += 1,
            Ok(Said::Hello { .. }) => unreachable!("the gates have been greeted"),
            Err(reason) => self.give(Input::Rejected { from: peer, reason }),
        }
    }

    fn link(&mut self, to: usize, state: LinkState) {
        self.give(Input::LinkReported(LinkReport {
            peer: self.others[to].peer(),
            link: Some((LinkId(to as u64), Label(to as u16))),
            state,
            rtt: Duration::from_micros(100),
            loss_permille: 0,
            probes_returned: 0,
            probes_lost: 0,
            heard: None,
            established: 1,
            probed_every: Duration::from_millis(200),
            // Some carry frames, and others rest.
            carries_until: self.now + Duration::from_secs(2) * (to as u32 % 2),
            failing: false,
            latency: Default::default(),
        }));
    }

    /// Lets time pass.
    fn rest(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut wakes = 0;
        while let Some(due) = self.node.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let mut effects = Vec::new();
            self.node.wake(self.now, &mut effects);
            self.perform(effects);
            wakes += 1;
            assert!(wakes < WAKES_MAX, "the node spins at {}", self.now);
        }
        self.now = until;
    }

    fn give(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.node.handle(input, self.now, &mut effects);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let unix_ms = UNIX_MS + self.now.since(Instant::BOOT).as_millis() as u64;
        for effect in effects {
            let Effect::Send { control, .. } = effect else { continue };
            let bytes = codec::encode_message(&control);
            assert!(bytes.len() <= CONTROL_MESSAGE_BYTES_MAX, "a message of {} bytes", bytes.len());
            if self.sent.len() < 64 {
                self.sent.push(bytes);
            }
            self.listen(&control);
            let (message, bad) = verify(control, unix_ms).expect("an honest node says nothing that is turned away");
            assert_eq!(bad, [], "an honest node passes on nothing bad");
            if let Heard::Push(records) | Heard::Give(records) = message {
                self.items.extend(records.iter().map(|record| record.item));
                self.items.truncate(64);
            }
        }
    }

    /// What whoever hears the node learns from it.
    fn listen(&mut self, control: &Control) {
        match control {
            Control::Reconcile(
                Message::Summary { root, .. }
                | Message::Cells { root, .. }
                | Message::MoreCells { root, .. }
                | Message::Groups { root, .. }
                | Message::Buckets { root, .. },
            ) => self.root = *root,
            Control::Announce(items) | Control::Graft(items) => self.items.extend(items.iter().take(8)),
            _ => (),
        }
    }

    /// What holds at any time.
    fn look(&self) {
        let mut named = false;
        let mut count = 0;
        let mut by_origin = std::collections::BTreeMap::new();
        for record in self.node.records() {
            count += 1;
            *by_origin.entry(record.id.origin).or_insert(0_usize) += 1;
            let is_name = record.id.origin == self.own && record.id.kind == Kind::Node;
            named |= is_name && matches!(&record.body, Body::Node(body) if body.name == "own");
        }
        assert!(named, "the node's own word is gone");
        assert!(count <= RECORDS_MAX, "{count} records");
        assert!(by_origin.values().all(|count| *count <= RECORDS_PER_ORIGIN_MAX), "{by_origin:?}");
    }

    fn item(&self, words: &mut Words<'_>) -> ItemId {
        match words.byte() {
            byte @ ..128 => self.items[usize::from(byte) % self.items.len()],
            byte => ItemId([byte; 16]),
        }
    }

    fn peer(&self, words: &mut Words<'_>) -> PeerId {
        match words.byte() % 8 {
            0 => self.own,
            byte => self.others[usize::from(byte) % self.others.len()].peer(),
        }
    }

    fn root(&self, words: &mut Words<'_>) -> [u8; 32] {
        match words.byte() {
            ..128 => self.root,
            byte => [byte; 32],
        }
    }

    fn reconciliation(&self, words: &mut Words<'_>) -> Message {
        let hash = |words: &mut Words<'_>| [words.byte(); 16];
        let start = |words: &mut Words<'_>| u16::from(words.byte()) * 9;
        match words.below(9) {
            0 => {
                Message::Summary { root: self.root(words), items: 1 << (words.byte() % 32), fresh: words.byte() < 128 }
            }
            1 => {
                let cell = |words: &mut Words<'_>| codec::decode(&[words.byte(); 10]).expect("a cell is 10 bytes");
                Message::Cells { root: self.root(words), start: start(words), cells: words.many(40, cell) }
            }
            2 => Message::MoreCells { root: self.root(words), start: start(words) },
            3 => {
                let mut symbols = words.many(20, |words| Symbol::of(&self.item(words)));
                symbols.sort_unstable();
                symbols.dedup();
                Message::Want(symbols)
            }
            4 => Message::Groups { root: self.root(words), hashes: (0..32).map(|_| hash(words)).collect() },
            5 => {
                let (root, groups) = (self.root(words), 1 << words.below(32) | 1 << words.below(32));
                let bucket = |_| BucketSummary { hash: hash(words), items: u32::from(words.byte()) };
                Message::Buckets { root, groups, buckets: (0..32 * u32::count_ones(groups)).map(bucket).collect() }
            }
            6 => {
                let part = |words: &mut Words<'_>| {
                    let mut items = words.many(4, |words| self.item(words));
                    items.sort_unstable();
                    items.dedup();
                    let bucket = items
                        .first()
                        .map_or(u16::from(words.byte()), |item| u16::from_be_bytes([item.0[0], item.0[1]]) >> 6);
                    Part { bucket, after: None, until: None, items }
                };
                Message::Items { parts: words.many(4, part), last: words.coin() }
            }
            7 => {
                let mut items = words.many(20, |words| self.item(words));
                items.sort_unstable();
                items.dedup();
                Message::WantItems(items)
            }
            _ => Message::Busy,
        }
    }

    /// A record that somebody has signed, as it should be or not; or one that was made before.
    fn record(&mut self, words: &mut Words<'_>) -> SignedRecord {
        if let Some(old) = self.made.get(words.below(32)) {
            return old.signed.clone();
        }
        let origin = words.below(self.others.len());
        let (kind, key, body) = self.statement(words, self.others[origin].peer());
        let issued_ms = (UNIX_MS + HOUR_MS).saturating_sub(u64::from(words.byte()) * HOUR_MS / 64);
        let record = Record {
            id: RecordId { origin: self.others[origin].peer(), kind, key },
            version: (issued_ms << 16) + u64::from(words.byte() % 4),
            issued_ms,
            expires_ms: issued_ms + u64::from(words.byte()) * HOUR_MS,
            body,
        };
        let bytes = codec::encode(&record);
        let statement = [b"prunella record v1\0".as_slice(), &bytes].concat();
        let mut signed = SignedRecord { bytes, signature: self.others[origin].sign(&statement).to_vec(), path: None };
        match words.byte() {
            0..8 => signed.signature[3] ^= 1,
            8..16 => signed.bytes.push(0),
            _ => (),
        }
        if let Ok(record) = signed.clone().verify_signature() {
            self.made.push(record.into_inner());
        }
        signed
    }

    fn statement(&self, words: &mut Words<'_>, origin: PeerId) -> (Kind, String, Body) {
        match words.below(7) {
            0 => {
                let body = NodeBody { name: "n".repeat(words.below(70)), ..NodeBody::default() };
                (Kind::Node, String::new(), Body::Node(body))
            }
            1 => {
                let (links, judgments) = (self.links(words), self.judgments(words));
                if links.links.is_empty() {
                    (Kind::Judgments, String::new(), Body::Judgments(judgments))
                } else {
                    (Kind::Links, String::new(), Body::Links(links))
                }
            }
            2 => (Kind::Service, format!("s{}", words.byte()), Body::Service),
            3 => (Kind::Service, format!("s{}", words.byte()), Body::Withdrawn),
            4 => {
                let seen = |words: &mut Words<'_>| Seen { writer: self.peer(words), counter: u64::from(words.byte()) };
                let mut clock = words.many(3, seen);
                clock.retain(|seen| seen.writer != origin);
                clock.push(Seen { writer: origin, counter: 200 + u64::from(words.byte()) });
                clock.sort_unstable();
                clock.dedup_by_key(|seen| seen.writer);
                let value = words.coin().then(|| "red".to_owned());
                let key = if words.coin() { "color".to_owned() } else { format!("k{}", words.byte()) };
                (Kind::Shared, key, Body::Shared(Write { clock, floor: u64::from(words.byte() % 4), value }))
            }
            5 => {
                let (a, b) = (words.below(32), words.below(32));
                let pair = self.made.get(a).zip(self.made.get(b));
                let proof = pair.and_then(|(a, b)| Equivocation::of(a, b));
                let accused = proof.as_ref().map_or(origin, Equivocation::accused).to_string();
                // Where two records prove nothing, one of them may prove a place.
                let place = self.made.get(a).filter(|_| proof.is_none()).and_then(|links| Place::of(links, &origin));
                match (proof, place) {
                    (None, Some(place)) => (Kind::Place, place.host().to_string(), Body::Place(Box::new(place))),
                    (Some(proof), _) => (Kind::Equivocation, accused, Body::Equivocation(Box::new(proof))),
                    (None, None) => (Kind::Equivocation, accused, Body::Withdrawn),
                }
            }
            _ => (Kind::Node, String::new(), Body::Withdrawn),
        }
    }

    fn links(&self, words: &mut Words<'_>) -> LinksBody {
        let link = |words: &mut Words<'_>| LinkBody {
            neighbor: self.peer(words),
            label: Label(u16::from(words.byte())),
            rtt_us: u32::from(words.byte()) << 20,
            loss_permille: u16::from(words.byte()) * 5,
        };
        LinksBody { links: words.many(4, link) }
    }

    fn judgments(&self, words: &mut Words<'_>) -> JudgmentsBody {
        let mut silent = words.many(3, |words| self.peer(words));
        let refuted = |words: &mut Words<'_>| Refuted { accuser: self.peer(words), version: u64::from(words.byte()) };
        let mut refuted = words.many(3, refuted);
        silent.sort_unstable();
        silent.dedup();
        refuted.sort_unstable();
        let failing = silent.split_off(silent.len().div_ceil(2));
        // Drawn from what is there already: a fuzzer's bytes mean the same as before.
        let distrusted = failing.clone();
        JudgmentsBody { silent, failing, refuted, distrusted }
    }
}
