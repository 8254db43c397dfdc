//! Messages between two nodes' users: reliable, in order, each bounded, on one stream of a session.

use std::io;

use bytes::{Buf, Bytes};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::Mutex;

use prunella_core::PeerId;
use prunella_core::limits::MESSAGE_BYTES_MAX;
use prunella_core::wire::StreamOpen;

use super::framing::{FramingError, MessageReader, framed};
use super::pass::{Ending, Pass, told};
use super::session::{Inbound, SessionError, Sessions};

/// A channel for messages to and from one peer. Both directions can be used at once, from several tasks.
#[derive(Debug)]
pub struct MessageChannel {
    peer: PeerId,
    sending: Mutex<Sending>,
    receiving: Mutex<(RecvStream, MessageReader)>,
    pass: Pass,
}

#[derive(Debug)]
struct Sending {
    stream: SendStream,
    /// What was not yet written of a message whose sender gave up waiting: it goes first, or nothing behind it could be
    /// read.
    pending: Bytes,
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message is longer than one may be; nothing was sent.
    #[error("a message of {bytes} bytes is over the limit of {MESSAGE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The peer or the session is gone. Messages sent before may or may not have arrived.
    #[error("the channel was lost: {reason}")]
    Lost {
        /// What was seen.
        reason: String,
    },
    /// This node's policy, or the peer's, does not allow it any more.
    #[error(transparent)]
    Ended(Ending),
    /// The peer sent what is not a message.
    #[error(transparent)]
    Framing(FramingError),
}

impl MessageChannel {
    /// Opens a channel to `peer`; the peer has accepted it when this returns.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(sessions: &Sessions, peer: PeerId) -> Result<Self, SessionError> {
        let (send, recv) = sessions.open(peer, &StreamOpen::Message).await?;
        Ok(Self::new(peer, send, recv, Pass::free()))
    }

    /// Accepts a channel that a peer opened; `None` if the peer is gone.
    pub async fn accept(inbound: Inbound) -> Option<Self> {
        let peer = inbound.from();
        let (send, recv, pass) = inbound.accept().await?;
        Some(Self::new(peer, send, recv, pass))
    }

    fn new(peer: PeerId, stream: SendStream, recv: RecvStream, pass: Pass) -> Self {
        let sending = Mutex::new(Sending { stream, pending: Bytes::new() });
        Self { peer, sending, receiving: Mutex::new((recv, MessageReader::new(MESSAGE_BYTES_MAX))), pass }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Sends one message. Waits while the peer reads too slowly. If the wait is cancelled, the message may be sent
    /// nevertheless.
    ///
    /// # Errors
    /// [`MessageError::TooLong`], and the channel can still be used; or [`MessageError::Lost`].
    pub async fn send(&self, message: &[u8]) -> Result<(), MessageError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLong { bytes: message.len() });
        }
        let mut sending = self.sending.lock().await;
        tokio::select! {
            biased;
            ending = self.pass.ended() => {
                let _ = sending.stream.reset(ending.code());
                Err(MessageError::Ended(ending))
            }
            sent = sending.send(message) => sent,
        }
    }

    /// The next message; `None` once the peer has closed its side. May be cancelled without losing anything.
    ///
    /// # Errors
    /// [`MessageError::Lost`], [`MessageError::Ended`] or [`MessageError::Framing`]; the channel is of no more use then.
    pub async fn receive(&self) -> Result<Option<Vec<u8>>, MessageError> {
        let mut receiving = self.receiving.lock().await;
        let (stream, messages) = &mut *receiving;
        let read = tokio::select! {
            biased;
            ending = self.pass.ended() => Err(ending),
            read = messages.read(stream) => Ok(read),
        };
        match read {
            Ok(read) => read.map_err(|error| match error {
                FramingError::Stream(error) => lost(error),
                error => MessageError::Framing(error),
            }),
            Err(ending) => {
                let _ = stream.stop(ending.code());
                // Whoever is sending now ends that side by himself.
                if let Ok(mut sending) = self.sending.try_lock() {
                    let _ = sending.stream.reset(ending.code());
                }
                Err(MessageError::Ended(ending))
            }
        }
    }

    /// Ends this side: the peer receives what was sent, and then the end. Waits until the peer has it all, or is gone.
    ///
    /// # Errors
    /// [`MessageError::Lost`] if it is unknown whether the peer has it all.
    pub async fn close(&self) -> Result<(), MessageError> {
        let lost = |reason: String| MessageError::Lost { reason };
        let mut sending = self.sending.lock().await;
        sending.flush().await?;
        sending.stream.finish().map_err(|error| lost(error.to_string()))?;
        match sending.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(lost("the peer does not read any more".to_owned())),
            Err(error) => Err(lost(error.to_string())),
        }
    }
}

impl Sending {
    async fn send(&mut self, message: &[u8]) -> Result<(), MessageError> {
        self.flush().await?;
        self.pending = framed(message).into();
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), MessageError> {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending).await {
                Ok(written) => self.pending.advance(written),
                Err(error) => return Err(unsent(error)),
            }
        }
        Ok(())
    }
}

fn unsent(error: WriteError) -> MessageError {
    let ending = if let WriteError::Stopped(code) = error { told(code) } else { None };
    ending.map_or_else(|| MessageError::Lost { reason: error.to_string() }, MessageError::Ended)
}

/// The stream has failed: because the peer has ended it, perhaps.
fn lost(error: io::Error) -> MessageError {
    let reset = error.get_ref().and_then(|error| error.downcast_ref::<ReadError>());
    let ending = if let Some(ReadError::Reset(code)) = reset { told(*code) } else { None };
    ending.map_or_else(|| MessageError::Lost { reason: error.to_string() }, MessageError::Ended)
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            // An end inside a message is an abort, and should look like one. If the stream is gone, it does already.
            let _ = self.stream.reset(VarInt::from_u32(1));
        }
    }
}
