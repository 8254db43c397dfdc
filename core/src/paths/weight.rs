//! What a search minimizes: cost or links first, the other of the two only between equals, packed into one number.

use super::cost::LINK_COST_MAX_US;
use crate::limits::MEMBERS_MAX;

/// How the two quantities are packed; weights of one measure add up and compare like the pairs that they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    cost_shift: u32,
    per_link: u64,
}

impl Measure {
    /// Cost first, then number of links.
    pub(super) const COST: Self = Self { cost_shift: LINKS_BITS, per_link: 1 };
    /// Number of links first, then cost.
    pub(super) const LINKS: Self = Self { cost_shift: 0, per_link: 1 << COST_BITS };

    /// The weight of one link of this cost.
    pub(super) const fn weigh(self, cost: u32) -> u64 {
        ((cost as u64) << self.cost_shift) + self.per_link
    }
}

/// The number of links in a weight by [`Measure::LINKS`].
pub(super) const fn links(weight: u64) -> usize {
    (weight >> COST_BITS) as usize
}

/// Enough for the links of any path without loops.
const LINKS_BITS: u32 = 17;
/// Enough for the cost of any path without loops.
const COST_BITS: u32 = 43;

const _: () = assert!(MEMBERS_MAX as u64 <= 1 << LINKS_BITS, "no path has more links than its field holds");
const _: () =
    assert!(LINK_COST_MAX_US * MEMBERS_MAX as u64 <= 1 << COST_BITS, "no path costs more than its field holds");
const _: () = assert!(LINKS_BITS + COST_BITS <= 60, "a few weights can be added");
