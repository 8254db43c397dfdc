//! What is on its way between the roles of one node, and the order in which it arrives.
//!
//! Between actors only one order holds: what one role sends to one other arrives as it was sent. Everything else depends
//! on how the threads were scheduled. So there is a queue for each pair of sender and receiver, and a seeded draw says
//! which of them moves next: each seed is one schedule.

use std::collections::VecDeque;

use crate::PeerId;
use crate::rng::Rng;
use crate::wiring::Route;

/// Who sends or receives within a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The shell: it sends what comes from outside, and receives commands.
    Shell,
    /// The peer role of one neighbor.
    Peer(PeerId),
    /// The gossip role.
    Gossip,
    /// The pathfinder role.
    Pathfinder,
    /// The monitor role.
    Monitor,
    /// The planner role.
    Planner,
    /// The executor role.
    Executor,
    /// The rebalancer role.
    Rebalancer,
    /// The policy role.
    Policy,
    /// The keeper role.
    Ledger,
}

impl Role {
    /// For whom a route is; `None` for all peer roles at once.
    pub(crate) fn of(route: &Route) -> Option<Self> {
        Some(match route {
            Route::Peer(peer, _) => Role::Peer(*peer),
            Route::Peers(_) => return None,
            Route::Gossip(_) => Role::Gossip,
            Route::Pathfinder(_) => Role::Pathfinder,
            Route::Monitor(_) => Role::Monitor,
            Route::Planner(_) => Role::Planner,
            Route::Executor(_) => Role::Executor,
            Route::Rebalancer(_) => Role::Rebalancer,
            Route::Policy(_) => Role::Policy,
            Route::Ledger(_) => Role::Ledger,
            Route::Shell(_) => Role::Shell,
        })
    }
}

/// Messages under way between roles.
#[derive(Debug)]
pub(crate) struct Interleaving {
    rng: Rng,
    /// One queue for each sender and receiver between whom something is under way; never an empty one.
    queues: Vec<Queue>,
    waiting: usize,
    /// The most that ever waited.
    peak: usize,
}

#[derive(Debug)]
struct Queue {
    from: Role,
    to: Role,
    routes: VecDeque<Route>,
}

impl Interleaving {
    /// Nothing is under way; `seed` draws the schedule.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::from_seed(seed), queues: Vec::new(), waiting: 0, peak: 0 }
    }

    /// The most messages that were ever under way at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Sends a route. `to` is whom it is for.
    pub(crate) fn send(&mut self, from: Role, to: Role, route: Route) {
        self.waiting += 1;
        self.peak = self.peak.max(self.waiting);
        match self.queues.iter_mut().find(|queue| queue.from == from && queue.to == to) {
            Some(queue) => queue.routes.push_back(route),
            None => self.queues.push(Queue { from, to, routes: VecDeque::from([route]) }),
        }
    }

    /// The route that arrives next; `None` if nothing is under way.
    pub(crate) fn next(&mut self) -> Option<Route> {
        let at = match self.queues.len() {
            0 => return None,
            1 => 0,
            several => self.rng.below(several),
        };
        let route = self.queues[at].routes.pop_front();
        if self.queues[at].routes.is_empty() {
            self.queues.swap_remove(at);
        }
        self.waiting -= 1;
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{executor, planner};

    fn cleared(incident: u64) -> Route {
        Route::Planner(planner::Input::Cleared { incident })
    }

    /// Two senders, three messages each, as they arrive.
    fn schedule(seed: u64) -> Vec<u64> {
        let mut interleaving = Interleaving::new(seed);
        for (from, first) in [(Role::Monitor, 0), (Role::Executor, 10)] {
            (first..first + 3).for_each(|i| interleaving.send(from, Role::Planner, cleared(i)));
        }
        std::iter::from_fn(|| interleaving.next())
            .map(|route| match route {
                Route::Planner(planner::Input::Cleared { incident }) => incident,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_one_role_sends_to_one_other_arrives_in_order() {
        for seed in 0..100 {
            let (monitor, executor): (Vec<u64>, Vec<u64>) = schedule(seed).into_iter().partition(|i| *i < 10);
            assert_eq!((monitor, executor), (vec![0, 1, 2], vec![10, 11, 12]), "seed {seed}");
        }
    }

    #[test]
    fn every_order_between_two_senders_occurs() {
        let orders: std::collections::BTreeSet<Vec<u64>> = (0..1000).map(schedule).collect();
        assert_eq!(orders.len(), 20, "six choose three");
    }

    #[test]
    fn every_route_names_its_receiver() {
        let route = Route::Executor(executor::Input::Cleared { incident: 1 });
        assert_eq!((Role::of(&route), Role::of(&cleared(1))), (Some(Role::Executor), Some(Role::Planner)));
    }
}
