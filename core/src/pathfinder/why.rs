//! Why traffic takes the path that it takes, and no other.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::destination::Standing;
use super::tracked::{Doubt, State, Tracked};
use crate::PeerId;
use crate::paths::{Measured, Path, Topology};

/// What speaks for a path and against it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// What decided.
    pub verdict: Verdict,
    /// Its links, in order of travel, and what each adds to its cost.
    pub links: Vec<LinkWhy>,
    /// How many relays and links it has in common with the paths before it in the list.
    pub shared: usize,
}

/// One link of a path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LinkWhy {
    /// The node that sends.
    pub from: PeerId,
    /// The node that receives.
    pub to: PeerId,
    /// What both ends measured, the worse of the two.
    pub measured: Measured,
    /// What it adds to the path's cost, in microseconds of expected delivery.
    pub cost: u64,
}

/// What decided for or against a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// In use: no path that works costs so much less that it is worth a change.
    Chosen,
    /// In use for want of a path that works better.
    Least,
    /// Nobody talks to the destination, so no path is probed.
    Unwatched,
    /// It works, and costs this many thousandths of the path in use, 1000 and more.
    Dearer(u64),
    /// It works and is cheaper, but costs more than `BETTER_PERMILLE` of the path
    /// in use: this many thousandths.
    HardlyCheaper(u64),
    /// It works and is notably cheaper; the path in use failed lately, so it must first have worked for so long.
    OnProbation {
        /// For how long it has worked.
        good_for: Duration,
        /// For how long it must have.
        hold: Duration,
    },
    /// It works as far as probes tell, and was left all the same.
    Doubted {
        /// Why.
        why: Doubt,
        /// How long ago.
        ago: Duration,
    },
    /// It works and is notably better: traffic is about to move.
    Next,
    /// No probe has come back yet.
    Unproven,
    /// A probe is overdue.
    Overdue,
    /// Probes have been overdue for long.
    Late,
    /// No probe comes back, or a relay said that it cannot pass frames on.
    Dead,
}

impl Verdict {
    /// Judges a path that is not in use beside the one that is.
    pub(super) fn beside(path: &Tracked, in_use: Option<&Tracked>, standing: Standing) -> Self {
        let Some(in_use) = in_use else { return Self::of_state(path.state()) };
        if path.state() != State::Good || in_use.state() < State::Fresh {
            return Self::of_state(path.state());
        }
        if let Some((doubted, why)) = path.doubted(standing.now) {
            return Self::Doubted { why, ago: standing.now.since(doubted) };
        }
        let permille = path.path.cost.saturating_mul(1000) / in_use.path.cost.max(1);
        let good_for = path.good_for(standing.now);
        match permille {
            1000.. => Self::Dearer(permille),
            super::destination::BETTER_PERMILLE.. => Self::HardlyCheaper(permille),
            _ if good_for < standing.hold => Self::OnProbation { good_for, hold: standing.hold },
            _ => Self::Next,
        }
    }

    fn of_state(state: State) -> Self {
        match state {
            State::Good => Self::Next,
            State::Fresh => Self::Unproven,
            State::Overdue => Self::Overdue,
            State::Late => Self::Late,
            State::Dead => Self::Dead,
        }
    }
}

impl Why {
    pub(super) fn of(verdict: Verdict, path: &Path, before: &[&Path], topology: &Topology) -> Self {
        let link = |pair: &[PeerId]| {
            let (from, to) = (pair[0], pair[1]);
            let measured = topology.measured(from, to)?;
            Some(LinkWhy { from, to, measured, cost: topology.link(from, to)?.cost })
        };
        let links = path.hops.windows(2).filter_map(link).collect();
        Self { verdict, links, shared: shared(path, before) }
    }
}

/// How many relays and links `path` has in common with `others`, each counted once.
fn shared(path: &Path, others: &[&Path]) -> usize {
    let relays: BTreeSet<&PeerId> = others.iter().flat_map(|other| other.relays()).collect();
    let links: BTreeSet<&[PeerId]> = others.iter().flat_map(|other| other.hops.windows(2)).collect();
    path.relays().iter().filter(|relay| relays.contains(relay)).count()
        + path.hops.windows(2).filter(|link| links.contains(link)).count()
}
