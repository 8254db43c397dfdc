//! The HTTP API: the vocabulary as REST under `/v1`, an event stream, health, metrics, and the dashboard.
//!
//! ```text
//! connection ──> listen (bounds, TLS) ──> door (who is it, how often) ──> routes ──> operation (a Request) ──> Handler
//!                                                                    └──> stream, health, pages
//! ```
//!
//! One table says which request each path is. The parameters' names, types and words come from the
//! vocabulary's own schema, and so does the OpenAPI document, so that what is served is what is documented.

mod door;
mod health;
mod listen;
mod openapi;
mod operation;
mod pages;
mod problem;
mod routes;
mod stream;
mod table;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::HTTP_STREAMS_MAX;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};

use self::door::Door;
use super::answers::Answers;
use super::server::stopped;

/// The Unix socket's name in a node's directory.
pub const SOCKET_NAME: &str = "http.sock";

/// What every request finds.
pub(super) struct Api {
    answers: Arc<Answers>,
    door: Door,
    streams: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// The open sockets. They outlive the actor that serves them: whoever connects while it is restarted waits, and is not
/// turned away, and a port that the system chose stays the same.
pub(super) struct Listeners {
    tcp: OnceCell<Arc<TcpListener>>,
    unix: OnceCell<(Arc<UnixListener>, PathBuf)>,
    /// Whoever waits for its other end is told when all is closed and removed.
    _closed: mpsc::Sender<Infallible>,
}

impl Listeners {
    /// Nothing is open yet; `closed` is dropped when nothing is open any more.
    pub(super) fn new(closed: mpsc::Sender<Infallible>) -> Self {
        Self { tcp: OnceCell::new(), unix: OnceCell::new(), _closed: closed }
    }
}

/// Serves as the configuration says until `stop` turns true or is dropped. What cannot be served is told and tried again:
/// a node does not fail because somebody else has its port.
pub(super) async fn serve(answers: Arc<Answers>, listeners: Arc<Listeners>, mut stop: watch::Receiver<bool>) {
    let config = answers.shell().config.http.clone();
    let api = Arc::new(Api {
        door: Door::new(answers.dir(), &config, answers.shell().clock),
        streams: Arc::new(Semaphore::new(HTTP_STREAMS_MAX)),
        stop: stop.clone(),
        answers,
    });
    let router = routes::router(&api);
    let unix = async {
        let path = api.answers.dir().join(SOCKET_NAME);
        let open = || listeners.unix.get_or_try_init(async || open_unix(&path).map(|opened| (opened, path.clone())));
        let (listener, _) = until_opened("the socket of the HTTP API", open).await;
        listen::unix(Arc::clone(listener), router.clone(), stop.clone()).await;
    };
    let tcp = async {
        let Some(address) = config.listen else { return };
        let tls = config.has_tls().then(|| tls::Tls::of(&config));
        let open = || listeners.tcp.get_or_try_init(|| open_tcp(address, tls.as_ref()));
        let listener = Arc::clone(until_opened("the HTTP API", open).await);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = listener.local_addr().ok().map(|address| format!("{scheme}://{address}"));
        api.answers.serves_http_at(url);
        listen::tcp(listener, tls, router.clone(), stop.clone()).await;
    };
    let mut ending = stop.clone();
    tokio::select! {
        ((), ()) = async { tokio::join!(unix, tcp) } => {}
        // Opening may go on for ever; what is served ends by itself.
        () = async {
            stopped(&mut ending).await;
            tokio::time::sleep(FAREWELL).await;
        } => {}
    }
    stopped(&mut stop).await;
}

impl Drop for Listeners {
    fn drop(&mut self) {
        if let Some((_, path)) = self.unix.get() {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn open_unix(path: &Path) -> Result<Arc<UnixListener>, String> {
    // Whoever holds the node's store is the one node here: what is left behind is nobody's.
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).map(Arc::new).map_err(|error| format!("{}: {error}", path.display()))
}

async fn open_tcp(address: SocketAddr, tls: Option<&tls::Tls>) -> Result<Arc<TcpListener>, String> {
    if let Some(tls) = tls {
        tls.current()?;
    }
    TcpListener::bind(address).await.map(Arc::new).map_err(|error| {
        format!("{address}: {error}; `listen` under [http] in config.toml says where it is served, or nowhere")
    })
}

async fn until_opened<T, F: Future<Output = Result<T, String>>>(what: &str, open: impl Fn() -> F) -> T {
    let mut last = String::new();
    loop {
        match open().await {
            Ok(opened) => return opened,
            // Told once, not with every attempt.
            Err(reason) if reason != last => {
                tracing::warn!(reason, "{what} is not served");
                last = reason;
            }
            Err(_) => {}
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}

/// Between two attempts to open a port that somebody else has.
const OPEN_PAUSE: Duration = Duration::from_secs(2);
/// How long requests under way may take when the node stops.
const FAREWELL: Duration = Duration::from_secs(2);
