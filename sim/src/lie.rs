//! Lies: what a Byzantine node says, and what must become of it.
//!
//! A liar runs an honest core, so that it has links and is believed, and besides it says whatever it likes over those
//! links: forgeries, contradictions, old messages, garbage, and too much of everything.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::limits::{CONTROL_MESSAGE_BYTES_MAX, CONTROL_RATE_PER_SECOND, DIGEST_ENTRIES_MAX, PUSH_RECORDS_MAX};
use prunella_core::record::{Body, Kind, LinkBody, LinksBody, Record, RecordId, SignedRecord};
use prunella_core::rng::Rng;
use prunella_core::wire::control::Digest;
use prunella_core::wire::{Control, codec};
use prunella_core::{Label, PeerId, Rejected};

use crate::event::Event;
use crate::host::true_unix_ms;
use crate::world::World;

/// A message on a control stream.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lie: Option<Lie>,
}

impl Said {
    pub(crate) fn honestly(bytes: Vec<u8>) -> Self {
        Self { bytes, lie: None }
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.lie.is_none()
    }
}

/// A kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lie {
    name: &'static str,
    /// Why it must be turned away, one of these; empty: it need not be.
    reasons: &'static [Rejected],
    /// How many records in it must be turned away; 0: the message as a whole.
    records: usize,
}

impl Lie {
    /// What is wrong, if a lie that must be turned away by name was not. Whoever's own clock is wrong may give any reason.
    pub(crate) fn got_through(self, taken: &Taken, on_time: bool) -> Option<String> {
        let reasons = taken.reasons();
        if self.reasons.is_empty() || *taken == Taken::TooFast {
            None
        } else if reasons.len() < self.records.max(1) {
            Some(format!("believes a lie ({})", self.name))
        } else if on_time && !reasons.iter().all(|reason| self.reasons.contains(reason)) {
            Some(format!("rejects a lie ({}) as {reasons:?}", self.name))
        } else {
            None
        }
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is longer than any message: nothing after it can be read.
    Unframed,
    /// The neighbor says more than it may.
    TooFast,
    /// It does not decode.
    Undecoded(Rejected),
    /// It was refused as a whole.
    Refused(Rejected),
    /// It was heard, but for these of its records.
    Heard(Vec<Rejected>),
}

impl Taken {
    pub(crate) fn reasons(&self) -> Vec<Rejected> {
        match self {
            Taken::Unframed | Taken::TooFast => vec![Rejected::OverLimit],
            Taken::Undecoded(reason) | Taken::Refused(reason) => vec![*reason],
            Taken::Heard(reasons) => reasons.clone(),
        }
    }
}

/// What a liar has overheard and what it draws.
#[derive(Debug)]
pub(crate) struct Liar {
    pub(crate) host: usize,
    rng: Rng,
    /// Messages that others have sent to it, to be replayed.
    overheard: VecDeque<Vec<u8>>,
    /// Its favorite lies, by number.
    likes: Vec<usize>,
    /// Versions of its own lies grow, or nobody would take them.
    version: u64,
}

impl Liar {
    /// A liar with some favorite kinds of lies.
    pub(crate) fn new(host: usize, mut rng: Rng) -> Self {
        let mut likes: Vec<usize> = (0..LIES.len()).filter(|_| rng.below(2) == 0).collect();
        if likes.is_empty() {
            likes.push(rng.below(LIES.len()));
        }
        Self { host, rng, overheard: VecDeque::new(), likes, version: 0 }
    }

    pub(crate) fn overhear(&mut self, bytes: &[u8]) {
        if self.overheard.len() >= OVERHEARD_MAX {
            self.overheard.pop_front();
        }
        self.overheard.push_back(bytes.to_vec());
    }
}

impl World {
    /// Whether a node lies.
    pub(crate) fn is_liar(&self, host: usize) -> bool {
        self.liars.iter().any(|liar| liar.host == host)
    }

    /// A liar says its next lie, as long as the storm lasts.
    pub(crate) fn on_lie(&mut self, host: usize) {
        if self.now >= self.stormy_until {
            return;
        }
        let Some(at) = self.liars.iter().position(|liar| liar.host == host) else { return };
        let liar = &mut self.liars[at];
        let next = liar.rng.jitter(LIE_EVERY, 80);
        let kind = LIES[liar.likes[liar.rng.below(liar.likes.len())]];
        self.queue.push(self.now + next, Event::Lie { host });
        let neighbors: Vec<usize> = self.hosts[host].links.values().map(|link| link.peer).collect();
        if !self.hosts[host].is_running() || neighbors.is_empty() {
            return;
        }
        self.lies_told += 1;
        for (to, said) in self.lie(at, kind, &neighbors) {
            self.send_bytes(host, to, said);
        }
    }

    /// Invents a lie: what is said to whom.
    fn lie(&mut self, at: usize, kind: LieKind, neighbors: &[usize]) -> Vec<(usize, Said)> {
        let unix_ms = true_unix_ms(self.now);
        let peers: Vec<PeerId> = self.hosts.iter().map(|host| host.peer_id()).collect();
        let mut forge = Forge { world: self, at, unix_ms, peers };
        let to = neighbors[forge.below(neighbors.len())];
        let one = |said| vec![(to, said)];
        match kind {
            LieKind::Forgery => one(forge.forgery()),
            LieKind::Tampering => forge.tampering().map(|said| (to, said)).into_iter().collect(),
            LieKind::FalseLinks => forge.false_links().map(|said| (to, said)).into_iter().collect(),
            LieKind::Equivocation => forge.equivocation(neighbors),
            LieKind::Replay => forge.replay().map(|said| (to, said)).into_iter().collect(),
            LieKind::Flood => (0..2 * CONTROL_RATE_PER_SECOND).map(|_| (to, forge.noise())).collect(),
            LieKind::Garbage => one(forge.garbage()),
            LieKind::Oversized => one(forge.said(vec![codec::VERSION; CONTROL_MESSAGE_BYTES_MAX + 1], OVERSIZED)),
            LieKind::WrongVersion => one(forge.wrong_version()),
            LieKind::Disorder => one(forge.disorder()),
            LieKind::TooManyEntries => one(forge.too_many_entries()),
            LieKind::FalseDigest => one(forge.false_digest()),
            LieKind::Stale => one(forge.timed(unix_ms.saturating_sub(7_200_000), "a stale record")),
            LieKind::Future => one(forge.timed(unix_ms + 7_200_000, "a future record")),
            LieKind::Crowd => forge.crowd().into_iter().map(|said| (to, said)).collect(),
        }
    }
}

/// Where lies are made.
struct Forge<'a> {
    world: &'a mut World,
    /// The liar's place among the liars.
    at: usize,
    unix_ms: u64,
    peers: Vec<PeerId>,
}

impl Forge<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.world.liars[self.at].rng.below(end)
    }

    fn me(&self) -> PeerId {
        self.peers[self.world.liars[self.at].host]
    }

    fn anybody(&mut self) -> PeerId {
        let at = self.below(self.peers.len());
        self.peers[at]
    }

    fn version(&mut self) -> u64 {
        let liar = &mut self.world.liars[self.at];
        liar.version = self.unix_ms.max(liar.version + 1);
        liar.version
    }

    fn said(&self, bytes: Vec<u8>, lie: Lie) -> Said {
        Said { bytes, lie: Some(lie) }
    }

    fn push(&self, records: Vec<SignedRecord>, lie: Lie) -> Said {
        self.said(codec::encode_message(&Control::Push(records)), lie)
    }

    /// Signs a record with the liar's own key, which makes it genuine if it is its own.
    fn sign(&mut self, record: Record) -> SignedRecord {
        let host = self.world.liars[self.at].host;
        self.world.registry.sign(&record);
        record.sign(&self.world.hosts[host].identity).signed.clone()
    }

    fn own(&mut self, kind: Kind, key: &str, body: Body) -> Record {
        let id = RecordId { origin: self.me(), kind, key: key.to_owned() };
        let (version, issued_ms) = (self.version(), self.unix_ms);
        Record { id, version, issued_ms, expires_ms: issued_ms + 300_000, body }
    }

    /// A record of somebody else, far ahead of all that it said, under a signature that does not fit.
    fn forgery(&mut self) -> Said {
        let mut record = self.own(Kind::Links, "", Body::Links(LinksBody::default()));
        while record.id.origin == self.me() {
            record.id.origin = self.anybody();
        }
        record.version += 1_000_000;
        let bytes = codec::encode(&record);
        let host = self.world.liars[self.at].host;
        let signature = match self.below(2) {
            0 => self.world.hosts[host].identity.sign(&bytes).to_vec(),
            _ => vec![7; 64],
        };
        self.push(
            vec![SignedRecord { bytes, signature }],
            Lie { name: "a forged record", reasons: &UNSIGNED, records: 1 },
        )
    }

    /// A record that it has overheard, with one bit changed.
    fn tampering(&mut self) -> Option<Said> {
        let Control::Push(mut records) = codec::decode_message(&self.overheard()?).ok()? else { return None };
        let mut record = records.pop()?;
        let bit = self.below(record.bytes.len() * 8);
        record.bytes[bit / 8] ^= 1 << (bit % 8);
        Some(self.push(vec![record], Lie { name: "a record with a changed bit", reasons: &ANY, records: 1 }))
    }

    /// Links that it does not have, told to one neighbor.
    fn false_links(&mut self) -> Option<Said> {
        let count = 1 + self.below(self.peers.len());
        let mut links = Vec::new();
        for _ in 0..count {
            let label = Label(1 + self.below(60_000) as u16);
            let neighbor = self.anybody();
            links.push(LinkBody { neighbor, label, rtt_us: 1, loss_permille: 0 });
        }
        let record = self.own(Kind::Links, "", Body::Links(LinksBody { links, ..LinksBody::default() }));
        let signed = self.sign(record);
        Some(self.push(vec![signed], Lie { name: "links that are not there", reasons: &[], records: 0 }))
    }

    /// Two different records with one id and version, to different neighbors.
    fn equivocation(&mut self, neighbors: &[usize]) -> Vec<(usize, Said)> {
        let one = self.own(Kind::Service, "twice", Body::Service);
        let mut other = one.clone();
        other.body = Body::Withdrawn;
        let lie = Lie { name: "an equivocation", reasons: &[], records: 0 };
        let said = [self.sign(one), self.sign(other)].map(|signed| self.push(vec![signed], lie));
        neighbors.iter().enumerate().map(|(i, to)| (*to, said[i % 2].clone())).collect()
    }

    fn overheard(&mut self) -> Option<Vec<u8>> {
        let liar = &mut self.world.liars[self.at];
        let at = if liar.overheard.is_empty() { return None } else { liar.rng.below(liar.overheard.len()) };
        Some(liar.overheard[at].clone())
    }

    fn replay(&mut self) -> Option<Said> {
        let bytes = self.overheard()?;
        Some(self.said(bytes, Lie { name: "an old message", reasons: &[], records: 0 }))
    }

    fn noise(&mut self) -> Said {
        let root = [self.below(256) as u8; 32];
        let bytes = codec::encode_message(&Control::Summary { root });
        self.said(bytes, Lie { name: "a flood", reasons: &[], records: 0 })
    }

    fn garbage(&mut self) -> Said {
        let length = self.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| self.below(256) as u8).collect();
        // A wrong version, or an unknown kind of message: no chance makes sense of it.
        let bytes = [vec![codec::VERSION, 200], bytes].concat();
        self.said(bytes, Lie { name: "garbage", reasons: &MALFORMED, records: 0 })
    }

    fn wrong_version(&mut self) -> Said {
        let mut bytes = codec::encode_message(&Control::Summary { root: [1; 32] });
        bytes[0] = codec::VERSION + 1 + self.below(200) as u8;
        self.said(bytes, Lie { name: "another protocol version", reasons: &[Rejected::UnknownVersion], records: 0 })
    }

    fn digest(&self, entries: Vec<(RecordId, u64)>, lie: Lie) -> Said {
        let digest = Digest { after: None, until: None, entries };
        self.said(codec::encode_message(&Control::Digest(digest)), lie)
    }

    fn entries(&mut self, count: usize) -> Vec<(RecordId, u64)> {
        let origin = self.anybody();
        let id = |i| RecordId { origin, kind: Kind::Service, key: format!("{i:04}") };
        (0..count).map(|i| (id(i), u64::MAX)).collect()
    }

    /// A digest whose entries are not in order.
    fn disorder(&mut self) -> Said {
        let mut entries = self.entries(5);
        entries.reverse();
        self.digest(entries, Lie { name: "a digest out of order", reasons: &MALFORMED, records: 0 })
    }

    fn too_many_entries(&mut self) -> Said {
        let entries = self.entries(DIGEST_ENTRIES_MAX + 1);
        self.digest(entries, Lie { name: "a digest that is too long", reasons: &OVER_LIMIT, records: 0 })
    }

    /// A digest of things that nobody has.
    fn false_digest(&mut self) -> Said {
        let count = 1 + self.below(DIGEST_ENTRIES_MAX);
        let entries = self.entries(count);
        self.digest(entries, Lie { name: "a digest of nothing", reasons: &[], records: 0 })
    }

    /// A record of its own, issued at another time than now.
    fn timed(&mut self, issued_ms: u64, name: &'static str) -> Said {
        let mut record = self.own(Kind::Service, "late", Body::Service);
        (record.issued_ms, record.expires_ms) = (issued_ms, issued_ms + 60_000);
        let signed = self.sign(record);
        self.push(vec![signed], Lie { name, reasons: &[Rejected::Stale], records: 1 })
    }

    /// More services than a node may have, and a message with more records than it may hold.
    fn crowd(&mut self) -> Vec<Said> {
        let first = self.below(1000);
        let lie = Lie { name: "a crowd of services", reasons: &[], records: 0 };
        let mut said = Vec::new();
        for part in 0..8 {
            let mut records = Vec::new();
            for i in 0..PUSH_RECORDS_MAX {
                let record = self.own(Kind::Service, &format!("crowd-{first}-{part}-{i}"), Body::Service);
                records.push(self.sign(record));
            }
            said.push(self.push(records, lie));
        }
        let record = self.own(Kind::Service, "many", Body::Service);
        let many = vec![self.sign(record); PUSH_RECORDS_MAX + 1];
        said.push(self.push(many, Lie { name: "a push that is too long", reasons: &OVER_LIMIT, records: 0 }));
        said
    }
}

/// The kinds of lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LieKind {
    Forgery,
    Tampering,
    FalseLinks,
    Equivocation,
    Replay,
    Flood,
    Garbage,
    Oversized,
    WrongVersion,
    Disorder,
    TooManyEntries,
    FalseDigest,
    Stale,
    Future,
    Crowd,
}

const LIES: [LieKind; 15] = [
    LieKind::Forgery,
    LieKind::Tampering,
    LieKind::FalseLinks,
    LieKind::Equivocation,
    LieKind::Replay,
    LieKind::Flood,
    LieKind::Garbage,
    LieKind::Oversized,
    LieKind::WrongVersion,
    LieKind::Disorder,
    LieKind::TooManyEntries,
    LieKind::FalseDigest,
    LieKind::Stale,
    LieKind::Future,
    LieKind::Crowd,
];

const UNSIGNED: [Rejected; 1] = [Rejected::Unsigned];
const MALFORMED: [Rejected; 1] = [Rejected::Malformed];
const OVER_LIMIT: [Rejected; 1] = [Rejected::OverLimit];
const ANY: [Rejected; 6] = Rejected::ALL;
const OVERSIZED: Lie = Lie { name: "an oversized message", reasons: &OVER_LIMIT, records: 0 };

/// Time between two lies of one liar, on average.
const LIE_EVERY: Duration = Duration::from_millis(700);
/// Most messages that a liar remembers.
const OVERHEARD_MAX: usize = 256;
