//! Who is told what: the one table that actors and simulator both execute.
//!
//! Every effect of a role becomes one or more routes: an input of another role, or a command for the shell, which is all
//! that ever leaves the node.

use std::net::SocketAddr;

use serde::Serialize;

use crate::incident::{Evidence, Incident, IncidentKind, Outcome, Plan, Step, Subject};
use crate::membership::Change;
use crate::membership::quorum::{PartitionEvent, Quorum};
use crate::pathfinder::{LaneWay, Way};
use crate::policy::{Document, Source};
use crate::record::{NodeBody, ProvenRecord, RecordId};
use crate::reputation::TrustReport;
use crate::shared::{Refused, Value};
use crate::wire::Control;
use crate::{
    LinkId, PeerId, Verified, executor, gossip, ledger, monitor, pathfinder, peer, planner, policy, rebalancer,
};

/// Whither something goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Route {
    /// To the peer role of one neighbor; dropped if there is none.
    Peer(PeerId, peer::Input),
    /// To the peer roles of all neighbors.
    Peers(peer::Input),
    /// To the gossip role.
    Gossip(gossip::Input),
    /// To the pathfinder role.
    Pathfinder(pathfinder::Input),
    /// To the monitor role.
    Monitor(monitor::Input),
    /// To the planner role.
    Planner(planner::Input),
    /// To the executor role.
    Executor(executor::Input),
    /// To the rebalancer role.
    Rebalancer(rebalancer::Input),
    /// To the policy role.
    Policy(policy::Input),
    /// To the keeper role.
    Ledger(ledger::Input),
    /// Out of the core.
    Shell(Command),
}

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
    /// Somebody hands on a statement of the authority of the mesh: check it, and do what it says.
    StatementHeard {
        /// The statement with its proof.
        statement: Vec<u8>,
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

/// Effects that know where they go.
pub trait Wire {
    /// Appends where this goes.
    fn wire(self, routes: &mut Vec<Route>);
}

impl Wire for peer::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        let command = match self {
            peer::Effect::Dial { peer, address } => Command::Dial { peer, address },
            peer::Effect::CloseLink { link } => Command::CloseLink { link },
            peer::Effect::Probe { link, nonce } => Command::ProbeLink { link, nonce },
            peer::Effect::SetUsable { link, usable } => Command::SetUsable { link, usable },
            peer::Effect::Report(report) => {
                routes.push(Route::Rebalancer(rebalancer::Input::LinkReported(report.clone())));
                routes.push(Route::Pathfinder(pathfinder::Input::LinkReported(report.clone())));
                routes.push(Route::Gossip(gossip::Input::LinkReported(report.clone())));
                let (peer, is_usable) = (report.peer, report.link.is_some() && report.state.is_usable());
                routes.push(Route::Ledger(ledger::Input::NeighborChanged { peer, is_usable }));
                return routes.push(Route::Monitor(monitor::Input::LinkReported(report)));
            }
            peer::Effect::Gone { peer } => {
                routes.push(Route::Pathfinder(pathfinder::Input::PeerForgotten { peer }));
                routes.push(Route::Gossip(gossip::Input::PeerForgotten { peer }));
                routes.push(Route::Monitor(monitor::Input::PeerForgotten { peer }));
                routes.push(Route::Rebalancer(rebalancer::Input::PeerForgotten { peer }));
                routes.push(Route::Ledger(ledger::Input::NeighborChanged { peer, is_usable: false }));
                Command::RemovePeer { peer }
            }
        };
        routes.push(Route::Shell(command));
    }
}

impl Wire for gossip::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        let route = match self {
            gossip::Effect::Send { to, control } => Route::Shell(Command::SendControl { to, control }),
            gossip::Effect::Persist(record) => Route::Shell(Command::PersistRecord(record)),
            gossip::Effect::Forget { id } => Route::Shell(Command::ForgetRecord { id }),
            gossip::Effect::NodeChanged { peer, body } => {
                let addresses = body.as_ref().map(|b| b.addresses.clone()).unwrap_or_default();
                if !addresses.is_empty() {
                    routes.push(Route::Peer(peer, peer::Input::AddressesLearned(addresses)));
                }
                routes.push(Route::Planner(planner::Input::NodeLearned { peer, known: body.is_some() }));
                let region = body.as_ref().map(|b| b.region.clone()).unwrap_or_default();
                routes.push(Route::Monitor(monitor::Input::NodeLearned { peer, known: body.is_some(), region }));
                routes.push(Route::Rebalancer(rebalancer::Input::NodeLearned { peer, body: body.clone() }));
                Route::Shell(Command::NodeChanged { peer, body })
            }
            gossip::Effect::LinksChanged { origin, links, remeasured } => {
                if !remeasured {
                    let neighbors = links.iter().map(|link| link.neighbor).collect();
                    routes.push(Route::Monitor(monitor::Input::LinksLearned { origin, neighbors }));
                }
                routes.push(Route::Rebalancer(rebalancer::Input::LinksLearned { origin, links: links.clone() }));
                Route::Pathfinder(pathfinder::Input::LinksLearned { origin, links })
            }
            gossip::Effect::StatementHeard { statement } => Route::Shell(Command::StatementHeard { statement }),
            gossip::Effect::ServiceChanged { provider, name, exposed } => {
                Route::Shell(Command::ServiceChanged { provider, name, exposed })
            }
            gossip::Effect::TrustChanged(report) => {
                let TrustReport { peer, trusted, .. } = report;
                routes.push(Route::Monitor(monitor::Input::TrustChanged(report)));
                Route::Shell(Command::TrustChanged { peer, trusted })
            }
            gossip::Effect::ReputationChanged { peer, permille } => {
                Route::Shell(Command::ReputationChanged { peer, permille })
            }
            gossip::Effect::MemberChanged(change) => {
                routes.push(Route::Rebalancer(rebalancer::Input::MemberChanged(change)));
                Route::Shell(Command::MemberChanged(change))
            }
            gossip::Effect::PartitionChanged { event, quorum } => {
                // What is governed is governed by the verdict, whoever comes to it and wherever it is kept.
                routes.push(Route::Gossip(gossip::Input::QuorumChanged(quorum)));
                routes.push(Route::Planner(planner::Input::QuorumChanged(quorum)));
                Route::Shell(Command::PartitionChanged { event, quorum })
            }
            gossip::Effect::SharedChanged { key, values } => Route::Shell(Command::SharedChanged { key, values }),
            gossip::Effect::SharedAnswered { ticket, refused } => {
                Route::Shell(Command::AnswerShared { ticket, refused })
            }
            gossip::Effect::LedgerHeadHeard { head, version } => {
                Route::Ledger(ledger::Input::HeadHeard { head, version })
            }
            gossip::Effect::ReportsWanted => Route::Peers(peer::Input::ReportRequested),
        };
        routes.push(route);
    }
}

impl Wire for pathfinder::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        let route = match self {
            pathfinder::Effect::InstallRoute { destination, way, hedge } => {
                Route::Shell(Command::InstallRoute { destination, way, hedge })
            }
            pathfinder::Effect::SpreadTraffic { destination, lanes } => {
                Route::Shell(Command::SpreadTraffic { destination, lanes })
            }
            pathfinder::Effect::WithdrawRoute { destination } => Route::Shell(Command::WithdrawRoute { destination }),
            pathfinder::Effect::TellUnacknowledged { destination, relays } => {
                Route::Shell(Command::TellUnacknowledged { destination, relays })
            }
            pathfinder::Effect::Probe { way, nonce } => Route::Shell(Command::ProbePath { way, nonce }),
            pathfinder::Effect::Report(report) => {
                routes.push(Route::Rebalancer(rebalancer::Input::PathReported(report.clone())));
                Route::Monitor(monitor::Input::PathReported(report))
            }
            pathfinder::Effect::ResyncWanted => {
                routes.push(Route::Peers(peer::Input::ReportRequested));
                Route::Gossip(gossip::Input::ResyncRequested)
            }
        };
        routes.push(route);
    }
}

impl Wire for monitor::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        match self {
            monitor::Effect::Raise(incident) => {
                if let (IncidentKind::BreachAhead { peer }, Evidence::Ramp { limit, .. }) =
                    (&incident.kind, &incident.evidence)
                {
                    let ahead = pathfinder::Input::BreachAhead { neighbor: *peer, limit: *limit };
                    routes.push(Route::Pathfinder(ahead));
                }
                routes.push(Route::Shell(Command::OpenIncident(incident.clone())));
                routes.push(Route::Planner(planner::Input::Raised(incident)));
            }
            monitor::Effect::Clear { incident } => {
                routes.push(Route::Executor(executor::Input::Cleared { incident }));
                routes.push(Route::Planner(planner::Input::Cleared { incident }));
                routes.push(Route::Shell(Command::CloseIncident { incident }));
            }
            monitor::Effect::Explain { incident, root, culprit } => {
                routes.push(Route::Planner(planner::Input::Explained { incident, root }));
                routes.push(Route::Shell(Command::ExplainIncident { incident, root, culprit }));
            }
            monitor::Effect::ResyncWanted => {
                routes.push(Route::Gossip(gossip::Input::ResyncRequested));
                routes.push(Route::Peers(peer::Input::ReportRequested));
            }
        }
    }
}

impl Wire for planner::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        match self {
            planner::Effect::Adopt(plan) => {
                routes.push(Route::Shell(Command::TellPlan(plan.clone())));
                routes.push(Route::Executor(executor::Input::Adopted(plan)));
            }
            planner::Effect::Escalate { incident, plans } => {
                routes.push(Route::Shell(Command::Escalate { incident, plans }));
            }
        }
    }
}

impl Wire for executor::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        match self {
            executor::Effect::Do { incident, step } => {
                routes.push(Route::Shell(Command::TellStep { incident, step: step.clone() }));
                match step {
                    Step::Wait => {}
                    Step::Redial { peer } => routes.push(Route::Peer(peer, peer::Input::RedialRequested)),
                    Step::Reroute { destination } => {
                        routes.push(Route::Pathfinder(pathfinder::Input::RerouteRequested { destination }));
                    }
                    Step::SwitchPath { destination } => {
                        routes.push(Route::Pathfinder(pathfinder::Input::SwitchRequested { destination }));
                    }
                    Step::FindNeighbors => routes.push(Route::Shell(Command::FindNeighbors)),
                    Step::AddNeighbor { .. } | Step::DropNeighbor { .. } => {
                        routes.push(Route::Rebalancer(rebalancer::Input::StepWanted { incident, step }));
                    }
                    step => routes.push(Route::Shell(Command::Repair { incident, step })),
                }
            }
            executor::Effect::Record { incident, outcome } => {
                routes.push(Route::Planner(planner::Input::Learned(outcome.clone())));
                if let Some(event) = ledger::Event::of_outcome(incident, &outcome) {
                    routes.push(Route::Shell(Command::Ledger(ledger::Task::WriteDown(event))));
                }
                routes.push(Route::Shell(Command::RecordOutcome { incident, outcome }));
            }
            executor::Effect::Exhausted { incident } => {
                routes.push(Route::Planner(planner::Input::Exhausted { incident }));
            }
        }
    }
}

impl Wire for rebalancer::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        let route = match self {
            rebalancer::Effect::Propose(pair) => Route::Monitor(monitor::Input::ExchangeProposed(pair)),
            rebalancer::Effect::Ended { far, near } => Route::Monitor(monitor::Input::ExchangeEnded { far, near }),
            rebalancer::Effect::StepDone { incident, step } => {
                Route::Executor(executor::Input::StepDone { incident, step })
            }
            rebalancer::Effect::StepFailed { incident, step } => {
                Route::Executor(executor::Input::StepFailed { incident, step })
            }
            rebalancer::Effect::StepRefused { incident, step, reason } => {
                Route::Executor(executor::Input::StepRefused { incident, step, reason })
            }
            rebalancer::Effect::Add { peer } => Route::Shell(Command::AddNeighbor { peer }),
            rebalancer::Effect::AskToPart { peer } => Route::Shell(Command::AskToPart { peer }),
            rebalancer::Effect::LetGo { peer } => Route::Shell(Command::LetGo { peer }),
            rebalancer::Effect::Decline { peer } => {
                Route::Shell(Command::SendControl { to: peer, control: Control::Stay })
            }
            rebalancer::Effect::ResyncWanted => {
                routes.push(Route::Peers(peer::Input::ReportRequested));
                Route::Gossip(gossip::Input::ResyncRequested)
            }
        };
        routes.push(route);
    }
}

impl Wire for policy::Effect {
    fn wire(self, routes: &mut Vec<Route>) {
        routes.push(Route::Shell(match self {
            policy::Effect::Enforce(document) => Command::EnforcePolicy(document),
            policy::Effect::Refuse { version, source, reason } => {
                Command::TellRefusedPolicy { version, source, reason }
            }
        }));
    }
}
