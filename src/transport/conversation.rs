//! Conversations: lines of the control protocol on one stream of a session, in both directions.

use std::io;
use std::time::Duration;

use quinn::{ReadError, RecvStream, SendStream, WriteError};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use prunella_core::PeerId;
use prunella_core::wire::StreamOpen;

use super::pass::{Ending, Pass, told};
use super::session::{Inbound, SessionError, Sessions};

/// A conversation with one peer, which one of the two has opened and the other one has let in.
#[derive(Debug)]
pub struct Conversation {
    send: SendStream,
    recv: BufReader<RecvStream>,
    pass: Pass,
    line: Vec<u8>,
}

/// Why a line could not be sent or received; the conversation is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The session is gone, or the peer has left.
    #[error("{reason}")]
    Lost {
        /// What was seen.
        reason: String,
    },
    /// This node's policy, or the peer's, does not allow it any more.
    #[error(transparent)]
    Ended(Ending),
    /// The line is longer than one may be.
    #[error("a line is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
}

/// What was read of a stream of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line; the buffer holds it without its end.
    Whole,
    /// More bytes than a line may have; where the next line begins is not known.
    TooLong,
    /// The other side has closed, perhaps in the middle of a line.
    End,
}

/// Reads a line of at most `bytes_max` bytes into `line`, which is cleared first.
///
/// # Errors
/// Those of the reader.
pub async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Line> {
    line.clear();
    reader.take(bytes_max as u64 + 1).read_until(b'\n', line).await?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Line::Whole);
    }
    Ok(if line.len() > bytes_max { Line::TooLong } else { Line::End })
}

impl Conversation {
    /// Opens a conversation with `peer`; it has let it in when this returns, and nothing was said.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(sessions: &Sessions, peer: PeerId, request: &StreamOpen) -> Result<Self, SessionError> {
        let (send, recv) = sessions.open(peer, request).await?;
        Ok(Self::new(send, recv, Pass::free()))
    }

    /// Accepts a conversation that a peer opened; `None` if the peer is gone.
    pub async fn accept(inbound: Inbound) -> Option<Self> {
        let (send, recv, pass) = inbound.accept().await?;
        Some(Self::new(send, recv, pass))
    }

    fn new(send: SendStream, recv: RecvStream, pass: Pass) -> Self {
        Self { send, recv: BufReader::new(recv), pass, line: Vec::new() }
    }

    /// Sends a line, its end included.
    ///
    /// # Errors
    /// [`ConversationError::Lost`] or [`ConversationError::Ended`].
    pub async fn send(&mut self, line: &[u8]) -> Result<(), ConversationError> {
        self.send.write_all(line).await.map_err(|error| {
            let ending = if let WriteError::Stopped(code) = &error { told(*code) } else { None };
            ending.map_or_else(|| ConversationError::Lost { reason: error.to_string() }, ConversationError::Ended)
        })
    }

    /// The next line, without its end, of at most `bytes_max` bytes; `None` once the peer has closed its side. If the wait
    /// is cancelled, what had come of the line is lost, and the conversation is of no more use.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn receive(&mut self, bytes_max: usize) -> Result<Option<&[u8]>, ConversationError> {
        let read = tokio::select! {
            biased;
            ending = self.pass.ended() => return Err(ConversationError::Ended(ending)),
            read = read_line(&mut self.recv, &mut self.line, bytes_max) => read,
        };
        match read {
            Ok(Line::Whole) => Ok(Some(&self.line)),
            Ok(Line::TooLong) => Err(ConversationError::TooLong { bytes_max }),
            Ok(Line::End) => Ok(None),
            Err(error) => Err(lost(&error)),
        }
    }

    /// Waits until it must end. May be cancelled.
    pub async fn ended(&self) -> Ending {
        self.pass.ended().await
    }

    /// Waits until the peer does not listen any more. May be cancelled.
    pub async fn left(&self) {
        let _ = self.send.stopped().await;
    }

    /// What the peer has done since its last line, as far as is known here: nothing (`None`), or there is something to receive
    /// or its end.
    ///
    /// # Errors
    /// As [`Conversation::receive`], which does not tell it a second time.
    pub async fn unasked(&mut self) -> Option<Result<(), ConversationError>> {
        let read = tokio::time::timeout(Duration::ZERO, self.recv.fill_buf()).await.ok()?;
        Some(read.map(drop).map_err(|error| lost(&error)))
    }

    /// Ends it in good order: waits until the peer has all that was sent, or is gone.
    pub async fn close(mut self) {
        if self.send.finish().is_ok() {
            let _ = self.send.stopped().await;
        }
    }

    /// Ends it at once, for this reason, which the peer reads from the code.
    pub fn abort(&mut self, ending: &Ending) {
        // If the stream is gone, there is nobody to tell.
        let _ = self.send.reset(ending.code());
        let _ = self.recv.get_mut().stop(ending.code());
    }
}

/// The stream has failed: because the peer has ended it, perhaps.
fn lost(error: &io::Error) -> ConversationError {
    let reset = error.get_ref().and_then(|error| error.downcast_ref::<ReadError>());
    let ending = if let Some(ReadError::Reset(code)) = reset { told(*code) } else { None };
    ending.map_or_else(|| ConversationError::Lost { reason: error.to_string() }, ConversationError::Ended)
}
