//! Where lies are made: every kind of message that no honest node sends.

use prunella_core::limits::{BROADCAST_IDS_MAX, PUSH_RECORDS_MAX, SKETCH_CELLS_MAX, SYNC_ITEMS_MAX};
use prunella_core::reconcile::{Cell, Message, Symbol};
use prunella_core::record::{
    Body, JudgmentsBody, Kind, LIFE_BITS, LinkBody, LinksBody, Record, RecordId, SignedRecord,
};
use prunella_core::wire::{Control, codec};
use prunella_core::{ItemId, Label, PeerId, Rejected};

use crate::host::true_unix_ms;
use crate::lie::{Lie, Utterance};
use crate::world::World;

/// Where lies are made.
pub(crate) struct Forge<'a> {
    world: &'a mut World,
    /// The liar's place among the liars.
    at: usize,
    unix_ms: u64,
    peers: Vec<PeerId>,
}

impl<'a> Forge<'a> {
    /// Where the liar with this number makes its lies.
    pub(crate) fn new(world: &'a mut World, at: usize) -> Self {
        let (unix_ms, peers) = (true_unix_ms(world.now), world.hosts.iter().map(|host| host.peer_id()).collect());
        Self { world, at, unix_ms, peers }
    }

    pub(crate) fn pick(&mut self, neighbors: &[usize]) -> usize {
        neighbors[self.below(neighbors.len())]
    }

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
        liar.version = (self.unix_ms << LIFE_BITS).max(liar.version + 1);
        liar.version
    }

    pub(crate) fn said(&self, bytes: Vec<u8>, lie: Lie) -> Utterance {
        Utterance { bytes, lie: Some(lie) }
    }

    fn push(&self, records: Vec<SignedRecord>, lie: Lie) -> Utterance {
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
    pub(crate) fn forgery(&mut self) -> Utterance {
        let mut record = self.own(Kind::Links, "", Body::Links(LinksBody::default()));
        while record.id.origin == self.me() {
            record.id.origin = self.anybody();
        }
        record.version += 1_000_000 << LIFE_BITS;
        let bytes = codec::encode(&record);
        let host = self.world.liars[self.at].host;
        let signature = match self.below(2) {
            0 => self.world.hosts[host].identity.sign(&bytes).to_vec(),
            _ => vec![7; 64],
        };
        self.push(
            vec![SignedRecord { bytes, signature, path: None }],
            Lie { name: "a forged record", reasons: &UNSIGNED, records: 1 },
        )
    }

    /// A record that it has overheard, with one bit changed.
    pub(crate) fn tampering(&mut self) -> Option<Utterance> {
        let (Control::Push(mut records) | Control::Give(mut records)) =
            codec::decode_message(&self.overheard()?).ok()?
        else {
            return None;
        };
        let mut record = records.pop()?;
        let bit = self.below(record.bytes.len() * 8);
        record.bytes[bit / 8] ^= 1 << (bit % 8);
        Some(self.push(vec![record], Lie { name: "a record with a changed bit", reasons: &Rejected::ALL, records: 1 }))
    }

    /// A genuine record that is not written in the one form that its encoder gives it.
    pub(crate) fn wrong_form(&mut self) -> Utterance {
        let record = self.own(Kind::Service, "form", Body::Service);
        let mut bytes = codec::encode(&record);
        // A small number in three bytes instead of one: the kind, behind the origin.
        let kind = record.id.origin.as_bytes().len();
        bytes.splice(kind..=kind, [251, bytes[kind], 0]);
        let host = self.world.liars[self.at].host;
        let signature = self.world.hosts[host].identity.sign(&[b"prunella record v1\0", &bytes[..]].concat()).to_vec();
        let lie = Lie { name: "a record in another form", reasons: &[Rejected::NonCanonical], records: 1 };
        self.push(vec![SignedRecord { bytes, signature, path: None }], lie)
    }

    /// It accuses its neighbors, though they answer.
    pub(crate) fn false_accusation(&mut self, neighbors: &[usize]) -> Utterance {
        let mut accused: Vec<PeerId> = neighbors.iter().map(|neighbor| self.peers[*neighbor]).collect();
        accused.sort_unstable();
        let link = |neighbor: &PeerId| LinkBody { neighbor: *neighbor, label: Label(7), rtt_us: 1, loss_permille: 0 };
        let links = accused.iter().map(link).collect();
        let links = self.own(Kind::Links, "", Body::Links(LinksBody { links }));
        let [silent, failing] = if self.below(2) == 0 { [accused, Vec::new()] } else { [Vec::new(), accused] };
        let body = JudgmentsBody { silent, failing, ..JudgmentsBody::default() };
        let judgments = self.own(Kind::Judgments, "", Body::Judgments(body));
        let signed = [links, judgments].map(|record| self.sign(record));
        self.push(signed.into(), Lie { name: "a false accusation", reasons: &[], records: 0 })
    }

    /// A greeting on a link on which everybody has been greeted.
    pub(crate) fn greeting(&mut self) -> Utterance {
        let control = Control::Hello { incarnation: 1, label: Label(1) };
        self.control(&control, Lie { name: "a second greeting", reasons: &MALFORMED, records: 0 })
    }

    /// Links that it does not have, told to one neighbor.
    pub(crate) fn false_links(&mut self) -> Utterance {
        let count = 1 + self.below(self.peers.len());
        let mut links = Vec::new();
        for _ in 0..count {
            let label = Label(1 + self.below(60_000) as u16);
            let neighbor = self.anybody();
            links.push(LinkBody { neighbor, label, rtt_us: 1, loss_permille: 0 });
        }
        let record = self.own(Kind::Links, "", Body::Links(LinksBody { links }));
        let signed = self.sign(record);
        self.push(vec![signed], Lie { name: "links that are not there", reasons: &[], records: 0 })
    }

    /// Two different records with one id and version, to different neighbors.
    pub(crate) fn equivocation(&mut self, neighbors: &[usize]) -> Vec<(usize, Utterance)> {
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

    pub(crate) fn replay(&mut self) -> Option<Utterance> {
        let bytes = self.overheard()?;
        Some(self.said(bytes, Lie { name: "an old message", reasons: &[], records: 0 }))
    }

    pub(crate) fn noise(&mut self) -> Utterance {
        let root = [self.below(256) as u8; 32];
        self.control(
            &Control::Reconcile(Message::Summary { root, items: 0, fresh: false }),
            Lie { name: "a flood", reasons: &[], records: 0 },
        )
    }

    pub(crate) fn garbage(&mut self) -> Utterance {
        let length = self.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| self.below(256) as u8).collect();
        // A wrong version, or an unknown kind of message: no chance makes sense of it.
        let bytes = [vec![codec::VERSION, 200], bytes].concat();
        self.said(bytes, Lie { name: "garbage", reasons: &MALFORMED, records: 0 })
    }

    pub(crate) fn wrong_version(&mut self) -> Utterance {
        let mut bytes = codec::encode_message(&Control::Prune);
        bytes[0] = codec::VERSION + 1 + self.below(200) as u8;
        self.said(bytes, Lie { name: "another protocol version", reasons: &[Rejected::UnknownVersion], records: 0 })
    }

    fn control(&self, control: &Control, lie: Lie) -> Utterance {
        self.said(codec::encode_message(control), lie)
    }

    fn items(&mut self, count: usize) -> Vec<ItemId> {
        let drawn = self.below(256) as u8;
        (0..count)
            .map(|i| ItemId(std::array::from_fn(|at| if at < 8 { (i >> (8 * at)) as u8 } else { drawn })))
            .collect()
    }

    /// A list that is not in order: no node in good faith sends one.
    pub(crate) fn disorder(&mut self) -> Utterance {
        let mut symbols: Vec<Symbol> = (0..5).map(|i| Symbol([i; 8])).collect();
        symbols.reverse();
        let message = match self.below(3) {
            0 => Message::Want(symbols),
            1 => Message::Cells { root: [1; 32], start: 0, cells: Vec::new() },
            _ => Message::Groups { root: [1; 32], hashes: Vec::new() },
        };
        let lie = Lie { name: "a list that cannot be", reasons: &[Rejected::Inconsistent], records: 0 };
        self.control(&Control::Reconcile(message), lie)
    }

    pub(crate) fn too_many_items(&mut self) -> Utterance {
        let lie = Lie { name: "a list that is too long", reasons: &OVER_LIMIT, records: 0 };
        let control = match self.below(4) {
            0 => Control::Announce(self.items(BROADCAST_IDS_MAX + 1)),
            1 => Control::Graft(self.items(BROADCAST_IDS_MAX + 1)),
            2 => Control::Reconcile(Message::WantItems(self.items(SYNC_ITEMS_MAX + 1))),
            _ => {
                let cells = vec![Cell::default(); SKETCH_CELLS_MAX + 1];
                Control::Reconcile(Message::Cells { root: [1; 32], start: 0, cells })
            }
        };
        self.control(&control, lie)
    }

    /// What nobody has, announced or asked for.
    pub(crate) fn false_items(&mut self) -> Utterance {
        let lie = Lie { name: "items that nobody has", reasons: &[], records: 0 };
        let count = 1 + self.below(BROADCAST_IDS_MAX);
        let items = self.items(count);
        let control = match self.below(3) {
            0 => Control::Announce(items),
            1 => Control::Graft(items),
            _ => Control::Prune,
        };
        self.control(&control, lie)
    }

    /// Parts of a reconciliation that nobody began, about a set that nobody holds.
    pub(crate) fn false_sketch(&mut self) -> Utterance {
        let root = [self.below(256) as u8; 32];
        let message = match self.below(6) {
            0 => Message::Cells { root, start: 0, cells: vec![Cell::default(); 1 + self.below(SKETCH_CELLS_MAX)] },
            1 => Message::MoreCells { root, start: 1 + self.below(SKETCH_CELLS_MAX - 1) as u16 },
            2 => Message::Want((0..5).map(|i| Symbol([i; 8])).collect()),
            3 => Message::Groups { root, hashes: vec![[7; 16]; 32] },
            4 => Message::Busy,
            _ => Message::Items { parts: Vec::new(), last: true },
        };
        self.control(&Control::Reconcile(message), Lie { name: "a false sketch", reasons: &[], records: 0 })
    }

    pub(crate) fn stale(&mut self) -> Utterance {
        let issued_ms = self.unix_ms.saturating_sub(7_200_000);
        self.timed(issued_ms, Lie { name: "a stale record", reasons: &[Rejected::Stale], records: 1 })
    }

    pub(crate) fn future(&mut self) -> Utterance {
        let issued_ms = self.unix_ms + 7_200_000;
        self.timed(issued_ms, Lie { name: "a future record", reasons: &[Rejected::Future], records: 1 })
    }

    /// A record of its own, issued at another time than now.
    fn timed(&mut self, issued_ms: u64, lie: Lie) -> Utterance {
        let mut record = self.own(Kind::Service, "late", Body::Service);
        (record.issued_ms, record.expires_ms) = (issued_ms, issued_ms + 60_000);
        let signed = self.sign(record);
        self.push(vec![signed], lie)
    }

    /// More services than a node may have, and a message with more records than it may hold.
    pub(crate) fn crowd(&mut self) -> Vec<Utterance> {
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

const UNSIGNED: [Rejected; 1] = [Rejected::Unsigned];
const MALFORMED: [Rejected; 1] = [Rejected::Malformed];
const OVER_LIMIT: [Rejected; 1] = [Rejected::OverLimit];
pub(crate) const OVERSIZED: Lie = Lie { name: "an oversized message", reasons: &OVER_LIMIT, records: 0 };
