//! The port: the node's sockets at its one UDP address, its tables, and what actors may do with them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use quinn::AsyncUdpSocket;
use quinn_udp::Transmit;
use tokio::sync::mpsc;
use tokio::time::Instant;

use prunella_core::frame::{
    Frame, HEADER_BYTES, Header, Kind, Labels, PATH_ERROR_BYTES, PROBE_BYTES, TRACE_BYTES, stamp,
};
use prunella_core::limits::{
    DATAPATH_EVENTS_MAX, DESTINATIONS_MAX, LANES_MAX, LINK_PACKET_QUEUE_MAX, WANDERERS_PER_SECOND,
};
use prunella_core::{Label, LinkId, PeerId, Rejected, Tag, TraceContext};

use super::aside::Asides;
use super::counters::{Counters, LinkStats, PortCounts};
use super::error::DatapathError;
use super::event::Event;
use super::faults::{Direction, Impairment};
use super::kernel::{Kernel, KernelError};
use super::limiter::Limiter;
use super::link_socket::LinkSocket;
use super::mesh_socket::MeshSocket;
use super::outbox::Run;
use super::overlay::Overlay;
use super::reader::Reader;
use super::ring::{Ring, Room};
use super::tables::{LaneRoute, LaneWays, Link, LinkInstall, Route, Tables, Way, reachable_from};
use super::threads::Threads;
use super::udp::bind_udp;
use super::underlay::Underlay;

/// A node's one UDP address and the tables by which it forwards. Packets read the tables without a lock.
pub struct Port {
    pub(super) me: Tag,
    pub(super) udp: Underlay,
    pub(super) tables: ArcSwap<Tables>,
    /// QUIC packets for the link endpoint.
    pub(super) quic: Ring,
    /// Sockets beside the first, if there are any.
    pub(super) asides: Option<Asides>,
    /// Locked once per poll by the session endpoint's driver, and by nobody else.
    pub(super) reader: Mutex<Reader>,
    pub(super) counts: PortCounts,
    /// Destinations that nobody announced.
    pub(super) newcomers: Limiter,
    /// Frames from addresses without a link that are looked at.
    pub(super) wanderers: Limiter,
    /// Held by whoever changes the tables, so that no change is lost.
    pub(super) writing: Mutex<()>,
    /// The half of the datapath that is in the kernel, if there is one.
    pub(super) kernel: OnceLock<Kernel>,
    /// Why there is none, if it was wanted.
    pub(super) kernel_refused: OnceLock<KernelError>,
    /// Set once, if the node has an overlay interface.
    pub(super) overlay: OnceLock<Arc<Overlay>>,
    threads: Threads,
    events: mpsc::Sender<Event>,
    boot: Instant,
}

impl Port {
    /// Binds the node's socket. Call it within a tokio runtime.
    ///
    /// The events come out of the receiver; when it is not emptied, they are dropped and counted.
    ///
    /// # Errors
    /// If the address cannot be bound, or the socket lacks an option that the datapath needs.
    pub fn bind(address: SocketAddr, me: PeerId) -> Result<(Arc<Self>, mpsc::Receiver<Event>), DatapathError> {
        let socket = bind_udp(address)?;
        Self::over(vec![socket], me, Threads::current()).map_err(|source| DatapathError::Prepare { address, source })
    }

    /// As [`Port::bind`], over sockets that are bound already, all to one address, each to be read by the thread of its number.
    /// Have [`Port::start_readers`] read those beside the first.
    ///
    /// # Errors
    /// If there is none, or the first does not know its address.
    pub fn over(
        sockets: Vec<Arc<dyn AsyncUdpSocket>>,
        me: PeerId,
        threads: Threads,
    ) -> io::Result<(Arc<Self>, mpsc::Receiver<Event>)> {
        let (events, receiver) = mpsc::channel(DATAPATH_EVENTS_MAX);
        let mut sockets = sockets.into_iter();
        let first = sockets.next().ok_or(io::ErrorKind::InvalidInput)?;
        let quic = Room {
            messages: LINK_PACKET_QUEUE_MAX,
            bytes: LINK_PACKET_QUEUE_MAX * QUIC_BYTES_MAX,
            longest: QUIC_BYTES_MAX,
        };
        let port = Self {
            me: me.tag(),
            udp: Underlay::over(first)?,
            tables: ArcSwap::default(),
            quic: Ring::with(quic),
            asides: Asides::of(sockets.collect()),
            reader: Mutex::new(Reader::new(0)),
            counts: PortCounts::default(),
            newcomers: Limiter::new(NEWCOMERS_PER_SECOND, NEWCOMERS_PER_SECOND),
            wanderers: Limiter::new(WANDERERS_PER_SECOND, WANDERERS_PER_SECOND),
            writing: Mutex::new(()),
            overlay: OnceLock::new(),
            kernel: OnceLock::new(),
            kernel_refused: OnceLock::new(),
            threads,
            events,
            boot: Instant::now(),
        };
        Ok((Arc::new(port), receiver))
    }

    /// The address that the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.udp.local_addr()
    }

    /// Where the datapath's tasks run.
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The socket for the link endpoint: plain QUIC over UDP. Build one endpoint on it.
    pub fn link_socket(self: &Arc<Self>) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(LinkSocket(self.clone()))
    }

    /// The socket for the session endpoint. Build one endpoint on it, as the module's documentation says, on the first
    /// of [`Port::threads`]; its driver is what reads the UDP socket, for links and for forwarding too.
    pub fn mesh_socket(self: &Arc<Self>) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(MeshSocket(self.clone()))
    }

    /// Installs a link; it may be used at once. An older link to the same neighbor stays until it is removed.
    pub fn install_link(&self, install: LinkInstall) {
        let remote = reachable_from(self.udp.local_addr(), install.remote);
        self.change_links(|tables| tables.put_link(Link::new(install, remote)));
    }

    /// The neighbor of a link has a new UDP address. Sequence numbers and counters go on.
    pub fn update_remote(&self, id: LinkId, remote: SocketAddr) {
        let remote = reachable_from(self.udp.local_addr(), remote);
        self.change_links(|tables| {
            if let Some(link) = tables.link(id).cloned() {
                tables.put_link(Link { remote, ..Link::clone(&link) });
            }
        });
    }

    /// Removes a link. Routes over it stay installed but carry nothing.
    pub fn remove_link(&self, id: LinkId) {
        self.change_links(|tables| tables.drop_link(id));
    }

    /// Sets whether data may leave on a link. Probes may always, or nobody would learn that it works again.
    pub fn set_usable(&self, id: LinkId, usable: bool) {
        if let Some(link) = self.tables.load().link(id) {
            link.state.usable.store(usable, Ordering::Relaxed);
            self.tell_kernel();
        }
    }

    /// Sets whether the neighbor may use this node as a relay.
    pub fn set_may_relay(&self, id: LinkId, may_relay: bool) {
        if let Some(link) = self.tables.load().link(id) {
            link.state.may_relay.store(may_relay, Ordering::Relaxed);
            self.tell_kernel();
        }
    }

    /// Installs the route to a destination, in place of the one before. The next packet takes it. With a `hedge`, packets
    /// are sent there as well, within a budget: a share of the traffic and a burst.
    ///
    /// # Panics
    /// If a route has more labels than a frame can hold.
    pub fn install_route(&self, destination: PeerId, route: &Route, hedge: Option<&Route>) {
        let (way, hedge) = (Way::of(route), hedge.map(Way::of));
        self.update_destination(destination.tag(), self.clock(), |d| (d.installed, d.hedge) = (Some(way), hedge));
    }

    /// Installs the ways of the lanes that have one of their own, in place of all that were there; the other lanes use the
    /// installed route. The next packet takes it.
    ///
    /// # Panics
    /// If a lane has the number 0, or one that is too high, or a route more labels than a frame can hold.
    pub fn spread(&self, destination: PeerId, routes: &[LaneRoute]) {
        let mut lanes = vec![None; routes.iter().map(|route| usize::from(route.lane)).max().unwrap_or_default()];
        assert!(lanes.len() < LANES_MAX, "BUG: there is no such lane");
        for LaneRoute { lane, route, hedge } in routes {
            let ways = LaneWays { own: Way::of(route), hedge: hedge.as_ref().map(Way::of) };
            lanes[usize::from(*lane) - 1] = Some(ways);
        }
        self.update_destination(destination.tag(), self.clock(), |d| d.lanes = lanes.into());
    }

    /// The lanes to a destination that have a way of their own, in ascending order. The first, which never has, is not
    /// among them.
    pub fn lanes(&self, destination: PeerId) -> Vec<u8> {
        let tables = self.tables.load();
        let Some(known) = tables.destinations.get(&destination.tag()) else { return Vec::new() };
        (1..LANES_MAX as u8).filter(|lane| known.lane(*lane).is_some()).collect()
    }

    /// The bytes of session packets that were sent to a destination on each lane, since it is known here.
    pub fn lane_bytes(&self, destination: PeerId) -> [u64; LANES_MAX] {
        self.tables.load().destinations.get(&destination.tag()).map_or([0; LANES_MAX], |known| known.sent())
    }

    /// Withdraws the installed route, and the ways of all lanes. A learned way, if there is one, stands in.
    pub fn withdraw_route(&self, destination: PeerId) {
        self.change(|tables| {
            if let Some(destination) = tables.destinations.get_mut(&destination.tag()) {
                (destination.installed, destination.hedge, destination.lanes) = (None, None, Arc::default());
            }
        });
    }

    /// Sends a probe on a path, or with no labels on a link, usable or not. Its echo comes back as
    /// [`Event::ProbeReturned`]; its loss makes no noise.
    ///
    /// # Panics
    /// If there are more labels than a frame can hold.
    pub fn send_probe(&self, first: LinkId, labels: &[Label], path: u32, nonce: u64) {
        let labels = Labels::new(labels).expect("BUG: a path has at most PATH_LABELS_MAX labels");
        if let Some(link) = self.tables.load().link(first) {
            let mut payload = [0; PROBE_BYTES];
            payload[..8].copy_from_slice(&nonce.to_be_bytes());
            payload[8..].copy_from_slice(&self.clock().to_be_bytes());
            self.send_own(link, Kind::Probe, labels, path, &payload);
        }
    }

    /// Tells the relays of a path, which begins with this link and follows these labels, that a stream is opened over them
    /// within this span.
    pub fn send_traces(&self, first: LinkId, labels: &[Label], path: u32, context: TraceContext) {
        let Some(link) = self.tables.load().link(first).cloned() else { return };
        for (relay, next) in labels.iter().enumerate() {
            let to = Labels::new(&labels[..relay]).expect("BUG: a path has at most PATH_LABELS_MAX labels");
            let mut payload = [0; TRACE_BYTES];
            payload[..TRACE_BYTES - 2].copy_from_slice(&context.to_bytes());
            payload[TRACE_BYTES - 2..].copy_from_slice(&next.0.to_be_bytes());
            self.send_own(&link, Kind::Trace, to, path, &payload);
        }
    }

    /// The neighbor to which a label of this node leads.
    pub fn neighbor_at(&self, label: Label) -> Option<PeerId> {
        self.tables.load().usable_link(label).map(|link| link.peer)
    }

    /// The nodes to which data was sent, or from which it came, `within` the last while. At most
    /// [`DESTINATIONS_MAX`], in the order of their tags.
    pub fn active_destinations(&self, within: Duration) -> Vec<Tag> {
        let since = self.since(within);
        let tables = self.tables.load();
        let active = tables.destinations.iter().filter(|(_, d)| d.activity.last.load(Ordering::Relaxed) >= since);
        let mut tags: Vec<Tag> = active.map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        tags.truncate(DESTINATIONS_MAX);
        tags
    }

    /// Every installed link and what it has carried, in the order of their ids.
    pub fn link_stats(&self) -> Vec<LinkStats> {
        let now = self.clock();
        let mut stats: Vec<_> = self.tables.load().links().map(|link| link.stats(now)).collect();
        self.add_kernel_stats(&mut stats);
        stats
    }

    /// What the port has counted.
    pub fn counters(&self) -> Counters {
        let counts = &self.counts;
        let mut counters = Counters {
            quic_received: counts.quic_received.read(),
            quic_dropped: counts.quic_dropped.read(),
            unknown_source: counts.unknown_source.read(),
            rejected: counts.rejected.read(),
            shut_out: counts.shut_out.read(),
            over_rate: 0,
            forwarded: counts.forwarded.read(),
            forwarded_in_kernel: 0,
            no_link: counts.no_link.read(),
            no_route: counts.no_route.read(),
            send_full: counts.send_full.read(),
            send_failed: self.udp.failed.read(),
            faulted: self.udp.faulted.read(),
            held: self.udp.held.read(),
            doubled: self.udp.doubled.read(),
            probes_answered: counts.probes_answered.read(),
            path_errors_sent: counts.path_errors_sent.read(),
            spread: counts.spread.read(),
            copies_sent: counts.copies_sent.read(),
            copies_over_budget: counts.copies_over_budget.read(),
            copies_received: counts.copies_received.read(),
            events_dropped: counts.events_dropped.read(),
            spilled: counts.spilled.read(),
            read_aside: counts.read_aside.read(),
            aside_full: counts.aside_full.read(),
        };
        self.add_kernel_counts(&mut counters);
        counters
    }

    /// Impairs one direction between this node and an address, in place of what was in force there before; `seed`
    /// decides which datagrams are struck. Call it within a tokio runtime.
    pub fn impair(&self, peer_address: SocketAddr, direction: Direction, impairment: Impairment, seed: u64) {
        self.udp.impair(peer_address, direction, impairment, seed);
        self.tell_kernel();
    }

    /// Ends the fault of one direction.
    pub fn mend(&self, peer_address: SocketAddr, direction: Direction) {
        self.udp.mend(peer_address, direction);
        self.tell_kernel();
    }

    /// Ends all faults.
    pub fn mend_all(&self) {
        self.udp.mend_all();
        self.tell_kernel();
    }

    /// Nanoseconds since the port was bound.
    pub(super) fn clock(&self) -> u64 {
        self.boot.elapsed().as_nanos() as u64
    }

    fn since(&self, within: Duration) -> u64 {
        self.clock().saturating_sub(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Tables)) {
        let _writing = lock(&self.writing);
        let mut tables = Tables::clone(&self.tables.load());
        change(&mut tables);
        self.tables.store(Arc::new(tables));
    }

    pub(super) fn emit(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.counts.events_dropped.add(1);
        }
    }

    /// Sends frames of others on. What the socket cannot take now is dropped: a relay that queued would only add delay.
    pub(super) fn send_run(&self, run: Run<'_>) {
        let count = run.bytes.len().div_ceil(run.stride);
        run.link.state.counts.carried.add(count as u64);
        let sent = self.udp.send(&Transmit {
            destination: run.link.remote,
            ecn: run.ecn,
            contents: run.bytes,
            segment_size: (count > 1).then_some(run.stride),
            src_ip: None,
        });
        if sent.is_err() {
            self.counts.send_full.add(count as u64);
            return;
        }
        self.counts.forwarded.add(count as u64);
        run.link.state.counts.frames_sent.add(count as u64);
        run.link.state.counts.bytes_sent.add(run.bytes.len() as u64);
    }

    pub(super) fn answer_probe(&self, link: &Link, probe: &Frame<'_>, now: u64) -> Result<(), Rejected> {
        if !link.state.replies.allows(now) {
            return Err(Rejected::OverLimit);
        }
        self.send_own(link, Kind::Echo, probe.way_back(), probe.path(), probe.payload());
        self.counts.probes_answered.add(1);
        Ok(())
    }

    pub(super) fn report_broken(
        &self,
        ingress: &Link,
        frame: &Frame<'_>,
        label: Label,
        now: u64,
    ) -> Result<(), Rejected> {
        if !ingress.state.replies.allows(now) {
            return Err(Rejected::OverLimit);
        }
        let [high, low] = label.0.to_be_bytes();
        self.send_own(ingress, Kind::PathError, frame.way_back(), frame.path(), &[frame.cursor(), high, low]);
        self.counts.path_errors_sent.add(1);
        Ok(())
    }

    pub(super) fn take_echo(&self, link: &Link, echo: &Frame<'_>) -> Result<(), Rejected> {
        let word = |at: usize| {
            let bytes = echo.payload()[at..at + 8].try_into().expect("BUG: an echo holds two words");
            u64::from_be_bytes(bytes)
        };
        // The clock came back from others: one that lies ahead of ours was never sent by us.
        let rtt = self.clock().checked_sub(word(8)).ok_or(Rejected::Malformed)?;
        self.emit(Event::ProbeReturned {
            link: link.id,
            path: echo.path(),
            nonce: word(0),
            rtt: Duration::from_nanos(rtt),
        });
        Ok(())
    }

    pub(super) fn take_path_error(&self, link: &Link, error: &Frame<'_>) {
        let payload: [u8; PATH_ERROR_BYTES] = error.payload().try_into().expect("BUG: the length was checked");
        let label = Label(u16::from_be_bytes([payload[1], payload[2]]));
        self.emit(Event::PathBroken { path: error.path(), at: payload[0], label, reported_by_link: link.id });
    }

    pub(super) fn take_trace(&self, link: &Link, frame: &Frame<'_>, now: u64) -> Result<(), Rejected> {
        if !link.state.may_relay.load(Ordering::Relaxed) {
            return Err(Rejected::Unauthorized);
        }
        if !link.state.traces.allows(now) {
            return Err(Rejected::OverLimit);
        }
        let (context, next) = frame.payload().split_first_chunk().expect("BUG: the length was checked");
        let context = TraceContext::from_bytes(context)?;
        let next = Label(u16::from_be_bytes([next[0], next[1]]));
        self.emit(Event::TracePassed { link: link.id, source: frame.source(), context, next });
        Ok(())
    }

    pub(super) fn send_own(&self, link: &Link, kind: Kind, labels: Labels, path: u32, payload: &[u8]) {
        let header = Header { kind, lane: 0, labels, source: self.me, path, sequence: 0 };
        if !header.is_link_probe() {
            link.carry();
        }
        let mut buffer = [0; HEADER_BYTES + OWN_PAYLOAD_BYTES_MAX];
        let frame = &mut buffer[..HEADER_BYTES + payload.len()];
        frame[..HEADER_BYTES].copy_from_slice(&header.encode());
        frame[HEADER_BYTES..].copy_from_slice(payload);
        stamp(frame, link.sequences(1), &link.send_key);
        let (destination, contents) = (link.remote, &*frame);
        if self.udp.send(&Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None }).is_err() {
            self.counts.send_full.add(1);
            return;
        }
        link.state.counts.frames_sent.add(1);
        link.state.counts.bytes_sent.add(contents.len() as u64);
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}

/// Locks what holds no invariant that a panic could have broken.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest payload of a frame that a port sends by itself.
const OWN_PAYLOAD_BYTES_MAX: usize = TRACE_BYTES;
const _: () =
    assert!(PROBE_BYTES <= OWN_PAYLOAD_BYTES_MAX && PATH_ERROR_BYTES <= OWN_PAYLOAD_BYTES_MAX, "each one fits");

/// Longest QUIC packet that is passed on, in bytes: more than any Ethernet carries.
const QUIC_BYTES_MAX: usize = 2048;
/// Unannounced destinations taken up per second, each of which costs a copy of the tables.
const NEWCOMERS_PER_SECOND: u32 = 500;
