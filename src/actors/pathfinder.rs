//! The PathfinderActor: finds, proves and installs paths.

use prunella_core::pathfinder::Pathfinder;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{PathfinderMsg, PathfinderQuery};

impl Role for Pathfinder {
    type Query = PathfinderQuery;

    fn answer(&self, query: PathfinderQuery) {
        // Whoever asked may have stopped waiting.
        match query {
            PathfinderQuery::Paths { destination, reply } => {
                let _ = reply.send(self.paths(destination));
            }
            PathfinderQuery::Why { destination, now, reply } => {
                let _ = reply.send(self.why(destination, now));
            }
            PathfinderQuery::Reachable(reply) => {
                let _ = reply.send(self.reachable());
            }
        }
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<PathfinderMsg>) {
        directory.enter(|slots| slots.pathfinder = Some(mailbox));
    }
}
