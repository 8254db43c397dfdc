//! What analysis knows of the mesh: who is linked to whom, which region a node is in, and over which relays traffic goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{DESTINATIONS_MAX, LINKS_PER_NODE_MAX, NEIGHBORS_MAX, RECORDS_MAX, REGIONS_MAX};
use crate::{Instant, PeerId};

/// The mesh as this node sees it. Bounded by what gossip and the pathfinder hold.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    links: BTreeSet<PeerId>,
    /// How many of them work.
    working: usize,
    regions: BTreeMap<PeerId, String>,
    /// Who tells of a link to whom.
    lists: BTreeMap<PeerId, BTreeSet<PeerId>>,
    /// Who ceased to tell of a link to whom, and when: by whom it was.
    dropped: BTreeMap<PeerId, BTreeMap<PeerId, Instant>>,
    relays: BTreeMap<PeerId, Vec<PeerId>>,
}

impl Topology {
    /// This node has, or wants, a link to a neighbor; or not any more.
    pub fn set_link(&mut self, peer: PeerId, linked: bool) {
        if !linked {
            self.links.remove(&peer);
        } else if self.links.len() < NEIGHBORS_MAX {
            self.links.insert(peer);
        }
    }

    /// So many of this node's links work now; `true` if as many did before.
    pub fn set_working(&mut self, links: usize) -> bool {
        std::mem::replace(&mut self.working, links) == links
    }

    /// Whether this node has no link that works.
    pub const fn is_alone(&self) -> bool {
        self.working == 0
    }

    /// The region of a node; empty, or `None`, if it is in none.
    pub fn set_region(&mut self, peer: PeerId, region: Option<String>) {
        match region.filter(|region| !region.is_empty()) {
            Some(region) if self.regions.len() < RECORDS_MAX => drop(self.regions.insert(peer, region)),
            _ => drop(self.regions.remove(&peer)),
        }
    }

    /// The links that a node tells of, all of them.
    pub fn set_links_of(&mut self, origin: PeerId, told: impl IntoIterator<Item = PeerId>, now: Instant) {
        let told: BTreeSet<PeerId> = told.into_iter().take(LINKS_PER_NODE_MAX).collect();
        let before = self.lists.remove(&origin).unwrap_or_default();
        for gone in before.difference(&told) {
            // Whoever tells of links to nodes that nobody knows, and then of others, must not fill the memory.
            if self.dropped.len() >= RECORDS_MAX && !self.dropped.contains_key(gone) {
                continue;
            }
            let by = self.dropped.entry(*gone).or_default();
            by.retain(|_, at| now.since(*at) < DROPPED_LATELY);
            if by.len() < DROPPED_MAX {
                by.insert(origin, now);
            }
        }
        for peer in &told {
            if let Some(by) = self.dropped.get_mut(peer) {
                by.remove(&origin);
            }
        }
        self.dropped.retain(|_, by| by.values().any(|at| now.since(*at) < DROPPED_LATELY));
        if !told.is_empty() && self.lists.len() < RECORDS_MAX {
            self.lists.insert(origin, told);
        }
    }

    /// The relays over which traffic to a destination goes; empty: none are needed, or none are known.
    pub fn set_relays(&mut self, destination: PeerId, relays: Option<Vec<PeerId>>) {
        match relays {
            Some(relays) if self.relays.len() < DESTINATIONS_MAX => drop(self.relays.insert(destination, relays)),
            _ => drop(self.relays.remove(&destination)),
        }
    }

    /// This node's neighbors.
    pub fn links(&self) -> impl ExactSizeIterator<Item = PeerId> {
        self.links.iter().copied()
    }

    /// The region of a node.
    pub fn region(&self, peer: &PeerId) -> Option<&str> {
        self.regions.get(peer).map(String::as_str)
    }

    /// The names of all regions in which this node has a neighbor or a destination.
    pub fn regions_in_use(&self) -> BTreeSet<&str> {
        self.links.iter().chain(self.relays.keys()).filter_map(|peer| self.region(peer)).take(REGIONS_MAX).collect()
    }

    /// Destinations with the relays that traffic to them takes.
    pub fn paths(&self) -> impl Iterator<Item = (PeerId, &[PeerId])> {
        self.relays.iter().map(|(destination, relays)| (*destination, &relays[..]))
    }

    /// The relays on the way to a destination, as last known.
    pub fn relays(&self, destination: &PeerId) -> &[PeerId] {
        self.relays.get(destination).map_or(&[], |relays| &relays[..])
    }

    /// How many other nodes ceased to tell of a link to `peer` lately.
    pub fn dropped_by(&self, peer: &PeerId, now: Instant) -> usize {
        let recent = |at: &&Instant| now.since(**at) < DROPPED_LATELY;
        self.dropped.get(peer).map_or(0, |by| by.values().filter(recent).count())
    }

    /// How many nodes tell of a link to `peer`.
    pub fn listed_by(&self, peer: &PeerId) -> usize {
        self.lists.values().filter(|told| told.contains(peer)).count()
    }
}

/// How long a link that a node ceased to tell of counts as lost lately.
const DROPPED_LATELY: Duration = Duration::from_secs(60);
/// Most nodes remembered that ceased to tell of a link to one node.
const DROPPED_MAX: usize = LINKS_PER_NODE_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(i: usize) -> PeerId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(i as u64).to_le_bytes());
        PeerId::from_public_key(key)
    }

    #[test]
    fn whoever_tells_of_ever_other_links_fills_no_memory() {
        let mut topology = Topology::default();
        for round in 0..2 * RECORDS_MAX / LINKS_PER_NODE_MAX {
            let told = (0..LINKS_PER_NODE_MAX).map(|i| id(round * LINKS_PER_NODE_MAX + i));
            topology.set_links_of(id(usize::MAX), told, Instant::BOOT);
        }
        assert!(topology.dropped.len() <= RECORDS_MAX, "{}", topology.dropped.len());
        assert_eq!(topology.lists.len(), 1);
    }

    #[test]
    fn a_link_that_is_told_of_again_was_not_dropped() {
        let mut topology = Topology::default();
        topology.set_links_of(id(1), [id(2)], Instant::BOOT);
        topology.set_links_of(id(1), [], Instant::BOOT);
        assert_eq!((topology.dropped_by(&id(2), Instant::BOOT), topology.listed_by(&id(2))), (1, 0));
        topology.set_links_of(id(1), [id(2)], Instant::BOOT);
        assert_eq!((topology.dropped_by(&id(2), Instant::BOOT), topology.listed_by(&id(2))), (0, 1));
        topology.set_links_of(id(1), [], Instant::BOOT);
        assert_eq!(topology.dropped_by(&id(2), Instant::BOOT + DROPPED_LATELY), 0, "that is long ago");
    }
}
