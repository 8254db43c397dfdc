//! The control socket's server: reads requests, asks the node's [`Handler`], writes the responses.
//!
//! Only the node's own user and root may connect. Lines, connections and the time to say good-bye are bounded.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::{CONTROL_CLIENTS_MAX, CONTROL_LINE_BYTES_MAX};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::error::{Error, ErrorKind};
use super::harmless;
use super::line::{self, Line};
use super::vocabulary::{Request, Response};

/// The control socket's name in a node's directory.
pub const SOCKET_NAME: &str = "control.sock";

/// A response that is being worked out.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// A conversation with another node that is being opened.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Handler>, Error>> + Send + 'a>>;

/// Who answers requests: the node, or a stand-in for it.
pub trait Handler: Send + Sync {
    /// Works out the response to one request of this caller. Requests of different connections come concurrently.
    fn handle(&self, request: Request, caller: Caller) -> Answer<'_>;

    /// Who answers the rest of a connection's requests, once it is for another node ([`Request::Connect`]).
    fn connect(&self, node: String, _shell: bool, _user: User) -> Connecting<'_> {
        let error = Error::new(ErrorKind::InvalidInput, format!("nobody here speaks with {node:?}"));
        Box::pin(async move { Err(error) })
    }
}

/// Whoever gives a node requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A process on this host.
    User(User),
    /// Whoever has shown a token or a certificate over HTTP.
    Web {
        /// Who, such as `token ops`.
        who: Arc<str>,
        /// From where.
        from: SocketAddr,
    },
}

/// Who is at the other end of a control connection, as the operating system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The process that connected, where the system tells.
    pub pid: Option<i32>,
}

impl User {
    /// Whoever runs this process.
    pub(super) fn this_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), pid: Some(rustix::process::getpid().as_raw_pid()) }
    }

    /// The other side, if it is the node's own user or root. The socket's mode says the same, but only after it was set.
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        let who = stream.peer_cred().ok()?;
        let is_ours = who.uid() == 0 || who.uid() == rustix::process::geteuid().as_raw();
        is_ours.then(|| Self { uid: who.uid(), pid: who.pid() })
    }

    /// Who it is, for a ledger.
    pub fn who(&self) -> String {
        format!("uid {}", self.uid)
    }

    /// From where it asks, for a ledger.
    pub fn from(&self) -> String {
        self.pid.map_or_else(|| "control socket".to_owned(), |pid| format!("control socket, pid {pid}"))
    }
}

impl Caller {
    /// Who it is, for a ledger.
    pub fn who(&self) -> String {
        match self {
            Caller::User(user) => user.who(),
            Caller::Web { who, .. } => who.to_string(),
        }
    }

    /// From where it asks, for a ledger.
    pub fn from(&self) -> String {
        match self {
            Caller::User(user) => user.from(),
            Caller::Web { from, .. } => format!("http, {from}"),
        }
    }
}

/// A control socket on which nobody is served yet.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that nobody else's socket is ever removed.
    file: (u64, u64),
}

/// Serves the control socket at `path` until `stop` turns true or is dropped, then removes it.
///
/// # Errors
///
/// As for [`Server::bind`].
pub async fn serve(path: &Path, handler: Arc<dyn Handler>, stop: watch::Receiver<bool>) -> Result<(), Error> {
    Server::bind(path).await?.run(handler, stop).await;
    Ok(())
}

impl Server {
    /// Opens the socket at `path`; from here on clients can connect and wait. A socket that nobody answers is replaced.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::System`] if another node answers there, if `path` is something else than a socket, or if the system
    /// refuses.
    pub async fn bind(path: &Path) -> Result<Self, Error> {
        make_room(path).await?;
        let refused = |error: io::Error| {
            let advice = "check that the directory exists, is yours, and has a short path (about 100 bytes at most)";
            Error::new(
                ErrorKind::System,
                format!("cannot open the control socket {}: {error}; {advice}", path.display()),
            )
        };
        let listener = UnixListener::bind(path).map_err(refused)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
        let file = identify(path).map_err(refused)?;
        Ok(Self { listener, path: path.to_path_buf(), file })
    }

    /// Serves until `stop` turns true or is dropped. Requests under way then have two seconds to be answered.
    pub async fn run(self, handler: Arc<dyn Handler>, mut stop: watch::Receiver<bool>) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = clients.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => admit(stream, &mut clients, &handler, &stop),
                    Err(error) => {
                        // Out of file descriptors, most likely: accepting again at once would spin.
                        tracing::warn!(%error, "cannot accept a control connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        self.remove();
        let farewell = async { while clients.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            clients.shutdown().await;
        }
    }

    fn remove(&self) {
        if identify(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the control socket");
        }
    }
}

/// Removes a socket that a dead node left behind; anything else in the way is an error.
async fn make_room(path: &Path) -> Result<(), Error> {
    let system = |text: String| Err(Error::new(ErrorKind::System, text));
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return system(format!("cannot look at {shown}: {error}; check the directory's permissions")),
        Ok(found) if !found.file_type().is_socket() => {
            return system(format!("{shown} is in the way and not a socket; move it elsewhere"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return system(format!("cannot tell whether a node answers at {shown}: {error}")),
        Ok(_) => {
            return system(format!("a node is already running at {shown}; stop it first with `prunella down`"));
        }
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            system(format!("cannot remove the stale socket {shown}: {error}; remove it by hand"))
        }
        _ => Ok(()),
    }
}

fn admit(stream: UnixStream, clients: &mut JoinSet<()>, handler: &Arc<dyn Handler>, stop: &watch::Receiver<bool>) {
    let Some(user) = User::of(&stream) else {
        tracing::warn!("refused a control connection of another user");
        return;
    };
    if clients.len() >= CONTROL_CLIENTS_MAX {
        let text = format!("the node serves {CONTROL_CLIENTS_MAX} control connections already; close one of them");
        let refusal = Response::Error { error: Error::new(ErrorKind::OverLimit, text) };
        let line = line::encode(&refusal).expect("BUG: a refusal is short");
        // A fresh socket's buffer has room for one short line; if not, the client still sees the connection close.
        let _ = stream.try_write(&line);
        return;
    }
    let (handler, stop) = (Arc::clone(handler), stop.clone());
    clients.spawn(async move {
        if let Err(error) = attend(stream, user, &*handler, stop).await {
            tracing::debug!(%error, "a control connection was lost");
        }
    });
}

async fn attend(
    mut stream: UnixStream,
    user: User,
    handler: &dyn Handler,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    let mut far: Option<Arc<dyn Handler>> = None;
    loop {
        // Only waiting for the next request is cut short: a request that was taken is answered.
        let read = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            read = line::read(&mut reader, &mut bytes) => read?,
        };
        let response = match read {
            Line::End => return Ok(()),
            Line::TooLong => invalid(format!("the request is longer than {CONTROL_LINE_BYTES_MAX} bytes")),
            Line::Whole => match serde_json::from_slice(&bytes) {
                Ok(request) => match answer(request, user, handler, &mut far, (&mut reader, &writer)).await {
                    Some(response) => response,
                    None => return Ok(()),
                },
                Err(error) => invalid(format!("the request is not understood: {}", harmless(&error.to_string()))),
            },
        };
        writer.write_all(&encode(&response)).await?;
        if read == Line::TooLong {
            return Ok(());
        }
    }
}

/// What the node answers, or the one that the connection is for; `None` if the client has left a request to another node,
/// which then is not waited for either.
async fn answer(
    request: Request,
    user: User,
    handler: &dyn Handler,
    far: &mut Option<Arc<dyn Handler>>,
    (reader, writer): (&mut BufReader<ReadHalf<'_>>, &WriteHalf<'_>),
) -> Option<Response> {
    let opened = match (request, &far) {
        (Request::Connect { node, shell }, None) => tokio::select! {
            opened = handler.connect(node, shell, user) => opened,
            () = left(reader, writer) => return None,
        },
        (request, None) => return Some(handler.handle(request, Caller::User(user)).await),
        (request, Some(far)) => {
            return tokio::select! {
                response = far.handle(request, Caller::User(user)) => Some(response),
                () = left(reader, writer) => None,
            };
        }
    };
    match opened {
        Ok(opened) => {
            *far = Some(opened);
            Some(Response::Done)
        }
        Err(error) => Some(Response::Error { error }),
    }
}

/// Waits until the client has hung up. One that has more to say has not, nor one that has said all and still listens.
async fn left(reader: &mut BufReader<ReadHalf<'_>>, writer: &WriteHalf<'_>) {
    if reader.fill_buf().await.is_ok_and(|more| !more.is_empty()) {
        std::future::pending().await
    }
    // On a descriptor of its own: what is cleared here would be missing to whoever writes the answer.
    let own = writer.as_ref().as_fd().try_clone_to_owned();
    let Ok(watched) = own.and_then(|own| UnixStream::from_std(own.into())) else {
        // Too many descriptors are open: that the client has left shows when it is answered.
        return std::future::pending().await;
    };
    while watched.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        // The next time it is told when something has changed.
        let _ = watched.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

/// The response as a line; an apology, if it is too long for one.
pub(super) fn encode(response: &Response) -> Vec<u8> {
    line::encode(response).unwrap_or_else(|| {
        let text = format!("the answer is longer than {CONTROL_LINE_BYTES_MAX} bytes; ask for less");
        let error = Error::new(ErrorKind::OverLimit, text);
        line::encode(&Response::Error { error }).expect("BUG: an apology is short")
    })
}

fn invalid(message: String) -> Response {
    Response::Error { error: Error::new(ErrorKind::InvalidInput, message) }
}

fn identify(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Returns when the node stops.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could say stop is gone: that is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long requests under way may take when the node stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::task::JoinHandle;

    use super::super::client::Client;
    use super::*;
    use crate::api::vocabulary::PolicyInfo;

    /// Echoes the destination in a policy answer, so that answers can be told apart.
    struct Echo;

    impl Handler for Echo {
        fn handle(&self, request: Request, _: Caller) -> Answer<'_> {
            Box::pin(async move {
                match request {
                    Request::Paths { destination, .. } => {
                        Response::Policy(PolicyInfo { source: destination, ..PolicyInfo::default() })
                    }
                    Request::Peers { .. } => Response::Policy(PolicyInfo {
                        source: "x".repeat(CONTROL_LINE_BYTES_MAX),
                        ..PolicyInfo::default()
                    }),
                    Request::Shutdown => Response::Done,
                    _ => Response::Error { error: Error::new(ErrorKind::Denied, "not here") },
                }
            })
        }
    }

    struct Running {
        dir: tempfile::TempDir,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    impl Running {
        async fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::bind(&dir.path().join(SOCKET_NAME)).await.unwrap();
            let (stop, stopping) = watch::channel(false);
            let task = tokio::spawn(server.run(Arc::new(Echo), stopping));
            Self { dir, stop, task }
        }

        fn socket(&self) -> PathBuf {
            self.dir.path().join(SOCKET_NAME)
        }

        async fn raw(&self, bytes: &[u8]) -> String {
            let mut stream = UnixStream::connect(self.socket()).await.unwrap();
            // The server may hang up before it has read everything.
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            let mut said = Vec::new();
            let mut chunk = [0; 4096];
            while let Ok(1..) = stream.read(&mut chunk).await.inspect(|n| said.extend_from_slice(&chunk[..*n])) {}
            String::from_utf8(said).unwrap()
        }
    }

    fn paths(destination: &str) -> Request {
        Request::Paths { destination: destination.to_owned(), why: false }
    }

    #[tokio::test]
    async fn one_connection_carries_many_requests() {
        let running = Running::start().await;
        let mut client = Client::connect(&running.socket()).await.unwrap();
        for name in ["a", "b", "c"] {
            let expected = Response::Policy(PolicyInfo { source: name.to_owned(), ..PolicyInfo::default() });
            assert_eq!(client.request(&paths(name)).await.unwrap(), expected);
        }
        let Response::Error { error } = client.request(&Request::Links).await.unwrap() else { panic!("not denied") };
        assert_eq!(error.kind(), ErrorKind::Denied);
    }

    #[tokio::test]
    async fn only_the_owner_may_open_the_socket() {
        let running = Running::start().await;
        let mode = std::fs::metadata(running.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_malformed_request_is_answered_and_the_connection_lives() {
        let running = Running::start().await;
        let said = running.raw(b"{\"request\":\"dance\"}\n{\"request\":\"shutdown\"}\n").await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].contains("invalid-input") && lines[0].contains("dance"), "{said}");
        assert_eq!(lines[1], "{\"response\":\"done\"}");
    }

    #[tokio::test]
    async fn an_oversized_line_is_refused_and_the_connection_closed() {
        let running = Running::start().await;
        let said = running.raw(&vec![b'x'; CONTROL_LINE_BYTES_MAX + 4096]).await;
        assert!(said.contains("invalid-input") && said.contains("longer than"), "{said}");
        assert_eq!(said.lines().count(), 1);
    }

    #[tokio::test]
    async fn an_oversized_answer_becomes_an_error() {
        let running = Running::start().await;
        let mut client = Client::connect(&running.socket()).await.unwrap();
        let Response::Error { error } = client.request(&Request::Peers { after: None }).await.unwrap() else {
            panic!("no error")
        };
        assert_eq!(error.kind(), ErrorKind::OverLimit);
    }

    #[tokio::test]
    async fn one_client_too_many_is_told_so() {
        let running = Running::start().await;
        let mut clients = Vec::new();
        for _ in 0..CONTROL_CLIENTS_MAX {
            let mut client = Client::connect(&running.socket()).await.unwrap();
            client.request(&Request::Shutdown).await.unwrap();
            clients.push(client);
        }
        assert!(running.raw(b"").await.contains("over-limit"));
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_and_removes_the_socket() {
        let running = Running::start().await;
        let mut client = Client::connect(&running.socket()).await.unwrap();
        client.request(&Request::Shutdown).await.unwrap();
        running.stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(10), running.task).await.expect("it stops").unwrap();
        assert!(!running.dir.path().join(SOCKET_NAME).exists());
        let error = client.request(&Request::Status).await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::NotRunning);
    }

    #[tokio::test]
    async fn a_living_nodes_socket_is_left_alone_and_a_dead_ones_replaced() {
        let running = Running::start().await;
        let error = Server::bind(&running.socket()).await.expect_err("it is taken");
        assert!(error.to_string().contains("already running"), "{error}");

        let stale = running.dir.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        Server::bind(&stale).await.unwrap();

        let file = running.dir.path().join("precious.txt");
        std::fs::write(&file, "mine").unwrap();
        let error = Server::bind(&file).await.expect_err("it is no socket");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
