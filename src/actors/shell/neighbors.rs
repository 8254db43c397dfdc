//! Who becomes a neighbor, and who is one no more.

use prunella_core::rng::Rng;
use prunella_core::selection::{Candidate, choose};
use prunella_core::wire::Control;
use prunella_core::wiring::{Command, Route};
use prunella_core::{PeerId, peer};
use prunella_storage::{Batch, Tree};

use super::Shell;
use crate::config::Neighbors;
use crate::transport::NotSent;

impl Shell {
    /// Puts nodes that are known, well and not on the roster onto it, as many links as are missing.
    pub(super) fn find_neighbors(&self) {
        let up = self.port.link_stats().iter().filter(|link| link.usable).count();
        let missing = self.config.neighbors.target.saturating_sub(up);
        let mut dialable = self.known.dialable();
        dialable.retain(|peer, _| self.roster.welcomes(peer) && self.roster.addresses(peer).is_empty());
        let candidates: Vec<_> = dialable
            .iter()
            .map(|(peer, node)| Candidate { peer: *peer, region: node.region.as_str(), rtt: None })
            .collect();
        let Neighbors { selection, .. } = self.config.neighbors;
        let (me, region) = (self.credentials.peer(), self.config.region.as_str());
        let mut rng = Rng::from_seed(self.host.random_u64());
        for peer in choose(selection, me, &region, &candidates, missing, &mut rng) {
            self.roster.add(peer, dialable[&peer].addresses.clone());
        }
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

    /// Wants no link with this node any more, now or after a restart.
    pub(super) fn forget_neighbor(&self, peer: PeerId) {
        self.roster.remove(&peer);
        let mut batch = Batch::new();
        batch.delete(Tree::Neighbors, peer.to_bytes());
        self.directory.keep(batch);
        self.directory.deliver(Route::Peer(peer, peer::Input::Forgotten));
    }
}
