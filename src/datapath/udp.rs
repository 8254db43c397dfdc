//! The UDP socket itself: batches, segmentation offload, readiness, and faults on purpose.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn::UdpPoller;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::counters::Count;
use super::error::DatapathError;
use super::faults::Faults;

/// A bound socket with everything that is the same for QUIC and for frames.
#[derive(Debug)]
pub(super) struct Udp {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Set when the send buffer was full; while it is clear, pollers need not ask the runtime.
    full: AtomicBool,
    pub(super) faults: Faults,
    pub(super) faulted: Count,
    pub(super) failed: Count,
}

impl Udp {
    pub(super) fn bind(address: SocketAddr) -> Result<Self, DatapathError> {
        let socket = std::net::UdpSocket::bind(address).map_err(|source| DatapathError::Bind { address, source })?;
        Self::prepare(socket).map_err(|source| DatapathError::Prepare { address, source })
    }

    fn prepare(socket: std::net::UdpSocket) -> io::Result<Self> {
        // With privileges the system's limit can be passed; without them it caps what is asked for.
        if sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
        }
        if sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER_BYTES).is_err() {
            sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
        }
        // This also makes the socket non-blocking, forbids fragments and turns receive offload on.
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        let io = UdpSocket::from_std(socket)?;
        let (faults, faulted, failed) = (Faults::default(), Count::default(), Count::default());
        Ok(Self { io, state, local, full: AtomicBool::new(false), faults, faulted, failed })
    }

    pub(super) const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    pub(super) fn send_segments_max(&self) -> usize {
        self.state.max_gso_segments().min(SEND_SEGMENTS_MAX)
    }

    pub(super) fn receive_segments_max(&self) -> usize {
        self.state.gro_segments()
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
        match transmit.segment_size {
            // The offload was found to be missing after this run was built.
            Some(size) if size < transmit.contents.len() && self.state.max_gso_segments() == 1 => {
                transmit.contents.chunks(size).try_for_each(|contents| {
                    self.send_once(&Transmit { contents, segment_size: None, ..transmit.clone() })
                })
            }
            _ => self.send_once(transmit),
        }
    }

    fn send_once(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Err(error) = self.state.try_send((&self.io).into(), transmit) else { return Ok(()) };
        if error.kind() != io::ErrorKind::WouldBlock {
            self.failed.add(1);
            return Ok(());
        }
        // Only a refusal inside `try_io` clears the runtime's readiness, without which a poller would never wait.
        match self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), transmit)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.full.store(true, Ordering::Relaxed);
                Err(error)
            }
            Err(_) => {
                self.failed.add(1);
                Ok(())
            }
            Ok(()) => Ok(()),
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
            ready!(self.io.poll_recv_ready(cx))?;
            let batch = self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), buffers, metas));
            match batch {
                Ok(count) => {
                    for meta in metas[..count].iter_mut().filter(|meta| self.faults.drops_received(meta.addr)) {
                        self.faulted.add(1);
                        meta.len = 0;
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error of some earlier datagram says nothing about this socket.
                Err(error) if is_about_a_peer(&error) => self.failed.add(1),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// A poller for one task that wants to send.
    pub(super) fn poller(self: &Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller { udp: self.clone(), waiting: None })
    }
}

/// Waits until the socket can send again. Each task has its own, so that every one of them is woken.
struct WritePoller {
    udp: Arc<Udp>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for WritePoller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waiting.is_none() && !this.udp.full.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let udp = &this.udp;
        let waiting = this.waiting.get_or_insert_with(|| {
            let udp = udp.clone();
            Box::pin(async move { udp.io.writable().await })
        });
        let outcome = ready!(waiting.as_mut().poll(cx));
        this.waiting = None;
        this.udp.full.store(false, Ordering::Relaxed);
        Poll::Ready(outcome)
    }
}

impl fmt::Debug for WritePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePoller").finish_non_exhaustive()
    }
}

fn is_about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable)
}

/// Asked for in each direction; a relay has no pacing of its own, so this is its queue.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Most segments in one send: as many frames of full size as fit one UDP datagram.
pub(super) const SEND_SEGMENTS_MAX: usize = 44;
/// Most bytes in one send: the longest UDP payload over IPv4.
pub(super) const SEND_BYTES_MAX: usize = 65_507;
