//! The gossip role: replication, repair, and what hostile or returning nodes cannot do.

mod endorsements;
mod trust;

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::identity::Identity;
use crate::ledger::{Event, Ledger};
use crate::peer::LinkState;
use crate::record::Body;
use crate::record::ProvenRecord;
use crate::wire::Control;
use crate::{Label, LinkId, Rejected, Verified};

const UNIX_MS: u64 = 1_800_000_000_000;
const FAR_AWAY: Instant = Instant::from_millis(1 << 40);

struct Mesh {
    nodes: BTreeMap<PeerId, Gossip>,
    now: Instant,
    /// Messages sent so far, by the name of their kind.
    sent: BTreeMap<&'static str, usize>,
    /// How many more messages arrive.
    arrive: usize,
}

impl Mesh {
    fn new(count: u8) -> Self {
        let mut mesh = Mesh { nodes: BTreeMap::new(), now: Instant::BOOT, sent: BTreeMap::new(), arrive: usize::MAX };
        for i in 1..=count {
            let gossip = Gossip::new(Identity::from_secret(&[i; 32]), u64::from(i), mesh.now);
            mesh.nodes.insert(id(i), gossip);
            mesh.give(id(i), Input::Clock { unix_ms: UNIX_MS });
            mesh.give(id(i), Input::Announce(body(&format!("n{i}"))));
        }
        mesh.run(1);
        mesh
    }

    /// Gives an input and delivers everything that follows from it, as claims that are verified again.
    fn give(&mut self, to: PeerId, input: Input) {
        let mut effects = Vec::new();
        self.nodes.get_mut(&to).unwrap().handle(input, self.now, &mut effects);
        self.deliver(to, effects);
    }

    fn deliver(&mut self, from: PeerId, effects: Vec<Effect>) {
        let mut queue: VecDeque<_> = effects.into_iter().map(|effect| (from, effect)).collect();
        while let Some((from, effect)) = queue.pop_front() {
            let Effect::Send { to, control } = effect else { continue };
            *self.sent.entry(kind_of(&control)).or_default() += 1;
            if self.arrive == 0 {
                continue;
            }
            self.arrive -= 1;
            let (message, bad) = verify(control, UNIX_MS + self.now.as_millis()).unwrap();
            assert!(bad.is_empty());
            let mut effects = Vec::new();
            let input = Input::Heard { from, message };
            self.nodes.get_mut(&to).unwrap().handle(input, self.now, &mut effects);
            queue.extend(effects.into_iter().map(|effect| (to, effect)));
        }
    }

    /// Lets time pass, waking every node at its deadlines.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let next = self.nodes.iter().filter_map(|(peer, node)| Some((node.deadline()?, *peer))).min();
            let Some((at, peer)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            let mut effects = Vec::new();
            self.nodes.get_mut(&peer).unwrap().wake(self.now, &mut effects);
            self.deliver(peer, effects);
        }
        self.now = end;
    }

    fn link(&mut self, a: u8, b: u8, state: LinkState) {
        for (from, to) in [(a, b), (b, a)] {
            self.give(id(from), Input::LinkReported(report(to, state)));
        }
    }

    /// A node forgets everything and starts again.
    fn restart(&mut self, node: u8) {
        let others: Vec<PeerId> = self.nodes.keys().copied().filter(|peer| *peer != id(node)).collect();
        for other in others {
            self.give(other, Input::LinkReported(report(node, LinkState::Down)));
        }
        self.nodes.insert(id(node), Gossip::new(Identity::from_secret(&[node; 32]), u64::from(node) + 100, self.now));
        let unix_ms = UNIX_MS + self.now.as_millis();
        self.give(id(node), Input::Clock { unix_ms });
        self.give(id(node), Input::Announce(body(&format!("n{node}"))));
    }

    fn agree(&self) -> bool {
        let roots: Vec<_> = self.nodes.values().map(Gossip::root).collect();
        roots.windows(2).all(|w| w[0] == w[1])
    }

    fn says(&self, node: u8, key: &str) -> Option<&Body> {
        self.nodes[&id(node)].records().find(|r| r.id.key == key).map(|r| &r.body)
    }
}

fn kind_of(control: &Control) -> &'static str {
    match control {
        Control::Hello { .. } => "hello",
        Control::Push(_) => "push",
        Control::Give(_) => "give",
        Control::Announce(_) => "announce",
        Control::Graft(_) => "graft",
        Control::Prune => "prune",
        Control::Reconcile(_) => "reconcile",
        Control::Part | Control::Stay => "parting",
        Control::Ledger(_) => "ledger",
    }
}

fn body(name: &str) -> NodeBody {
    NodeBody { name: name.to_owned(), ..NodeBody::default() }
}

fn expose(name: &str) -> Input {
    Input::SetService { name: name.to_owned(), exposed: true }
}

fn id(i: u8) -> PeerId {
    Identity::from_secret(&[i; 32]).peer()
}

/// A link that carries frames: what becomes of it is told at once.
fn report(to: u8, state: LinkState) -> LinkReport {
    LinkReport {
        peer: id(to),
        link: Some((LinkId(u64::from(to)), Label(u16::from(to)))),
        state,
        rtt: Duration::from_micros(100),
        loss_permille: 0,
        probes_returned: 0,
        probes_lost: 0,
        heard: None,
        established: 1,
        probed_every: Duration::ZERO,
        carries_until: FAR_AWAY,
        failing: false,
        latency: Default::default(),
    }
}

#[test]
fn what_one_says_all_hold_at_once() {
    let mut mesh = Mesh::new(4);
    for (a, b) in [(1, 2), (2, 3), (3, 4)] {
        mesh.link(a, b, LinkState::Up);
    }
    mesh.run(5);
    mesh.give(id(1), expose("web"));
    assert!(mesh.agree());
    let at_4: Vec<_> = mesh.nodes[&id(4)].records().map(|r| (r.id.origin, r.id.kind)).collect();
    assert!(at_4.contains(&(id(1), Kind::Service)), "{at_4:?}");
    assert_eq!(at_4.iter().filter(|(_, kind)| *kind == Kind::Links).count(), 4);
}

#[test]
fn what_was_lost_with_a_link_that_another_one_replaced_is_not_waited_for() {
    for arrived in 0..8 {
        let mut mesh = Mesh::new(2);
        (0..40).for_each(|i| mesh.give(id(1), expose(&format!("s-{i}"))));
        mesh.run(5);
        mesh.arrive = arrived;
        mesh.link(1, 2, LinkState::Up);
        mesh.arrive = usize::MAX;
        for (from, to) in [(1, 2), (2, 1)] {
            let another = Some((LinkId(u64::from(to) + 100), Label(u16::from(to))));
            mesh.give(id(from), Input::LinkReported(LinkReport { link: another, ..report(to, LinkState::Up) }));
        }
        assert!(mesh.agree(), "after {arrived} messages");
    }
}

#[test]
fn what_was_turned_away_while_the_clock_was_wrong_is_had_as_soon_as_it_is_right() {
    for arrived in 0..8 {
        let mut mesh = Mesh::new(2);
        (0..40).for_each(|i| mesh.give(id(1), expose(&format!("s-{i}"))));
        mesh.run(5);
        mesh.give(id(2), Input::Clock { unix_ms: UNIX_MS - 1_284_000 });
        mesh.arrive = arrived;
        mesh.link(1, 2, LinkState::Up);
        mesh.arrive = usize::MAX;
        mesh.give(id(2), Input::Clock { unix_ms: UNIX_MS });
        // The first two messages bring no records, so without them none was turned away: what is lost is had a round later.
        mesh.run(if arrived < 2 { 11 } else { 0 });
        assert!(mesh.agree(), "after {arrived} messages");
    }
}

#[test]
fn a_full_mesh_learns_not_to_send_copies() {
    let mut mesh = Mesh::new(6);
    for a in 1..=6 {
        (a + 1..=6).for_each(|b| mesh.link(a, b, LinkState::Up));
    }
    for i in 0..10 {
        mesh.give(id(1), expose(&format!("warm-{i}")));
    }
    mesh.run(3);
    mesh.sent.clear();
    for i in 0..10 {
        mesh.give(id(1), expose(&format!("s-{i}")));
    }
    assert!(mesh.agree());
    assert_eq!(mesh.sent["push"], 10 * 5, "one copy for each of the others");
}

#[test]
fn two_parts_that_meet_again_agree() {
    let mut mesh = Mesh::new(4);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(3, 4, LinkState::Up);
    mesh.give(id(1), expose("left"));
    mesh.give(id(4), expose("right"));
    assert!(!mesh.agree());
    mesh.link(2, 3, LinkState::Up);
    mesh.run(3);
    assert!(mesh.agree());
    assert!(mesh.says(1, "right").is_some() && mesh.says(4, "left").is_some());
}

#[test]
fn a_node_knows_when_it_has_what_its_neighbors_have() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(2, 3, LinkState::Up);
    mesh.run(10);
    assert!((1..=3).all(|i| mesh.nodes[&id(i)].is_converged()));
    let mut effects = Vec::new();
    mesh.nodes.get_mut(&id(1)).unwrap().handle(expose("unheard"), mesh.now, &mut effects);
    assert!(!mesh.nodes[&id(1)].is_converged(), "what was pushed is lost on the way");
    mesh.run(10);
    assert!(mesh.agree() && mesh.nodes[&id(1)].is_converged());
}

#[test]
fn neighbors_that_agree_say_little() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(2, 3, LinkState::Up);
    mesh.run(30);
    mesh.sent.clear();
    mesh.run(60);
    let sent: usize = mesh.sent.values().sum();
    assert!(sent <= 3 * 2 * 8, "three nodes greet a neighbor every ten seconds: {:?}", mesh.sent);
}

#[test]
fn a_withdrawn_service_stays_away() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.give(id(1), expose("web"));
    mesh.link(2, 3, LinkState::Up);
    mesh.link(1, 2, LinkState::Down);
    mesh.give(id(1), Input::SetService { name: "web".into(), exposed: false });
    // Node 3 still holds the old statement; meeting node 1 must not bring it back.
    mesh.link(1, 3, LinkState::Up);
    mesh.run(3);
    assert!(mesh.agree());
    assert_eq!(mesh.says(2, "web"), Some(&Body::Withdrawn));
}

#[test]
fn an_older_version_changes_nothing() {
    let mut mesh = Mesh::new(2);
    let me = Identity::from_secret(&[9; 32]);
    let say = |version, name: &str| {
        let node = body(name);
        let id = RecordId { origin: me.peer(), kind: Kind::Node, key: String::new() };
        let record = Record { id, version, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 9000, body: Body::Node(node) };
        Input::Heard { from: me.peer(), message: Heard::Push(vec![record.sign(&me)]) }
    };
    mesh.give(id(1), say(5, "new"));
    let root = mesh.nodes[&id(1)].root();
    mesh.give(id(1), say(4, "old"));
    assert_eq!(mesh.nodes[&id(1)].root(), root);
}

#[test]
fn a_node_overrules_what_its_older_self_said() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.give(id(1), Input::SetService { name: "web".into(), exposed: true });
    // Node 1 comes back with an empty store and an earlier clock, and does not expose the service any more.
    let mut reborn = Gossip::new(Identity::from_secret(&[1; 32]), 77, mesh.now);
    reborn.handle(Input::Clock { unix_ms: UNIX_MS - 100_000 }, mesh.now, &mut Vec::new());
    mesh.nodes.insert(id(1), reborn);
    mesh.give(id(1), Input::Announce(body("n1")));
    mesh.link(1, 2, LinkState::Down);
    mesh.link(1, 2, LinkState::Up);
    mesh.run(3);
    assert!(mesh.agree());
    assert_eq!(mesh.says(2, "web"), Some(&Body::Withdrawn));
}

/// The head of a node's ledger with so many entries.
fn ledger_head(node: u8, entries: u64) -> SignedHead {
    let me = Identity::from_secret(&[node; 32]);
    let mut ledger = Ledger::new(me.peer());
    for i in 0..entries {
        let entry = ledger.next(&Event::Started { version: "1".into() }, i);
        ledger.push(&entry).unwrap();
    }
    ledger.head().sign(&me)
}

#[test]
fn the_head_of_a_ledger_is_told_to_all_and_the_newest_counts() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(2, 3, LinkState::Up);
    for entries in [1, 4] {
        mesh.give(id(1), Input::SetLedgerHead(ledger_head(1, entries)));
        mesh.run(3);
        for node in 1..=3 {
            assert_eq!(mesh.nodes[&id(node)].ledger_head(&id(1)), Some(&ledger_head(1, entries)), "{node}");
        }
    }
}

#[test]
fn a_node_that_comes_back_does_not_withdraw_the_head_of_its_ledger() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.give(id(1), Input::SetLedgerHead(ledger_head(1, 4)));
    let reborn = Gossip::new(Identity::from_secret(&[1; 32]), 77, mesh.now);
    mesh.nodes.insert(id(1), reborn);
    mesh.give(id(1), Input::Clock { unix_ms: UNIX_MS });
    mesh.give(id(1), Input::Announce(body("n1")));
    mesh.link(1, 2, LinkState::Down);
    mesh.link(1, 2, LinkState::Up);
    mesh.run(3);
    assert!(mesh.agree());
    let back = mesh.nodes[&id(1)].ledger_head(&id(1));
    assert_eq!(back, Some(&ledger_head(1, 4)), "it hears what others have seen of its ledger");
    mesh.give(id(1), Input::SetLedgerHead(ledger_head(1, 5)));
    mesh.run(3);
    assert_eq!(mesh.nodes[&id(2)].ledger_head(&id(1)), Some(&ledger_head(1, 5)));
}

#[test]
fn expired_records_go() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.run(1);
    mesh.now = Instant::from_millis(6 * 3600 * 1000 + 2001);
    let gossip = mesh.nodes.get_mut(&id(1)).unwrap();
    let mut effects = Vec::new();
    gossip.wake(mesh.now, &mut effects);
    let gone = effects
        .iter()
        .any(|e| matches!(e, Effect::LinksChanged { origin, links, .. } if *origin == id(2) && links.is_empty()));
    assert!(gone, "{effects:?}");
    assert!(gossip.records().any(|r| r.id.origin == id(1) && r.id.kind == Kind::Links), "own ones are renewed");
}

#[test]
fn one_origin_cannot_crowd_out_the_others() {
    use crate::limits::RECORDS_PER_ORIGIN_MAX;
    let mut mesh = Mesh::new(2);
    let loud = Identity::from_secret(&[9; 32]);
    let before = mesh.nodes[&id(1)].records().count();
    for i in 0..RECORDS_PER_ORIGIN_MAX + 50 {
        let id_ = RecordId { origin: loud.peer(), kind: Kind::Service, key: format!("s{i}") };
        let record =
            Record { id: id_, version: 1, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 9000, body: Body::Service };
        mesh.give(id(1), Input::Heard { from: id(2), message: Heard::Push(vec![record.sign(&loud)]) });
    }
    assert_eq!(mesh.nodes[&id(1)].records().count(), before + RECORDS_PER_ORIGIN_MAX);
}

fn said_by(me: &Identity, version: u64, name: &str) -> Verified<ProvenRecord> {
    let id = RecordId { origin: me.peer(), kind: Kind::Node, key: String::new() };
    Record { id, version, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 900_000, body: Body::Node(body(name)) }.sign(me)
}

fn holds_word_of(mesh: &Mesh, node: u8, origin: PeerId) -> bool {
    mesh.nodes[&id(node)].records().any(|r| r.id.origin == origin)
}

#[test]
fn who_says_two_things_at_once_is_believed_by_nobody() {
    let mut mesh = Mesh::new(4);
    for (a, b) in [(1, 2), (2, 3), (3, 4)] {
        mesh.link(a, b, LinkState::Up);
    }
    mesh.run(5);
    let liar = Identity::from_secret(&[9; 32]);
    let hear = |name| Input::Heard { from: liar.peer(), message: Heard::Push(vec![said_by(&liar, 5, name)]) };
    mesh.give(id(1), hear("north"));
    assert!((1..=4).all(|node| holds_word_of(&mesh, node, liar.peer())));
    mesh.give(id(4), hear("south"));
    mesh.run(5);
    assert!((1..=4).all(|node| !holds_word_of(&mesh, node, liar.peer())), "all hold the proof");
    assert!(mesh.agree());
    for node in 1..=4 {
        assert_eq!(mesh.nodes[&id(node)].score(&liar.peer()).sum, 0.0);
    }
    mesh.give(id(2), Input::Heard { from: id(1), message: Heard::Push(vec![said_by(&liar, 6, "sorry")]) });
    assert!(!holds_word_of(&mesh, 2, liar.peer()));
}

#[test]
fn whose_own_key_is_used_twice_is_not_silenced_at_home() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.run(5);
    let me = Identity::from_secret(&[1; 32]);
    let hear = |name| Input::Heard { from: id(1), message: Heard::Push(vec![said_by(&me, u64::MAX >> 4, name)]) };
    mesh.link(1, 2, LinkState::Down);
    mesh.give(id(2), hear("one"));
    mesh.give(id(2), hear("two"));
    mesh.link(1, 2, LinkState::Up);
    mesh.run(5);
    assert!(!holds_word_of(&mesh, 2, id(1)), "node 2 holds the proof");
    assert!(holds_word_of(&mesh, 1, id(1)), "node 1 goes on for itself");
}

#[test]
fn two_lives_of_a_node_never_share_a_version() {
    let record = |seed| {
        let mut gossip = Gossip::new(Identity::from_secret(&[1; 32]), seed, Instant::BOOT);
        gossip.handle(Input::Clock { unix_ms: UNIX_MS }, Instant::BOOT, &mut Vec::new());
        gossip.handle(Input::Announce(body(&format!("n{seed}"))), Instant::BOOT, &mut Vec::new());
        gossip.records().next().unwrap().version
    };
    assert_eq!(record(1) >> 16, record(2) >> 16, "the clock says the same");
    assert_ne!(record(1), record(2));
}

#[test]
fn a_restarted_role_hears_again_what_its_store_does_not_hold() {
    let mut mesh = Mesh::new(5);
    for a in 1..=5 {
        (a + 1..=5).for_each(|b| mesh.link(a, b, LinkState::Up));
    }
    mesh.run(5);
    for life in 0..5 {
        let kept: Vec<_> = mesh.nodes[&id(1)].held.iter().filter(|p| p.record.id.kind == Kind::Node).cloned().collect();
        let gossip = Gossip::new(Identity::from_secret(&[1; 32]), 100 + life, mesh.now);
        mesh.nodes.insert(id(1), gossip);
        let unix_ms = UNIX_MS + mesh.now.as_millis();
        mesh.give(id(1), Input::Clock { unix_ms });
        mesh.give(id(1), Input::Loaded(Loaded { records: kept, spoken: 0 }));
        mesh.give(id(1), Input::Announce(body("n1")));
        mesh.run(1);
        for to in 2..=5 {
            mesh.give(id(1), Input::LinkReported(report(to, LinkState::Up)));
        }
        let links = mesh.nodes[&id(1)].records().filter(|r| r.id.kind == Kind::Links).count();
        assert_eq!(links, 5, "life {life}");
        mesh.run(1);
    }
}

#[test]
fn what_was_loaded_is_told_and_not_kept_again() {
    let mut mesh = Mesh::new(2);
    mesh.give(id(1), expose("web"));
    let records: Vec<_> = mesh.nodes[&id(1)].held.iter().cloned().collect();
    let mut gossip = Gossip::new(Identity::from_secret(&[2; 32]), 100, mesh.now);
    let mut effects = Vec::new();
    gossip.handle(Input::Clock { unix_ms: UNIX_MS }, mesh.now, &mut effects);
    gossip.handle(Input::Loaded(Loaded { records: records.clone(), spoken: 0 }), mesh.now, &mut effects);
    assert_eq!(gossip.held.iter().count(), records.len());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ServiceChanged { .. })), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Persist(_))), "{effects:?}");
}

#[test]
fn a_restarted_role_takes_back_what_its_earlier_life_accused() {
    let mut mesh = Mesh::new(3);
    for (a, b) in [(1, 2), (1, 3), (2, 3)] {
        mesh.link(a, b, LinkState::Up);
    }
    mesh.run(5);
    mesh.give(id(1), Input::LinkReported(report(2, LinkState::Down)));
    mesh.run(5);
    let silent = |mesh: &Mesh, node: u8| {
        let own = mesh.nodes[&id(node)].records().find(|r| r.id.origin == id(1) && r.id.kind == Kind::Judgments);
        let Body::Judgments(body) = &own.unwrap().body else { panic!() };
        body.silent.clone()
    };
    assert_eq!(silent(&mesh, 3), [id(2)]);
    let records = mesh.nodes[&id(1)].held.iter().cloned().collect();
    mesh.nodes.insert(id(1), Gossip::new(Identity::from_secret(&[1; 32]), 100, mesh.now));
    mesh.give(id(1), Input::Clock { unix_ms: UNIX_MS + mesh.now.as_millis() });
    mesh.give(id(1), Input::Loaded(Loaded { records, spoken: 0 }));
    mesh.give(id(1), Input::Announce(body("n1")));
    mesh.link(1, 2, LinkState::Up);
    mesh.link(1, 3, LinkState::Up);
    mesh.run(1);
    assert!(silent(&mesh, 1).is_empty() && silent(&mesh, 3).is_empty());
}

#[test]
fn what_was_said_with_a_clock_ahead_is_said_again_when_it_is_right() {
    let mut mesh = Mesh::new(1);
    mesh.give(id(1), Input::Clock { unix_ms: UNIX_MS + 30 * 3_600_000 });
    mesh.give(id(1), expose("web"));
    let issued = |mesh: &Mesh| mesh.nodes[&id(1)].records().map(|record| record.issued_ms).max().unwrap_or_default();
    let versions = |mesh: &Mesh| mesh.nodes[&id(1)].records().map(|record| record.version).min().unwrap_or_default();
    assert!(issued(&mesh) > UNIX_MS);
    let before = versions(&mesh);
    mesh.give(id(1), Input::Clock { unix_ms: UNIX_MS });
    assert_eq!(issued(&mesh), UNIX_MS);
    assert!(versions(&mesh) > before, "versions grow though the clock went back");
}

#[test]
fn a_full_share_keeps_the_smallest_ids_whatever_came_first() {
    let other = Identity::from_secret(&[9; 32]);
    let record = |i: usize| {
        let id = RecordId { origin: other.peer(), kind: Kind::Service, key: format!("s{i:04}") };
        let (issued_ms, expires_ms) = (UNIX_MS, UNIX_MS + 60_000);
        Record { id, version: 1, issued_ms, expires_ms, body: Body::Service }.sign(&other)
    };
    let all: Vec<_> = (0..crate::limits::RECORDS_PER_ORIGIN_MAX + 3).map(record).collect();
    let root = |order: &[Verified<ProvenRecord>]| {
        let mut gossip = Gossip::new(Identity::from_secret(&[1; 32]), 1, Instant::BOOT);
        let mut effects = Vec::new();
        gossip.handle(Input::Clock { unix_ms: UNIX_MS }, Instant::BOOT, &mut effects);
        let message = Heard::Give(order.to_vec());
        gossip.handle(Input::Heard { from: id(2), message }, Instant::BOOT, &mut effects);
        assert_eq!(gossip.records().count(), crate::limits::RECORDS_PER_ORIGIN_MAX);
        gossip.root()
    };
    let backwards: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(root(&all), root(&backwards));
}

#[test]
fn a_link_that_comes_and_goes_costs_few_records_and_the_last_word_counts() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(1, 3, LinkState::Up);
    mesh.run(30);
    let version = |mesh: &Mesh| {
        let links = mesh.nodes[&id(2)].records().find(|r| r.id.origin == id(1) && r.id.kind == Kind::Links);
        links.map(|r| (r.version, r.body.clone())).unwrap()
    };
    let first = version(&mesh);
    mesh.give(id(1), Input::LinkReported(report(3, LinkState::Down)));
    assert!(version(&mesh).0 > first.0, "the first change is told at once");
    let (mut last, mut told) = (version(&mesh).0, 0);
    for second in 0..40 {
        for state in [LinkState::Up, LinkState::Down] {
            mesh.give(id(1), Input::LinkReported(report(3, state)));
            told += usize::from(std::mem::replace(&mut last, version(&mesh).0) != last);
        }
        if second < 39 {
            mesh.run(1);
            told += usize::from(std::mem::replace(&mut last, version(&mesh).0) != last);
        }
    }
    // One every second and a half, and the first few after shorter pauses.
    assert!((5..=32).contains(&told), "{told} records of 80 changes");
    mesh.give(id(1), Input::LinkReported(report(3, LinkState::Up)));
    mesh.run(5);
    let Body::Links(body) = version(&mesh).1 else { panic!() };
    assert_eq!(body.links.len(), 2, "what holds in the end is told");
}
