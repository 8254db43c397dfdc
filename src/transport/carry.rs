//! Carries a TCP connection over a session's stream: bytes, ends and aborts of each direction.
//!
//! The end of one direction passes through while the other goes on (half-close); an abort on either side aborts both
//! directions on both sides. One buffer per direction: whoever reads slowly makes the other side's window close.

use std::io;

use quinn::{RecvStream, SendStream, VarInt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Carries both directions until both have ended, or one was aborted.
///
/// # Errors
/// What aborted it; the TCP connection was reset and so was the stream.
pub(super) async fn carry(mut tcp: TcpStream, mut send: SendStream, mut recv: RecvStream) -> io::Result<()> {
    // Many small messages are the rule, and the session coalesces by itself. A socket that refuses is about to fail.
    let _ = tcp.set_nodelay(true);
    let (mut reader, mut writer) = tcp.split();
    let outcome = tokio::try_join!(into_session(&mut reader, &mut send), out_of_session(&mut recv, &mut writer));
    if let Err(error) = outcome {
        // Dropping them would look like an orderly end.
        let _ = send.reset(ABORTED);
        let _ = recv.stop(ABORTED);
        abort(tcp);
        return Err(error);
    }
    Ok(())
}

/// As [`carry`], between two TCP connections of this node.
///
/// # Errors
/// What aborted it; both connections were reset.
pub(super) async fn carry_locally(mut near: TcpStream, mut far: TcpStream) -> io::Result<()> {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let carried = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER_BYTES, BUFFER_BYTES).await;
    carried.map(drop).inspect_err(|_| {
        let _ = (near.set_zero_linger(), far.set_zero_linger());
    })
}

/// Closes a TCP connection with a reset, so that nobody takes what was carried so far for everything.
pub(super) fn abort(tcp: TcpStream) {
    // Without the option the connection ends in the ordinary way, which is the best that is left.
    let _ = tcp.set_zero_linger();
}

async fn into_session(reader: &mut ReadHalf<'_>, send: &mut SendStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let stopped = send.stopped();
    tokio::pin!(stopped);
    loop {
        let read = tokio::select! {
            biased;
            // The far end does not want more; the near end may never say more, so this is heard while waiting for it.
            _ = &mut stopped => return Err(io::ErrorKind::ConnectionReset.into()),
            read = reader.read(&mut buffer) => read?,
        };
        if read == 0 {
            return send.finish().map_err(io::Error::from);
        }
        send.write_all(&buffer[..read]).await?;
    }
}

async fn out_of_session(recv: &mut RecvStream, writer: &mut WriteHalf<'_>) -> io::Result<()> {
    while let Some(chunk) = recv.read_chunk(BUFFER_BYTES, true).await? {
        writer.write_all(&chunk.bytes).await?;
    }
    writer.shutdown().await
}

/// The code of an aborted stream. Both sides treat every code alike.
const ABORTED: VarInt = VarInt::from_u32(1);
/// Most bytes between the two sides, per direction, beyond the windows of TCP and of the session.
const BUFFER_BYTES: usize = 64 * 1024;
