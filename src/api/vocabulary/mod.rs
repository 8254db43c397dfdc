//! The one vocabulary of every surface: the library handle, the control socket, the command line and the shell all speak
//! [`Request`] and [`Response`]. Nothing on the command line can do what an embedder cannot.
//!
//! On the control socket each is one line of JSON, at most `limits::CONTROL_LINE_BYTES_MAX` long.

mod actor;
mod certificate;
mod command;
mod configuration;
mod deed;
mod event;
mod gossip;
mod incident;
mod journal;
mod kernel;
mod ledger;
mod member;
mod pages;
mod path;
mod peer;
mod policy;
mod record;
mod region;
mod response;
mod service;
mod shared;
mod status;
mod store;
mod topology;
mod tun;
mod vitals;

use std::net::SocketAddr;

use prunella_core::PeerId;
use prunella_core::ledger::EventKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::actors::event_log::Event;
pub use crate::config::LogLevel;
pub use actor::{ActorDetail, ActorLink, AtInfo, FailureInfo, HandledInfo, KindInfo, TapInfo, TappedInfo, TookInfo};
pub use certificate::{CertificateInfo, CertificatesInfo, HandshakeInfo, SmokeInfo, StatementInfo};
pub use command::NotFromAfar;
pub use configuration::SettingInfo;
pub use event::{Cursor, EventInfo, EventsInfo};
pub use gossip::{ControlInfo, GossipInfo, GossipNeighbor, GossipTold};
pub use incident::{ActionInfo, IncidentInfo, PhaseInfo};
pub use journal::{JournalInfo, JournalRole};
pub use kernel::{KernelInfo, KernelNeighbor, KernelSource, SentAnew};
pub use ledger::{
    CopiedLedger, LedgerFinding, LedgerGlance, LedgerInfo, LedgerLine, LedgerProblem, LedgerProofInfo, LedgerRepair,
    LedgerReport, WatchedLedger,
};
pub use member::{BlameInfo, MemberCounts, MemberInfo, Standing};
pub(in crate::api) use pages::Pages;
pub use path::{LaneInfo, PathInfo, PathLinkInfo, PathWhy};
pub use peer::{LinkInfo, PeerInfo, Reach};
pub use policy::{PolicyAsked, PolicyInfo};
pub use prunella_core::latency::LatencySummary;
pub use record::{RECORD_KINDS, RecordDetail, RecordInfo, RecordName};
pub use region::{ClusterInfo, RegionHint, RegionsInfo};
pub use response::Response;
pub use service::{ForwardInfo, ServiceInfo};
pub use shared::{SharedInfo, SharedValue};
pub use status::Status;
pub use store::{StoreInfo, TreeInfo};
pub use topology::{TopologyInfo, TopologyLink, TopologyNode};
pub use tun::{FlowInfo, NetworkInfo, TunInfo, TunnelInfo};
pub use vitals::{ProcessInfo, TracesInfo, VitalsInfo};

use super::chaos;

/// What can be asked of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// The node at a glance; answered by [`Response::Status`].
    Status,
    /// How the node's process is, answered whatever its actors do; [`Response::Vitals`].
    Vitals,
    /// The nodes that are known, as many as fit an answer; [`Response::Peers`].
    Peers {
        /// Only nodes after this one.
        #[serde(default)]
        after: Option<PeerId>,
    },
    /// Who belongs to the mesh and is well, as many as fit an answer, and whether this node has what its neighbors have;
    /// [`Response::Members`].
    Members {
        /// Only members after this one.
        #[serde(default)]
        after: Option<PeerId>,
    },
    /// How far this node believes another, and why not further; [`Response::Reputation`].
    Reputation {
        /// A peer id, a prefix of one, or a node's name.
        peer: String,
    },
    /// Every neighbor's link; [`Response::Links`].
    Links,
    /// How the node's gossip goes; [`Response::Gossip`].
    Gossip,
    /// The signed records that the node holds, as many as fit an answer; [`Response::Records`].
    Records {
        /// Only those of this node: a peer id, a prefix of one, or a node's name.
        #[serde(default)]
        node: Option<String>,
        /// Only those of this kind: node, links, service, equivocation, shared, judgments, statement, ledger-head, place,
        /// endorsement.
        #[serde(default)]
        kind: Option<String>,
        /// Only those after this one.
        #[serde(default)]
        after: Option<RecordName>,
    },
    /// The whole of a record; [`Response::Record`].
    Record {
        /// Its id, `NODE/KIND` or `NODE/KIND/KEY`; the node by its peer id, a prefix of that, or its name.
        id: String,
    },
    /// How the node's store does; [`Response::Store`].
    Store,
    /// What the overlay interface carries; [`Response::Tun`].
    Tun,
    /// What is done in the kernel for the node; [`Response::Kernel`].
    Kernel,
    /// Whether what roles hear is recorded, and what is held of that; [`Response::Journal`].
    Journal,
    /// Who stands close together, as far as latencies tell, as many as fit an answer; [`Response::Regions`].
    Regions {
        /// Only members of clusters from this one on, counted from 0 through all clusters.
        #[serde(default)]
        from: u64,
    },
    /// Who is linked with whom, as far as this node knows, as many nodes as fit an answer; [`Response::Topology`].
    Topology {
        /// Only nodes after this one.
        #[serde(default)]
        after: Option<PeerId>,
    },
    /// What has happened since, oldest first, as much as fits an answer; [`Response::Events`].
    Events {
        /// Where to go on, as an earlier answer said; `None`: from the oldest event that is kept.
        #[serde(default)]
        after: Option<Cursor>,
        /// Without `after`: only so many, the newest.
        #[serde(default)]
        last: Option<u64>,
        /// How long to wait for an event if there is none yet, in milliseconds, at most 30,000.
        #[serde(default)]
        wait_ms: u64,
    },
    /// The configuration in force; [`Response::Configuration`].
    Configuration,
    /// Set a key of the configuration while the node runs; [`Response::Log`], as only what is logged can be set so.
    Configure {
        /// The key, with its section.
        key: String,
        /// The value.
        value: String,
    },
    /// What is logged; [`Response::Log`].
    Log,
    /// Log so from now on; [`Response::Log`].
    LogSet {
        /// The least severe messages that are logged; `None`: as at the start.
        #[serde(default)]
        level: Option<LogLevel>,
        /// Only in this module and those below it.
        #[serde(default)]
        target: Option<String>,
    },
    /// The paths to a node; [`Response::Paths`].
    Paths {
        /// A peer id, a prefix of one, or a node's name.
        destination: String,
        /// Whether to tell of each path what speaks for it and against it.
        #[serde(default)]
        why: bool,
    },
    /// Certificates, and what the authority has said; [`Response::Certificates`].
    Certificates,
    /// Shake hands with a node, and tell what it accepts; [`Response::Smoke`].
    Smoke {
        /// A peer id, a prefix of one, or a node's name.
        peer: String,
    },
    /// Renew this node's certificate now; [`Response::Certificates`].
    RotateCertificate,
    /// Say to the whole mesh that a node is a member no more; only an issuer can. [`Response::Done`].
    Revoke {
        /// A peer id, a prefix of one, or a node's name.
        peer: String,
        /// Why, for people.
        reason: String,
    },
    /// Hear a statement of the authority; [`Response::Done`].
    Tell {
        /// The statement with its proof, in hexadecimal digits.
        statement: String,
    },
    /// Take a revocation back; only an issuer can. [`Response::Done`].
    Reinstate {
        /// A peer id, or a prefix of one.
        peer: String,
    },
    /// The actors; [`Response::Actors`].
    Actors,
    /// All that can be seen of one; [`Response::Actor`].
    Actor {
        /// Its name.
        name: String,
        /// Whether to leave out what its machine knows: telling that costs the actor the most.
        #[serde(default)]
        briefly: bool,
    },
    /// Stop an actor after the message that it is at, so that its supervisor starts it anew; [`Response::Done`].
    RestartActor {
        /// Its name.
        actor: String,
    },
    /// Have an actor take no message for a while; [`Response::Done`].
    SuspendActor {
        /// Its name.
        actor: String,
        /// For how many seconds, at most a minute.
        seconds: u64,
    },
    /// Have an actor that takes no message go on; [`Response::Done`].
    ResumeActor {
        /// Its name.
        actor: String,
    },
    /// Look on what an actor is sent, for a while; [`Response::Tapped`].
    Tap {
        /// Its name.
        actor: String,
        /// Only messages of this kind.
        #[serde(default)]
        kind: Option<String>,
        /// How many messages at most.
        most: usize,
        /// For how long at most, in milliseconds.
        ms: u64,
    },
    /// Services exposed anywhere in the mesh, as many as fit an answer, and this node's forwards; [`Response::Services`].
    Services {
        /// Only services after those of this name.
        #[serde(default)]
        after: Option<String>,
        /// Also those of that name, of providers after this one.
        #[serde(default)]
        after_provider: Option<PeerId>,
    },
    /// Open and past incidents; [`Response::Incidents`].
    Incidents,
    /// The story of one incident; [`Response::Incident`].
    Incident {
        /// Its number on that node.
        id: u64,
    },
    /// One round trip through a session's path to a node; [`Response::Ping`].
    Ping {
        /// A peer id, a prefix of one, or a node's name.
        destination: String,
        /// How long to wait, in milliseconds.
        timeout_ms: u64,
    },
    /// A round trip to every hop of the path in use; [`Response::Trace`].
    Trace {
        /// A peer id, a prefix of one, or a node's name.
        destination: String,
    },
    /// Publish a TCP service under a name; [`Response::Done`].
    Expose {
        /// The service's name.
        name: String,
        /// Where it listens, `tcp://HOST:PORT`.
        target: String,
    },
    /// Take a service back; [`Response::Done`].
    Unexpose {
        /// The service's name.
        name: String,
    },
    /// Listen locally and carry each connection to a service; [`Response::Forwarding`].
    Forward {
        /// The service's name.
        name: String,
        /// Where to listen, `HOST:PORT`; port 0 lets the system choose.
        listen: SocketAddr,
    },
    /// Stop listening for a service; [`Response::Done`].
    Unforward {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// Write a value that all members share; [`Response::Done`].
    SharedSet {
        /// The key: 1 to 64 letters, digits, or any of `. _ - / :`.
        key: String,
        /// The value, at most 1 KiB.
        value: String,
    },
    /// Remove a shared key; [`Response::Done`].
    SharedRemove {
        /// The key.
        key: String,
    },
    /// The values of a shared key; [`Response::Shared`].
    SharedGet {
        /// The key.
        key: String,
    },
    /// The shared keys, as many as fit one answer; [`Response::SharedList`].
    SharedList {
        /// Only those after this one.
        #[serde(default)]
        after: Option<String>,
    },
    /// The rules in force; [`Response::Policy`].
    Policy,
    /// Read the policy file again; [`Response::Done`].
    PolicyReload,
    /// Set a policy for the whole mesh; only an issuer can. [`Response::Done`] when it was said; each node compiles it
    /// by itself.
    PolicySet {
        /// The file's name, whose end says how it is written; empty: every node goes back to its own file.
        name: String,
        /// The policy.
        text: String,
        /// Its version, higher than every one before; `None`: the next one.
        #[serde(default)]
        version: Option<u64>,
    },
    /// What the policy in force says to a request, by the facts that this node knows; [`Response::PolicyExplained`].
    PolicyExplain(PolicyAsked),
    /// Make an actor fail, to see it come back (needs `chaos.allow = true`, except for `how: kill`); [`Response::Done`].
    KillActor {
        /// The actor's name as `actors` lists it, such as `gossip` or `peer/4f2a…`.
        actor: String,
        /// How it fails.
        how: Failure,
    },
    /// Break something on purpose, or mend it (needs `chaos.allow = true`); [`Response::Done`] or [`Response::Faults`].
    Chaos(chaos::Order),
    /// How this node's ledger stands, and its newest entries; [`Response::Ledger`].
    Ledger {
        /// How many entries, at most a thousand.
        last: usize,
        /// Only entries of this kind.
        #[serde(default)]
        kind: Option<EventKind>,
    },
    /// Entries of this node's ledger in their order, as many as fit one answer; [`Response::LedgerLines`].
    LedgerLines {
        /// From this number on.
        from: u64,
    },
    /// Walk this node's ledger from its first entry to its last; [`Response::LedgerVerified`].
    LedgerVerify,
    /// What proves an entry of this node's ledger to anybody; [`Response::LedgerProof`].
    LedgerProve {
        /// Its number.
        index: u64,
    },
    /// From now on this connection's requests are for another node, whose policy says which of them it performs;
    /// [`Response::Done`].
    Connect {
        /// A peer id, a prefix of one, or a node's name.
        node: String,
        /// Whether to open a shell there, which ends with this connection; otherwise each request is a conversation of its
        /// own.
        #[serde(default)]
        shell: bool,
    },
    /// Stop the node; [`Response::Done`].
    Shutdown,
}

/// How an actor is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Stopped at once, whatever it is doing.
    Kill,
    /// It panics while handling a message.
    Panic,
    /// It returns an error while handling a message.
    Error,
}

/// An actor or a supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActorInfo {
    /// Its name: unique within the node.
    pub name: String,
    /// Its supervisor; `None` for the root.
    pub parent: Option<String>,
    /// Its depth in the tree; 0 for the root.
    pub depth: usize,
    /// `running` or `restarting`.
    pub state: String,
    /// Of a supervisor, what it does when one of its children fails: `one-for-one` (starts that one anew) or
    /// `rest-for-one` (and all that were started after it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// How long it has been running since its last start, in milliseconds.
    #[serde(default)]
    pub age_ms: u64,
    /// Messages waiting.
    pub mailbox: u64,
    /// Messages handled since the node started.
    pub handled: u64,
    /// How long it was busy with messages since the node started, in microseconds.
    #[serde(default)]
    pub busy_us: u64,
    /// How long 99 of 100 messages took at most, in microseconds, to a factor of two; `None` before the first one.
    #[serde(default)]
    pub took_p99_us: Option<f64>,
    /// Restarts since the node started.
    pub restarts: u64,
    /// Why it failed last.
    pub last_failure: Option<String>,
}

/// One hop of a traced path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopInfo {
    /// The node.
    pub peer: PeerId,
    /// Its name.
    pub name: String,
    /// The round trip to it, in microseconds; `None` if it did not answer in time.
    pub rtt_us: Option<u64>,
}
