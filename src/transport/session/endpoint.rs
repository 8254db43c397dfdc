//! The session endpoint: QUIC over the mesh. Its driver is also what reads the node's UDP socket.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use prunella_core::limits::{SESSION_STREAMS_MAX, SESSION_TIMEOUT, SESSIONS_AWAITED_MAX, SESSIONS_MAX};
use prunella_core::wire::{Opening, SessionNotice, StreamOpen, StreamRefusal};
use prunella_core::{PeerId, Rejected, TraceContext};

use crate::datapath::{Port, SESSION_RECEIVE_BYTES, SessionName};
use crate::host::{Host, WallClock};
use crate::security::{
    Credentials, Refused, SESSION_ALPN, authenticated_peer, presented_chain, quinn_client, quinn_server,
};
use crate::spans::{Kind, Tracer};
use crate::transport::closing::Closing;
use crate::transport::pass::Pass;
use crate::transport::quic::{self, Door};

use super::awaited::{Awaited, Overdue};
use super::dialing::{comes_from, dial, lost};
use super::error::SessionError;
use super::guests::Guests;
use super::lanes::{LaneLoad, Lanes, Place, lane_of};
use super::notices::{Notices, Unanswered, tell};
use super::pool::{Dialed, Pool};
use super::reroute::Reroutes;
use super::stream::{self, Inbound, NotOpened};
use super::traced::describe;
use super::tuning::transport_config;

/// The answer of a [`RouteHook`]: a route is installed now, or why there is none.
pub type Routing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Asked before a peer is dialed: has a route installed, and waits until it is.
pub type RouteHook = Arc<dyn Fn(PeerId) -> Routing + Send + Sync>;

/// Called when a stream to a peer is about to be opened within this span.
pub type TraceHook = Arc<dyn Fn(PeerId, TraceContext) + Send + Sync>;

/// Decides whether a peer may have a stream. Asked for every stream.
pub trait Gate: Send + Sync + 'static {
    /// A peer has opened a session, and presented this chain: its certificate and its issuer's, DER.
    fn met(&self, from: PeerId, chain: &[Vec<u8>]);

    /// Whether `from` may have what it asks for, and what goes with the stream then.
    ///
    /// # Errors
    /// The name of the rule or limit that forbids it; it is told to the peer.
    fn decide(&self, from: PeerId, request: &StreamOpen) -> Result<Pass, String>;
}

/// What the session endpoint is built from.
pub struct SessionSetup {
    /// Who this node is, and whom it trusts.
    pub credentials: Credentials,
    /// What the node runs on.
    pub host: Arc<dyn Host>,
    /// The datapath.
    pub port: Arc<Port>,
    /// Over how many lanes to a peer bulk is spread; one for no spread.
    pub lanes: usize,
    /// Called before each dial.
    pub route: RouteHook,
    /// Called for each stream that a peer opens.
    pub gate: Arc<dyn Gate>,
    /// What tells of streams.
    pub tracer: Tracer,
    /// Called for each stream that is told of.
    pub traced: TraceHook,
    /// While this is set, peers get no new sessions; those that they have go on.
    pub sheds: Arc<AtomicBool>,
}

/// What comes from peers. First the streams that they opened and that the [`Gate`] let in, by purpose: while a queue is full,
/// its streams are refused as busy; when it has been dropped, as for no such service.
#[derive(Debug)]
pub struct Inbox {
    /// Streams to be carried to a service.
    pub services: mpsc::Receiver<Inbound>,
    /// Streams that carry messages.
    pub messages: mpsc::Receiver<Inbound>,
    /// Streams on which commands are given.
    pub commands: mpsc::Receiver<Inbound>,
    /// Streams that are to hold tunnels of IP packets.
    pub tunnels: mpsc::Receiver<Inbound>,
    /// What peers say of paths on which they hear no acknowledgments.
    pub unanswered: mpsc::Receiver<Unanswered>,
}

/// What the sessions with one peer have sent since they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The peer.
    pub peer: PeerId,
    /// Packets sent.
    pub packets: u64,
    /// Packets that are known to be lost.
    pub lost: u64,
    /// Acknowledgments heard.
    pub acknowledgments: u64,
    /// Frames of streams that were sent or heard: what users exchange, and nothing else.
    pub exchanged: u64,
}

/// The node's sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    pool: Pool,
    guests: Arc<Guests>,
    reroutes: Arc<Reroutes>,
    notices: Notices,
    lanes: Arc<Lanes>,
    route: RouteHook,
    tracer: Tracer,
    traced: TraceHook,
}

impl Sessions {
    /// Starts the endpoint; call it within a tokio runtime. From now on the node's UDP socket is read, for links and
    /// forwarding too.
    ///
    /// # Errors
    /// If the endpoint cannot be built on the socket.
    pub fn start(setup: SessionSetup) -> io::Result<(Self, Inbox)> {
        let SessionSetup { credentials, host, port, lanes, route, gate, tracer, traced, sheds } = setup;
        let mut config = quic::endpoint_config(credentials.identity(), "prunella 2026 session stateless reset", &host);
        config.max_udp_payload_size(SESSION_RECEIVE_BYTES).expect("BUG: it is more than QUIC's minimum");
        let mut server = quinn_server(credentials.session_server());
        // A peer's synthetic address never changes, whatever path its packets take.
        server.migration(false).time_source(Arc::new(WallClock(host.clone())));
        // Its driver reads packets; those of connections run with everything else that shakes hands.
        let entered = port.threads().first().enter();
        let endpoint = quic::endpoint(config, server.clone(), port.mesh_socket(), &host)?;
        drop(entered);
        let (services_sender, services) = mpsc::channel(INBOX_MAX);
        let (messages_sender, messages) = mpsc::channel(INBOX_MAX);
        let (commands_sender, commands) = mpsc::channel(INBOX_MAX);
        let (tunnels_sender, tunnels) = mpsc::channel(INBOX_MAX);
        let (guests, reroutes) = (Arc::<Guests>::default(), Arc::new(Reroutes::new()));
        let (notices, unanswered) = Notices::new();
        let front = Front {
            gate,
            tracer: tracer.clone(),
            sheds,
            server,
            guests: guests.clone(),
            reroutes: reroutes.clone(),
            notices: notices.clone(),
            services: services_sender,
            messages: messages_sender,
            commands: commands_sender,
            tunnels: tunnels_sender,
        };
        tokio::spawn(accept(endpoint.clone(), Arc::new(front)));
        let client = quinn_client(credentials.client(SESSION_ALPN));
        let lanes = Arc::new(Lanes::new(port, lanes));
        let sessions =
            Self { endpoint, client, pool: Pool::new(), guests, reroutes, notices, lanes, route, tracer, traced };
        Ok((sessions, Inbox { services, messages, commands, tunnels, unanswered }))
    }

    /// Opens a stream to `peer`, within [`SESSION_TIMEOUT`]: over the session that exists, or else a new one, always on the
    /// first lane. The peer has accepted the stream when this returns.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(&self, peer: PeerId, request: &StreamOpen) -> Result<(SendStream, RecvStream), SessionError> {
        let (send, recv, _) = self.open_on(peer, 0, request).await?;
        Ok((send, recv))
    }

    /// As [`Sessions::open`], on the lane that carries least: for bulk. Keep the place for as long as the stream is in use.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open_spread(
        &self,
        peer: PeerId,
        request: &StreamOpen,
    ) -> Result<(SendStream, RecvStream, Place), SessionError> {
        let mut place = self.lanes.lightest(peer);
        let (send, recv, session) = self.open_on(peer, place.lane(), request).await?;
        place.move_to(lane_of(&session));
        Ok((send, recv, place))
    }

    /// Opens a stream that is to hold a tunnel of IP packets, and the session that it is on.
    ///
    /// # Errors
    /// [`SessionError`].
    pub(in crate::transport) async fn open_tunnel(&self, peer: PeerId) -> Result<Opened, SessionError> {
        self.open_on(peer, 0, &StreamOpen::Network).await
    }

    /// What tells of streams.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// What the lanes to `peer` carry, in ascending order; only the first unless traffic is spread.
    pub fn lanes(&self, peer: PeerId) -> Vec<LaneLoad> {
        self.lanes.loads(peer)
    }

    /// The time that a stream to `peer` takes to open and be answered, over the session that exists, or else a new one.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn ping(&self, peer: PeerId) -> Result<Duration, SessionError> {
        timeout(SESSION_TIMEOUT, self.connection(peer, 0)).await.unwrap_or(Err(SessionError::TimedOut))?;
        let asked = Instant::now();
        self.open(peer, &StreamOpen::Ping).await?;
        Ok(asked.elapsed())
    }

    /// The peers to which a session is open that this node dialed, in their order.
    pub fn peers(&self) -> Vec<PeerId> {
        self.pool.peers()
    }

    /// What the living sessions have sent so far, and what came of it: one sum for each peer, whoever dialed. A sum gets
    /// smaller when a session ends.
    pub fn sent(&self) -> Vec<Sent> {
        let mut sums: BTreeMap<PeerId, Sent> = BTreeMap::new();
        for (peer, session) in self.living() {
            let stats = session.stats();
            let sum = sums.entry(peer).or_insert(Sent { peer, packets: 0, lost: 0, acknowledgments: 0, exchanged: 0 });
            sum.packets += stats.path.sent_packets;
            sum.lost += stats.path.lost_packets;
            sum.acknowledgments += stats.frame_rx.acks;
            sum.exchanged += stats.frame_tx.stream + stats.frame_rx.stream;
        }
        sums.into_values().collect()
    }

    /// The peers, and the lanes to them, that should have acknowledged what was sent more than `margin` ago and did not;
    /// `awaited` is what was seen before. With very many sessions this would cost too much to be asked often: then nobody is
    /// named.
    pub fn overdue(&self, awaited: &mut Awaited, margin: Duration) -> Vec<Overdue> {
        let living = self.living();
        if living.len() > SESSIONS_AWAITED_MAX { Vec::new() } else { awaited.look(living, margin, Instant::now()) }
    }

    fn living(&self) -> Vec<(PeerId, Connection)> {
        self.pool.all().into_iter().chain(self.guests.all()).collect()
    }

    /// Traffic for `peer` on a lane takes another path from now on: call it after the route was installed. What was lost with
    /// the old path is sent again at once, and not held against the new one.
    pub fn rerouted(&self, peer: PeerId, lane: u8) {
        if !self.reroutes.note(SessionName { peer: peer.tag(), lane }) {
            return;
        }
        // A packet that must be acknowledged, sent now: its acknowledgment shows what was lost. (Binding the endpoint to its
        // own socket again would do the same for every connection, but in quinn-proto 0.11.19 it panics the endpoint if a
        // connection was reset at that moment.)
        self.with(peer).iter().filter(|session| lane_of(session) == lane).for_each(|session| {
            tell(session, &SessionNotice::Rerouted);
        });
    }

    /// Tells `peer` that nothing was acknowledged on paths over these relays, which were left: call it after another route
    /// was installed.
    pub fn tell_unacknowledged(&self, peer: PeerId, relays: &[PeerId]) {
        let notice = SessionNotice::unacknowledged(relays.iter().map(PeerId::tag));
        self.with(peer).iter().for_each(|session| tell(session, &notice));
    }

    /// How many notices of peers were turned away for this reason.
    pub fn rejected_for(&self, reason: Rejected) -> u64 {
        self.notices.rejected_for(reason)
    }

    /// The sessions with `peer` on all lanes, whoever dialed.
    fn with(&self, peer: PeerId) -> Vec<Connection> {
        [self.pool.living(peer), self.guests.living(peer)].concat()
    }

    /// Closes every session with `peer`, whoever dialed: policy has changed, say. A new one can be dialed at once, and
    /// its streams are judged anew.
    pub fn sever(&self, peer: PeerId) {
        self.pool.sever(peer);
        self.guests.sever(peer);
    }

    /// Closes all sessions and waits until every peer was told, or has not answered for a while. Links are to be shut down
    /// after it, since the farewell travels over them; the node's UDP socket is read as long as this handle is kept.
    pub async fn shut_down(&self) {
        self.endpoint.close(Closing::ShuttingDown.code(), b"");
        self.endpoint.wait_idle().await;
    }

    /// Lets the session to `peer` go, as if a stream could not be opened on it.
    #[cfg(test)]
    pub(in crate::transport) fn discard(&self, peer: PeerId) {
        self.pool.living(peer).into_iter().for_each(|connection| self.pool.discard(peer, &connection));
    }

    /// How many sessions `peer` has dialed.
    #[cfg(test)]
    pub(in crate::transport) fn guests_of(&self, peer: PeerId) -> usize {
        self.guests.living(peer).len()
    }

    async fn open_on(&self, peer: PeerId, lane: u8, request: &StreamOpen) -> Result<Opened, SessionError> {
        let mut span = self.tracer.child("open", Kind::Client);
        describe(&mut span, peer, request);
        let opening = Opening { purpose: request.clone(), trace: span.context() };
        let opened = timeout(SESSION_TIMEOUT, self.try_open(peer, lane, &opening)).await;
        let opened = opened.unwrap_or(Err(SessionError::TimedOut));
        opened.inspect_err(|error| span.fail_as(error.name(), error))
    }

    async fn try_open(&self, peer: PeerId, lane: u8, opening: &Opening) -> Result<Opened, SessionError> {
        let mut trace = opening.trace;
        loop {
            let (connection, fresh) = self.connection(peer, lane).await?;
            if let Some(context) = trace.take() {
                (self.traced)(peer, context);
            }
            match stream::open(&connection, opening).await {
                Ok((send, recv)) => return Ok((send, recv, connection)),
                Err(NotOpened::Refused(refusal)) => return Err(SessionError::Refused(refusal)),
                Err(NotOpened::BadReply(rejected)) => {
                    return Err(SessionError::Lost { reason: format!("the peer's reply was rejected: {rejected}") });
                }
                Err(NotOpened::Lost(reason)) => {
                    self.pool.discard(peer, &connection);
                    if fresh {
                        return Err(lost(&connection, reason));
                    }
                    // It may have died long ago, unnoticed: the peer was restarted, say. A fresh one tells the truth.
                }
            }
        }
    }

    /// The session on a lane, or that on the first: nobody waits long for another, and nobody is refused for want of it.
    async fn connection(&self, peer: PeerId, lane: u8) -> Result<(Connection, bool), SessionError> {
        if lane > 0 {
            if let Ok(Ok(connection)) = timeout(LANE_PATIENCE, self.pooled(peer, lane)).await {
                return Ok(connection);
            }
            self.lanes.failed(peer, lane);
        }
        self.pooled(peer, 0).await
    }

    async fn pooled(&self, peer: PeerId, lane: u8) -> Result<(Connection, bool), SessionError> {
        let dial = || {
            let mut client = self.client.clone();
            let name = SessionName { peer: peer.tag(), lane };
            client.transport_config(Arc::new(transport_config(0, self.reroutes.of(name))));
            let dialing = dial(self.endpoint.clone(), client, self.route.clone(), (peer, name));
            let notices = self.notices.clone();
            async move {
                let dialed = timeout(SESSION_TIMEOUT, dialing).await.unwrap_or(Err(SessionError::TimedOut));
                dialed.map(|session| Dialed { _hearing: Arc::new(notices.hear(peer, &session)), session })
            }
        };
        self.pool.connection((peer, lane), dial).await
    }
}

/// Where inbound streams are judged and sorted.
struct Front {
    gate: Arc<dyn Gate>,
    tracer: Tracer,
    sheds: Arc<AtomicBool>,
    server: quinn::ServerConfig,
    guests: Arc<Guests>,
    reroutes: Arc<Reroutes>,
    notices: Notices,
    services: mpsc::Sender<Inbound>,
    messages: mpsc::Sender<Inbound>,
    commands: mpsc::Sender<Inbound>,
    tunnels: mpsc::Sender<Inbound>,
}

async fn accept(endpoint: Endpoint, front: Arc<Front>) {
    let door = Door::new(endpoint);
    let sessions = Arc::new(Semaphore::new(SESSIONS_MAX));
    while let Some((incoming, permit)) = door.next().await {
        // Before the handshake, which is what a session costs most.
        if front.sheds.load(Ordering::Relaxed) {
            incoming.refuse();
            continue;
        }
        match sessions.clone().try_acquire_owned() {
            Ok(place) => drop(tokio::spawn(answer(front.clone(), incoming, permit, place))),
            Err(_) => incoming.refuse(),
        }
    }
}

/// Serves one inbound session until it ends.
async fn answer(front: Arc<Front>, incoming: Incoming, permit: OwnedSemaphorePermit, _place: OwnedSemaphorePermit) {
    let Some(name) = SessionName::of(incoming.remote_address()) else { return incoming.ignore() };
    let mut server = front.server.clone();
    server.transport_config(Arc::new(transport_config(SESSION_STREAMS_MAX, front.reroutes.of(name))));
    let Ok(connecting) = incoming.accept_with(Arc::new(server)) else { return };
    let Ok(Ok(connection)) = timeout(SESSION_TIMEOUT, connecting).await else { return };
    drop(permit);
    let peer = match authenticated_peer(&connection) {
        Ok(peer) if comes_from(&connection, peer) => peer,
        Ok(_) => return Closing::Violation.close(&connection),
        Err(_) => return Refused::NoCertificate.close(&connection),
    };
    front.gate.met(peer, &presented_chain(&connection));
    front.guests.enter(peer, connection.clone());
    let _hearing = front.notices.hear(peer, &connection);
    while let Ok((send, recv)) = connection.accept_bi().await {
        let (front, session) = (front.clone(), connection.clone());
        tokio::spawn(async move {
            if let Err(reason) = front.receive((peer, session), send, recv).await {
                tracing::debug!(%peer, %reason, "a stream's opening was rejected");
            }
        });
    }
    front.guests.leave(peer, &connection);
}

impl Front {
    async fn receive(
        &self,
        (from, session): (PeerId, Connection),
        send: SendStream,
        recv: RecvStream,
    ) -> Result<(), Rejected> {
        let read = timeout(SESSION_TIMEOUT, Inbound::read((from, session), send, recv)).await;
        let inbound = read.map_err(|_| Rejected::Stale)??;
        let inbound = match self.gate.decide(from, inbound.request()) {
            Ok(pass) => inbound.with(pass),
            Err(rule) => {
                inbound.refuse(StreamRefusal::Denied { rule }).await;
                return Ok(());
            }
        };
        let queue = match inbound.request() {
            StreamOpen::Service { .. } => &self.services,
            StreamOpen::Message => &self.messages,
            StreamOpen::Command { .. } | StreamOpen::Shell { .. } => &self.commands,
            StreamOpen::Network => &self.tunnels,
            StreamOpen::Ping => {
                let mut span = self.tracer.join(inbound.trace(), "serve", Kind::Server);
                describe(&mut span, from, inbound.request());
                if let Some((mut send, ..)) = inbound.accept().await {
                    let _ = send.finish();
                }
                return Ok(());
            }
        };
        match queue.try_send(inbound) {
            Ok(()) => {}
            Err(TrySendError::Full(inbound)) => inbound.refuse(StreamRefusal::Busy).await,
            Err(TrySendError::Closed(inbound)) => inbound.refuse(StreamRefusal::NoSuchService).await,
        }
        Ok(())
    }
}

/// A stream, and the session that it is on.
pub(in crate::transport) type Opened = (SendStream, RecvStream, Connection);

/// How long a stream waits for a lane to be dialed before it takes the first.
const LANE_PATIENCE: Duration = Duration::from_millis(500);
/// Most streams of one purpose that wait to be picked up.
const INBOX_MAX: usize = 256;
