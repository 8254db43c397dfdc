//! The paths from one node to those it talks to, kept up to date while the topology changes.

use std::collections::BTreeMap;

use super::disjoint::{answer, disjoint_paths};
use super::packed::Node;
use super::tree::Trees;
use super::{Path, Topology};
use crate::PeerId;
use crate::limits::TOPOLOGY_EDITS_MIN;
use crate::record::LinkBody;

/// The disjoint paths from one node to each destination it was asked for, and the topology that they run through.
///
/// What it answers is at any time what [`disjoint_paths`] answers, found with less work: the distances from the node are
/// repaired instead of computed anew, every search is guided by them, and each answer remembers what it has looked at, so
/// that a change elsewhere leaves it alone.
#[derive(Clone, Debug)]
pub struct PathTable {
    me: PeerId,
    k: usize,
    topology: Topology,
    /// The distances before `edits`; `None` until they are needed.
    trees: Option<Trees>,
    answers: BTreeMap<PeerId, Answer>,
    /// The ends of the links that have changed since the trees were right.
    edits: Vec<(Node, Node)>,
}

#[derive(Clone, Debug)]
struct Answer {
    paths: Vec<Path>,
    /// The nodes that made a difference; `None` if the answer must be sought again whatever changes.
    scanned: Option<Nodes>,
}

impl PathTable {
    /// A table of up to `k` paths from `me` to each destination, over a topology that is still empty.
    pub fn new(me: PeerId, k: usize) -> Self {
        Self { me, k, topology: Topology::default(), trees: None, answers: BTreeMap::new(), edits: Vec::new() }
    }

    /// The topology as it is now.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Does what [`Topology::set_links`] does; answers follow when they are next asked for.
    pub fn set_links(&mut self, origin: PeerId, links: &[LinkBody]) -> bool {
        let changed = self.topology.edit(origin, links, &mut self.edits);
        self.bound_edits();
        changed
    }

    /// Does what [`Topology::remove`] does; answers follow when they are next asked for.
    pub fn remove(&mut self, origin: PeerId) -> bool {
        let known = self.topology.cut_off(origin, &mut self.edits);
        self.bound_edits();
        known
    }

    /// The paths to a destination as [`disjoint_paths`] would find them. From now on [`PathTable::refresh`] keeps them up
    /// to date.
    pub fn paths(&mut self, to: PeerId) -> &[Path] {
        self.refresh();
        if !self.answers.contains_key(&to) {
            let found = self.sought(to);
            self.answers.insert(to, found);
        }
        &self.answers[&to].paths
    }

    /// The paths to a destination without keeping them.
    pub fn search(&self, to: PeerId) -> Vec<Path> {
        disjoint_paths(&self.topology, self.me, to, self.k)
    }

    /// Keeps the paths to a destination no longer.
    pub fn forget(&mut self, to: PeerId) {
        self.answers.remove(&to);
    }

    /// Seeks again every kept answer that changes of the topology can have touched since, and tells which destinations
    /// have other paths now, in ascending order.
    pub fn refresh(&mut self) -> Vec<PeerId> {
        if self.answers.is_empty() {
            // Nobody asks: to grow the trees when somebody does costs less than to repair them all the time.
            self.trees = None;
        }
        if self.edits.is_empty() && self.trees.is_some() {
            return Vec::new();
        }
        let touched = self.repair();
        self.edits.clear();
        let is_touched = |answer: &Answer| match (&answer.scanned, &touched) {
            (Some(scanned), Some(touched)) => scanned.meets(touched),
            _ => true,
        };
        let stale: Vec<PeerId> = self.answers.iter().filter(|(_, a)| is_touched(a)).map(|(to, _)| *to).collect();
        stale.into_iter().filter(|to| self.seek_again(*to)).collect()
    }

    /// Brings the trees up to date, and tells which nodes have other links or other distances near them; `None` if all
    /// may have.
    fn repair(&mut self) -> Option<Nodes> {
        let graph = self.topology.packed();
        let root = self.topology.number(self.me);
        let Some(trees) = self.trees.as_mut().filter(|trees| Some(trees.root()) == root) else {
            self.trees = root.filter(|_| !self.answers.is_empty()).map(|root| Trees::grown(graph, root));
            return None;
        };
        let mut touched = Nodes::new(graph.len());
        self.edits.iter().for_each(|(a, b)| [*a, *b].into_iter().for_each(|end| touched.insert(end)));
        trees.repair(graph, &self.edits, |moved| {
            touched.insert(moved);
            graph.arcs(moved).iter().for_each(|arc| touched.insert(arc.to));
        });
        Some(touched)
    }

    /// Seeks an answer again, and tells whether it is another one.
    fn seek_again(&mut self, to: PeerId) -> bool {
        let found = self.sought(to);
        match self.answers.insert(to, found) {
            Some(before) => before.paths != self.answers[&to].paths,
            None => true,
        }
    }

    fn sought(&mut self, to: PeerId) -> Answer {
        let graph = self.topology.packed();
        let (Some(root), Some(to)) = (self.topology.number(self.me), self.topology.number(to)) else {
            return Answer { paths: Vec::new(), scanned: None };
        };
        if root == to {
            return Answer { paths: Vec::new(), scanned: None };
        }
        let trees = self.trees.get_or_insert_with(|| Trees::grown(graph, root));
        let mut scanned = Nodes::new(graph.len());
        let paths = answer(&self.topology, trees, to, self.k, |node| scanned.insert(node));
        Answer { paths, scanned: Some(scanned) }
    }

    /// So many changes are not worth repairing one by one, nor remembering.
    fn bound_edits(&mut self) {
        if self.edits.len() > TOPOLOGY_EDITS_MIN.max(self.topology.packed().len() / 4) {
            self.edits.clear();
            self.trees = None;
        }
    }
}

/// A set of nodes, one bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Nodes(Vec<u64>);

impl Nodes {
    fn new(nodes: usize) -> Self {
        Self(vec![0; nodes.div_ceil(64)])
    }

    fn insert(&mut self, node: Node) {
        self.0[node as usize / 64] |= 1 << (node % 64);
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use petgraph::algo::dijkstra;
    use petgraph::graph::{NodeIndex, UnGraph};
    use proptest::prelude::*;

    use super::super::disjoint_paths;
    use super::super::tree::{FAR, Tree};
    use super::super::weight::Measure;
    use super::*;
    use crate::Label;

    /// What happens to a topology.
    #[derive(Clone, Debug)]
    enum Edit {
        /// A link has this round trip in microseconds from now on, or is gone.
        Link(u8, u8, Option<u32>),
        /// A node is gone, with all its links.
        Node(u8),
    }

    /// The links that there are, as all nodes tell them.
    struct World {
        nodes: u8,
        links: BTreeMap<(u8, u8), u32>,
        table: PathTable,
    }

    impl World {
        fn new(nodes: u8, k: usize) -> Self {
            let mut world = Self { nodes, links: BTreeMap::new(), table: PathTable::new(peer(0), k) };
            (0..nodes).for_each(|node| world.tell(node));
            world
        }

        fn apply(&mut self, edit: &Edit) {
            match *edit {
                Edit::Link(a, b, rtt) if a != b && a.max(b) < self.nodes => {
                    let pair = (a.min(b), a.max(b));
                    match rtt {
                        Some(rtt) => self.links.insert(pair, rtt),
                        None => self.links.remove(&pair),
                    };
                    self.tell(a);
                    self.tell(b);
                }
                Edit::Node(node) if node < self.nodes => {
                    self.links.retain(|(a, b), _| *a != node && *b != node);
                    self.table.remove(peer(node));
                }
                _ => {}
            }
        }

        fn tell(&mut self, node: u8) {
            let links: Vec<LinkBody> = (0..self.nodes).filter_map(|other| self.link(node, other)).collect();
            self.table.set_links(peer(node), &links);
        }

        fn link(&self, from: u8, to: u8) -> Option<LinkBody> {
            let rtt_us = *self.links.get(&(from.min(to), from.max(to)))?;
            Some(LinkBody { neighbor: peer(to), label: Label(u16::from(to) + 1), rtt_us, loss_permille: 0 })
        }

        fn found_anew(&self, to: u8) -> Vec<Path> {
            disjoint_paths(self.table.topology(), peer(0), peer(to), self.table.k)
        }
    }

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    fn edits(nodes: u8, count: usize) -> impl Strategy<Value = Vec<Edit>> {
        // Few distinct round trips make ties, many make every choice matter.
        let rtt =
            prop_oneof![4 => prop_oneof![Just(1000u32), Just(2000), 0u32..200_000].prop_map(Some), 1 => Just(None)];
        let link = (0..nodes, 0..nodes, rtt).prop_map(|(a, b, rtt)| Edit::Link(a, b, rtt));
        // Long and thin graphs, so that some ways have more links than a path may have.
        let near = (0..nodes, 1u8..3, prop::option::weighted(0.8, 0u32..9000))
            .prop_map(move |(a, step, rtt)| Edit::Link(a, (a + step) % nodes, rtt));
        prop::collection::vec(prop_oneof![6 => link, 12 => near, 1 => (0..nodes).prop_map(Edit::Node)], 0..count)
    }

    #[test]
    fn a_change_elsewhere_leaves_an_answer_alone() {
        let mut world = World::new(9, 2);
        for (a, b) in [(0, 1), (1, 2), (0, 3), (3, 2), (2, 4), (4, 5), (5, 6), (6, 7), (7, 8)] {
            world.apply(&Edit::Link(a, b, Some(1000)));
        }
        assert_eq!(world.table.paths(peer(2)).len(), 2);
        world.apply(&Edit::Link(7, 8, Some(90_000)));
        let touched = world.table.repair().unwrap();
        assert!(!world.table.answers[&peer(2)].scanned.as_ref().unwrap().meets(&touched));
        world.table.edits.clear();
        world.apply(&Edit::Link(3, 2, Some(90_000)));
        assert_eq!(world.table.refresh(), [peer(2)]);
    }

    #[test]
    fn a_table_follows_its_own_node_and_unknown_ones() {
        let mut world = World::new(3, 2);
        assert!(world.table.paths(peer(9)).is_empty());
        assert!(world.table.paths(peer(0)).is_empty(), "itself");
        world.apply(&Edit::Link(0, 1, Some(1000)));
        assert_eq!(world.table.paths(peer(1)).len(), 1);
        world.apply(&Edit::Node(0));
        assert_eq!(world.table.refresh(), [peer(1)]);
        assert!(world.table.paths(peer(1)).is_empty());
        world.apply(&Edit::Link(0, 1, Some(1000)));
        world.nodes = 10;
        world.apply(&Edit::Link(1, 9, Some(1000)));
        assert_eq!(world.table.refresh(), [peer(1), peer(9)]);
        world.table.forget(peer(9));
        world.apply(&Edit::Link(1, 9, None));
        assert!(world.table.refresh().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn answers_that_are_kept_are_those_that_would_be_found_anew(
            first in edits(24, 90),
            then in prop::collection::vec(edits(24, 6), 1..10),
            k in 1usize..=4,
        ) {
            let mut world = World::new(24, k);
            first.iter().for_each(|edit| world.apply(edit));
            for to in (1..24).step_by(3) {
                world.table.paths(peer(to));
            }
            for batch in then {
                let before = world.table.answers.clone();
                batch.iter().for_each(|edit| world.apply(edit));
                let changed: BTreeSet<PeerId> = world.table.refresh().into_iter().collect();
                for to in (1..24).step_by(3) {
                    let found = world.found_anew(to);
                    prop_assert_eq!(changed.contains(&peer(to)), found != before[&peer(to)].paths);
                    prop_assert_eq!(world.table.paths(peer(to)), found);
                }
            }
        }

        #[test]
        fn repaired_distances_are_those_that_dijkstra_finds(
            first in edits(24, 90),
            then in prop::collection::vec(edits(24, 6), 1..20),
            by_links: bool,
        ) {
            let measure = if by_links { Measure::LINKS } else { Measure::COST };
            let mut world = World::new(24, 1);
            first.iter().for_each(|edit| world.apply(edit));
            world.apply(&Edit::Link(0, 1, Some(1000)));
            world.table.edits.clear();
            let root = world.table.topology.number(peer(0)).unwrap();
            let graph = world.table.topology.packed();
            let mut tree = if by_links { Tree::grown_by_links(graph, root) } else { Tree::grown(graph, root, measure) };
            for batch in then {
                let lasting = batch.iter().filter(|edit| !matches!(edit, Edit::Node(0)));
                lasting.for_each(|edit| world.apply(edit));
                let graph = world.table.topology.packed();
                let before = tree.clone();
                let mut moved = BTreeSet::new();
                tree.repair(graph, &std::mem::take(&mut world.table.edits), |node| {
                    moved.insert(node);
                });
                let links = (0..graph.len() as u32).flat_map(|a| graph.arcs(a).iter().map(move |arc| (a, arc.to, arc.cost)));
                let mut judge = UnGraph::<(), u32>::from_edges(links.filter(|(a, b, _)| a < b));
                for _ in judge.node_count()..graph.len() {
                    judge.add_node(());
                }
                let right = dijkstra(&judge, NodeIndex::new(root as usize), None, |link| measure.weigh(*link.weight()));
                for node in 0..graph.len() as u32 {
                    let distance = right.get(&NodeIndex::new(node as usize)).copied().unwrap_or(FAR);
                    prop_assert_eq!(tree.distance(node), distance);
                    let known = if (node as usize) < before.len() { before.distance(node) } else { FAR };
                    prop_assert!(moved.contains(&node) || known == distance);
                }
            }
        }
    }
}
