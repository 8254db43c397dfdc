//! How processes and roles begin and end: booted, killed, held still, crashed, restarted, and told the wrong time.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_core::node::{Neighbor, Node, Role};
use prunella_core::wiring::Route;
use prunella_core::{PeerId, ledger, monitor};

use crate::config::Bug;
use crate::disk::Damage;
use crate::event::Event;
use crate::news::News;
use crate::world::World;

impl World {
    /// Starts a host's process.
    pub(crate) fn boot(&mut self, host: usize) {
        self.begin_records(host);
        let (now, neighbors) = (self.now, self.roster(host));
        let state = &mut self.hosts[host];
        state.life += 1;
        state.resumed = now;
        let (life, mut commands) = (state.life, Vec::new());
        let config = state.node_config(neighbors.len());
        let adopted = state.adopted(neighbors, now);
        state.process = Some(Node::boot(state.identity.clone(), config, adopted, now, &mut commands));
        let records = self.hosts[host].process.as_ref().map_or(0, |node| node.gossip().records().count());
        self.spread_news(News::Starts { host, records });
        self.check_memory(host);
        self.settle(host, commands);
        self.write_down(host, ledger::Event::Started { version: "simulated".to_owned() });
        self.queue.push(now, Event::Tick { host, life });
        self.queue.push(now, Event::Sample { host, life, due: now });
    }

    /// Ends a host's process without a word.
    pub(crate) fn kill(&mut self, host: usize, damage: Damage) {
        let state = &mut self.hosts[host];
        state.disk.flush(self.now);
        state.damage(damage, self.now);
        if self.config.bug == Some(Bug::ForgottenEntry) {
            state.ledger.forget_newest();
        }
        state.kill();
        self.check_routes();
    }

    /// Lets a process go on, with all that arrived meanwhile.
    pub(crate) fn resume(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        state.paused = state.paused.saturating_sub(1);
        if state.paused == 0 {
            state.resumed = self.now;
            for event in std::mem::take(&mut state.deferred) {
                self.queue.push(self.now, event);
            }
        }
    }

    /// Lets a role crash; its supervisor starts it again a little later.
    pub(crate) fn crash(&mut self, host: usize, role: Role) {
        if let Some(node) = &mut self.hosts[host].process {
            node.crash(role);
            self.plan_restart(host);
        }
    }

    /// Supervisors notice that roles have crashed.
    pub(crate) fn plan_restart(&mut self, host: usize) {
        let down = self.hosts[host].process.as_ref().is_some_and(|node| !node.runs(Role::Shell));
        if down && self.hosts[host].restart_at.is_none() {
            let (at, life) = (self.soon(RESTART_WITHIN), self.hosts[host].life);
            self.hosts[host].restart_at = Some(at);
            self.queue.push(at, Event::Restart { host, life });
        }
    }

    /// A supervisor starts the roles again that have crashed.
    pub(crate) fn on_restart(&mut self, host: usize, life: u64) {
        if self.hosts[host].life != life {
            return;
        }
        self.spread_news(News::RolesRestarted { host });
        if self.hosts[host].process.as_ref().is_some_and(|node| !node.runs(Role::Gossip)) {
            self.begin_records(host);
        }
        if self.hosts[host].process.as_ref().is_some_and(|node| !node.runs(Role::Ledger)) {
            self.hosts[host].ledger.abandon();
        }
        let (now, roster) = (self.now, self.roster(host));
        let state = &mut self.hosts[host];
        state.restart_at = None;
        state.resumed = now;
        let adopted = state.adopted(roster, now);
        let Some(node) = &mut state.process else { return };
        let mut commands = Vec::new();
        node.restart(adopted, now, &mut commands);
        self.settle(host, commands);
        for input in [
            monitor::Input::ActorFailed { actor: "role".to_owned(), reason: "a fault".to_owned() },
            monitor::Input::ActorRestarted { actor: "role".to_owned() },
        ] {
            self.tell(host, Route::Monitor(input));
        }
    }

    /// A host's wall clock is set to another time.
    pub(crate) fn jump(&mut self, host: usize, by_ms: i64) {
        self.hosts[host].set_clock(by_ms, self.now);
    }

    /// The neighbors that a node wants, and what its shell knows of them.
    fn roster(&self, host: usize) -> BTreeMap<PeerId, Neighbor> {
        let neighbor = |neighbor: usize| {
            let link = self.hosts[host].link_to(neighbor).map(|(id, link)| (id, link.label));
            (self.hosts[neighbor].peer_id(), Neighbor { link, addresses: vec![self.hosts[neighbor].address] })
        };
        self.network.neighbors(host).into_iter().map(neighbor).collect()
    }
}

/// Within what time a supervisor has started a role again.
const RESTART_WITHIN: Duration = Duration::from_millis(50);
