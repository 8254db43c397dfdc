//! How far every node is from one of them, kept up to date while links change.
//!
//! Grown by Dijkstra's algorithm, repaired by that of Ramalingam and Reps ("An incremental algorithm for a
//! generalization of the shortest-path problem", 1996): what a change cannot have touched is not looked at. Only
//! distances are kept. They are the same however they were arrived at, so searches that are guided by them are too.

use std::cell::OnceCell;

use super::packed::{Node, Packed};
use super::queue::Queue;
use super::weight::Measure;

/// The distances from one node, by either measure.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    root: Node,
    near: Tree,
    /// Most questions never ask for it.
    few: OnceCell<Tree>,
}

impl Trees {
    /// The distances from `root`.
    pub(super) fn grown(graph: &Packed, root: Node) -> Self {
        Self { root, near: Tree::grown(graph, root, Measure::COST), few: OnceCell::new() }
    }

    /// Whose distances they are.
    pub(super) fn root(&self) -> Node {
        self.root
    }

    /// Distances by cost.
    pub(super) fn near(&self) -> &Tree {
        &self.near
    }

    /// Distances by number of links.
    pub(super) fn few(&self, graph: &Packed) -> &Tree {
        self.few.get_or_init(|| Tree::grown_by_links(graph, self.root))
    }

    /// Does what [`Tree::repair`] does to both.
    pub(super) fn repair(&mut self, graph: &Packed, edits: &[(Node, Node)], mut moved: impl FnMut(Node)) {
        self.near.repair(graph, edits, &mut moved);
        if let Some(few) = self.few.get_mut() {
            few.repair(graph, edits, moved);
        }
    }
}

/// The distances from one node by one measure.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    measure: Measure,
    /// By node; [`FAR`] where no way leads.
    distances: Vec<u64>,
}

/// The distance of a node to which no way leads.
pub(super) const FAR: u64 = u64::MAX;

impl Tree {
    /// The distances from `root`.
    pub(super) fn grown(graph: &Packed, root: Node, measure: Measure) -> Self {
        let mut tree = Self { measure, distances: vec![FAR; graph.len()] };
        tree.distances[root as usize] = 0;
        tree.spread(graph, Queue::from_iter([(0, root)]), |_| {});
        tree
    }

    /// The distances from `root` by [`Measure::LINKS`], level by level: within a level no order is needed.
    pub(super) fn grown_by_links(graph: &Packed, root: Node) -> Self {
        let mut tree = Self { measure: Measure::LINKS, distances: vec![FAR; graph.len()] };
        tree.distances[root as usize] = 0;
        let mut level = vec![root];
        while !level.is_empty() {
            let mut next = Vec::new();
            for &node in &level {
                let distance = tree.distance(node);
                for arc in graph.arcs(node) {
                    let onward = distance + tree.measure.weigh(arc.cost);
                    let known = &mut tree.distances[arc.to as usize];
                    if *known == FAR {
                        next.push(arc.to);
                    }
                    *known = onward.min(*known);
                }
            }
            level = next;
        }
        tree
    }

    /// The measure that the distances are in.
    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    /// How far a node is.
    pub(super) fn distance(&self, node: Node) -> u64 {
        self.distances[node as usize]
    }

    /// More than every number that it has a distance for.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.distances.len()
    }

    /// Takes note that the links between these pairs have appeared, gone, or changed their cost, and calls `moved` with
    /// every node whose distance is another one now (and perhaps with others, or more than once).
    pub(super) fn repair(&mut self, graph: &Packed, edits: &[(Node, Node)], mut moved: impl FnMut(Node)) {
        self.distances.resize(graph.len(), FAR);
        let orphans = self.orphans(graph, edits);
        let mut queue = Queue::new();
        for &orphan in &orphans {
            moved(orphan);
            let onward = graph.arcs(orphan).iter().filter(|arc| self.distance(arc.to) != FAR);
            if let Some(nearest) = onward.map(|arc| self.distance(arc.to) + self.measure.weigh(arc.cost)).min() {
                self.distances[orphan as usize] = nearest;
                queue.push(nearest, orphan);
            }
        }
        let ends = edits.iter().flat_map(|(a, b)| [*a, *b]).filter(|node| self.distance(*node) != FAR);
        ends.for_each(|node| queue.push(self.distance(node), node));
        self.spread(graph, queue, moved);
    }

    /// The nodes that no neighbor explains any more: all of them are [`FAR`] now. Nearest first, so that a node's
    /// neighbors on shorter ways are judged before it is.
    fn orphans(&mut self, graph: &Packed, edits: &[(Node, Node)]) -> Vec<Node> {
        let suspects = edits.iter().flat_map(|(a, b)| [*a, *b]).map(|node| (self.distance(node), node));
        let mut suspects: Queue = suspects.filter(|(distance, _)| !matches!(*distance, 0 | FAR)).collect();
        let mut orphans = Vec::new();
        while let Some((distance, node)) = suspects.pop() {
            if self.distance(node) == FAR || self.is_explained(graph, node) {
                continue;
            }
            self.distances[node as usize] = FAR;
            orphans.push(node);
            for arc in graph.arcs(node) {
                if self.distance(arc.to) == distance + self.measure.weigh(arc.cost) {
                    suspects.push(self.distance(arc.to), arc.to);
                }
            }
        }
        orphans
    }

    fn is_explained(&self, graph: &Packed, node: Node) -> bool {
        let distance = self.distance(node);
        let over = |to| self.distance(to);
        graph
            .arcs(node)
            .iter()
            .any(|arc| over(arc.to) < distance && over(arc.to) + self.measure.weigh(arc.cost) <= distance)
    }

    /// Dijkstra's algorithm from the nodes in the queue: lowers whatever they make nearer.
    fn spread(&mut self, graph: &Packed, mut queue: Queue, mut lowered: impl FnMut(Node)) {
        while let Some((distance, node)) = queue.pop() {
            if distance > self.distances[node as usize] {
                continue;
            }
            for arc in graph.arcs(node) {
                let onward = distance + self.measure.weigh(arc.cost);
                let known = &mut self.distances[arc.to as usize];
                if onward < *known {
                    *known = onward;
                    lowered(arc.to);
                    queue.push(onward, arc.to);
                }
            }
        }
    }
}
