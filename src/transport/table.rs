//! The table of living links: one per neighbor, labels that stay the same, and which of two connections is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use quinn::Connection;
use tokio::sync::mpsc;

use prunella_core::limits::NEIGHBORS_MAX;
use prunella_core::rng::Rng;
use prunella_core::{Label, LinkId, PeerId};

use super::link::canonical;

/// A living link, told to whoever has to take it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// The neighbor.
    pub peer: PeerId,
    /// The link.
    pub link: LinkId,
    /// This node's label for it.
    pub label: Label,
    /// Where the neighbor is.
    pub remote: SocketAddr,
    /// Whether this node dialed.
    pub dialed: bool,
    /// The neighbor's incarnation.
    pub incarnation: u64,
}

/// What decides between two connections with one neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The neighbor's incarnation, as it said hello.
    pub(super) incarnation: u64,
    /// Whether the connection is still open.
    pub(super) alive: bool,
    /// Whether it was dialed by the node with the smaller id, so that both ends prefer the same one.
    pub(super) preferred: bool,
}

impl Standing {
    /// Whether an established link stays when another connection with the same neighbor wants to take its place.
    pub(super) fn outlasts(&self, new: &Standing) -> bool {
        self.alive && self.incarnation == new.incarnation && self.preferred && !new.preferred
    }
}

/// A link's place in the table.
pub(super) struct Entry {
    pub(super) link: LinkId,
    pub(super) label: Label,
    pub(super) dialed: bool,
    pub(super) incarnation: u64,
    pub(super) connection: Connection,
    /// Encoded messages to be written.
    pub(super) queue: mpsc::Sender<Vec<u8>>,
    /// Set when this node decides to close the link: why.
    pub(super) decided: Arc<OnceLock<String>>,
    /// Set once the datapath carries the link.
    pub(super) installed: bool,
    /// Set once its beginning was told.
    pub(super) announced: bool,
}

impl Entry {
    fn standing(&self, me: PeerId, peer: PeerId) -> Standing {
        Standing {
            incarnation: self.incarnation,
            alive: self.connection.close_reason().is_none(),
            preferred: is_preferred(me, peer, self.dialed),
        }
    }
}

/// Why a connection does not become a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotEntered {
    /// The neighbor's other connection is kept.
    #[error("another link with this neighbor is kept")]
    Duplicate,
    /// There are as many links as there may be.
    #[error("this node has as many links as it may have ({NEIGHBORS_MAX})")]
    Full,
}

/// All living links.
pub(super) struct Table {
    me: PeerId,
    links: BTreeMap<PeerId, Entry>,
    labels: BTreeMap<PeerId, Label>,
    links_ever: u64,
    /// Draws labels.
    rng: Rng,
}

impl Table {
    /// An empty table of the node `me`; `seed` is for its labels.
    pub(super) fn new(me: PeerId, seed: u64) -> Self {
        let rng = Rng::from_seed(seed);
        Self { me, links: BTreeMap::new(), labels: BTreeMap::new(), links_ever: 0, rng }
    }

    /// This node's label for its link to `peer`: random, unique, and the same as long as it is remembered, which is
    /// at least as long as there is a link.
    pub(super) fn label(&mut self, peer: PeerId) -> Label {
        if let Some(label) = self.labels.get(&peer) {
            return *label;
        }
        if self.labels.len() >= LABELS_MAX {
            let links = &self.links;
            self.labels.retain(|peer, _| links.contains_key(peer));
        }
        let label = loop {
            let label = Label(self.rng.next_u64() as u16);
            if label.0 != 0 && self.labels.values().all(|taken| *taken != label) {
                break label;
            }
        };
        self.labels.insert(peer, label);
        label
    }

    /// The connection with each neighbor.
    pub(super) fn connections(&self) -> impl Iterator<Item = (PeerId, &Connection)> {
        self.links.iter().map(|(peer, entry)| (*peer, &entry.connection))
    }

    /// A link id that was never given out before.
    pub(super) fn next_link(&mut self) -> LinkId {
        self.links_ever += 1;
        LinkId(self.links_ever)
    }

    /// Enters a link, if it is the one to keep; returns the one that it replaces.
    pub(super) fn enter(&mut self, peer: PeerId, entry: Entry) -> Result<Option<Entry>, NotEntered> {
        match self.links.get(&peer) {
            Some(old) if old.standing(self.me, peer).outlasts(&entry.standing(self.me, peer)) => {
                Err(NotEntered::Duplicate)
            }
            None if self.links.len() >= NEIGHBORS_MAX => Err(NotEntered::Full),
            _ => Ok(self.links.insert(peer, entry)),
        }
    }

    /// Notes that the datapath carries `link`.
    pub(super) fn installed(&mut self, peer: PeerId, link: LinkId) {
        if let Some(entry) = self.links.get_mut(&peer).filter(|entry| entry.link == link) {
            entry.installed = true;
        }
    }

    /// Notes that the beginning of `link` is told; false if another has taken its place.
    pub(super) fn announced(&mut self, peer: PeerId, link: LinkId) -> bool {
        let entry = self.links.get_mut(&peer).filter(|entry| entry.link == link);
        entry.map(|entry| entry.announced = true).is_some()
    }

    /// Takes `link` out, unless another has taken its place already.
    pub(super) fn remove(&mut self, peer: PeerId, link: LinkId) {
        if self.links.get(&peer).is_some_and(|entry| entry.link == link) {
            self.links.remove(&peer);
        }
    }

    /// The link to `peer`.
    pub(super) fn of_peer(&self, peer: PeerId) -> Option<&Entry> {
        self.links.get(&peer)
    }

    /// The link with this id.
    pub(super) fn of_link(&self, link: LinkId) -> Option<&Entry> {
        self.links.values().find(|entry| entry.link == link)
    }

    /// Every link that the datapath carries, by peer.
    pub(super) fn snapshot(&self) -> Vec<LinkSnapshot> {
        let installed = self.links.iter().filter(|(_, entry)| entry.installed);
        installed
            .map(|(peer, entry)| LinkSnapshot {
                peer: *peer,
                link: entry.link,
                label: entry.label,
                remote: canonical(entry.connection.remote_address()),
                dialed: entry.dialed,
                incarnation: entry.incarnation,
            })
            .collect()
    }
}

/// Whether a connection between `me` and `peer` was dialed by the one with the smaller id.
fn is_preferred(me: PeerId, peer: PeerId, dialed: bool) -> bool {
    (me < peer) == dialed
}

/// Labels remembered, also of neighbors that are gone: a link that comes back is named in paths as before.
const LABELS_MAX: usize = 8 * NEIGHBORS_MAX;
const _: () = assert!(LABELS_MAX < 32 * 1024, "a free label is found within a few draws");

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(first: u8) -> PeerId {
        PeerId::from_public_key([first; 32])
    }

    const OLD: Standing = Standing { incarnation: 1, alive: true, preferred: true };
    const NEW: Standing = Standing { incarnation: 1, alive: true, preferred: false };

    #[test]
    fn only_a_living_preferred_link_of_the_same_incarnation_outlasts_another() {
        assert!(OLD.outlasts(&NEW));
        assert!(!OLD.outlasts(&Standing { preferred: true, ..NEW }), "the same side dialed again: it knows why");
        assert!(!OLD.outlasts(&Standing { incarnation: 2, ..NEW }), "the neighbor was restarted");
        assert!(!Standing { alive: false, ..OLD }.outlasts(&NEW));
        assert!(!Standing { preferred: false, ..OLD }.outlasts(&NEW));
    }

    #[test]
    fn both_ends_prefer_the_same_connection() {
        let (small, large) = (peer(1), peer(2));
        for small_dialed in [true, false] {
            assert_eq!(is_preferred(small, large, small_dialed), small_dialed);
            assert_eq!(is_preferred(large, small, !small_dialed), small_dialed);
        }
    }

    #[test]
    fn a_label_stays_and_is_not_shared() {
        let mut table = Table::new(peer(0), 1);
        let labels: Vec<Label> = (1..200).map(|i| table.label(peer(i))).collect();
        let again: Vec<Label> = (1..200).map(|i| table.label(peer(i))).collect();
        assert_eq!(labels, again);
        let unique: std::collections::BTreeSet<Label> = labels.iter().copied().collect();
        assert_eq!(unique.len(), labels.len());
        assert!(!unique.contains(&Label(0)));
    }

    #[test]
    fn labels_of_strangers_are_forgotten_in_time() {
        let mut table = Table::new(peer(0), 1);
        for i in 0..2 * LABELS_MAX {
            let mut key = [7; 32];
            key[..8].copy_from_slice(&(i as u64).to_be_bytes());
            table.label(PeerId::from_public_key(key));
            assert!(table.labels.len() <= LABELS_MAX);
        }
    }
}
