//! Incidents, plans and steps: the words of the healing loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Instant, PeerId};

/// Something is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// Its number, growing on this node.
    pub id: u64,
    /// What kind of thing is wrong, and whom or what it concerns.
    pub kind: IncidentKind,
    /// What was seen.
    pub evidence: String,
    /// When it was noticed.
    pub opened: Instant,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum IncidentKind {
    /// The link to a neighbor does not carry round trips.
    LinkDown {
        /// The neighbor.
        peer: PeerId,
    },
    /// Traffic had to move to another path.
    PathSwitched {
        /// The destination.
        destination: PeerId,
    },
    /// No path to an active destination works.
    PathLost {
        /// The destination.
        destination: PeerId,
    },
    /// Fewer links are up than the configuration asks for.
    FewNeighbors,
    /// An actor failed.
    ActorFailed {
        /// Its name.
        actor: String,
    },
}

impl IncidentKind {
    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            IncidentKind::LinkDown { .. } => "link-down",
            IncidentKind::PathSwitched { .. } => "path-switched",
            IncidentKind::PathLost { .. } => "path-lost",
            IncidentKind::FewNeighbors => "few-neighbors",
            IncidentKind::ActorFailed { .. } => "actor-failed",
        }
    }

    /// The destination to which no path works, if that is what is wrong.
    pub const fn lost_destination(&self) -> Option<PeerId> {
        if let IncidentKind::PathLost { destination } = self { Some(*destination) } else { None }
    }

    /// Whom or what it concerns.
    pub fn subject(&self) -> String {
        match self {
            IncidentKind::LinkDown { peer } => peer.to_string(),
            IncidentKind::PathSwitched { destination } | IncidentKind::PathLost { destination } => {
                destination.to_string()
            }
            IncidentKind::FewNeighbors => "this node".to_owned(),
            IncidentKind::ActorFailed { actor } => actor.clone(),
        }
    }
}

/// What to do about an incident: steps, tried in order until one helps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The incident.
    pub incident: u64,
    /// Its kind, so that the outcome teaches something about the kind.
    pub kind: IncidentKind,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// Dial nodes that are known but not neighbors.
    FindNeighbors,
}

impl Step {
    /// The step's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Step::Wait => "wait",
            Step::Redial { .. } => "redial",
            Step::Reroute { .. } => "reroute",
            Step::FindNeighbors => "find-neighbors",
        }
    }

    /// How long the step gets to help before the next is tried.
    pub const fn patience(&self) -> Duration {
        match self {
            Step::Wait => Duration::from_secs(2),
            Step::Redial { .. } => Duration::from_secs(6),
            Step::Reroute { .. } => Duration::from_secs(2),
            Step::FindNeighbors => Duration::from_secs(6),
        }
    }
}

/// What became of a step; knowledge is made of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The name of the incident's kind.
    pub kind: String,
    /// The name of the step.
    pub step: String,
    /// Whether the incident was over before the step's patience was.
    pub helped: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}
