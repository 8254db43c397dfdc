//! What the node answers about who stands close together.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use prunella_core::PeerId;
use prunella_core::rebalancer::{Cluster, Hint};
use serde::Serialize;

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::Error;
use super::page::page;
use super::vocabulary::{ClusterInfo, RegionHint, RegionsInfo};
use crate::messages::{Mail, RebalancerQuery};

impl Answers {
    /// As many members of clusters as fit an answer, from that number on.
    pub(super) async fn regions(&self, from: u64) -> Result<RegionsInfo, Error> {
        let actor = self.shell().directory.rebalancer().ok_or_else(|| away("rebalancer"))?;
        let asked = actor.call(|reply| Mail::Query(RebalancerQuery::Regions(reply)), Some(CALL_PATIENCE)).await;
        let regions = answered(asked, "rebalancer")?;
        let (me, known) = (self.shell().credentials.peer(), &self.shell().known);
        let mut clusters = regions.clusters;
        clusters.sort_by_key(|cluster| (!cluster.members.contains(&me), Reverse(cluster.members.len())));
        let mut hints: BTreeMap<PeerId, RegionHint> = BTreeMap::new();
        for Hint { peer, named, measured } in regions.hints {
            hints.insert(peer, RegionHint { peer, name: known.name(&peer), named, measured });
        }
        let places = clusters.iter().enumerate();
        let places = places.flat_map(|(at, cluster)| cluster.members.iter().map(move |peer| (at, *peer)));
        let told = |(at, peer)| Told { at, peer, name: known.name(&peer), hint: hints.remove(&peer) };
        let (told, more) = page(places.skip(usize::try_from(from).unwrap_or(usize::MAX)).map(told));
        Ok(gathered(&clusters, told, more))
    }
}

/// A member of a cluster, and what is told of it.
#[derive(Serialize)]
struct Told {
    /// Which cluster.
    at: usize,
    peer: PeerId,
    name: String,
    hint: Option<RegionHint>,
}

fn gathered(clusters: &[Cluster], told: Vec<Told>, more: bool) -> RegionsInfo {
    let mut info = RegionsInfo { clusters: Vec::new(), hints: Vec::new(), more };
    for Told { at, peer, name, hint } in told {
        let number = at + 1;
        if info.clusters.last().is_none_or(|last| last.number != number) {
            let Cluster { inside_us, region, .. } = &clusters[at];
            let (members, names) = (Vec::new(), Vec::new());
            info.clusters.push(ClusterInfo { number, members, names, region: region.clone(), inside_us: *inside_us });
        }
        let cluster = info.clusters.last_mut().expect("BUG: it was there or made");
        cluster.members.push(peer);
        cluster.names.push(name);
        info.hints.extend(hint);
    }
    info
}
