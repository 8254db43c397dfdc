//! The GossipActor: replicates the records of all nodes.

use prunella_core::gossip::Gossip;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{GossipMsg, GossipQuery};

impl Role for Gossip {
    type Query = GossipQuery;

    fn answer(&self, query: GossipQuery) {
        // Whoever asked may have stopped waiting.
        match query {
            GossipQuery::Standing(reply) => {
                let _ = reply.send(self.standing());
            }
            GossipQuery::Score { peer, reply } => {
                let _ = reply.send(self.score(&peer));
            }
            GossipQuery::Progress(reply) => {
                let _ = reply.send(self.progress());
            }
            GossipQuery::Records { wanted, reply } => {
                let _ = reply.send(self.wanted(&wanted));
            }
            GossipQuery::Record { id, reply } => {
                let _ = reply.send(self.record(&id));
            }
            GossipQuery::Lasting(reply) => {
                let lasts = self.proven().filter(|proven| proven.record.id.kind.outlives_processes());
                let _ = reply.send(lasts.cloned().collect());
            }
        }
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<GossipMsg>) {
        directory.enter(|slots| slots.gossip = Some(mailbox));
    }
}
