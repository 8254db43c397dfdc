//! The link endpoint: one QUIC connection per neighbor, over the datapath's socket.
//!
//! A connection becomes a link when the dialer opened the one control stream, said hello, and heard the acceptor's
//! hello. The acceptor answers only if it keeps the connection, so both ends settle on the same one when they dial each
//! other at once: the one dialed by the node with the smaller id. Frame keys come out of the same handshake.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, TransportConfig, VarInt};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use prunella_core::gossip::{Heard, Parting};
use prunella_core::limits::{ADMISSION_TIMEOUT, CONTROL_MESSAGE_BYTES_MAX, DIAL_TIMEOUT};
use prunella_core::wire::Control;
use prunella_core::{Label, LinkId, PeerId, Rejected, ledger};

use crate::datapath::Port;
use crate::host::Host;
use crate::security::{
    Credentials, JOIN_ALPN, LINK_ALPN, Refused, authenticated_peer, explain, presented_chain, quinn_client,
    quinn_server, server_name,
};

use super::admission::{self, ADMISSIONS_MAX, Admitter};
use super::closing::{Closing, told};
use super::control::{self, Hearing};
use super::link::{self, Greeted, canonical};
use super::quic::{self, Door};
use super::table::{LinkSnapshot, Table};
use super::traffic::{ControlTraffic, Traffic};

/// Told of a neighbor and of the chain that it presented (its certificate and its issuer's, DER); whether it may use this
/// node as a relay.
pub type RelayHook = Box<dyn Fn(&PeerId, &[Vec<u8>]) -> bool + Send + Sync>;

/// What the link endpoint is built from.
pub struct LinkSetup {
    /// Who this node is, and whom it trusts.
    pub credentials: Credentials,
    /// The datapath.
    pub port: Arc<Port>,
    /// What the node runs on.
    pub host: Arc<dyn Host>,
    /// Drawn at random when the process started.
    pub incarnation: u64,
    /// Whether a member of the mesh may be a neighbor. Asked once per connection, after its certificate was checked.
    pub accept: Box<dyn Fn(&PeerId) -> bool + Send + Sync>,
    /// Whether a neighbor may use this node as a relay. Asked whenever a link is made, before its first frame.
    pub relays: RelayHook,
    /// How many control messages a neighbor may send per second.
    pub messages_per_second: u32,
    /// Who answers hosts that want to join; `None` closes the door to them.
    pub admitter: Option<Arc<dyn Admitter>>,
    /// Where events go. While it is full, neighbors are not read from.
    pub events: mpsc::Sender<LinkEvent>,
}

/// What the link endpoint tells. Events of one link come in order. Links with one neighbor begin in the order in which
/// they took each other's place, each before the end of the one that it replaced; one that lost its place before its
/// beginning was told is not told at all.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// A link carries frames and control messages.
    Established {
        /// The neighbor, as its certificate proved.
        peer: PeerId,
        /// The link.
        link: LinkId,
        /// This node's label for it.
        label: Label,
        /// Where the neighbor is.
        remote: SocketAddr,
        /// Whether this node dialed.
        dialed: bool,
        /// The neighbor's incarnation.
        incarnation: u64,
    },
    /// A link is gone.
    Closed {
        /// The neighbor.
        peer: PeerId,
        /// The link.
        link: LinkId,
        /// Why, in words.
        reason: String,
        /// Whether the neighbor closed it because it was asked to part.
        parted: bool,
    },
    /// A dial did not lead to a link.
    DialFailed {
        /// Who was dialed.
        peer: PeerId,
        /// Where.
        address: SocketAddr,
        /// Why, in words.
        reason: String,
    },
    /// A neighbor said something, which was checked.
    Received {
        /// The neighbor.
        peer: PeerId,
        /// Over which link.
        link: LinkId,
        /// What, without what was bad in it: that is told by [`LinkEvent::Rejected`], right after.
        message: Heard,
    },
    /// A neighbor said something about the link itself.
    Parting {
        /// The neighbor.
        peer: PeerId,
        /// What.
        parting: Parting,
    },
    /// A neighbor said something about a ledger, which was checked.
    Ledger {
        /// The neighbor.
        peer: PeerId,
        /// What.
        message: ledger::Message,
    },
    /// A node that is not accepted has proven who and where it is; it was told that it is not accepted.
    TurnedAway {
        /// The node.
        peer: PeerId,
        /// Where it is.
        remote: SocketAddr,
    },
    /// Something was turned away.
    Rejected {
        /// Who sent it, if that was proven.
        peer: Option<PeerId>,
        /// Why.
        reason: Rejected,
    },
}

/// Why a control message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// There is no link to that neighbor.
    #[error("there is no link to the neighbor")]
    NoLink,
    /// The neighbor reads too slowly; the message was dropped and counted.
    #[error("the neighbor's control queue is full")]
    QueueFull,
    /// The message is longer than one may be.
    #[error("the message is longer than {CONTROL_MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

/// The node's links. Cheap to clone; when the last clone is dropped, all links are closed.
#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
    endpoint: Arc<OwnedEndpoint>,
    /// Where the endpoint lives, whoever calls.
    runtime: Handle,
}

impl Links {
    /// Starts to accept and to dial, over `setup.port`. Call it within a tokio runtime.
    ///
    /// # Errors
    /// If the endpoint cannot be built on the socket.
    pub fn start(setup: LinkSetup) -> io::Result<Self> {
        let config =
            quic::endpoint_config(setup.credentials.identity(), "prunella 2026 link stateless reset", &setup.host);
        let transport = Arc::new(transport_config());
        let mut server = quinn_server(setup.credentials.link_server());
        server.transport_config(transport.clone());
        let mut client = quinn_client(setup.credentials.client(LINK_ALPN));
        client.transport_config(transport);
        let mut endpoint = quic::endpoint(config, server, setup.port.link_socket(), &setup.host)?;
        endpoint.set_default_client_config(client);
        let me = setup.credentials.peer();
        let inner = Arc::new(Inner {
            me,
            incarnation: setup.incarnation,
            port: setup.port,
            accept: setup.accept,
            relays: setup.relays,
            admitter: setup.admitter,
            events: setup.events,
            table: Mutex::new(Table::new(me, setup.host.random_u64())),
            hearing: Arc::new(Hearing::new(setup.messages_per_second, Arc::clone(&setup.host))),
            host: setup.host,
            dialing: Mutex::default(),
            announcement: Notify::new(),
            admissions: Arc::new(Semaphore::new(ADMISSIONS_MAX)),
            rejected: Default::default(),
            dropped: AtomicU64::new(0),
            sent: Traffic::default(),
        });
        let runtime = Handle::current();
        runtime.spawn(accept(inner.clone(), endpoint.clone()));
        Ok(Self { inner, endpoint: Arc::new(OwnedEndpoint(endpoint)), runtime })
    }

    /// Dials `peer` at `address`, for at most [`DIAL_TIMEOUT`]. The outcome is an event: [`LinkEvent::Established`] or
    /// [`LinkEvent::DialFailed`].
    pub fn dial(&self, peer: PeerId, address: SocketAddr) {
        self.runtime.spawn(dial(self.inner.clone(), self.endpoint.0.clone(), peer, address));
    }

    /// Queues a message for a neighbor.
    ///
    /// # Errors
    /// [`NotSent`]; nothing was sent then.
    pub fn send(&self, peer: PeerId, control: &Control) -> Result<(), NotSent> {
        let message = control::encoded(control).ok_or(NotSent::TooLong)?;
        let bytes = message.len();
        let sent = match self.inner.table().of_peer(peer) {
            Some(entry) => entry.queue.try_send(message),
            None => return Err(NotSent::NoLink),
        };
        sent.map(|()| self.inner.sent.sends(control, bytes)).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => NotSent::NoLink,
            mpsc::error::TrySendError::Full(_) => {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                NotSent::QueueFull
            }
        })
    }

    /// Closes a link; [`LinkEvent::Closed`] follows with this reason. Nothing happens if it is gone already.
    pub fn close(&self, link: LinkId, reason: &str) {
        if let Some(entry) = self.inner.table().of_link(link) {
            // If it was decided twice, the first reason stands.
            let _ = entry.decided.set(reason.to_owned());
            Closing::Decided.close(&entry.connection);
        }
    }

    /// Closes the link to a neighbor that has asked to part, and says so; nothing happens if it is gone already.
    pub fn part(&self, peer: PeerId) {
        if let Some(entry) = self.inner.table().of_peer(peer) {
            let _ = entry.decided.set(Closing::Parted.to_string());
            Closing::Parted.close(&entry.connection);
        }
    }

    /// Every link that is up, by peer: what an actor adopts after a restart.
    pub fn snapshot(&self) -> Vec<LinkSnapshot> {
        self.inner.table().snapshot()
    }

    /// What each neighbor presented when its link was made, by peer: its certificate and its issuer's, DER.
    pub fn chains(&self) -> Vec<(PeerId, Vec<Vec<u8>>)> {
        self.inner.table().connections().map(|(peer, connection)| (peer, presented_chain(connection))).collect()
    }

    /// Where each neighbor is, by peer.
    pub fn addresses(&self) -> Vec<(PeerId, SocketAddr)> {
        self.snapshot().into_iter().map(|link| (link.peer, link.remote)).collect()
    }

    /// How often something was turned away for this reason.
    pub fn rejected_for(&self, reason: Rejected) -> u64 {
        self.inner.rejected[reason as usize].load(Ordering::Relaxed)
    }

    /// Control messages dropped because a neighbor read too slowly.
    pub fn dropped(&self) -> u64 {
        self.inner.dropped.load(Ordering::Relaxed)
    }

    /// Control messages that were queued for neighbors, and those that were heard.
    pub fn control_traffic(&self) -> [ControlTraffic; 2] {
        [self.inner.sent.read(), self.inner.hearing.traffic.read()]
    }

    /// Closes all links and waits until every neighbor was told, or has not answered for a while.
    pub async fn shut_down(&self) {
        self.endpoint.0.close(Closing::ShuttingDown.code(), b"");
        self.endpoint.0.wait_idle().await;
    }
}

/// Closes the endpoint when the last [`Links`] goes; the endpoint's tasks hold clones of the endpoint itself.
struct OwnedEndpoint(Endpoint);

impl Drop for OwnedEndpoint {
    fn drop(&mut self) {
        self.0.close(Closing::ShuttingDown.code(), b"");
    }
}

/// What the tasks of the endpoint share.
pub(super) struct Inner {
    me: PeerId,
    host: Arc<dyn Host>,
    incarnation: u64,
    pub(super) port: Arc<Port>,
    accept: Box<dyn Fn(&PeerId) -> bool + Send + Sync>,
    pub(super) relays: RelayHook,
    admitter: Option<Arc<dyn Admitter>>,
    events: mpsc::Sender<LinkEvent>,
    table: Mutex<Table>,
    /// One dial per peer at a time, so that two of this node's own cannot replace each other.
    dialing: Mutex<BTreeSet<PeerId>>,
    /// What the readers of all control streams share.
    pub(super) hearing: Arc<Hearing>,
    /// Rung when the beginning of a link was told.
    announcement: Notify,
    admissions: Arc<Semaphore>,
    rejected: [AtomicU64; Rejected::ALL.len()],
    dropped: AtomicU64,
    sent: Traffic,
}

impl Inner {
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("BUG: nothing panics while it holds the table")
    }

    pub(super) async fn tell(&self, event: LinkEvent) {
        // Nobody listens any more only while the node stops.
        let _ = self.events.send(event).await;
    }

    /// Tells the beginning of `link`; nothing, and false, if another has taken its place. The table is locked meanwhile:
    /// beginnings are told in the order in which places are taken.
    pub(super) async fn announce(&self, peer: PeerId, link: LinkId, established: LinkEvent) -> bool {
        // Nobody listens any more only while the node stops.
        let listener = self.events.reserve().await.ok();
        let mut table = self.table();
        if !table.announced(peer, link) {
            return false;
        }
        if let Some(listener) = listener {
            listener.send(established);
        }
        drop(table);
        self.announcement.notify_waiters();
        true
    }

    /// Waits until there is a link to `peer` whose beginning was told.
    pub(super) async fn announced(&self, peer: PeerId) {
        loop {
            let announcement = self.announcement.notified();
            if self.table().of_peer(peer).is_some_and(|entry| entry.announced) {
                return;
            }
            announcement.await;
        }
    }

    pub(super) async fn reject(&self, peer: Option<PeerId>, reason: Rejected) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
        self.tell(LinkEvent::Rejected { peer, reason }).await;
    }

    /// This node's hello to `peer`, as it stands on the control stream.
    pub(super) fn hello(&self, peer: PeerId) -> Vec<u8> {
        let label = self.table().label(peer);
        let hello = control::encoded(&Control::Hello { incarnation: self.incarnation, label });
        hello.expect("BUG: a hello is short")
    }

    fn dialing(&self) -> MutexGuard<'_, BTreeSet<PeerId>> {
        self.dialing.lock().expect("BUG: nothing panics while it holds the set")
    }
}

async fn dial(inner: Arc<Inner>, endpoint: Endpoint, peer: PeerId, address: SocketAddr) {
    let outcome = if peer == inner.me {
        Err("a node does not dial itself".to_owned())
    } else if !inner.dialing().insert(peer) {
        Err("another dial to the same node is under way".to_owned())
    } else {
        let greeted = timeout(DIAL_TIMEOUT, connect(&inner, &endpoint, peer, address)).await;
        let greeted = greeted.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let entered = greeted.and_then(|greeted| greeted.enter(&inner).map_err(|error| error.to_string()));
        inner.dialing().remove(&peer);
        entered
    };
    let lived = match outcome {
        Ok(link) => link.live(&inner).await.map_err(|error| error.to_string()),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = lived {
        inner.tell(LinkEvent::DialFailed { peer, address, reason }).await;
    }
}

async fn connect(inner: &Inner, endpoint: &Endpoint, peer: PeerId, address: SocketAddr) -> Result<Greeted, String> {
    let connecting = endpoint.connect(address, &server_name(&peer)).map_err(|error| error.to_string())?;
    let connection = connecting.await.map_err(|error| told(&error))?;
    link::greet(inner, peer, connection).await
}

async fn accept(inner: Arc<Inner>, endpoint: Endpoint) {
    // A host without threads lives in simulated time, where nobody makes addresses up. With proofs two runs of one seed
    // there are not the same to the last datagram; why is not known yet.
    let door = if inner.host.has_threads() { Door::proving(endpoint) } else { Door::new(endpoint) };
    while let Some((incoming, permit)) = door.next().await {
        tokio::spawn(answer(inner.clone(), incoming, permit));
    }
}

/// Handles one inbound connection, whatever it is for. The permit bounds the handshakes in progress.
async fn answer(inner: Arc<Inner>, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let Ok(handshake) = timeout(DIAL_TIMEOUT, incoming.into_future()).await else { return };
    let connection = match handshake {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(reason = told(&error), "a handshake failed");
            if explain(&error).is_some() {
                inner.reject(None, Rejected::UnknownSender).await;
            }
            return;
        }
    };
    match quic::protocol(&connection).as_deref() {
        Some(LINK_ALPN) => answer_neighbor(&inner, connection, permit).await,
        Some(JOIN_ALPN) => {
            drop(permit);
            answer_joiner(&inner, connection).await;
        }
        _ => Refused::NoProtocol.close(&connection),
    }
}

async fn answer_neighbor(inner: &Inner, connection: Connection, permit: OwnedSemaphorePermit) {
    let Ok(peer) = authenticated_peer(&connection) else {
        Refused::NoCertificate.close(&connection);
        return inner.reject(None, Rejected::UnknownSender).await;
    };
    if peer == inner.me || !(inner.accept)(&peer) {
        Closing::NotAccepted.close(&connection);
        inner.tell(LinkEvent::TurnedAway { peer, remote: canonical(connection.remote_address()) }).await;
        return inner.reject(Some(peer), Rejected::Unauthorized).await;
    }
    let greeted = timeout(DIAL_TIMEOUT, link::be_greeted(inner, peer, connection)).await;
    drop(permit);
    match greeted.map_err(|_| "no hello in time".to_owned()).flatten() {
        Ok(greeted) => {
            let lived = match greeted.enter(inner) {
                Ok(link) => link.live(inner).await,
                Err(reason) => Err(reason),
            };
            if let Err(reason) = lived {
                tracing::debug!(%peer, %reason, "a connection does not become a link");
            }
        }
        Err(reason) => tracing::debug!(%peer, reason, "a neighbor's greeting failed"),
    }
}

async fn answer_joiner(inner: &Inner, connection: Connection) {
    let Some(admitter) = inner.admitter.clone() else { return Closing::NotAccepted.close(&connection) };
    let Ok(_permit) = inner.admissions.try_acquire() else { return Closing::Full.close(&connection) };
    match timeout(ADMISSION_TIMEOUT, admission::answer(&*inner.host, &connection, admitter)).await {
        Ok(Ok(())) => Closing::Done.close(&connection),
        Ok(Err(reason)) => {
            Closing::Violation.close(&connection);
            inner.reject(None, reason).await;
        }
        Err(_) => Closing::Full.close(&connection),
    }
}

fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .crypto_buffer_size(quic::HANDSHAKE_BUFFER_BYTES)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("BUG: seconds fit a QUIC variable-length integer")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(CONTROL_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONTROL_WINDOW_BYTES))
        .send_window(u64::from(CONTROL_WINDOW_BYTES));
    config
}

/// Silence after which a neighbor's connection is given up. Probes notice much earlier; this only cleans up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an idle connection is kept alive; also how long QUIC may not notice a change of address.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Most control bytes under way to one neighbor.
const CONTROL_WINDOW_BYTES: u32 = 4 * CONTROL_MESSAGE_BYTES_MAX as u32;
const _: () = assert!(KEEP_ALIVE.as_secs() * 3 < IDLE_TIMEOUT.as_secs(), "two lost keep-alives close no link");
