//! Asks the lab's nodes over their control sockets, and waits until they are in the state that is needed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::api::client::Client;
use crate::api::vocabulary::{ActorInfo, Failure, PathInfo, PeerInfo, ServiceInfo, Status};
use crate::api::{Error, ErrorKind, Request, Response};

/// The way to one node's control socket. Each question is a new connection, so a restarted node answers like before.
#[derive(Clone, Debug)]
pub(super) struct Control {
    socket: PathBuf,
}

impl Control {
    /// The way to the node that lives in `dir`.
    pub(super) fn of(dir: &std::path::Path) -> Self {
        Self { socket: dir.join("control.sock") }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// The node's own error; [`ErrorKind::NotRunning`] if nobody listens; [`ErrorKind::TimedOut`] after 5 s.
    pub(super) async fn ask(&self, request: &Request) -> Result<Response, Error> {
        let exchange = async { Client::connect(&self.socket).await?.request(request).await };
        match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(Ok(Response::Error { error })) => Err(error),
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::TimedOut, format!("no answer to {request:?} within 5 s"))),
        }
    }

    /// As [`Control::ask`], of a node whose surfaces are being restarted just now, for up to 5 s. For what may be asked
    /// twice.
    pub(super) async fn ask_again(&self, request: &Request) -> Result<Response, Error> {
        let deadline = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        loop {
            let answer = self.ask(request).await;
            let is_away = |error: &Error| matches!(error.kind(), ErrorKind::ConnectionFailed | ErrorKind::NotRunning);
            if !answer.as_ref().is_err_and(is_away) || tokio::time::Instant::now() >= deadline {
                return answer;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The node at a glance.
    pub(super) async fn status(&self) -> Result<Status, Error> {
        match self.ask(&Request::Status).await? {
            Response::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Every node that this one knows.
    pub(super) async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        match self.ask(&Request::Peers { after: None }).await? {
            Response::Peers { peers, .. } => Ok(peers),
            other => Err(unexpected(&other)),
        }
    }

    /// The paths to `destination`, best first.
    pub(super) async fn paths(&self, destination: &str) -> Result<Vec<PathInfo>, Error> {
        match self.ask(&Request::Paths { destination: destination.to_owned(), why: false }).await? {
            Response::Paths { paths, .. } => Ok(paths),
            other => Err(unexpected(&other)),
        }
    }

    /// The actors, parents before children.
    pub(super) async fn actors(&self) -> Result<Vec<ActorInfo>, Error> {
        match self.ask(&Request::Actors).await? {
            Response::Actors { actors } => Ok(actors),
            other => Err(unexpected(&other)),
        }
    }

    /// Every service that this node knows.
    pub(super) async fn services(&self) -> Result<Vec<ServiceInfo>, Error> {
        match self.ask(&Request::Services { after: None, after_provider: None }).await? {
            Response::Services { services, .. } => Ok(services),
            other => Err(unexpected(&other)),
        }
    }

    /// One round trip to `destination`.
    pub(super) async fn ping(&self, destination: &str) -> Result<(), Error> {
        let request = Request::Ping { destination: destination.to_owned(), timeout_ms: PING_TIMEOUT_MS };
        self.ask(&request).await.map(|_| ())
    }

    /// Publishes the TCP service at `target` as `name`.
    pub(super) async fn expose(&self, name: &str, target: &str) -> Result<(), Error> {
        let request = Request::Expose { name: name.to_owned(), target: target.to_owned() };
        self.ask(&request).await.map(|_| ())
    }

    /// Listens on a port that the system chooses and carries each connection to the service `name`; gives the address.
    pub(super) async fn forward(&self, name: &str) -> Result<SocketAddr, Error> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        match self.ask(&Request::Forward { name: name.to_owned(), listen }).await? {
            Response::Forwarding { listen } => Ok(listen),
            other => Err(unexpected(&other)),
        }
    }

    /// Kills one actor, whatever it is doing.
    pub(super) async fn kill_actor(&self, actor: &str) -> Result<(), Error> {
        let request = Request::KillActor { actor: actor.to_owned(), how: Failure::Kill };
        self.ask(&request).await.map(|_| ())
    }
}

/// Checks again and again until `check` is content, at most for `patience`; a failed check says what is still missing.
///
/// # Errors
/// [`ErrorKind::TimedOut`] with what was missing at the end.
pub(super) async fn until<T>(
    what: &str,
    patience: Duration,
    mut check: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, Error> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let missing = match check().await {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        if tokio::time::Instant::now() >= deadline {
            let text = format!("{what}: not within {} s: {missing}", patience.as_secs());
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn unexpected(response: &Response) -> Error {
    Error::new(ErrorKind::Internal, format!("the node gave an answer to another question: {response:?}"))
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const PING_TIMEOUT_MS: u64 = 1000;
const POLL: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_as_soon_as_the_check_is_content() {
        let mut left = 3;
        let check = async || {
            left -= 1;
            if left == 0 { Ok("up") } else { Err(format!("{left} left")) }
        };
        assert_eq!(until("nodes up", Duration::from_secs(10), check).await, Ok("up"));
    }

    #[tokio::test]
    async fn waiting_in_vain_says_what_was_missing() {
        let check = async || Err::<(), _>("n3 is missing".to_owned());
        let error = until("nodes up", Duration::ZERO, check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "nodes up: not within 0 s: n3 is missing");
    }

    #[tokio::test]
    async fn a_node_whose_surface_is_away_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::of(dir.path());
        let socket = dir.path().join("control.sock");
        let answering = async {
            // The first connection is lost, as when a surface ends.
            tokio::time::sleep(2 * POLL).await;
            let listener = tokio::net::UnixListener::bind(&socket).unwrap();
            drop(listener.accept().await.unwrap());
            let mut stream = tokio::io::BufReader::new(listener.accept().await.unwrap().0);
            tokio::io::AsyncBufReadExt::read_line(&mut stream, &mut String::new()).await.unwrap();
            let line = serde_json::to_string(&Response::Done).unwrap() + "\n";
            tokio::io::AsyncWriteExt::write_all(stream.get_mut(), line.as_bytes()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(control.ask_again(&Request::Shutdown), answering);
        assert_eq!(answer, Ok(Response::Done));
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_is_not_running() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Control::of(dir.path()).status().await.unwrap_err().kind(), ErrorKind::NotRunning);
    }
}
