//! What leaves the core: everything that a shell is asked to do.

use std::net::SocketAddr;

use serde::Serialize;

use crate::incident::{Incident, Outcome, Plan, Step, Subject};
use crate::membership::Change;
use crate::membership::quorum::{PartitionEvent, Quorum};
use crate::pathfinder::{LaneWay, Way};
use crate::policy::{Document, Source};
use crate::record::{Digest, LinkBody, Matter, NodeBody, ProvenRecord, RecordId};
use crate::shared::{Refused, Value};
use crate::wire::Control;
use crate::{LinkId, PeerId, Verified, ledger};

/// What the shell performs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Command {
    /// Dial a neighbor; answers with `peer::Input::LinkEstablished` or `DialFailed`.
    Dial {
        /// Whom.
        peer: PeerId,
        /// Where.
        address: SocketAddr,
    },
    /// Close a link; answers with `peer::Input::LinkClosed`.
    CloseLink {
        /// Which.
        link: LinkId,
    },
    /// Probe a link; the return comes as `peer::Input::ProbeReturned`.
    ProbeLink {
        /// Which.
        link: LinkId,
        /// The probe's number.
        nonce: u64,
    },
    /// Let the datapath use a link, or not.
    SetUsable {
        /// Which.
        link: LinkId,
        /// Whether frames may be sent over it.
        usable: bool,
    },
    /// Send a control message to a neighbor.
    SendControl {
        /// Whom.
        to: PeerId,
        /// What.
        control: Control,
    },
    /// Keep a record, as received.
    PersistRecord(Verified<ProvenRecord>),
    /// Forget a record.
    ForgetRecord {
        /// Under which id.
        id: RecordId,
    },
    /// What a node says of itself changed.
    NodeChanged {
        /// Which.
        peer: PeerId,
        /// What it says; `None`: nothing any more.
        body: Option<NodeBody>,
    },
    /// A node's links, as it says, are others now, or take another time.
    LinksChanged {
        /// Whose.
        origin: PeerId,
        /// All of them; none: nothing is known of them any more.
        links: Vec<LinkBody>,
    },
    /// Somebody hands on a statement of the authority of the mesh: check it, and do what it says.
    StatementHeard {
        /// The statement with its proof.
        statement: Vec<u8>,
    },
    /// Sign this with the key that is certified, and tell gossip.
    EndorsementWanted {
        /// What it is about.
        matter: Matter,
        /// What is to be signed.
        digest: Digest,
    },
    /// A node tells its second signature of something: check it, and tell gossip if it is one.
    EndorsementHeard {
        /// Who tells it.
        origin: PeerId,
        /// What it is about.
        matter: Matter,
        /// The signature with its certificates.
        endorsement: Vec<u8>,
    },
    /// A service appeared or went away.
    ServiceChanged {
        /// Who exposes it.
        provider: PeerId,
        /// Its name.
        name: String,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// The mesh has come to another verdict about a member.
    MemberChanged(Change),
    /// How far a node is believed has changed.
    ReputationChanged {
        /// Whom.
        peer: PeerId,
        /// How far now, in thousandths.
        permille: u16,
    },
    /// A node is believed no more, or again: then it is dealt with again, if it was quarantined.
    TrustChanged {
        /// Which.
        peer: PeerId,
        /// Whether it is believed.
        trusted: bool,
    },
    /// This node is cut off from the majority, or is back.
    PartitionChanged {
        /// Which.
        event: PartitionEvent,
        /// How it stands.
        quorum: Quorum,
    },
    /// A shared key has other values now; empty: none any more.
    SharedChanged {
        /// The key.
        key: String,
        /// The newest first.
        values: Vec<Value>,
    },
    /// Tell whoever wrote a shared key what became of it.
    AnswerShared {
        /// Which write.
        ticket: u64,
        /// Why it was refused, if it was.
        refused: Option<Refused>,
    },
    /// Install a route in the datapath.
    InstallRoute {
        /// Whither.
        destination: PeerId,
        /// How.
        way: Way,
        /// Where copies go as well, within the budget for them.
        hedge: Option<Way>,
    },
    /// Install the ways of the lanes beside the first in the datapath, in place of all that were there.
    SpreadTraffic {
        /// Whither.
        destination: PeerId,
        /// How; a lane that is not named uses the route.
        lanes: Vec<LaneWay>,
    },
    /// Take a route out of the datapath, and with it the ways of all lanes.
    WithdrawRoute {
        /// Whither.
        destination: PeerId,
    },
    /// Tell a destination that nothing was acknowledged on the paths to it that were left.
    TellUnacknowledged {
        /// Whom.
        destination: PeerId,
        /// The relays of those paths; for the link between the two stands this node.
        relays: Vec<PeerId>,
    },
    /// Probe a path; the return comes as `pathfinder::Input::ProbeReturned`.
    ProbePath {
        /// The path.
        way: Way,
        /// The probe's number.
        nonce: u64,
    },
    /// Enforce this policy.
    EnforcePolicy(Document),
    /// Tell that a policy was refused.
    TellRefusedPolicy {
        /// Its version.
        version: u64,
        /// Where it comes from.
        source: Source,
        /// Why.
        reason: crate::Rejected,
    },
    /// Write down that an incident began.
    OpenIncident(Incident),
    /// Write down that an incident is over.
    CloseIncident {
        /// Its number.
        incident: u64,
    },
    /// Write down what an incident follows from.
    ExplainIncident {
        /// Its number.
        incident: u64,
        /// The number of the incident that stands for the cause.
        root: u64,
        /// The part to blame.
        culprit: Subject,
    },
    /// Write down what is planned about an incident, and how that was ranked.
    TellPlan(Plan),
    /// Nothing has helped against an incident: call a person.
    Escalate {
        /// Its number.
        incident: u64,
        /// How many plans were tried.
        plans: u32,
    },
    /// Do what only the shell can; comes back as `executor::Input::StepRefused` if it cannot. A quarantine that took
    /// effect, or ended, comes back as `planner::Input::Quarantined` and `monitor::Input::Quarantined`.
    Repair {
        /// For which incident.
        incident: u64,
        /// What.
        step: Step,
    },
    /// Write down what is being done about an incident.
    TellStep {
        /// Its number.
        incident: u64,
        /// What.
        step: Step,
    },
    /// Keep what became of a step.
    RecordOutcome {
        /// For which incident.
        incident: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// Start peer roles for nodes that are known but not neighbors.
    FindNeighbors,
    /// Make a known node a neighbor.
    AddNeighbor {
        /// Which.
        peer: PeerId,
    },
    /// Ask a neighbor whether the two may part; answers with `peer::Input::Forgotten` when it has gone, or at once if
    /// there is no link to it, or with `rebalancer::Input::PartingDeclined`.
    AskToPart {
        /// Which.
        peer: PeerId,
    },
    /// Part from a neighbor that has asked for it; answers with `peer::Input::Forgotten`.
    LetGo {
        /// Which.
        peer: PeerId,
    },
    /// The role of a neighbor has ended and will not come back.
    RemovePeer {
        /// Which neighbor.
        peer: PeerId,
    },
    /// Do something for the ledger.
    Ledger(ledger::Task),
}
