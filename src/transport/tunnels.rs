//! Tunnels for IP packets, each made by a session: its stream lasts as long as the tunnel, its handshake gives the keys.
//!
//! Packets do not travel in the session: they are frames of their own, on the same paths. So nothing controls their
//! congestion but what the packets carry themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::{
    EPOCH_LIFE, PACKETS_WAITING_FOR_ONE_MAX, SESSION_TIMEOUT, TUNNEL_HELLO_BYTES_MAX, TUNNEL_IDLE, TUNNELS_MAX,
};
use prunella_core::overlay::PathMtu;
use prunella_core::overlay::icmp::Cause;
use prunella_core::wire::{StreamRefusal, TunnelHello};
use prunella_core::{PeerId, Tag};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::framing::{MessageReader, framed};
use super::pass::Pass;
use super::session::{Inbound, SessionError, Sessions};
use crate::datapath::{
    OVERLAY_MTU, OVERLAY_MTU_LEAST, Overlay, Port, TUNNEL_SECRET_BYTES, Tunnel, TunnelInstall, TunnelSecret, Wanted,
};
use crate::host::Host;

/// Finds the node with a tag.
pub type FindHook = Arc<dyn Fn(Tag) -> Option<PeerId> + Send + Sync>;

/// What keeps the tunnels of a node's overlay interface.
pub struct Tunneling {
    port: Arc<Port>,
    overlay: Arc<Overlay>,
    sessions: Sessions,
    find: FindHook,
    host: Arc<dyn Host>,
    inbox: Mutex<mpsc::Receiver<Inbound>>,
    wanted: Mutex<mpsc::Receiver<Wanted>>,
}

/// Packets that wait for a tunnel, or why there is none.
enum Pending {
    Waiting(Vec<Vec<u8>>),
    Failed { cause: Cause, until: Instant },
}

/// How an attempt to make a tunnel ended.
struct Made {
    tag: Tag,
    outcome: Result<(), Cause>,
}

impl Tunneling {
    /// Prepares to make tunnels over `sessions`: for packets that want one, and for peers that ask for one.
    pub fn new(
        (port, overlay): (Arc<Port>, Arc<Overlay>),
        sessions: Sessions,
        (inbox, wanted): (mpsc::Receiver<Inbound>, mpsc::Receiver<Wanted>),
        find: FindHook,
        host: Arc<dyn Host>,
    ) -> Self {
        let (inbox, wanted) = (Mutex::new(inbox), Mutex::new(wanted));
        Self { port, overlay, sessions, find, host, inbox, wanted }
    }

    /// Makes tunnels and holds them, for as long as it is polled.
    pub async fn keep(self: Arc<Self>) {
        let (mut inbox, mut wanted) = (self.inbox.lock().await, self.wanted.lock().await);
        let (made_sender, mut made) = mpsc::channel(MADE_MAX);
        let mut pending: BTreeMap<Tag, Pending> = BTreeMap::new();
        // They end with this task.
        let mut tunnels = JoinSet::new();
        loop {
            tokio::select! {
                Some(inbound) = inbox.recv() => {
                    if tunnels.len() < TUNNELS_MAX {
                        tunnels.spawn(Arc::clone(&self).answer(inbound, made_sender.clone()));
                    } else {
                        inbound.refuse(StreamRefusal::Busy).await;
                    }
                }
                Some(wanted) = wanted.recv() => {
                    if let Some(tag) = self.wait(&mut pending, wanted, tunnels.len()) {
                        tunnels.spawn(Arc::clone(&self).dial(tag, made_sender.clone()));
                    }
                }
                Some(made) = made.recv() => self.settle(&mut pending, made),
                Some(_) = tunnels.join_next() => {}
            }
        }
    }

    /// Lets a packet wait for its tunnel; the node that is to be dialed for it, if nobody does so already.
    fn wait(&self, pending: &mut BTreeMap<Tag, Pending>, wanted: Wanted, tunnels: usize) -> Option<Tag> {
        let Wanted { destination: tag, packet } = wanted;
        if self.overlay.reaches(tag) {
            self.overlay.retry(&self.port, &packet);
            return None;
        }
        match pending.get_mut(&tag) {
            Some(Pending::Waiting(packets)) => {
                if packets.len() < PACKETS_WAITING_FOR_ONE_MAX {
                    packets.push(packet);
                }
                None
            }
            Some(Pending::Failed { cause, until }) if *until > Instant::now() => {
                self.overlay.give_up(&self.port, &packet, *cause);
                None
            }
            _ => {
                if pending.len() >= TUNNELS_MAX {
                    let now = Instant::now();
                    pending.retain(|_, one| !matches!(one, Pending::Failed { until, .. } if *until <= now));
                }
                if pending.len() >= TUNNELS_MAX || tunnels >= TUNNELS_MAX {
                    self.overlay.give_up(&self.port, &packet, Cause::Unreachable);
                    return None;
                }
                pending.insert(tag, Pending::Waiting(vec![packet]));
                Some(tag)
            }
        }
    }

    fn settle(&self, pending: &mut BTreeMap<Tag, Pending>, made: Made) {
        let waited = match pending.remove(&made.tag) {
            Some(Pending::Waiting(packets)) => packets,
            _ => Vec::new(),
        };
        match made.outcome {
            Ok(()) => waited.iter().for_each(|packet| self.overlay.retry(&self.port, packet)),
            Err(cause) => {
                waited.iter().for_each(|packet| self.overlay.give_up(&self.port, packet, cause));
                let lasts = if cause == Cause::NoRoute { UNKNOWN_FOR } else { FAILED_FOR };
                pending.insert(made.tag, Pending::Failed { cause, until: Instant::now() + lasts });
            }
        }
    }

    /// Makes a tunnel to a node and holds it.
    async fn dial(self: Arc<Self>, tag: Tag, made: mpsc::Sender<Made>) {
        let opened = match (self.find)(tag) {
            Some(peer) => self.open(peer).await,
            None => Err(Cause::NoRoute),
        };
        let (peer, connection, streams) = match opened {
            Ok(opened) => opened,
            Err(cause) => {
                let _ = made.send(Made { tag, outcome: Err(cause) }).await;
                return;
            }
        };
        self.make(peer, connection, streams, Pass::free(), (true, made)).await;
    }

    async fn open(&self, peer: PeerId) -> Result<(PeerId, Connection, Streams), Cause> {
        match self.sessions.open_tunnel(peer).await {
            Ok((send, recv, connection)) => Ok((peer, connection, (send, recv))),
            Err(error) => {
                tracing::debug!(peer = %peer.short(), %error, "no tunnel could be made");
                Err(match error {
                    SessionError::Refused(StreamRefusal::Denied { .. }) => Cause::Prohibited,
                    _ => Cause::Unreachable,
                })
            }
        }
    }

    /// Makes the tunnel that a peer asks for, and holds it.
    async fn answer(self: Arc<Self>, inbound: Inbound, made: mpsc::Sender<Made>) {
        let (peer, connection) = (inbound.from(), inbound.session().clone());
        if let Some((send, recv, pass)) = inbound.accept().await {
            self.make(peer, connection, (send, recv), pass, (false, made)).await;
        }
    }

    async fn make(
        &self,
        peer: PeerId,
        connection: Connection,
        streams: Streams,
        pass: Pass,
        (opened_here, made): (bool, mpsc::Sender<Made>),
    ) {
        let (send, mut recv) = streams;
        let tag = peer.tag();
        // Two at once may reserve the same number: the later one would take the place of the earlier, whose peer then asks anew.
        let local_key = self.overlay.reserve(self.host.random_u64() as u16);
        let stream = send.id().index();
        let install = |remote_key| {
            let (ours, theirs) = (secret(&connection, opened_here, stream), secret(&connection, !opened_here, stream));
            let install = TunnelInstall { peer, local_key, remote_key, send: ours, receive: theirs };
            let tunnel = self.overlay.install(install)?;
            Some(Held { overlay: self.overlay.clone(), tunnel })
        };
        let mut greeting = Greeting { key: local_key, send, reader: MessageReader::new(TUNNEL_HELLO_BYTES_MAX) };
        let greeted = timeout(SESSION_TIMEOUT, greeting.exchange(&mut recv, opened_here, install)).await;
        let Some(held) = greeted.ok().flatten() else {
            // What a peer begins and does not finish says nothing about what this node dials itself.
            if opened_here {
                let _ = made.send(Made { tag, outcome: Err(Cause::Unreachable) }).await;
            }
            return;
        };
        self.overlay.send_on(&held.tunnel);
        let _ = made.send(Made { tag, outcome: Ok(()) }).await;
        tokio::select! {
            () = self.tend(&held.tunnel) => {}
            // Nothing more is said on it: whatever comes ends it.
            _ = recv.read_chunk(1, false) => {}
            _ = connection.closed() => {}
            _ = pass.ended() => {}
        }
    }

    /// Finds out how long packets may be, and lets keys move on, until the tunnel is of no more use.
    async fn tend(&self, tunnel: &Arc<Tunnel>) {
        let began = Instant::now();
        let now = || prunella_core::Instant::from_nanos(began.elapsed().as_nanos() as u64);
        let mut mtu = PathMtu::new(OVERLAY_MTU_LEAST, OVERLAY_MTU, now());
        let (mut path, mut exchanged) = (tunnel.path(), tunnel.exchanged());
        let (mut used_at, mut keyed_at) = (Instant::now(), Instant::now());
        loop {
            if std::mem::replace(&mut path, tunnel.path()) != tunnel.path() {
                mtu.rerouted(now());
            }
            if let Some(length) = tunnel.take_answered() {
                mtu.answered(length, now());
            }
            let is_used = std::mem::replace(&mut exchanged, tunnel.exchanged()) != tunnel.exchanged();
            if is_used {
                used_at = Instant::now();
            }
            let is_busy = used_at.elapsed() < BUSY_FOR;
            if (is_busy || !mtu.is_settled())
                && let Some(length) = mtu.poll(OVERLAY_MTU_LEAST, now())
            {
                self.port.probe_length(tunnel, length);
            }
            tunnel.set_longest(mtu.longest(), mtu.is_settled());
            if keyed_at.elapsed() >= EPOCH_LIFE {
                keyed_at = Instant::now();
                if !tunnel.rekey() {
                    return;
                }
            }
            if used_at.elapsed() >= TUNNEL_IDLE {
                return;
            }
            sleep(if !mtu.is_settled() {
                SEARCHING
            } else if is_busy {
                BUSY
            } else {
                IDLE
            })
            .await;
        }
    }
}

/// A tunnel that is installed for as long as this is kept.
struct Held {
    overlay: Arc<Overlay>,
    tunnel: Arc<Tunnel>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.overlay.remove(&self.tunnel);
    }
}

type Streams = (SendStream, RecvStream);

/// What is said before packets flow.
struct Greeting {
    key: u16,
    send: SendStream,
    reader: MessageReader,
}

impl Greeting {
    /// Each end says by what number it knows the tunnel, and sends nothing before the other takes it: the opener speaks first,
    /// and once more when it has heard the answer.
    async fn exchange<T>(
        &mut self,
        recv: &mut RecvStream,
        speaks_first: bool,
        install: impl FnOnce(u16) -> Option<T>,
    ) -> Option<T> {
        if speaks_first {
            self.say().await?;
        }
        let installed = install(self.hear(recv).await?)?;
        self.say().await?;
        if !speaks_first {
            self.hear(recv).await?;
        }
        Some(installed)
    }

    async fn say(&mut self) -> Option<()> {
        self.send.write_all(&framed(&TunnelHello { key: self.key }.encode())).await.ok()
    }

    async fn hear(&mut self, recv: &mut RecvStream) -> Option<u16> {
        let hello = self.reader.read(recv).await.ok()??;
        TunnelHello::decode(&hello).ok().map(|hello| hello.key)
    }
}

/// What both ends, and nobody else, derive from their handshake for one direction of one tunnel (RFC 8446, section 7.5).
fn secret(connection: &Connection, from_opener: bool, stream: u64) -> TunnelSecret {
    let label: &[u8] = if from_opener {
        b"EXPERIMENTAL prunella packets from opener"
    } else {
        b"EXPERIMENTAL prunella packets from acceptor"
    };
    let mut secret = Zeroizing::new([0; TUNNEL_SECRET_BYTES]);
    let exported = connection.export_keying_material(&mut *secret, label, &stream.to_be_bytes());
    exported.expect("BUG: 32 bytes are not too long to export");
    secret
}

/// Attempts whose outcome waits to be seen.
const MADE_MAX: usize = 64;
/// How long a node that could not be reached is not dialed again for packets.
const FAILED_FOR: Duration = Duration::from_millis(500);
/// How long nobody looks again for a node of which nothing is known: soon, as who has just started is about to hear of all.
const UNKNOWN_FOR: Duration = Duration::from_millis(20);
/// How long a tunnel counts as busy after it carried something.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// Between two looks at a tunnel: while the longest packet is searched, while it carries something, and otherwise.
const SEARCHING: Duration = Duration::from_millis(10);
const BUSY: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_millis(500);
