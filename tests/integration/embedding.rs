//! The library as an embedder uses it: nodes in one process, on the loopback interface.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use prunella::api::vocabulary::Reach;
use prunella::security::{Algorithm, Credentials};
use prunella::{
    Candidate, Connection, ConnectionState, Error, ErrorKind, MeshConfig, MeshNode, PeerId, Request, Response,
    StaticDiscovery,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Long enough for a busy machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

struct Node {
    node: MeshNode,
    dir: TempDir,
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("it takes too long")
}

fn config(name: &str) -> MeshConfig {
    let mut config = MeshConfig { name: name.to_owned(), listen: local(0), ..MeshConfig::default() };
    // As few links as there may be, so that tests that need relays or new neighbors know where they stand.
    config.neighbors.target = 1;
    config
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn allow(dir: &Path, actions: &[&str]) {
    let rule = |action: &&str| format!("[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = '{action}'\n");
    std::fs::write(dir.join("policy.toml"), actions.iter().map(rule).collect::<String>()).unwrap();
}

async fn founder() -> Node {
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), &["message", "relay", "ping"]);
    let node = in_time(MeshNode::found(&dir, "mesh.test", config("founder"))).await.unwrap();
    Node { node, dir }
}

async fn member(of: &Node, name: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), &["message", "relay", "ping"]);
    let invitation = of.node.invite(PATIENCE).unwrap();
    let node = in_time(MeshNode::join(&dir, &invitation, config(name))).await.unwrap();
    Node { node, dir }
}

/// All at once: a node whose neighbor has left dials it in vain, and its stop waits for that.
async fn stop(nodes: impl IntoIterator<Item = Node>) {
    let mut stopping = tokio::task::JoinSet::new();
    // The directories must outlive the nodes.
    let nodes: Vec<Node> = nodes.into_iter().collect();
    for node in nodes.iter().map(|node| node.node.clone()) {
        stopping.spawn(async move { node.stop().await });
    }
    while let Some(stopped) = in_time(stopping.join_next()).await {
        stopped.unwrap().unwrap();
    }
}

/// The connections that peers open to this node.
fn connections(node: &MeshNode) -> mpsc::UnboundedReceiver<Connection> {
    let (sender, receiver) = mpsc::unbounded_channel();
    node.on_connection(move |connection| {
        // A test that is over does not listen any more.
        let _ = sender.send(connection);
        std::future::ready(())
    });
    receiver
}

async fn connected(from: &Node, to: &Node) -> (Connection, Connection) {
    let mut opened = connections(&to.node);
    let here = in_time(from.node.connect(to.node.peer_id())).await.unwrap();
    let there = in_time(opened.recv()).await.unwrap();
    (here, there)
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ErrorKind {
    outcome.expect_err("it should fail").kind()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_goes_both_ways_and_a_larger_one_is_refused() {
    let a = founder().await;
    let b = member(&a, "b").await;
    let (here, there) = connected(&b, &a).await;
    assert_eq!((here.peer(), there.peer()), (a.node.peer_id(), b.node.peer_id()));

    let message: Vec<u8> = (0..MESSAGE_BYTES_MAX).map(|i| (i % 251) as u8).collect();
    for (sender, receiver) in [(&here, &there), (&there, &here)] {
        let (sent, received) = in_time(async { tokio::join!(sender.send(&message), receiver.receive()) }).await;
        sent.unwrap();
        assert!(received.unwrap().as_deref() == Some(&message[..]), "the message is changed");
    }

    assert_eq!(kind(here.send(&[0; MESSAGE_BYTES_MAX + 1]).await), ErrorKind::OverLimit);
    assert_eq!(kind(a.node.broadcast(&[0; MESSAGE_BYTES_MAX + 1]).await), ErrorKind::OverLimit);
    in_time(here.send(b"the connection can still be used")).await.unwrap();
    assert_eq!(in_time(there.receive()).await.unwrap().unwrap(), b"the connection can still be used");
    stop([b, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_says_how_it_ends() {
    let a = founder().await;
    let b = member(&a, "b").await;
    let (here, there) = connected(&b, &a).await;
    assert_eq!((here.state(), there.state()), (ConnectionState::Open, ConnectionState::Open));

    in_time(here.send(b"last words")).await.unwrap();
    in_time(here.close()).await.unwrap();
    in_time(here.close()).await.expect("twice does no harm");
    assert_eq!(here.state(), ConnectionState::Closing);
    assert_eq!(kind(here.send(b"too late").await), ErrorKind::ConnectionFailed);
    assert_eq!(in_time(there.receive()).await.unwrap().unwrap(), b"last words");
    assert_eq!(in_time(there.receive()).await.unwrap(), None);
    assert_eq!(there.state(), ConnectionState::Closing);

    in_time(there.send(b"an answer still goes back")).await.unwrap();
    in_time(there.close()).await.unwrap();
    assert_eq!(there.state(), ConnectionState::Closed);
    assert_eq!(in_time(here.receive()).await.unwrap().unwrap(), b"an answer still goes back");
    assert_eq!(in_time(here.receive()).await.unwrap(), None);
    assert_eq!(here.state(), ConnectionState::Closed);

    let (here, there) = connected(&b, &a).await;
    in_time(b.node.stop()).await.unwrap();
    assert_eq!(kind(in_time(there.receive()).await), ErrorKind::ConnectionFailed);
    assert_eq!((here.state(), there.state()), (ConnectionState::Lost, ConnectionState::Lost));
    stop([a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_reaches_every_node_and_names_who_did_not_take_it() {
    let a = founder().await;
    let (b, c, deaf) = (member(&a, "b").await, member(&a, "c").await, member(&a, "deaf").await);
    let mut inboxes = [connections(&b.node), connections(&c.node)];
    for node in [&b, &c, &deaf] {
        in_time(a.node.wait_for_peer(node.node.peer_id(), PATIENCE)).await.unwrap();
    }

    let broadcast = in_time(a.node.broadcast(b"to all")).await.unwrap();
    let mut expected = [b.node.peer_id(), c.node.peer_id()];
    expected.sort_unstable();
    assert_eq!(broadcast.delivered, expected);
    let failed: Vec<_> = broadcast.failed.iter().map(|(peer, error)| (*peer, error.kind())).collect();
    assert_eq!(failed, [(deaf.node.peer_id(), ErrorKind::ServiceNotFound)]);
    for inbox in &mut inboxes {
        let connection = in_time(inbox.recv()).await.unwrap();
        assert_eq!(connection.peer(), a.node.peer_id());
        assert_eq!(in_time(connection.receive()).await.unwrap().unwrap(), b"to all");
        assert_eq!(in_time(connection.receive()).await.unwrap(), None);
    }
    stop([b, c, deaf, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_handled_and_a_handlers_panic_harms_no_other() {
    let a = founder().await;
    let b = member(&a, "b").await;
    a.node.on_connection(|connection| async move {
        while let Ok(Some(message)) = connection.receive().await {
            assert_ne!(message, b"panic");
            connection.send(&message).await.unwrap();
        }
    });
    let bad = in_time(b.node.connect(a.node.peer_id())).await.unwrap();
    in_time(bad.send(b"panic")).await.unwrap();
    assert!(!matches!(in_time(bad.receive()).await, Ok(Some(_))), "nobody answers");
    for i in 0..20u8 {
        let connection = in_time(b.node.connect(a.node.peer_id())).await.unwrap();
        in_time(connection.send(&[i])).await.unwrap();
        assert_eq!(in_time(connection.receive()).await.unwrap().unwrap(), [i]);
    }
    stop([b, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovered_node_becomes_a_neighbor() {
    let a = founder().await;
    let (b, c) = (member(&a, "b").await, member(&a, "c").await);
    let peer = c.node.peer_id();
    in_time(b.node.wait_for_peer(peer, PATIENCE)).await.unwrap();
    reached(&b.node, peer, Reach::Relayed).await;

    let candidate = Candidate { peer, addresses: vec![c.node.local_addr().unwrap()] };
    b.node.discover_with(StaticDiscovery::new([candidate])).unwrap();
    reached(&b.node, peer, Reach::Neighbor).await;
    for _ in 1..8 {
        b.node.discover_with(StaticDiscovery::default()).unwrap();
    }
    assert_eq!(kind(b.node.discover_with(StaticDiscovery::default())), ErrorKind::OverLimit);
    stop([b, c, a]).await;
}

/// Waits until `node` reaches `peer` in this way.
async fn reached(node: &MeshNode, peer: PeerId, way: Reach) {
    in_time(async {
        while !node.peers().await.unwrap().iter().any(|info| info.peer == peer && info.state == way) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_told_in_time_and_by_kind() {
    let a = founder().await;
    let b = member(&a, "b").await;
    let (stranger, short) = (PeerId::from_public_key([9; 32]), Duration::from_secs(5));

    let unknown = timeout(short, b.node.connect(stranger)).await.expect("told in time");
    assert_eq!(kind(unknown), ErrorKind::PeerNotFound);
    let waited = in_time(b.node.wait_for_peer(stranger, Duration::from_millis(50))).await;
    assert_eq!(kind(waited), ErrorKind::PeerNotFound);
    assert_eq!(kind(b.node.connect(b.node.peer_id()).await), ErrorKind::InvalidInput);

    let deaf = timeout(short, b.node.connect(a.node.peer_id())).await.expect("told in time");
    assert_eq!(kind(deaf), ErrorKind::ServiceNotFound);

    let _inbox = connections(&a.node);
    in_time(b.node.connect(a.node.peer_id())).await.unwrap();
    allow(a.dir.path(), &["ping"]);
    a.node.request(Request::PolicyReload).await.unwrap();
    in_time(async {
        while !matches!(a.node.request(Request::Policy).await.unwrap(), Response::Policy(info) if info.rules.len() == 1)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let denied = timeout(short, b.node.connect(a.node.peer_id())).await.expect("told in time");
    assert_eq!(kind(denied), ErrorKind::Denied);
    stop([b, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_denied_by_now_ends_at_both_ends() {
    let a = founder().await;
    let b = member(&a, "b").await;
    let (here, there) = connected(&b, &a).await;
    in_time(here.send(b"hello")).await.unwrap();
    assert_eq!(in_time(there.receive()).await.unwrap().as_deref(), Some(&b"hello"[..]));
    allow(a.dir.path(), &["ping"]);
    let (reading, asked) = (there.clone(), here.clone());
    let both = tokio::spawn(async move { tokio::join!(reading.receive(), asked.receive()) });
    a.node.request(Request::PolicyReload).await.unwrap();
    let (there, here) = in_time(both).await.unwrap();
    assert_eq!((kind(there), kind(here)), (ErrorKind::Denied, ErrorKind::Denied));
    stop([b, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_leaves_nothing_behind_and_starts_again() {
    let a = founder().await;
    let b = member(&a, "b").await;
    let (held, _there) = connected(&b, &a).await;
    let handle = b.node.clone();
    b.node.on_connection({
        let handle = b.node.clone();
        move |_| {
            drop(handle.clone());
            std::future::ready(())
        }
    });
    let address = b.node.local_addr().unwrap();
    let connecting =
        tokio::spawn(async move { handle.wait_for_peer(PeerId::from_public_key([9; 32]), PATIENCE).await });
    tokio::task::yield_now().await;
    in_time(b.node.stop()).await.unwrap();

    assert_eq!(kind(in_time(connecting).await.unwrap()), ErrorKind::NotRunning);
    assert_eq!(kind(b.node.connect(a.node.peer_id()).await), ErrorKind::NotRunning);
    assert_eq!(kind(b.node.peers().await), ErrorKind::NotRunning);
    assert_eq!(kind(b.node.invite(PATIENCE)), ErrorKind::NotRunning);
    assert_eq!(kind(held.send(b"x").await), ErrorKind::ConnectionFailed);
    in_time(b.node.stop()).await.expect("twice does no harm");

    std::net::UdpSocket::bind(address).expect("the port is free, although handles and connections are held");
    let again = MeshConfig { listen: address, ..config("b") };
    let node = in_time(MeshNode::start(&b.dir, again)).await.expect("the store is free, too");
    assert_eq!(node.peer_id(), b.node.peer_id());
    in_time(node.connect(a.node.peer_id())).await.unwrap();
    stop([Node { node, dir: b.dir }, a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn founding_and_joining_again_start_the_node_that_is_there() {
    let a = founder().await;
    let b_dir = tempfile::tempdir().unwrap();
    let invitation = a.node.invite(PATIENCE).unwrap();
    let first = in_time(MeshNode::join(&b_dir, &invitation, config("b"))).await.unwrap();
    // A request to stop stops the node, whoever asks.
    assert_eq!(first.request(Request::Shutdown).await.unwrap(), Response::Done);
    in_time(first.ended()).await.unwrap();
    let second = in_time(MeshNode::join(&b_dir, &invitation, config("b"))).await.expect("it has joined before");
    assert_eq!(second.peer_id(), first.peer_id());
    in_time(second.stop()).await.unwrap();

    let peer = a.node.peer_id();
    in_time(a.node.stop()).await.unwrap();
    assert_eq!(kind(in_time(MeshNode::found(&a.dir, "other.test", config("a"))).await), ErrorKind::Identity);
    let again = in_time(MeshNode::found(&a.dir, "mesh.test", config("a"))).await.unwrap();
    assert_eq!(again.peer_id(), peer);
    in_time(again.stop()).await.unwrap();
    assert_eq!(kind(in_time(MeshNode::join(&b_dir, "nonsense", config("b"))).await), ErrorKind::InvalidInput);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(kind(in_time(MeshNode::start(&empty, config("x"))).await), ErrorKind::Identity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_founds_a_mesh_of_ml_dsa_certificates_and_another_joins_it() {
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), &["message", "relay", "ping"]);
    let founding = MeshNode::found_certifying(&dir, "mesh.test", Algorithm::MlDsa65, config("a"));
    let a = Node { node: in_time(founding).await.unwrap(), dir };
    let b = member(&a, "b").await;
    for dir in [&a.dir, &b.dir] {
        let chain = Credentials::load(dir.path()).unwrap().chain_ders();
        assert!(chain.iter().all(|der| Algorithm::of(der) == Ok(Algorithm::MlDsa65)));
    }
    let ping = Request::Ping { destination: a.node.peer_id().to_string(), timeout_ms: 20_000 };
    assert!(matches!(in_time(b.node.request(ping)).await.unwrap(), Response::Ping { .. }));
    stop([a, b]).await;
}
