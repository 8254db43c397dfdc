//! The ranking: what could be done about a kind of incident, the best first.

use super::knowledge::Knowledge;
use crate::incident::{Candidate, IncidentKind, Step};

/// The candidates for a kind of incident: by expected effect less cost and risk, and of equals the one that is named
/// first.
pub(super) fn rank(kind: &IncidentKind, knowledge: &Knowledge) -> Vec<Candidate> {
    let candidate = |steps: Vec<Step>| {
        let name = steps.last().map_or("", Step::name);
        let (tried, helped) = knowledge.of(kind, name);
        let cost = steps.iter().map(cost).sum();
        let risk = steps.iter().map(risk).max().unwrap_or_default();
        Candidate { steps, tried, helped, cost, risk }
    };
    let mut candidates: Vec<Candidate> = possible(kind).into_iter().map(candidate).collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.score()));
    candidates
}

/// What could help at all. Nothing: the incident is told, and needs no repair, or there is none.
fn possible(kind: &IncidentKind) -> Vec<Vec<Step>> {
    let one_each = |steps: Vec<Step>| steps.into_iter().map(|step| vec![step]).collect();
    match kind {
        IncidentKind::LinkDown { peer }
        | IncidentKind::LinkOneWay { peer }
        | IncidentKind::NodeUnreachable { peer } => {
            one_each(vec![Step::Wait, Step::Redial { peer: *peer }, Step::FindNeighbors])
        }
        IncidentKind::PathLost { destination } => {
            one_each(vec![Step::Reroute { destination: *destination }, Step::FindNeighbors])
        }
        IncidentKind::PayloadLost { destination } => one_each(vec![
            Step::SwitchPath { destination: *destination },
            Step::Reroute { destination: *destination },
            Step::FindNeighbors,
        ]),
        IncidentKind::RegionUnreachable { .. } => one_each(vec![Step::Wait, Step::FindNeighbors]),
        IncidentKind::CutOff => one_each(vec![Step::Wait, Step::FindNeighbors, Step::Rejoin]),
        IncidentKind::FewNeighbors => one_each(vec![Step::FindNeighbors]),
        // Make before break: the executor goes on to the second step only when the first is measured.
        IncidentKind::FarNeighbor { far, near } => {
            vec![vec![Step::AddNeighbor { peer: *near }, Step::DropNeighbor { peer: *far }]]
        }
        // Who waits for the disk is not helped by a restart, and everything stands on it.
        IncidentKind::ActorStuck { actor } if actor != WRITER => {
            one_each(vec![Step::RestartActor { actor: actor.clone() }])
        }
        // The pathfinder moves traffic off what is slow or lossy by itself; and what it needs a person for is told to one
        // when it has lasted.
        IncidentKind::LinkLossy { .. }
        | IncidentKind::LinkSlow { .. }
        | IncidentKind::PathChurn { .. }
        | IncidentKind::RelayFailing { .. }
        | IncidentKind::ActorFailed { .. }
        | IncidentKind::ActorStuck { .. }
        | IncidentKind::StoreSlow
        | IncidentKind::Leak { .. }
        // Neighbors are asked for damaged entries in any case. What else is wrong with a ledger, a person has to judge: a disk
        // that was restored from a copy looks like one whose owner would rather forget.
        | IncidentKind::LedgerDamaged
        | IncidentKind::LedgerSetBack
        | IncidentKind::LedgerBroken { .. } => one_each(vec![Step::Wait]),
        // Of the actors, it is the pathfinder that has less to do when the node takes on less.
        IncidentKind::ActorSlow { actor } if actor != PATHFINDER => one_each(vec![Step::Wait]),
        IncidentKind::ActorSlow { .. } | IncidentKind::Starved => one_each(vec![Step::Wait, Step::ShedLoad]),
        // Room is mostly made on a full disk; an engine that stopped after an error never comes back.
        IncidentKind::StoreFailing => one_each(vec![Step::Wait, Step::RebuildStore]),
        IncidentKind::Refusals { peer } => one_each(vec![Step::Wait, Step::Redial { peer: *peer }]),
        // Waiting would help only when half of it is forgotten.
        IncidentKind::Misbehaving { peer } => one_each(vec![Step::Quarantine { peer: *peer }]),
        IncidentKind::CertificateExpiring => one_each(vec![Step::RotateCertificate]),
        // The pathfinder has moved the traffic already; a clock is not set back; what is ahead is not yet; and unusual is
        // not wrong.
        IncidentKind::PathSwitched { .. }
        | IncidentKind::BreachAhead { .. }
        | IncidentKind::ClockJumped
        | IncidentKind::LinkUnusual { .. } => Vec::new(),
    }
}

/// What a step costs those who are well: messages, interrupted work, capacity.
const fn cost(step: &Step) -> u32 {
    match step {
        Step::Wait => 0,
        Step::Reroute { .. } | Step::SwitchPath { .. } | Step::TakeLoad | Step::Readmit { .. } => 10,
        Step::Redial { .. } | Step::AddNeighbor { .. } | Step::DropNeighbor { .. } => 20,
        Step::FindNeighbors => 40,
        Step::RotateCertificate => 60,
        Step::RestartActor { .. } => 80,
        Step::ShedLoad | Step::Quarantine { .. } | Step::Rejoin => 150,
        Step::RebuildStore => 200,
    }
}

/// What a step may break if the diagnosis is wrong.
const fn risk(step: &Step) -> u32 {
    match step {
        Step::RestartActor { .. } | Step::DropNeighbor { .. } => 30,
        Step::RebuildStore | Step::Rejoin => 50,
        Step::ShedLoad => 100,
        Step::Quarantine { .. } => 250,
        _ => 0,
    }
}

/// The actor that writes to the store.
const WRITER: &str = "knowledge";
/// The actor that probes paths.
const PATHFINDER: &str = "pathfinder";
