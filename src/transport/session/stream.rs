//! How a stream begins: what it is for, and whether it may be.

use quinn::{Connection, RecvStream, SendStream, VarInt};

use prunella_core::wire::stream::STREAM_HEADER_BYTES_MAX;
use prunella_core::wire::{Opening, StreamOpen, StreamRefusal, StreamReply};
use prunella_core::{PeerId, Rejected, TraceContext};

use crate::transport::closing::told;
use crate::transport::framing::{FramingError, MessageReader, framed};
use crate::transport::pass::Pass;

/// A stream that a peer opened and that policy allows: to be accepted or refused.
#[derive(Debug)]
pub struct Inbound {
    from: PeerId,
    session: Connection,
    request: StreamOpen,
    trace: Option<TraceContext>,
    send: SendStream,
    recv: RecvStream,
    pass: Pass,
}

/// Why a stream could not be opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The peer said no.
    Refused(StreamRefusal),
    /// The peer's reply makes no sense.
    BadReply(Rejected),
    /// The connection is of no use any more, or the peer did not reply on it.
    Lost(String),
}

/// Opens a stream on `connection` and waits for the answer.
pub(super) async fn open(connection: &Connection, request: &Opening) -> Result<(SendStream, RecvStream), NotOpened> {
    let lost = |reason: String| NotOpened::Lost(connection.close_reason().map_or(reason, |error| told(&error)));
    let (mut send, mut recv) = connection.open_bi().await.map_err(|error| NotOpened::Lost(told(&error)))?;
    send.write_all(&framed(&request.encode())).await.map_err(|error| lost(error.to_string()))?;
    let reply = MessageReader::new(STREAM_HEADER_BYTES_MAX).read(&mut recv).await;
    let reply = match reply {
        Ok(Some(reply)) => StreamReply::decode(&reply).map_err(NotOpened::BadReply)?,
        Ok(None) => return Err(lost("the peer ended the stream without a reply".to_owned())),
        Err(FramingError::OverLimit { .. }) => return Err(NotOpened::BadReply(Rejected::OverLimit)),
        Err(error) => return Err(lost(error.to_string())),
    };
    match reply {
        StreamReply::Accept => Ok((send, recv)),
        StreamReply::Refuse(refusal) => Err(NotOpened::Refused(refusal)),
    }
}

impl Inbound {
    /// Reads what a stream is for; refuses it by itself if that cannot be read.
    pub(super) async fn read(
        (from, session): (PeerId, Connection),
        send: SendStream,
        mut recv: RecvStream,
    ) -> Result<Self, Rejected> {
        let header = MessageReader::new(STREAM_HEADER_BYTES_MAX).read(&mut recv).await;
        let request = match header {
            Ok(Some(header)) => Opening::decode(&header),
            Err(FramingError::OverLimit { .. }) => Err(Rejected::OverLimit),
            Ok(None) | Err(_) => Err(Rejected::Malformed),
        };
        match request {
            Ok(Opening { purpose: request, trace }) => {
                Ok(Self { from, session, request, trace, send, recv, pass: Pass::free() })
            }
            Err(reason) => {
                refuse(send, recv, StreamRefusal::Rejected { reason: reason.to_string() }).await;
                Err(reason)
            }
        }
    }

    /// Who opened it, as its session's certificate proved.
    pub fn from(&self) -> PeerId {
        self.from
    }

    /// The session that it is on.
    pub(in crate::transport) fn session(&self) -> &Connection {
        &self.session
    }

    /// What it is for.
    pub fn request(&self) -> &StreamOpen {
        &self.request
    }

    /// The span within which it was opened, as the opener says.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Lets it in with this pass.
    pub(super) fn with(self, pass: Pass) -> Self {
        Self { pass, ..self }
    }

    /// Accepts it; `None` if the opener is gone. Keep the pass for as long as the stream is in use.
    pub async fn accept(mut self) -> Option<(SendStream, RecvStream, Pass)> {
        self.send.write_all(&framed(&StreamReply::Accept.encode())).await.ok()?;
        Some((self.send, self.recv, self.pass))
    }

    /// Refuses it and tells why.
    pub async fn refuse(self, refusal: StreamRefusal) {
        refuse(self.send, self.recv, refusal).await;
    }
}

async fn refuse(mut send: SendStream, mut recv: RecvStream, refusal: StreamRefusal) {
    // If the opener is gone, there is nobody to tell.
    let _ = recv.stop(VarInt::from_u32(0));
    if send.write_all(&framed(&StreamReply::Refuse(refusal).encode())).await.is_ok() {
        let _ = send.finish();
    }
}
