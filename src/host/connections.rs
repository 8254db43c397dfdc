//! Connections that come to a listener.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// The next connection, for as long as it takes. Nothing is lost if it is dropped before it is done.
pub async fn next_connection(listener: &TcpListener, whose: &str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) => {
                tracing::warn!(whose, %error, "failed to accept a connection");
                // Out of file descriptors, most likely; at once it would be the same again.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// How long a listener rests when it cannot accept.
const PAUSE: Duration = Duration::from_millis(50);
