//! Whom this node wants links with, and where they can be dialed. Each entry has a PeerActor.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::PeerId;
use prunella_core::door::{Door, Place};
use prunella_core::limits::{ADDRESSES_MAX, NEIGHBORS_MAX};

use super::quarantine::Quarantine;
use crate::config::{MeshConfig, Neighbors};

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
    /// Of these, for nodes that came by themselves.
    guests_max: usize,
    door: Door,
    peers: Mutex<BTreeMap<PeerId, Vec<SocketAddr>>>,
    /// Those on the roster that came by themselves: this node has not chosen them.
    guests: Mutex<BTreeSet<PeerId>>,
    /// Who is not welcome, whatever else holds.
    pub quarantine: Arc<Quarantine>,
    /// Those who were asked to part, and have not answered.
    asked: Mutex<BTreeSet<PeerId>>,
    actors: Mutex<Option<Actors>>,
}

impl Roster {
    /// `peers` are those that the configuration names and those that are remembered; these come after those, and as
    /// guests, because it is not known any more who chose whom. `seed` is drawn by this node alone.
    pub(super) fn new(config: &MeshConfig, me: PeerId, peers: BTreeMap<PeerId, Vec<SocketAddr>>, seed: u64) -> Self {
        let Neighbors { max, target, .. } = config.neighbors;
        let max = max.min(NEIGHBORS_MAX);
        let roster = Self {
            me,
            only: config.neighbors.peers.clone(),
            max,
            guests_max: max - target.min(max.div_ceil(2)),
            door: Door::new(seed),
            peers: Mutex::default(),
            guests: Mutex::default(),
            quarantine: Arc::default(),
            asked: Mutex::default(),
            actors: Mutex::default(),
        };
        let configured = |peer: &PeerId| roster.only.contains(peer) || config.bootstrap.iter().any(|b| b.peer == *peer);
        let (chosen, remembered): (Vec<_>, Vec<_>) = peers.into_iter().partition(|(peer, _)| configured(peer));
        for (peer, addresses) in chosen {
            roster.add(peer, addresses);
        }
        for (peer, addresses) in remembered {
            roster.admit(peer, addresses);
        }
        roster
    }

    /// Whether this node may choose that one, if it is not on the roster already.
    pub fn welcomes(&self, peer: &PeerId) -> bool {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        self.may_be_linked(peer) && (peers.contains_key(peer) || peers.len() < self.max)
    }

    /// Whether somebody who knocks is let in: there is a place, or that of a guest who has to go for it.
    pub fn lets_in(&self, peer: &PeerId) -> bool {
        self.may_be_linked(peer) && (self.contains(peer) || self.place(peer) != Place::None)
    }

    fn may_be_linked(&self, peer: &PeerId) -> bool {
        *peer != self.me && !self.quarantine.contains(peer) && (self.only.is_empty() || self.only.contains(peer))
    }

    /// Where the operator lists the neighbors, they share all places; otherwise some are kept for this node's choices.
    fn place(&self, peer: &PeerId) -> Place {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = self.len().saturating_sub(guests.len());
        let most = if self.only.is_empty() { self.guests_max } else { self.max };
        self.door.place(peer, guests.iter(), most.min(self.max.saturating_sub(chosen)))
    }

    /// A link with somebody who came by himself: he is on the roster from now on, if he is let in. Whoever had to go for
    /// it is not any more, and is told to the caller, who closes that link.
    pub fn admit(&self, peer: PeerId, addresses: Vec<SocketAddr>) -> Option<PeerId> {
        if self.contains(&peer) || !self.lets_in(&peer) {
            return None;
        }
        let evicted = match self.place(&peer) {
            Place::Of(guest) => Some(guest),
            Place::Free | Place::None => None,
        };
        if let Some(guest) = &evicted {
            self.remove(guest);
        }
        if self.add(peer, addresses) {
            self.guests.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
        }
        evicted
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
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
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
        let roster = Roster::new(&config, id(1), BTreeMap::new(), 1);
        assert!(roster.welcomes(&id(2)) && !roster.welcomes(&id(3)) && !roster.welcomes(&id(1)));
    }

    #[test]
    fn who_has_left_is_dialed_no_more_and_whoever_is_wanted_again_gets_another_actor() {
        let roster = Roster::new(&MeshConfig::default(), id(1), BTreeMap::from([(id(2), vec![])]), 1);
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
        let roster = Roster::new(&MeshConfig::default(), id(1), BTreeMap::from([(id(2), vec![])]), 1);
        roster.asks_to_part(id(2));
        roster.add(id(2), vec![]);
        assert!(!roster.takes_leave(&id(2)));
    }

    #[test]
    fn the_roster_is_bounded_but_keeps_whom_it_has() {
        let mut config = MeshConfig::default();
        config.neighbors.max = 2;
        let roster = Roster::new(&config, id(1), BTreeMap::new(), 1);
        assert!(roster.add(id(2), vec![]) && roster.add(id(3), vec![]));
        assert!(!roster.welcomes(&id(4)) && roster.welcomes(&id(3)));
    }

    /// A roster with room for four, one of which it has chosen: as many guests as there may be, and who is one of twenty.
    #[test]
    fn guests_never_take_the_places_for_own_choices_and_draw_for_theirs() {
        let mut config = MeshConfig::default();
        (config.neighbors.max, config.neighbors.target) = (4, 2);
        let guests = |order: &mut dyn Iterator<Item = u8>| {
            let roster = Roster::new(&config, id(1), BTreeMap::new(), 7);
            roster.add(id(2), vec![]);
            let mut evicted = 0;
            for knocks in order {
                let is_welcome = roster.lets_in(&id(knocks));
                evicted += usize::from(roster.admit(id(knocks), vec![]).is_some());
                assert_eq!(roster.contains(&id(knocks)), is_welcome);
                assert!(roster.len() <= 3, "one place is left for a choice of its own");
            }
            assert!(roster.contains(&id(2)), "no guest takes the place of who was chosen");
            assert!(roster.add(id(200), vec![]) && roster.len() == 4);
            assert!(!roster.welcomes(&id(201)));
            (roster.all(), evicted)
        };
        let (first, evicted) = guests(&mut (10..30));
        assert!(evicted > 0, "somebody had to go");
        assert_eq!(guests(&mut (10..30).rev()).0, first, "whoever comes first");
    }
}
