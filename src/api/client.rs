//! Speaks to a running node over its control socket: one line of JSON each way.

use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Error, ErrorKind, Request, Response};

/// A connection to a node's control socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the control socket at `socket`.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] if nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Client, Error> {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Error::new(ErrorKind::NotRunning, format!("no node answers at {}: {error}", socket.display()))
        })?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Asks `request` and waits for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionFailed`] if the node goes away, [`ErrorKind::Internal`] if its answer cannot be read.
    pub async fn request(&mut self, request: &Request) -> Result<Response, Error> {
        let mut line = serde_json::to_vec(request).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        line.push(b'\n');
        let lost = |error: std::io::Error| Error::new(ErrorKind::ConnectionFailed, error.to_string());
        self.stream.get_mut().write_all(&line).await.map_err(lost)?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).await.map_err(lost)? == 0 {
            return Err(Error::new(ErrorKind::ConnectionFailed, "the node closed the control connection"));
        }
        serde_json::from_str(&answer).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
    }
}
