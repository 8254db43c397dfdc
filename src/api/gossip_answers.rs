//! What the node answers about its gossip. What the gossip actor alone knows is left out while it is stuck.

use prunella_core::Instant;
use prunella_core::gossip::{NeighborView, Progress};
use ractor::rpc::CallResult;

use super::answers::{Answers, CALL_PATIENCE};
use super::vocabulary::{ControlInfo, GossipInfo, GossipNeighbor, GossipTold};
use crate::messages::{GossipQuery, Mail};
use crate::transport::CONTROL_KINDS;

impl Answers {
    pub(super) async fn gossip(&self) -> GossipInfo {
        let shell = self.shell();
        let [sent, received] = shell.links().control_traffic();
        let kinds = CONTROL_KINDS.iter().zip(sent.messages).zip(received.messages);
        let messages = kinds.map(|((kind, sent), received)| ControlInfo { kind: (*kind).to_owned(), sent, received });
        let rejected = shell.rejections().into_iter().filter(|(_, count)| *count > 0);
        let name = |reason: String| reason.trim_start_matches("rejected_").to_owned();
        GossipInfo {
            told: self.progress().await.map(|progress| self.told(progress)),
            messages: messages.collect(),
            sent_bytes: sent.bytes,
            received_bytes: received.bytes,
            dropped: shell.links().dropped(),
            rejected: rejected.map(|(reason, count)| (name(reason), count)).collect(),
        }
    }

    async fn progress(&self) -> Option<Progress> {
        let actor = self.shell().directory.gossip()?;
        match actor.call(|reply| Mail::Query(GossipQuery::Progress(reply)), Some(CALL_PATIENCE)).await {
            Ok(CallResult::Success(progress)) => Some(progress),
            _ => None,
        }
    }

    fn told(&self, progress: Progress) -> GossipTold {
        let now = self.shell().clock.now();
        let ago = |at: Option<Instant>| at.map(|at| now.since(at).as_millis() as u64);
        let neighbor = |NeighborView { peer, eager, in_sync, talk }: NeighborView| GossipNeighbor {
            peer,
            name: self.shell().known.name(&peer),
            eager,
            in_sync,
            held_there: talk.held_there,
            greeted_ms: ago(talk.greeted),
            heard_ms: ago(talk.heard),
            agreed_ms: ago(talk.agreed),
            rounds: talk.rounds,
            syncs: talk.syncs,
            given: talk.given,
            taken: talk.taken,
        };
        GossipTold {
            records: progress.records,
            waiting: progress.missing,
            neighbors: progress.neighbors.into_iter().map(neighbor).collect(),
        }
    }
}
