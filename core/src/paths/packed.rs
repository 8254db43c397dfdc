//! The graph as the searches see it: small numbers in place of ids, and nothing of a link but where it leads and what it
//! costs.
//!
//! It is patched link by link rather than made anew. A node's number is arbitrary, but its links are in the order of
//! their other ends' ids and searches break ties by order of arrival, so equal graphs give equal answers whatever the
//! order in which their links became known.

use crate::PeerId;

/// The number of a node in a [`Packed`] graph.
pub(super) type Node = u32;

/// The nodes on a way, both ends included.
pub(super) type Route = Vec<Node>;

/// Stands for no node.
pub(super) const NOWHERE: Node = Node::MAX;

/// A link as seen from one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arc {
    /// The other end.
    pub(super) to: Node,
    /// What it costs, in microseconds.
    pub(super) cost: u32,
}

/// A graph for searching. Costs are the same in both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    ids: Vec<PeerId>,
    /// By node: its links, in the order of the other ends' ids.
    arcs: Vec<Vec<Arc>>,
}

impl Packed {
    /// Takes in a node without links under a number that no other node has.
    pub(super) fn add(&mut self, node: Node, id: PeerId) {
        let at = node as usize;
        if self.ids.len() <= at {
            self.ids.resize(at + 1, id);
            self.arcs.resize_with(at + 1, Vec::new);
        }
        debug_assert!(self.arcs[at].is_empty(), "BUG: a number is free again when its links are gone");
        self.ids[at] = id;
    }

    /// Makes the direction `from -> to` of a link cost this much, or be gone.
    pub(super) fn set(&mut self, from: Node, to: Node, cost: Option<u32>) {
        let ids = &self.ids;
        let row = &mut self.arcs[from as usize];
        match (row.binary_search_by_key(&ids[to as usize], |arc| ids[arc.to as usize]), cost) {
            (Ok(at), Some(cost)) => row[at].cost = cost,
            (Ok(at), None) => drop(row.remove(at)),
            (Err(at), Some(cost)) => row.insert(at, Arc { to, cost }),
            (Err(_), None) => {}
        }
    }

    /// More than every number in use.
    pub(super) fn len(&self) -> usize {
        self.arcs.len()
    }

    /// The links of a node, in the order of the other ends' ids.
    pub(super) fn arcs(&self, node: Node) -> &[Arc] {
        &self.arcs[node as usize]
    }

    /// Whose number this is.
    pub(super) fn id(&self, node: Node) -> PeerId {
        self.ids[node as usize]
    }

    /// What the link between two neighbors costs.
    pub(super) fn link_cost(&self, from: Node, to: Node) -> u32 {
        let arc = self.arcs(from).iter().find(|arc| arc.to == to);
        arc.expect("BUG: routes follow links").cost
    }

    /// The sum of the costs along `route`, in microseconds.
    pub(super) fn cost(&self, route: &[Node]) -> u64 {
        route.windows(2).map(|pair| u64::from(self.link_cost(pair[0], pair[1]))).sum()
    }
}
