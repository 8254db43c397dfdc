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
use tokio::io::unix::AsyncFd;

use super::error::DatapathError;
use super::threads::Threads;

/// Binds a UDP socket of the operating system. Call it within a tokio runtime.
///
/// # Errors
/// If the address cannot be bound, or the socket lacks an option that the datapath needs.
pub fn bind_udp(address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
    let socket = std::net::UdpSocket::bind(address).map_err(|source| DatapathError::Bind { address, source })?;
    prepare(address, socket)
}

/// As [`bind_udp`], so many sockets that share the address: the kernel deals senders out among them. On other systems than
/// Linux, which do not, there is one. Each is to be read by the thread of its number.
///
/// # Errors
/// As [`bind_udp`].
pub fn bind_several_udp(
    address: SocketAddr,
    sockets: usize,
    threads: &Threads,
) -> Result<Vec<Arc<dyn AsyncUdpSocket>>, DatapathError> {
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
    let prepare_on = |(number, socket)| {
        let _entered = threads.of(number).enter();
        prepare(address, socket)
    };
    all.into_iter().enumerate().map(prepare_on).collect()
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
    /// Wakes for what comes, and for nothing else: that a datagram has left is an event as well, and one for each of them.
    io: AsyncFd<std::net::UdpSocket>,
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
        let io = watch(socket, Interest::READABLE)?;
        Ok(Self { io, state, local, full: AtomicBool::new(false) })
    }

    fn send_once(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let outcome = self.state.try_send(self.io.get_ref().into(), transmit);
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.full.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Waits until there is room to send. The socket is watched for it as long as somebody waits.
    async fn room(&self) -> io::Result<()> {
        let watched = watch(self.io.get_ref().try_clone()?, Interest::WRITABLE)?;
        watched.writable().await?.retain_ready();
        Ok(())
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for types whose descriptor may change; a socket's never does"
)]
fn watch(socket: std::net::UdpSocket, interest: Interest) -> io::Result<AsyncFd<std::net::UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
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
            let mut readiness = ready!(self.io.poll_read_ready(cx))?;
            let room = buffers.len().min(metas.len()).min(BATCH_SIZE);
            let outcome = self.state.recv(self.io.get_ref().into(), buffers, metas);
            let is_empty = match &outcome {
                // So it would say to the next question, which is not asked.
                Ok(received) => *received < room,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
            if is_empty {
                readiness.clear_ready();
            }
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
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
            Box::pin(async move { udp.room().await })
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn udp() -> Arc<Udp> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
        Arc::new(Udp::prepare(socket).expect("a socket has what is needed"))
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_woken_when_there_is_some() {
        let udp = udp();
        let mut writable = udp.clone().create_io_poller();
        udp.full.store(true, Ordering::Relaxed);
        poll_fn(|cx| writable.as_mut().poll_writable(cx)).await.expect("the socket is there");
        assert!(!udp.full.load(Ordering::Relaxed), "and nobody else waits any more");
    }

    #[tokio::test]
    async fn what_comes_while_nobody_looks_is_found_and_then_the_socket_is_empty() {
        let (here, there) = (udp(), udp());
        let mut memory = vec![[0; 2048]; BATCH_SIZE];
        let mut buffers: Vec<_> = memory.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let mut metas = vec![RecvMeta::default(); BATCH_SIZE];
        for round in 1..=3 {
            let contents = vec![round; 100 * usize::from(round)];
            let transmit =
                Transmit { destination: here.local, ecn: None, contents: &contents, segment_size: None, src_ip: None };
            there.try_send(&transmit).expect("there is room for one");
            let received =
                poll_fn(|cx| here.poll_recv(cx, &mut buffers, &mut metas)).await.expect("the socket is there");
            assert_eq!((received, metas[0].len), (1, contents.len()));
            let more = poll_fn(|cx| Poll::Ready(here.poll_recv(cx, &mut buffers, &mut metas))).await;
            assert!(more.is_pending());
        }
    }
}
