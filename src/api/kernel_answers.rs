//! What the node answers about the half of its datapath that is in the kernel. No actor is asked.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use prunella_core::{PeerId, Tag};

use super::answers::Answers;
use super::vocabulary::{KernelInfo, KernelNeighbor, KernelSource, SentAnew};
use crate::datapath::{AttachMode, Attached, GuardedSource, KernelState, Observed};

impl Answers {
    pub(super) fn kernel(&self) -> KernelInfo {
        let shell = self.shell();
        let port = &shell.port;
        let (off, Attached { interfaces, shortcomings }) = told(port.kernel_state());
        let mut sources = port.guarded_sources();
        sources.sort_by_key(|source| (Reverse(source.dropped), source.source));
        let sources_more = sources.len().saturating_sub(SHOWN_MAX);
        sources.truncate(SHOWN_MAX);
        let peers: BTreeMap<SocketAddr, PeerId> =
            self.shell().links().addresses().into_iter().map(|(peer, address)| (address, peer)).collect();
        let mut neighbors: Vec<_> =
            port.observed().iter().filter_map(|seen| Some(self.neighbor(*peers.get(&seen.neighbor)?, seen))).collect();
        neighbors.sort_by(|a, b| (&a.name, a.peer).cmp(&(&b.name, b.peer)));
        let mut sent_anew = port.sent_anew();
        sent_anew.sort_by_key(|(tag, segments)| (Reverse(*segments), *tag));
        sent_anew.truncate(SHOWN_MAX);
        KernelInfo {
            off,
            interfaces: interfaces.into_iter().map(|(name, mode)| (name, mode_name(mode).to_owned())).collect(),
            shortcomings,
            forwarded: port.counters().forwarded_in_kernel,
            neighbors,
            sources: sources.iter().map(source).collect(),
            sources_more,
            sent_anew: sent_anew.into_iter().map(|(tag, segments)| self.sent_anew(tag, segments)).collect(),
        }
    }

    fn neighbor(&self, peer: PeerId, seen: &Observed) -> KernelNeighbor {
        KernelNeighbor {
            peer,
            name: self.shell().known.name(&peer),
            address: seen.neighbor,
            echoes: seen.echoes,
            rtt_us: seen.rtt.as_micros() as u64,
            rtt_least_us: seen.rtt_least.as_micros() as u64,
            dropped_in: seen.dropped_in,
            dropped_out: seen.dropped_out,
        }
    }

    fn sent_anew(&self, tag: Tag, segments: u64) -> SentAnew {
        let known = &self.shell().known;
        let name = known.nodes().keys().find(|peer| peer.tag() == tag).map(|peer| known.name(peer)).unwrap_or_default();
        SentAnew { name, address: tag.address(), segments }
    }
}

/// Why there is nothing, or what there is.
fn told(state: KernelState) -> (String, Attached) {
    let off = match state {
        KernelState::Attached(attached) => return (String::new(), attached),
        KernelState::Unwanted => "`kernel.interfaces` names no interface".to_owned(),
        KernelState::Refused(error) => error.to_string(),
        KernelState::Left => "it could not be told of a change, and was detached".to_owned(),
    };
    (off, Attached::default())
}

fn mode_name(mode: AttachMode) -> &'static str {
    match mode {
        AttachMode::Native => "driver",
        AttachMode::Generic => "generic",
    }
}

fn source(seen: &GuardedSource) -> KernelSource {
    KernelSource {
        address: seen.source.ip(),
        port: seen.shut_out.then(|| seen.source.port()),
        passed: seen.passed,
        dropped: seen.dropped,
    }
}

/// Most sources, and most nodes, in one answer.
const SHOWN_MAX: usize = 64;
