//! What the node answers about its overlay interface. No actor is asked.

use std::sync::Arc;

use super::answers::Answers;
use super::vocabulary::{FlowInfo, NetworkInfo, TunInfo, TunnelInfo};
use crate::actors::shell::{JudgedFlow, NetworkRoute, Shell};
use crate::datapath::{OVERLAY_MTU, Tunnel};

impl Answers {
    pub(super) fn tun(&self) -> TunInfo {
        let shell = self.shell();
        let overlay = shell.port.overlay();
        let mut tunnels = overlay.map(|overlay| overlay.tunnels()).unwrap_or_default();
        tunnels.sort_by_key(|tunnel| tunnel.peer());
        let tunnel = |tunnel: Arc<Tunnel>| {
            let (peer, stats) = (tunnel.peer(), tunnel.stats());
            TunnelInfo {
                peer,
                name: shell.known.name(&peer),
                address: peer.tag().address(),
                packets: [stats.sent, stats.received],
                bytes: [stats.sent_bytes, stats.received_bytes],
                longest: stats.longest,
            }
        };
        let now = shell.clock.now();
        let flow = |judged: JudgedFlow| FlowInfo {
            from: judged.from,
            name: shell.known.name(&judged.from),
            protocol: judged.flow.protocol.to_string(),
            source: judged.flow.source.0,
            destination: judged.flow.destination.0,
            source_port: judged.flow.source.1,
            destination_port: judged.flow.destination.1,
            allowed: judged.allowed,
            reason: judged.reason,
            ago_ms: now.since(judged.at).as_millis() as u64,
        };
        let counters = overlay.map(|overlay| overlay.counters().named()).unwrap_or_default();
        let (networks, unshown) = shell.networks.shown();
        let shown = networks.len().min(NETWORKS_SHOWN_MAX);
        let network = |route: NetworkRoute| NetworkInfo {
            prefix: route.prefix.to_string(),
            peer: route.node,
            name: shell.known.name(&route.node),
            state: route.state.name().to_owned(),
            reason: route.reason,
        };
        TunInfo {
            announced: shell.announced().iter().map(ToString::to_string).collect(),
            networks_more: networks.len() - shown + unshown,
            networks: networks.into_iter().take(shown).map(network).collect(),
            warnings: warnings(shell),
            device: if overlay.is_some() { shell.config.tun.device.clone() } else { String::new() },
            address: shell.credentials.peer().tag().address(),
            mtu: OVERLAY_MTU,
            domain: shell.config.tun.domain.clone(),
            doors: shell.doors.all(),
            tunnels: tunnels.into_iter().map(tunnel).collect(),
            flows: shell.judged_flows().into_iter().take(FLOWS_SHOWN_MAX).map(flow).collect(),
            counters: counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }
}

/// What is in the way of networks, here and there.
fn warnings(shell: &Shell) -> Vec<String> {
    let unrouted = shell.networks.unrouted().into_iter().take(WARNINGS_MAX);
    let unrouted = unrouted.map(|(prefix, reason)| format!("this machine took no route to {prefix}: {reason}"));
    shell.network_warnings().into_iter().chain(unrouted).collect()
}

/// Networks in one answer.
const NETWORKS_SHOWN_MAX: usize = 256;
const WARNINGS_MAX: usize = 8;
/// Flows in one answer: a line of the control protocol is bounded.
const FLOWS_SHOWN_MAX: usize = 256;
