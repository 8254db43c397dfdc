//! Clusters by latency: which nodes stand close together, as far as the links between them tell.
//!
//! Single linkage (Sibson, SLINK, 1973): nodes belong together if a chain of short links joins them. What is short
//! follows from the links themselves: of the minimum spanning tree's links, in ascending order (Kruskal, 1956), the first
//! that is `GAP` times as long as the one before it, and no shorter than `FAR_US`, leads to another cluster, and so
//! do all longer ones. Unlike k-means this needs neither coordinates, which round trips do not give, nor a number of
//! clusters, nor a random start: the same links give the same clusters on every node.

use std::collections::BTreeMap;

/// A link between two nodes and its round trip in microseconds.
pub type Span<P> = (P, P, u32);

/// Groups all nodes that the links name, each group and the list of groups in ascending order.
pub fn clusters<P: Copy + Ord>(links: &[Span<P>]) -> Vec<Vec<P>> {
    let mut numbers = BTreeMap::new();
    for (a, b, _) in links {
        numbers.entry(*a).or_insert(0);
        numbers.entry(*b).or_insert(0);
    }
    numbers.values_mut().enumerate().for_each(|(number, slot)| *slot = number);
    let mut sorted: Vec<(u32, usize, usize)> = links.iter().map(|(a, b, us)| (*us, numbers[a], numbers[b])).collect();
    sorted.sort_unstable();
    let mut all = Groups::new(numbers.len());
    sorted.retain(|(_, a, b)| all.join(*a, *b));
    let near = &sorted[..first_far(&sorted)];
    let mut groups = Groups::new(numbers.len());
    for (_, a, b) in near {
        groups.join(*a, *b);
    }
    let mut clusters: BTreeMap<usize, Vec<P>> = BTreeMap::new();
    for (node, number) in &numbers {
        clusters.entry(groups.root(*number)).or_default().push(*node);
    }
    let mut clusters: Vec<Vec<P>> = clusters.into_values().collect();
    clusters.sort_unstable();
    clusters
}

/// Where in the tree's links, shortest first, those begin that lead from one cluster to another.
fn first_far(tree: &[(u32, usize, usize)]) -> usize {
    let mut before = NEAR_US;
    for (at, (us, ..)) in tree.iter().enumerate() {
        if *us >= FAR_US && *us >= before.saturating_mul(GAP) {
            return at;
        }
        before = before.max(*us);
    }
    tree.len()
}

/// Disjoint sets with path halving (Tarjan and van Leeuwen, 1984).
struct Groups(Vec<usize>);

impl Groups {
    fn new(nodes: usize) -> Self {
        Self((0..nodes).collect())
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.0[node] != node {
            self.0[node] = self.0[self.0[node]];
            node = self.0[node];
        }
        node
    }

    /// Makes one group of two, and tells whether they were two.
    fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
        a != b
    }
}

/// How much longer a link to another cluster is than the longest link that is needed within one.
const GAP: u32 = 3;
/// Links that are shorter lead nowhere else, in microseconds: within a site, round trips differ for other reasons.
const FAR_US: u32 = 3_000;
/// What is shorter counts as this long, in microseconds.
const NEAR_US: u32 = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_links_are_no_clusters() {
        assert!(clusters::<u32>(&[]).is_empty());
    }

    #[test]
    fn a_site_is_one_cluster_however_its_round_trips_differ() {
        let links = [(1, 2, 50), (2, 3, 900), (3, 4, 2_900), (1, 4, 10)];
        assert_eq!(clusters(&links), [vec![1, 2, 3, 4]]);
    }

    #[test]
    fn regions_are_found_and_not_the_continents_above_them() {
        // Two regions 12 ms apart, and a third one across an ocean.
        let near = |base: u32| [(base, base + 1, 1_200), (base + 1, base + 2, 2_000), (base, base + 2, 900)];
        let mut links: Vec<_> = [10, 20, 30].into_iter().flat_map(near).collect();
        links.extend([(10, 20, 12_000), (11, 21, 13_000), (20, 30, 90_000)]);
        assert_eq!(clusters(&links), [vec![10, 11, 12], vec![20, 21, 22], vec![30, 31, 32]]);
    }

    #[test]
    fn a_long_way_round_does_not_part_what_a_short_one_joins() {
        let links = [(1, 2, 1_000), (2, 3, 1_000), (1, 3, 80_000)];
        assert_eq!(clusters(&links), [vec![1, 2, 3]]);
    }

    #[test]
    fn who_has_nobody_near_is_a_cluster_of_its_own() {
        let links: Vec<Span<u32>> = (0..50).map(|n| (n, n + 1, 10_000 + n * 100)).collect();
        assert_eq!(clusters(&links).len(), 51);
    }

    fn planted() -> impl Strategy<Value = (Vec<Span<usize>>, usize, usize)> {
        (1usize..6, 2usize..8, any::<u64>()).prop_map(|(sites, size, seed)| {
            let mut rng = crate::rng::Rng::from_seed(seed);
            let node = |site: usize, at: usize| site * size + at;
            let mut links = Vec::new();
            for site in 0..sites {
                // A chain that joins the site, and a few more links.
                links.extend((1..size).map(|at| (node(site, at - 1), node(site, at), 100 + rng.below(2_400) as u32)));
                links.push((node(site, 0), node(site, size - 1), 100 + rng.below(20_000) as u32));
                let far = 7_600 + rng.below(100_000) as u32;
                links.extend(
                    (site > 0).then(|| (node(site, rng.below(size)), node(rng.below(site), rng.below(size)), far)),
                );
            }
            (links, sites, size)
        })
    }

    proptest! {
        #[test]
        fn planted_sites_are_found((links, sites, size) in planted()) {
            let expected: Vec<Vec<usize>> = (0..sites).map(|site| (site * size..(site + 1) * size).collect()).collect();
            prop_assert_eq!(clusters(&links), expected);
        }

        #[test]
        fn the_order_of_links_and_of_their_ends_does_not_matter(
            (links, _, _) in planted(),
            seed: u64,
        ) {
            let mut other: Vec<Span<usize>> = links.iter().map(|(a, b, us)| (*b, *a, *us)).collect();
            let mut rng = crate::rng::Rng::from_seed(seed);
            (1..other.len()).for_each(|end| other.swap(end, rng.below(end + 1)));
            prop_assert_eq!(clusters(&links), clusters(&other));
        }
    }
}
