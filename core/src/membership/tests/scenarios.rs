//! Whole meshes in trouble: every node's links are probed each half second, and everybody is told every record at once.
//!
//! No network and no gossip: what is tested is who accuses whom, and what comes of it. The troubles are those of Rapid's
//! evaluation (Suresh et al., USENIX ATC 2018, sections 2.1 and 7): a starved host, links that fail one way in turns of
//! 20 seconds, 80 % loss at 1 % of the nodes, and ten crashes at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{at, peer, says};
use crate::Instant;
use crate::membership::{Accusations, Change, Membership, Status};
use crate::peer::ProbeWindow;
use crate::rng::Rng;

/// A node's neighbors come from this many random cycles over all nodes: eight of them, as a rule.
const CYCLES: usize = 4;
/// Time between two probes of a link, in milliseconds.
const TICK_MS: u64 = 500;

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// It answers nothing and does nothing.
    Crashed,
    /// It neither answers nor looks for seconds at a stretch; then it finds every probe of that time failed.
    Starved,
    /// Nothing reaches it during every other 20 seconds; what it sends always arrives.
    Deaf,
    /// It loses so many packets of a hundred, in each direction.
    Lossy(usize),
}

struct Node {
    fault: Fault,
    neighbors: BTreeMap<usize, ProbeWindow>,
    own: Accusations,
    version: u64,
    /// When it wanted to wake next.
    due: u64,
    starved_until: u64,
    /// Probes of each link that failed unseen while it was starved.
    missed: usize,
}

struct Mesh {
    nodes: Vec<Node>,
    membership: Membership,
    rng: Rng,
    now_ms: u64,
    /// Every change of a status, and when it was.
    changes: Vec<(u64, Change)>,
    /// Accusations by starved nodes of sound ones, counted once a tick.
    wrong_by_starved: usize,
    /// Whether nodes accuse whomever they do not hear, without regard to their own health.
    naive: bool,
}

impl Mesh {
    /// `count` sound nodes that have been up for half a minute; then `faults` befall the first of them.
    fn new(count: usize, seed: u64, faults: impl Fn(usize) -> Fault) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut neighbors = vec![BTreeMap::new(); count];
        for _ in 0..CYCLES {
            let mut order: Vec<usize> = (0..count).collect();
            (1..count).rev().for_each(|i| order.swap(i, rng.below(i + 1)));
            for i in 0..count {
                let (a, b) = (order[i], order[(i + 1) % count]);
                neighbors[a].insert(b, ProbeWindow::default());
                neighbors[b].insert(a, ProbeWindow::default());
            }
        }
        let node = |(n, neighbors)| Node {
            fault: Fault::None,
            neighbors,
            own: Accusations::new(peer(n), at(0)),
            version: 0,
            due: TICK_MS,
            starved_until: 0,
            missed: 0,
        };
        let mut mesh = Self {
            nodes: neighbors.into_iter().enumerate().map(node).collect(),
            membership: Membership::new(seed),
            rng,
            now_ms: 0,
            changes: Vec::new(),
            wrong_by_starved: 0,
            naive: false,
        };
        mesh.run(30);
        assert!(mesh.changes.is_empty(), "a sound mesh is quiet");
        assert_eq!(mesh.membership.roster().counts().alive, count);
        for n in 0..count {
            mesh.nodes[n].fault = faults(n);
        }
        mesh
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 1000 / TICK_MS {
            self.now_ms += TICK_MS;
            for n in 0..self.nodes.len() {
                self.probe_all(n);
            }
            for n in 0..self.nodes.len() {
                self.wake(n);
            }
            self.judge();
        }
    }

    /// Node `n` probes each of its links; a starved one finds out later that all it sent has failed.
    fn probe_all(&mut self, n: usize) {
        let now = self.now_ms;
        match self.nodes[n].fault {
            Fault::Crashed => return,
            Fault::Starved if now >= self.nodes[n].starved_until + 2 * TICK_MS => {
                self.nodes[n].starved_until = now + 2000 + self.rng.below(6) as u64 * TICK_MS;
            }
            _ => {}
        }
        if self.is_starved(n) {
            self.nodes[n].missed += 1;
            return;
        }
        let missed = std::mem::take(&mut self.nodes[n].missed);
        let neighbors: Vec<usize> = self.nodes[n].neighbors.keys().copied().collect();
        for other in neighbors {
            let back = !self.is_starved(other) && self.arrives(n, other) && self.arrives(other, n);
            let window = self.nodes[n].neighbors.get_mut(&other).unwrap();
            (0..missed).for_each(|_| window.note(true));
            window.note(!back);
        }
    }

    fn is_starved(&self, n: usize) -> bool {
        self.nodes[n].fault == Fault::Starved && self.now_ms < self.nodes[n].starved_until
    }

    fn arrives(&mut self, from: usize, to: usize) -> bool {
        let lost = |fault, rng: &mut Rng| matches!(fault, Fault::Lossy(percent) if rng.below(100) < percent);
        match self.nodes[to].fault {
            Fault::Crashed => return false,
            Fault::Deaf if ((self.now_ms - 30_000) / 20_000).is_multiple_of(2) => return false,
            _ => {}
        }
        !lost(self.nodes[from].fault, &mut self.rng) && !lost(self.nodes[to].fault, &mut self.rng)
    }

    /// Node `n` takes its probes' outcomes in, and publishes if there is anything new.
    fn wake(&mut self, n: usize) {
        let (now, starved) = (at(self.now_ms), self.is_starved(n));
        let node = &mut self.nodes[n];
        if node.fault == Fault::Crashed || starved {
            return;
        }
        node.own.wake(at(node.due), now);
        node.due = self.now_ms + TICK_MS;
        let mut changed = node.version == 0;
        for (other, window) in &node.neighbors {
            let usable = !window.is_failing();
            changed |= node.own.works(&peer(*other)) != usable;
            node.own.link(peer(*other), usable, now);
        }
        if changed | node.own.take_changed() {
            self.publish(n, now);
        }
    }

    fn publish(&mut self, n: usize, now: Instant) {
        let naive = self.naive;
        let node = &mut self.nodes[n];
        node.version += 1;
        let of = |bad: bool| node.neighbors.iter().filter(move |(_, w)| w.is_failing() == bad).map(|(other, _)| *other);
        let mut body = says(&of(false).collect::<Vec<_>>(), &of(true).collect::<Vec<_>>(), &[]);
        if !naive {
            body.accused = node.own.accused().collect();
            body.refuted = node.own.refuted().collect();
        }
        node.own.published(node.version);
        if node.fault == Fault::Starved {
            let sound = |accused: &[crate::PeerId]| accused.iter().filter(|id| self.is_sound(id)).count();
            self.wrong_by_starved += sound(&body.accused);
        }
        let version = self.nodes[n].version;
        self.membership.told(peer(n), version, &body, now).unwrap();
        let neighbors: Vec<usize> = self.nodes[n].neighbors.keys().copied().collect();
        for other in neighbors {
            self.nodes[other].own.told(peer(n), version, &body, now);
        }
    }

    fn judge(&mut self) {
        while let Some(due) = self.membership.deadline().filter(|due| *due <= at(self.now_ms)) {
            for change in self.membership.wake(due.max(at(self.now_ms))) {
                self.nodes.iter_mut().for_each(|node| node.own.judged(&change.peer, change.to, at(self.now_ms)));
                self.changes.push((self.now_ms, change));
            }
        }
    }

    fn is_sound(&self, id: &crate::PeerId) -> bool {
        self.nodes.iter().enumerate().any(|(n, node)| peer(n) == *id && node.fault == Fault::None)
    }

    /// Who was removed at any time, and how often: sound ones and faulty ones.
    fn removed(&self) -> (BTreeMap<usize, usize>, BTreeMap<usize, usize>) {
        let (mut sound, mut faulty) = (BTreeMap::new(), BTreeMap::new());
        for (_, change) in self.changes.iter().filter(|(_, change)| change.to == Status::Down) {
            let n = (0..self.nodes.len()).find(|n| peer(*n) == change.peer).unwrap();
            let of = if self.nodes[n].fault == Fault::None { &mut sound } else { &mut faulty };
            *of.entry(n).or_insert(0) += 1;
        }
        (sound, faulty)
    }

    fn down(&self) -> BTreeSet<usize> {
        let is_down = |n: &usize| self.membership.roster().status(&peer(*n)) == Some(Status::Down);
        (0..self.nodes.len()).filter(is_down).collect()
    }

    /// When the last removal so far was, in milliseconds after the faults began.
    fn last_removal_ms(&self) -> u64 {
        let down = self.changes.iter().filter(|(_, change)| change.to == Status::Down);
        down.map(|(ms, _)| ms - 30_000).max().unwrap_or(0)
    }
}

#[test]
fn ten_crashes_among_a_thousand_nodes_are_all_removed_and_nobody_else() {
    let mut mesh = Mesh::new(1000, 4, |n| if n < 10 { Fault::Crashed } else { Fault::None });
    mesh.run(60);
    println!("10 crashes of 1000: all removed after {} ms", mesh.last_removal_ms());
    let (sound, faulty) = mesh.removed();
    assert_eq!((sound.len(), faulty.len()), (0, 10));
    assert_eq!(mesh.down(), (0..10).collect());
    assert!(mesh.last_removal_ms() <= 15_000, "{} ms", mesh.last_removal_ms());
}

#[test]
fn nodes_that_are_deaf_every_other_twenty_seconds_are_removed_once_and_nobody_else() {
    let mut mesh = Mesh::new(500, 2, |n| if n < 5 { Fault::Deaf } else { Fault::None });
    mesh.run(130);
    println!("1 % deaf in turns: all removed after {} ms", mesh.last_removal_ms());
    let (sound, faulty) = mesh.removed();
    assert_eq!(sound.len(), 0);
    assert_eq!(faulty, (0..5).map(|n| (n, 1)).collect(), "each once, and none returns in between");
    assert!(mesh.changes.iter().all(|(_, change)| !mesh.is_sound(&change.peer)), "no sound node is even suspect");
}

#[test]
fn nodes_that_lose_four_packets_of_five_are_removed_and_nobody_else() {
    let mut mesh = Mesh::new(500, 3, |n| if n < 5 { Fault::Lossy(80) } else { Fault::None });
    mesh.run(120);
    println!("1 % with 80 % loss: all removed after {} ms", mesh.last_removal_ms());
    let (sound, faulty) = mesh.removed();
    assert_eq!(sound.len(), 0);
    assert_eq!(faulty, (0..5).map(|n| (n, 1)).collect(), "each once");
    assert_eq!(mesh.down(), (0..5).collect());
}

#[test]
fn starved_hosts_accuse_nobody_and_no_sound_node_is_removed() {
    let starved = |share: usize, naive: bool| {
        let mut mesh = Mesh::new(200, 5, |n| if n % 10 < share { Fault::Starved } else { Fault::None });
        mesh.naive = naive;
        mesh.run(60);
        let (sound, faulty) = mesh.removed();
        println!(
            "{share}0 % starved, naive {naive}: {} wrong, {} starved removed",
            mesh.wrong_by_starved,
            faulty.len()
        );
        (sound.len(), mesh.wrong_by_starved)
    };
    assert_eq!(starved(1, false), (0, 0));
    assert_eq!(starved(4, false), (0, 0));
    assert!(starved(4, true).1 > 0, "without a doubt of their own they would accuse");
}

#[test]
fn a_third_of_the_mesh_that_goes_and_comes_back_is_whole_again_and_nobody_else_was_removed() {
    let mut mesh = Mesh::new(200, 6, |_| Fault::None);
    assert_eq!(mesh.membership.reachable(&peer(0)), 200);
    (0..60).for_each(|n| mesh.nodes[n].fault = Fault::Crashed);
    mesh.run(30);
    let reached = mesh.membership.reachable(&peer(199));
    println!("60 of 200 gone: {reached} reach each other, {} down", mesh.down().len());
    assert_eq!(reached, 140);
    assert!(mesh.down().iter().all(|n| *n < 60));
    (0..60).for_each(|n| mesh.nodes[n].fault = Fault::None);
    mesh.run(60);
    assert_eq!((mesh.membership.reachable(&peer(199)), mesh.down().len()), (200, 0));
}
