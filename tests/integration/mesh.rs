//! Founds meshes the way a user does, runs their nodes, and waits until they are in the state that is needed.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use prunella::api::client::Client;
use prunella::api::vocabulary::{ActorInfo, Failure, IncidentInfo, LinkInfo, PathInfo, PeerInfo, Reach, Status};
use prunella::api::{Error, Request, Response};
use prunella::security;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinSet;
use toml::{Table, Value};

use super::process::{Process, Told, run};

/// What a mesh is to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many nodes, named `n0` and so on.
    pub(crate) nodes: usize,
    /// Who is linked to whom; nobody else.
    pub(crate) links: Vec<(usize, usize)>,
    /// Every node's policy.
    pub(crate) policy: String,
    /// More of every node's configuration.
    pub(crate) config: Table,
    /// The algorithm of the nodes' certificates.
    pub(crate) certificates: &'static str,
}

impl Plan {
    /// Four nodes; from n0 to n2 over n1 or over n3.
    pub(crate) fn diamond() -> Self {
        Self::of(4, &[(0, 1), (1, 2), (0, 3), (3, 2)])
    }

    /// Five nodes in a ring: without any one of them the others still reach each other, in a line.
    pub(crate) fn ring() -> Self {
        Self::of(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])
    }

    /// Four nodes in a line.
    pub(crate) fn chain() -> Self {
        Self::of(4, &[(0, 1), (1, 2), (2, 3)])
    }

    /// Two nodes and their link.
    pub(crate) fn pair() -> Self {
        Self::of(2, &[(0, 1)])
    }

    /// So many nodes, all of them linked to n0.
    pub(crate) fn star(nodes: usize) -> Self {
        Self::of(nodes, &(1..nodes).map(|other| (0, other)).collect::<Vec<_>>())
    }

    /// Eleven nodes: eight around n0; n7, which is linked to n4 alone; and n10, which is linked to n1, n2, n3 and n4 alone.
    pub(crate) fn outskirts() -> Self {
        let hub = (1..10).filter(|other| *other != 7).map(|other| (0, other));
        let links = hub.chain([(4, 7)]).chain((1..5).map(|neighbor| (neighbor, 10)));
        Self::of(11, &links.collect::<Vec<_>>())
    }

    /// One node.
    pub(crate) fn alone() -> Self {
        Self::of(1, &[])
    }

    fn of(nodes: usize, links: &[(usize, usize)]) -> Self {
        let (policy, certificates) = (OPEN_POLICY.to_owned(), "ed25519");
        Self { nodes, links: links.to_vec(), policy, config: Table::new(), certificates }
    }

    fn neighbors(&self, node: usize) -> BTreeSet<usize> {
        let other = |&(a, b): &(usize, usize)| (a == node).then_some(b).or((b == node).then_some(a));
        self.links.iter().filter_map(other).collect()
    }
}

/// The nodes of a mesh; dropping it kills them and removes their files.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) nodes: Vec<Node>,
    plan: Plan,
    dir: TempDir,
}

impl Mesh {
    /// Founds a mesh, joins every node to it with a token of its own, and waits until all links are up and every node
    /// reaches every other.
    pub(crate) async fn found(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mesh = Self { nodes: Vec::new(), plan, dir };
        mesh.nodes = (0..mesh.plan.nodes).map(|number| Node::new(mesh.dir.path(), number)).collect();
        mesh.nodes.iter().for_each(|node| mesh.configure(node));
        let init = ["init", "--trust-domain", "test.prunella", "--certificates", mesh.plan.certificates];
        run(&mesh.nodes[0].dir, &init).await.ok();
        mesh.nodes[0].start().await;
        mesh.join_all().await;
        for number in 1..mesh.nodes.len() {
            mesh.nodes[number].spawn();
        }
        mesh.whole().await;
        mesh
    }

    fn configure(&self, node: &Node) {
        let neighbors = self.plan.neighbors(node.number);
        let peers: Vec<_> = neighbors.iter().map(|&other| self.nodes[other].peer.clone()).collect();
        let bootstrap: Vec<_> = neighbors.iter().map(|&other| self.nodes[other].bootstrap()).collect();
        let mut config = self.plan.config.clone();
        config.insert("name".to_owned(), node.name.clone().into());
        config.insert("listen".to_owned(), node.listen.to_string().into());
        config.insert("bootstrap".to_owned(), bootstrap.into());
        config.insert("neighbors".to_owned(), Table::from_iter([("peers".to_owned(), Value::from(peers))]).into());
        let chaos = || Table::from_iter([("allow".to_owned(), Value::from(true))]).into();
        config.entry("chaos").or_insert_with(chaos);
        let http = || Table::from_iter([("listen".to_owned(), Value::from("127.0.0.1:0"))]).into();
        config.entry("http").or_insert_with(http);
        // What a test does to nodes at its time must not wait for them.
        config.entry("nice").or_insert_with(|| 0.into());
        fs::write(node.dir.join("config.toml"), config.to_string()).unwrap();
        fs::write(node.dir.join("policy.toml"), &self.plan.policy).unwrap();
    }

    async fn join_all(&self) {
        // More at once would be too many guests on a busy host.
        for some in self.nodes[1..].chunks(5) {
            let mut joins = JoinSet::new();
            for node in some {
                let (founder, dir) = (self.nodes[0].dir.clone(), node.dir.clone());
                joins.spawn(async move {
                    let token = invite(&founder).await;
                    run(&dir, &["join", &token]).await.ok();
                });
            }
            joins.join_all().await;
        }
    }

    /// Waits until all links are up at both ends and every node reaches every other.
    pub(crate) async fn whole(&self) {
        until("the mesh whole", PATIENCE, async || {
            for node in &self.nodes {
                let up = node.links().await?.into_iter().filter(|link| link.state == "up").count();
                let reached = node.peers().await?.into_iter().filter(|peer| peer.state != Reach::Unreachable).count();
                let wanted = (self.plan.neighbors(node.number).len(), self.nodes.len());
                if (up, reached) != wanted {
                    return Err(format!("{} has {:?} of {wanted:?} links and nodes", node.name, (up, reached)));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until `count` paths from node `from` to node `to` are in use or warm; the relays of the one in use.
    pub(crate) async fn paths(&self, from: usize, to: usize, count: usize) -> Vec<usize> {
        let (from, to) = (&self.nodes[from], &self.nodes[to].peer);
        until(&format!("{count} paths from {} to {to}", from.name), PATIENCE, async || {
            let paths = from.paths(to).await?;
            let ready = paths.iter().filter(|path| ["in-use", "warm"].contains(&path.state.as_str())).count();
            let used = paths.iter().find(|path| path.state == "in-use").filter(|_| ready >= count);
            used.map(|path| self.relays(path)).ok_or_else(|| format!("{paths:?}"))
        })
        .await
    }

    fn relays(&self, path: &PathInfo) -> Vec<usize> {
        let number = |hop: &prunella::api::PeerId| self.nodes.iter().position(|node| node.peer == hop.to_string());
        path.hops[1..path.hops.len() - 1].iter().map(|hop| number(hop).unwrap()).collect()
    }
}

/// A node of a mesh.
#[derive(Debug)]
pub(crate) struct Node {
    number: usize,
    pub(crate) name: String,
    pub(crate) peer: String,
    pub(crate) dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) process: Option<Process>,
}

impl Node {
    /// A node in a directory of its own below `home`, which has an identity and nothing else yet.
    pub(crate) fn new(home: &Path, number: usize) -> Self {
        let name = format!("n{number}");
        let dir = home.join(&name);
        let peer = security::create_identity(&dir).unwrap().peer().to_string();
        Self { number, name, peer, dir, listen: free_address(), process: None }
    }

    /// How others are told to dial it.
    pub(crate) fn bootstrap(&self) -> String {
        format!("{}@{}", self.peer, self.listen)
    }

    /// Where its process writes what it has to say.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// What its process has said so far, in all of its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    // --- Its process ---

    /// Starts its process.
    pub(crate) fn spawn(&mut self) {
        self.process = Some(Process::up(&self.dir, &self.log_file()));
    }

    /// Starts its process and waits until it answers.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.answers().await;
    }

    /// Waits until it answers.
    pub(crate) async fn answers(&mut self) {
        let what = format!("{} up", self.name);
        until(&what, PATIENCE, async || {
            self.process.as_mut().unwrap().assert_runs();
            self.status().await.map(drop)
        })
        .await;
    }

    /// Asks it to stop and waits until its process is gone, with exit code 0.
    pub(crate) async fn stop(&mut self) {
        run(&self.dir, &["down"]).await.ok();
        let status = self.process.as_mut().unwrap().ended(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.process = None;
    }

    /// Kills its process.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.as_ref().unwrap().signal(signal);
    }

    /// Its process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    // --- Asking it ---

    /// Runs a command on it.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Told {
        run(&self.dir, arguments).await
    }

    /// Asks it one question, on a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response, Error> {
        let socket = self.dir.join("control.sock");
        let exchange = async { Client::connect(&socket).await?.request(request).await };
        match tokio::time::timeout(Duration::from_secs(10), exchange).await {
            Ok(Ok(Response::Error { error })) => Err(error),
            Ok(answer) => answer,
            Err(_) => panic!("{} does not answer {request:?}", self.name),
        }
    }

    /// Asks it for something that must succeed.
    pub(crate) async fn done(&self, request: &Request) {
        assert_eq!(self.ask(request).await, Ok(Response::Done), "{request:?}");
    }

    pub(crate) async fn status(&self) -> Result<Status, String> {
        match self.told(&Request::Status).await? {
            Response::Status(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn links(&self) -> Result<Vec<LinkInfo>, String> {
        match self.told(&Request::Links).await? {
            Response::Links { links } => Ok(links),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn peers(&self) -> Result<Vec<PeerInfo>, String> {
        match self.told(&Request::Peers { after: None }).await? {
            Response::Peers { peers, .. } => Ok(peers),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn actors(&self) -> Result<Vec<ActorInfo>, String> {
        match self.told(&Request::Actors).await? {
            Response::Actors { actors } => Ok(actors),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until nothing is on its way to the store.
    pub(crate) async fn all_kept(&self) {
        until(&format!("{} to keep all of it", self.name), PATIENCE, async || {
            match self.actor("knowledge").await?.mailbox {
                0 => Ok(()),
                waiting => Err(format!("{waiting} batches wait")),
            }
        })
        .await;
    }

    /// The actor of that name.
    pub(crate) async fn actor(&self, name: &str) -> Result<ActorInfo, String> {
        self.actors().await?.into_iter().find(|actor| actor.name == name).ok_or_else(|| format!("no actor {name}"))
    }

    pub(crate) async fn incidents(&self) -> Result<Vec<IncidentInfo>, String> {
        match self.told(&Request::Incidents).await? {
            Response::Incidents { incidents } => Ok(incidents),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn paths(&self, destination: &str) -> Result<Vec<PathInfo>, String> {
        match self.told(&Request::Paths { destination: destination.to_owned(), why: false }).await? {
            Response::Paths { paths, .. } => Ok(paths),
            other => panic!("{other:?}"),
        }
    }

    async fn told(&self, request: &Request) -> Result<Response, String> {
        self.ask(request).await.map_err(|error| format!("{}: {error}", self.name))
    }

    /// A round trip to another node.
    pub(crate) async fn ping(&self, destination: &str) -> Result<Response, Error> {
        self.ask(&Request::Ping { destination: destination.to_owned(), timeout_ms: 5000 }).await
    }

    /// Makes an actor fail. The surface that is to answer may fall with it.
    pub(crate) async fn fail(&self, actor: &str, how: Failure) {
        let asked = self.ask(&Request::KillActor { actor: actor.to_owned(), how }).await;
        let fell = |error: &Error| error.kind() == prunella::api::ErrorKind::ConnectionFailed;
        assert!(asked == Ok(Response::Done) || asked.as_ref().is_err_and(fell), "{actor} {how:?}: {asked:?}");
    }

    /// Publishes a TCP service.
    pub(crate) async fn expose(&self, name: &str, target: SocketAddr) {
        self.done(&Request::Expose { name: name.to_owned(), target: format!("tcp://{target}") }).await;
    }

    /// Listens for a service once it is known here; where.
    pub(crate) async fn forward(&self, name: &str) -> SocketAddr {
        until(&format!("{name} known at {}", self.name), PATIENCE, async || {
            match self.told(&Request::Services { after: None, after_provider: None }).await? {
                Response::Services { services, .. } if services.iter().any(|service| service.name == name) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        match self.ask(&Request::Forward { name: name.to_owned(), listen }).await {
            Ok(Response::Forwarding { listen }) => listen,
            other => panic!("{other:?}"),
        }
    }
}

/// A token of the node in `dir`, which holds the authority's key.
pub(crate) async fn invite(dir: &Path) -> String {
    run(dir, &["invite", "--expires", "10m"]).await.ok().trim().to_owned()
}

/// Checks again and again until `check` is content, at most for `patience`; a failed check says what is missing.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut check: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let missing = match check().await {
                Ok(found) => return found,
                Err(missing) => missing,
            };
            let over = tokio::time::Instant::now() >= deadline;
            assert!(!over, "{what}: not within {patience:?} ({caller}): {missing}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A loopback address whose UDP port is free and below the range from which the system gives ports to others. No two
/// tests of this process get the same.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + std::process::id() * 61;
        let port = 10_000 + u16::try_from(offset % 20_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Members may do everything.
pub(crate) const OPEN_POLICY: &str = r#"
[[rule]]
effect = "allow"
from = ["*"]
action = "connect"

[[rule]]
effect = "allow"
from = ["*"]
action = "ping"

[[rule]]
effect = "allow"
from = ["*"]
action = "relay"
"#;
