//! Nodes that this node deals with no more: no path leads to them, or through them.

use super::{Effect, Pathfinder};
use crate::limits::RECORDS_MAX;
use crate::{Instant, PeerId};

impl Pathfinder {
    /// A node is dealt with no more, or again. A link needs the word of both its ends, so a node whose word counts for
    /// nothing is in no path.
    pub(super) fn on_quarantined(&mut self, peer: PeerId, quarantined: bool, now: Instant, effects: &mut Vec<Effect>) {
        if !quarantined {
            if self.quarantined.remove(&peer) {
                // What it says of its links counts again.
                effects.push(Effect::ResyncWanted);
            }
        } else if self.quarantined.len() < RECORDS_MAX && self.quarantined.insert(peer) {
            self.on_links_learned(peer, &[], now);
            self.search_at = Some(now);
            self.set_neighbor(peer, None, now);
            if self.destinations.contains_key(&peer) {
                self.release(peer, effects);
            }
        }
    }
}
