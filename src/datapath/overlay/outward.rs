//! From the interface to frames.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use prunella_core::overlay::icmp::Cause;
use prunella_core::overlay::sealed::What;
use prunella_core::overlay::{Offload, Packet, Protocol, Segments, Tracking, ecn};
use prunella_core::{Rejected, Tag};
use quinn::UdpPoller;
use quinn_udp::EcnCodepoint;

use super::super::port::Port;
use super::flows::{Standing, Word};
use super::frames::Frames;
use super::tunnel::Tunnel;
use super::waiting::Waiting;
use super::{IPV6_MTU_LEAST, Interface, Overlay, Wanted, second_of};

/// Carries packets from one queue of the interface to other nodes, until the interface is gone: why.
pub(super) async fn carry(port: Arc<Port>, overlay: Arc<Overlay>, interface: Arc<dyn Interface>) -> io::Error {
    let (port, overlay) = (&*port, &*overlay);
    let mut waiting = Waiting::new();
    let mut frames = Frames::new();
    let mut writable = port.udp.poller();
    let mut sent = 0;
    loop {
        let next = poll_fn(|cx| match waiting.poll_next(cx, &*interface, (port, overlay)) {
            // What waits does not wait for what may come.
            Poll::Pending if !frames.is_empty() => Poll::Ready(None),
            next => next.map(Some),
        });
        let done = match next.await {
            Some(Err(error)) => return error,
            Some(Ok(slot)) => {
                let packet = waiting.packet(slot);
                let mut leaving = Leaving::new(port, overlay, packet);
                sent += packet.len();
                let joined = when_there_is_room(&mut writable, || leaving.join(&mut frames)).await;
                waiting.release(slot);
                joined
            }
            None => when_there_is_room(&mut writable, || port.dispatch(overlay, &mut frames)).await,
        };
        if done.is_err() {
            frames.clear();
        }
        if sent > TURN_BYTES {
            sent = 0;
            let _ = when_there_is_room(&mut writable, || port.dispatch(overlay, &mut frames)).await;
            tokio::task::yield_now().await;
        }
    }
}

/// Sends whenever the socket has room, until there is nothing left to send. The interface waits as well: its queue is where
/// senders learn that there is no room.
///
/// # Errors
/// If there will be no room any more.
async fn when_there_is_room(
    writable: &mut Pin<Box<dyn UdpPoller>>,
    mut send: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    while let Err(error) = send() {
        debug_assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        poll_fn(|cx| writable.as_mut().poll_writable(cx)).await?;
    }
    Ok(())
}

/// Sends one packet, if there is room for it now.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if there is none.
pub(super) fn send_once(port: &Port, overlay: &Overlay, packet: &[u8]) -> io::Result<()> {
    SCRATCH.with_borrow_mut(|frames| {
        let sent = Leaving::new(port, overlay, packet).join(frames).and_then(|()| port.dispatch(overlay, frames));
        frames.clear();
        sent
    })
}

thread_local! {
    static SCRATCH: RefCell<Frames> = RefCell::new(Frames::new());
}

/// A packet of the interface on its way out, segment by segment.
struct Leaving<'a> {
    port: &'a Port,
    overlay: &'a Overlay,
    packet: Option<Outgoing<'a>>,
}

/// What is left of it.
struct Outgoing<'a> {
    tunnel: Arc<Tunnel>,
    segments: Segments<'a>,
    next: usize,
    /// Whether each is cut in two.
    is_cut: bool,
    ecn: Option<EcnCodepoint>,
}

impl<'a> Leaving<'a> {
    fn new(port: &'a Port, overlay: &'a Overlay, bytes: &'a [u8]) -> Self {
        let packet = admit(port, overlay, bytes).unwrap_or_else(|_| {
            overlay.counts.strays.add(1);
            None
        });
        Self { port, overlay, packet }
    }

    /// Seals what is left, and sends what is full.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is no room; call it again with the same frames when there is.
    fn join(&mut self, frames: &mut Frames) -> io::Result<()> {
        let Some(packet) = &mut self.packet else { return Ok(()) };
        while packet.next < packet.segments.count() {
            let (port, tunnel, segments) = (self.port, &packet.tunnel, &packet.segments);
            let room = frames.room(tunnel, segments.length(), packet.ecn, port.udp.send_segments_max());
            if room == 0 || (packet.is_cut && !frames.is_empty()) {
                port.dispatch(self.overlay, frames)?;
                continue;
            }
            let next = packet.next;
            packet.next += if packet.is_cut { 1 } else { room.min(segments.count() - next) };
            let count = (packet.next - next) as u64;
            let is_sealed = if packet.is_cut {
                frames.cut(tunnel, segments, next, packet.ecn)
            } else {
                frames.seal(tunnel, segments, next..packet.next, packet.ecn)
            };
            let counted = match (is_sealed, packet.is_cut) {
                (false, _) => &self.overlay.counts.no_route,
                (true, true) => &self.overlay.counts.cut,
                (true, false) => continue,
            };
            counted.add(count);
        }
        self.packet = None;
        Ok(())
    }
}

/// Looks at a packet of the interface: what of it is to be sent, if anything is.
fn admit<'a>(port: &Port, overlay: &Overlay, bytes: &'a [u8]) -> Result<Option<Outgoing<'a>>, Rejected> {
    let (offload, bytes) = bytes.split_first_chunk().ok_or(Rejected::Malformed)?;
    let whole = bytes;
    let offload = Offload::decode(offload)?;
    let packet = Packet::parse(bytes)?;
    let (from, to) = (packet.flow.source.0, packet.flow.destination.0);
    let networks = overlay.networks.load();
    let own = IpAddr::V6(overlay.address);
    if (from != own && !networks.has(from)) || networks.is_own_frame(&packet.flow, own, port.local_addr().port()) {
        return Err(Rejected::WrongOrigin);
    }
    let tag = match to {
        to if to.is_multicast() => return Err(Rejected::Malformed),
        IpAddr::V6(v6) => Tag::from_address(&v6).or_else(|| networks.towards(to)),
        IpAddr::V4(_) => networks.towards(to),
    };
    let Some(tag) = tag.filter(|tag| *tag != port.me) else {
        overlay.answer_here(port, whole, Cause::NoRoute);
        return Ok(None);
    };
    note(overlay, &packet, second_of(port.clock()));
    let Some(tunnel) = overlay.tunnels.load().to(tag).cloned() else {
        overlay.want(tag, &offload, bytes);
        return Ok(None);
    };
    let longest = tunnel.longest.load(Ordering::Relaxed);
    let segments = Segments::of(bytes, packet, offload, longest.into())?;
    let is_cut = segments.length() > usize::from(longest);
    // Of IPv4, who did not forbid fragments does not expect to be told (RFC 791): the parts are one packet again before it
    // leaves the mesh.
    let is_told = to.is_ipv6() || bytes[6] & DO_NOT_FRAGMENT != 0;
    if is_cut && is_told && longest >= IPV6_MTU_LEAST && tunnel.is_settled.load(Ordering::Relaxed) {
        overlay.counts.too_big.add(1);
        overlay.answer_here(port, bytes, Cause::TooBig(longest));
        return Ok(None);
    }
    let ecn = EcnCodepoint::from_bits(ecn::of(bytes));
    Ok(Some(Outgoing { tunnel, segments, next: 0, is_cut, ecn }))
}

/// This node sends on a flow: it may be answered.
fn note(overlay: &Overlay, packet: &Packet, second: u32) {
    let flow = match packet.tracking {
        Tracking::Whole | Tracking::FirstFragment(_) => packet.flow,
        Tracking::LaterFragment | Tracking::Error(_) => return,
    };
    // Messages of ICMP that are no exchange begin nothing.
    let is_exchange = !flow.protocol.is_icmp() || flow.source.1 != 0 || packet.is_echo_request;
    if is_exchange && flow.protocol != Protocol::FRAGMENT && overlay.flows.look(&flow, second) != Standing::Allowed {
        overlay.flows.enter(&flow, Word::Ours, second);
    }
}

impl Overlay {
    fn want(&self, destination: Tag, offload: &Offload, bytes: &[u8]) {
        let packet = [&offload.encode()[..], bytes].concat();
        let count = if self.wanted.try_send(Wanted { destination, packet }).is_ok() {
            &self.counts.waited
        } else {
            &self.counts.waiting_full
        };
        count.add(1);
    }
}

impl Port {
    /// Sends a probe of how long a packet may be to the end of a tunnel; its answer comes out of
    /// [`Tunnel::take_answered`].
    pub fn probe_length(&self, tunnel: &Arc<Tunnel>, length: u16) {
        control(self, tunnel, What::Probe, &vec![0; length.into()]);
    }
}

/// A probe came through: its length is told to whoever sent it.
pub(super) fn answer_probe(port: &Port, tunnel: &Arc<Tunnel>, length: u16) {
    control(port, tunnel, What::Answer, &length.to_be_bytes());
}

fn control(port: &Port, tunnel: &Arc<Tunnel>, what: What, content: &[u8]) {
    SCRATCH.with_borrow_mut(|frames| {
        port.send_control(frames, tunnel, what, content);
        frames.clear();
    });
}

/// Within the seventh byte of an IPv4 header.
const DO_NOT_FRAGMENT: u8 = 0x40;
/// What is sent before others that run on this processor get their turn, in bytes: a millisecond's work at most.
const TURN_BYTES: usize = 256 * 1024;
