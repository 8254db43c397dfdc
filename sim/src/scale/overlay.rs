//! Who is whose neighbor.

use prunella_core::limits::NEIGHBORS_MAX;
use prunella_core::rng::Rng;
use prunella_core::selection::{Candidate, choose};

use super::links::Links;
use super::options::Options;

/// Every node's neighbors in order, one list after the other (compressed sparse rows): eight bytes a link.
#[derive(Debug)]
pub(super) struct Overlay {
    first: Vec<u32>,
    neighbors: Vec<u32>,
}

impl Overlay {
    /// Lets every node choose half as many neighbors as it shall have on average: a link counts for both of its ends.
    ///
    /// A node chooses among the ring successor of its own region, which is known in full, and a sample of nodes that
    /// were drawn evenly from its region and from the whole mesh. `None` as soon as `goes_on`, which is asked now and
    /// then, says no.
    pub(super) fn choose(
        options: &Options,
        links: &Links,
        rng: &mut Rng,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Option<Self> {
        let nodes = options.nodes as u32;
        let mut pairs = Vec::with_capacity(options.nodes * options.degree / 2);
        let mut candidates = Vec::with_capacity(1 + NEAR_SAMPLE + FAR_SAMPLE);
        for own in 0..nodes {
            if own % NODES_PER_LOOK == NODES_PER_LOOK - 1 && !goes_on() {
                return None;
            }
            let region = options.region(own);
            let home = options.members(region);
            let size = (home.end - home.start) as usize;
            candidates.clear();
            let successor = if own + 1 == home.end { home.start } else { own + 1 };
            candidates.push(successor);
            candidates.extend((0..NEAR_SAMPLE).map(|_| home.start + rng.below(size) as u32));
            candidates.extend((0..FAR_SAMPLE).map(|_| rng.below(options.nodes) as u32));
            let measured: Vec<_> = candidates
                .iter()
                .map(|peer| Candidate { peer: *peer, region: options.region(*peer), rtt: Some(links.rtt(own, *peer)) })
                .collect();
            let chosen = choose(options.strategy, own, &region, &measured, options.degree.div_ceil(2), rng);
            pairs.extend(chosen.into_iter().map(|peer| (own.min(peer), own.max(peer))));
        }
        pairs.sort_unstable();
        pairs.dedup();
        Some(Self::from_links(options.nodes, &pairs))
    }

    /// From links, each told once.
    fn from_links(nodes: usize, pairs: &[(u32, u32)]) -> Self {
        let mut degrees = vec![0u32; nodes];
        let mut kept = Vec::with_capacity(2 * pairs.len());
        for (a, b) in pairs {
            if degrees[*a as usize].max(degrees[*b as usize]) < NEIGHBORS_MAX as u32 {
                degrees[*a as usize] += 1;
                degrees[*b as usize] += 1;
                kept.extend([(*a, *b), (*b, *a)]);
            }
        }
        kept.sort_unstable();
        let mut first = Vec::with_capacity(nodes + 1);
        first.push(0);
        first.extend(degrees.iter().scan(0, |sum, degree| {
            *sum += degree;
            Some(*sum)
        }));
        Self { first, neighbors: kept.into_iter().map(|(_, to)| to).collect() }
    }

    /// A node's neighbors in order.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        &self.neighbors[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }

    /// The number of the link from a node to a neighbor; its two directions have different numbers.
    pub(super) fn link(&self, from: u32, to: u32) -> Option<usize> {
        let place = self.of(from).binary_search(&to).ok()?;
        Some(self.first[from as usize] as usize + place)
    }

    /// How many links there are, each direction by itself.
    pub(super) fn len(&self) -> usize {
        self.neighbors.len()
    }
}

/// So many nodes of its own region does a node choose among.
const NEAR_SAMPLE: usize = 16;
/// How many nodes choose between two looks at whether the run goes on: some milliseconds.
const NODES_PER_LOOK: u32 = 1 << 12;
/// So many nodes of the whole mesh does a node choose among.
const FAR_SAMPLE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_known_at_both_of_its_ends() {
        let options = Options { nodes: 300, regions: 3, ..Options::default() };
        let overlay = Overlay::choose(&options, &Links::new(&options), &mut Rng::from_seed(1), &mut || true).unwrap();
        for a in 0..300 {
            assert!(overlay.of(a).is_sorted() && !overlay.of(a).contains(&a), "{:?}", overlay.of(a));
            assert!(overlay.of(a).iter().all(|b| overlay.link(*b, a).is_some()));
        }
        let mean = overlay.len() as f64 / 300.0;
        assert!((8.0..=10.0).contains(&mean), "mean degree {mean}");
    }
}
