//! How each role is recorded: what it is made of, and what it signs.

use serde::{Deserialize, Serialize};

use super::{Recorded, RoleName};
use crate::executor::Executor;
use crate::gossip::{self, Gossip};
use crate::incident::Incident;
use crate::ledger::{self, Keeper};
use crate::monitor::{self, Monitor};
use crate::pathfinder::{self, Pathfinder};
use crate::peer::{Peer, Probing};
use crate::planner::Planner;
use crate::policy::Policy;
use crate::rebalancer::{self, Rebalancer};
use crate::signer::Signer;
use crate::{Instant, PeerId, Rejected};

/// What a gossip role is made of, besides the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GossipStart {
    /// The node.
    pub me: PeerId,
    /// What its randomness is drawn from.
    pub seed: u64,
    /// When it starts.
    pub now: Instant,
}

/// What a peer role is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStart {
    /// The neighbor.
    pub peer: PeerId,
    /// How its link is probed.
    pub probing: Probing,
    /// What its randomness is drawn from.
    pub seed: u64,
    /// When it starts.
    pub now: Instant,
}

/// What a monitor role is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorStart {
    /// What it watches for.
    pub config: monitor::Config,
    /// The number of its first incident.
    pub next_id: u64,
    /// Incidents that are open.
    pub open: Vec<Incident>,
    /// When it starts.
    pub now: Instant,
}

/// What a pathfinder role is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathfinderStart {
    /// The node.
    pub me: PeerId,
    /// What it is to do.
    pub config: pathfinder::Config,
    /// What its randomness is drawn from.
    pub seed: u64,
}

/// What a planner role is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannerStart {
    /// Incidents that are open.
    pub open: Vec<Incident>,
    /// When it starts.
    pub now: Instant,
}

/// What a rebalancer role is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebalancerStart {
    /// How it is to rebalance.
    pub config: rebalancer::Config,
    /// What its randomness is drawn from.
    pub seed: u64,
    /// When it starts.
    pub now: Instant,
}

/// What a keeper role is made of, besides the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeeperStart {
    /// The node.
    pub me: PeerId,
    /// When it starts.
    pub now: Instant,
}

impl Recorded for Gossip {
    const ROLE: RoleName = RoleName::Gossip;
    type Start = GossipStart;

    fn made_of(GossipStart { me, seed, now }: GossipStart) -> Self {
        Gossip::new(Signer::recalling(me), seed, now)
    }

    /// What the gate checks of a message, besides its records: those verify themselves.
    fn check(input: &gossip::Input) -> Result<(), Rejected> {
        match input {
            gossip::Input::Heard { message, .. } => message.check(),
            gossip::Input::SetLedgerHead(head) => head.verify(),
            _ => Ok(()),
        }
    }

    fn note_signatures(&mut self) {
        self.signer_mut().note();
    }

    fn take_signatures(&mut self) -> Vec<Vec<u8>> {
        self.signer_mut().take()
    }

    fn recall_signatures(&mut self, signatures: Vec<Vec<u8>>) {
        self.signer_mut().recall(signatures);
    }
}

impl Recorded for Peer {
    const ROLE: RoleName = RoleName::Peer;
    type Start = PeerStart;

    fn made_of(PeerStart { peer, probing, seed, now }: PeerStart) -> Self {
        Peer::new(peer, probing, seed, now)
    }
}

impl Recorded for Monitor {
    const ROLE: RoleName = RoleName::Monitor;
    type Start = MonitorStart;

    fn made_of(MonitorStart { config, next_id, open, now }: MonitorStart) -> Self {
        Monitor::new(config, next_id, open, now)
    }
}

impl Recorded for Pathfinder {
    const ROLE: RoleName = RoleName::Pathfinder;
    type Start = PathfinderStart;

    fn made_of(PathfinderStart { me, config, seed }: PathfinderStart) -> Self {
        Pathfinder::new(me, config, seed)
    }
}

impl Recorded for Planner {
    const ROLE: RoleName = RoleName::Planner;
    type Start = PlannerStart;

    fn made_of(PlannerStart { open, now }: PlannerStart) -> Self {
        Planner::new(open, now)
    }
}

impl Recorded for Executor {
    const ROLE: RoleName = RoleName::Executor;
    type Start = ();

    fn made_of((): ()) -> Self {
        Executor::default()
    }
}

impl Recorded for Rebalancer {
    const ROLE: RoleName = RoleName::Rebalancer;
    type Start = RebalancerStart;

    fn made_of(RebalancerStart { config, seed, now }: RebalancerStart) -> Self {
        Rebalancer::new(config, seed, now)
    }
}

impl Recorded for Policy {
    const ROLE: RoleName = RoleName::Policy;
    type Start = ();

    fn made_of((): ()) -> Self {
        Policy::default()
    }
}

impl Recorded for Keeper {
    const ROLE: RoleName = RoleName::Ledger;
    type Start = KeeperStart;

    fn made_of(KeeperStart { me, now }: KeeperStart) -> Self {
        Keeper::new(Signer::recalling(me), now)
    }

    fn check(input: &ledger::Input) -> Result<(), Rejected> {
        match input {
            ledger::Input::Loaded { entries } => entries.iter().flatten().try_for_each(ledger::Entry::check),
            ledger::Input::HeadHeard { head, .. } => head.verify(),
            ledger::Input::Heard { message, .. } => message.check(),
            _ => Ok(()),
        }
    }

    fn note_signatures(&mut self) {
        self.signer_mut().note();
    }

    fn take_signatures(&mut self) -> Vec<Vec<u8>> {
        self.signer_mut().take()
    }

    fn recall_signatures(&mut self, signatures: Vec<Vec<u8>>) {
        self.signer_mut().recall(signatures);
    }
}
