//! The slot for detectors whose idea of normal was learned from data rather than written down.
//!
//! The core ships none: what is normal differs from mesh to mesh, and a model without the mesh's own past would be a
//! guess. Who has one implements [`Learned`] and hands it to [`Monitor::plug_in`](crate::monitor::Monitor::plug_in). It
//! is asked like every other detector, under the same [`Doubt`](super::Doubt) and with hysteresis around it ([`Hold`]),
//! and what it finds is an incident like every other, so that the planner learns what helps against it.

use std::collections::BTreeMap;
use std::fmt;

use super::{Edge, Hold};
use crate::PeerId;
use crate::incident::Evidence;
use crate::limits::NEIGHBORS_MAX;
use crate::monitor::LinkFigures;

/// A learned detector. Like everything in the core it must not read clocks or draw randomness of its own, or a replay
/// would not repeat it.
pub trait Learned: fmt::Debug + Send {
    /// Its name, for the evidence.
    fn name(&self) -> &str;

    /// How unusual a link is, in thousandths: from [`UNUSUAL_PERMILLE`] on it counts. Asked once for every report of the
    /// link.
    fn score(&mut self, peer: &PeerId, figures: &LinkFigures) -> u16;
}

/// A learned detector in its slot.
#[derive(Debug)]
pub(in crate::monitor) struct Slot {
    detector: Box<dyn Learned>,
    holds: BTreeMap<PeerId, Hold>,
}

impl Slot {
    pub(in crate::monitor) fn new(detector: Box<dyn Learned>) -> Self {
        Self { detector, holds: BTreeMap::new() }
    }

    pub(in crate::monitor) fn observe(&mut self, peer: PeerId, figures: &LinkFigures) -> Option<Edge> {
        if self.holds.len() >= NEIGHBORS_MAX && !self.holds.contains_key(&peer) {
            return None;
        }
        let score_permille = self.detector.score(&peer, figures);
        let hold = self.holds.entry(peer).or_insert(Hold::new(3, 5));
        Some(match hold.observe(score_permille >= UNUSUAL_PERMILLE)? {
            true => Edge::Wrong(Evidence::Unusual { by: self.detector.name().to_owned(), score_permille }),
            false => Edge::Well,
        })
    }

    pub(in crate::monitor) fn forget(&mut self, peer: &PeerId) {
        self.holds.remove(peer);
    }
}

/// The score from which a link counts as unusual.
pub const UNUSUAL_PERMILLE: u16 = 900;
