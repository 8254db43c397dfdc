//! Answers about who is linked with whom. They ask no actor, so they come whatever is stuck.

use std::collections::BTreeSet;
use std::ops::Bound;

use prunella_core::PeerId;
use prunella_core::membership::Status;
use prunella_core::record::LinkBody;

use super::answers::Answers;
use super::page::page;
use super::vocabulary::{TopologyInfo, TopologyLink, TopologyNode};

impl Answers {
    /// As many nodes as fit an answer, after the one named.
    pub(super) fn topology(&self, after: Option<PeerId>) -> TopologyInfo {
        let known = &self.shell().known;
        let me = self.shell().credentials.peer();
        let (nodes, mut links, ill) = (known.nodes(), known.links(), known.ill());
        let ends = links.iter().flat_map(|(from, links)| links.iter().map(|link| (*from, link.neighbor)));
        let said: BTreeSet<(PeerId, PeerId)> = ends.collect();
        let every: BTreeSet<PeerId> = nodes.keys().chain(links.keys()).copied().chain([me]).collect();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);

        let node = |peer: PeerId| {
            let link = |link: LinkBody| TopologyLink {
                to: link.neighbor,
                rtt_us: link.rtt_us,
                loss_permille: link.loss_permille,
                agreed: said.contains(&(link.neighbor, peer)),
            };
            let body = nodes.get(&peer);
            TopologyNode {
                peer,
                name: body.map(|body| body.name.clone()).unwrap_or_default(),
                region: body.map(|body| body.region.clone()).unwrap_or_default(),
                status: ill.get(&peer).unwrap_or(&Status::Alive).name().to_owned(),
                links: links.remove(&peer).unwrap_or_default().into_iter().map(link).collect(),
            }
        };
        let (nodes, more) = page(every.range((after, Bound::Unbounded)).copied().map(node));
        TopologyInfo { me, nodes, more }
    }
}
