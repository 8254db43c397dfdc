//! Who becomes a neighbor, and who is one no more.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use prunella_core::record::NodeBody;
use prunella_core::rng::Rng;
use prunella_core::selection::{Candidate, choose};
use prunella_core::wire::Control;
use prunella_core::wiring::{Command, Route};
use prunella_core::{LinkId, PeerId, peer};
use prunella_storage::{Batch, Tree};

use super::Shell;
use crate::actors::event_log::Event;
use crate::transport::NotSent;

impl Shell {
    /// Puts nodes that are known, well and not on the roster onto it, as many links as are missing.
    pub(super) fn find_neighbors(&self) {
        let up = self.port.link_stats().iter().filter(|link| link.usable).count();
        let missing = self.config.neighbors.target.saturating_sub(up);
        let mut dialable = self.known.dialable();
        dialable.retain(|peer, _| self.roster.welcomes(peer) && self.roster.addresses(peer).is_empty());
        for peer in self.chosen_of(&dialable, missing) {
            self.roster.add(peer, dialable[&peer].addresses.clone());
        }
    }

    /// Leaves all neighbors and joins the mesh again over nodes that are known: also over those that were held to be down,
    /// since who is cut off holds everybody to be down, and over the neighbors that were left, as far as there is room. The
    /// store keeps the old neighbors until there are others.
    ///
    /// # Errors
    /// The reason, if there is a link that works, or nobody else to join over.
    pub(super) fn rejoin(&self) -> Result<(), String> {
        if self.port.link_stats().iter().any(|link| link.usable) {
            return Err("a link works, and would be cut".to_owned());
        }
        let left: BTreeMap<PeerId, Vec<SocketAddr>> =
            self.roster.all().into_iter().map(|peer| (peer, self.roster.addresses(&peer))).collect();
        let mut known = self.known.nodes();
        known.retain(|peer, node| !node.addresses.is_empty() && !left.contains_key(peer));
        if known.is_empty() {
            return Err("no other node is known".to_owned());
        }
        tracing::warn!(left = left.len(), known = known.len(), "no neighbor answers: joining the mesh again");
        for peer in left.keys() {
            self.roster.remove(peer);
            self.directory.deliver(Route::Peer(*peer, peer::Input::Forgotten));
        }
        known.retain(|peer, _| self.roster.welcomes(peer));
        for peer in self.chosen_of(&known, 2 * self.config.neighbors.target) {
            self.roster.add(peer, known[&peer].addresses.clone());
        }
        for (peer, addresses) in left {
            self.roster.add(peer, addresses);
        }
        Ok(())
    }

    /// So many of these nodes, as the configuration says that neighbors are chosen.
    fn chosen_of(&self, nodes: &BTreeMap<PeerId, NodeBody>, count: usize) -> Vec<PeerId> {
        let candidates: Vec<_> = nodes
            .iter()
            .map(|(peer, node)| Candidate { peer: *peer, region: node.region.as_str(), rtt: None })
            .collect();
        let (me, region) = (self.credentials.peer(), self.config.region.as_str());
        let mut rng = Rng::from_seed(self.host.random_u64());
        choose(self.config.neighbors.selection, me, &region, &candidates, count, &mut rng)
    }

    /// Exchanges neighbors.
    pub(super) fn rearrange(&self, command: &Command) {
        match *command {
            Command::AddNeighbor { peer } => {
                let addresses = self.known.dialable().remove(&peer).map(|node| node.addresses).unwrap_or_default();
                self.roster.add(peer, addresses);
            }
            Command::AskToPart { peer } => {
                self.roster.asks_to_part(peer);
                // Who is not there cannot be asked, and need not agree.
                if self.links().send(peer, &Control::Part) == Err(NotSent::NoLink) {
                    self.forget_neighbor(peer);
                }
            }
            Command::LetGo { peer } => {
                // Forgotten first: the end of the link is then no news to anybody.
                self.forget_neighbor(peer);
                self.links().part(peer);
            }
            Command::RemovePeer { peer } => self.roster.end(peer),
            _ => {}
        }
    }

    /// There is a link: the neighbor is on the roster, as this node's choice or as a guest; a guest may have to go for it.
    pub(super) fn take_in(&self, peer: PeerId, addresses: Vec<SocketAddr>, dialed: bool) {
        if dialed {
            self.roster.add(peer, addresses);
        } else if let Some(guest) = self.roster.admit(peer, addresses) {
            tracing::info!(peer = %guest.short(), "makes room for another guest");
            // Forgotten first: the end of the link is then no news to anybody.
            self.forget_neighbor(guest);
            if let Some(living) = self.links().snapshot().iter().find(|living| living.peer == guest) {
                self.links().close(living.link, MADE_ROOM);
            }
        }
    }

    /// A neighbor has moved. What was dialed is dialed again, where it is now: QUIC lets only whoever dialed move (RFC 9000,
    /// section 9). The old link carries frames until there is the new one.
    pub(super) fn follow(&self, link: LinkId, remote: SocketAddr) {
        let Some(living) = self.links().snapshot().into_iter().find(|living| living.link == link) else { return };
        tracing::info!(peer = %living.peer.short(), %remote, "a neighbor has moved");
        self.tell(Event::NeighborMoved { peer: living.peer, address: remote });
        if living.dialed {
            self.links().dial(living.peer, remote);
        }
    }

    /// Wants no link with this node any more, now or after a restart.
    pub(super) fn forget_neighbor(&self, peer: PeerId) {
        self.roster.remove(&peer);
        let mut batch = Batch::new();
        batch.delete(Tree::Neighbors, peer.to_bytes());
        self.directory.keep(batch);
        self.directory.deliver(Route::Peer(peer, peer::Input::Forgotten));
    }
}

/// Why the link to a guest ends.
const MADE_ROOM: &str = "the place is another guest's";
