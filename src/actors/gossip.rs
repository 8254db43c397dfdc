//! The GossipActor: replicates the records of all nodes.

use prunella_core::gossip::Gossip;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{GossipMsg, NoQuery};

impl Role for Gossip {
    type Query = NoQuery;

    fn answer(&self, query: NoQuery) {
        match query {}
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<GossipMsg>) {
        directory.enter(|slots| slots.gossip = Some(mailbox));
    }
}
