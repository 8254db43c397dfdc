//! Whom this node wants links with, and where they can be dialed. Each entry has a PeerActor.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use prunella_core::PeerId;
use prunella_core::limits::{ADDRESSES_MAX, NEIGHBORS_MAX};

use crate::config::MeshConfig;

type StartPeer = Box<dyn Fn(PeerId) + Send + Sync>;

/// The neighbors that are wanted.
pub struct Roster {
    me: PeerId,
    only: Vec<PeerId>,
    max: usize,
    peers: Mutex<BTreeMap<PeerId, Vec<SocketAddr>>>,
    /// Starts a PeerActor; set by the supervisor of the peers whenever it starts.
    start: Mutex<Option<StartPeer>>,
}

impl Roster {
    pub(super) fn new(config: &MeshConfig, me: PeerId, peers: BTreeMap<PeerId, Vec<SocketAddr>>) -> Self {
        let max = config.neighbors.max.min(NEIGHBORS_MAX);
        let only = config.neighbors.peers.clone();
        let roster = Self { me, only, max, peers: Mutex::default(), start: Mutex::default() };
        for (peer, addresses) in peers {
            roster.add(peer, addresses);
        }
        roster
    }

    /// Whether a link with this node is welcome.
    pub fn welcomes(&self, peer: &PeerId) -> bool {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        *peer != self.me
            && (self.only.is_empty() || self.only.contains(peer))
            && (peers.contains_key(peer) || peers.len() < self.max)
    }

    /// Wants a link with this node; ignored if it is not welcome. Known addresses stay unless new ones are given. True if
    /// the node was not on the roster before.
    pub fn add(&self, peer: PeerId, mut addresses: Vec<SocketAddr>) -> bool {
        if !self.welcomes(&peer) {
            return false;
        }
        addresses.truncate(ADDRESSES_MAX);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !peers.contains_key(&peer);
        let known = peers.entry(peer).or_default();
        if !addresses.is_empty() {
            *known = addresses;
        }
        drop(peers);
        if is_new && let Some(start) = &*self.start.lock().unwrap_or_else(PoisonError::into_inner) {
            start(peer);
        }
        is_new
    }

    /// Where a node on the roster can be dialed.
    pub fn addresses(&self, peer: &PeerId) -> Vec<SocketAddr> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned().unwrap_or_default()
    }

    /// Everybody on the roster, in ascending order.
    pub fn all(&self) -> Vec<PeerId> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// How many are on the roster.
    pub fn len(&self) -> usize {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nobody is on the roster.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How PeerActors are started from now on.
    pub fn start_with(&self, start: impl Fn(PeerId) + Send + Sync + 'static) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(start));
    }

    /// Starts no PeerActors any more. What started them holds the shell, and so this roster.
    pub fn start_nobody(&self) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(i: u8) -> PeerId {
        PeerId::from_public_key([i; 32])
    }

    #[test]
    fn with_a_list_only_the_listed_are_welcome() {
        let mut config = MeshConfig::default();
        config.neighbors.peers = vec![id(2)];
        let roster = Roster::new(&config, id(1), BTreeMap::new());
        assert!(roster.welcomes(&id(2)) && !roster.welcomes(&id(3)) && !roster.welcomes(&id(1)));
    }

    #[test]
    fn the_roster_is_bounded_but_keeps_whom_it_has() {
        let mut config = MeshConfig::default();
        config.neighbors.max = 2;
        let roster = Roster::new(&config, id(1), BTreeMap::from([(id(2), vec![]), (id(3), vec![])]));
        assert!(!roster.welcomes(&id(4)) && roster.welcomes(&id(3)));
    }
}
