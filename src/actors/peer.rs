//! The PeerActor, one per neighbor: the life of the link to it.

use prunella_core::peer::Peer;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{PeerMsg, PeerQuery};

impl Role for Peer {
    type Query = PeerQuery;

    fn answer(&self, query: PeerQuery) {
        let PeerQuery::Report(reply) = query;
        // Whoever asked may have stopped waiting.
        let _ = reply.send(self.report());
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<PeerMsg>) {
        directory.enter(|slots| {
            slots.peers.insert(self.report().peer, mailbox);
        });
    }
}
