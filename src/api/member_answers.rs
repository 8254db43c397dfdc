//! What the node answers about the members of the mesh.

use prunella_core::{PeerId, gossip};

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::Error;
use super::page::page;
use super::vocabulary::{BlameInfo, MemberInfo, Response, Standing};
use crate::messages::{GossipQuery, Mail};

impl Answers {
    pub(super) async fn standing(&self) -> Result<gossip::Standing, Error> {
        let actor = self.shell().directory.gossip().ok_or_else(|| away("gossip"))?;
        let asked = actor.call(|reply| Mail::Query(GossipQuery::Standing(reply)), Some(CALL_PATIENCE)).await;
        answered(asked, "gossip")
    }

    /// How the mesh stands, and as many members as fit an answer, after the one named.
    pub(super) async fn members(&self, after: Option<PeerId>) -> Result<Standing, Error> {
        let standing = self.standing().await?;
        let info = |member: gossip::MemberView| MemberInfo {
            name: self.shell().known.name(&member.peer),
            peer: member.peer,
            status: member.status.name().to_owned(),
            region: member.region,
            accusers: member.accusers,
            distrusted_by: member.distrusted_by,
            reputation: member.score,
        };
        let rest = standing.members.into_iter().filter(|member| after.is_none_or(|after| member.peer > after));
        let (members, more) = page(rest.map(info));
        Ok(Standing {
            reachable: standing.quorum.reachable,
            known: standing.quorum.known,
            has_quorum: standing.quorum.has_quorum,
            ill_health: standing.ill_health,
            records: standing.records,
            neighbors: standing.neighbors.len(),
            neighbors_in_sync: standing.neighbors.iter().filter(|(_, in_sync)| *in_sync).count(),
            members,
            more,
        })
    }

    pub(super) async fn reputation(&self, peer: &str) -> Result<Response, Error> {
        let peer = self.find(peer)?;
        let actor = self.shell().directory.gossip().ok_or_else(|| away("gossip"))?;
        let asked = actor.call(|reply| Mail::Query(GossipQuery::Score { peer, reply }), Some(CALL_PATIENCE)).await;
        let score = answered(asked, "gossip")?;
        let blame = |(fault, taken): (&str, f64)| BlameInfo { fault: fault.to_owned(), taken };
        Ok(Response::Reputation { peer, score: score.sum, parts: score.parts.into_iter().map(blame).collect() })
    }
}
