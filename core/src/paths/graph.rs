//! The graph of the mesh, as far as both ends of every link agree on it.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use serde::Serialize;

use super::Path;
use super::cost;
use super::packed::{Node, Packed};
use crate::limits::MEMBERS_MAX;
use crate::record::LinkBody;
use crate::{Label, PeerId};

/// A directed graph of the links that both of their ends report.
///
/// A node can only invent links to nodes that play along, and cannot make a link look better than the other end
/// measures it: the worse of the two measurements counts. Costs have the hysteresis of [`cost::settled`].
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// Only links that both ends report.
    graph: StableDiGraph<PeerId, Link>,
    /// The same for searching, nodes numbered as there.
    packed: Packed,
    /// Every node of the graph, with all that it said.
    nodes: BTreeMap<PeerId, Member>,
}

/// One direction of a link that both ends report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the sending end calls it.
    pub label: Label,
    /// What it costs to send over it, in microseconds of expected delivery; never zero.
    pub cost: u64,
}

/// What the ends of a link measured, the worse of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// The smoothed round trip, in microseconds.
    pub rtt_us: u32,
    /// The share of lost probes, in thousandths.
    pub loss_permille: u16,
}

#[derive(Clone, Debug)]
struct Member {
    index: NodeIndex,
    /// By neighbor: what this node says of its link to it.
    told: BTreeMap<PeerId, LinkBody>,
}

impl Topology {
    /// Takes what `origin` says of its links in place of what it said before, and tells whether nodes, links, labels or
    /// costs are now different.
    ///
    /// Ignored are links to itself, links with the label zero, and links to several neighbors under one label; of
    /// several links to one neighbor the cheapest counts. Nodes beyond [`MEMBERS_MAX`] are ignored altogether.
    pub fn set_links(&mut self, origin: PeerId, links: &[LinkBody]) -> bool {
        self.edit(origin, links, &mut Vec::new())
    }

    /// Does what [`Topology::set_links`] does, and adds to `edits` the ends of every link that is different now.
    pub(super) fn edit(&mut self, origin: PeerId, links: &[LinkBody], edits: &mut Vec<(Node, Node)>) -> bool {
        let told = usable(origin, links);
        let is_full = self.nodes.len() >= MEMBERS_MAX;
        let (before, appeared) = match self.nodes.get_mut(&origin) {
            Some(node) => (std::mem::replace(&mut node.told, told), false),
            None if is_full => return false,
            None => {
                let index = self.graph.add_node(origin);
                self.packed.add(number(index), origin);
                edits.push((number(index), number(index)));
                self.nodes.insert(origin, Member { index, told });
                (BTreeMap::new(), true)
            }
        };
        let now = self.nodes[&origin].told.keys();
        let touched: BTreeSet<PeerId> = before.into_keys().chain(now.copied()).collect();
        touched.into_iter().fold(appeared, |changed, neighbor| {
            let out = self.agree(origin, neighbor);
            let back = self.agree(neighbor, origin);
            if out || back {
                edits.extend(self.number(origin).zip(self.number(neighbor)));
            }
            changed | out | back
        })
    }

    /// Forgets `origin` and its links, and tells whether it was known.
    pub fn remove(&mut self, origin: PeerId) -> bool {
        self.cut_off(origin, &mut Vec::new())
    }

    /// Does what [`Topology::remove`] does, and adds to `edits` the ends of every link that is gone.
    pub(super) fn cut_off(&mut self, origin: PeerId, edits: &mut Vec<(Node, Node)>) -> bool {
        let Some(node) = self.nodes.remove(&origin) else { return false };
        let gone = number(node.index);
        edits.push((gone, gone));
        for arc in self.packed.arcs(gone).to_vec() {
            self.packed.set(gone, arc.to, None);
            self.packed.set(arc.to, gone, None);
            edits.push((gone, arc.to));
        }
        self.graph.remove_node(node.index);
        true
    }

    /// Whether `peer` has said what links it has, be it none.
    pub fn contains(&self, peer: PeerId) -> bool {
        self.nodes.contains_key(&peer)
    }

    /// Every node that has said what links it has, in ascending order.
    pub fn nodes(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.nodes.keys().copied()
    }

    /// The link from one node to another; `None` unless both report it.
    pub fn link(&self, from: PeerId, to: PeerId) -> Option<Link> {
        let (from, to) = (self.nodes.get(&from)?, self.nodes.get(&to)?);
        self.graph.find_edge(from.index, to.index).map(|edge| self.graph[edge])
    }

    /// What the ends of the link from one node to another measured; `None` unless both report it.
    pub fn measured(&self, from: PeerId, to: PeerId) -> Option<Measured> {
        let (here, there) = (self.nodes.get(&from)?.told.get(&to)?, self.nodes.get(&to)?.told.get(&from)?);
        Some(Measured::worse(here, there))
    }

    /// The neighbors of `peer` by links that both ends report, in ascending order.
    pub fn neighbors(&self, peer: PeerId) -> Vec<PeerId> {
        let Some(node) = self.nodes.get(&peer) else { return Vec::new() };
        let mut neighbors: Vec<_> = self.graph.neighbors(node.index).map(|index| self.graph[index]).collect();
        neighbors.sort_unstable();
        neighbors
    }

    /// Where a frame ends up that `start` forwards by the first of `labels`, the next node by the second, and so on;
    /// `None` if one of them has no such link.
    pub fn follow(&self, start: PeerId, labels: &[Label]) -> Option<PeerId> {
        let start = self.nodes.get(&start)?.index;
        let end = labels.iter().try_fold(start, |node, label| {
            self.graph.edges(node).find(|edge| edge.weight().label == *label).map(|edge| edge.target())
        })?;
        Some(self.graph[end])
    }

    /// The graph for searching.
    pub(super) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The number of `peer` in the graph for searching; `None` if it has not said what links it has.
    pub(super) fn number(&self, peer: PeerId) -> Option<Node> {
        self.nodes.get(&peer).map(|node| number(node.index))
    }

    /// The path that `route` stands for.
    pub(super) fn path(&self, route: &[Node]) -> Path {
        let index = |node: Node| NodeIndex::new(node as usize);
        let label = |pair: &[Node]| {
            let edge = self.graph.find_edge(index(pair[0]), index(pair[1])).expect("BUG: routes follow links");
            self.graph[edge].label
        };
        Path {
            hops: route.iter().map(|node| self.packed.id(*node)).collect(),
            labels: route[1..].windows(2).map(label).collect(),
            cost: self.packed.cost(route),
        }
    }

    /// Makes the edge `from -> to` what both ends say of it, and tells whether it is now different.
    fn agree(&mut self, from: PeerId, to: PeerId) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(&from), self.nodes.get(&to)) else { return false };
        let edge = self.graph.find_edge(a.index, b.index);
        match (a.told.get(&to), b.told.get(&from), edge) {
            (Some(here), Some(there), edge) => {
                let established = edge.map(|edge| self.graph[edge]);
                let link = agreed(here, there, established);
                self.graph.update_edge(a.index, b.index, link);
                self.packed.set(number(a.index), number(b.index), Some(link.cost as u32));
                established != Some(link)
            }
            (_, _, Some(edge)) => {
                self.packed.set(number(a.index), number(b.index), None);
                self.graph.remove_edge(edge).is_some()
            }
            (_, _, None) => false,
        }
    }
}

/// The number of a node for searching.
fn number(index: NodeIndex) -> Node {
    index.index() as Node
}

impl Measured {
    fn worse(here: &LinkBody, there: &LinkBody) -> Self {
        Self { rtt_us: here.rtt_us.max(there.rtt_us), loss_permille: here.loss_permille.max(there.loss_permille) }
    }
}

/// The link that `here` sends over and `there` receives on.
fn agreed(here: &LinkBody, there: &LinkBody, established: Option<Link>) -> Link {
    let Measured { rtt_us, loss_permille } = Measured::worse(here, there);
    let exact = cost::expected_us(rtt_us, loss_permille);
    let cost = match established {
        Some(link) => cost::settled(link.cost, exact),
        None => cost::rounded(exact),
    };
    Link { label: here.label, cost }
}

/// The links of `origin` that can stand in a path, one per neighbor.
fn usable(origin: PeerId, links: &[LinkBody]) -> BTreeMap<PeerId, LinkBody> {
    let mut named: BTreeMap<Label, BTreeSet<PeerId>> = BTreeMap::new();
    for link in links {
        named.entry(link.label).or_default().insert(link.neighbor);
    }
    let mut told: BTreeMap<PeerId, LinkBody> = BTreeMap::new();
    for link in links.iter().filter(|l| l.neighbor != origin && l.label != Label(0) && named[&l.label].len() == 1) {
        let best = told.entry(link.neighbor).or_insert(*link);
        if rank(link) < rank(best) {
            *best = *link;
        }
    }
    told
}

fn rank(link: &LinkBody) -> (u64, Label) {
    (cost::expected_us(link.rtt_us, link.loss_permille), link.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    fn link(neighbor: u8, label: u16, rtt_us: u32) -> LinkBody {
        LinkBody { neighbor: peer(neighbor), label: Label(label), rtt_us, loss_permille: 0 }
    }

    #[test]
    fn a_link_counts_only_when_both_ends_report_it() {
        let mut topology = Topology::default();
        assert!(topology.set_links(peer(1), &[link(2, 7, 1000)]), "a node appeared");
        assert_eq!(topology.link(peer(1), peer(2)), None);
        assert!(topology.set_links(peer(2), &[link(1, 9, 1000)]));
        assert_eq!(topology.link(peer(1), peer(2)).map(|l| l.label), Some(Label(7)));
        assert_eq!(topology.link(peer(2), peer(1)).map(|l| l.label), Some(Label(9)));
    }

    #[test]
    fn a_link_ends_when_either_end_withdraws_it() {
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, 1000)]);
        topology.set_links(peer(2), &[link(1, 9, 1000)]);
        assert!(topology.set_links(peer(2), &[]));
        assert_eq!((topology.link(peer(1), peer(2)), topology.link(peer(2), peer(1))), (None, None));
        assert!(topology.set_links(peer(2), &[link(1, 9, 1000)]));
        assert!(topology.link(peer(1), peer(2)).is_some());
    }

    #[test]
    fn a_removed_node_takes_its_links_along_and_comes_back_with_them() {
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, 1000)]);
        topology.set_links(peer(2), &[link(1, 9, 1000)]);
        assert!(topology.remove(peer(2)));
        assert!(!topology.remove(peer(2)), "it is gone");
        assert!(!topology.contains(peer(2)));
        assert!(topology.neighbors(peer(1)).is_empty());
        topology.set_links(peer(2), &[link(1, 9, 1000)]);
        assert_eq!(topology.neighbors(peer(1)), [peer(2)]);
    }

    #[test]
    fn saying_the_same_again_changes_nothing() {
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, 1000)]);
        topology.set_links(peer(2), &[link(1, 9, 1000)]);
        assert!(!topology.set_links(peer(2), &[link(1, 9, 1000)]));
        assert!(!topology.set_links(peer(1), &[link(2, 7, 1030)]), "jitter");
        assert!(topology.set_links(peer(1), &[link(2, 8, 1030)]), "another label");
        assert!(topology.set_links(peer(1), &[link(2, 8, 3000)]), "another cost");
        assert!(!topology.set_links(peer(1), &[link(2, 8, 3000), link(3, 5, 10)]), "one-sided");
    }

    #[test]
    fn jitter_across_the_border_of_two_steps_changes_nothing() {
        let (below, above) = (8190, 8220);
        let cost_of = |rtt_us| cost::rounded(cost::expected_us(rtt_us, 0));
        assert_ne!(cost_of(below), cost_of(above), "the border lies between");
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, below)]);
        topology.set_links(peer(2), &[link(1, 9, below)]);
        assert!(!topology.set_links(peer(1), &[link(2, 7, above)]));
        assert!(!topology.set_links(peer(1), &[link(2, 7, below)]));
    }

    #[test]
    fn the_worse_of_two_measurements_counts() {
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, 0)]);
        topology.set_links(peer(2), &[link(1, 9, 80_000)]);
        let expected = cost::rounded(cost::expected_us(80_000, 0));
        assert_eq!(topology.link(peer(1), peer(2)).map(|l| l.cost), Some(expected));
        assert_eq!(topology.link(peer(2), peer(1)).map(|l| l.cost), Some(expected));
    }

    #[test]
    fn links_that_cannot_stand_in_a_path_are_ignored() {
        let mut topology = Topology::default();
        for other in 2..=5 {
            topology.set_links(peer(other), &[link(1, 1, 1000)]);
        }
        let odd = [link(1, 1, 10), link(2, 0, 10), link(3, 4, 10), link(4, 4, 10), link(5, 6, 90), link(5, 7, 10)];
        topology.set_links(peer(1), &odd);
        assert_eq!(topology.neighbors(peer(1)), [peer(5)]);
        assert_eq!(topology.link(peer(1), peer(5)).map(|l| l.label), Some(Label(7)), "the cheapest of two");
    }

    #[test]
    fn labels_are_followed_from_node_to_node() {
        let mut topology = Topology::default();
        topology.set_links(peer(1), &[link(2, 7, 1000)]);
        topology.set_links(peer(2), &[link(1, 9, 1000), link(3, 4, 1000)]);
        topology.set_links(peer(3), &[link(2, 5, 1000)]);
        assert_eq!(topology.follow(peer(1), &[Label(7), Label(4)]), Some(peer(3)));
        assert_eq!(topology.follow(peer(1), &[]), Some(peer(1)));
        assert_eq!(topology.follow(peer(1), &[Label(7), Label(5)]), None);
    }
}
