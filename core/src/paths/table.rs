//! The paths from one node to those it talks to, kept up to date while the topology changes.

use std::collections::BTreeMap;

use super::disjoint::{answer, disjoint_paths};
use super::packed::Node;
use super::tree::Trees;
use super::{Path, Topology};
use crate::PeerId;
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
        if self.edits.len() > EDITS_MIN.max(self.topology.packed().len() / 4) {
            self.edits.clear();
            self.trees = None;
        }
    }
}

/// Changes that are always gathered, however small the graph.
const EDITS_MIN: usize = 256;

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
