//! One more route, as different as possible from those already chosen.
//!
//! When the graph has too few node-disjoint routes, a route that shares a little is still worth having. The search
//! minimizes what is shared, then cost, within the number of hops that a frame can carry (Bellman and Ford's rounds, one
//! per hop). Should that find a route already chosen, the best departure from the chosen ones is taken (Yen, "Finding
//! the k shortest loopless paths in a network", 1971).

use std::collections::{BTreeMap, BTreeSet};

use super::snapshot::{Route, Snapshot};
use super::weight::Weight;

/// The route from `ends.0` to `ends.1` over at most `links_max` links that shares least with `chosen`, of those the
/// cheapest, and is none of them; `None` if there is no other.
pub(super) fn next(snapshot: &Snapshot, ends: (usize, usize), links_max: usize, chosen: &[Route]) -> Option<Route> {
    let search = Search { snapshot, to: ends.1, links_max, reuse: Reuse::of(chosen) };
    let route = search.onward(&[ends.0], &BTreeSet::new())?;
    if !chosen.contains(&route) {
        return Some(route);
    }
    search.departure(chosen)
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    to: usize,
    links_max: usize,
    reuse: Reuse,
}

impl Search<'_> {
    /// The best route that leaves the chosen ones somewhere. Every other route shares its beginning with a chosen one
    /// up to some node, and goes on from there to a neighbor that no chosen route with this beginning goes to.
    fn departure(&self, chosen: &[Route]) -> Option<Route> {
        let mut onward: BTreeMap<&[usize], BTreeSet<usize>> = BTreeMap::new();
        for route in chosen {
            for at in 1..route.len() {
                onward.entry(&route[..at]).or_default().insert(route[at]);
            }
        }
        let routes = onward.iter().filter_map(|(root, taken)| self.onward(root, taken));
        routes.min_by_key(|route| (self.weight(route), route.len(), route.clone()))
    }

    /// The best route that begins with `root` and does not go on from it to any node of `taken`.
    ///
    /// No shortest route here passes a node twice, because leaving out the loop would be cheaper.
    fn onward(&self, root: &[usize], taken: &BTreeSet<usize>) -> Option<Route> {
        let start = *root.last()?;
        let mut best: Vec<Option<Weight>> = vec![None; self.snapshot.len()];
        let mut rounds = vec![BTreeMap::from([(start, Step { weight: Weight::default(), previous: start })])];
        while rounds.len() + root.len() - 1 <= self.links_max {
            let mut round = BTreeMap::new();
            for (&node, step) in rounds.last().into_iter().flatten().filter(|(node, _)| **node != self.to) {
                for (neighbor, link) in self.snapshot.links(node) {
                    let weight = step.weight + Weight::new(self.reuse.entering(node, *neighbor), link.cost as i64);
                    let barred = root.contains(neighbor) || (node == start && taken.contains(neighbor));
                    if !barred && best[*neighbor].is_none_or(|known| weight < known) {
                        best[*neighbor] = Some(weight);
                        round.insert(*neighbor, Step { weight, previous: node });
                    }
                }
            }
            if round.is_empty() {
                break;
            }
            rounds.push(round);
        }
        self.traced(root, &rounds)
    }

    /// The route to the destination, read backwards from the last round that improved it.
    fn traced(&self, root: &[usize], rounds: &[BTreeMap<usize, Step>]) -> Option<Route> {
        let last = rounds.iter().rposition(|round| round.contains_key(&self.to))?;
        let mut node = self.to;
        let mut backwards = Vec::with_capacity(last);
        for round in rounds[1..=last].iter().rev() {
            backwards.push(node);
            node = round[&node].previous;
        }
        Some(root.iter().copied().chain(backwards.into_iter().rev()).collect())
    }

    fn weight(&self, route: &[usize]) -> Weight {
        let shared = route.windows(2).map(|pair| self.reuse.entering(pair[0], pair[1])).sum();
        Weight::new(shared, self.snapshot.cost(route) as i64)
    }
}

/// The best way found to a node in one round.
struct Step {
    weight: Weight,
    /// The node before it, in the round before.
    previous: usize,
}

/// How often relays and links stand in the chosen routes.
struct Reuse {
    relays: BTreeMap<usize, i64>,
    /// By both ends, the lower number first: a broken link is broken both ways.
    links: BTreeMap<(usize, usize), i64>,
}

impl Reuse {
    fn of(chosen: &[Route]) -> Self {
        let mut reuse = Self { relays: BTreeMap::new(), links: BTreeMap::new() };
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
    fn entering(&self, node: usize, neighbor: usize) -> i64 {
        let link = self.links.get(&ordered(node, neighbor)).copied().unwrap_or(0);
        link + self.relays.get(&neighbor).copied().unwrap_or(0)
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
