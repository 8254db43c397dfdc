//! Who is linked to whom in the lab: a ring with a second ring of chords, and no link between the two ends of the traffic.

use std::collections::BTreeSet;

use super::draw::Draw;

/// The planned links between `nodes` nodes: i to i±1 and i±2, without the link between source and destination.
///
/// Every two nodes are joined by at least two disjoint paths, so that the loss of any one relay or link can be healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    nodes: usize,
}

impl Topology {
    /// The plan for `nodes` nodes.
    ///
    /// # Panics
    /// If there are fewer than four: then some pair would have less than two disjoint paths.
    pub(super) fn new(nodes: usize) -> Self {
        assert!(nodes >= 4, "BUG: the arguments allow four nodes or more");
        Self { nodes }
    }

    /// How many nodes there are; they are numbered from 0.
    pub(super) fn nodes(self) -> usize {
        self.nodes
    }

    /// The node where requests start.
    pub(super) fn source(self) -> usize {
        0
    }

    /// The node that answers them; never a neighbor of the source.
    pub(super) fn destination(self) -> usize {
        self.nodes / 2
    }

    /// The nodes that `node` holds a link to, in ascending order.
    pub(super) fn neighbors(self, node: usize) -> BTreeSet<usize> {
        [1, 2, self.nodes - 1, self.nodes - 2]
            .into_iter()
            .map(|step| (node + step) % self.nodes)
            .filter(|&other| other != node && !self.are_ends(node, other))
            .collect()
    }

    /// Less than half of the nodes, `first` and then others at random, without which the traffic's ends still reach each
    /// other; fewer, or none, where that cannot be.
    pub(super) fn minority(self, first: &[usize], draw: &mut Draw) -> BTreeSet<usize> {
        let mut others: Vec<usize> = (0..self.nodes).filter(|node| !first.contains(node)).collect();
        let mut order = first.to_vec();
        while !others.is_empty() {
            order.push(others.swap_remove(draw.below(others.len())));
        }
        let mut minority = BTreeSet::new();
        for node in order.into_iter().filter(|node| ![self.source(), self.destination()].contains(node)) {
            minority.insert(node);
            if 2 * minority.len() >= self.nodes || !self.ends_meet_without(&minority) {
                minority.remove(&node);
            }
        }
        minority
    }

    fn ends_meet_without(self, removed: &BTreeSet<usize>) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([self.source()]), vec![self.source()]);
        while let Some(node) = next.pop() {
            next.extend(self.neighbors(node).into_iter().filter(|n| !removed.contains(n) && seen.insert(*n)));
        }
        seen.contains(&self.destination())
    }

    fn are_ends(self, a: usize, b: usize) -> bool {
        (a.min(b), a.max(b)) == (self.source(), self.destination())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> impl Iterator<Item = Topology> {
        (4..=16).map(Topology::new)
    }

    fn reaches(topology: Topology, from: usize, to: usize, without: usize) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
        while let Some(node) = next.pop() {
            next.extend(topology.neighbors(node).into_iter().filter(|&n| n != without && seen.insert(n)));
        }
        seen.contains(&to)
    }

    #[test]
    fn links_are_held_by_both_sides() {
        for topology in every() {
            for node in 0..topology.nodes() {
                for other in topology.neighbors(node) {
                    assert!(topology.neighbors(other).contains(&node), "{topology:?}: {node} and {other}");
                    assert_ne!(node, other);
                }
            }
        }
    }

    #[test]
    fn source_and_destination_are_never_neighbors() {
        for topology in every() {
            assert!(!topology.neighbors(topology.source()).contains(&topology.destination()), "{topology:?}");
        }
    }

    #[test]
    fn a_minority_never_cuts_the_traffic_and_begins_with_the_path_in_use() {
        for topology in every() {
            for seed in 0..20 {
                let minority = topology.minority(&[1], &mut Draw::new(seed, "test"));
                assert!(minority.contains(&1), "{topology:?}: {minority:?}");
                assert!(2 * minority.len() < topology.nodes(), "{topology:?}: {minority:?}");
                assert!(topology.ends_meet_without(&minority), "{topology:?}: {minority:?}");
            }
        }
    }

    #[test]
    fn five_nodes_leave_three_common_relays() {
        let five = Topology::new(5);
        let common = &five.neighbors(five.source()) & &five.neighbors(five.destination());
        assert_eq!(common, BTreeSet::from([1, 3, 4]));
    }

    #[test]
    fn no_single_node_separates_two_others() {
        for topology in every() {
            for without in 0..topology.nodes() {
                for to in (0..topology.nodes()).filter(|&n| n != without) {
                    let from = usize::from(without == 0);
                    assert!(reaches(topology, from, to, without), "{topology:?}: {from} to {to} without {without}");
                }
            }
        }
    }
}
