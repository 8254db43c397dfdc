//! The RebalancerActor: exchanges far neighbors for near ones.

use prunella_core::rebalancer::Rebalancer;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{RebalancerMsg, RebalancerQuery};

impl Role for Rebalancer {
    type Query = RebalancerQuery;

    fn answer(&self, query: RebalancerQuery) {
        let RebalancerQuery::Regions(reply) = query;
        // Whoever asked may have stopped waiting.
        let _ = reply.send(self.regions());
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<RebalancerMsg>) {
        directory.enter(|slots| slots.rebalancer = Some(mailbox));
    }
}
