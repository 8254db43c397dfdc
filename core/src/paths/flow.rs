//! Node-disjoint routes of least total weight, as a flow of least cost.
//!
//! Every relay is split into an entrance and an exit joined by an arc that carries one route, which is what makes routes
//! node-disjoint. Routes are added one at a time along the shortest way through what remains, which may take back part
//! of earlier routes (Suurballe, "Disjoint paths in a network", 1974; Bhandari, "Survivable Networks", 1999). Node
//! potentials keep the remaining weights from being negative, so that each route is one run of Dijkstra's algorithm:
//! `k` routes over `E` links and `V` nodes take time in O(k E log V).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Link;
use super::snapshot::{Route, Snapshot};
use super::weight::Weight;

/// For every number of routes from one up to `k`, as far as the graph allows: that many node-disjoint routes, their
/// total weight the least possible.
pub(super) fn disjoint_sets(
    snapshot: &Snapshot,
    ends: (usize, usize),
    k: usize,
    weigh: fn(&Link) -> Weight,
) -> Vec<Vec<Route>> {
    let mut network = Network::new(snapshot, ends, weigh);
    let mut sets = Vec::new();
    while sets.len() < k && network.augment() {
        sets.push(network.routes());
    }
    sets
}

/// What remains to be used of a graph, and what is used of it.
struct Network {
    from: usize,
    to: usize,
    /// Arcs come in pairs: an even one as the graph has it, and after it the one that takes it back.
    arcs: Vec<Arc>,
    /// By vertex: the arcs that leave it.
    leaving: Vec<Vec<usize>>,
    /// By vertex: what makes the weights of open arcs non-negative.
    potentials: Vec<Weight>,
}

struct Arc {
    head: usize,
    weight: Weight,
    /// Whether a route can still be sent over it.
    open: bool,
}

impl Network {
    fn new(snapshot: &Snapshot, (from, to): (usize, usize), weigh: fn(&Link) -> Weight) -> Self {
        let vertices = 2 * snapshot.len();
        let mut network = Self {
            from,
            to,
            arcs: Vec::new(),
            leaving: vec![Vec::new(); vertices],
            potentials: vec![Weight::default(); vertices],
        };
        for node in (0..snapshot.len()).filter(|node| *node != to) {
            if node != from {
                network.join(entrance(node), exit(node), Weight::default());
            }
            for (neighbor, link) in snapshot.links(node).iter().filter(|(neighbor, _)| *neighbor != from) {
                network.join(exit(node), entrance(*neighbor), weigh(link));
            }
        }
        network
    }

    fn join(&mut self, tail: usize, head: usize, weight: Weight) {
        self.leaving[tail].push(self.arcs.len());
        self.arcs.push(Arc { head, weight, open: true });
        self.leaving[head].push(self.arcs.len());
        self.arcs.push(Arc { head: tail, weight: weight.negated(), open: false });
    }

    /// Adds one more route; `false` if there is no room for it.
    fn augment(&mut self) -> bool {
        let (source, sink) = (exit(self.from), entrance(self.to));
        let Search { distances, arrivals } = self.search(source, sink);
        let Some(reached) = distances[sink] else { return false };
        for (potential, distance) in self.potentials.iter_mut().zip(&distances) {
            *potential = *potential + distance.unwrap_or(reached).min(reached);
        }
        let mut vertex = sink;
        while vertex != source {
            let arc = arrivals[vertex].expect("BUG: a reached vertex was reached by an arc");
            self.arcs[arc].open = false;
            self.arcs[arc ^ 1].open = true;
            vertex = self.arcs[arc ^ 1].head;
        }
        true
    }

    /// Dijkstra's algorithm over the open arcs, until the sink is settled.
    fn search(&self, source: usize, sink: usize) -> Search {
        let mut distances: Vec<Option<Weight>> = vec![None; self.leaving.len()];
        let mut arrivals = vec![None; self.leaving.len()];
        let mut queue = BinaryHeap::from([Reverse((Weight::default(), source))]);
        distances[source] = Some(Weight::default());
        while let Some(Reverse((distance, vertex))) = queue.pop() {
            if vertex == sink {
                break;
            }
            if distances[vertex].is_some_and(|best| best < distance) {
                continue;
            }
            for &index in self.leaving[vertex].iter().filter(|index| self.arcs[**index].open) {
                let arc = &self.arcs[index];
                let reduced = arc.weight + self.potentials[vertex] - self.potentials[arc.head];
                debug_assert!(reduced >= Weight::default(), "BUG: potentials keep open arcs non-negative");
                let onward = distance + reduced;
                if distances[arc.head].is_none_or(|best| onward < best) {
                    distances[arc.head] = Some(onward);
                    arrivals[arc.head] = Some(index);
                    queue.push(Reverse((onward, arc.head)));
                }
            }
        }
        Search { distances, arrivals }
    }

    /// The routes in use, in the order of their first hops.
    fn routes(&self) -> Vec<Route> {
        self.used(exit(self.from)).map(|first| self.route(first)).collect()
    }

    fn route(&self, first: usize) -> Route {
        let mut route = vec![self.from, first];
        let mut node = first;
        while node != self.to {
            node = self.used(exit(node)).next().expect("BUG: what enters a relay leaves it");
            route.push(node);
        }
        route
    }

    /// The nodes to which routes go on from the exit `vertex`.
    fn used(&self, vertex: usize) -> impl Iterator<Item = usize> + '_ {
        let forward = self.leaving[vertex].iter().filter(|index| *index % 2 == 0);
        forward.map(|index| &self.arcs[*index]).filter(|arc| !arc.open).map(|arc| arc.head / 2)
    }
}

struct Search {
    /// By vertex: the least distance in reduced weights; final only below the sink's.
    distances: Vec<Option<Weight>>,
    /// By vertex: the arc by which it was reached.
    arrivals: Vec<Option<usize>>,
}

const fn entrance(node: usize) -> usize {
    2 * node
}

const fn exit(node: usize) -> usize {
    2 * node + 1
}
