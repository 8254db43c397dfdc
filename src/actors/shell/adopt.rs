//! What a new actor finds: its machine, built from durable facts, and what the shell's tables hold for it to adopt.

use prunella_core::executor::Executor;
use prunella_core::gossip::Gossip;
use prunella_core::monitor::{Monitor, RTT_LIMIT};
use prunella_core::pathfinder::Pathfinder;
use prunella_core::peer::{Peer, Probing};
use prunella_core::planner::Planner;
use prunella_core::rebalancer::Rebalancer;
use prunella_core::record::{NodeBody, SignedRecord};
use prunella_core::recording::{GossipStart, MonitorStart, PathfinderStart, PeerStart, PlannerStart, RebalancerStart};
use prunella_core::wire::codec;
use prunella_core::{PeerId, gossip, monitor, pathfinder, peer, planner, rebalancer};
use prunella_storage::{Store, StoreError, Tree};

use super::Shell;
use crate::actors::driver::Newborn;
use crate::config::Paths;

impl Shell {
    /// A GossipActor's machine: it knows what the store holds, and says what this node has to say.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn gossip(&self) -> Result<Newborn<Gossip>, StoreError> {
        self.readmit_all();
        self.forget_reputations();
        let now_ms = self.unix_ms();
        let values = self.store.scan(Tree::Records)?;
        let kept = values.into_iter().filter_map(|(_, value)| codec::decode::<SignedRecord>(&value).ok());
        let loaded = gossip::load(&self.credentials.peer(), kept.chain(self.passing_records()), now_ms);
        let body = NodeBody {
            name: self.config.name.clone(),
            addresses: self.advertised.clone(),
            region: self.config.region.clone(),
            announced: self.announced(),
        };
        let mut first = vec![
            gossip::Input::Clock { unix_ms: now_ms },
            gossip::Input::Loaded(loaded),
            gossip::Input::Announce(body),
        ];
        // Before what the store holds: what the expelled have said is not taken up again.
        first.splice(1..1, self.told_to_gossip());
        let exposed = self.services().exposed().into_iter();
        first.extend(exposed.map(|(name, _)| gossip::Input::SetService { name, exposed: true }));
        let (seed, now) = (self.host.random_u64(), self.clock.now());
        let machine = Gossip::new(self.credentials.identity().clone(), seed, now);
        Ok(Newborn { machine, made_of: GossipStart { me: self.credentials.peer(), seed, now }, first })
    }

    /// A PeerActor's machine: it takes over a link that lives, or dials where the neighbor was last.
    pub fn peer(&self, peer: PeerId) -> Newborn<Peer> {
        let probe = &self.config.probe;
        let probing = Probing {
            interval: probe.link_interval(),
            idle_interval: probe.idle_interval(),
            late_after: probe.late_after() + probe.link_interval(),
            dead_after: probe.dead_after(),
        };
        let start = PeerStart { peer, probing, seed: self.host.random_u64(), now: self.clock.now() };
        // Whoever failed while it was told of the end hears of it again.
        if !self.roster.contains(&peer) {
            return Newborn::of(start, vec![peer::Input::Forgotten]);
        }
        let mut first = Vec::new();
        if let Some(living) = self.links().snapshot().iter().find(|link| link.peer == peer) {
            first.push(peer::Input::LinkEstablished { link: living.link, label: living.label });
        }
        let mut addresses = self.roster.addresses(&peer);
        if addresses.is_empty() {
            addresses = self.known.nodes().remove(&peer).map(|node| node.addresses).unwrap_or_default();
        }
        first.push(peer::Input::AddressesLearned(addresses));
        Newborn::of(start, first)
    }

    /// A PathfinderActor's machine: the destinations that have a route stay under watch, and so do those whose last path
    /// was lost, or nobody would tell when the incident is over.
    pub fn pathfinder(&self) -> Newborn<Pathfinder> {
        let probe = &self.config.probe;
        let probing = Probing {
            interval: probe.path_interval(),
            idle_interval: probe.idle_interval(),
            late_after: probe.late_after(),
            dead_after: probe.dead_after(),
        };
        let Paths { count: paths, warm } = self.config.paths;
        let lanes = self.config.sessions.spread_paths;
        let config = pathfinder::Config { paths, warm, probing, hedge_after: probe.hedge_after(), lanes };
        let wanted = |destination| pathfinder::Input::Wanted { destination };
        let lost = self.journal.open_incidents().into_iter().filter_map(|incident| incident.kind.lost_destination());
        let isolated = |peer| pathfinder::Input::Quarantined { peer, quarantined: true };
        let isolated = self.roster.quarantine.all().into_iter().map(isolated);
        let first = isolated.chain(self.routes.all().into_iter().chain(lost).map(wanted)).collect();
        Newborn::of(PathfinderStart { me: self.credentials.peer(), config, seed: self.host.random_u64() }, first)
    }

    /// A MonitorActor's machine: it goes on with the incidents that are open.
    pub fn monitor(&self) -> Newborn<Monitor> {
        let neighbors = &self.config.neighbors;
        let target = if neighbors.peers.is_empty() { neighbors.target } else { neighbors.peers.len() };
        let config = monitor::Config { me: self.credentials.peer(), neighbors_target: target, rtt_limit: RTT_LIMIT };
        let open = self.journal.open_incidents();
        let (next_id, now) = (self.journal.next_id(), self.clock.now());
        let isolated = |peer| monitor::Input::Quarantined { peer, quarantined: true };
        let first = self.roster.quarantine.all().into_iter().map(isolated).collect();
        Newborn::of(MonitorStart { config, next_id, open, now }, first)
    }

    /// A PlannerActor's machine: it knows what helped before.
    pub fn planner(&self) -> Newborn<Planner> {
        let isolated = |peer| planner::Input::Quarantined { peer, quarantined: true };
        let isolated = self.roster.quarantine.all().into_iter().map(isolated);
        let first = self.journal.outcomes().into_iter().map(planner::Input::Learned).chain(isolated).collect();
        Newborn::of(PlannerStart { open: self.journal.open_incidents(), now: self.clock.now() }, first)
    }

    /// An ExecutorActor's machine: what was under way is planned again, and what was to last no longer is taken back.
    pub fn executor(&self) -> Newborn<Executor> {
        self.take_back();
        Newborn::of((), Vec::new())
    }

    /// A RebalancerActor's machine. Where the operator lists the neighbors, nobody is exchanged.
    pub fn rebalancer(&self) -> Newborn<Rebalancer> {
        let neighbors = &self.config.neighbors;
        let config = rebalancer::Config {
            me: self.credentials.peer(),
            target: neighbors.target,
            every: neighbors.rebalance_every(),
            configured: neighbors.peers.iter().copied().collect(),
        };
        Newborn::of(RebalancerStart { config, seed: self.host.random_u64(), now: self.clock.now() }, Vec::new())
    }
}
