//! What to do about an incident, and what became of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::IncidentKind;
use crate::PeerId;

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
