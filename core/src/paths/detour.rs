//! One more route, as different as possible from those already chosen.
//!
//! When the graph has too few node-disjoint routes, a route that shares a little is still worth having. The search
//! minimizes what is shared, then cost, within the number of links that a frame can carry: Dijkstra's algorithm over
//! pairs of node and number of links (Joksch, "The shortest route problem with constraints", 1966), guided by how far
//! nodes are from the root, and leaving out those that are too many links away. Should it find a route already chosen,
//! the best departure from the chosen ones is taken (Yen, "Finding the k shortest loopless paths in a network", 1971).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::packed::{Node, Packed, Route};
use super::tree::{FAR, Tree};
use super::weight::links;

/// What a search for one more route goes by.
pub(super) struct Detour<'a> {
    /// Where.
    pub(super) graph: &'a Packed,
    /// How far nodes are from where routes begin, by [`Measure::COST`](super::weight::Measure::COST).
    pub(super) near: &'a Tree,
    /// The same by [`Measure::LINKS`](super::weight::Measure::LINKS).
    pub(super) few: &'a Tree,
    /// Where routes begin and end.
    pub(super) ends: (Node, Node),
    /// The most links on a route.
    pub(super) links_max: usize,
}

impl Detour<'_> {
    /// The route that shares least with `chosen`, of those the cheapest, and is none of them; `None` if there is no
    /// other. `scanned` gets every node whose links made a difference.
    pub(super) fn next(&self, chosen: &[Route], scanned: &mut impl FnMut(Node)) -> Option<Route> {
        let reuse = Reuse::of(chosen);
        let route = self.onward(&reuse, &[self.ends.0], &BTreeSet::new(), scanned)?;
        if !chosen.contains(&route) {
            return Some(route);
        }
        self.departure(&reuse, chosen, scanned)
    }

    /// The cheapest route that is node-disjoint with `others`.
    pub(super) fn beside(&self, others: &[&Route], scanned: &mut impl FnMut(Node)) -> Option<Route> {
        let barred: Vec<Node> = others.iter().flat_map(|other| &other[1..other.len() - 1]).copied().collect();
        let taken = others.iter().filter(|other| other.len() == 2).map(|other| other[1]).collect();
        let (reuse, root) = (&Reuse::default(), &[self.ends.0]);
        Search { detour: self, reuse, root, barred: &barred, taken: &taken }.run(scanned)
    }

    /// The best route that leaves the chosen ones somewhere. Every other route shares its beginning with a chosen one
    /// up to some node, and goes on from there to a neighbor that no chosen route with this beginning goes to.
    fn departure(&self, reuse: &Reuse, chosen: &[Route], scanned: &mut impl FnMut(Node)) -> Option<Route> {
        let mut onward: BTreeMap<&[Node], BTreeSet<Node>> = BTreeMap::new();
        for route in chosen {
            for at in 1..route.len() {
                onward.entry(&route[..at]).or_default().insert(route[at]);
            }
        }
        let routes = onward.iter().filter_map(|(root, taken)| self.onward(reuse, root, taken, scanned));
        routes.min_by_key(|route| {
            let ids: Vec<_> = route.iter().map(|node| self.graph.id(*node)).collect();
            (reuse.shared(route), self.graph.cost(route), route.len(), ids)
        })
    }

    /// The best route that begins with `root` and does not go on from it to any node of `taken`.
    fn onward(
        &self,
        reuse: &Reuse,
        root: &[Node],
        taken: &BTreeSet<Node>,
        scanned: &mut impl FnMut(Node),
    ) -> Option<Route> {
        Search { detour: self, reuse, root, barred: &[], taken }.run(scanned)
    }
}

struct Search<'a> {
    detour: &'a Detour<'a>,
    reuse: &'a Reuse,
    /// How the route begins.
    root: &'a [Node],
    /// Where it must not go.
    barred: &'a [Node],
    /// Where it must not go right after its beginning.
    taken: &'a BTreeSet<Node>,
}

/// A way from the destination to a node.
struct Way {
    node: Node,
    links: usize,
    shared: u64,
    weight: u64,
    /// The way that it goes on from.
    previous: usize,
}

impl Search<'_> {
    /// Searches from the destination to the last node of the beginning.
    ///
    /// No best way passes a node twice, because leaving out the loop would be cheaper and shorter.
    fn run(&self, scanned: &mut impl FnMut(Node)) -> Option<Route> {
        let Detour { graph, near, ends: (_, to), .. } = *self.detour;
        let goal = *self.root.last()?;
        // Ways are taken up in the order of their weights: of two to one node, a later one must have fewer links.
        let mut fewest = vec![usize::MAX; graph.len()];
        let mut ways = vec![Way { node: to, links: 0, shared: 0, weight: 0, previous: 0 }];
        let mut queue = BinaryHeap::from([Reverse((0, 0, 0))]);
        scanned(to);
        while let Some(Reverse((_, _, at))) = queue.pop() {
            let Way { node, links, shared, weight, .. } = ways[at];
            if links >= fewest[node as usize] {
                continue;
            }
            fewest[node as usize] = links;
            if node == goal {
                return Some(self.traced(&ways, at));
            }
            scanned(node);
            for arc in graph.arcs(node) {
                if links + 1 >= fewest[arc.to as usize] || !self.may_go(node, arc.to, links + 1) {
                    continue;
                }
                let shared = shared + self.reuse.entering(arc.to, node);
                let weight = weight + near.measure().weigh(arc.cost);
                queue.push(Reverse((shared, weight + near.distance(arc.to), ways.len())));
                ways.push(Way { node: arc.to, links: links + 1, shared, weight, previous: at });
            }
        }
        None
    }

    /// Whether a way of so many links may lead from `node` to `next`, and still reach the beginning.
    fn may_go(&self, node: Node, next: Node, links_so_far: usize) -> bool {
        let (goal, roots) = (self.root[self.root.len() - 1], self.root.len() - 1);
        if next == goal {
            return links_so_far + roots <= self.detour.links_max && !self.taken.contains(&node);
        }
        let remaining = match self.detour.few.distance(next) {
            FAR => return false,
            weight => links(weight).saturating_sub(roots),
        };
        links_so_far + remaining + roots <= self.detour.links_max
            && !self.root.contains(&next)
            && !self.barred.contains(&next)
    }

    fn traced(&self, ways: &[Way], mut at: usize) -> Route {
        let mut route = self.root.to_vec();
        while at != 0 {
            at = ways[at].previous;
            route.push(ways[at].node);
        }
        route
    }
}

/// How often relays and links stand in the chosen routes.
#[derive(Default)]
struct Reuse {
    relays: BTreeMap<Node, u64>,
    /// By both ends, the lower number first: a broken link is broken both ways.
    links: BTreeMap<(Node, Node), u64>,
}

impl Reuse {
    fn of(chosen: &[Route]) -> Self {
        let mut reuse = Self::default();
        for route in chosen {
            for relay in &route[1..route.len() - 1] {
                *reuse.relays.entry(*relay).or_default() += 1;
            }
            for pair in route.windows(2) {
                *reuse.links.entry(ordered(pair[0], pair[1])).or_default() += 1;
            }
        }
        reuse
    }

    /// What is shared by going from `node` to `neighbor`: the link, and the neighbor as a relay.
    fn entering(&self, node: Node, neighbor: Node) -> u64 {
        let link = self.links.get(&ordered(node, neighbor)).copied().unwrap_or(0);
        link + self.relays.get(&neighbor).copied().unwrap_or(0)
    }

    fn shared(&self, route: &[Node]) -> u64 {
        route.windows(2).map(|pair| self.entering(pair[0], pair[1])).sum()
    }
}

fn ordered(a: Node, b: Node) -> (Node, Node) {
    (a.min(b), a.max(b))
}
