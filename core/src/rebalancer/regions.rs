//! Regions as latencies show them, and where they contradict the regions that nodes name.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::View;
use crate::clusters::{Span, clusters};
use crate::peer::LinkReport;
use crate::{PeerId, latency::LatencySummary};

/// Nodes that stand close together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Who they are, in ascending order.
    pub members: Vec<PeerId>,
    /// The middle one of the round trips between them, in microseconds; `None` if no link between two of them is known.
    pub inside_us: Option<u32>,
    /// The region that most of them name; `None` if none of them names one, or two are named equally often.
    pub region: Option<String>,
}

/// A region that a node should perhaps name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// The node.
    pub peer: PeerId,
    /// The region that it names; empty: none.
    pub named: String,
    /// The region that most nodes near it name.
    pub measured: String,
}

/// What latencies say about regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Regions {
    /// Every cluster, by its first member.
    pub clusters: Vec<Cluster>,
    /// Nodes whose region is not that of the nodes near them.
    pub hints: Vec<Hint>,
}

/// Finds the clusters among all nodes of whose links is known.
pub(super) fn regions(view: &View, me: PeerId) -> Regions {
    let spans = spans(view, me);
    let clusters: Vec<Cluster> = clusters(&spans).into_iter().map(|members| described(view, members, &spans)).collect();
    let mut hints = Vec::new();
    for cluster in &clusters {
        let Some(measured) = &cluster.region else { continue };
        let named = |peer: &PeerId| view.nodes.get(peer).map(|node| node.region.clone());
        let other = cluster.members.iter().filter_map(|peer| Some((*peer, named(peer)?)));
        let other = other.filter(|(_, named)| named != measured);
        hints.extend(other.map(|(peer, named)| Hint { peer, named, measured: measured.clone() }));
    }
    Regions { clusters, hints }
}

fn described(view: &View, members: Vec<PeerId>, spans: &[Span<PeerId>]) -> Cluster {
    let is_inside = |peer: &PeerId| members.binary_search(peer).is_ok();
    let mut inside: Vec<u32> =
        spans.iter().filter(|(a, b, _)| is_inside(a) && is_inside(b)).map(|(.., us)| *us).collect();
    inside.sort_unstable();
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    let regions = members.iter().filter_map(|peer| view.nodes.get(peer)).map(|node| node.region.as_str());
    regions.filter(|region| !region.is_empty()).for_each(|region| *named.entry(region).or_default() += 1);
    let most = named.values().copied().max().unwrap_or_default();
    let mut first = named.iter().filter(|(_, count)| **count == most).map(|(region, _)| (*region).to_owned());
    let region = first.next().filter(|_| first.next().is_none());
    Cluster { inside_us: inside.get(inside.len() / 2).copied(), region, members }
}

/// Every measured link that this node has or hears of.
fn spans(view: &View, me: PeerId) -> Vec<Span<PeerId>> {
    let own_us = |report: &LinkReport| {
        let LatencySummary { mean_us, count, .. } = report.latency;
        (report.state.is_usable() && count > 0).then_some(mean_us)
    };
    let own = view.neighbors.values().filter_map(|report| Some((me, report.peer, own_us(report)?)));
    let told = view.links.iter().filter(|(origin, _)| **origin != me).flat_map(|(origin, links)| {
        links.iter().filter(|link| link.rtt_us > 0).map(|link| (*origin, link.neighbor, link.rtt_us))
    });
    own.chain(told).collect()
}
