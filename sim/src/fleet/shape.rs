//! Which nodes are neighbors.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::rng::Rng;
use prunella_core::selection::{Candidate, Strategy, choose};

use super::network::Latency;

/// Places drawn evenly on a square: 0.5 ms next door, 40 ms more across one side.
pub fn plane(nodes: usize, seed: u64) -> Latency {
    let mut rng = Rng::from_seed(seed);
    let mut draw = || rng.below(1_000_000) as f64 / 1e6;
    let places = (0..nodes).map(|_| (draw(), draw())).collect();
    Latency::Plane { places, least: Duration::from_micros(500), side: Duration::from_millis(40) }
}

/// A square grid of `side` times `side` nodes, numbered row by row; each with its neighbors to the right and below.
pub fn grid(side: usize) -> Vec<BTreeSet<usize>> {
    let of = |node: usize| {
        let right = (node % side + 1 < side).then_some(node + 1);
        let below = (node / side + 1 < side).then_some(node + side);
        right.into_iter().chain(below).collect()
    };
    (0..side * side).map(of).collect()
}

/// Whom each of the nodes chooses by the strategy that ships, knowing all others and the round trips to them.
pub(super) fn chosen(
    peers: &[PeerId],
    rtt: impl Fn(usize, usize) -> Duration,
    wanted: usize,
    rng: &mut Rng,
) -> Vec<BTreeSet<usize>> {
    let mut sorted: Vec<(PeerId, usize)> = peers.iter().enumerate().map(|(i, peer)| (*peer, i)).collect();
    sorted.sort_unstable();
    let find = |peer: PeerId| sorted[sorted.partition_point(|(other, _)| *other < peer)].1;
    let choices = |own: usize| {
        let candidates: Vec<Candidate<PeerId, ()>> = (0..peers.len())
            .map(|other| Candidate { peer: peers[other], region: (), rtt: Some(rtt(own, other)) })
            .collect();
        choose(Strategy::Hybrid, peers[own], &(), &candidates, wanted, rng).into_iter().map(find).collect()
    };
    (0..peers.len()).map(choices).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_its_inner_edges_once() {
        let grid = grid(3);
        assert_eq!(grid.iter().map(BTreeSet::len).sum::<usize>(), 12);
        assert_eq!((grid[0].clone(), grid[8].clone()), (BTreeSet::from([1, 3]), BTreeSet::new()));
    }
}
