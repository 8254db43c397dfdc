//! From frames to the interface.

use prunella_core::frame::{Frame, Kind};
use prunella_core::overlay::sealed::{SealedHeader, What};
use prunella_core::overlay::{Packet, Tracking, Train, ecn};
use prunella_core::{PeerId, Rejected};
use quinn_udp::EcnCodepoint;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::super::port::Port;
use super::super::tables::{Link, Tables, Way};
use super::flows::{Standing, Word};
use super::halves::Halves;
use super::outward;
use super::tunnel::Tunnel;
use super::{Overlay, Unjudged, second_of};

/// What the reader keeps of packets between frames: within a batch a train, beyond it parts that wait for their others.
#[derive(Debug)]
pub(in crate::datapath) struct Inward {
    /// The queue of the interface to which it gives packets.
    queue: usize,
    train: Option<Train>,
    halves: Halves,
}

/// How a packet came.
struct Arrival<'a> {
    port: &'a Port,
    overlay: &'a Overlay,
    tunnel: &'a Tunnel,
    checksum_left: bool,
    is_marked: bool,
    now: u64,
}

impl Inward {
    /// The kernel has a flow leave by the queue by which it came: each reader has its own, as far as there are so many.
    pub(in crate::datapath) fn by(queue: usize) -> Self {
        Self { queue, train: None, halves: Halves::default() }
    }

    /// Takes a frame that is for this node and carries a packet. The packet is opened where it lies.
    ///
    /// # Errors
    /// Why it was turned away: nothing about it counts then.
    pub(in crate::datapath) fn take(
        &mut self,
        (port, tables): (&Port, &Tables),
        link: &Link,
        frame: Frame<'_>,
        (ecn, now): (Option<EcnCodepoint>, u64),
    ) -> Result<(), Rejected> {
        let Some(overlay) = port.overlay() else { return Err(Rejected::UnknownSender) };
        let (kind, source, back) = (frame.kind(), frame.source(), frame.way_back());
        let payload = frame.into_payload();
        let header = SealedHeader::decode(payload)?;
        let tunnels = overlay.tunnels.load();
        let tunnel =
            tunnels.with_key(header.key).filter(|tunnel| tunnel.tag == source).ok_or(Rejected::UnknownSender)?;
        let bytes = tunnel.opener.open(header.counter, payload, now)?;
        port.counts.copies_received.add((kind == Kind::PacketCopy).into());
        if tunnel.window.accept(header.counter).is_err() {
            overlay.counts.duplicates.add(1);
            return Ok(());
        }
        port.packet_arrived(tables, source, Way { path: 0, first: link.id, labels: back }, now);
        let is_marked = ecn == Some(EcnCodepoint::Ce);
        let mut arrival = Arrival { port, overlay, tunnel, checksum_left: false, is_marked, now };
        match header.what {
            What::Whole { checksum_left } => {
                arrival.checksum_left = checksum_left;
                self.arrive(&arrival, bytes)?;
            }
            What::Probe => outward::answer_probe(port, tunnel, bytes.len() as u16),
            What::Answer => {
                let length = u16::from_be_bytes(*bytes.first_chunk().ok_or(Rejected::Malformed)?);
                tunnel.answered.store(length, Ordering::Relaxed);
            }
            part => {
                if let Some((mut whole, checksum_left)) = self.halves.take(header.key, header.counter, part, bytes) {
                    arrival.checksum_left = checksum_left;
                    self.arrive(&arrival, &mut whole)?;
                }
            }
        }
        Ok(())
    }

    /// Gives to the interface what was taken.
    pub(in crate::datapath) fn flush(&mut self, port: &Port) {
        let Some((train, overlay)) = self.train.as_mut().zip(port.overlay()) else { return };
        if let Some((bytes, _)) = train.finish() {
            overlay.counts.delivered.add(1);
            overlay.deliver(self.queue, bytes);
        }
    }

    fn arrive(&mut self, arrival: &Arrival<'_>, bytes: &mut [u8]) -> Result<(), Rejected> {
        let Arrival { port, overlay, tunnel, checksum_left, is_marked, now } = *arrival;
        let packet = Packet::parse(bytes)?;
        overlay.counts.received.add(1);
        overlay.counts.received_bytes.add(bytes.len() as u64);
        tunnel.received.fetch_add(1, Ordering::Relaxed);
        tunnel.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let (from, to) = (packet.flow.source.0, packet.flow.destination.0);
        let is_of_peer = from == IpAddr::V6(tunnel.tag.address()) || overlay.networks.load().believes(tunnel.tag, from);
        if !is_of_peer || (to != IpAddr::V6(overlay.address) && !overlay.networks.load().has(to)) {
            overlay.counts.foreign.add(1);
            return Ok(());
        }
        if is_marked && !ecn::mark(bytes) {
            overlay.counts.marked.add(1);
            return Ok(());
        }
        match overlay.standing(&packet, second_of(now)) {
            Standing::Allowed => {}
            Standing::Outdated => overlay.have_judged_again(tunnel.peer, packet),
            Standing::Denied => {
                overlay.counts.denied_packets.add(1);
                return Ok(());
            }
            Standing::Unknown => {
                let bytes = bytes.to_vec();
                let unjudged = Unjudged { from: tunnel.peer, packet, bytes, checksum_left, again: false };
                if overlay.unjudged.try_send(unjudged).is_err() {
                    overlay.counts.unjudged_full.add(1);
                }
                return Ok(());
            }
        }
        let train = self.train.get_or_insert_default();
        if !train.take(bytes, packet, checksum_left) {
            if let Some((train, _)) = train.finish() {
                overlay.counts.delivered.add(1);
                overlay.deliver(self.queue, train);
            }
            let train = self.train.get_or_insert_default();
            if !train.take(bytes, packet, checksum_left) {
                port.counts.rejected.add(Rejected::OverLimit);
            }
        }
        Ok(())
    }
}

impl Overlay {
    /// A flow that was allowed goes on until somebody says otherwise: nothing is lost because a certificate has grown older.
    fn have_judged_again(&self, from: PeerId, packet: Packet) {
        if let Ok(place) = self.unjudged.try_reserve()
            && self.flows.claim(&packet.flow.turned())
        {
            place.send(Unjudged { from, packet, bytes: Vec::new(), checksum_left: false, again: true });
        }
    }

    /// Whether a packet that arrived may go on.
    fn standing(&self, packet: &Packet, second: u32) -> Standing {
        match packet.tracking {
            Tracking::Whole => self.flows.look(&packet.flow.turned(), second),
            Tracking::FirstFragment(pieces) => {
                let standing = self.flows.look(&packet.flow.turned(), second);
                if matches!(standing, Standing::Allowed | Standing::Outdated) {
                    self.flows.enter(&pieces.turned(), Word::Allowed, second);
                }
                standing
            }
            // Neither begins anything, so there is nothing to judge.
            Tracking::LaterFragment => only_allowed(self.flows.look(&packet.flow.turned(), second)),
            Tracking::Error(about) => only_allowed(self.flows.look(&about, second)),
        }
    }
}

const fn only_allowed(standing: Standing) -> Standing {
    match standing {
        Standing::Allowed | Standing::Outdated => Standing::Allowed,
        Standing::Denied | Standing::Unknown => Standing::Denied,
    }
}
