//! Shapes of a mesh: which nodes have a wire between them.

use std::collections::BTreeSet;
use std::fmt;

use prunella_core::limits::NEIGHBORS_MAX;
use prunella_core::rng::Rng;

/// The shape of a mesh. Every shape is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// A ring and this many chords.
    Ring {
        /// Links in addition to the ring, in number.
        chords: usize,
    },
    /// A grid, as square as the number of nodes allows; each node reaches up to four others.
    Grid,
    /// A random tree and this many more links.
    Tree {
        /// Links in addition to the tree, in number.
        extra: usize,
    },
    /// Every node reaches this many hubs, and the hubs reach each other.
    Hubs {
        /// How many hubs there are.
        hubs: usize,
    },
    /// Nearly all pairs of nodes have a link.
    Dense,
    /// Random links until every node has about this many, over a ring that keeps it whole.
    Regular {
        /// Links of each node, in number.
        degree: usize,
    },
}

impl Topology {
    /// Draws a shape that suits this many nodes.
    pub(crate) fn draw(rng: &mut Rng, nodes: usize) -> Self {
        match rng.below(6) {
            0 => Topology::Ring { chords: rng.below(nodes) },
            1 => Topology::Grid,
            2 => Topology::Tree { extra: rng.below(nodes / 2 + 1) },
            3 => Topology::Hubs { hubs: 1 + rng.below(3) },
            4 => Topology::Dense,
            _ => Topology::Regular { degree: 3 + rng.below(4) },
        }
    }

    /// Every wire once, the smaller end first. No node gets more neighbors than it may have.
    pub(crate) fn wires(self, rng: &mut Rng, nodes: usize) -> BTreeSet<(usize, usize)> {
        let mut wires = Wires { nodes, wires: BTreeSet::new(), degrees: vec![0; nodes] };
        match self {
            Topology::Ring { chords } => {
                wires.ring();
                wires.random(rng, nodes + chords);
            }
            Topology::Grid => wires.grid(),
            Topology::Tree { extra } => {
                for node in 1..nodes {
                    // A node without room passes its child on to the one before it, which has been a child itself.
                    let parent = rng.below(node);
                    let parent = (0..node).map(|i| (parent + i) % node).find(|p| wires.degrees[*p] < NEIGHBORS_MAX);
                    wires.add(node, parent.expect("BUG: the last child of a tree has room"));
                }
                wires.random(rng, nodes - 1 + extra);
            }
            Topology::Hubs { hubs } => wires.hubs(hubs.clamp(1, nodes - 1)),
            Topology::Dense => {
                wires.ring();
                for a in 0..nodes {
                    (a + 1..nodes).filter(|_| rng.below(10) > 0).collect::<Vec<_>>().into_iter().for_each(|b| {
                        wires.add(a, b);
                    });
                }
            }
            Topology::Regular { degree } => {
                wires.ring();
                wires.random(rng, nodes * degree / 2);
            }
        }
        wires.wires
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topology::Ring { chords } => write!(f, "ring+{chords}"),
            Topology::Grid => write!(f, "grid"),
            Topology::Tree { extra } => write!(f, "tree+{extra}"),
            Topology::Hubs { hubs } => write!(f, "hubs {hubs}"),
            Topology::Dense => write!(f, "dense"),
            Topology::Regular { degree } => write!(f, "regular {degree}"),
        }
    }
}

struct Wires {
    nodes: usize,
    wires: BTreeSet<(usize, usize)>,
    degrees: Vec<usize>,
}

impl Wires {
    fn add(&mut self, a: usize, b: usize) -> bool {
        let room = self.degrees[a] < NEIGHBORS_MAX && self.degrees[b] < NEIGHBORS_MAX;
        let added = a != b && room && self.wires.insert((a.min(b), a.max(b)));
        if added {
            self.degrees[a] += 1;
            self.degrees[b] += 1;
        }
        added
    }

    fn ring(&mut self) {
        for node in 0..self.nodes {
            self.add(node, (node + 1) % self.nodes);
        }
    }

    /// Random wires until there are this many, or until hardly any more fit.
    fn random(&mut self, rng: &mut Rng, until: usize) {
        let mut in_vain = 0;
        while self.wires.len() < until && in_vain < 50 * self.nodes {
            let (a, b) = (rng.below(self.nodes), rng.below(self.nodes));
            in_vain = if self.add(a, b) { 0 } else { in_vain + 1 };
        }
    }

    fn grid(&mut self) {
        let width = (1..).find(|width| width * width >= self.nodes).expect("BUG: squares grow");
        for node in 0..self.nodes {
            if (node + 1) % width != 0 && node + 1 < self.nodes {
                self.add(node, node + 1);
            }
            if node + width < self.nodes {
                self.add(node, node + width);
            }
        }
    }

    /// A hub has room for so many; whoever finds none reaches the node before it, which has room.
    fn hubs(&mut self, hubs: usize) {
        for a in 0..hubs {
            (a + 1..hubs).for_each(|b| {
                self.add(a, b);
            });
        }
        for node in hubs..self.nodes {
            let reached = (0..hubs).filter(|hub| self.add(node, *hub)).count();
            if reached == 0 {
                self.add(node, node - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_connected(wires: &BTreeSet<(usize, usize)>, nodes: usize) -> bool {
        let (mut seen, mut edge) = (BTreeSet::from([0]), vec![0]);
        while let Some(at) = edge.pop() {
            let next = wires.iter().filter_map(|(a, b)| match at {
                at if at == *a => Some(*b),
                at if at == *b => Some(*a),
                _ => None,
            });
            edge.extend(next.filter(|n| seen.insert(*n)).collect::<Vec<_>>());
        }
        seen.len() == nodes
    }

    #[test]
    fn every_shape_of_every_size_is_connected_and_within_the_limit_of_neighbors() {
        let mut rng = Rng::from_seed(1);
        for nodes in [3, 4, 5, 8, 13, 30, 100, 200] {
            for _ in 0..30 {
                let topology = Topology::draw(&mut rng, nodes);
                let wires = topology.wires(&mut rng, nodes);
                assert!(is_connected(&wires, nodes), "{topology} of {nodes}");
                let degree = |node| wires.iter().filter(|(a, b)| *a == node || *b == node).count();
                assert!((0..nodes).all(|node| degree(node) <= NEIGHBORS_MAX), "{topology} of {nodes}");
            }
        }
    }

    #[test]
    fn a_full_graph_has_no_room_for_more_chords() {
        assert_eq!(Topology::Ring { chords: 99 }.wires(&mut Rng::from_seed(1), 4).len(), 6);
    }
}
