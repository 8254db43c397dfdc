//! What a ledger writes down: the events that matter for trust, as those say them who saw them.

use serde::{Deserialize, Serialize};

use crate::PeerId;
use crate::incident::{Outcome, Step};

/// Something that a node did or saw, and must not be able to deny later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The node started.
    Started {
        /// The version of its program.
        version: String,
    },
    /// A host became a member of the mesh.
    Admitted {
        /// Who was admitted.
        peer: PeerId,
        /// Who admitted it.
        by: PeerId,
        /// On whose word: the SPIFFE ID of the workload that it runs; empty: on an invitation.
        from: String,
    },
    /// A member is one no longer.
    Revoked {
        /// Who.
        peer: PeerId,
        /// On whose word.
        by: String,
        /// Why.
        reason: String,
    },
    /// Other rules hold.
    PolicyChanged {
        /// Which: their version, or their hash.
        policy: String,
        /// Who changed them.
        who: String,
        /// From where.
        from: String,
        /// What changed.
        change: String,
    },
    /// A node is dealt with no more.
    Quarantined {
        /// Which.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// A node that was quarantined, or removed, is dealt with again.
    Readmitted {
        /// Which.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// A plan of the healing loop came to its end.
    PlanExecuted {
        /// The plan's name.
        plan: String,
        /// What it was about.
        subject: String,
        /// What became of it.
        outcome: String,
    },
    /// An operator gave a command.
    Commanded {
        /// The command, with its arguments, and without secrets.
        command: String,
        /// Who gave it.
        who: String,
        /// From where.
        from: String,
    },
    /// Something that this node keeps is not what it was.
    Damaged {
        /// What: a store, an entry of this ledger.
        what: String,
        /// How it shows.
        damage: String,
    },
    /// What was damaged is as it was again.
    Repaired {
        /// What.
        what: String,
        /// With whose help.
        by: String,
    },
    /// Others have seen more of this ledger than is there: its disk was set back.
    RolledBack {
        /// How many entries this node had when it noticed.
        found: u64,
        /// How many others have seen.
        witnessed: u64,
    },
    /// The ledger of another node is not what it was.
    Witnessed {
        /// Whose ledger.
        ledger: PeerId,
        /// What was found: the name of the finding.
        finding: String,
        /// The heads that show it.
        evidence: String,
    },
}

/// What kind of event an entry tells of. The numbers are part of the format: a number once used is never given another
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum EventKind {
    /// [`Event::Started`].
    Started = 1,
    /// [`Event::Admitted`].
    Admitted = 2,
    /// [`Event::Revoked`].
    Revoked = 3,
    /// [`Event::PolicyChanged`].
    PolicyChanged = 4,
    /// [`Event::Quarantined`].
    Quarantined = 5,
    /// [`Event::Readmitted`].
    Readmitted = 6,
    /// [`Event::PlanExecuted`].
    PlanExecuted = 7,
    /// [`Event::Commanded`].
    Commanded = 8,
    /// [`Event::Damaged`].
    Damaged = 9,
    /// [`Event::Repaired`].
    Repaired = 10,
    /// [`Event::RolledBack`].
    RolledBack = 11,
    /// [`Event::Witnessed`].
    Witnessed = 12,
}

/// An event as an entry has it: in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: EventKind,
    pub(super) who: String,
    pub(super) from: String,
    pub(super) subject: String,
    pub(super) text: String,
}

impl EventKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [EventKind; 12] = [
        EventKind::Started,
        EventKind::Admitted,
        EventKind::Revoked,
        EventKind::PolicyChanged,
        EventKind::Quarantined,
        EventKind::Readmitted,
        EventKind::PlanExecuted,
        EventKind::Commanded,
        EventKind::Damaged,
        EventKind::Repaired,
        EventKind::RolledBack,
        EventKind::Witnessed,
    ];

    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Started => "started",
            EventKind::Admitted => "admitted",
            EventKind::Revoked => "revoked",
            EventKind::PolicyChanged => "policy-changed",
            EventKind::Quarantined => "quarantined",
            EventKind::Readmitted => "readmitted",
            EventKind::PlanExecuted => "plan-executed",
            EventKind::Commanded => "commanded",
            EventKind::Damaged => "damaged",
            EventKind::Repaired => "repaired",
            EventKind::RolledBack => "rolled-back",
            EventKind::Witnessed => "witnessed",
        }
    }

    /// The kind's number in an entry.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl Event {
    /// What became of a step of a plan, as far as anything was done: of waiting nobody is told.
    pub fn of_outcome(incident: u64, outcome: &Outcome) -> Option<Self> {
        let Outcome { kind, step, helped, took_ms, refused, .. } = outcome;
        let outcome = match (refused, helped) {
            (Some(reason), _) => format!("not possible: {reason}"),
            (None, true) => format!("helped after {took_ms} ms"),
            (None, false) => format!("did not help within {took_ms} ms"),
        };
        let is_something = *step != Step::Wait.name();
        is_something.then(|| Event::PlanExecuted {
            plan: step.clone(),
            subject: format!("incident {incident}: {kind}"),
            outcome,
        })
    }

    /// In the words of an entry; `me` is whose ledger it is, who did whatever names nobody else.
    pub(super) fn told(&self, me: &PeerId) -> Told {
        let tell = |kind, who: String, from: &str, subject: String, text: &str| Told {
            kind,
            who,
            from: from.to_owned(),
            subject,
            text: text.to_owned(),
        };
        let myself = me.to_string();
        match self {
            Event::Started { version } => tell(EventKind::Started, myself.clone(), "", myself, version),
            Event::Admitted { peer, by, from } => tell(EventKind::Admitted, by.to_string(), from, peer.to_string(), ""),
            Event::Revoked { peer, by, reason } => tell(EventKind::Revoked, by.clone(), "", peer.to_string(), reason),
            Event::PolicyChanged { policy, who, from, change } => {
                tell(EventKind::PolicyChanged, who.clone(), from, policy.clone(), change)
            }
            Event::Quarantined { peer, reason } => tell(EventKind::Quarantined, myself, "", peer.to_string(), reason),
            Event::Readmitted { peer, reason } => tell(EventKind::Readmitted, myself, "", peer.to_string(), reason),
            Event::PlanExecuted { plan, subject, outcome } => {
                tell(EventKind::PlanExecuted, myself, "", subject.clone(), &format!("{plan}: {outcome}"))
            }
            Event::Commanded { command, who, from } => {
                tell(EventKind::Commanded, who.clone(), from, me.to_string(), command)
            }
            Event::Damaged { what, damage } => tell(EventKind::Damaged, myself, "", what.clone(), damage),
            Event::Repaired { what, by } => tell(EventKind::Repaired, by.clone(), "", what.clone(), ""),
            Event::RolledBack { found, witnessed } => {
                let text = format!("{found} entries found, {witnessed} witnessed");
                tell(EventKind::RolledBack, myself.clone(), "", myself, &text)
            }
            Event::Witnessed { ledger, finding, evidence } => {
                let text = format!("{finding}: {evidence}");
                tell(EventKind::Witnessed, myself, "", ledger.to_string(), &text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_keeps_its_number() {
        let numbers = EventKind::ALL.map(EventKind::number);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(EventKind::from_number(0), None);
        assert_eq!(EventKind::from_number(13), None);
    }
}
