//! Node-disjoint routes of least total weight, as a flow of least cost.
//!
//! Every relay is split into an entrance and an exit joined by an arc that carries one route, which is what makes routes
//! node-disjoint. Routes are added one at a time along the shortest way through what remains, which may take back part
//! of earlier routes (Suurballe, "Disjoint paths in a network", 1974; Bhandari, "Survivable Networks", 1999).
//!
//! The search runs from the destination towards the root of a [`Tree`], whose distances are what remains to go: it is
//! the A* of Hart, Nilsson and Raphael (1968) with a perfect estimate, and looks only at nodes on ways that are no longer
//! than the answer. Each answer makes the estimates of the nodes it looked at perfect again for what then remains
//! (Johnson's potentials), so the next search is as well guided.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::packed::{NOWHERE, Node, Packed, Route};
use super::tree::{FAR, Tree};

/// For every number of routes from one up to `k`, as far as the graph allows: that many node-disjoint routes from the
/// tree's root to another node, their total weight the least possible. `scanned` gets every node whose links made a
/// difference.
pub(super) fn disjoint_sets(
    graph: &Packed,
    tree: &Tree,
    (root, to): (Node, Node),
    k: usize,
    mut scanned: impl FnMut(Node),
) -> Vec<Vec<Route>> {
    scanned(to);
    if tree.distance(to) == FAR {
        return Vec::new();
    }
    let mut flow = Flow::new(graph, tree, root, to);
    let mut sets = Vec::new();
    while sets.len() < k && flow.augment(&mut scanned) {
        sets.push(flow.routes());
    }
    sets
}

/// A vertex of the split graph. A relay that no route uses needs no splitting: its entrance stands for both.
type Vertex = u32;

struct Flow<'a> {
    graph: &'a Packed,
    tree: &'a Tree,
    root: Node,
    /// Where routes end, and searches begin.
    to: Node,
    /// The last nodes of the routes before the destination.
    lasts: Vec<Node>,
    /// By relay on a route: the node before it as searches go (nearer to the destination), and the one after it.
    used: Vec<(Node, Node)>,
    /// By vertex: how much more remains to go than the tree says.
    lifts: Vec<u64>,
    reached: Vec<Reached>,
    /// Which search is under way: what an earlier one reached does not count.
    round: u32,
    /// How often a way to a vertex was found or bettered.
    arrivals: u32,
}

/// The best way found to a vertex.
#[derive(Clone, Copy, Default)]
struct Reached {
    round: u32,
    from: Vertex,
    /// The detour so far: by how much the way is longer than what the estimates promised.
    detour: u64,
}

/// Vertices to go on from: least detour first, then the nearest to the root, then the first to have been reached.
type Queue = BinaryHeap<Reverse<(u64, u64, u32, Vertex)>>;

impl<'a> Flow<'a> {
    fn new(graph: &'a Packed, tree: &'a Tree, root: Node, to: Node) -> Self {
        Self {
            graph,
            tree,
            root,
            to,
            lasts: Vec::new(),
            used: vec![(NOWHERE, NOWHERE); graph.len()],
            lifts: vec![0; 2 * graph.len()],
            reached: vec![Reached::default(); 2 * graph.len()],
            round: 0,
            arrivals: 0,
        }
    }

    /// Adds one more route; `false` if there is no room for it.
    fn augment(&mut self, scanned: &mut impl FnMut(Node)) -> bool {
        self.round += 1;
        let Some((detour, settled)) = self.search(scanned) else { return false };
        for vertex in settled {
            self.lifts[vertex as usize] += detour - self.reached[vertex as usize].detour;
            if self.is_whole(vertex) {
                let beside = exit(node(vertex)) as usize;
                self.lifts[beside] = self.lifts[beside].max(self.lifts[vertex as usize]);
            }
        }
        self.send();
        true
    }

    /// The shortest way through what remains: its detour, and the vertices from which it was looked for.
    fn search(&mut self, scanned: &mut impl FnMut(Node)) -> Option<(u64, Vec<Vertex>)> {
        let (start, goal) = (exit(self.to), entrance(self.root));
        let mut queue = Queue::from([Reverse((0, 0, 0, start))]);
        self.reached[start as usize] = Reached { round: self.round, from: start, detour: 0 };
        let mut settled = Vec::new();
        while let Some(Reverse((detour, _, _, vertex))) = queue.pop() {
            if vertex == goal {
                return Some((detour, settled));
            }
            if detour > self.reached[vertex as usize].detour {
                continue;
            }
            settled.push(vertex);
            scanned(node(vertex));
            if vertex == entrance(node(vertex)) && !self.is_whole(vertex) {
                self.step_back(vertex, detour, &mut queue);
            } else {
                self.step_on(vertex, detour, &mut queue);
            }
        }
        None
    }

    /// From the entrance of a relay on a route, the only way is to take that route back.
    fn step_back(&mut self, vertex: Vertex, detour: u64, queue: &mut Queue) {
        let (before, _) = self.used[node(vertex) as usize];
        if before != self.to {
            let saved = self.tree.measure().weigh(self.graph.link_cost(before, node(vertex)));
            self.reach(
                exit(before),
                vertex,
                (detour + self.remains(exit(before))) - saved - self.remains(vertex),
                queue,
            );
        }
    }

    /// From an exit, ways lead over every link that no route uses in this direction; and through the relay, if its
    /// route is taken back.
    fn step_on(&mut self, vertex: Vertex, detour: u64, queue: &mut Queue) {
        let (graph, here) = (self.graph, node(vertex));
        let (_, after) = self.used[here as usize];
        if after != NOWHERE {
            self.reach(entrance(here), vertex, detour + self.remains(entrance(here)) - self.remains(vertex), queue);
        }
        let so_far = detour.wrapping_sub(self.remains(vertex));
        for arc in graph.arcs(here) {
            let taken = arc.to == after || arc.to == self.to || (here == self.to && self.lasts.contains(&arc.to));
            if !taken {
                let next = entrance(arc.to);
                let onward = so_far.wrapping_add(self.tree.measure().weigh(arc.cost)).wrapping_add(self.remains(next));
                debug_assert!(onward >= detour, "BUG: an estimate promised less than there is");
                self.reach(next, vertex, onward, queue);
            }
        }
    }

    fn reach(&mut self, vertex: Vertex, from: Vertex, detour: u64, queue: &mut Queue) {
        let known = self.reached[vertex as usize];
        if known.round != self.round || detour < known.detour {
            self.reached[vertex as usize] = Reached { round: self.round, from, detour };
            self.arrivals = self.arrivals.wrapping_add(1);
            queue.push(Reverse((detour, self.remains(vertex), self.arrivals, vertex)));
        }
    }

    /// Puts the way just found into use, and out of use what it takes back.
    fn send(&mut self) {
        let mut on = Vec::new();
        let mut vertex = entrance(self.root);
        while vertex != exit(self.to) {
            let from = self.reached[vertex as usize].from;
            if vertex == entrance(node(vertex)) && node(from) != node(vertex) {
                on.push((node(from), node(vertex)));
            } else if node(from) != node(vertex) {
                self.used[node(from) as usize].0 = NOWHERE;
                self.used[node(vertex) as usize].1 = NOWHERE;
            }
            vertex = from;
        }
        for (from, to) in on {
            match from == self.to {
                true => self.lasts.push(to),
                false => self.used[from as usize].1 = to,
            }
            if to != self.root {
                self.used[to as usize].0 = from;
            }
        }
    }

    /// The routes in use.
    fn routes(&self) -> Vec<Route> {
        self.lasts.iter().map(|last| self.route(*last)).collect()
    }

    fn route(&self, last: Node) -> Route {
        let mut route = vec![self.to, last];
        let mut node = last;
        while node != self.root {
            node = self.used[node as usize].1;
            route.push(node);
        }
        route.reverse();
        route
    }

    /// How far it is from a vertex to the root through what remains, at least.
    fn remains(&self, vertex: Vertex) -> u64 {
        self.tree.distance(node(vertex)) + self.lifts[vertex as usize]
    }

    /// Whether a vertex is the entrance of a node that no route uses, and stands for its exit too.
    fn is_whole(&self, vertex: Vertex) -> bool {
        vertex == entrance(node(vertex)) && self.used[node(vertex) as usize].1 == NOWHERE
    }
}

const fn entrance(node: Node) -> Vertex {
    2 * node
}

const fn exit(node: Node) -> Vertex {
    2 * node + 1
}

const fn node(vertex: Vertex) -> Node {
    vertex / 2
}
