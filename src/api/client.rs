//! The control socket's client: what the command line and the shell ask a running node with.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::limits::{CONTROL_LINE_BYTES_MAX, REMOTE_ANSWER_TIMEOUT, REMOTE_REQUEST_TIMEOUT, SESSION_TIMEOUT};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::error::{Error, ErrorKind};
use super::harmless;
use super::line::{self, Line};
use super::vocabulary::{Pages, Request, Response};

/// A connection to a running node's control socket; it connects again by itself when the node has been restarted.
///
/// A request that is dropped before its response has come closes the connection, so that responses never get mixed up.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    /// The node that is asked, if it is not the one at the socket, and whether in a shell.
    far: Option<(String, bool)>,
    /// Absent while a request is under way and after one has failed.
    stream: Option<BufReader<UnixStream>>,
}

impl Client {
    /// Connects to the control socket at `socket`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotRunning`] if nobody answers there; [`ErrorKind::System`] if the system refuses.
    pub async fn connect(socket: &Path) -> Result<Self, Error> {
        let stream = open(socket).await?;
        Ok(Self { socket: socket.to_path_buf(), far: None, stream: Some(stream) })
    }

    /// A client that connects with its first request.
    pub fn to(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf(), far: None, stream: None }
    }

    /// A client that asks the node `node` (a peer id, a prefix of one, or a node's name) over the one at `socket`; in a
    /// shell there, which ends with the client, or one request at a time.
    pub fn at(socket: &Path, node: &str, shell: bool) -> Self {
        Self { socket: socket.to_path_buf(), far: Some((node.to_owned(), shell)), stream: None }
    }

    /// A client that asks the same node over a connection of its own, so that neither waits for the other; another node
    /// one request at a time.
    pub fn beside(&self) -> Self {
        let far = self.far.as_ref().map(|(node, _)| (node.clone(), false));
        Self { socket: self.socket.clone(), far, stream: None }
    }

    /// A client of its own that asks the node `node` over the one at the same socket, one request at a time.
    pub fn beside_at(&self, node: &str) -> Self {
        Self { socket: self.socket.clone(), far: Some((node.to_owned(), false)), stream: None }
    }

    /// The node that it asks, if it is not the one at the socket.
    pub fn far(&self) -> Option<&str> {
        self.far.as_ref().map(|(node, _)| node.as_str())
    }

    /// The directory of the node at the socket.
    pub fn directory(&self) -> &Path {
        self.socket.parent().unwrap_or(&self.socket)
    }

    /// Sends a request and waits for its response, which may be a [`Response::Error`] of the node's.
    ///
    /// # Errors
    ///
    /// As for [`Client::connect`]; [`ErrorKind::ConnectionFailed`] if the node went away in between and
    /// [`ErrorKind::TimedOut`] if it does not answer: then nothing is known of what became of the request;
    /// [`ErrorKind::InvalidInput`] if the request is too long.
    pub async fn request(&mut self, request: &Request) -> Result<Response, Error> {
        let line = line::encode(request).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("the request is longer than {CONTROL_LINE_BYTES_MAX} bytes"))
        })?;
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => match self.reach().await? {
                Ok(stream) => stream,
                Err(refused) => return Ok(Response::Error { error: refused }),
            },
        };
        let patience = PATIENCE + own_time(request) + self.far.as_ref().map_or(Duration::ZERO, |_| FAR_PATIENCE);
        let response = within(patience, exchange(&mut stream, &line)).await?;
        self.stream = Some(stream);
        Ok(response)
    }

    /// Asks for all that a list has, page by page, and tells it as one answer; otherwise as [`Client::request`].
    ///
    /// # Errors
    ///
    /// As [`Client::request`]; [`ErrorKind::OverLimit`] if there are more pages than `limits::PAGES_MAX`.
    pub async fn request_all(&mut self, request: &Request) -> Result<Response, Error> {
        let (mut pages, mut next) = (Pages::default(), Some(request.clone()));
        while let Some(request) = next {
            let answer = self.request(&request).await?;
            next = pages.take(&request, answer)?;
        }
        Ok(pages.into_answer())
    }

    /// A connection for the node that is asked, or why that one refuses.
    async fn reach(&self) -> Result<Result<BufReader<UnixStream>, Error>, Error> {
        let mut stream = open(&self.socket).await?;
        let Some((node, shell)) = &self.far else { return Ok(Ok(stream)) };
        let request = Request::Connect { node: node.clone(), shell: *shell };
        let line = line::encode(&request)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no node has a name as long as that"))?;
        match within(PATIENCE, exchange(&mut stream, &line)).await? {
            Response::Done => Ok(Ok(stream)),
            Response::Error { error } => Ok(Err(error)),
            other => Err(Error::new(ErrorKind::Internal, format!("the node answered something else: {other:?}"))),
        }
    }
}

/// Waits so long for the node to answer.
async fn within(
    patience: Duration,
    exchange: impl Future<Output = Result<Response, Error>>,
) -> Result<Response, Error> {
    tokio::time::timeout(patience, exchange).await.map_err(|_| {
        let text = format!("the node did not answer within {} seconds", patience.as_secs());
        Error::new(ErrorKind::TimedOut, text)
    })?
}

async fn open(socket: &Path) -> Result<BufReader<UnixStream>, Error> {
    UnixStream::connect(socket).await.map(BufReader::new).map_err(|error| unreachable_node(socket, &error))
}

async fn exchange(stream: &mut BufReader<UnixStream>, request: &[u8]) -> Result<Response, Error> {
    let lost =
        |why: &str| Error::new(ErrorKind::ConnectionFailed, format!("the connection to the node was lost: {why}"));
    // A node that refuses says why before it hangs up, so a failed write does not keep us from reading.
    let written = stream.write_all(request).await;
    let mut bytes = Vec::new();
    match line::read(stream, &mut bytes).await {
        Ok(Line::Whole) => serde_json::from_slice(&bytes).map_err(|error| {
            let (error, advice) = (harmless(&error.to_string()), "are program and node of the same version?");
            Error::new(ErrorKind::Internal, format!("the node's answer is not understood: {error}; {advice}"))
        }),
        Ok(Line::TooLong) => Err(Error::new(
            ErrorKind::OverLimit,
            format!("the node's answer is longer than {CONTROL_LINE_BYTES_MAX} bytes"),
        )),
        Ok(Line::End) => Err(lost(&written.err().map_or("it hung up".to_owned(), |error| error.to_string()))),
        Err(error) => Err(lost(&error.to_string())),
    }
}

/// Whether nothing has come in unasked and nobody has hung up since the last response.
fn is_open(stream: &BufReader<UnixStream>) -> bool {
    let asked_nothing = stream.buffer().is_empty();
    let silent = stream.get_ref().try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    asked_nothing && silent
}

fn unreachable_node(socket: &Path, error: &io::Error) -> Error {
    let dir = socket.parent().unwrap_or(socket).display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            let text = format!("no node is running in {dir}; start it with `prunella up`, or name another with --dir");
            Error::new(ErrorKind::NotRunning, text)
        }
        io::ErrorKind::PermissionDenied => {
            let text = format!("{}: permission denied; ask as the user who runs the node", socket.display());
            Error::new(ErrorKind::System, text)
        }
        _ => Error::new(ErrorKind::System, format!("cannot connect to {}: {error}", socket.display())),
    }
}

/// How long the request itself asks the node to take.
fn own_time(request: &Request) -> Duration {
    match request {
        Request::Ping { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
        Request::Tap { ms, .. } | Request::Events { wait_ms: ms, .. } => Duration::from_millis(*ms),
        _ => Duration::ZERO,
    }
}

/// How long a node may take beyond what the request asks for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer another node may take.
const FAR_PATIENCE: Duration = Duration::from_secs(20);
const _: () = assert!(
    PATIENCE.as_secs() + FAR_PATIENCE.as_secs()
        > REMOTE_ANSWER_TIMEOUT.as_secs() + REMOTE_REQUEST_TIMEOUT.as_secs() + SESSION_TIMEOUT.as_secs(),
    "the node says what became of the other one before anybody gives up on it"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_node_is_named_with_the_way_to_start_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Client::connect(&dir.path().join("control.sock")).await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::NotRunning);
        assert!(error.to_string().contains("prunella up"), "{error}");
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn missing_permission_is_told_from_absence() {
        let error = unreachable_node(Path::new("/d/control.sock"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(error.kind(), ErrorKind::System);
        assert!(error.to_string().contains("permission denied"), "{error}");
    }
}
