//! Who is told what: the one table that actors and simulator both execute.
//!
//! Every effect of a role becomes one or more routes: an input of another role, or a command for the shell, which is all
//! that ever leaves the node.

mod command;

use serde::Serialize;

use crate::incident::{Evidence, IncidentKind, Step};
use crate::reputation::TrustReport;
use crate::wire::Control;
use crate::{PeerId, executor, gossip, ledger, monitor, pathfinder, peer, planner, policy, rebalancer};

pub use command::Command;

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
                routes.push(Route::Shell(Command::LinksChanged { origin, links: links.clone() }));
                Route::Pathfinder(pathfinder::Input::LinksLearned { origin, links })
            }
            gossip::Effect::StatementHeard { statement } => Route::Shell(Command::StatementHeard { statement }),
            gossip::Effect::EndorsementWanted { matter, digest } => {
                Route::Shell(Command::EndorsementWanted { matter, digest })
            }
            gossip::Effect::EndorsementHeard { origin, matter, endorsement } => {
                Route::Shell(Command::EndorsementHeard { origin, matter, endorsement })
            }
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
                routes.push(Route::Ledger(ledger::Input::ReportWanted));
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
