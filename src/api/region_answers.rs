//! What the node answers about who stands close together.

use prunella_core::rebalancer::{Cluster, Hint};

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::Error;
use super::vocabulary::{ClusterInfo, RegionHint, RegionsInfo};
use crate::messages::{Mail, RebalancerQuery};

impl Answers {
    pub(super) async fn regions(&self) -> Result<RegionsInfo, Error> {
        let actor = self.shell().directory.rebalancer().ok_or_else(|| away("rebalancer"))?;
        let asked = actor.call(|reply| Mail::Query(RebalancerQuery::Regions(reply)), Some(CALL_PATIENCE)).await;
        let regions = answered(asked, "rebalancer")?;
        let (me, known) = (self.shell().credentials.peer(), &self.shell().known);
        let cluster = |Cluster { members, inside_us, region }: Cluster| ClusterInfo {
            names: members.iter().map(|peer| known.name(peer)).collect(),
            members,
            region,
            inside_us,
        };
        let hint = |Hint { peer, named, measured }: Hint| {
            let name = known.name(&peer);
            RegionHint { peer, name, named, measured }
        };
        let mut clusters: Vec<ClusterInfo> = regions.clusters.into_iter().map(cluster).collect();
        clusters.sort_by_key(|info| (!info.members.contains(&me), std::cmp::Reverse(info.members.len())));
        Ok(RegionsInfo { clusters, hints: regions.hints.into_iter().map(hint).collect() })
    }
}
