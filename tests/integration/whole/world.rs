//! A world: a handful of whole nodes on machines in memory, founded and joined as real ones are.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use prunella::api::configuration::Bootstrap;
use prunella::api::vocabulary::Reach;
use prunella::{Connection, MeshConfig, MeshNode, PeerId, Request, Response};
use prunella_core::identity::Identity;
use prunella_core::rng::Rng;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::machine::Machine;
use super::network::{Network, Wire};
use super::trace::Trace;

/// Nodes, the machines that they run on, and who is linked to whom.
pub(crate) struct World {
    pub(crate) trace: Arc<Trace>,
    pub(crate) network: Arc<Network>,
    pub(crate) nodes: Vec<Node>,
    /// A ring, so that there is a way around whatever fails, and perhaps a chord.
    pub(crate) links: Vec<(usize, usize)>,
    /// Kept for the nodes' files.
    _home: TempDir,
}

/// A node and its machine.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) peer: PeerId,
    pub(crate) machine: Arc<Machine>,
    dir: PathBuf,
    config: MeshConfig,
    /// While it runs.
    handle: Option<MeshNode>,
    /// What it said of itself last.
    told: Vec<String>,
}

impl World {
    /// Draws a mesh, founds it on its first node, and joins the others with a token each.
    pub(crate) async fn found(rng: &mut Rng) -> Self {
        let trace = Arc::new(Trace::begin());
        let usual = Wire {
            latency: Duration::from_millis(1 + rng.below(10) as u64),
            jitter: Duration::from_millis(rng.below(4) as u64),
            loss_permille: rng.below(2) * 5,
            cut: false,
        };
        let network = Network::new(rng.next_u64(), usual, trace.clone());
        let count = 4 + rng.below(3);
        let links = draw_links(count, rng);
        let home = tempfile::tempdir().unwrap();
        let nodes = (0..count).map(|number| Node::new(number, home.path(), &network, &trace, rng)).collect();
        let mut world = Self { trace, network, nodes, links, _home: home };
        world.trace.tell(format!("{count} nodes, links {:?}, wires {usual:?}", world.links));
        world.draw_wires(usual, rng);
        world.configure();
        let founder = world.nodes[0].found().await;
        for node in &mut world.nodes[1..] {
            let token = founder.invite(Duration::from_secs(600)).unwrap();
            node.join(&token).await;
        }
        world
    }

    /// A mesh of two sites, far from each other: nodes with even numbers, and nodes with odd ones. They choose their
    /// neighbors themselves, and exchange one of them at most in every `period`.
    pub(crate) async fn on_two_sites(count: usize, period: Duration, rng: &mut Rng) -> Self {
        let trace = Arc::new(Trace::begin());
        let near = Wire { latency: Duration::from_millis(1), jitter: Duration::ZERO, loss_permille: 0, cut: false };
        let network = Network::new(rng.next_u64(), near, trace.clone());
        let home = tempfile::tempdir().unwrap();
        let nodes = (0..count).map(|number| Node::new(number, home.path(), &network, &trace, rng)).collect();
        let mut world = Self { trace, network, nodes, links: Vec::new(), _home: home };
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if from % 2 != to % 2 {
                world.change_wire(from, to, |wire| wire.latency = FAR);
            }
        }
        for node in &mut world.nodes {
            node.config.neighbors.target = 3;
            node.config.neighbors.rebalance_every_s = period.as_secs();
        }
        let founder = world.nodes[0].found().await;
        for node in &mut world.nodes[1..] {
            let token = founder.invite(Duration::from_secs(600)).unwrap();
            node.join(&token).await;
        }
        world
    }

    /// Who is linked to whom, as the nodes tell it, and whether that is far; every link from each of its ends.
    pub(crate) async fn links_told(&self) -> Vec<(usize, usize, bool)> {
        let mut told = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let Ok(Response::Links { links }) = node.handle().request(Request::Links).await else { continue };
            let up = links.into_iter().filter(|link| link.state == "up");
            let others = up.filter_map(|link| self.nodes.iter().position(|node| node.peer == link.peer));
            told.extend(others.map(|other| (number, other, number % 2 != other % 2)));
        }
        told
    }

    /// Each link has wires of its own, alike in both directions.
    fn draw_wires(&self, usual: Wire, rng: &mut Rng) {
        for &(a, b) in &self.links {
            let latency = usual.latency + Duration::from_millis(rng.below(20) as u64);
            for (from, to) in [(a, b), (b, a)] {
                self.change_wire(from, to, |wire| wire.latency = latency);
            }
        }
    }

    fn configure(&mut self) {
        let addresses: Vec<_> = self.nodes.iter().map(|node| (node.peer, node.machine.ip.to_string())).collect();
        for number in 0..self.nodes.len() {
            let neighbors = self.neighbors(number);
            let config = &mut self.nodes[number].config;
            config.neighbors.peers = neighbors.iter().map(|&other| addresses[other].0).collect();
            let bootstrap = |&other: &usize| {
                let (peer, host) = addresses[other].clone();
                Bootstrap { peer, host, port: PORT }
            };
            config.bootstrap = neighbors.iter().map(bootstrap).collect();
        }
    }

    pub(crate) fn neighbors(&self, node: usize) -> BTreeSet<usize> {
        let other = |&(a, b): &(usize, usize)| (a == node).then_some(b).or((b == node).then_some(a));
        self.links.iter().filter_map(other).collect()
    }

    /// Changes the wire from one node to another.
    pub(crate) fn change_wire(&self, from: usize, to: usize, change: impl FnOnce(&mut Wire)) {
        self.network.change(self.nodes[from].machine.ip, self.nodes[to].machine.ip, change);
    }

    /// Lets time pass, and looks at the nodes meanwhile.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = self.trace.elapsed() + time;
        while self.trace.elapsed() < end {
            sleep(LOOK_EVERY.min(end - self.trace.elapsed())).await;
            self.look().await;
        }
    }

    /// Waits until nothing is wrong any more; how long that took, or what still is.
    pub(crate) async fn heal(&mut self, patience: Duration) -> Result<Duration, String> {
        let start = self.trace.elapsed();
        loop {
            self.look().await;
            let waited = self.trace.elapsed() - start;
            let Some(wrong) = self.wrong().await else { return Ok(waited) };
            if waited > patience {
                return Err(format!("not healed within {patience:?}: {wrong}"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The first thing that is wrong.
    async fn wrong(&self) -> Option<String> {
        for (number, node) in self.nodes.iter().enumerate() {
            let up = node.links().await.iter().filter(|link| link.contains(" up ")).count();
            let wanted = self.neighbors(number).len();
            if up != wanted {
                return Some(format!("{} has {up} of {wanted} links up", node.name));
            }
            let reached = node.reached().await;
            if reached != self.nodes.len() - 1 {
                return Some(format!("{} reaches {reached} of {} others", node.name, self.nodes.len() - 1));
            }
            if let Some(open) = node.incidents().await.into_iter().find(|incident| incident.ends_with("open")) {
                return Some(format!("{}: {open}", node.name));
            }
        }
        None
    }

    /// Notes what has changed at the nodes, as they tell it.
    async fn look(&mut self) {
        for node in &mut self.nodes {
            let told = match &node.handle {
                Some(_) => [node.links().await, node.incidents().await].concat(),
                None => vec!["off".to_owned()],
            };
            for news in told.iter().filter(|news| !node.told.contains(news)) {
                self.trace.tell(format!("{}: {news}", node.name));
            }
            node.told = told;
        }
    }

    /// A round trip between every two nodes, all at once.
    pub(crate) async fn ping_all(&self) -> Result<(), String> {
        let mut pinging = JoinSet::new();
        for from in &self.nodes {
            for to in self.nodes.iter().filter(|to| to.peer != from.peer) {
                let ping = Request::Ping { destination: to.peer.to_string(), timeout_ms: 5000 };
                let (node, what) =
                    (from.handle().clone(), format!("{} does not reach {} in the end", from.name, to.name));
                pinging.spawn(async move { node.request(ping).await.map_err(|error| format!("{what}: {error}")) });
            }
        }
        pinging.join_all().await.into_iter().try_for_each(|pinged| pinged.map(drop))
    }

    /// Stops every node, all at once: those that are left behind would dial the others in vain.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        let mut stopping = JoinSet::new();
        for node in &mut self.nodes {
            let (name, handle) = (node.name.clone(), node.handle.take().expect("it runs"));
            stopping
                .spawn(async move { handle.stop().await.map_err(|error| format!("{name} does not stop: {error}")) });
        }
        stopping.join_all().await.into_iter().collect()
    }
}

impl Node {
    fn new(number: usize, home: &Path, network: &Arc<Network>, trace: &Arc<Trace>, rng: &mut Rng) -> Self {
        let name = format!("n{number}");
        let dir = home.join(&name);
        let peer = write_identity(&dir, rng);
        fs::write(dir.join("policy.toml"), POLICY).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + number as u8));
        let mut config = MeshConfig { name: name.clone(), ..MeshConfig::default() };
        config.listen = SocketAddr::new(ip, PORT);
        config.chaos.allow = true;
        let machine = Machine::new(ip, rng.next_u64(), network.clone(), trace.clone());
        Self { name, peer, machine, dir, config, handle: None, told: Vec::new() }
    }

    async fn found(&mut self) -> MeshNode {
        let found = MeshNode::found_on(self.machine.clone(), &self.dir, "whole.test", self.config.clone());
        let node = found.await.unwrap();
        self.runs(node.clone());
        node
    }

    async fn join(&mut self, token: &str) {
        let join = MeshNode::join_on(self.machine.clone(), &self.dir, token, self.config.clone());
        let node = join.await.unwrap();
        self.runs(node);
    }

    /// Starts it again from its files and its disk.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        let start = MeshNode::start_on(self.machine.clone(), &self.dir, self.config.clone());
        let node = start.await.map_err(|error| format!("{} does not start again: {error}", self.name))?;
        self.runs(node);
        Ok(())
    }

    fn runs(&mut self, node: MeshNode) {
        node.on_connection(echo);
        self.handle = Some(node);
    }

    /// Stops it and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        let node = self.handle.take().expect("it runs");
        node.stop().await.map_err(|error| format!("{} does not stop: {error}", self.name))
    }

    /// The node, which must run.
    pub(crate) fn handle(&self) -> &MeshNode {
        self.handle.as_ref().expect("it runs")
    }

    /// The second after which its certificate is good for nothing, since the Unix epoch.
    pub(crate) async fn certificate_expires(&self) -> u64 {
        match self.handle().request(Request::Status).await {
            Ok(Response::Status(status)) => status.certificate_expires_unix,
            other => panic!("{other:?}"),
        }
    }

    /// How many handshakes it has refused since it started.
    pub(crate) async fn refused_handshakes(&self) -> u64 {
        match self.handle().request(Request::Status).await {
            Ok(Response::Status(status)) => status.counters["rejected_unknown_sender"],
            other => panic!("{other:?}"),
        }
    }

    async fn links(&self) -> Vec<String> {
        match self.handle().request(Request::Links).await {
            Ok(Response::Links { links }) => links
                .into_iter()
                .map(|link| format!("link {} {} after {}", link.name, link.state, link.established))
                .collect(),
            other => vec![format!("no links are told: {other:?}")],
        }
    }

    pub(crate) async fn incidents(&self) -> Vec<String> {
        match self.handle().request(Request::Incidents).await {
            Ok(Response::Incidents { incidents }) => incidents
                .into_iter()
                .map(|incident| {
                    let state = incident.lasted_ms.map_or("open".to_owned(), |ms| format!("lasted {ms} ms"));
                    let (id, kind, actions) = (
                        incident.id,
                        incident.kind,
                        incident.actions.iter().map(|action| action.what.as_str()).collect::<Vec<_>>().join(", "),
                    );
                    format!("incident {id} {kind} {} ({}) [{actions}] {state}", incident.subject, incident.evidence)
                })
                .collect(),
            other => vec![format!("no incidents are told: {other:?}, open")],
        }
    }

    async fn reached(&self) -> usize {
        let peers = self.handle().peers().await.unwrap_or_default();
        peers.iter().filter(|peer| matches!(peer.state, Reach::Neighbor | Reach::Relayed)).count()
    }
}

/// Sends back what it receives.
async fn echo(connection: Connection) {
    while let Ok(Some(message)) = connection.receive().await {
        if connection.send(&message).await.is_err() {
            return;
        }
    }
}

fn draw_links(count: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let mut links: Vec<(usize, usize)> = (0..count).map(|node| (node, (node + 1) % count)).collect();
    // Not between the two that talk, who are to need a relay.
    let chord = (0, 2 + rng.below(count - 3));
    if rng.below(2) == 0 {
        links.push(chord);
    }
    links
}

/// The nodes' names come out of the seed: they decide who dials and who waits.
fn write_identity(dir: &Path, rng: &mut Rng) -> PeerId {
    let mut secret = [0; 32];
    secret.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
    let identity = Identity::from_secret(&secret);
    fs::create_dir(dir).unwrap();
    let pem = identity.signing_key().to_pkcs8_pem(LineEnding::LF).unwrap();
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(dir.join("identity.key")).unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    identity.peer()
}

const PORT: u16 = 4600;
/// How long a datagram takes from one site to the other.
const FAR: Duration = Duration::from_millis(40);
/// How often the nodes are asked how they are.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const POLICY: &str = "
[[rule]]
effect = 'allow'
from = ['*']
action = 'relay'
[[rule]]
effect = 'allow'
from = ['*']
action = 'message'
[[rule]]
effect = 'allow'
from = ['*']
action = 'ping'
";
