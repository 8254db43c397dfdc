//! Services: TCP servers reached by name from anywhere in the mesh.
//!
//! The provider exposes a name and dials its target for each stream; the user's node listens, and opens a stream to a
//! provider for each connection. Neither table is on a packet's way.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use prunella_core::PeerId;
use prunella_core::limits::{FORWARDS_PER_NODE_MAX, SERVICES_PER_NODE_MAX, SESSION_STREAMS_MAX, SESSION_TIMEOUT};
use prunella_core::record::is_service_name;
use prunella_core::wire::{StreamOpen, StreamRefusal};

use super::carry::{Aborted, abort, carry, carry_locally};
use super::pass::Pass;
use super::session::{Inbound, Place, SessionError, Sessions, describe};
use crate::host::next_connection;
use crate::spans::{self, Kind, Span};

/// Names the nodes that expose a service, best first. Asked for every connection.
pub type ProviderPick = Arc<dyn Fn(&str) -> Vec<PeerId> + Send + Sync>;

/// Why a service cannot be exposed; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExposeError {
    /// Not a name.
    #[error("{name:?} cannot be a service's name (1 to 63 characters of a-z, 0-9 and the hyphen)")]
    Name {
        /// What was given.
        name: String,
    },
    /// Not a target.
    #[error("{target:?} cannot be a service's target (tcp://HOST:PORT)")]
    Target {
        /// What was given.
        target: String,
    },
    /// There are as many as there may be.
    #[error("this node exposes as many services as it may ({SERVICES_PER_NODE_MAX})")]
    OverLimit,
}

/// Why a service cannot be listened for; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Not a name.
    #[error("{name:?} cannot be a service's name (1 to 63 characters of a-z, 0-9 and the hyphen)")]
    Name {
        /// What was given.
        name: String,
    },
    /// The address cannot be listened at.
    #[error("listen at {listen}: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// There are as many as there may be.
    #[error("this node has as many forwards as it may have ({FORWARDS_PER_NODE_MAX})")]
    OverLimit,
}

/// Why a service could not be reached; nothing of the connection was carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Nobody exposes it.
    #[error("no node exposes a service named {name:?}")]
    NotFound {
        /// The service.
        name: String,
    },
    /// The provider's policy forbids it.
    #[error("denied by {rule} at {provider}")]
    Denied {
        /// Who said so.
        provider: PeerId,
        /// The rule that decided.
        rule: String,
    },
    /// The provider is there, but not what stands behind the service.
    #[error("the target at {provider} failed: {reason}")]
    TargetFailed {
        /// Whose target.
        provider: PeerId,
        /// What it saw.
        reason: String,
    },
    /// The provider cannot be reached or did not serve.
    #[error("{provider}: {source}")]
    Session {
        /// Who.
        provider: PeerId,
        /// Why.
        source: SessionError,
    },
}

/// A forward, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardState {
    /// The service.
    pub name: String,
    /// Where this node listens for it.
    pub listen: SocketAddr,
    /// Connections open now.
    pub open: u64,
    /// Connections accepted since it was set up.
    pub total: u64,
    /// Connections that reached no provider.
    pub failed: u64,
    /// Why the last of those did not.
    pub last_failure: Option<ServiceError>,
}

/// The services that this node exposes and listens for. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    shared: Arc<Shared>,
}

struct Shared {
    me: PeerId,
    sessions: Sessions,
    exposed: Mutex<BTreeMap<String, String>>,
    /// What is exposed has changed.
    changed: Notify,
    forwards: Mutex<BTreeMap<SocketAddr, Listening>>,
}

struct Listening {
    forward: Arc<Forward>,
    task: AbortHandle,
}

struct Forward {
    name: String,
    open: AtomicU64,
    total: AtomicU64,
    failed: AtomicU64,
    last_failure: Mutex<Option<ServiceError>>,
}

/// A way to a service.
enum Reached {
    Session(SendStream, RecvStream, Place),
    /// This node is the provider itself.
    Target(TcpStream),
}

impl Services {
    /// Serves the streams that come out of `inbound` (see [`Inbox`](super::session::Inbox)) on the node `me`.
    pub fn start(me: PeerId, sessions: Sessions, inbound: mpsc::Receiver<Inbound>) -> Self {
        let shared = Arc::new(Shared {
            me,
            sessions,
            exposed: Mutex::default(),
            changed: Notify::new(),
            forwards: Mutex::default(),
        });
        tokio::spawn(serve_all(shared.clone(), inbound));
        Self { shared }
    }

    /// Exposes the TCP server at `target`, `tcp://HOST:PORT` or `HOST:PORT`, under `name`. A service of that name that is
    /// exposed already gets the new target; its connections go on.
    ///
    /// # Errors
    /// [`ExposeError`].
    pub fn expose(&self, name: &str, target: &str) -> Result<(), ExposeError> {
        if !is_service_name(name) {
            return Err(ExposeError::Name { name: name.to_owned() });
        }
        let target = parse_target(target).ok_or_else(|| ExposeError::Target { target: target.to_owned() })?;
        let mut exposed = self.shared.exposed();
        if exposed.len() >= SERVICES_PER_NODE_MAX && !exposed.contains_key(name) {
            return Err(ExposeError::OverLimit);
        }
        exposed.insert(name.to_owned(), target.to_owned());
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Takes a service back; its connections go on. Returns whether there was one.
    pub fn unexpose(&self, name: &str) -> bool {
        let was_there = self.shared.exposed().remove(name).is_some();
        self.shared.changed.notify_one();
        was_there
    }

    /// The exposed services and their targets (`HOST:PORT`), by name.
    pub fn exposed(&self) -> Vec<(String, String)> {
        self.shared.exposed().iter().map(|(name, target)| (name.clone(), target.clone())).collect()
    }

    /// Waits until what is exposed has changed, or for so long. One waits.
    pub(super) async fn changed(&self, patience: Duration) {
        let _ = timeout(patience, self.shared.changed.notified()).await;
    }

    /// Listens at `listen` (port 0: the system chooses) and carries each connection to a provider of `name`. Returns
    /// where it listens.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn forward(
        &self,
        name: &str,
        listen: SocketAddr,
        pick: ProviderPick,
    ) -> Result<SocketAddr, ForwardError> {
        if !is_service_name(name) {
            return Err(ForwardError::Name { name: name.to_owned() });
        }
        let failed = |source| ForwardError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let listen = listener.local_addr().map_err(failed)?;
        let mut forwards = self.shared.forwards();
        if forwards.len() >= FORWARDS_PER_NODE_MAX {
            return Err(ForwardError::OverLimit);
        }
        let forward = Arc::new(Forward::new(name));
        let task = tokio::spawn(listen_for(self.clone(), forward.clone(), listener, pick)).abort_handle();
        forwards.insert(listen, Listening { forward, task });
        Ok(listen)
    }

    /// Stops listening at `listen`; connections go on. Returns whether this node listened there.
    pub fn unforward(&self, listen: SocketAddr) -> bool {
        let listening = self.shared.forwards().remove(&listen);
        listening.inspect(|listening| listening.task.abort()).is_some()
    }

    /// The forwards, by address.
    pub fn forwards(&self) -> Vec<ForwardState> {
        self.shared.forwards().iter().map(|(listen, listening)| listening.forward.state(*listen)).collect()
    }

    /// Stops listening everywhere; connections go on.
    pub fn shut_down(&self) {
        for listening in std::mem::take(&mut *self.shared.forwards()).into_values() {
            listening.task.abort();
        }
    }

    /// Opens a stream to the service `name` at the first of `providers` that serves it, on the lane that carries least. The
    /// provider's target has answered when this returns.
    ///
    /// # Errors
    /// [`ServiceError`]; of several providers, what the last one said.
    pub async fn open(
        &self,
        name: &str,
        providers: &[PeerId],
    ) -> Result<(PeerId, SendStream, RecvStream, Place), ServiceError> {
        let request = StreamOpen::Service { name: name.to_owned() };
        let mut outcome = Err(ServiceError::NotFound { name: name.to_owned() });
        for &provider in providers.iter().filter(|provider| **provider != self.shared.me) {
            match self.shared.sessions.open_spread(provider, &request).await {
                Ok((send, recv, place)) => return Ok((provider, send, recv, place)),
                Err(error) => outcome = Err(refused(name, provider, error)),
            }
        }
        outcome
    }

    async fn reach(&self, name: &str, providers: &[PeerId]) -> Result<Reached, ServiceError> {
        let target = self.shared.exposed().get(name).cloned();
        match target {
            Some(target) if providers.contains(&self.shared.me) => {
                let failed = |reason| ServiceError::TargetFailed { provider: self.shared.me, reason };
                dial(&target).await.map(Reached::Target).map_err(failed)
            }
            _ => {
                let (_, send, recv, place) = self.open(name, providers).await?;
                Ok(Reached::Session(send, recv, place))
            }
        }
    }
}

impl Shared {
    fn exposed(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.exposed.lock().expect("BUG: nothing panics while it holds the services")
    }

    fn forwards(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Listening>> {
        self.forwards.lock().expect("BUG: nothing panics while it holds the forwards")
    }
}

impl Forward {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            open: AtomicU64::new(0),
            total: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        }
    }

    fn state(&self, listen: SocketAddr) -> ForwardState {
        ForwardState {
            name: self.name.clone(),
            listen,
            open: self.open.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_failure: self.last_failure.lock().expect("BUG: nothing panics while it holds a failure").clone(),
        }
    }

    fn note(&self, error: ServiceError) {
        tracing::warn!(service = self.name, %error, "failed to forward a connection");
        *self.last_failure.lock().expect("BUG: nothing panics while it holds a failure") = Some(error);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a failed opening means for the service.
fn refused(name: &str, provider: PeerId, error: SessionError) -> ServiceError {
    match error {
        SessionError::Refused(StreamRefusal::NoSuchService) => ServiceError::NotFound { name: name.to_owned() },
        SessionError::Refused(StreamRefusal::Denied { rule }) => ServiceError::Denied { provider, rule },
        SessionError::Refused(StreamRefusal::TargetFailed { reason }) => {
            ServiceError::TargetFailed { provider, reason }
        }
        source => ServiceError::Session { provider, source },
    }
}

async fn listen_for(services: Services, forward: Arc<Forward>, listener: TcpListener, pick: ProviderPick) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // While all places are taken, connections wait in the listener's backlog.
        let place = places.clone().acquire_owned().await.expect("BUG: nobody closes the semaphore");
        let (tcp, _) = next_connection(&listener, &forward.name).await;
        forward.total.fetch_add(1, Ordering::Relaxed);
        forward.open.fetch_add(1, Ordering::Relaxed);
        let (services, forward, pick) = (services.clone(), forward.clone(), pick.clone());
        tokio::spawn(async move {
            let mut span = services.shared.sessions.tracer().root("forward", Kind::Server);
            span.text("prunella.service", || forward.name.clone());
            let context = span.context();
            spans::under(context, serve_user(&services, &forward, tcp, (&pick, &mut span))).await;
            forward.open.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

async fn serve_user(services: &Services, forward: &Forward, tcp: TcpStream, how: (&ProviderPick, &mut Span)) {
    let (pick, span) = how;
    let carried = match services.reach(&forward.name, &pick(&forward.name)).await {
        Ok(Reached::Session(send, recv, _place)) => carry(tcp, send, recv, &Pass::free()).await,
        Ok(Reached::Target(target)) => carry_locally(tcp, target, &Pass::free()).await,
        Err(error) => {
            abort(tcp);
            span.fail_as("unreachable", &error);
            return forward.note(error);
        }
    };
    if let Err(error) = &carried {
        span.fail_as("aborted", error);
    }
    match carried {
        Ok(()) => {}
        Err(Aborted::EndedByPeer(ending)) => {
            tracing::warn!(service = forward.name, %ending, "the provider has ended a connection");
        }
        Err(error) => tracing::debug!(service = forward.name, %error, "a forwarded connection was aborted"),
    }
}

async fn serve_all(shared: Arc<Shared>, mut inbound: mpsc::Receiver<Inbound>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(inbound) = inbound.recv().await {
        let shared = shared.clone();
        let place = places.clone().try_acquire_owned();
        tokio::spawn(async move {
            match place {
                Ok(_place) => serve(&shared, inbound).await,
                Err(_) => inbound.refuse(StreamRefusal::Busy).await,
            }
        });
    }
}

async fn serve(shared: &Shared, inbound: Inbound) {
    let target = match inbound.request() {
        StreamOpen::Service { name } => shared.exposed().get(name).cloned(),
        _ => None,
    };
    let mut span = shared.sessions.tracer().join(inbound.trace(), "serve", Kind::Server);
    describe(&mut span, inbound.from(), inbound.request());
    let Some(target) = target else { return inbound.refuse(StreamRefusal::NoSuchService).await };
    let tcp = match dial(&target).await {
        Ok(tcp) => tcp,
        Err(reason) => {
            span.fail_as("target", &reason);
            return inbound.refuse(StreamRefusal::TargetFailed { reason }).await;
        }
    };
    let from = inbound.from();
    match inbound.accept().await {
        Some((send, recv, pass)) => {
            if let Err(error) = carry(tcp, send, recv, &pass).await {
                span.fail_as("aborted", &error);
                tracing::debug!(%from, %error, "a served connection was aborted");
            }
        }
        None => abort(tcp),
    }
}

pub(super) async fn dial(target: &str) -> Result<TcpStream, String> {
    match timeout(TARGET_TIMEOUT, TcpStream::connect(target)).await {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err("connection refused".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// `HOST:PORT` out of that or of `tcp://HOST:PORT`.
fn parse_target(text: &str) -> Option<&str> {
    let target = text.strip_prefix("tcp://").unwrap_or(text);
    let (host, port) = target.rsplit_once(':')?;
    let plain = |b: u8| b.is_ascii_graphic() && b != b'/';
    let host_is_good = !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(plain);
    let port_is_good = port.parse::<u16>().is_ok_and(|port| port != 0);
    (host_is_good && port_is_good).then_some(target)
}

/// How long a provider's target may take to answer.
const TARGET_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections of one forward, and streams served by one node, at once.
const CONNECTIONS_MAX: usize = SESSION_STREAMS_MAX as usize;
/// Longest host name (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 255;
const _: () = assert!(TARGET_TIMEOUT.as_secs() < SESSION_TIMEOUT.as_secs(), "the user hears why, not only that");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_host_and_a_port() {
        assert_eq!(parse_target("tcp://localhost:80"), Some("localhost:80"));
        assert_eq!(parse_target("[::1]:8080"), Some("[::1]:8080"));
        for bad in ["", "80", ":80", "localhost", "localhost:0", "localhost:http", "udp://localhost:80", "a b:1"] {
            assert_eq!(parse_target(bad), None, "{bad:?}");
        }
    }
}
