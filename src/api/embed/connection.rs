//! A connection as an embedder uses it: messages both ways, and what is known of its end.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_core::PeerId;

use crate::api::error::{Error, ErrorKind};
use crate::transport::{MessageChannel, MessageError};

/// Messages to and from one peer: reliable, in order, each at most `limits::MESSAGE_BYTES_MAX` (1 MiB) long, over an
/// encrypted end-to-end session. It survives changes of the path.
///
/// Cheap to clone; both directions can be used at once, from several tasks. When the last clone is dropped, both
/// directions end, and messages that were not received yet are lost: [`Connection::close`] waits for what was sent.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

/// How a connection stands, as far as this side has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Messages can go both ways.
    Open,
    /// One side has ended its direction; the other direction can still be used.
    Closing,
    /// Both sides have ended: everything that was sent has arrived.
    Closed,
    /// It broke. Messages sent before may or may not have arrived.
    Lost,
}

/// What the clones of a connection share, and what the node takes back when it stops.
pub(super) struct Shared {
    peer: PeerId,
    /// Whom errors name.
    name: String,
    /// Taken when the connection is lost: it holds the session's resources.
    channel: Mutex<Option<Arc<MessageChannel>>>,
    seen: AtomicU8,
}

impl Connection {
    pub(super) fn new(channel: MessageChannel, name: String) -> Self {
        let peer = channel.peer();
        let channel = Mutex::new(Some(Arc::new(channel)));
        Self { shared: Arc::new(Shared { peer, name, channel, seen: AtomicU8::new(0) }) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Who is at the other end, as its certificate proved.
    pub fn peer(&self) -> PeerId {
        self.shared.peer
    }

    /// Sends one message. Waits while the peer reads too slowly; if the wait is cancelled, the message may be sent
    /// nevertheless.
    ///
    /// # Errors
    /// [`ErrorKind::OverLimit`] if it is too long: nothing was sent, and the connection can still be used.
    /// [`ErrorKind::ConnectionFailed`] if the connection was lost, or ended by [`Connection::close`].
    pub async fn send(&self, message: &[u8]) -> Result<(), Error> {
        if self.shared.has_seen(ENDED_HERE) {
            return Err(self.shared.error(ErrorKind::ConnectionFailed, "this side has closed the connection"));
        }
        let sent = self.shared.channel()?.send(message).await;
        sent.map_err(|error| self.shared.failed(&error))
    }

    /// The next message; `None` once the peer has closed its side. May be cancelled without losing anything.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionFailed`] if the connection was lost.
    pub async fn receive(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.shared.has_seen(ENDED_THERE) {
            return Ok(None);
        }
        let received = self.shared.channel()?.receive().await.map_err(|error| self.shared.failed(&error))?;
        if received.is_none() {
            self.shared.see(ENDED_THERE);
        }
        Ok(received)
    }

    /// Ends this side: the peer receives what was sent, and then the end. Waits until the peer has it all. What the
    /// peer still sends can be received.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionFailed`] if it is unknown whether the peer has it all.
    pub async fn close(&self) -> Result<(), Error> {
        if self.shared.has_seen(ENDED_HERE) {
            return Ok(());
        }
        let channel = self.shared.channel()?;
        self.shared.see(ENDED_HERE);
        channel.close().await.map_err(|error| self.shared.failed(&error))
    }

    /// How the connection stands. A loss is seen when something is sent or received, or when the node stops.
    pub fn state(&self) -> ConnectionState {
        match self.shared.seen.load(Ordering::Relaxed) {
            0 => ConnectionState::Open,
            seen if seen & LOST != 0 => ConnectionState::Lost,
            seen if seen == ENDED_HERE | ENDED_THERE => ConnectionState::Closed,
            _ => ConnectionState::Closing,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer()).field("state", &self.state()).finish()
    }
}

impl Shared {
    /// Lets go of the session, whoever still holds the connection.
    pub(super) fn release(&self) {
        if self.lock().take().is_some() && !self.has_seen(ENDED_HERE | ENDED_THERE) {
            self.see(LOST);
        }
    }

    fn channel(&self) -> Result<Arc<MessageChannel>, Error> {
        let channel = self.lock().clone();
        channel.ok_or_else(|| self.error(ErrorKind::ConnectionFailed, "the connection was lost"))
    }

    fn failed(&self, error: &MessageError) -> Error {
        if matches!(error, MessageError::TooLong { .. }) {
            return self.error(ErrorKind::OverLimit, &error.to_string());
        }
        self.see(LOST);
        self.lock().take();
        let is_denied = matches!(error, MessageError::Ended(_));
        let kind = if is_denied { ErrorKind::Denied } else { ErrorKind::ConnectionFailed };
        self.error(kind, &error.to_string())
    }

    fn error(&self, kind: ErrorKind, text: &str) -> Error {
        Error::new(kind, format!("{}: {text}", self.name))
    }

    fn see(&self, what: u8) {
        self.seen.fetch_or(what, Ordering::Relaxed);
    }

    fn has_seen(&self, what: u8) -> bool {
        self.seen.load(Ordering::Relaxed) & what == what
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<MessageChannel>>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// What this side has seen of a connection's end; bits of `Shared::seen`.
const ENDED_HERE: u8 = 1;
const ENDED_THERE: u8 = 2;
const LOST: u8 = 4;
