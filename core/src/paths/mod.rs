//! Paths through the mesh: the graph that the links form, and the best disjoint paths across it.
//!
//! [`Topology`] hears what nodes say of their links and keeps only those that both ends report. [`disjoint_paths`]
//! answers with explicit paths for the sender to put into its frames; [`PathTable`] keeps the answers for one sender and
//! many destinations up to date while links change. Everything here is pure: the same links at the
//! same costs give the same paths, whatever the order in which they became known.

pub mod cost;
mod detour;
mod disjoint;
mod flow;
mod graph;
mod packed;
mod queue;
mod table;
mod tree;
mod weight;

use serde::{Deserialize, Serialize};

pub use disjoint::disjoint_paths;
pub use graph::{Link, Measured, Topology};
pub use table::PathTable;

use crate::{Label, PeerId};

/// One way from a sender to a destination, without loops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Every node on the way, sender and destination included; at least two.
    pub hops: Vec<PeerId>,
    /// What each relay calls its link to the next hop, in order of travel: one label for each of `hops[1..n - 1]`, at
    /// most [`PATH_LABELS_MAX`](crate::limits::PATH_LABELS_MAX). The sender's own link is not among them.
    pub labels: Vec<Label>,
    /// The sum of the links' costs, in microseconds of expected delivery (see [`cost`]).
    pub cost: u64,
}

impl Path {
    /// The nodes that forward on this path; none if the destination is a neighbor and reached directly.
    pub fn relays(&self) -> &[PeerId] {
        match self.hops.as_slice() {
            [_, relays @ .., _] => relays,
            _ => &[],
        }
    }

    /// The neighbor to which the sender hands the frame; `None` only for a path without hops.
    pub fn first_hop(&self) -> Option<PeerId> {
        self.hops.get(1).copied()
    }
}
