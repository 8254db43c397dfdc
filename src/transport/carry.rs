//! Carries a TCP connection over a session's stream: bytes, ends and aborts of each direction.
//!
//! The end of one direction passes through while the other goes on (half-close); an abort on either side aborts both
//! directions on both sides. One buffer per direction: whoever reads slowly makes the other side's window close.

use std::io;

use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::pass::{Ending, Pass, told};

/// Why a connection was aborted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Aborted {
    /// One of the two connections broke, or was aborted by whoever is at its end.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// This node may carry it no longer.
    #[error(transparent)]
    Ended(Ending),
    /// The node at the other end may carry it no longer.
    #[error(transparent)]
    EndedByPeer(Ending),
}

/// Carries both directions until both have ended, one was aborted, or the pass ends.
///
/// # Errors
/// What aborted it; the TCP connection was reset and so was the stream.
pub(super) async fn carry(
    mut tcp: TcpStream,
    mut send: SendStream,
    mut recv: RecvStream,
    pass: &Pass,
) -> Result<(), Aborted> {
    // Many small messages are the rule, and the session coalesces by itself. A socket that refuses is about to fail.
    let _ = tcp.set_nodelay(true);
    let (mut reader, mut writer) = tcp.split();
    let outcome = tokio::select! {
        biased;
        ending = pass.ended() => Err(Aborted::Ended(ending)),
        both = async {
            tokio::try_join!(into_session(&mut reader, &mut send, pass), out_of_session(&mut recv, &mut writer, pass))
        } => both,
    };
    if let Err(error) = outcome {
        // Dropping them would look like an orderly end.
        let code = if let Aborted::Ended(ending) = &error { ending.code() } else { ABORTED };
        let _ = send.reset(code);
        let _ = recv.stop(code);
        abort(tcp);
        return Err(error);
    }
    Ok(())
}

/// As [`carry`], between two TCP connections of this node; nobody counts what goes over them.
///
/// # Errors
/// What aborted it; both connections were reset.
pub(super) async fn carry_locally(mut near: TcpStream, mut far: TcpStream, pass: &Pass) -> Result<(), Aborted> {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let carried = tokio::select! {
        biased;
        ending = pass.ended() => Err(Aborted::Ended(ending)),
        carried = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER_BYTES, BUFFER_BYTES) => {
            carried.map(drop).map_err(Aborted::Broken)
        }
    };
    carried.inspect_err(|_| {
        let _ = (near.set_zero_linger(), far.set_zero_linger());
    })
}

/// Closes a TCP connection with a reset, so that nobody takes what was carried so far for everything.
pub(super) fn abort(tcp: TcpStream) {
    // Without the option the connection ends in the ordinary way, which is the best that is left.
    let _ = tcp.set_zero_linger();
}

async fn into_session(reader: &mut ReadHalf<'_>, send: &mut SendStream, pass: &Pass) -> Result<(), Aborted> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let stopped = send.stopped();
    tokio::pin!(stopped);
    loop {
        let read = tokio::select! {
            biased;
            // The far end does not want more; the near end may never say more, so this is heard while waiting for it.
            stopped = &mut stopped => return Err(by_peer(stopped.ok().flatten())),
            read = reader.read(&mut buffer) => read?,
        };
        if read == 0 {
            return Ok(send.finish().map_err(io::Error::from)?);
        }
        pass.spend(read).map_err(Aborted::Ended)?;
        send.write_all(&buffer[..read]).await.map_err(|error| match error {
            WriteError::Stopped(code) => by_peer(Some(code)),
            error => Aborted::Broken(error.into()),
        })?;
    }
}

async fn out_of_session(recv: &mut RecvStream, writer: &mut WriteHalf<'_>, pass: &Pass) -> Result<(), Aborted> {
    let broken = |error| match error {
        ReadError::Reset(code) => by_peer(Some(code)),
        error => Aborted::Broken(error.into()),
    };
    while let Some(chunk) = recv.read_chunk(BUFFER_BYTES, true).await.map_err(broken)? {
        pass.spend(chunk.bytes.len()).map_err(Aborted::Ended)?;
        writer.write_all(&chunk.bytes).await?;
    }
    Ok(writer.shutdown().await?)
}

/// The far end has aborted the stream with this code, if it gave one.
fn by_peer(code: Option<VarInt>) -> Aborted {
    match code.and_then(told) {
        Some(ending) => Aborted::EndedByPeer(ending),
        None => Aborted::Broken(io::ErrorKind::ConnectionReset.into()),
    }
}

/// The code of an aborted stream, unless a [`Pass`] has ended.
const ABORTED: VarInt = VarInt::from_u32(1);
/// Most bytes between the two sides, per direction, beyond the windows of TCP and of the session.
const BUFFER_BYTES: usize = 64 * 1024;
