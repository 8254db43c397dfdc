//! Whom this node wants links with, and where they can be dialed. Each entry has a PeerActor.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::PeerId;
use prunella_core::limits::{ADDRESSES_MAX, NEIGHBORS_MAX};

use super::quarantine::Quarantine;
use crate::config::MeshConfig;

type StartPeer = Box<dyn Fn(PeerId) + Send + Sync>;
type EndPeer = Box<dyn Fn(PeerId) + Send + Sync>;

/// How PeerActors begin and end; set by their supervisor whenever it starts.
struct Actors {
    start: StartPeer,
    end: EndPeer,
}

/// The neighbors that are wanted.
pub struct Roster {
    me: PeerId,
    only: Vec<PeerId>,
    max: usize,
    peers: Mutex<BTreeMap<PeerId, Vec<SocketAddr>>>,
    /// Who is not welcome, whatever else holds.
    pub quarantine: Arc<Quarantine>,
    /// Those who were asked to part, and have not answered.
    asked: Mutex<BTreeSet<PeerId>>,
    actors: Mutex<Option<Actors>>,
}

impl Roster {
    pub(super) fn new(config: &MeshConfig, me: PeerId, peers: BTreeMap<PeerId, Vec<SocketAddr>>) -> Self {
        let max = config.neighbors.max.min(NEIGHBORS_MAX);
        let only = config.neighbors.peers.clone();
        let (peers_wanted, quarantine) = (Mutex::default(), Arc::default());
        let (asked, actors) = (Mutex::default(), Mutex::default());
        let roster = Self { me, only, max, peers: peers_wanted, quarantine, asked, actors };
        for (peer, addresses) in peers {
            roster.add(peer, addresses);
        }
        roster
    }

    /// Whether a link with this node is welcome.
    pub fn welcomes(&self, peer: &PeerId) -> bool {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        *peer != self.me
            && !self.quarantine.contains(peer)
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
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
        if is_new {
            self.start(peer);
        }
        is_new
    }

    fn start(&self, peer: PeerId) {
        if let Some(actors) = &*self.actors.lock().unwrap_or_else(PoisonError::into_inner) {
            (actors.start)(peer);
        }
    }

    /// Wants no link with this node any more.
    pub fn remove(&self, peer: &PeerId) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }

    /// The PeerActor of a node that is not wanted any more has said its last word. If the node was wanted again
    /// meanwhile, another actor takes its place.
    pub fn end(&self, peer: PeerId) {
        if let Some(actors) = &*self.actors.lock().unwrap_or_else(PoisonError::into_inner) {
            (actors.end)(peer);
        }
        if self.contains(&peer) {
            self.start(peer);
        }
    }

    /// Whether this node is on the roster.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(peer)
    }

    /// Notes that this neighbor was asked to part.
    pub fn asks_to_part(&self, peer: PeerId) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
    }

    /// Whether this neighbor, that says it has parted, was asked to; asking answers it.
    pub fn takes_leave(&self, peer: &PeerId) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(peer)
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

    /// How PeerActors begin and end from now on.
    pub fn start_with(
        &self,
        start: impl Fn(PeerId) + Send + Sync + 'static,
        end: impl Fn(PeerId) + Send + Sync + 'static,
    ) {
        let actors = Actors { start: Box::new(start), end: Box::new(end) };
        *self.actors.lock().unwrap_or_else(PoisonError::into_inner) = Some(actors);
    }

    /// Starts no PeerActors any more. What started them holds the shell, and so this roster.
    pub fn start_nobody(&self) {
        *self.actors.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
    fn who_has_left_is_dialed_no_more_and_whoever_is_wanted_again_gets_another_actor() {
        let roster = Roster::new(&MeshConfig::default(), id(1), BTreeMap::from([(id(2), vec![])]));
        let story = std::sync::Arc::new(Mutex::new(String::new()));
        let (starts, ends) = (story.clone(), story.clone());
        roster.start_with(move |_| starts.lock().unwrap().push('+'), move |_| ends.lock().unwrap().push('-'));
        assert!(!roster.takes_leave(&id(2)), "nobody has asked it to");
        roster.asks_to_part(id(2));
        assert!(roster.takes_leave(&id(2)) && !roster.takes_leave(&id(2)));
        roster.remove(&id(2));
        assert!(!roster.contains(&id(2)) && roster.addresses(&id(2)).is_empty());
        roster.end(id(2));
        assert_eq!(*story.lock().unwrap(), "-");
        roster.add(id(2), vec![]);
        roster.end(id(2));
        assert_eq!(*story.lock().unwrap(), "-+-+");
    }

    #[test]
    fn who_is_wanted_again_does_not_part_any_more() {
        let roster = Roster::new(&MeshConfig::default(), id(1), BTreeMap::from([(id(2), vec![])]));
        roster.asks_to_part(id(2));
        roster.add(id(2), vec![]);
        assert!(!roster.takes_leave(&id(2)));
    }

    #[test]
    fn the_roster_is_bounded_but_keeps_whom_it_has() {
        let mut config = MeshConfig::default();
        config.neighbors.max = 2;
        let roster = Roster::new(&config, id(1), BTreeMap::from([(id(2), vec![]), (id(3), vec![])]));
        assert!(!roster.welcomes(&id(4)) && roster.welcomes(&id(3)));
    }
}
