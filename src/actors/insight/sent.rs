//! Whom an actor sends how much: one count for each role, written by the actor alone.

use std::sync::atomic::{AtomicU64, Ordering};

use prunella_core::wiring::Route;

/// How much an actor has sent, by whom it was for, over all of its lives.
#[derive(Debug, Default)]
pub struct Sent([AtomicU64; RECEIVERS.len()]);

/// Whom actors send something: the roles, and the shell, which is no actor and performs commands.
pub const RECEIVERS: [&str; 10] =
    ["peer", "gossip", "pathfinder", "monitor", "planner", "executor", "rebalancer", "policy", "ledger", "shell"];

impl Sent {
    /// Counts what is about to be sent. For the actor alone: so a count is a load and a store.
    pub fn note(&self, routes: &[Route]) {
        for route in routes {
            let count = &self.0[receiver(route)];
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// How much went to each of [`RECEIVERS`], in their order. What is for all neighbors counts once.
    pub fn read(&self) -> [u64; RECEIVERS.len()] {
        std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed))
    }
}

/// Its place in [`RECEIVERS`].
const fn receiver(route: &Route) -> usize {
    match route {
        Route::Peer(..) | Route::Peers(_) => 0,
        Route::Gossip(_) => 1,
        Route::Pathfinder(_) => 2,
        Route::Monitor(_) => 3,
        Route::Planner(_) => 4,
        Route::Executor(_) => 5,
        Route::Rebalancer(_) => 6,
        Route::Policy(_) => 7,
        Route::Ledger(_) => 8,
        Route::Shell(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{gossip, peer};

    use super::*;

    #[test]
    fn what_is_sent_is_counted_by_whom_it_is_for() {
        let sent = Sent::default();
        let resync = || Route::Gossip(gossip::Input::ResyncRequested);
        sent.note(&[resync(), Route::Peers(peer::Input::Forgotten)]);
        sent.note(&[resync()]);
        let told: Vec<_> = RECEIVERS.iter().zip(sent.read()).filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, [(&"peer", 1), (&"gossip", 2)]);
    }
}
