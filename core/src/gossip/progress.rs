//! How gossip goes with each neighbor: for whoever looks at it, and for nothing else. No decision rests on it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Gossip;
use crate::reconcile::Message;
use crate::record::{Kind, Matter, ProvenRecord, RecordId};
use crate::{Instant, PeerId, Verified};

/// What was exchanged with one neighbor since its link came up, to hold the same as it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Talk {
    /// When it was last told this node's root.
    pub greeted: Option<Instant>,
    /// When it last said something about what it holds.
    pub heard: Option<Instant>,
    /// When both last held the same, as far as it has told.
    pub agreed: Option<Instant>,
    /// How many records it held when it last greeted.
    pub held_there: Option<u32>,
    /// Rounds over a sketch of what differs: this node and the neighbor have begun so many together.
    pub rounds: u64,
    /// Full syncs, likewise.
    pub syncs: u64,
    /// Records that were given to it because it lacked them.
    pub given: u64,
    /// Records that it gave and that were news here.
    pub taken: u64,
}

/// A neighbor's place in the tree, and what was exchanged with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NeighborView {
    /// Which.
    pub peer: PeerId,
    /// Whether it is pushed what is new; otherwise it is told that there is something.
    pub eager: bool,
    /// Whether it has told that it holds the same records.
    pub in_sync: bool,
    /// What was exchanged.
    pub talk: Talk,
}

/// How the role's work goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Every neighbor with a usable link, in ascending order.
    pub neighbors: Vec<NeighborView>,
    /// Records held.
    pub records: usize,
    /// Records that neighbors have announced and that have not come.
    pub missing: usize,
}

/// Which records are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those of this node.
    pub origin: Option<PeerId>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// Only those after this one.
    pub after: Option<RecordId>,
    /// How many at most.
    pub most: usize,
}

/// What was exchanged with each neighbor.
#[derive(Debug, Default)]
pub(super) struct Talks(BTreeMap<PeerId, Talk>);

impl Talks {
    /// The talk with a neighbor. Whoever calls has seen that it is one, of which there are few.
    pub(super) fn with(&mut self, peer: PeerId) -> &mut Talk {
        self.0.entry(peer).or_default()
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

impl Talk {
    /// Counts the message that a round or a full sync begins with, whoever sent it.
    pub(super) fn note(&mut self, message: &Message) {
        match message {
            Message::Cells { start: 0, .. } => self.rounds += 1,
            Message::Groups { .. } => self.syncs += 1,
            _ => {}
        }
    }
}

impl Gossip {
    /// How the role's work goes.
    pub fn progress(&self) -> Progress {
        let eager: BTreeMap<PeerId, bool> = self.tree.neighbors().collect();
        let view = |(peer, in_sync)| NeighborView {
            peer,
            eager: eager.get(&peer).copied().unwrap_or_default(),
            in_sync,
            talk: self.talks.0.get(&peer).copied().unwrap_or_default(),
        };
        Progress {
            neighbors: self.repair.neighbors().into_iter().map(view).collect(),
            records: self.held.len(),
            missing: self.tree.missing(),
        }
    }

    /// Records held, ordered by id, each with whether its second signature is held.
    pub fn wanted(&self, wanted: &Wanted) -> Vec<(Verified<ProvenRecord>, bool)> {
        let fits = |id: &RecordId| {
            wanted.origin.is_none_or(|origin| id.origin == origin)
                && wanted.kind.is_none_or(|kind| id.kind == kind)
                && wanted.after.as_ref().is_none_or(|after| id > after)
        };
        let records = self.held.iter().filter(|proven| fits(&proven.record.id)).take(wanted.most);
        records.map(|proven| (proven.clone(), self.is_endorsed(proven))).collect()
    }

    /// The record with this id, as [`Gossip::wanted`] tells it.
    pub fn record(&self, id: &RecordId) -> Option<(Verified<ProvenRecord>, bool)> {
        let proven = self.held.get(id)?;
        Some((proven.clone(), self.is_endorsed(proven)))
    }

    fn is_endorsed(&self, proven: &ProvenRecord) -> bool {
        let Some((matter, _)) = Matter::of(&proven.record.body) else { return false };
        let (origin, key) = (proven.record.id.origin, matter.key().to_owned());
        self.held.get(&RecordId { origin, kind: Kind::Endorsement, key }).is_some()
    }
}
