//! Hosts that do not let everybody in, attackers that want to be let in, and what is delivered in spite of them.

use prunella_core::door::Place;
use prunella_core::membership::Status;
use prunella_core::wire::codec;
use prunella_core::wiring::Route;
use prunella_core::{Instant, PeerId, gossip, monitor, pathfinder, planner};

use super::Fleet;
use super::byzantine::{ACTS_EVERY, Behavior, Said};
use super::event::Event;
use super::host::unix_ms;
use super::traffic::Kind;

/// How many links a host has at most, as the shell that ships bounds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// With whomever.
    pub most: usize,
    /// With nodes that it has not chosen itself; the rest is for its own choices.
    pub guests_most: usize,
    /// So many it looks for itself when links are missing.
    pub wanted: usize,
}

/// A host heard of a service for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// Which host.
    pub to: usize,
    /// Of which service.
    pub name: String,
}

impl Fleet {
    /// Bounds the links of every host from now on.
    pub fn guard(&mut self, doors: Doors) {
        self.doors = Some(doors);
    }

    /// Whom a host dials of its own choice; those are not told to dial it.
    pub fn choose(&mut self, host: usize, others: impl IntoIterator<Item = usize>) {
        self.hosts[host].neighbors.extend(others);
    }

    /// Starts one host at a moment.
    pub fn boot_at(&mut self, host: usize, at: Instant) {
        self.queue.push(at, Event::Boot { host });
    }

    /// Lets an attacker run on a host from this moment on; with these hosts it wants links.
    pub fn corrupt(&mut self, host: usize, at: Instant, behavior: Behavior, targets: Vec<usize>) {
        self.hosts[host].corrupt(behavior, targets);
        self.queue.push(at, Event::Act { host });
    }

    /// Who a host is.
    pub fn peer_id(&self, host: usize) -> PeerId {
        self.hosts[host].peer_id()
    }

    /// Lets a host publish a service: a record that all others have to hear of.
    pub fn expose(&mut self, host: usize, name: String) {
        self.tell(host, Route::Gossip(gossip::Input::SetService { name, exposed: true }));
    }

    /// What was delivered, in the order in which it was.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// How many links were turned away, because there were too many already or because of who wanted them.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// How many hosts deal with this one no more.
    pub fn quarantined_by(&self, host: usize) -> usize {
        self.hosts.iter().filter(|other| other.quarantined.contains(&host)).count()
    }

    /// With whom a host has links.
    pub fn linked(&self, host: usize) -> impl Iterator<Item = usize> {
        self.hosts[host].links.values().map(|link| link.peer)
    }

    /// Whether a host does not want this link. If it does, and all places are taken, a guest has to go for it.
    pub(super) fn is_turned_away(&mut self, from: usize, to: usize) -> bool {
        let place = self.place(from, to);
        if let Place::Of(guest) = place
            && let Some((link, _)) = self.index.get(&guest).and_then(|guest| self.hosts[to].link_to(*guest))
        {
            self.close(to, link);
        }
        self.refused += u64::from(place == Place::None);
        place == Place::None
    }

    /// The same rule as in the shell that ships: own choices have their places, and among guests the door decides.
    fn place(&self, from: usize, to: usize) -> Place {
        let host = &self.hosts[to];
        if host.quarantined.contains(&from) {
            return Place::None;
        }
        let Some(doors) = self.doors else { return Place::Free };
        if host.byzantine.is_some() || host.neighbors.contains(&from) || host.link_to(from).is_some() {
            return Place::Free;
        }
        let is_guest = |peer: &usize| !host.neighbors.contains(peer);
        let guests: Vec<PeerId> =
            host.links.values().map(|link| link.peer).filter(is_guest).map(|peer| self.hosts[peer].peer_id()).collect();
        let most = doors.guests_most.min(doors.most.saturating_sub(host.neighbors.len()));
        host.door.place(&self.hosts[from].peer_id(), guests.iter(), most)
    }

    /// A node that accepts a link has a role for whoever dialed.
    pub(super) fn introduce(&mut self, host: usize, peer: usize) {
        let (id, address) = (self.hosts[peer].peer_id(), self.hosts[peer].address);
        let mut commands = Vec::new();
        self.hosts[host].meet(id, address, self.now, &mut commands);
        self.settle(host, commands);
    }

    /// Finds neighbors among the members that are well, as many links as are missing.
    pub(super) fn find_neighbors(&mut self, host: usize) {
        let Some(doors) = self.doors else { return };
        let Some(node) = self.hosts[host].node() else { return };
        let is_met = |other: &usize| self.hosts[host].link_to(*other).is_some();
        let alive = node.gossip().members().into_iter().filter(|member| member.status == Status::Alive);
        let mut known: Vec<usize> = alive.filter_map(|member| self.index.get(&member.peer).copied()).collect();
        known.retain(|other| *other != host && !is_met(other) && !self.hosts[host].neighbors.contains(other));
        let links = self.hosts[host].links.len();
        for _ in links..doors.wanted.max(links) {
            if known.is_empty() {
                break;
            }
            let other = known.swap_remove(self.rng.below(known.len()));
            self.hosts[host].neighbors.insert(other);
            self.introduce(host, other);
        }
    }

    /// A node deals with another no more.
    pub(super) fn quarantine(&mut self, host: usize, peer: PeerId) {
        let Some(other) = self.index.get(&peer).copied() else { return };
        self.hosts[host].quarantined.insert(other);
        if let Some((link, _)) = self.hosts[host].link_to(other) {
            self.close(host, link);
        }
        let quarantined = true;
        self.tell(host, Route::Pathfinder(pathfinder::Input::Quarantined { peer, quarantined }));
        self.tell(host, Route::Planner(planner::Input::Quarantined { peer, quarantined }));
        self.tell(host, Route::Monitor(monitor::Input::Quarantined { peer, quarantined }));
    }

    pub(super) fn on_act(&mut self, host: usize) {
        let now = self.now;
        let Some(byzantine) = &mut self.hosts[host].byzantine else { return };
        let said = byzantine.act(now);
        let dials = byzantine.dials(now);
        self.queue.push(now + ACTS_EVERY, Event::Act { host });
        self.say(host, said);
        for target in dials {
            self.dial(host, target);
        }
    }

    pub(super) fn on_byzantine_linked(&mut self, host: usize, peer: usize) {
        let unix_ms = unix_ms(self.now);
        let Some(byzantine) = &mut self.hosts[host].byzantine else { return };
        let said = byzantine.linked(peer, unix_ms);
        self.say(host, said);
    }

    pub(super) fn on_byzantine_heard(&mut self, host: usize, from: usize, messages: Vec<Vec<u8>>) {
        for bytes in messages {
            let now = self.now;
            let Some(byzantine) = &mut self.hosts[host].byzantine else { return };
            let Ok(control) = codec::decode_message(&bytes) else { continue };
            let said = byzantine.hear(from, control, now);
            self.say(host, said);
        }
    }

    fn say(&mut self, host: usize, said: Vec<Said>) {
        for (to, bytes) in said {
            self.send_bytes(host, to, Kind::Push, bytes);
        }
    }
}
