//! What the authority of the mesh says, and whom it has expelled.
//!
//! A statement proves itself, by certificates that this crate cannot read: so the role hands it on as it came, to whoever
//! can check it, and believes nothing of it. It is said by those who issue, each under its own name, so that it is there
//! for newcomers as long as one of them is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Gossip};
use crate::limits::STATEMENTS_MAX;
use crate::record::{Body, Kind};
use crate::{Instant, PeerId};

/// What this node hands on, and nobody hears.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// What this node says, by subject.
    said: BTreeMap<String, Vec<u8>>,
    expelled: BTreeSet<PeerId>,
}

impl Statements {
    pub(super) fn said(&self, subject: &str) -> Option<Body> {
        self.said.get(subject).cloned().map(Body::Statement)
    }

    /// Whether nothing of this origin is to be held.
    pub(super) fn is_expelled(&self, origin: &PeerId) -> bool {
        self.expelled.contains(origin)
    }
}

impl Gossip {
    /// This node says a statement, from now on. Beyond [`STATEMENTS_MAX`] others have to.
    pub(super) fn state(&mut self, subject: String, bytes: Vec<u8>, now: Instant, effects: &mut Vec<Effect>) {
        let id = self.own_id(Kind::Statement, &subject);
        let said = &mut self.statements.said;
        if said.len() >= STATEMENTS_MAX && !said.contains_key(&subject) {
            return;
        }
        if said.get(&subject) != Some(&bytes) {
            said.insert(subject, bytes);
            self.republish(&id, now, effects);
        }
    }

    /// A node is a member no more, or again: what it has said is dropped, and nothing of it is taken in.
    pub(super) fn expel(&mut self, peer: PeerId, expelled: bool, now: Instant, effects: &mut Vec<Effect>) {
        if peer == self.signer.peer() {
            return;
        }
        if !expelled {
            self.statements.expelled.remove(&peer);
        } else if self.statements.expelled.len() < STATEMENTS_MAX && self.statements.expelled.insert(peer) {
            for gone in self.held.drop_origin(&peer) {
                self.let_go(&gone, now, effects);
            }
        }
    }
}
