//! What to do about an incident, and what became of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::IncidentKind;
use crate::{Instant, PeerId};

/// What to do about an incident: candidates, tried in order until one helps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The incident.
    pub incident: u64,
    /// Its kind, so that the outcome teaches something about the kind.
    pub kind: IncidentKind,
    /// The candidates, the best first.
    pub candidates: Vec<Candidate>,
    /// Candidates that are not to be tried now.
    pub withheld: Vec<(Candidate, Withheld)>,
    /// When the incident was noticed.
    pub detected: Instant,
    /// When it was found what it follows from, if it was.
    pub analyzed: Option<Instant>,
    /// When the plan was made.
    pub planned: Instant,
}

/// One way to repair something, and the numbers by which it was ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What to do, in this order.
    pub steps: Vec<Step>,
    /// How often it was tried before for this kind of incident.
    pub tried: u32,
    /// How often it helped.
    pub helped: u32,
    /// What it costs those who are well, 0 to 1000.
    pub cost: u32,
    /// What it may break if the diagnosis is wrong, 0 to 1000.
    pub risk: u32,
}

impl Candidate {
    /// The candidate's name: that of its last step, which the others prepare.
    pub fn name(&self) -> &'static str {
        self.steps.last().map_or("nothing", Step::name)
    }

    /// The expected effect: how often it should help, in thousandths. One imagined success in two tries counts along, so
    /// that the untried are neither best nor worst (Laplace's rule of succession).
    pub fn expected_permille(&self) -> u32 {
        (self.helped + 1) * 1000 / (self.tried + 2)
    }

    /// What it is ranked by: the expected effect less cost and risk.
    pub fn score(&self) -> i64 {
        i64::from(self.expected_permille()) - i64::from(self.cost) - i64::from(self.risk)
    }

    /// How long all of it may take.
    pub fn patience(&self) -> Duration {
        self.steps.iter().map(Step::patience).sum()
    }
}

/// The name and every number of the ranking.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tried, helped, cost, risk, .. } = self;
        let (name, score, expected) = (self.name(), self.score(), self.expected_permille());
        write!(f, "{name} {score} = {expected} (helped {helped} of {tried}) - {cost} cost - {risk} risk")
    }
}

/// Why a candidate is not to be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Withheld {
    /// Another risky repair is under way.
    OneAtATime,
    /// So much of the mesh is quarantined already as may be.
    Share,
    /// Fewer than a quorum would be left, or are within reach now.
    Quorum,
}

impl Withheld {
    /// The reason in words.
    pub const fn name(self) -> &'static str {
        match self {
            Withheld::OneAtATime => "another risky repair is under way",
            Withheld::Share => "enough of the mesh is quarantined",
            Withheld::Quorum => "a quorum would be lost",
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Wait for what is already under way: a probe that returns, a supervisor that restarts.
    Wait,
    /// Establish the link again.
    Redial {
        /// To whom.
        peer: PeerId,
    },
    /// Search paths again.
    Reroute {
        /// To whom.
        destination: PeerId,
    },
    /// Leave the path in use for the next one.
    SwitchPath {
        /// To whom.
        destination: PeerId,
    },
    /// Dial nodes that are known but not neighbors.
    FindNeighbors,
    /// Link to one more node; done when its link is measured and is as near as was hoped.
    AddNeighbor {
        /// Which.
        peer: PeerId,
    },
    /// Part from a neighbor, if it agrees; done when it has left and nothing was lost by it.
    DropNeighbor {
        /// Which.
        peer: PeerId,
    },
    /// Restart an actor.
    RestartActor {
        /// Which.
        actor: String,
    },
    /// Take on less: no copies of packets, fewer probes of paths, no new sessions of others, and others prefer paths around
    /// this node. What is established goes on.
    ShedLoad,
    /// Take on everything again.
    TakeLoad,
    /// Deal with a node no more: a decision of this node about its own dealings, of which others hear nothing.
    Quarantine {
        /// Whom.
        peer: PeerId,
    },
    /// Deal with a node again.
    Readmit {
        /// Whom.
        peer: PeerId,
    },
    /// Ask for a new certificate.
    RotateCertificate,
    /// Leave all neighbors, of whom none answers, and join the mesh again over whatever node is known.
    Rejoin,
    /// Put a new store in the place of the one that fails, and write everything into it that is known.
    RebuildStore,
}

impl Step {
    /// The step's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Step::Wait => "wait",
            Step::Redial { .. } => "redial",
            Step::Reroute { .. } => "reroute",
            Step::SwitchPath { .. } => "switch-path",
            Step::FindNeighbors => "find-neighbors",
            Step::AddNeighbor { .. } => "add-neighbor",
            Step::DropNeighbor { .. } => "drop-neighbor",
            Step::RestartActor { .. } => "restart-actor",
            Step::ShedLoad => "shed-load",
            Step::TakeLoad => "take-load",
            Step::Quarantine { .. } => "quarantine",
            Step::Readmit { .. } => "readmit",
            Step::RotateCertificate => "rotate-certificate",
            Step::Rejoin => "rejoin",
            Step::RebuildStore => "rebuild-store",
        }
    }

    /// How long the step gets to help before the next is tried.
    pub const fn patience(&self) -> Duration {
        Duration::from_secs(match self {
            Step::Wait | Step::Reroute { .. } | Step::SwitchPath { .. } | Step::RestartActor { .. } => 2,
            Step::Redial { .. } | Step::FindNeighbors => 6,
            Step::ShedLoad | Step::TakeLoad | Step::Quarantine { .. } | Step::Readmit { .. } => 10,
            Step::AddNeighbor { .. } | Step::DropNeighbor { .. } | Step::Rejoin | Step::RebuildStore => 20,
            Step::RotateCertificate => 30,
        })
    }

    /// What takes the step back when it did not help; `None` where there is nothing to take back.
    pub fn undo(&self) -> Option<Step> {
        match self {
            Step::ShedLoad => Some(Step::TakeLoad),
            Step::Quarantine { peer } => Some(Step::Readmit { peer: *peer }),
            Step::AddNeighbor { peer } => Some(Step::DropNeighbor { peer: *peer }),
            Step::DropNeighbor { peer } => Some(Step::AddNeighbor { peer: *peer }),
            _ => None,
        }
    }

    /// Whether somebody measures its own effect, and says so: what follows it in a plan is not tried without that.
    pub const fn is_verified(&self) -> bool {
        matches!(self, Step::AddNeighbor { .. } | Step::DropNeighbor { .. })
    }

    /// Whether it may do harm if the diagnosis is wrong.
    pub const fn is_risky(&self) -> bool {
        matches!(self, Step::Quarantine { .. } | Step::ShedLoad | Step::DropNeighbor { .. })
    }
}

/// What became of a step; knowledge is made of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The name of the incident's kind.
    pub kind: String,
    /// The name of the step.
    pub step: String,
    /// Whether the incident was over before the step's patience was; of a step that prepares another one, whether its own
    /// effect was measured by then.
    pub helped: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it could not be done at all, if so: then it teaches nothing.
    #[serde(default)]
    pub refused: Option<String>,
    /// When each phase was over.
    #[serde(default)]
    pub phases: Phases,
}

/// When each phase of a repair was over, in microseconds since the incident was noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// It was found what the incident follows from; `None` if it follows from nothing that is known.
    pub analyzed_us: Option<u64>,
    /// The plan was made.
    pub planned_us: u64,
    /// The step was begun.
    pub executing_us: u64,
    /// It was measured that the incident is over; `None` if it is not.
    pub verified_us: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_step_back_is_not_taken_back_itself() {
        let peer = PeerId::from_public_key([1; 32]);
        for step in [Step::ShedLoad, Step::Quarantine { peer }] {
            assert_eq!(step.undo().and_then(|undo| undo.undo()), None);
        }
    }
}
