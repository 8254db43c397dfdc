//! The gossip role: replication, repair, and what hostile or returning nodes cannot do.

use std::collections::BTreeMap;

use super::*;
use crate::peer::LinkState;
use crate::{Label, LinkId};

const UNIX_MS: u64 = 1_800_000_000_000;

struct Mesh {
    nodes: BTreeMap<PeerId, Gossip>,
    now: Instant,
}

impl Mesh {
    fn new(count: u8) -> Self {
        let mut mesh = Mesh { nodes: BTreeMap::new(), now: Instant::BOOT };
        for i in 1..=count {
            let gossip = Gossip::new(Identity::from_secret(&[i; 32]), u64::from(i), mesh.now);
            mesh.nodes.insert(id(i), gossip);
            mesh.give(id(i), Input::Clock { unix_ms: UNIX_MS });
            mesh.give(
                id(i),
                Input::Announce(NodeBody { name: format!("n{i}"), addresses: vec![], region: String::new() }),
            );
        }
        mesh
    }

    /// Gives an input and delivers everything that follows from it, as claims that are verified again.
    fn give(&mut self, to: PeerId, input: Input) -> usize {
        let mut queue = vec![(to, input)];
        let mut sent = 0;
        while let Some((to, input)) = queue.pop() {
            let mut effects = Vec::new();
            self.nodes.get_mut(&to).unwrap().handle(input, self.now, &mut effects);
            for effect in effects {
                if let Effect::Send { to: next, control } = effect {
                    sent += 1;
                    let (message, bad) = verify(control, UNIX_MS).unwrap();
                    assert!(bad.is_empty());
                    queue.push((next, Input::Heard { from: to, message }));
                }
            }
        }
        sent
    }

    fn link(&mut self, a: u8, b: u8, state: LinkState) {
        for (from, to) in [(a, b), (b, a)] {
            self.give(id(from), Input::LinkReported(report(to, state)));
        }
    }

    fn agree(&self) -> bool {
        let roots: Vec<_> = self.nodes.values().map(Gossip::root).collect();
        roots.windows(2).all(|w| w[0] == w[1])
    }
}

fn id(i: u8) -> PeerId {
    Identity::from_secret(&[i; 32]).peer()
}

fn report(to: u8, state: LinkState) -> LinkReport {
    LinkReport {
        peer: id(to),
        link: Some((LinkId(u64::from(to)), Label(u16::from(to)))),
        state,
        rtt: Duration::from_micros(100),
        loss_permille: 0,
        established: 1,
    }
}

#[test]
fn what_one_says_all_hold() {
    let mut mesh = Mesh::new(4);
    for (a, b) in [(1, 2), (2, 3), (3, 4)] {
        mesh.link(a, b, LinkState::Up);
    }
    mesh.give(id(1), Input::SetService { name: "web".into(), exposed: true });
    assert!(mesh.agree());
    let at_4: Vec<_> = mesh.nodes[&id(4)].records().map(|r| (r.id.origin, r.id.kind)).collect();
    assert!(at_4.contains(&(id(1), Kind::Service)), "{at_4:?}");
    assert_eq!(at_4.iter().filter(|(_, kind)| *kind == Kind::Links).count(), 4);
}

#[test]
fn two_parts_that_meet_again_agree() {
    let mut mesh = Mesh::new(4);
    mesh.link(1, 2, LinkState::Up);
    mesh.link(3, 4, LinkState::Up);
    mesh.give(id(1), Input::SetService { name: "left".into(), exposed: true });
    mesh.give(id(4), Input::SetService { name: "right".into(), exposed: true });
    assert!(!mesh.agree());
    mesh.link(2, 3, LinkState::Up);
    assert!(mesh.agree());
}

#[test]
fn a_withdrawn_service_stays_away() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, LinkState::Up);
    mesh.give(id(1), Input::SetService { name: "web".into(), exposed: true });
    mesh.link(2, 3, LinkState::Up);
    mesh.link(1, 2, LinkState::Down);
    mesh.give(id(1), Input::SetService { name: "web".into(), exposed: false });
    // Node 3 still holds the old statement; meeting node 1 must not bring it back.
    mesh.link(1, 3, LinkState::Up);
    assert!(mesh.agree());
    let said: Vec<_> = mesh.nodes[&id(2)].records().filter(|r| r.id.kind == Kind::Service).map(|r| &r.body).collect();
    assert_eq!(said, [&Body::Withdrawn]);
}

#[test]
fn an_older_version_changes_nothing() {
    let mut mesh = Mesh::new(2);
    let me = Identity::from_secret(&[9; 32]);
    let say = |version, name: &str| {
        let node = NodeBody { name: name.into(), addresses: vec![], region: String::new() };
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
    mesh.give(id(1), Input::Announce(NodeBody { name: "n1".into(), addresses: vec![], region: String::new() }));
    mesh.link(1, 2, LinkState::Down);
    mesh.link(1, 2, LinkState::Up);
    assert!(mesh.agree());
    let service = mesh.nodes[&id(2)].records().find(|r| r.id.kind == Kind::Service).unwrap().clone();
    assert_eq!(service.body, Body::Withdrawn);
}

#[test]
fn expired_records_go() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, LinkState::Up);
    mesh.now = Instant::from_millis(400_000);
    let gossip = mesh.nodes.get_mut(&id(1)).unwrap();
    let mut effects = Vec::new();
    gossip.wake(mesh.now, &mut effects);
    let gone = effects
        .iter()
        .any(|e| matches!(e, Effect::LinksChanged { origin, links } if *origin == id(2) && links.is_empty()));
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

#[test]
fn a_digest_out_of_order_is_inconsistent() {
    let entry = |i| (RecordId { origin: id(i), kind: Kind::Node, key: String::new() }, 1);
    let mut entries = vec![entry(1), entry(2)];
    entries.sort();
    entries.reverse();
    let digest = Control::Digest(Digest { after: None, until: None, entries });
    assert_eq!(verify(digest, UNIX_MS), Err(crate::Rejected::Inconsistent));
}
