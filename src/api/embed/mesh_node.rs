//! The handle on a node.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::{MESSAGE_BYTES_MAX, SESSION_TIMEOUT};
use tokio::time::timeout;

use super::broadcast::{self, Broadcast};
use super::connection::Connection;
use super::discovery::{DiscoveryService, discover};
use super::inbox::Handling;
use super::life::Life;
use super::reach;
use super::shared_values::SharedValues;
use crate::api::answers::Answers;
use crate::api::configuration::{MeshConfig, load};
use crate::api::error::{Error, ErrorKind};
use crate::api::node::Around;
use crate::api::remote::FarNode;
use crate::api::server::User;
use crate::api::setup::{self, InitOptions, InviteOptions, JoinOptions};
use crate::api::vocabulary::{PeerInfo, Request, Response};
use crate::host::{Host, Machine};
use crate::security::{Credentials, NotAToken, SecurityError, Token};
use crate::transport::MessageError;

/// A node of a mesh that runs in this process, on the Tokio runtime that started it.
///
/// Cheap to clone. The node runs until [`MeshNode::stop`], even when every handle has been dropped; its state lives in
/// its directory, from which it can be started again. The node's control socket is there too, so `prunella status --dir`
/// works on an embedded node.
///
/// Messages between nodes need a rule with `action = "message"` in the *receiver's* policy file.
#[derive(Clone)]
pub struct MeshNode {
    life: Arc<Life>,
}

impl MeshNode {
    /// Starts the first node of a mesh in `dir`: founds the mesh, unless that was done before. Relative paths in
    /// `config` count from `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] if `dir` belongs to another mesh; otherwise as [`MeshNode::start`].
    pub async fn found(dir: impl AsRef<Path>, trust_domain: &str, config: MeshConfig) -> Result<Self, Error> {
        Self::found_certifying(dir, trust_domain, setup::Algorithm::default(), config).await
    }

    /// As [`MeshNode::found`], with certificates of this algorithm, for as long as the mesh lives.
    ///
    /// # Errors
    /// As [`MeshNode::found`]; a mesh that was founded before keeps its own algorithm.
    pub async fn found_certifying(
        dir: impl AsRef<Path>,
        trust_domain: &str,
        certificates: setup::Algorithm,
        config: MeshConfig,
    ) -> Result<Self, Error> {
        Self::found_as(Machine::shared(), dir.as_ref(), (trust_domain, certificates), config).await
    }

    /// As [`MeshNode::found`], on another host than the machine itself.
    ///
    /// # Errors
    /// As [`MeshNode::found`].
    pub async fn found_on(
        host: Arc<dyn Host>,
        dir: impl AsRef<Path>,
        trust_domain: &str,
        config: MeshConfig,
    ) -> Result<Self, Error> {
        Self::found_as(host, dir.as_ref(), (trust_domain, setup::Algorithm::default()), config).await
    }

    async fn found_as(
        host: Arc<dyn Host>,
        dir: &Path,
        (trust_domain, certificates): (&str, setup::Algorithm),
        config: MeshConfig,
    ) -> Result<Self, Error> {
        match Credentials::load(dir) {
            Err(SecurityError::NotAMember { .. }) => {
                let (name, listen, advertise) = (None, None, Vec::new());
                let trust_domain = trust_domain.to_owned();
                let options = InitOptions { name, trust_domain, certificates, listen, advertise };
                setup::init_on(&*host, dir, options)?;
            }
            Err(error) => return Err(error.into()),
            Ok(credentials) => same_mesh(dir, &credentials, trust_domain)?,
        }
        Self::start_on(host, dir, config).await
    }

    /// Starts a node in `dir` that joins a mesh with an invitation: `token` is used, unless the node has joined before
    /// and its certificate is still good. Relative paths in `config` count from `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no token, [`ErrorKind::ConnectionFailed`] if the inviter cannot be
    /// reached, [`ErrorKind::AuthenticationFailed`] if it refuses, [`ErrorKind::Identity`] if `dir` belongs to another
    /// mesh; otherwise as [`MeshNode::start`].
    pub async fn join(dir: impl AsRef<Path>, token: &str, config: MeshConfig) -> Result<Self, Error> {
        Self::join_on(Machine::shared(), dir, token, config).await
    }

    /// As [`MeshNode::join`], on another host than the machine itself.
    ///
    /// # Errors
    /// As [`MeshNode::join`].
    pub async fn join_on(
        host: Arc<dyn Host>,
        dir: impl AsRef<Path>,
        token: &str,
        config: MeshConfig,
    ) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let parsed: Token =
            token.trim().parse().map_err(|error: NotAToken| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        let is_member = match Credentials::load(dir) {
            Err(SecurityError::NotAMember { .. }) => false,
            Err(error) => return Err(error.into()),
            Ok(credentials) => {
                same_mesh(dir, &credentials, parsed.trust_domain.as_str())?;
                credentials.certificate_expiry_unix() > host.unix_time().as_secs()
            }
        };
        if !is_member {
            let options = JoinOptions { token: token.to_owned(), name: None, listen: None, advertise: Vec::new() };
            setup::join_on(&host, dir, options).await?;
        }
        Self::start_on(host, dir, config).await
    }

    /// Starts the node that lives in `dir`. Relative paths in `config` count from `dir`; whom the node's own
    /// `config.toml` names under `bootstrap` is dialed as well, since a join writes the inviter there.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a value is not allowed, [`ErrorKind::Identity`] if no node lives there or its
    /// certificate has expired, [`ErrorKind::Storage`] or [`ErrorKind::System`] if the store or the port cannot be
    /// opened. Nothing keeps running.
    pub async fn start(dir: impl AsRef<Path>, config: MeshConfig) -> Result<Self, Error> {
        Self::start_on(Machine::shared(), dir, config).await
    }

    /// As [`MeshNode::start`], on another host than the machine itself.
    ///
    /// # Errors
    /// As [`MeshNode::start`].
    pub async fn start_on(host: Arc<dyn Host>, dir: impl AsRef<Path>, config: MeshConfig) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let config = placed(dir, checked(config)?)?;
        let running = crate::api::node::start_on(host, dir, config, false, Around::Program).await?;
        Ok(Self { life: Life::begin(dir.to_path_buf(), running) })
    }

    /// Who the node is.
    pub fn peer_id(&self) -> PeerId {
        self.life.peer
    }

    /// Where the node listens (UDP): the port that the system chose, if the configuration says 0.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.life.node()?.shell().port.local_addr())
    }

    /// Makes an invitation, good for `life` and for one node; this node must hold the authority's key, as the founder
    /// does, and run when the invitation is used.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] if this node cannot issue, [`ErrorKind::InvalidInput`] if nobody could find it,
    /// [`ErrorKind::NotRunning`].
    pub fn invite(&self, life: Duration) -> Result<String, Error> {
        let node = self.life.node()?;
        let addresses = node.shell().advertised.clone();
        setup::invite_on(&*node.shell().host, &self.life.dir, InviteOptions { life, addresses })
    }

    /// Every node that is known, this one included, ordered by id.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        self.life.during(|node| async move { node.peers().await }).await
    }

    /// What the node exports about itself, in the text format of Prometheus, version 0.0.4; `docs/metrics.md` says what
    /// that is. It takes about 100 ms at most, also while actors are stuck: what only they know is left out then.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`].
    pub async fn metrics(&self) -> Result<String, Error> {
        self.life.during(|node| async move { Ok(node.metrics().await) }).await
    }

    /// Asks the node anything that the command line could ask it. [`Request::Shutdown`] begins a stop and does not wait
    /// for it.
    ///
    /// # Errors
    /// Those of the request; [`ErrorKind::NotRunning`]. A [`Response::Error`] is never returned.
    pub async fn request(&self, request: Request) -> Result<Response, Error> {
        self.life.during(|node| async move { node.answer(request).await }).await
    }

    /// Has another node perform a request, as `prunella --node` does: a peer id, a prefix of one, or a node's name. That
    /// node's policy decides by this node's peer id (action `command`), and both ledgers say who changed something.
    ///
    /// # Errors
    /// Those of the request; [`ErrorKind::Denied`] if that node does not allow it, or nobody may do it from afar;
    /// [`ErrorKind::PeerNotFound`], [`ErrorKind::NoPath`], [`ErrorKind::ConnectionFailed`], [`ErrorKind::TimedOut`]: the text
    /// says whether something may have been done; [`ErrorKind::NotRunning`]. A [`Response::Error`] is never returned.
    pub async fn request_at(&self, node: &str, request: Request) -> Result<Response, Error> {
        let ask = |answers: Arc<Answers>| async move {
            let far = FarNode::connect(&answers, node, false, User::this_process()).await?;
            match far.ask(&request).await? {
                Response::Error { error } => Err(error),
                response => Ok(response),
            }
        };
        self.life.during(ask).await
    }

    /// Opens a connection to a peer, over a session that reaches it through whichever path is best. Waits up to 10
    /// seconds for a path and as long as `limits::SESSION_TIMEOUT` for the peer. The peer has let it in when this returns.
    ///
    /// # Errors
    /// - [`ErrorKind::PeerNotFound`], at once, if no such node is known; see [`MeshNode::wait_for_peer`].
    /// - [`ErrorKind::NoPath`] or [`ErrorKind::NatTraversalFailed`] if no path could be found in time.
    /// - [`ErrorKind::Denied`] if the peer's policy forbids messages from this node.
    /// - [`ErrorKind::ServiceNotFound`] if the peer's program receives no connections.
    /// - [`ErrorKind::AuthenticationFailed`], [`ErrorKind::ConnectionFailed`], [`ErrorKind::TimedOut`],
    ///   [`ErrorKind::OverLimit`], [`ErrorKind::NotRunning`], and [`ErrorKind::InvalidInput`] for this node itself.
    pub async fn connect(&self, peer: PeerId) -> Result<Connection, Error> {
        let open = |node: Arc<Answers>| async move {
            let channel = reach::open(node.shell(), node.sessions(), peer).await?;
            Ok((channel, node.shell().known.name(&peer)))
        };
        let (channel, name) = self.life.during(open).await?;
        Ok(self.life.adopt(channel, name))
    }

    /// Has `handler` called for each connection that a peer opens, from now on, in a task of its own that ends with the
    /// node. It replaces the handler that was set before. Until there is one, peers hear that nothing receives messages
    /// here.
    ///
    /// At most `limits::SESSION_STREAMS_MAX` handlers run at once; beyond, peers hear that the node is busy.
    pub fn on_connection<F>(&self, handler: impl Fn(Connection) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.life.handle_with(Arc::new(move |connection| Box::pin(handler(connection)) as Handling));
    }

    /// Sends one message to every node that can be reached now, several at once. Each receives it as a connection with
    /// one message.
    ///
    /// # Errors
    /// [`ErrorKind::OverLimit`] if the message is too long: nothing was sent. [`ErrorKind::NotRunning`]. That some nodes
    /// could not be reached is no error; the [`Broadcast`] says so.
    pub async fn broadcast(&self, message: &[u8]) -> Result<Broadcast, Error> {
        if message.len() > MESSAGE_BYTES_MAX {
            let error = MessageError::TooLong { bytes: message.len() };
            return Err(Error::new(ErrorKind::OverLimit, error.to_string()));
        }
        let message: Arc<[u8]> = message.into();
        let send = |node: Arc<Answers>| async move {
            let mut peers: Vec<PeerId> = node.reachable().await?.into_keys().collect();
            peers.retain(|peer| *peer != node.shell().credentials.peer());
            Ok(broadcast::to_all(peers, |peer| deliver(Arc::clone(&node), peer, Arc::clone(&message))).await)
        };
        self.life.during(send).await
    }

    /// Publishes the TCP server at `target` (`tcp://HOST:PORT`) in the mesh under a name, also after a restart.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], [`ErrorKind::OverLimit`], [`ErrorKind::Storage`] if it is published but the store
    /// fails, so that it would not be after a restart, [`ErrorKind::TimedOut`], [`ErrorKind::NotRunning`].
    pub async fn expose(&self, name: &str, target: &str) -> Result<(), Error> {
        self.request(Request::Expose { name: name.to_owned(), target: target.to_owned() }).await.map(|_| ())
    }

    /// Listens at `listen` (port 0: the system chooses) and carries each TCP connection to a service of the mesh.
    /// Returns where it listens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], [`ErrorKind::System`], [`ErrorKind::OverLimit`], [`ErrorKind::NotRunning`].
    pub async fn forward(&self, name: &str, listen: SocketAddr) -> Result<SocketAddr, Error> {
        match self.request(Request::Forward { name: name.to_owned(), listen }).await? {
            Response::Forwarding { listen } => Ok(listen),
            other => unreachable!("BUG: a forward is answered by where it listens, not {other:?}"),
        }
    }

    /// The values that all members of the mesh share.
    pub fn shared(&self) -> SharedValues {
        SharedValues::of(self.clone())
    }

    /// Has a service asked for neighbors, now and again and again until the node stops; a node has at most 8.
    ///
    /// # Errors
    /// [`ErrorKind::OverLimit`], [`ErrorKind::NotRunning`].
    pub fn discover_with(&self, service: impl DiscoveryService) -> Result<(), Error> {
        let shell = Arc::downgrade(self.life.node()?.shell());
        self.life.run(discover(shell, Arc::new(service)))
    }

    /// Waits until there is a path to `peer`, whether or not the node is known yet.
    ///
    /// # Errors
    /// Why there is none after `patience`: [`ErrorKind::PeerNotFound`], [`ErrorKind::NatTraversalFailed`] or
    /// [`ErrorKind::NoPath`]. [`ErrorKind::NotRunning`].
    pub async fn wait_for_peer(&self, peer: PeerId, patience: Duration) -> Result<(), Error> {
        if peer == self.peer_id() {
            return Ok(());
        }
        self.life.during(|node| async move { reach::path_to(node.shell(), peer, patience).await }).await
    }

    /// Stops the node and waits until everything is free again: tasks, port, store. Neighbors hear it at once, and
    /// connections are lost: close them before. Stopping twice does no harm.
    ///
    /// # Errors
    /// The reason, if the node had ended before because it could not go on.
    pub async fn stop(&self) -> Result<(), Error> {
        self.life.stop().await;
        self.life.ended().await
    }

    /// Waits until the node has ended: by [`MeshNode::stop`], by `prunella down`, or because it could not go on.
    ///
    /// # Errors
    /// The reason, if it could not go on.
    pub async fn ended(&self) -> Result<(), Error> {
        self.life.ended().await
    }
}

impl fmt::Debug for MeshNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshNode").field("peer", &self.life.peer).field("dir", &self.life.dir).finish()
    }
}

async fn deliver(node: Arc<Answers>, peer: PeerId, message: Arc<[u8]>) -> Result<(), Error> {
    let channel = reach::open(node.shell(), node.sessions(), peer).await?;
    let name = node.shell().known.name(&peer);
    let send = async {
        channel.send(&message).await?;
        channel.close().await
    };
    let sent = timeout(SESSION_TIMEOUT, send).await.map_err(|_| broadcast::late(&name))?;
    sent.map_err(|error| Error::new(ErrorKind::ConnectionFailed, format!("{name}: {error}")))
}

fn same_mesh(dir: &Path, credentials: &Credentials, trust_domain: &str) -> Result<(), Error> {
    if credentials.trust_domain() == trust_domain {
        return Ok(());
    }
    let text = format!("{} belongs to the mesh {}, not {trust_domain}", dir.display(), credentials.trust_domain());
    Err(Error::new(ErrorKind::Identity, text))
}

/// A configuration that was built in a program is held to the same bounds as one that was written in a file.
fn checked(config: MeshConfig) -> Result<MeshConfig, Error> {
    let text = toml::to_string(&config).map_err(|error| Error::new(ErrorKind::Configuration, error.to_string()))?;
    Ok(MeshConfig::parse(&text, Path::new("MeshConfig"))?)
}

/// The configuration as the node in `dir` needs it.
fn placed(dir: &Path, mut config: MeshConfig) -> Result<MeshConfig, Error> {
    let in_dir = |path: &mut PathBuf| {
        // What was loaded from a file in a relative `dir` begins with it already.
        if !path.starts_with(dir) {
            *path = dir.join(&*path);
        }
    };
    in_dir(&mut config.store.directory);
    in_dir(&mut config.policy.file);
    for bootstrap in load(dir, None)?.bootstrap {
        if !config.bootstrap.contains(&bootstrap) {
            config.bootstrap.push(bootstrap);
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_the_nodes_directory() {
        let dir = tempfile::tempdir().unwrap();
        let once = placed(dir.path(), MeshConfig::default()).unwrap();
        assert_eq!(once.policy.file, dir.path().join("policy.toml"));
        assert_eq!(placed(dir.path(), once.clone()).unwrap(), once, "what is placed stays");
    }

    #[test]
    fn a_value_that_no_file_may_hold_is_refused() {
        let mut config = MeshConfig::default();
        assert_eq!(checked(config.clone()).unwrap(), config);
        config.paths.count = 99;
        let error = checked(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("paths.count"), "{error}");
    }
}
