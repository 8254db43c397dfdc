//! The overlay interface: IP packets between this machine and other nodes.
//!
//! ```text
//!   kernel ══ interface ──> outward: segments, sealed ──> frames ──> neighbors
//!          ══ interface <── inward:  trains <── opened <── frames <── reader
//!                              │ flows: what was decided      tunnels: keys, by session
//!                              ▼                              ▲
//!                           Unjudged ──> policy            Wanted ──> transport
//! ```
//!
//! A packet that leaves finds its tunnel by its destination's address, which holds the node's tag, or is in a network behind
//! that node; one that arrives is taken only from the node whose address it comes from, or behind which that is, and only if
//! its flow was begun here or the policy allowed it. What
//! is known already needs no lock and no actor. The first packet of a flow, and one to a node without a tunnel, are handed
//! over to whoever decides, in bounded queues.

mod counts;
mod flows;
mod frames;
mod halves;
mod interface;
mod inward;
mod keys;
mod networks;
mod outward;
mod tunnel;
mod waiting;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use prunella_core::limits::{FLOWS_UNJUDGED_MAX, PACKETS_WAITING_MAX};
use prunella_core::overlay::icmp::{self, Cause};
use prunella_core::overlay::{OFFLOAD_BYTES, Offload, Packet, Prefix};
use prunella_core::{PeerId, Tag};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use counts::OverlayCounters;
pub use interface::{Interface, InterfaceSetup, is_forwarding, open_interface};
pub use keys::{TUNNEL_SECRET_BYTES, TunnelSecret};
pub use networks::Networks;
pub use tunnel::{Tunnel, TunnelInstall, TunnelStats};

pub(super) use inward::Inward;

use self::counts::Counts;
use self::flows::{Flows, Standing, Word};
use self::tunnel::Tunnels;
use super::limiter::Limiter;
use super::port::{Port, lock};

/// The longest packet that an interface may hand over, in bytes: what a session's packet may be less what sealing adds.
pub const OVERLAY_MTU: u16 = super::SESSION_MTU_MAX - prunella_core::overlay::sealed::SEAL_BYTES as u16;
/// The longest packet that comes through wherever a session does, in bytes.
pub const OVERLAY_MTU_LEAST: u16 = super::SESSION_INITIAL_MTU - prunella_core::overlay::sealed::SEAL_BYTES as u16;
/// The shortest MTU that IPv6 may be told of (RFC 8200, section 5): what is longer than the way carries is cut in two.
const IPV6_MTU_LEAST: u16 = 1280;

const _: () = assert!(OVERLAY_MTU >= IPV6_MTU_LEAST, "IPv6 can use the interface");
const _: () = assert!(OVERLAY_MTU <= 2 * OVERLAY_MTU_LEAST, "two parts are enough");

/// A node's overlay interface, and what is known of flows and tunnels.
pub struct Overlay {
    address: Ipv6Addr,
    interfaces: Vec<Arc<dyn Interface>>,
    tunnels: ArcSwap<Tunnels>,
    networks: ArcSwap<Networks>,
    /// Held by whoever changes the tunnels, so that no change is lost.
    writing: Mutex<()>,
    flows: Flows,
    counts: Counts,
    wanted: mpsc::Sender<Wanted>,
    unjudged: mpsc::Sender<Unjudged>,
    /// Answers to packets that cannot go on.
    answers: Limiter,
}

/// A packet to a node to which there is no tunnel.
#[derive(Debug)]
pub struct Wanted {
    /// The node.
    pub destination: Tag,
    /// The packet as the interface handed it over: give it back to [`Overlay::retry`], or [`Overlay::give_up`] on it.
    pub packet: Vec<u8>,
}

/// The first packet of a flow that another node begins.
#[derive(Debug)]
pub struct Unjudged {
    /// The node, as its tunnel proves.
    pub from: PeerId,
    /// What the packet's headers say.
    pub packet: Packet,
    bytes: Vec<u8>,
    checksum_left: bool,
    /// Whether its flow was allowed before: the packet has gone on already.
    again: bool,
}

/// What the interface cannot decide by itself comes out of these.
#[derive(Debug)]
pub struct Questions {
    /// Packets that want a tunnel.
    pub wanted: mpsc::Receiver<Wanted>,
    /// Packets whose flow is to be judged.
    pub unjudged: mpsc::Receiver<Unjudged>,
    /// What carries packets away, one for each queue; it ends when that is gone, with the reason.
    pub carriers: JoinSet<io::Error>,
}

impl Port {
    /// Starts to carry IP packets between these queues of an interface, whose address is this node's, and other nodes. Call it
    /// once. `key` is random.
    ///
    /// # Panics
    /// If it was called before.
    pub fn start_overlay(
        self: &Arc<Self>,
        interfaces: Vec<Arc<dyn Interface>>,
        key: [u8; 16],
    ) -> (Arc<Overlay>, Questions) {
        let (wanted_sender, wanted) = mpsc::channel(PACKETS_WAITING_MAX);
        let (unjudged_sender, unjudged) = mpsc::channel(FLOWS_UNJUDGED_MAX);
        let overlay = Arc::new(Overlay {
            address: self.me.address(),
            interfaces,
            tunnels: ArcSwap::default(),
            networks: ArcSwap::default(),
            writing: Mutex::default(),
            flows: Flows::new(key),
            counts: Counts::default(),
            wanted: wanted_sender,
            unjudged: unjudged_sender,
            answers: Limiter::new(ANSWERS_PER_SECOND, ANSWERS_PER_SECOND),
        });
        let is_first = self.overlay.set(overlay.clone()).is_ok();
        assert!(is_first, "BUG: a node has one overlay interface");
        let mut carriers = JoinSet::new();
        for (number, interface) in overlay.interfaces.iter().enumerate() {
            let carrier = outward::carry(self.clone(), overlay.clone(), interface.clone());
            carriers.spawn_on(carrier, self.threads().of(number));
        }
        (overlay, Questions { wanted, unjudged, carriers })
    }

    /// The overlay interface, if there is one.
    pub fn overlay(&self) -> Option<&Arc<Overlay>> {
        self.overlay.get()
    }
}

impl Overlay {
    /// This node's address.
    pub const fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// A number for a tunnel that is about to be made, which no other one has: `random` is where the search begins.
    pub fn reserve(&self, random: u16) -> u16 {
        let tunnels = self.tunnels.load();
        let free = (0..=u16::MAX).map(|step| random.wrapping_add(step)).find(|key| tunnels.with_key(*key).is_none());
        free.expect("BUG: there are fewer tunnels than numbers")
    }

    /// Installs a tunnel: packets are taken from it. `None` if there are too many.
    pub fn install(&self, install: TunnelInstall) -> Option<Arc<Tunnel>> {
        let tunnel = Arc::new(Tunnel::new(install, OVERLAY_MTU_LEAST));
        let _writing = lock(&self.writing);
        let mut tunnels = Tunnels::clone(&self.tunnels.load());
        if !tunnels.put(tunnel.clone()) {
            return None;
        }
        self.tunnels.store(Arc::new(tunnels));
        Some(tunnel)
    }

    /// The other end takes packets from a tunnel: it is used from now on for what is sent there.
    pub fn send_on(&self, tunnel: &Arc<Tunnel>) {
        let _writing = lock(&self.writing);
        let mut tunnels = Tunnels::clone(&self.tunnels.load());
        if tunnels.with_key(tunnel.local_key).is_some_and(|known| Arc::ptr_eq(known, tunnel)) {
            tunnels.send_on(tunnel.clone());
            self.tunnels.store(Arc::new(tunnels));
        }
    }

    /// Removes a tunnel.
    pub fn remove(&self, tunnel: &Arc<Tunnel>) {
        let _writing = lock(&self.writing);
        let mut tunnels = Tunnels::clone(&self.tunnels.load());
        tunnels.drop(tunnel);
        self.tunnels.store(Arc::new(tunnels));
    }

    /// Whether there is a tunnel to a node.
    pub fn reaches(&self, tag: Tag) -> bool {
        self.tunnels.load().to(tag).is_some()
    }

    /// Every tunnel.
    pub fn tunnels(&self) -> Vec<Arc<Tunnel>> {
        self.tunnels.load().all().cloned().collect()
    }

    /// A packet that waited for a tunnel leaves, if there is one now.
    pub fn retry(&self, port: &Port, packet: &[u8]) {
        // What cannot leave now is lost, as it would be on a wire.
        let _ = outward::send_once(port, self, packet);
    }

    /// A packet that waited for a tunnel cannot go on: its sender is told.
    pub fn give_up(&self, port: &Port, packet: &[u8], cause: Cause) {
        if let Some(packet) = packet.get(OFFLOAD_BYTES..) {
            self.answer_here(port, packet, cause);
        }
    }

    /// What was decided already about the flow of a packet that waits to be judged: several may wait for one verdict.
    pub fn verdict(&self, port: &Port, unjudged: &Unjudged) -> Option<bool> {
        if unjudged.again {
            return None;
        }
        match self.flows.look(&unjudged.packet.flow.turned(), second_of(port.clock())) {
            Standing::Allowed => Some(true),
            Standing::Denied => Some(false),
            Standing::Unknown | Standing::Outdated => None,
        }
    }

    /// What was decided about a flow, which goes on or is answered accordingly.
    pub fn judged(&self, port: &Port, unjudged: &Unjudged, is_allowed: bool) {
        let word = if is_allowed { Word::Allowed } else { Word::Denied };
        self.flows.enter(&unjudged.packet.flow.turned(), word, second_of(port.clock()));
        if unjudged.again {
            self.counts.denied.add((!is_allowed).into());
            return;
        }
        if is_allowed {
            let checksum = unjudged.checksum_left.then(|| unjudged.packet.flow.protocol.checksum_offset()).flatten();
            let checksum = checksum.map(|offset| (unjudged.packet.transport_at as u16, offset));
            self.deliver(0, &[&Offload { checksum, ..Offload::default() }.encode()[..], &unjudged.bytes].concat());
            return;
        }
        self.counts.denied.add(1);
        if self.answers.allows(port.clock())
            && let Some(answer) =
                icmp::answer(&unjudged.bytes, Cause::Prohibited, self.answers_from(unjudged.packet.flow.destination.0))
        {
            let _ = outward::send_once(port, self, &[&[0; OFFLOAD_BYTES][..], &answer].concat());
        }
    }

    /// Packets to and from these networks behind nodes are carried from now on, and of no others.
    pub fn set_networks(&self, networks: Networks) {
        self.networks.store(Arc::new(networks));
    }

    /// Has the machine send packets for a network to the interface, from `source` if they are its own; or no more.
    ///
    /// # Errors
    /// If the machine refuses, as when another route has the same place.
    pub fn set_route(&self, prefix: &Prefix, source: Option<IpAddr>, is_routed: bool) -> io::Result<()> {
        self.interfaces[0].set_route(prefix, source, is_routed)
    }

    /// The policy has changed: flows that it allowed or denied are judged again with their next packet.
    pub fn judge_anew(&self) {
        self.flows.judge_anew();
    }

    /// What was counted.
    pub fn counters(&self) -> OverlayCounters {
        self.counts.read()
    }

    /// Tells whoever sent a packet from this machine why it cannot go on.
    fn answer_here(&self, port: &Port, packet: &[u8], cause: Cause) {
        if !self.answers.allows(port.clock()) {
            return;
        }
        let Ok(Packet { flow, .. }) = Packet::parse(packet) else { return };
        if let Some(answer) = icmp::answer(packet, cause, self.answers_from(flow.destination.0)) {
            self.deliver(0, &[&[0; OFFLOAD_BYTES][..], &answer].concat());
        }
    }

    /// From where a packet to this destination is answered that cannot go on: nodes have no addresses of IPv4, so it is as if
    /// the destination itself did.
    fn answers_from(&self, destination: IpAddr) -> IpAddr {
        if destination.is_ipv4() { destination } else { IpAddr::V6(self.address) }
    }

    /// Writes a packet, behind what is left to do on it, to the interface.
    fn deliver(&self, queue: usize, packet: &[u8]) {
        if self.interfaces[queue % self.interfaces.len()].try_send(packet).is_err() {
            self.counts.interface_full.add(1);
        }
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The second of a port's clock.
const fn second_of(nanos: u64) -> u32 {
    (nanos / 1_000_000_000) as u32
}

/// ICMP messages sent because packets could not go on.
const ANSWERS_PER_SECOND: u32 = 100;
