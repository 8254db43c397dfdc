//! A network in memory: sockets whose datagrams travel in virtual time, over wires that have a latency, lose, and can be
//! cut in each direction.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use prunella_core::frame::{HEADER_BYTES, is_quic};
use prunella_core::rng::Rng;
use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::time::{Instant, Sleep, sleep_until};

use super::trace::{Fate, Head, Trace, What};

/// The way from one machine to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    /// The least time that a datagram takes.
    pub(crate) latency: Duration,
    /// What comes on top of it at most, drawn for each datagram: so datagrams overtake each other.
    pub(crate) jitter: Duration,
    /// Datagrams lost, in thousandths.
    pub(crate) loss_permille: usize,
    /// Whether everything is lost.
    pub(crate) cut: bool,
}

/// All machines' sockets, and the wires between the machines.
#[derive(Debug)]
pub(crate) struct Network {
    trace: Arc<Trace>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    usual: Wire,
    wires: BTreeMap<(IpAddr, IpAddr), Wire>,
    inboxes: BTreeMap<SocketAddr, Arc<Inbox>>,
    /// The next port that nobody asked for by number.
    next_port: u16,
    sent: u64,
}

impl Network {
    /// A network without sockets whose wires are all like `usual`.
    pub(crate) fn new(seed: u64, usual: Wire, trace: Arc<Trace>) -> Arc<Self> {
        let (wires, inboxes) = (BTreeMap::new(), BTreeMap::new());
        let state = State { rng: Rng::from_seed(seed), usual, wires, inboxes, next_port: 50_000, sent: 0 };
        Arc::new(Self { trace, state: Mutex::new(state) })
    }

    /// A socket of the machine `ip`, at the port of `address`, or at any if that is 0.
    pub(crate) fn bind(self: &Arc<Self>, ip: IpAddr, address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let mut state = self.state.lock().unwrap();
        let mut local = SocketAddr::new(ip, address.port());
        if local.port() == 0 {
            local.set_port(state.next_port);
            state.next_port += 1;
        }
        if state.inboxes.contains_key(&local) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let inbox = Arc::new(Inbox::new());
        state.inboxes.insert(local, inbox.clone());
        Ok(Arc::new(Socket { network: self.clone(), local, inbox }))
    }

    /// Changes the wire in one direction.
    pub(crate) fn change(&self, from: IpAddr, to: IpAddr, change: impl FnOnce(&mut Wire)) {
        let state = &mut *self.state.lock().unwrap();
        change(state.wires.entry((from, to)).or_insert(state.usual));
    }

    /// Takes one datagram onto its wire.
    fn take(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8], meta: RecvMeta) {
        let state = &mut *self.state.lock().unwrap();
        let wire = state.wires.get(&(from.ip(), to.ip())).copied().unwrap_or(state.usual);
        let fate = match state.inboxes.get(&to) {
            _ if wire.cut => Fate::Cut,
            _ if state.rng.below(1000) < wire.loss_permille => Fate::Lost,
            None => Fate::Nobody,
            Some(inbox) => {
                let extra = state.rng.below(wire.jitter.as_micros() as usize + 1) as u64;
                let travel = wire.latency + Duration::from_micros(extra);
                state.sent += 1;
                inbox.put((Instant::now() + travel, state.sent), (meta, bytes.to_vec()));
                Fate::Arrives(travel)
            }
        };
        let head = match bytes.first() {
            Some(&first) if !is_quic(first) => Head::Frame(bytes[..bytes.len().min(HEADER_BYTES - 8)].to_vec()),
            _ => Head::Quic,
        };
        self.trace.note(What::Sent { from, to, length: bytes.len(), head, fate });
    }
}

/// A bound socket; the port is free again when it is dropped.
#[derive(Debug)]
struct Socket {
    network: Arc<Network>,
    local: SocketAddr,
    inbox: Arc<Inbox>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.state.lock().unwrap().inboxes.remove(&self.local);
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let to = SocketAddr::new(transmit.destination.ip().to_canonical(), transmit.destination.port());
        for segment in transmit.contents.chunks(transmit.segment_size.unwrap_or(usize::MAX)) {
            let (len, stride) = (segment.len(), segment.len());
            let meta = RecvMeta { addr: self.local, len, stride, ecn: transmit.ecn, dst_ip: None };
            self.network.take(self.local, to, segment, meta);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inbox.poll_take(cx, buffers, metas).map(Ok)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// As many as make the nodes cut their sends into segments.
    fn max_transmit_segments(&self) -> usize {
        8
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Datagrams on their way to one socket, by the time of their arrival and then the order in which they were sent.
#[derive(Debug)]
struct Inbox(Mutex<Waiting>);

type Datagram = (RecvMeta, Vec<u8>);

#[derive(Debug)]
struct Waiting {
    datagrams: BTreeMap<(Instant, u64), Datagram>,
    timer: Pin<Box<Sleep>>,
    reader: Option<Waker>,
}

impl Inbox {
    fn new() -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self(Mutex::new(Waiting { datagrams: BTreeMap::new(), timer, reader: None }))
    }

    fn put(&self, at: (Instant, u64), datagram: Datagram) {
        let mut waiting = self.0.lock().unwrap();
        if waiting.datagrams.len() >= IN_FLIGHT_MAX {
            return;
        }
        let is_first = waiting.datagrams.first_key_value().is_none_or(|(first, _)| at < *first);
        waiting.datagrams.insert(at, datagram);
        if is_first && let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }

    fn poll_take(&self, cx: &mut Context<'_>, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Poll<usize> {
        let mut waiting = self.0.lock().unwrap();
        loop {
            let now = Instant::now();
            let mut taken = 0;
            while taken < buffers.len().min(metas.len()) {
                let Some(next) = waiting.datagrams.first_entry().filter(|next| next.key().0 <= now) else { break };
                let (meta, bytes) = next.remove();
                let length = bytes.len().min(buffers[taken].len());
                buffers[taken][..length].copy_from_slice(&bytes[..length]);
                metas[taken] = RecvMeta { len: length, stride: length, ..meta };
                taken += 1;
            }
            if taken > 0 {
                return Poll::Ready(taken);
            }
            waiting.reader = Some(cx.waker().clone());
            let Some((at, _)) = waiting.datagrams.first_key_value().map(|(key, _)| *key) else { return Poll::Pending };
            if waiting.timer.deadline() != at {
                waiting.timer.as_mut().reset(at);
            }
            ready!(waiting.timer.as_mut().poll(cx));
        }
    }
}

/// The network takes whatever is sent.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Datagrams on their way to one socket at once; further ones are lost, as in a full buffer.
const IN_FLIGHT_MAX: usize = 8192;
