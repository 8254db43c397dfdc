//! What actors send to each other: a role's inputs, its wake-up, and questions with a way back. Reply ports live only here.

use prunella_core::ledger::{Cosignature, Fault, Head, Inclusion, SignedHead};
use prunella_core::pathfinder::{PathView, Why};
use prunella_core::peer::LinkReport;
use prunella_core::rebalancer::Regions;
use prunella_core::record::{ProvenRecord, RecordId};
use prunella_core::reputation::Score;
use prunella_core::{
    Instant, PeerId, Verified, executor, gossip, ledger, monitor, pathfinder, peer, planner, policy, rebalancer,
};
use ractor::RpcReplyPort;

/// A mailbox of a role: `I` is the role's input, `Q` its questions.
#[derive(Debug)]
pub enum Mail<I, Q> {
    /// Something that the role may hear.
    Input(I),
    /// The role's deadline has passed.
    Wake,
    /// A question; it never changes the role's state.
    Query(Q),
    /// What does the machine know? As text, and whether that is all of it.
    Look(RpcReplyPort<(String, bool)>),
    /// Fail now, in this way: chaos, to see that the actor comes back.
    Fail(Failure),
}

/// How an actor is made to fail from within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It panics.
    Panic,
    /// It returns an error.
    Error,
}

/// Questions to a peer role.
#[derive(Debug)]
pub enum PeerQuery {
    /// How is the link?
    Report(RpcReplyPort<LinkReport>),
}

/// Questions to the pathfinder role.
#[derive(Debug)]
pub enum PathfinderQuery {
    /// Which paths lead to a node?
    Paths {
        /// Whither.
        destination: PeerId,
        /// The way back.
        reply: RpcReplyPort<Vec<PathView>>,
    },
    /// Which paths lead to a node, and why does traffic take the one that it takes?
    Why {
        /// Whither.
        destination: PeerId,
        /// The time of the question.
        now: Instant,
        /// The way back.
        reply: RpcReplyPort<Vec<(PathView, Why)>>,
    },
    /// Which nodes can be reached, and over how many relays?
    Reachable(RpcReplyPort<std::collections::BTreeMap<PeerId, usize>>),
}

/// Questions to the gossip role.
#[derive(Debug)]
pub enum GossipQuery {
    /// How does the mesh stand?
    Standing(RpcReplyPort<gossip::Standing>),
    /// How far is a node believed?
    Score {
        /// Which.
        peer: PeerId,
        /// The way back.
        reply: RpcReplyPort<Score>,
    },
    /// How does the role's work go?
    Progress(RpcReplyPort<gossip::Progress>),
    /// Which records are held, and is the second signature of each?
    Records {
        /// Which are asked for.
        wanted: gossip::Wanted,
        /// The way back.
        reply: RpcReplyPort<Vec<(Verified<ProvenRecord>, bool)>>,
    },
    /// One record, as above.
    Record {
        /// Which.
        id: RecordId,
        /// The way back.
        reply: RpcReplyPort<Option<(Verified<ProvenRecord>, bool)>>,
    },
    /// What is held that a later process should know?
    Lasting(RpcReplyPort<Vec<Verified<ProvenRecord>>>),
}

/// Questions to the rebalancer role.
#[derive(Debug)]
pub enum RebalancerQuery {
    /// What do latencies say about regions?
    Regions(RpcReplyPort<Regions>),
}

/// Questions to the keeper role.
#[derive(Debug)]
pub enum LedgerQuery {
    /// How do the ledgers stand?
    State(RpcReplyPort<LedgerState>),
    /// What proves that an entry is there? `None`: no head that covers it was signed yet.
    Proof {
        /// Its number.
        index: u64,
        /// The way back.
        reply: RpcReplyPort<Option<LedgerProof>>,
    },
}

/// How this node's ledger stands, and those that it watches.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerState {
    /// What is durable.
    pub head: Head,
    /// Whether something can be written.
    pub is_ready: bool,
    /// Events that are not durable yet.
    pub waiting: usize,
    /// Whether others have seen of this ledger what it does not have.
    pub is_rolled_back: bool,
    /// What was found wrong with ledgers of others, by ledger.
    pub found: Vec<(PeerId, Fault)>,
    /// The newest head of each other ledger that continues all that was heard before, by ledger.
    pub watched: Vec<SignedHead>,
    /// The numbers of entries of this ledger that are damaged, the first ones of many.
    pub damaged: Vec<u64>,
    /// How many damaged entries are as they were again.
    pub repaired: u64,
    /// How often a neighbor gave something else than was asked for.
    pub others_given: u64,
    /// How many neighbors have signed that they have seen the newest head that somebody has seen.
    pub witnesses: usize,
    /// Of which other ledgers there are copies of entries, and up to which number.
    pub copies: Vec<(PeerId, u64)>,
}

/// That an entry is in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerProof {
    /// That it is under the root.
    pub inclusion: Inclusion,
    /// That this node has signed the root.
    pub head: SignedHead,
    /// Who has seen that.
    pub seen: Vec<Cosignature>,
}

/// A role that nobody asks anything.
#[derive(Debug)]
pub enum NoQuery {}

/// The mailbox of a PeerActor.
pub type PeerMsg = Mail<peer::Input, PeerQuery>;
/// The mailbox of the GossipActor.
pub type GossipMsg = Mail<gossip::Input, GossipQuery>;
/// The mailbox of the PathfinderActor.
pub type PathfinderMsg = Mail<pathfinder::Input, PathfinderQuery>;
/// The mailbox of the MonitorActor.
pub type MonitorMsg = Mail<monitor::Input, NoQuery>;
/// The mailbox of the PlannerActor.
pub type PlannerMsg = Mail<planner::Input, NoQuery>;
/// The mailbox of the ExecutorActor.
pub type ExecutorMsg = Mail<executor::Input, NoQuery>;
/// The mailbox of the RebalancerActor.
pub type RebalancerMsg = Mail<rebalancer::Input, RebalancerQuery>;
/// The mailbox of the PolicyActor.
pub type PolicyMsg = Mail<policy::Input, NoQuery>;

/// The mailbox of the LedgerActor.
pub type LedgerMsg = Mail<ledger::Input, LedgerQuery>;

/// The mailbox of the KnowledgeActor, the one writer in front of the store.
#[derive(Debug)]
pub enum KnowledgeMsg {
    /// Something is to be kept: write out the backlog.
    Keep,
    /// Fail now, in this way.
    Fail(Failure),
}
