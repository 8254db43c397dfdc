//! The topology as the searches see it: nodes numbered in the order of their ids, links in the order of those numbers.
//!
//! The numbering forgets in which order the links became known, so equal topologies are searched in equal steps.

use super::{Link, Path};
use crate::PeerId;

/// The numbers of the nodes on a way, both ends included.
pub(super) type Route = Vec<usize>;

/// A numbered copy of a topology's graph.
pub(super) struct Snapshot {
    /// Ascending: a node's number is its position.
    ids: Vec<PeerId>,
    /// By node: the numbers of its neighbors, ascending, and the links to them.
    links: Vec<Vec<(usize, Link)>>,
}

impl Snapshot {
    /// A snapshot of nodes in ascending order, and for each of them its links to others by number, ascending.
    pub(super) fn new(ids: Vec<PeerId>, links: Vec<Vec<(usize, Link)>>) -> Self {
        debug_assert!(ids.is_sorted() && links.iter().all(|l| l.is_sorted_by_key(|(to, _)| *to)));
        Self { ids, links }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of `peer`; `None` if the topology does not hold it.
    pub(super) fn number(&self, peer: PeerId) -> Option<usize> {
        self.ids.binary_search(&peer).ok()
    }

    /// The links of a node, by the number of the neighbor, ascending.
    pub(super) fn links(&self, node: usize) -> &[(usize, Link)] {
        &self.links[node]
    }

    /// The sum of the costs along `route`, in microseconds.
    pub(super) fn cost(&self, route: &[usize]) -> u64 {
        route.windows(2).map(|pair| self.link(pair[0], pair[1]).cost).sum()
    }

    /// The path that `route` stands for.
    pub(super) fn path(&self, route: &[usize]) -> Path {
        Path {
            hops: route.iter().map(|node| self.ids[*node]).collect(),
            labels: route[1..].windows(2).map(|pair| self.link(pair[0], pair[1]).label).collect(),
            cost: self.cost(route),
        }
    }

    fn link(&self, from: usize, to: usize) -> Link {
        let links = &self.links[from];
        let at = links.binary_search_by_key(&to, |(node, _)| *node).expect("BUG: routes follow links");
        links[at].1
    }
}
