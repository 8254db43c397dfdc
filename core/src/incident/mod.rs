//! Incidents, plans and steps: the words of the healing loop.
//!
//! An [`Incident`] says what is wrong ([`IncidentKind`]), with whom or what ([`Subject`]), how one knows ([`Evidence`]),
//! how bad it is ([`Severity`]) and since when. A [`Plan`] says what is to be done about it, an [`Outcome`] what became
//! of that.

mod evidence;
mod kind;
mod plan;
mod subject;

use serde::{Deserialize, Serialize};

use crate::Instant;

pub use evidence::{Evidence, Quantity};
pub use kind::{IncidentKind, Severity};
pub use plan::{Candidate, Outcome, Phases, Plan, Step, Withheld};
pub use subject::Subject;

/// Something is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number, growing on this node.
    pub id: u64,
    /// What kind of thing is wrong, and whom or what it concerns.
    pub kind: IncidentKind,
    /// What was seen.
    pub evidence: Evidence,
    /// How bad it is.
    pub severity: Severity,
    /// When it was noticed.
    pub opened: Instant,
}

impl Incident {
    /// An incident that is noticed at `opened`, as severe as its kind is.
    pub fn new(id: u64, kind: IncidentKind, evidence: Evidence, opened: Instant) -> Self {
        let severity = kind.severity();
        Self { id, kind, evidence, severity, opened }
    }
}
