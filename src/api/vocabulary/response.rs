//! What a node answers.

use std::net::SocketAddr;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ActorDetail, ActorInfo, BlameInfo, CertificateInfo, CertificatesInfo, EventsInfo, ForwardInfo, GossipInfo, HopInfo,
    IncidentInfo, JournalInfo, KernelInfo, LedgerInfo, LedgerLine, LedgerProofInfo, LedgerReport, LinkInfo, PathInfo,
    PeerInfo, PolicyInfo, RecordDetail, RecordInfo, RegionsInfo, ServiceInfo, SettingInfo, SharedInfo, SmokeInfo,
    Standing, Status, StoreInfo, TapInfo, TopologyInfo, TunInfo, VitalsInfo,
};
use crate::api::chaos;
use crate::api::error::Error;
use crate::api::policy::Explanation;

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`](super::Request::Status).
    Status(Status),
    /// To [`Request::Vitals`](super::Request::Vitals).
    Vitals(VitalsInfo),
    /// To [`Request::Members`](super::Request::Members).
    Members(Standing),
    /// To [`Request::Reputation`](super::Request::Reputation).
    Reputation {
        /// Whose.
        peer: PeerId,
        /// 0.0 to 1.0; under 0.5 the node is ignored.
        score: f64,
        /// What each kind of fault takes away now.
        parts: Vec<BlameInfo>,
    },
    /// To [`Request::Peers`](super::Request::Peers), ordered by id.
    Peers {
        /// One entry per known node, this one included.
        peers: Vec<PeerInfo>,
        /// Whether there are more: ask again, after the last of these.
        #[serde(default)]
        more: bool,
    },
    /// To [`Request::Links`](super::Request::Links), ordered by neighbor.
    Links {
        /// One entry per neighbor.
        links: Vec<LinkInfo>,
    },
    /// To [`Request::Gossip`](super::Request::Gossip).
    Gossip(GossipInfo),
    /// To [`Request::Records`](super::Request::Records), ordered by id.
    Records {
        /// One entry per record.
        records: Vec<RecordInfo>,
        /// Whether there are more: ask again, after the last of these.
        #[serde(default)]
        more: bool,
    },
    /// To [`Request::Record`](super::Request::Record).
    Record(Box<RecordDetail>),
    /// To [`Request::Store`](super::Request::Store).
    Store(StoreInfo),
    /// To [`Request::Tun`](super::Request::Tun).
    Tun(TunInfo),
    /// To [`Request::Kernel`](super::Request::Kernel).
    Kernel(KernelInfo),
    /// To [`Request::Journal`](super::Request::Journal).
    Journal(JournalInfo),
    /// To [`Request::Regions`](super::Request::Regions).
    Regions(RegionsInfo),
    /// To [`Request::Topology`](super::Request::Topology).
    Topology(TopologyInfo),
    /// To [`Request::Events`](super::Request::Events).
    Events(EventsInfo),
    /// To [`Request::Configuration`](super::Request::Configuration), ordered by key.
    Configuration {
        /// One entry per key.
        settings: Vec<SettingInfo>,
    },
    /// To [`Request::Log`](super::Request::Log) and [`Request::LogSet`](super::Request::LogSet).
    Log {
        /// What is logged, as directives of `RUST_LOG`.
        filter: String,
    },
    /// To [`Request::Certificates`](super::Request::Certificates) and [`Request::RotateCertificate`](super::Request::RotateCertificate).
    Certificates(CertificatesInfo),
    /// To [`Request::Smoke`](super::Request::Smoke).
    Smoke(SmokeInfo),
    /// Some of the certificates, in full.
    Certificate {
        /// Which.
        certificates: Vec<CertificateInfo>,
    },
    /// What is wrong.
    Problems {
        /// One line each.
        problems: Vec<String>,
    },
    /// To [`Request::Paths`](super::Request::Paths), best first.
    Paths {
        /// The destination.
        destination: PeerId,
        /// One entry per path.
        paths: Vec<PathInfo>,
    },
    /// To [`Request::Actors`](super::Request::Actors), in the order of the supervision tree.
    Actors {
        /// One entry per actor and supervisor, parents before children.
        actors: Vec<ActorInfo>,
    },
    /// To [`Request::Actor`](super::Request::Actor).
    Actor(Box<ActorDetail>),
    /// To [`Request::Tap`](super::Request::Tap).
    Tapped(TapInfo),
    /// To [`Request::Services`](super::Request::Services), ordered by name, then provider.
    Services {
        /// Services that are known.
        services: Vec<ServiceInfo>,
        /// This node's forwards, in the first of several answers.
        forwards: Vec<ForwardInfo>,
        /// Whether there are more services: ask again, after the last of these.
        #[serde(default)]
        more: bool,
    },
    /// To [`Request::Incidents`](super::Request::Incidents), newest first.
    Incidents {
        /// Open and closed incidents.
        incidents: Vec<IncidentInfo>,
    },
    /// To [`Request::Incident`](super::Request::Incident).
    Incident(IncidentInfo),
    /// To [`Request::Ping`](super::Request::Ping).
    Ping {
        /// Who answered.
        peer: PeerId,
        /// The round trip, in microseconds.
        rtt_us: u64,
        /// The relays passed, in order.
        via: Vec<PeerId>,
    },
    /// To [`Request::Trace`](super::Request::Trace).
    Trace {
        /// The destination.
        destination: PeerId,
        /// One entry per hop, the destination last.
        hops: Vec<HopInfo>,
    },
    /// To [`Request::Forward`](super::Request::Forward).
    Forwarding {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// To [`Request::SharedGet`](super::Request::SharedGet).
    Shared(SharedInfo),
    /// To [`Request::SharedList`](super::Request::SharedList), ordered by key.
    SharedList {
        /// One entry per key that has a value.
        shared: Vec<SharedInfo>,
        /// Whether there are more: ask again, after the last of these.
        more: bool,
    },
    /// To [`Request::Policy`](super::Request::Policy).
    Policy(PolicyInfo),
    /// To [`Request::PolicyExplain`](super::Request::PolicyExplain).
    PolicyExplained(Explanation),
    /// To [`Request::Ledger`](super::Request::Ledger).
    Ledger(LedgerInfo),
    /// To [`Request::LedgerLines`](super::Request::LedgerLines), in their order.
    LedgerLines {
        /// One for each place of the ledger, from the one that was asked for on.
        lines: Vec<LedgerLine>,
        /// How many there are in all.
        entries: u64,
    },
    /// To [`Request::LedgerVerify`](super::Request::LedgerVerify).
    LedgerVerified(LedgerReport),
    /// To [`Request::LedgerProve`](super::Request::LedgerProve).
    LedgerProof(Box<LedgerProofInfo>),
    /// To [`chaos::Order::Status`], ordered by name.
    Faults {
        /// One entry per fault in force.
        faults: Vec<chaos::InForce>,
    },
    /// It was done; there is nothing more to say.
    Done,
    /// It failed.
    Error {
        /// Why.
        error: Error,
    },
}
