//! The operating system's UDP socket: batches, segmentation offload, readiness.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::error::DatapathError;

/// Binds a UDP socket of the operating system. Call it within a tokio runtime.
///
/// # Errors
/// If the address cannot be bound, or the socket lacks an option that the datapath needs.
pub fn bind_udp(address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
    let socket = std::net::UdpSocket::bind(address).map_err(|source| DatapathError::Bind { address, source })?;
    prepare(address, socket)
}

/// As [`bind_udp`], so many sockets that share the address: the kernel deals senders out among them. On other systems than
/// Linux, which do not, there is one.
///
/// # Errors
/// As [`bind_udp`].
pub fn bind_several_udp(address: SocketAddr, sockets: usize) -> Result<Vec<Arc<dyn AsyncUdpSocket>>, DatapathError> {
    let bind = |source| DatapathError::Bind { address, source };
    // Only sockets that allow it share an address. The first does not while it is bound, so that two nodes never do.
    let first = std::net::UdpSocket::bind(address).map_err(bind)?;
    let mut all = vec![first];
    if cfg!(target_os = "linux") && sockets > 1 {
        sockopt::set_socket_reuseport(&all[0], true).map_err(|error| bind(error.into()))?;
        let address = all[0].local_addr().map_err(bind)?;
        for _ in 1..sockets {
            all.push(bind_beside(address).map_err(bind)?);
        }
    }
    all.into_iter().map(|socket| prepare(address, socket)).collect()
}

fn prepare(address: SocketAddr, socket: std::net::UdpSocket) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
    let udp = Udp::prepare(socket).map_err(|source| DatapathError::Prepare { address, source })?;
    Ok(Arc::new(udp))
}

/// Binds a socket to an address that another one of this program has, and shares.
fn bind_beside(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    net::bind(&socket, &address)?;
    Ok(socket.into())
}

#[derive(Debug)]
struct Udp {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Set when the send buffer was full; while it is clear, pollers need not ask the runtime.
    full: AtomicBool,
}

impl Udp {
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
        Ok(Self { io, state, local, full: AtomicBool::new(false) })
    }

    fn send_once(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.state.try_send((&self.io).into(), transmit) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        // Only a refusal inside `try_io` clears the runtime's readiness, without which a poller would never wait.
        let outcome = self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), transmit));
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.full.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncUdpSocket for Udp {
    /// A poller for one task that wants to send.
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller { udp: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
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

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let room = buffers.len().min(metas.len()).min(BATCH_SIZE);
            let mut last = None;
            let batch = self.io.try_io(Interest::READABLE, || {
                let received = self.state.recv((&self.io).into(), buffers, metas)?;
                if received == room {
                    return Ok(received);
                }
                // The socket is empty, which would be the answer to the next question: it is not asked.
                last = Some(received);
                Err(io::ErrorKind::WouldBlock.into())
            });
            match (last, batch) {
                (Some(received), _) => return Poll::Ready(Ok(received)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, outcome) => return Poll::Ready(outcome),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
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

/// Asked for in each direction; a relay has no pacing of its own, so this is its queue.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;
