//! One link: the greeting, and its life from the first frame that may pass to the last.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use prunella_core::frame::FrameKey;
use prunella_core::gossip::Said;
use prunella_core::limits::CONTROL_QUEUE_MAX;
use prunella_core::{Label, LinkId, PeerId};

use crate::datapath::LinkInstall;
use crate::security::presented_chain;

use super::closing::{Closing, told};
use super::control::{self, ControlReader, Heard};
use super::links::{Inner, KEEP_ALIVE, LinkEvent};
use super::table::{Entry, NotEntered};

/// A connection whose two ends have said who they are.
pub(super) struct Greeted {
    pub(super) peer: PeerId,
    pub(super) connection: Connection,
    pub(super) dialed: bool,
    incarnation: u64,
    send: SendStream,
    reader: ControlReader<RecvStream>,
}

/// A connection that was entered into the table and has to be carried through to its end.
pub(super) struct Link {
    greeted: Greeted,
    link: LinkId,
    label: Label,
    queue: mpsc::Receiver<Vec<u8>>,
    replaced: Option<Entry>,
    decided: Arc<OnceLock<String>>,
}

/// The dialer's side of the greeting: it speaks first, and counts the link as made when it hears the answer.
pub(super) async fn greet(inner: &Inner, peer: PeerId, connection: Connection) -> Result<Greeted, String> {
    let (mut send, recv) = connection.open_bi().await.map_err(|error| told(&error))?;
    let hello = inner.hello(peer);
    if let Err(error) = send.write_all(&hello).await {
        return Err(connection.close_reason().map_or_else(|| error.to_string(), |error| told(&error)));
    }
    let mut reader = ControlReader::new(recv, inner.hearing.clone());
    let incarnation = hello_from(inner, peer, &mut reader, &connection).await?;
    Ok(Greeted { peer, connection, dialed: true, incarnation, send, reader })
}

/// The acceptor's side: it listens first, and answers only if it keeps the connection.
pub(super) async fn be_greeted(inner: &Inner, peer: PeerId, connection: Connection) -> Result<Greeted, String> {
    let (send, recv) = connection.accept_bi().await.map_err(|error| told(&error))?;
    let mut reader = ControlReader::new(recv, inner.hearing.clone());
    let incarnation = hello_from(inner, peer, &mut reader, &connection).await?;
    Ok(Greeted { peer, connection, dialed: false, incarnation, send, reader })
}

async fn hello_from(
    inner: &Inner,
    peer: PeerId,
    reader: &mut ControlReader<RecvStream>,
    connection: &Connection,
) -> Result<u64, String> {
    match reader.next().await {
        Heard::Said(Said::Hello { incarnation, label }) if label != Label(0) => return Ok(incarnation),
        Heard::End(reason) => return Err(connection.close_reason().map_or(reason, |error| told(&error))),
        Heard::Rejected(reason) => inner.reject(Some(peer), reason).await,
        Heard::Said(_) => {}
    }
    Closing::Violation.close(connection);
    Err("the peer did not say hello".to_owned())
}

impl Greeted {
    /// Enters the connection into the table. If it is not the one to keep, it is closed.
    pub(super) fn enter(self, inner: &Inner) -> Result<Link, NotEntered> {
        let (queue_sender, queue) = mpsc::channel(CONTROL_QUEUE_MAX);
        if !self.dialed {
            queue_sender.try_send(inner.hello(self.peer)).expect("BUG: an empty queue takes a message");
        }
        let decided = Arc::new(OnceLock::new());
        let mut table = inner.table();
        let (link, label) = (table.next_link(), table.label(self.peer));
        let entry = Entry {
            link,
            label,
            dialed: self.dialed,
            incarnation: self.incarnation,
            connection: self.connection.clone(),
            queue: queue_sender,
            decided: decided.clone(),
            installed: false,
            announced: false,
        };
        match table.enter(self.peer, entry) {
            Ok(replaced) => Ok(Link { greeted: self, link, label, queue, replaced, decided }),
            Err(error) => {
                let closing = if error == NotEntered::Full { Closing::Full } else { Closing::Duplicate };
                closing.close(&self.connection);
                Err(error)
            }
        }
    }
}

impl Link {
    /// Carries the link until it ends. Frames of a replaced link stay readable until this one is installed, and the
    /// beginning of this one is told before the end of the replaced one: whoever heard of an end without a successor
    /// would dial, and its dial would replace this link in turn, for ever.
    ///
    /// # Errors
    /// [`NotEntered::Duplicate`] if another took its place before its beginning could be told: nothing is told of it then.
    /// Whoever heard of it after its successor would take its end for the end of the only link, and dial in vain for as
    /// long as both ends keep the successor.
    pub(super) async fn live(self, inner: &Inner) -> Result<(), NotEntered> {
        let Self { greeted, link, label, queue, replaced, decided } = self;
        let Greeted { peer, connection, dialed, incarnation, send, reader } = greeted;
        let remote = canonical(connection.remote_address());
        let may_relay = (inner.relays)(&peer, &presented_chain(&connection));
        let (send_key, receive_key) = frame_keys(&connection, dialed);
        let install = LinkInstall { id: link, peer, remote, label, send_key, receive_key, may_relay };
        inner.port.install_link(install);
        inner.table().installed(peer, link);
        let established = LinkEvent::Established { peer, link, label, remote, dialed, incarnation };
        let is_told = inner.announce(peer, link, established).await;
        if !is_told {
            successor_told(inner, peer).await;
        }
        if let Some(old) = replaced {
            // If its closing was decided before, that reason stands.
            let _ = old.decided.set(Closing::Replaced.to_string());
            Closing::Replaced.close(&old.connection);
        }
        if !is_told {
            Closing::Duplicate.close(&connection);
            inner.port.remove_link(link);
            return Err(NotEntered::Duplicate);
        }

        let reason = tokio::select! {
            biased;
            // A neighbor that says much does not keep this node from answering; the reverse is bounded by the queue.
            reason = control::write(send, queue) => reason,
            reason = hear(inner, peer, link, reader) => reason,
            error = connection.closed() => told(&error),
            never = follow(inner, link, &connection) => match never {},
        };
        let reason = decided.get().cloned().or(connection.close_reason().map(|error| told(&error))).unwrap_or(reason);
        let has_successor = Closing::is_for_successor(&connection);
        let parted = Closing::is_parted(&connection);
        Closing::Violation.close(&connection);
        inner.port.remove_link(link);
        inner.table().remove(peer, link);
        if has_successor {
            // The neighbor may have been quicker with the farewell than with the successor's greeting.
            successor_told(inner, peer).await;
        }
        inner.tell(LinkEvent::Closed { peer, link, reason, parted }).await;
        Ok(())
    }
}

/// Waits until the beginning of the link is told that has taken the place of another, or will.
async fn successor_told(inner: &Inner, peer: PeerId) {
    // It may have failed.
    let _ = timeout(SUCCESSOR_PATIENCE, inner.announced(peer)).await;
}

/// Passes on what the neighbor says, until it says no more.
async fn hear(inner: &Inner, peer: PeerId, link: LinkId, mut reader: ControlReader<RecvStream>) -> String {
    loop {
        match reader.next().await {
            Heard::Said(Said::Message { message, bad }) => {
                inner.tell(LinkEvent::Received { peer, link, message }).await;
                for reason in bad {
                    inner.reject(Some(peer), reason).await;
                }
            }
            Heard::Said(Said::Parting(parting)) => inner.tell(LinkEvent::Parting { peer, parting }).await,
            Heard::Said(Said::Ledger(message)) => inner.tell(LinkEvent::Ledger { peer, message }).await,
            // The gate lets a second hello pass no more than any other message that has no meaning.
            Heard::Said(Said::Hello { .. }) => {}
            Heard::Rejected(reason) => inner.reject(Some(peer), reason).await,
            Heard::End(reason) => return reason,
        }
    }
}

/// Tells the datapath when the neighbor's address changes: QUIC notices, validates and follows (RFC 9000, section 9).
async fn follow(inner: &Inner, link: LinkId, connection: &Connection) -> std::convert::Infallible {
    let mut known = connection.remote_address();
    let mut tick = interval(KEEP_ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let current = connection.remote_address();
        if current != known {
            known = current;
            inner.port.update_remote(link, canonical(current));
        }
    }
}

/// The keys of the frames that this node sends and receives.
fn frame_keys(connection: &Connection, dialed: bool) -> (FrameKey, FrameKey) {
    let from_dialer = frame_key(connection, b"EXPERIMENTAL prunella frames from dialer");
    let from_acceptor = frame_key(connection, b"EXPERIMENTAL prunella frames from acceptor");
    if dialed { (from_dialer, from_acceptor) } else { (from_acceptor, from_dialer) }
}

/// A key that both ends, and nobody else, derive from their handshake (RFC 8446, section 7.5).
fn frame_key(connection: &Connection, label: &[u8]) -> FrameKey {
    let mut key = [0; 16];
    connection.export_keying_material(&mut key, label, b"").expect("BUG: 16 bytes are not too long to export");
    FrameKey::from_bytes(key)
}

/// An IPv4 address as such, not mapped into IPv6 as a dual-stack socket shows it.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// How long the end of a link is kept back whose successor the neighbor promised.
const SUCCESSOR_PATIENCE: Duration = Duration::from_secs(1);
