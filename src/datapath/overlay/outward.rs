//! From the interface to frames.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prunella_core::frame::{HEADER_BYTES, Header, Kind, stamp};
use prunella_core::overlay::icmp::Cause;
use prunella_core::overlay::sealed::{SEAL_BYTES, SEALED_HEADER_BYTES, SealedHeader, TAG_BYTES, What};
use prunella_core::overlay::{Offload, Packet, Protocol, Segments, Tracking, ecn};
use prunella_core::{Rejected, Tag};
use quinn_udp::{EcnCodepoint, Transmit};

use super::super::port::Port;
use super::super::tables::{Link, Way};
use super::super::underlay::SEND_BYTES_MAX;
use super::flows::{Standing, Word};
use super::tunnel::Tunnel;
use super::waiting::Waiting;
use super::{IPV6_MTU_LEAST, Interface, Overlay, Wanted, second_of};

/// Carries packets from one queue of the interface to other nodes, until the interface is gone: why.
pub(super) async fn carry(port: Arc<Port>, overlay: Arc<Overlay>, interface: Arc<dyn Interface>) -> io::Error {
    let mut waiting = Waiting::new();
    let mut train = Frames::new();
    let mut writable = port.udp.poller();
    let mut sent = 0;
    loop {
        let next = poll_fn(|cx| waiting.poll_next(cx, &*interface, (&port, &overlay))).await;
        let slot = match next {
            Ok(slot) => slot,
            Err(error) => return error,
        };
        let packet = waiting.packet(slot);
        let mut leaving = Leaving::new(&port, &overlay, packet);
        sent += packet.len();
        while let Err(error) = leaving.send(&mut train) {
            debug_assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            // The interface waits as well: its queue is where senders learn that there is no room.
            if poll_fn(|cx| writable.as_mut().poll_writable(cx)).await.is_err() {
                break;
            }
        }
        waiting.release(slot);
        if sent > TURN_BYTES {
            sent = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Sends one packet, if there is room for it now.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if there is none.
pub(super) fn send_once(port: &Port, overlay: &Overlay, packet: &[u8]) -> io::Result<()> {
    SCRATCH.with_borrow_mut(|frames| {
        frames.clear();
        let sent = Leaving::new(port, overlay, packet).send(frames);
        frames.clear();
        sent
    })
}

thread_local! {
    static SCRATCH: RefCell<Frames> = RefCell::new(Frames::new());
}

/// Frames that were put together and may wait until there is room for them.
struct Frames {
    bytes: Box<[u8]>,
    /// How many bytes there are, and of how many each frame but the last is.
    filled: usize,
    stride: usize,
    ecn: Option<EcnCodepoint>,
    to: Option<SocketAddr>,
}

impl Frames {
    fn new() -> Self {
        Self { bytes: vec![0; SEND_BYTES_MAX].into(), filled: 0, stride: 0, ecn: None, to: None }
    }

    fn clear(&mut self) {
        (self.filled, self.to) = (0, None);
    }
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

    /// Sends what is left.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is no room; call it again with the same frames when there is.
    fn send(&mut self, frames: &mut Frames) -> io::Result<()> {
        self.port.send_frames(frames)?;
        let Some(packet) = &mut self.packet else { return Ok(()) };
        while packet.next < packet.segments.count() {
            self.port.put_together(self.overlay, packet, frames);
            self.port.send_frames(frames)?;
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
    /// Seals as many segments as leave at once, and makes frames of them. Without a way they are dropped, as on a broken wire.
    fn put_together(&self, overlay: &Overlay, packet: &mut Outgoing<'_>, frames: &mut Frames) {
        let now = self.clock();
        let tables = self.tables.load();
        let (tunnel, segments) = (&*packet.tunnel, &packet.segments);
        let known = tables.destinations.get(&tunnel.tag);
        if let Some(destination) = known {
            destination.touch(now);
        }
        if known.is_none_or(|destination| destination.installed.is_none()) {
            self.want_route(tunnel.tag, now);
        }
        let most = (SEND_BYTES_MAX / (segments.length() + FRAME_BYTES)).min(self.udp.send_segments_max()).max(1);
        let count = if packet.is_cut { 1 } else { most.min(segments.count() - packet.next) };
        let Some((link, way)) = known.and_then(|destination| tables.way(destination, 0)) else {
            overlay.counts.no_route.add(count as u64);
            packet.next += count;
            return;
        };
        tunnel.path.store(u64::from(way.path), Ordering::Relaxed);
        frames.ecn = packet.ecn;
        let numbers = packet.next..packet.next + count;
        packet.next += count;
        let is_sealed = if packet.is_cut {
            cut(tunnel, segments, numbers.start, frames)
        } else {
            seal(tunnel, segments, numbers, frames)
        };
        if !is_sealed {
            overlay.counts.no_route.add(count as u64);
            return frames.clear();
        }
        overlay.counts.cut.add(packet.is_cut.into());
        overlay.counts.sent.add(count as u64);
        overlay.counts.sent_bytes.add((frames.filled - count * FRAME_BYTES) as u64);
        tunnel.sent.fetch_add(count as u64, Ordering::Relaxed);
        tunnel.sent_bytes.fetch_add(frames.filled as u64, Ordering::Relaxed);
        if let Some(destination) = known {
            destination.count_sent(0, frames.filled);
            if let Some((second, second_way)) = tables.second_way(destination, 0, way) {
                if destination.may_copy(frames.filled) {
                    self.address(frames, second, second_way, Kind::PacketCopy);
                    // A copy that the socket cannot take now is not missed.
                    if self.send_frames(frames).is_ok() {
                        self.counts.copies_sent.add(count as u64);
                    }
                } else {
                    self.counts.copies_over_budget.add(count as u64);
                }
            }
        }
        self.address(frames, link, way, Kind::Packet);
    }

    /// Writes the headers of frames: where they go.
    fn address(&self, frames: &mut Frames, link: &Link, way: Way, kind: Kind) {
        let count = frames.filled.div_ceil(frames.stride);
        let sequence = link.sequences(count);
        let header = Header { kind, lane: 0, labels: way.labels, source: self.me, path: way.path, sequence }.encode();
        for (frame, sequence) in frames.bytes[..frames.filled].chunks_mut(frames.stride).zip(sequence..) {
            frame[..HEADER_BYTES].copy_from_slice(&header);
            stamp(frame, sequence, &link.send_key);
        }
        link.carry();
        link.state.counts.frames_sent.add(count as u64);
        link.state.counts.bytes_sent.add(frames.filled as u64);
        frames.to = Some(link.remote);
    }

    fn send_frames(&self, frames: &mut Frames) -> io::Result<()> {
        let Some(destination) = frames.to else { return Ok(()) };
        let contents = &frames.bytes[..frames.filled];
        let segment_size = (frames.filled > frames.stride).then_some(frames.stride);
        self.udp.send(&Transmit { destination, ecn: frames.ecn, contents, segment_size, src_ip: None })?;
        frames.to = None;
        Ok(())
    }

    /// Sends a probe of how long a packet may be to the end of a tunnel; its answer comes out of
    /// [`Tunnel::take_answered`].
    pub fn probe_length(&self, tunnel: &Tunnel, length: u16) {
        self.send_control(tunnel, What::Probe, &vec![0; length.into()]);
    }

    fn send_control(&self, tunnel: &Tunnel, what: What, content: &[u8]) {
        SCRATCH.with_borrow_mut(|frames| {
            frames.clear();
            let tables = self.tables.load();
            let known = tables.destinations.get(&tunnel.tag);
            let Some((link, way)) = known.and_then(|destination| tables.way(destination, 0)) else { return };
            let Some((sealing, counter)) = tunnel.sealer.take(1) else { return };
            let length = FRAME_BYTES + content.len();
            let frame = &mut frames.bytes[..length];
            let header = SealedHeader { what, key: tunnel.remote_key, counter };
            frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
            frame[HEADER_BYTES + SEALED_HEADER_BYTES..][..content.len()].copy_from_slice(content);
            sealing.seal(counter, &mut frame[HEADER_BYTES..]);
            (frames.filled, frames.stride, frames.ecn) = (length, length, None);
            self.address(frames, link, way, Kind::Packet);
            // A probe that the socket cannot take is a probe that was lost.
            let _ = self.send_frames(frames);
            frames.clear();
        });
    }
}

/// A probe came through: its length is told to whoever sent it.
pub(super) fn answer_probe(port: &Port, tunnel: &Tunnel, length: u16) {
    port.send_control(tunnel, What::Answer, &length.to_be_bytes());
}

/// Seals segments, one in each frame. False if the tunnel has no numbers left.
fn seal(tunnel: &Tunnel, segments: &Segments<'_>, numbers: std::ops::Range<usize>, frames: &mut Frames) -> bool {
    let Some((sealing, first)) = tunnel.sealer.take(numbers.len()) else { return false };
    frames.stride = segments.length() + FRAME_BYTES;
    frames.filled = 0;
    let what = What::Whole { checksum_left: segments.checksum_left() };
    for (number, counter) in numbers.zip(first..) {
        let frame = &mut frames.bytes[frames.filled..frames.filled + frames.stride];
        let length = segments.write(number, &mut frame[HEADER_BYTES + SEALED_HEADER_BYTES..]);
        let header = SealedHeader { what, key: tunnel.remote_key, counter };
        frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
        sealing.seal(counter, &mut frame[HEADER_BYTES..HEADER_BYTES + SEAL_BYTES + length]);
        frames.filled += FRAME_BYTES + length;
    }
    true
}

/// Seals one segment in two frames.
fn cut(tunnel: &Tunnel, segments: &Segments<'_>, number: usize, frames: &mut Frames) -> bool {
    let Some((sealing, first)) = tunnel.sealer.take(2) else { return false };
    let mut packet = vec![0; segments.length()];
    let length = segments.write(number, &mut packet);
    // The first part is not shorter than the second, as a run of frames must be.
    let (beginning, end) = packet[..length].split_at(length.div_ceil(2));
    let begins = What::Beginning { checksum_left: segments.checksum_left() };
    frames.stride = FRAME_BYTES + beginning.len();
    frames.filled = 0;
    for (part, what, counter) in [(beginning, begins, first), (end, What::End, first + 1)] {
        let frame = &mut frames.bytes[frames.filled..frames.filled + FRAME_BYTES + part.len()];
        let header = SealedHeader { what, key: tunnel.remote_key, counter };
        frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
        frame[HEADER_BYTES + SEALED_HEADER_BYTES..][..part.len()].copy_from_slice(part);
        sealing.seal(counter, &mut frame[HEADER_BYTES..]);
        frames.filled += frame.len();
    }
    true
}

/// Within the seventh byte of an IPv4 header.
const DO_NOT_FRAGMENT: u8 = 0x40;
/// What a frame adds to a packet, in bytes.
const FRAME_BYTES: usize = HEADER_BYTES + SEAL_BYTES;
/// What is sent before others that run on this processor get their turn, in bytes: a millisecond's work at most.
const TURN_BYTES: usize = 256 * 1024;

const _: () = assert!(SEAL_BYTES == SEALED_HEADER_BYTES + TAG_BYTES, "what sealing adds stands on both sides");
