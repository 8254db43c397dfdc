//! The best few paths between two nodes, sharing as little as the graph allows.

use std::cmp::Reverse;

use super::detour::Detour;
use super::flow;
use super::packed::{Node, Packed, Route};
use super::tree::Trees;
use super::{Path, Topology};
use crate::PeerId;
use crate::limits::{PATH_LABELS_MAX, PATHS_MAX};

/// Up to `k` different paths (at most [`PATHS_MAX`]) from one node to another, ordered by cost, then number of hops,
/// then ids.
///
/// As many of them as possible are node-disjoint, and the total cost of those is the least possible. If there are fewer
/// than `k`, paths follow that share as few relays and links as possible, never the same path twice. The answer is empty
/// if there is no path, if an end is unknown, or if both ends are the same.
///
/// No path has more relays than [`PATH_LABELS_MAX`]. Where that limit bites, "as many as possible" is only an attempt:
/// finding the most disjoint paths under a length limit is NP-hard (Itai, Perl and Shiloach, "The complexity of finding
/// maximum disjoint paths with length constraints", 1982). Then the better is taken of what least cost and fewest hops
/// find, each of its paths is made as cheap as the others allow, and gaps are filled as above. If there is any path of legal length, the answer is not empty.
pub fn disjoint_paths(topology: &Topology, from: PeerId, to: PeerId, k: usize) -> Vec<Path> {
    match (topology.number(from), topology.number(to)) {
        (Some(from), Some(to)) if from != to => answer(topology, &Trees::grown(topology.packed(), from), to, k, |_| {}),
        _ => Vec::new(),
    }
}

/// What [`disjoint_paths`] answers, from the root of `trees`. `scanned` gets every node whose links, or whose neighbors'
/// distances from the root, made a difference.
pub(super) fn answer(
    topology: &Topology,
    trees: &Trees,
    to: Node,
    k: usize,
    mut scanned: impl FnMut(Node),
) -> Vec<Path> {
    let question = Question { graph: topology.packed(), trees, to, k: k.min(PATHS_MAX) };
    let routes = question.routes(&mut scanned);
    let mut paths: Vec<Path> = routes.iter().map(|route| topology.path(route)).collect();
    paths.sort_by(|a, b| (a.cost, a.hops.len(), &a.hops).cmp(&(b.cost, b.hops.len(), &b.hops)));
    paths
}

struct Question<'a> {
    graph: &'a Packed,
    trees: &'a Trees,
    to: Node,
    k: usize,
}

impl Question<'_> {
    fn routes(&self, scanned: &mut impl FnMut(Node)) -> Vec<Route> {
        let mut routes = self.disjoint_routes(scanned);
        while routes.len() < self.k {
            let Some(route) = self.detour().next(&routes, scanned) else { break };
            routes.push(route);
        }
        routes
    }

    /// The largest set of node-disjoint routes of legal length that the searches find; of equally large ones the
    /// cheapest.
    fn disjoint_routes(&self, scanned: &mut impl FnMut(Node)) -> Vec<Route> {
        let ends = (self.trees.root(), self.to);
        let mut sets = flow::disjoint_sets(self.graph, self.trees.near(), ends, self.k, &mut *scanned);
        if sets.iter().flatten().all(is_legal) {
            return sets.pop().unwrap_or_default();
        }
        sets.extend(flow::disjoint_sets(self.graph, self.trees.few(self.graph), ends, self.k, &mut *scanned));
        for set in &mut sets {
            set.retain(is_legal);
        }
        let total = |set: &[Route]| set.iter().map(|route| self.graph.cost(route)).sum::<u64>();
        let best = sets.into_iter().min_by_key(|set| (Reverse(set.len()), total(set))).unwrap_or_default();
        self.cheapened(best, scanned)
    }

    /// The same number of disjoint routes, each as cheap as the others allow.
    fn cheapened(&self, mut routes: Vec<Route>, scanned: &mut impl FnMut(Node)) -> Vec<Route> {
        for at in 0..routes.len() {
            let others: Vec<&Route> = routes.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, r)| r).collect();
            if let Some(cheaper) = self.detour().beside(&others, scanned) {
                routes[at] = cheaper;
            }
        }
        routes
    }

    fn detour(&self) -> Detour<'_> {
        let (graph, trees) = (self.graph, self.trees);
        let ends = (trees.root(), self.to);
        Detour { graph, near: trees.near(), few: trees.few(graph), ends, links_max: LINKS_MAX }
    }
}

fn is_legal(route: &Route) -> bool {
    route.len() <= LINKS_MAX + 1
}

/// Most links on a path: one to each relay, and one to the destination.
const LINKS_MAX: usize = PATH_LABELS_MAX + 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::Label;
    use crate::record::LinkBody;

    /// A link between two nodes and its round trip in microseconds.
    type Line = (u8, u8, u32);

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    /// Labels are unlike each other, so that following a wrong one is noticed.
    fn told(a: u8, lines: &[Line]) -> Vec<LinkBody> {
        let ends = lines.iter().flat_map(|(a, b, rtt)| [(*a, *b, *rtt), (*b, *a, *rtt)]);
        let mine = ends.filter(|(from, _, _)| *from == a);
        mine.map(|(_, b, rtt_us)| LinkBody {
            neighbor: peer(b),
            label: Label(u16::from(a) * 256 + u16::from(b) + 1),
            rtt_us,
            loss_permille: 0,
        })
        .collect()
    }

    fn mesh(lines: &[Line]) -> Topology {
        mesh_in_order(lines.iter().flat_map(|(a, b, _)| [*a, *b]).collect::<BTreeSet<_>>(), lines)
    }

    fn mesh_in_order(nodes: impl IntoIterator<Item = u8>, lines: &[Line]) -> Topology {
        let mut topology = Topology::default();
        for node in nodes {
            topology.set_links(peer(node), &told(node, lines));
        }
        topology
    }

    fn hops(path: &Path) -> Vec<u8> {
        path.hops.iter().map(|hop| hop.to_bytes()[0]).collect()
    }

    fn found(topology: &Topology, from: u8, to: u8, k: usize) -> Vec<Vec<u8>> {
        disjoint_paths(topology, peer(from), peer(to), k).iter().map(hops).collect()
    }

    fn are_disjoint(a: &Path, b: &Path) -> bool {
        a != b && a.relays().iter().all(|relay| !b.relays().contains(relay))
    }

    /// The judge: every loop-free path, found by trying all.
    fn all_paths(topology: &Topology, from: PeerId, to: PeerId) -> Vec<Path> {
        fn walk(topology: &Topology, to: PeerId, so_far: &Path, all: &mut Vec<Path>) {
            let here = so_far.hops[so_far.hops.len() - 1];
            if here == to {
                all.push(so_far.clone());
                return;
            }
            for neighbor in topology.neighbors(here).into_iter().filter(|n| !so_far.hops.contains(n)) {
                let link = topology.link(here, neighbor).unwrap();
                let mut path = so_far.clone();
                path.labels.extend((so_far.hops.len() > 1).then_some(link.label));
                path.hops.push(neighbor);
                path.cost += link.cost;
                walk(topology, to, &path, all);
            }
        }
        let mut all = Vec::new();
        walk(topology, to, &Path { hops: vec![from], labels: Vec::new(), cost: 0 }, &mut all);
        all
    }

    /// The judge: the least total cost of `size` node-disjoint paths out of `paths`; `None` if there are not so many.
    fn least_total(paths: &[Path], size: usize) -> Option<u64> {
        if size == 0 {
            return Some(0);
        }
        let with = |at: usize| {
            let rest: Vec<Path> = paths[at + 1..].iter().filter(|p| are_disjoint(p, &paths[at])).cloned().collect();
            least_total(&rest, size - 1).map(|total| total + paths[at].cost)
        };
        (0..paths.len()).filter_map(with).min()
    }

    /// The judge: how many relays and links `path` shares with `chosen`, and its cost.
    fn shared(path: &Path, chosen: &[Path]) -> (usize, u64) {
        let links = |p: &Path| -> BTreeSet<(PeerId, PeerId)> {
            p.hops.windows(2).map(|l| (l[0].min(l[1]), l[0].max(l[1]))).collect()
        };
        let relays = |p: &Path| -> BTreeSet<PeerId> { p.relays().iter().copied().collect() };
        let with = |other: &Path| {
            links(path).intersection(&links(other)).count() + relays(path).intersection(&relays(other)).count()
        };
        (chosen.iter().map(with).sum(), path.cost)
    }

    fn lines(nodes: u8) -> impl Strategy<Value = Vec<Line>> {
        let pairs: Vec<(u8, u8)> = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))).collect();
        // Few distinct round trips make ties, many make every choice matter.
        let rtt = prop_oneof![Just(1000u32), Just(2000), 0u32..200_000];
        prop::collection::vec(prop::option::weighted(0.6, rtt), pairs.len()).prop_map(move |rtts| {
            pairs.iter().zip(rtts).filter_map(|((a, b), rtt)| rtt.map(|rtt| (*a, *b, rtt))).collect()
        })
    }

    fn ring(nodes: u8) -> Vec<Line> {
        (0..nodes).map(|n| (n, (n + 1) % nodes, 1000)).collect()
    }

    #[test]
    fn the_trap_for_greedy_searches_is_avoided() {
        // The cheapest path is 0-1-2-3; whoever takes it finds no second one.
        let topology = mesh(&[(0, 1, 1000), (1, 2, 1000), (2, 3, 1000), (0, 2, 9000), (1, 3, 9000)]);
        assert_eq!(found(&topology, 0, 3, 1), [[0, 1, 2, 3]]);
        assert_eq!(found(&topology, 0, 3, 2), [[0, 1, 3], [0, 2, 3]]);
    }

    #[test]
    fn a_single_neighbor_is_one_path_and_no_more() {
        assert_eq!(found(&mesh(&[(0, 1, 1000)]), 0, 1, 3), [[0, 1]]);
    }

    #[test]
    fn nowhere_to_go_is_no_path() {
        let topology = mesh(&[(0, 1, 1000), (2, 3, 1000)]);
        assert!(found(&topology, 0, 3, 3).is_empty(), "no connection");
        assert!(found(&topology, 0, 9, 3).is_empty(), "unknown destination");
        assert!(found(&topology, 9, 0, 3).is_empty(), "unknown sender");
        assert!(found(&topology, 0, 0, 3).is_empty(), "the sender itself");
        assert!(found(&topology, 0, 1, 0).is_empty(), "no path wanted");
    }

    #[test]
    fn a_bottleneck_is_shared_and_nothing_else() {
        // Two ways to the bottleneck 3, two ways on: the second path shares only it.
        let topology = mesh(&[
            (0, 1, 1000),
            (0, 2, 2000),
            (1, 3, 1000),
            (2, 3, 1000),
            (3, 4, 1000),
            (3, 5, 2000),
            (4, 6, 1000),
            (5, 6, 1000),
        ]);
        assert_eq!(found(&topology, 0, 6, 2), [[0, 1, 3, 4, 6], [0, 2, 3, 5, 6]]);
    }

    #[test]
    fn a_departure_is_found_when_everything_else_is_taken() {
        // To take 0-1-3 once more would share less than the two crossings do, but it would be no further path.
        let topology = mesh(&[(0, 1, 1000), (0, 2, 2000), (1, 3, 1000), (2, 3, 2000), (1, 2, 1000)]);
        assert_eq!(found(&topology, 0, 3, 8), [vec![0, 1, 3], vec![0, 2, 3], vec![0, 1, 2, 3], vec![0, 2, 1, 3]]);
    }

    #[test]
    fn no_more_than_the_limit_is_ever_given() {
        let all: Vec<Line> = (0..12).flat_map(|a| (a + 1..12).map(move |b| (a, b, 1000))).collect();
        assert_eq!(found(&mesh(&all), 0, 11, usize::MAX).len(), PATHS_MAX);
    }

    #[test]
    fn a_path_has_as_many_relays_as_a_frame_has_labels() {
        let topology = mesh(&ring(40));
        let longest = LINKS_MAX as u8;
        assert_eq!(found(&topology, 0, longest, 2), [(0..=longest).collect::<Vec<_>>()]);
        assert!(found(&topology, 0, longest + 1, 2).is_empty());
    }

    #[test]
    fn a_cheap_path_that_is_too_long_gives_way_to_a_dear_one() {
        let mut lines = ring(12);
        lines[11].2 = 1_000_000;
        assert_eq!(found(&mesh(&lines), 0, 11, 2), [[0, 11]]);
    }

    /// Cheap links from `from` over `relays` further nodes, numbered from 10, to `to`.
    fn chain(from: u8, relays: u8, to: u8) -> Vec<Line> {
        let last = 9 + relays;
        (10..last).map(|n| (n, n + 1, 1)).chain([(from, 10, 1), (last, to, 1)]).collect()
    }

    #[test]
    fn disjoint_paths_of_legal_length_are_found_beside_cheaper_long_ones() {
        // The trap again, but the cheapest pair is now the cheap path of the trap and a chain that is too long.
        let trap = vec![(0, 1, 1000), (1, 2, 1000), (2, 3, 1000), (0, 2, 9000), (1, 3, 9000)];
        let topology = mesh(&[trap, chain(0, 10, 3)].concat());
        assert_eq!(found(&topology, 0, 3, 2), [[0, 1, 3], [0, 2, 3]]);
    }

    #[test]
    fn what_is_left_without_a_long_path_is_still_the_cheapest() {
        // The only disjoint pair is 0-2-3 and a chain from 1 that is too long; alone, 0-1-2-3 is cheaper than 0-2-3.
        let short = vec![(0, 1, 1000), (1, 2, 1000), (2, 3, 1000), (0, 2, 5000), (2, 5, 1000), (5, 3, 1000)];
        let topology = mesh(&[short, chain(1, 8, 3)].concat());
        assert_eq!(found(&topology, 0, 3, 2), [[0, 1, 2, 3], [0, 2, 5, 3]]);
    }

    #[test]
    fn equal_paths_are_ordered_by_hops_and_ids() {
        let lines = [(0, 3, 1000), (3, 9, 1000), (0, 2, 1000), (2, 9, 1000), (0, 1, 1000), (1, 9, 1000)];
        assert_eq!(found(&mesh(&lines), 0, 9, 3), [[0, 1, 9], [0, 2, 9], [0, 3, 9]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_other_disjoint_paths_are_more_or_cheaper(lines in (2u8..=7).prop_flat_map(lines), k in 1usize..=5) {
            let topology = mesh(&lines);
            let (from, to) = (peer(0), peer(1));
            let all = all_paths(&topology, from, to);
            let most = (1..=k).rev().find(|size| least_total(&all, *size).is_some()).unwrap_or(0);
            let best = disjoint_paths(&topology, from, to, most);
            prop_assert_eq!(best.len(), most);
            for (at, path) in best.iter().enumerate() {
                prop_assert!(best[at + 1..].iter().all(|other| are_disjoint(path, other)), "{:?}", best);
            }
            prop_assert_eq!(Some(best.iter().map(|path| path.cost).sum()), least_total(&all, most));

            let paths = disjoint_paths(&topology, from, to, k);
            prop_assert_eq!(paths.len(), k.min(all.len()), "gaps are filled while there is anything left");
            prop_assert!(best.iter().all(|path| paths.contains(path)));
        }

        #[test]
        fn what_fills_a_gap_shares_least(lines in (3u8..=6).prop_flat_map(lines)) {
            let topology = mesh(&lines);
            let all = all_paths(&topology, peer(0), peer(1));
            let most = (1..=PATHS_MAX).rev().find(|size| least_total(&all, *size).is_some()).unwrap_or(0);
            prop_assume!(most < all.len() && most < PATHS_MAX);
            let best = disjoint_paths(&topology, peer(0), peer(1), most);
            let filled = disjoint_paths(&topology, peer(0), peer(1), most + 1);
            let extra = filled.iter().find(|path| !best.contains(path)).unwrap();
            let least = all.iter().filter(|path| !best.contains(path)).map(|path| shared(path, &best)).min();
            prop_assert_eq!(Some(shared(extra, &best)), least);
        }

        #[test]
        fn every_path_is_real_different_and_in_order(lines in (2u8..=7).prop_flat_map(lines)) {
            let topology = mesh(&lines);
            let all = all_paths(&topology, peer(0), peer(1));
            let paths = disjoint_paths(&topology, peer(0), peer(1), PATHS_MAX);
            prop_assert!(paths.iter().all(|path| all.contains(path)), "loop-free, with the right labels and cost");
            for path in &paths {
                prop_assert_eq!(path.labels.len(), path.relays().len());
                let first = path.first_hop().unwrap();
                prop_assert_eq!(topology.follow(first, &path.labels), Some(peer(1)));
            }
            let order = |p: &Path| (p.cost, p.hops.len(), p.hops.clone());
            prop_assert!(paths.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
        }

        #[test]
        fn a_link_that_one_end_denies_is_never_used(lines in (3u8..=7).prop_flat_map(lines), denied: prop::sample::Index) {
            prop_assume!(!lines.is_empty());
            let (a, b, _) = lines[denied.index(lines.len())];
            let mut topology = mesh(&lines);
            let rest: Vec<_> = told(b, &lines).into_iter().filter(|link| link.neighbor != peer(a)).collect();
            topology.set_links(peer(b), &rest);
            for path in disjoint_paths(&topology, peer(0), peer(1), PATHS_MAX) {
                prop_assert!(path.hops.windows(2).all(|pair| pair != [peer(a), peer(b)] && pair != [peer(b), peer(a)]));
            }
        }

        #[test]
        fn the_order_in_which_links_became_known_does_not_matter(
            lines in (2u8..=7).prop_flat_map(lines),
            order in Just((0u8..7).collect::<Vec<_>>()).prop_shuffle(),
            forgotten in 0u8..7,
        ) {
            let plain = mesh_in_order(0..7, &lines);
            let mut other = mesh_in_order(order, &lines);
            other.remove(peer(forgotten));
            other.set_links(peer(forgotten), &told(forgotten, &lines));
            let paths = |topology| disjoint_paths(topology, peer(0), peer(1), PATHS_MAX);
            prop_assert_eq!(paths(&plain), paths(&other));
        }
    }
}
