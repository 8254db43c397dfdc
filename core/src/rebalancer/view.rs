//! What the role knows of the mesh: how far its neighbors are, how far others may be, and who is there at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{DISTANCES_REMEMBERED_MAX, LINKS_PER_NODE_MAX, NEIGHBORS_MAX, RECORDS_MAX};
use crate::paths::cost::{HOP_COST_US, expected_us};
use crate::peer::LinkReport;
use crate::record::LinkBody;
use crate::{Instant, PeerId};

/// The mesh as this node knows it. Bounded by what gossip holds.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) neighbors: BTreeMap<PeerId, LinkReport>,
    /// Since when each of them is one.
    since: BTreeMap<PeerId, Instant>,
    pub(super) nodes: BTreeMap<PeerId, Known>,
    down: BTreeSet<PeerId>,
    pub(super) links: BTreeMap<PeerId, Vec<LinkBody>>,
    /// What links to nodes cost that are no neighbors any more; the longest possible: they could not be reached.
    measured: BTreeMap<PeerId, (u64, Instant)>,
    /// Destinations that no path leads to now.
    pub(super) lost: BTreeSet<PeerId>,
}

/// What a node says of itself, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) dialable: bool,
    pub(super) region: String,
}

impl View {
    pub(super) fn set_neighbor(&mut self, report: LinkReport, now: Instant) {
        if self.neighbors.len() < NEIGHBORS_MAX || self.neighbors.contains_key(&report.peer) {
            self.since.entry(report.peer).or_insert(now);
            self.neighbors.insert(report.peer, report);
        }
    }

    /// The neighbor is none any more; what its link cost is remembered.
    pub(super) fn forget_neighbor(&mut self, peer: &PeerId, now: Instant) {
        self.since.remove(peer);
        if let Some(cost) = self.neighbors.remove(peer).as_ref().and_then(cost_at_most) {
            self.remember(*peer, cost, now);
        }
    }

    /// Whether this neighbor came so lately that it may be on trial.
    pub(super) fn is_on_trial(&self, peer: &PeerId, now: Instant) -> bool {
        self.since.get(peer).is_some_and(|since| now.since(*since) < TRIAL_MAX)
    }

    /// A link to this node was measured, or could not be made at all ([`u64::MAX`]).
    pub(super) fn remember(&mut self, peer: PeerId, cost: u64, now: Instant) {
        if self.measured.len() >= DISTANCES_REMEMBERED_MAX && !self.measured.contains_key(&peer) {
            let oldest = self.measured.iter().min_by_key(|(_, (_, at))| *at).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| self.measured.remove(&oldest));
        }
        self.measured.insert(peer, (cost, now));
    }

    /// What was measured before this time is not believed any more: networks change.
    pub(super) fn forget_measured_before(&mut self, then: Instant) {
        self.measured.retain(|_, (_, at)| *at >= then);
    }

    pub(super) fn set_node(&mut self, peer: PeerId, known: Option<Known>) {
        match known {
            Some(known) if self.nodes.len() < RECORDS_MAX || self.nodes.contains_key(&peer) => {
                self.nodes.insert(peer, known);
            }
            Some(_) => {}
            None => drop(self.nodes.remove(&peer)),
        }
    }

    pub(super) fn set_down(&mut self, peer: PeerId, down: bool) {
        if !down {
            self.down.remove(&peer);
        } else if self.down.len() < RECORDS_MAX {
            self.down.insert(peer);
        }
    }

    pub(super) fn set_links(&mut self, origin: PeerId, mut links: Vec<LinkBody>) {
        links.truncate(LINKS_PER_NODE_MAX);
        if links.is_empty() {
            self.links.remove(&origin);
        } else if self.links.len() < RECORDS_MAX || self.links.contains_key(&origin) {
            self.links.insert(origin, links);
        }
    }

    /// Neighbors over whose links frames may be sent.
    pub(super) fn usable(&self) -> usize {
        self.neighbors.values().filter(|report| report.state.is_usable()).count()
    }

    /// Whether frames may be sent over the link to this neighbor.
    pub(super) fn is_usable(&self, peer: &PeerId) -> bool {
        self.neighbors.get(peer).is_some_and(|report| report.state.is_usable())
    }

    /// Nodes that could be neighbors and are not.
    pub(super) fn strangers(&self, me: PeerId) -> impl Iterator<Item = (&PeerId, &Known)> {
        let strange =
            move |peer: &PeerId| *peer != me && !self.neighbors.contains_key(peer) && !self.down.contains(peer);
        self.nodes.iter().filter(move |(peer, known)| known.dialable && strange(peer))
    }

    /// Other nodes that are known and were not given up, in ascending order.
    pub(super) fn others(&self, me: PeerId) -> impl DoubleEndedIterator<Item = PeerId> {
        self.nodes.keys().copied().filter(move |peer| *peer != me && !self.down.contains(peer))
    }

    /// What a link to this node cost when there was one.
    pub(super) fn measured(&self, peer: &PeerId) -> Option<u64> {
        self.measured.get(peer).map(|(cost, _)| *cost)
    }

    /// Of how many nodes that are no neighbors it is known how far they are.
    pub(super) fn measured_count(&self) -> usize {
        self.measured.keys().filter(|peer| !self.neighbors.contains_key(peer)).count()
    }

    /// What the cheapest way to every node costs, as far as neighbors and what nodes tell of their links go (Dijkstra,
    /// 1959): a link of its own should cost no more, for round trips rarely are shorter on a detour.
    pub(super) fn promised(&self, me: PeerId) -> BTreeMap<PeerId, u64> {
        let mut settled = BTreeMap::new();
        let mut open: BTreeSet<(u64, PeerId)> =
            self.neighbors.values().filter_map(|r| Some((cost(r)?, r.peer))).collect();
        while let Some((cost, peer)) = open.pop_first() {
            if peer == me || settled.contains_key(&peer) || settled.len() >= RECORDS_MAX {
                continue;
            }
            settled.insert(peer, cost);
            let links = self.links.get(&peer).into_iter().flatten();
            open.extend(links.map(|link| (cost.saturating_add(told_cost(link)), link.neighbor)));
        }
        settled
    }

    /// What a link to this node costs at least: no neighbor is nearer to it than the difference of the ways to both
    /// (the triangle inequality, which round trips nearly obey).
    pub(super) fn least(&self, peer: &PeerId) -> u64 {
        let apart = |report: &LinkReport, link: &LinkBody| Some(cost(report)?.abs_diff(told_cost(link)) + HOP_COST_US);
        let by_neighbors = self.neighbors.values().filter_map(|report| {
            let link = self.links.get(&report.peer)?.iter().find(|link| link.neighbor == *peer)?;
            apart(report, link)
        });
        let by_itself = self.links.get(peer).into_iter().flatten();
        let by_itself = by_itself.filter_map(|link| apart(self.neighbors.get(&link.neighbor)?, link));
        by_neighbors.chain(by_itself).max().unwrap_or(HOP_COST_US)
    }
}

/// What a link costs, once it is measured well enough: by the mean of its round trips.
pub(super) fn cost(report: &LinkReport) -> Option<u64> {
    let measured = report.state.is_usable() && report.latency.count >= PROBES_MIN;
    measured.then(|| expected_us(report.latency.mean_us, report.loss_permille))
}

/// What a link costs at most: by the mean or by what it takes now, whichever is more.
pub(super) fn cost_at_most(report: &LinkReport) -> Option<u64> {
    Some(cost(report)?.max(expected_us(now_us(report), report.loss_permille)))
}

/// What a link costs at least: by the mean or by what it takes now, whichever is less. One bad moment is no reason to
/// leave a neighbor.
pub(super) fn cost_at_least(report: &LinkReport) -> Option<u64> {
    Some(cost(report)?.min(expected_us(now_us(report), report.loss_permille)))
}

fn now_us(report: &LinkReport) -> u32 {
    u32::try_from(report.rtt.as_micros()).unwrap_or(u32::MAX)
}

/// What a link costs by what one of its ends tells.
pub(super) fn told_cost(link: &LinkBody) -> u64 {
    expected_us(link.rtt_us, link.loss_permille)
}

/// How long a new neighbor may be on trial: as long as a plan can take that tries it, and takes it back.
const TRIAL_MAX: Duration = Duration::from_secs(90);
/// Round trips until a link counts as measured.
const PROBES_MIN: u64 = 10;
