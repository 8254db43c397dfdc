//! What the node answers about the ways to other nodes.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::pathfinder::{DOUBTED_FOR, Doubt, LinkWhy, PathState, PathView, Verdict, Why};

use super::answers::{Answers, CALL_PATIENCE, answered, away, session_error};
use super::error::{Error, ErrorKind};
use super::vocabulary::{HopInfo, LaneInfo, PathInfo, PathLinkInfo, PathWhy, Response};
use crate::messages::{Mail, PathfinderQuery};
use crate::transport::LaneLoad;

impl Answers {
    pub(super) async fn paths(&self, destination: &str, why: bool) -> Result<Response, Error> {
        let destination = self.find(destination)?;
        let paths = if why {
            let views = self.reasons(destination).await?;
            views.into_iter().map(|(view, why)| self.path_info(destination, view, Some(why))).collect()
        } else {
            self.paths_to(destination).await?.into_iter().map(|view| self.path_info(destination, view, None)).collect()
        };
        Ok(Response::Paths { destination, paths })
    }

    fn path_info(&self, destination: PeerId, view: PathView, why: Option<Why>) -> PathInfo {
        let loads = if view.lanes.is_empty() { Vec::new() } else { self.sessions().lanes(destination) };
        let lane = |LaneLoad { lane, streams, sent_bytes }| LaneInfo { lane, streams, sent_bytes };
        PathInfo {
            lanes: loads.into_iter().filter(|load| view.lanes.contains(&load.lane)).map(lane).collect(),
            names: view.path.hops.iter().map(|hop| self.shell().known.name(hop)).collect(),
            hops: view.path.hops,
            state: view.state.name().to_owned(),
            cost: view.path.cost,
            rtt_us: view.rtt.as_micros() as u64,
            why: why.map(path_why),
        }
    }

    async fn paths_to(&self, destination: PeerId) -> Result<Vec<PathView>, Error> {
        let actor = self.shell().directory.pathfinder().ok_or_else(|| away("pathfinder"))?;
        let query = |reply| Mail::Query(PathfinderQuery::Paths { destination, reply });
        answered(actor.call(query, Some(CALL_PATIENCE)).await, "pathfinder")
    }

    async fn reasons(&self, destination: PeerId) -> Result<Vec<(PathView, Why)>, Error> {
        let actor = self.shell().directory.pathfinder().ok_or_else(|| away("pathfinder"))?;
        let now = self.shell().clock.now();
        let query = |reply| Mail::Query(PathfinderQuery::Why { destination, now, reply });
        answered(actor.call(query, Some(CALL_PATIENCE)).await, "pathfinder")
    }

    pub(super) async fn ping(&self, destination: &str, timeout_ms: u64) -> Result<Response, Error> {
        let peer = self.find(destination)?;
        let name = self.shell().known.name(&peer);
        let late = || Error::new(ErrorKind::TimedOut, format!("{name} did not answer within {timeout_ms} ms"));
        let ping = tokio::time::timeout(Duration::from_millis(timeout_ms), self.sessions().ping(peer));
        let rtt = ping.await.map_err(|_| late())?.map_err(|error| session_error(&name, error))?;
        let views = self.paths_to(peer).await.unwrap_or_default();
        let in_use = views.into_iter().find(|view| view.state == PathState::InUse);
        let via = in_use.map(|view| view.path.relays().to_vec()).unwrap_or_default();
        Ok(Response::Ping { peer, rtt_us: rtt.as_micros() as u64, via })
    }

    pub(super) async fn trace(&self, destination: &str) -> Result<Response, Error> {
        let destination = self.find(destination)?;
        let name = self.shell().known.name(&destination);
        self.shell().route_to(destination).await.map_err(|reason| Error::new(ErrorKind::NoPath, reason))?;
        let views = self.paths_to(destination).await?;
        let view = views.into_iter().find(|view| view.state == PathState::InUse);
        let (way, path) = view
            .and_then(|view| view.way.map(|way| (way, view.path)))
            .ok_or_else(|| Error::new(ErrorKind::NoPath, format!("no path to {name} is in use; try again")))?;
        let mut hops = Vec::new();
        for (i, hop) in path.hops.iter().skip(1).enumerate() {
            let rtt = self.shell().probe_once(way.first, &way.labels[..i], HOP_PATIENCE).await;
            let name = self.shell().known.name(hop);
            hops.push(HopInfo { peer: *hop, name, rtt_us: rtt.map(|rtt| rtt.as_micros() as u64) });
        }
        Ok(Response::Trace { destination, hops })
    }
}

fn path_why(why: Why) -> PathWhy {
    let (mut cost_permille, mut probation_ms) = (None, None);
    let verdict = match why.verdict {
        Verdict::Chosen => "chosen",
        Verdict::Least => "least",
        Verdict::Unwatched => "unwatched",
        Verdict::Dearer(permille) => {
            cost_permille = Some(permille);
            "dearer"
        }
        Verdict::HardlyCheaper(permille) => {
            cost_permille = Some(permille);
            "hardly-cheaper"
        }
        Verdict::OnProbation { good_for, hold } => {
            probation_ms = Some((good_for.as_millis() as u64, hold.as_millis() as u64));
            "on-probation"
        }
        Verdict::Doubted { why, ago } => {
            probation_ms = Some((ago.as_millis() as u64, DOUBTED_FOR.as_millis() as u64));
            match why {
                Doubt::Unacknowledged => "doubted",
                Doubt::Rising => "rising",
            }
        }
        Verdict::Next => "next",
        Verdict::Unproven => "unproven",
        Verdict::Overdue => "overdue",
        Verdict::Late => "late",
        Verdict::Dead => "dead",
    };
    let link = |link: LinkWhy| PathLinkInfo {
        from: link.from,
        to: link.to,
        rtt_us: link.measured.rtt_us,
        loss_permille: link.measured.loss_permille,
        cost: link.cost,
    };
    PathWhy {
        verdict: verdict.to_owned(),
        cost_permille,
        probation_ms,
        shared: why.shared,
        links: why.links.into_iter().map(link).collect(),
    }
}

/// How long one hop of a trace gets to answer.
const HOP_PATIENCE: Duration = Duration::from_secs(1);
