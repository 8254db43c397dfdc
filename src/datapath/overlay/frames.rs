//! Frames for one node that leave with one system call.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prunella_core::frame::{HEADER_BYTES, Header, Kind, stamp};
use prunella_core::overlay::Segments;
use prunella_core::overlay::sealed::{SEAL_BYTES, SEALED_HEADER_BYTES, SealedHeader, TAG_BYTES, What};
use quinn_udp::{EcnCodepoint, Transmit};

use super::super::port::Port;
use super::super::tables::{Link, Way};
use super::super::underlay::SEND_BYTES_MAX;
use super::Overlay;
use super::tunnel::Tunnel;

/// Sealed packets of one tunnel, one after the other in frames of equal length, of which only the last may be shorter. More
/// may join them until they are sent, and they may wait until there is room for them.
pub(super) struct Frames {
    bytes: Box<[u8]>,
    /// How many bytes there are, and of how many each frame but the last is.
    filled: usize,
    stride: usize,
    /// How many packets are in them: of one that was cut, two frames are.
    packets: usize,
    ecn: Option<EcnCodepoint>,
    /// Whose they are; `None` while there are none.
    tunnel: Option<Arc<Tunnel>>,
    /// Where they go, once their headers are written: nothing joins them then.
    to: Option<SocketAddr>,
}

impl Frames {
    pub(super) fn new() -> Self {
        let bytes = vec![0; SEND_BYTES_MAX].into();
        Self { bytes, filled: 0, stride: 0, packets: 0, ecn: None, tunnel: None, to: None }
    }

    pub(super) fn clear(&mut self) {
        (self.filled, self.packets, self.tunnel, self.to) = (0, 0, None, None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tunnel.is_none()
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.filled.div_ceil(self.stride)
    }

    /// How many frames of this length may join, if so many may leave at once: into empty ones at least one.
    pub(super) fn room(
        &self,
        tunnel: &Arc<Tunnel>,
        length: usize,
        ecn: Option<EcnCodepoint>,
        segments_max: usize,
    ) -> usize {
        let length = length + FRAME_BYTES;
        let Some(own) = &self.tunnel else { return (SEND_BYTES_MAX / length).min(segments_max).max(1) };
        let is_open = self.to.is_none() && self.filled.is_multiple_of(self.stride);
        if !is_open || !Arc::ptr_eq(own, tunnel) || self.ecn != ecn || length > self.stride {
            return 0;
        }
        let room =
            ((SEND_BYTES_MAX - self.filled) / length).min(segments_max.saturating_sub(self.filled / self.stride));
        // What is shorter ends them.
        if length < self.stride { room.min(1) } else { room }
    }

    /// Seals segments, one in each frame. False if the tunnel has no numbers left; then nothing has joined.
    pub(super) fn seal(
        &mut self,
        tunnel: &Arc<Tunnel>,
        segments: &Segments<'_>,
        numbers: Range<usize>,
        ecn: Option<EcnCodepoint>,
    ) -> bool {
        let Some((sealing, first)) = tunnel.sealer.take(numbers.len()) else { return false };
        self.begin(tunnel, segments.length(), ecn);
        self.packets += numbers.len();
        let what = What::Whole { checksum_left: segments.checksum_left() };
        for (number, counter) in numbers.zip(first..) {
            let frame = &mut self.bytes[self.filled..self.filled + segments.length() + FRAME_BYTES];
            let length = segments.write(number, &mut frame[HEADER_BYTES + SEALED_HEADER_BYTES..]);
            let header = SealedHeader { what, key: tunnel.remote_key, counter };
            frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
            sealing.seal(counter, &mut frame[HEADER_BYTES..HEADER_BYTES + SEAL_BYTES + length]);
            self.filled += FRAME_BYTES + length;
        }
        true
    }

    /// Seals one segment in two frames, which nothing else is in. False if the tunnel has no numbers left.
    pub(super) fn cut(
        &mut self,
        tunnel: &Arc<Tunnel>,
        segments: &Segments<'_>,
        number: usize,
        ecn: Option<EcnCodepoint>,
    ) -> bool {
        let Some((sealing, first)) = tunnel.sealer.take(2) else { return false };
        let mut packet = vec![0; segments.length()];
        let length = segments.write(number, &mut packet);
        // The first part is not shorter than the second, as a run of frames must be.
        let (beginning, end) = packet[..length].split_at(length.div_ceil(2));
        let begins = What::Beginning { checksum_left: segments.checksum_left() };
        self.begin(tunnel, beginning.len(), ecn);
        self.packets += 1;
        for (part, what, counter) in [(beginning, begins, first), (end, What::End, first + 1)] {
            let frame = &mut self.bytes[self.filled..self.filled + FRAME_BYTES + part.len()];
            let header = SealedHeader { what, key: tunnel.remote_key, counter };
            frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
            frame[HEADER_BYTES + SEALED_HEADER_BYTES..][..part.len()].copy_from_slice(part);
            sealing.seal(counter, &mut frame[HEADER_BYTES..]);
            self.filled += frame.len();
        }
        true
    }

    /// Seals something that is no packet, in an empty one.
    pub(super) fn control(&mut self, tunnel: &Arc<Tunnel>, what: What, content: &[u8]) -> bool {
        let Some((sealing, counter)) = tunnel.sealer.take(1) else { return false };
        self.begin(tunnel, content.len(), None);
        let frame = &mut self.bytes[..FRAME_BYTES + content.len()];
        let header = SealedHeader { what, key: tunnel.remote_key, counter };
        frame[HEADER_BYTES..][..SEALED_HEADER_BYTES].copy_from_slice(&header.encode());
        frame[HEADER_BYTES + SEALED_HEADER_BYTES..][..content.len()].copy_from_slice(content);
        sealing.seal(counter, &mut frame[HEADER_BYTES..]);
        self.filled = frame.len();
        true
    }

    fn begin(&mut self, tunnel: &Arc<Tunnel>, length: usize, ecn: Option<EcnCodepoint>) {
        if self.is_empty() {
            (self.tunnel, self.stride, self.ecn) = (Some(tunnel.clone()), length + FRAME_BYTES, ecn);
        }
    }
}

impl Port {
    /// Sends the frames, if there are any, on the way that leads there now. Without one they are dropped, as on a broken wire.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is no room; call it again with the same frames when there is.
    pub(super) fn dispatch(&self, overlay: &Overlay, frames: &mut Frames) -> io::Result<()> {
        if frames.to.is_none()
            && let Some(tunnel) = frames.tunnel.clone()
            && !self.direct(overlay, &tunnel, frames)
        {
            overlay.counts.no_route.add(frames.packets as u64);
            frames.clear();
        }
        self.send_frames(frames)
    }

    /// Writes where the frames go; false if nothing leads there. Where they go a second way as well, copies leave at once.
    fn direct(&self, overlay: &Overlay, tunnel: &Tunnel, frames: &mut Frames) -> bool {
        let now = self.clock();
        let tables = self.tables.load();
        let known = tables.destinations.get(&tunnel.tag);
        if let Some(destination) = known {
            destination.touch(now);
        }
        if known.is_none_or(|destination| destination.installed.is_none()) {
            self.want_route(tunnel.tag, now);
        }
        let Some(destination) = known else { return false };
        let Some((link, way)) = tables.way(destination, 0) else { return false };
        tunnel.path.store(u64::from(way.path), Ordering::Relaxed);
        let bytes = frames.filled;
        overlay.counts.sent.add(frames.packets as u64);
        overlay.counts.sent_bytes.add((bytes - frames.count() * FRAME_BYTES) as u64);
        tunnel.sent.fetch_add(frames.packets as u64, Ordering::Relaxed);
        tunnel.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        destination.count_sent(0, bytes);
        if let Some((second, second_way)) = tables.second_way(destination, 0, way) {
            let packets = frames.packets as u64;
            if destination.may_copy(bytes) {
                self.address(frames, second, second_way, Kind::PacketCopy);
                // A copy that the socket cannot take now is not missed.
                if self.transmit(frames).is_ok() {
                    self.counts.copies_sent.add(packets);
                }
            } else {
                self.counts.copies_over_budget.add(packets);
            }
        }
        self.address(frames, link, way, Kind::Packet);
        true
    }

    /// Sends something that is no packet to the end of a tunnel, if there is a way and room.
    pub(super) fn send_control(&self, frames: &mut Frames, tunnel: &Arc<Tunnel>, what: What, content: &[u8]) {
        let tables = self.tables.load();
        let known = tables.destinations.get(&tunnel.tag);
        let Some((link, way)) = known.and_then(|destination| tables.way(destination, 0)) else { return };
        if frames.control(tunnel, what, content) {
            self.address(frames, link, way, Kind::Packet);
            // A probe that the socket cannot take is a probe that was lost.
            let _ = self.send_frames(frames);
        }
    }

    /// Writes the headers of frames: where they go.
    fn address(&self, frames: &mut Frames, link: &Link, way: Way, kind: Kind) {
        let count = frames.count();
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

    /// Sends frames whose headers are written, if there are any, and empties them.
    fn send_frames(&self, frames: &mut Frames) -> io::Result<()> {
        self.transmit(frames)?;
        frames.clear();
        Ok(())
    }

    fn transmit(&self, frames: &Frames) -> io::Result<()> {
        let Some(destination) = frames.to else { return Ok(()) };
        let contents = &frames.bytes[..frames.filled];
        let segment_size = (frames.filled > frames.stride).then_some(frames.stride);
        self.udp.send(&Transmit { destination, ecn: frames.ecn, contents, segment_size, src_ip: None })
    }
}

/// What a frame adds to a packet, in bytes.
const FRAME_BYTES: usize = HEADER_BYTES + SEAL_BYTES;

const _: () = assert!(SEAL_BYTES == SEALED_HEADER_BYTES + TAG_BYTES, "what sealing adds stands on both sides");

#[cfg(test)]
mod tests {
    use prunella_core::PeerId;
    use prunella_core::overlay::{Offload, Packet};
    use zeroize::Zeroizing;

    use super::super::TUNNEL_SECRET_BYTES;
    use super::super::tunnel::TunnelInstall;
    use super::*;

    const SEGMENTS_MAX: usize = 64;

    fn tunnel() -> Arc<Tunnel> {
        let secret = || Zeroizing::new([7; TUNNEL_SECRET_BYTES]);
        let peer = PeerId::from_public_key([1; 32]);
        let install = TunnelInstall { peer, local_key: 7, remote_key: 8, send: secret(), receive: secret() };
        Arc::new(Tunnel::new(install, 1380))
    }

    /// A datagram over IPv6.
    fn packet(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&(length as u16 - 40).to_be_bytes());
        bytes[6] = 17;
        bytes
    }

    /// Puts a packet of so many bytes into the frames; false if there is no room for it.
    fn join(frames: &mut Frames, tunnel: &Arc<Tunnel>, length: usize, ecn: Option<EcnCodepoint>) -> bool {
        if frames.room(tunnel, length, ecn, SEGMENTS_MAX) == 0 {
            return false;
        }
        let bytes = packet(length);
        let segments = Segments::of(&bytes, Packet::parse(&bytes).unwrap(), Offload::default(), 1380).unwrap();
        assert!(frames.seal(tunnel, &segments, 0..1, ecn));
        true
    }

    #[test]
    fn what_is_as_long_joins_until_no_more_may_leave_at_once() {
        let (mut frames, tunnel) = (Frames::new(), tunnel());
        let joined = (0..100).take_while(|_| join(&mut frames, &tunnel, 200, None)).count();
        assert_eq!((joined, frames.count()), (SEGMENTS_MAX, SEGMENTS_MAX));
        frames.clear();
        let joined = (0..100).take_while(|_| join(&mut frames, &tunnel, 1380, None)).count();
        assert_eq!(joined, SEND_BYTES_MAX / (1380 + FRAME_BYTES), "and no more than a datagram holds");
    }

    #[test]
    fn the_last_may_be_shorter_and_none_longer() {
        let (mut frames, tunnel) = (Frames::new(), tunnel());
        assert!(join(&mut frames, &tunnel, 500, None));
        assert!(!join(&mut frames, &tunnel, 501, None));
        assert!(join(&mut frames, &tunnel, 499, None));
        assert!(!join(&mut frames, &tunnel, 499, None) && !join(&mut frames, &tunnel, 500, None));
        assert_eq!((frames.count(), frames.packets), (2, 2));
    }

    #[test]
    fn what_goes_elsewhere_or_is_marked_otherwise_does_not_join() {
        let (mut frames, one, other) = (Frames::new(), tunnel(), tunnel());
        assert!(join(&mut frames, &one, 500, None));
        assert!(!join(&mut frames, &other, 500, None));
        assert!(!join(&mut frames, &one, 500, Some(EcnCodepoint::Ce)));
        frames.to = Some(([127, 0, 0, 1], 1).into());
        assert!(!join(&mut frames, &one, 500, None), "their headers are written");
    }
}
