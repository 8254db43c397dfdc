//! Nodes by distance, the nearest first, as Dijkstra's algorithm takes them.
//!
//! A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan, "Faster algorithms for the shortest path problem", 1990): what is put
//! in is never nearer than what was last taken out, so numbers need not be compared but only sorted by their highest bit
//! that differs. Distances are told apart no further than to less than the shortest link: between nodes that are nearer
//! to each other than that, the order makes no difference.

use super::cost::HOP_COST_US;
use super::packed::Node;
use super::weight::Measure;

/// Nodes by distance.
#[derive(Debug)]
pub(super) struct Queue {
    /// What was last taken out, without the bits that make no difference.
    last: u64,
    /// By the number of the highest bit in which they differ from `last`; the first those that do not.
    buckets: [Vec<(u64, Node)>; BUCKETS],
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { last: 0, buckets: [const { Vec::new() }; BUCKETS] }
    }

    /// Puts in a node at a distance that is at least that of the node last taken out.
    pub(super) fn push(&mut self, distance: u64, node: Node) {
        debug_assert!(distance >> GRAIN_BITS >= self.last, "BUG: distances only grow");
        self.buckets[bucket(self.last, distance)].push((distance, node));
    }

    /// Takes out the nearest node, or one that is farther by less than the shortest link.
    pub(super) fn pop(&mut self) -> Option<(u64, Node)> {
        if self.buckets[0].is_empty() {
            let first = self.buckets.iter().position(|bucket| !bucket.is_empty())?;
            let nodes = std::mem::take(&mut self.buckets[first]);
            self.last = nodes.iter().map(|(distance, _)| distance >> GRAIN_BITS).min()?;
            for (distance, node) in nodes {
                self.buckets[bucket(self.last, distance)].push((distance, node));
            }
        }
        self.buckets[0].pop()
    }
}

impl FromIterator<(u64, Node)> for Queue {
    fn from_iter<I: IntoIterator<Item = (u64, Node)>>(nodes: I) -> Self {
        let mut queue = Self::new();
        nodes.into_iter().for_each(|(distance, node)| queue.push(distance, node));
        queue
    }
}

fn bucket(last: u64, distance: u64) -> usize {
    (u64::BITS - (last ^ (distance >> GRAIN_BITS)).leading_zeros()) as usize
}

/// Bits of a distance that make no difference.
const GRAIN_BITS: u32 = 24;
const BUCKETS: usize = (u64::BITS - GRAIN_BITS) as usize + 1;

/// Less than any link costs: an eighth is more than rounding ever takes away.
const SHORTEST: u32 = (HOP_COST_US - HOP_COST_US / 8) as u32;
const _: () = assert!(Measure::COST.weigh(SHORTEST) > 1 << GRAIN_BITS, "no link is shorter than the grain");
const _: () = assert!(Measure::LINKS.weigh(SHORTEST) > 1 << GRAIN_BITS, "no link is shorter than the grain");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cost::rounded;
    use super::*;

    #[test]
    fn the_cheapest_link_costs_more_than_the_grain() {
        assert!(rounded(HOP_COST_US) >= u64::from(SHORTEST));
    }

    proptest! {
        #[test]
        fn nodes_come_out_in_order_up_to_the_grain(
            first in prop::collection::vec(0u64..1 << 40, 1..50),
            more in prop::collection::vec(0u64..1 << 40, 0..50),
        ) {
            let mut queue: Queue = first.iter().zip(0..).map(|(distance, node)| (*distance, node)).collect();
            let mut left = first.len() + more.len();
            let (mut more, mut last) = (more.into_iter(), 0);
            while let Some((distance, _)) = queue.pop() {
                prop_assert!(distance >> GRAIN_BITS >= last);
                last = distance >> GRAIN_BITS;
                left -= 1;
                if let Some(further) = more.next() {
                    queue.push(distance + further, 0);
                }
            }
            prop_assert_eq!(left, more.len());
        }
    }
}
