//! Shared values among gossip roles: how they spread, who may write, what lasts and what does not.

use std::collections::BTreeMap;

use super::super::{Heard, Input, Loaded, verify};
use super::*;
use crate::identity::Identity;
use crate::limits::SHARED_KEYS_PER_ORIGIN_MAX;
use crate::peer::{LinkReport, LinkState};
use crate::record::NodeBody;
use crate::{Label, LinkId, Machine, Verified};

const UNIX_MS: u64 = 1_800_000_000_000;
const STEP: Duration = Duration::from_secs(6 * 3600);

struct Mesh {
    nodes: BTreeMap<u8, Gossip>,
    links: Vec<(u8, u8)>,
    now: Instant,
}

impl Mesh {
    fn new(count: u8) -> Self {
        let mut mesh = Mesh { nodes: BTreeMap::new(), links: Vec::new(), now: Instant::BOOT };
        (1..=count).for_each(|i| mesh.boot(i, UNIX_MS));
        mesh
    }

    /// Starts a node that knows nothing, with this wall clock.
    fn boot(&mut self, i: u8, unix_ms: u64) {
        self.nodes.insert(i, Gossip::new(identity(i), u64::from(i), self.now));
        self.give(i, Input::Clock { unix_ms });
        self.give(i, Input::Announce(NodeBody { name: format!("n{i}"), ..NodeBody::default() }));
    }

    fn give(&mut self, to: u8, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.nodes.get_mut(&to).unwrap().handle(input, self.now, &mut effects);
        self.deliver(to, effects)
    }

    /// Delivers what is sent over links that are up, and what follows from it; returns the first node's own effects.
    fn deliver(&mut self, from: u8, effects: Vec<Effect>) -> Vec<Effect> {
        let mut queue: Vec<(u8, Effect)> = effects.iter().map(|effect| (from, effect.clone())).collect();
        while let Some((from, effect)) = queue.pop() {
            let Effect::Send { to, control } = effect else { continue };
            let to = *self.nodes.keys().find(|i| identity(**i).peer() == to).unwrap();
            if !self.links.contains(&(from.min(to), from.max(to))) {
                continue;
            }
            let (message, rejected) = verify(control, self.unix_ms()).unwrap();
            // Time passes in long steps, so a node may pass on what has expired meanwhile.
            assert!(rejected.iter().all(|why| *why == Rejected::Stale), "what a node sends is accepted: {rejected:?}");
            let mut effects = Vec::new();
            let heard = Input::Heard { from: identity(from).peer(), message };
            self.nodes.get_mut(&to).unwrap().handle(heard, self.now, &mut effects);
            queue.extend(effects.into_iter().map(|effect| (to, effect)));
        }
        effects
    }

    fn link(&mut self, a: u8, b: u8, up: bool) {
        // A node that has only just started does not greet at once.
        self.now = self.now + Duration::from_secs(1);
        self.links.retain(|link| *link != (a, b));
        if up {
            self.links.push((a, b));
        }
        for (from, to) in [(a, b), (b, a)] {
            let state = if up { LinkState::Up } else { LinkState::Down };
            let link = Some((LinkId(u64::from(to)), Label(u16::from(to))));
            let rtt = Duration::from_micros(100);
            let peer = identity(to).peer();
            self.give(
                from,
                Input::LinkReported(LinkReport {
                    peer,
                    link,
                    state,
                    rtt,
                    loss_permille: 0,
                    probes_returned: 0,
                    probes_lost: 0,
                    heard: None,
                    established: 1,
                    probed_every: Duration::ZERO,
                    carries_until: Instant::BOOT,
                    failing: false,
                    latency: Default::default(),
                }),
            );
        }
    }

    fn set(&mut self, node: u8, key: &str, value: Option<&str>) -> Option<Refused> {
        let input = Input::SetShared { key: key.into(), value: value.map(Into::into), ticket: 7 };
        let effects = self.give(node, input);
        let answers = effects.into_iter().filter_map(|effect| match effect {
            Effect::SharedAnswered { ticket: 7, refused } => Some(refused),
            _ => None,
        });
        let answers: Vec<_> = answers.collect();
        assert_eq!(answers.len(), 1, "every ticket is answered once");
        answers[0]
    }

    fn quorum(&mut self, node: u8, has_quorum: bool) {
        self.give(node, Input::QuorumChanged(Quorum { has_quorum, reachable: 2, known: 5 }));
    }

    /// Lets half a minute pass for everybody, so that nodes find out what they miss.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.now = self.now + Duration::from_millis(500);
            for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                let mut effects = Vec::new();
                self.nodes.get_mut(&node).unwrap().wake(self.now, &mut effects);
                self.deliver(node, effects);
            }
        }
    }

    /// Lets days pass for the nodes named; the others are off.
    fn pass(&mut self, days: u64, nodes: &[u8]) {
        for _ in 0..days * 4 {
            self.now = self.now + STEP;
            for node in nodes {
                let mut effects = Vec::new();
                self.nodes.get_mut(node).unwrap().wake(self.now, &mut effects);
                self.deliver(*node, effects);
            }
        }
    }

    fn values(&self, node: u8, key: &str) -> Vec<&str> {
        self.nodes[&node].shared().get(key).iter().map(|value| value.value.as_str()).collect()
    }

    fn unix_ms(&self) -> u64 {
        UNIX_MS + self.now.since(Instant::BOOT).as_millis() as u64
    }
}

fn identity(i: u8) -> Identity {
    Identity::from_secret(&[i; 32])
}

#[test]
fn what_one_node_sets_all_read_and_any_may_remove() {
    let mut mesh = Mesh::new(3);
    mesh.link(1, 2, true);
    mesh.link(2, 3, true);
    assert_eq!(mesh.set(1, "color", Some("red")), None);
    assert_eq!(mesh.values(3, "color"), ["red"]);
    assert_eq!(mesh.set(3, "color", None), None);
    assert!((1..=3).all(|node| mesh.values(node, "color").is_empty()));
    assert_eq!(mesh.set(3, "color", None), Some(Refused::NoSuchKey));
}

#[test]
fn whoever_reads_is_told_of_every_change_and_again_on_demand() {
    let mut mesh = Mesh::new(1);
    let told = |effects: &[Effect]| -> Vec<(String, usize)> {
        let changed = effects.iter().filter_map(|effect| match effect {
            Effect::SharedChanged { key, values } => Some((key.clone(), values.len())),
            _ => None,
        });
        changed.collect()
    };
    let set = |value: Option<&str>| Input::SetShared { key: "k".into(), value: value.map(Into::into), ticket: 0 };
    assert_eq!(told(&mesh.give(1, set(Some("x")))), [("k".to_owned(), 1)]);
    assert_eq!(told(&mesh.give(1, Input::ResyncRequested)), [("k".to_owned(), 1)]);
    assert_eq!(told(&mesh.give(1, set(None))), [("k".to_owned(), 0)]);
    assert_eq!(told(&mesh.give(1, Input::ResyncRequested)), []);
}

#[test]
fn parts_that_meet_again_show_both_values_until_somebody_decides() {
    let mut mesh = Mesh::new(4);
    mesh.link(1, 2, true);
    mesh.link(3, 4, true);
    mesh.set(1, "color", Some("red"));
    mesh.set(4, "color", Some("blue"));
    mesh.link(2, 3, true);
    mesh.settle();
    for node in 1..=4 {
        assert_eq!(mesh.values(node, "color"), ["blue", "red"], "node {node}");
    }
    mesh.set(2, "color", Some("green"));
    assert!((1..=4).all(|node| mesh.values(node, "color") == ["green"]));
}

#[test]
fn without_a_quorum_values_are_read_only_and_the_error_says_why() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.quorum(1, false);
    let refused = mesh.set(1, "color", Some("blue")).unwrap();
    assert_eq!(
        refused.to_string(),
        "this part of the mesh has 2 of 5 nodes, fewer than a quorum; shared values are read-only here until the parts \
         meet again"
    );
    assert_eq!(mesh.set(1, "color", None), Some(refused));
    assert_eq!(mesh.values(1, "color"), ["red"]);
    mesh.quorum(1, true);
    assert_eq!(mesh.set(1, "color", Some("blue")), None);
    assert_eq!(mesh.values(2, "color"), ["blue"]);
}

#[test]
fn a_value_lasts_as_long_as_its_writer_and_three_days_more() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.pass(10, &[1, 2]);
    assert_eq!(mesh.values(2, "color"), ["red"], "its writer renews it");
    mesh.link(1, 2, false);
    mesh.pass(1, &[2]);
    assert_eq!(mesh.values(2, "color"), ["red"]);
    mesh.pass(3, &[2]);
    assert!(mesh.values(2, "color").is_empty(), "its writer is gone for good");
}

#[test]
fn any_node_may_answer_for_a_value_by_writing_it_again() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.link(1, 2, false);
    mesh.set(2, "color", Some("red"));
    mesh.pass(10, &[2]);
    assert_eq!(mesh.values(2, "color"), ["red"]);
}

#[test]
fn a_part_that_missed_a_removal_cannot_bring_the_value_back() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.link(1, 2, false);
    mesh.quorum(1, false);
    mesh.set(2, "color", None);
    // Node 1 may not renew what it wrote, so it ends while the removal is still remembered.
    mesh.pass(2, &[1, 2]);
    assert_eq!(mesh.values(1, "color"), ["red"]);
    mesh.pass(2, &[1, 2]);
    assert!(mesh.values(1, "color").is_empty());
    mesh.link(1, 2, true);
    mesh.quorum(1, true);
    mesh.pass(30, &[1, 2]);
    assert!(mesh.values(1, "color").is_empty() && mesh.values(2, "color").is_empty());
    let left = mesh.nodes[&2].records().filter(|record| record.id.kind == Kind::Shared).count();
    assert_eq!(left, 0, "in the end the removal is forgotten as well");
}

#[test]
fn a_part_that_missed_a_removal_loses_the_value_when_the_parts_meet() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.link(1, 2, false);
    mesh.set(2, "color", None);
    // Even if it never noticed that it was cut off, and went on renewing.
    mesh.pass(5, &[1, 2]);
    assert_eq!(mesh.values(1, "color"), ["red"]);
    mesh.link(1, 2, true);
    assert!(mesh.values(1, "color").is_empty() && mesh.values(2, "color").is_empty());
    mesh.pass(30, &[1, 2]);
    assert!(mesh.values(1, "color").is_empty() && mesh.values(2, "color").is_empty());
}

#[test]
fn a_node_that_lost_its_store_upholds_what_it_wrote_before() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.link(1, 2, false);
    mesh.boot(1, UNIX_MS);
    mesh.link(1, 2, true);
    assert_eq!(mesh.values(1, "color"), ["red"]);
    mesh.pass(10, &[1, 2]);
    assert_eq!((mesh.values(1, "color"), mesh.values(2, "color")), (vec!["red"], vec!["red"]));
}

#[test]
fn a_node_that_got_an_old_store_back_takes_over_what_it_wrote_since() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    let id = mesh.nodes[&1].own_id(Kind::Shared, "color");
    let old = mesh.nodes[&1].held.get(&id).unwrap().clone();
    mesh.set(1, "color", Some("blue"));
    mesh.link(1, 2, false);
    mesh.boot(1, UNIX_MS);
    mesh.give(1, Input::Loaded(Loaded { records: vec![old], ..Loaded::default() }));
    assert_eq!(mesh.values(1, "color"), ["red"]);
    mesh.link(1, 2, true);
    assert_eq!((mesh.values(1, "color"), mesh.values(2, "color")), (vec!["blue"], vec!["blue"]));
}

#[test]
fn a_node_whose_clock_went_back_is_heard_all_the_same() {
    let mut mesh = Mesh::new(2);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.link(1, 2, false);
    mesh.boot(1, UNIX_MS - 100_000);
    mesh.set(1, "color", Some("blue"));
    mesh.link(1, 2, true);
    assert_eq!((mesh.values(1, "color"), mesh.values(2, "color")), (vec!["blue"], vec!["blue"]));
}

#[test]
fn a_node_whose_clock_is_late_can_change_what_others_wrote() {
    let mut mesh = Mesh::new(1);
    mesh.boot(2, UNIX_MS - 200_000);
    mesh.link(1, 2, true);
    mesh.set(1, "color", Some("red"));
    mesh.set(2, "color", Some("blue"));
    assert_eq!((mesh.values(1, "color"), mesh.values(2, "color")), (vec!["blue"], vec!["blue"]));
}

#[test]
fn writes_that_find_no_room_are_counted_and_their_records_held() {
    let mut mesh = Mesh::new(1);
    let loud = identity(9);
    let pushed = |i: usize| -> Verified<_> {
        let write = Shared::default().put(loud.peer(), "k", "x".into(), UNIX_MS).unwrap();
        let id = RecordId { origin: loud.peer(), kind: Kind::Shared, key: format!("k{i}") };
        let (issued_ms, expires_ms) = (UNIX_MS, UNIX_MS + 9000);
        Record { id, version: 1, issued_ms, expires_ms, body: Body::Shared(write) }.sign(&loud)
    };
    for i in 0..SHARED_KEYS_PER_ORIGIN_MAX + 3 {
        mesh.give(1, Input::Heard { from: loud.peer(), message: Heard::Push(vec![pushed(i)]) });
    }
    let node = &mesh.nodes[&1];
    assert_eq!((node.shared().list().count(), node.shared_rejected()), (SHARED_KEYS_PER_ORIGIN_MAX, 3));
    assert_eq!(node.records().filter(|r| r.id.kind == Kind::Shared).count(), SHARED_KEYS_PER_ORIGIN_MAX + 3);
}
