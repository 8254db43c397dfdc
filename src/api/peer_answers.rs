//! What the node answers about the nodes that it knows, and about its links.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use prunella_core::PeerId;
use prunella_core::peer::LinkReport;
use prunella_core::record::NodeBody;
use ractor::rpc::CallResult;

use super::answers::{Answers, CALL_PATIENCE, answered, away};
use super::error::Error;
use super::page::page;
use super::vocabulary::{LinkInfo, PeerInfo, Reach};
use crate::messages::{Mail, PathfinderQuery, PeerQuery};

impl Answers {
    /// Every node that is known.
    pub(super) async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        let me = self.shell().credentials.peer();
        let reachable = self.reachable().await?;
        let info = |(peer, node): (PeerId, NodeBody)| {
            let relays = reachable.get(&peer).copied();
            let state = match relays {
                _ if peer == me => Reach::Myself,
                Some(0) => Reach::Neighbor,
                Some(_) => Reach::Relayed,
                None => Reach::Unreachable,
            };
            PeerInfo { peer, name: node.name, addresses: node.addresses, state, relays }
        };
        Ok(self.shell().known.nodes().into_iter().map(info).collect())
    }

    /// As many of them as fit an answer, after the one named, and whether there are more.
    pub(super) async fn peers_after(&self, after: Option<PeerId>) -> Result<(Vec<PeerInfo>, bool), Error> {
        let peers = self.peers().await?;
        Ok(page(peers.into_iter().filter(|info| after.is_none_or(|after| info.peer > after))))
    }

    pub(super) async fn reachable(&self) -> Result<BTreeMap<PeerId, usize>, Error> {
        let actor = self.shell().directory.pathfinder().ok_or_else(|| away("pathfinder"))?;
        let asked = actor.call(|reply| Mail::Query(PathfinderQuery::Reachable(reply)), Some(CALL_PATIENCE)).await;
        answered(asked, "pathfinder")
    }

    pub(super) async fn links(&self) -> Vec<LinkInfo> {
        let addresses: BTreeMap<PeerId, SocketAddr> = self.shell().links().addresses().into_iter().collect();
        let stats: BTreeMap<_, _> = self.shell().port.link_stats().into_iter().map(|s| (s.peer, s)).collect();
        let mut links = Vec::new();
        for peer in self.shell().directory.peers() {
            let report = self.report(&peer).await;
            let bytes = stats.get(&peer).map_or((0, 0), |s| (s.bytes_sent, s.bytes_received));
            links.push(LinkInfo {
                peer,
                name: self.shell().known.name(&peer),
                address: addresses.get(&peer).copied(),
                state: report.as_ref().map_or("restarting", |r| r.state.name()).to_owned(),
                rtt_us: report.as_ref().map_or(0, |r| r.rtt.as_micros() as u64),
                loss_permille: report.as_ref().map_or(0, |r| r.loss_permille),
                sent_bytes: bytes.0,
                received_bytes: bytes.1,
                established: report.as_ref().map_or(0, |r| r.established),
                probed_every_ms: report.as_ref().map_or(0, |r| r.probed_every.as_millis() as u64),
                failing: report.as_ref().is_some_and(|r| r.failing),
                latency: report.as_ref().map(|r| r.latency).unwrap_or_default(),
            });
        }
        links
    }

    async fn report(&self, peer: &PeerId) -> Option<LinkReport> {
        let actor = self.shell().directory.peer(peer)?;
        match actor.call(|reply| Mail::Query(PeerQuery::Report(reply)), Some(CALL_PATIENCE)).await {
            Ok(CallResult::Success(report)) => Some(report),
            _ => None,
        }
    }
}
