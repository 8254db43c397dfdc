//! What carries the node's datagrams: a socket, with the faults and the counts that are the same over any socket.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};

use super::counters::Count;
use super::faults::Faults;

/// A bound socket with everything that is the same for QUIC and for frames.
///
/// The socket is behind a pointer, which is followed once per system call and not once per frame.
#[derive(Debug)]
pub(super) struct Underlay {
    socket: Arc<dyn AsyncUdpSocket>,
    local: SocketAddr,
    pub(super) faults: Faults,
    pub(super) faulted: Count,
    pub(super) failed: Count,
}

impl Underlay {
    pub(super) fn over(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let (faults, faulted, failed) = (Faults::default(), Count::default(), Count::default());
        Ok(Self { socket, local, faults, faulted, failed })
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
        if self.faults.drops_sent(transmit.destination) {
            self.faulted.add(1);
            return Ok(());
        }
        match self.socket.try_send(transmit) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.failed.add(1);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Receives a batch. A message that a fault swallows has length zero.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            match ready!(self.socket.poll_recv(cx, buffers, metas)) {
                Ok(count) => {
                    for meta in metas[..count].iter_mut().filter(|meta| self.faults.drops_received(meta.addr)) {
                        self.faulted.add(1);
                        meta.len = 0;
                    }
                    return Poll::Ready(Ok(count));
                }
                // An ICMP error of some earlier datagram says nothing about this socket.
                Err(error) if is_about_a_peer(&error) => self.failed.add(1),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
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
