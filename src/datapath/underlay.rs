//! What carries the node's datagrams: a socket, with the faults and the counts that are the same over any socket.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::time::Instant;

use super::counters::Count;
use super::faults::{Direction, Faults, Impairment};
use super::held::Datagram;

/// A bound socket with everything that is the same for QUIC and for frames.
///
/// The socket is behind a pointer, which is followed once per system call and not once per frame.
#[derive(Debug)]
pub(super) struct Underlay {
    socket: Arc<dyn AsyncUdpSocket>,
    local: SocketAddr,
    faults: Arc<Faults>,
    pub(super) faulted: Count,
    pub(super) held: Count,
    pub(super) doubled: Count,
    pub(super) failed: Count,
}

impl Underlay {
    pub(super) fn over(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let (faulted, held, doubled, failed) = <(Count, Count, Count, Count)>::default();
        Ok(Self { socket, local, faults: Arc::default(), faulted, held, doubled, failed })
    }

    pub(super) const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }

    pub(super) fn send_segments_max(&self) -> usize {
        self.socket.max_transmit_segments().min(SEND_SEGMENTS_MAX)
    }

    pub(super) fn receive_segments_max(&self) -> usize {
        self.socket.max_receive_segments()
    }

    /// Sends one datagram, or a run of equal segments.
    ///
    /// # Errors
    /// Only [`io::ErrorKind::WouldBlock`]: the send buffer is full and a poller will say when it no longer is. Every other
    /// error is counted and swallowed, as a datagram lost on the wire would be.
    pub(super) fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.faults.any() && self.faults.impairs(transmit.destination, Direction::Sent) {
            self.send_impaired(transmit);
            return Ok(());
        }
        self.send_whole(transmit)
    }

    fn send_whole(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.socket.try_send(transmit) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.failed.add(1);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Sends each datagram as its fault will have it. What the socket cannot take now is lost: nobody asks again.
    fn send_impaired(&self, transmit: &Transmit<'_>) {
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for contents in transmit.contents.chunks(stride) {
            let datagram = || Datagram {
                address: transmit.destination,
                ecn: transmit.ecn,
                dst_ip: None,
                bytes: contents.to_vec(),
            };
            let now = self.fall(Direction::Sent, transmit.destination, contents, datagram);
            for _ in 0..now {
                let single = Transmit { contents, segment_size: None, ..transmit.clone() };
                if self.send_whole(&single).is_err() {
                    self.faulted.add(1);
                }
            }
        }
    }

    /// Judges a datagram, holds back what is not due yet, and gives how often it goes now.
    fn fall(&self, direction: Direction, address: SocketAddr, bytes: &[u8], datagram: impl Fn() -> Datagram) -> u8 {
        let Some(fate) = self.faults.judge(address, direction, bytes) else { return 1 };
        match fate.times {
            0 => self.faulted.add(1),
            1 => {}
            _ => self.doubled.add(1),
        }
        let Some(due) = fate.due else { return fate.times };
        for _ in 0..fate.times {
            let count = if self.faults.held.push(direction, due, datagram()) { &self.held } else { &self.faulted };
            count.add(1);
        }
        0
    }

    /// Puts a fault in force, in place of the one before. Call it within a tokio runtime.
    pub(super) fn impair(&self, address: SocketAddr, direction: Direction, impairment: Impairment, seed: u64) {
        if impairment.holds() {
            self.faults.held.start(&self.faults, &self.socket);
        }
        self.faults.set(address, direction, impairment, seed);
    }

    /// Ends a fault.
    pub(super) fn mend(&self, address: SocketAddr, direction: Direction) {
        self.faults.end(address, direction);
    }

    /// Whether any fault is in force.
    pub(super) fn is_impaired(&self) -> bool {
        self.faults.any()
    }

    /// Ends all faults.
    pub(super) fn mend_all(&self) {
        self.faults.clear();
    }

    /// Receives a batch. A message that a fault swallows has length zero.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.faults.any() {
            let handed = self.faults.held.hand_over(cx, buffers, metas);
            if handed > 0 {
                return Poll::Ready(Ok(handed));
            }
        }
        self.poll_recv_at(&*self.socket, cx, buffers, metas)
    }

    /// As [`Underlay::poll_recv`], from another socket that is bound to the same address. What was held back does not come
    /// here: it is handed over by the first.
    pub(super) fn poll_recv_at(
        &self,
        socket: &dyn AsyncUdpSocket,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            match ready!(socket.poll_recv(cx, buffers, metas)) {
                Ok(count) => {
                    if self.faults.any() {
                        for (buffer, meta) in buffers.iter_mut().zip(&mut metas[..count]) {
                            self.receive_impaired(buffer, meta);
                        }
                    }
                    return Poll::Ready(Ok(count));
                }
                // An ICMP error of some earlier datagram says nothing about this socket.
                Err(error) if is_about_a_peer(&error) => self.failed.add(1),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Leaves of a message what its fault lets through now, at its beginning.
    fn receive_impaired(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        if !self.faults.impairs(meta.addr, Direction::Received) {
            return;
        }
        let (length, stride) = (meta.len, meta.stride.max(1));
        let mut kept = 0;
        for start in (0..length).step_by(stride) {
            let segment = start..(start + stride).min(length);
            let bytes = &buffer[segment.clone()];
            let datagram =
                || Datagram { address: meta.addr, ecn: meta.ecn, dst_ip: meta.dst_ip, bytes: bytes.to_vec() };
            let now = self.fall(Direction::Received, meta.addr, bytes, datagram);
            // There is no room for a second one here: it is handed over with the next batch.
            if now > 1 && !self.faults.held.push(Direction::Received, Instant::now(), datagram()) {
                self.faulted.add(1);
            }
            if now > 0 {
                buffer.copy_within(segment.clone(), kept);
                kept += segment.len();
            }
        }
        meta.len = kept;
    }

    /// A poller for one task that wants to send.
    pub(super) fn poller(&self) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }
}

fn is_about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable)
}

/// Most segments in one send: as many frames of full size as fit one UDP datagram.
const SEND_SEGMENTS_MAX: usize = 44;
/// Most bytes in one send: the longest UDP payload over IPv4.
pub(super) const SEND_BYTES_MAX: usize = 65_507;
